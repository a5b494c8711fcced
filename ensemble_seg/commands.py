"""What each command of python -m ensemble_seg does; `__main__` reads their arguments."""

import argparse
from pathlib import Path


def download(options: argparse.Namespace) -> None:
    """Fetch a data set from its publisher, verify it and extract it."""
    from .fetching.downloads import download

    print(f"{options.name}: in {download(options.name, options.data_dir)}")


def check(options: argparse.Namespace) -> None:
    """Say what a data set holds, what is wrong with it, and what leaks between its parts."""
    from tqdm import tqdm

    from .inspection.inspecting import inspect_dataset, write_manifest
    from .inspection.picture import picture
    from .presets import preset as chosen_preset

    def bar(items):
        return tqdm(items, desc="check", unit=" pairs", leave=False)

    found = inspect_dataset(
        options.dataset,
        options.data_dir,
        progress=bar,
        lesion_values=_lesion_values(options),
        preset=chosen_preset(options.preset),
    )
    print(found)
    if options.picture:
        picture(found, options.picture)
        print(f"Picture: {options.picture}")
    if options.write_manifest:
        number = write_manifest(found, options.write_manifest)
        print(
            f"Manifest: {options.write_manifest}, {number} pairs with another group. Put it at "
            f"{found.folder / 'manifest.csv'}, which load_dataset reads."
        )
    if not found.is_trainable:
        raise ValueError(f"Training is impossible; problems: {len(found.problems)}, listed above.")


def phantoms(options: argparse.Namespace) -> None:
    """Draw a data set of phantoms."""
    from .datasets.phantoms import write_phantoms

    folder = write_phantoms(options.out, options.count, options.seed, options.fraction)
    print(f"{options.count} phantoms in {folder}")


def sample(options: argparse.Namespace) -> None:
    """Write the lesion crops of a data set as files."""
    from .exporting import write_crops

    counts = write_crops(
        options.folder,
        options.out,
        options.threshold,
        options.each_lesion,
        options.margin,
        _lesion_values(options),
    )
    print(
        f"{counts.crops} crops of {counts.kept} images in {options.out}; "
        f"{counts.dropped} images below the ratio, {counts.empty} without a lesion."
    )


def convert(options: argparse.Namespace) -> None:
    """Write the images of a folder, 12 or 16 bits, with 8 bits and one scale."""
    from .reading.converting import convert_folder

    low, high = convert_folder(options.folder, options.out, options.range)
    print(
        f"Images in {options.out}: values {low} to {high} are shown as 0 to 255. For images that "
        f"go with them, to segment say, add --range {low} {high}."
    )


def train(options: argparse.Namespace) -> None:
    """Train the main and the sampling model and save their ensemble."""
    from . import build_ensemble, check_before_training, load_or_train, run_path, save_model

    data, preset = _experiment(options)
    check_before_training(data, preset, options.runs_dir, options.devices)
    runs = [
        load_or_train(name, data, preset, options.runs_dir, options.devices)
        for name in ("main", "sampling")
    ]
    path = run_path(data, preset, "ensemble", options.runs_dir) / "model.keras"
    save_model(build_ensemble([run.model for run in runs], preset.weights), path)
    print(f"ensemble: saved in {path}")


def evaluate(options: argparse.Namespace) -> None:
    """Print the score table of the trained models on the test images."""
    from . import build_ensemble, eight_views, evaluate, score_table
    from .common.files import whole
    from .evaluation import cases_csv
    from .predicting.scoring import border_table

    data, preset = _experiment(options)
    models = {name: run.model for name, run in _trained(data, preset, options).items()}
    pair = list(models.values())
    models["ensemble"] = build_ensemble(pair, preset.weights)
    if options.eight_views:
        models = {name: eight_views(model) for name, model in models.items()}
    if options.zoom:
        models["zoom"] = _zoom(pair, data, preset, options.runs_dir)
    scores = {name: evaluate(model, data.test, options.own_size) for name, model in models.items()}
    print(score_table(scores))
    size = (
        "each at its own size" if options.own_size else f"at {preset.size} x {preset.size} pixels"
    )
    print(f"\n{data.name}: {len(data.test)} test images, {size}, data hash {data.hash[:12]}")
    print(_false_claim({name: scores[name].per_image["dice"] for name in ("ensemble", "main")}))
    if options.borders:
        print(f"\n{border_table(models, data.test)}")
    if options.cases:
        with whole(options.cases) as file:
            file.write_text(cases_csv(scores))
        print(f"Dice of each case, a column a model: {options.cases}")


def _false_claim(dice: dict) -> str:
    from .study.statistics import probability_of_false_claim

    better, worse = sorted(dice, key=lambda name: -dice[name].mean())
    chance = probability_of_false_claim(dice[better], dice[worse])
    return (
        f'"{better} is better than {worse}" (Dice per image) is false with a probability of '
        f"{chance:.3f}, by the chance of the cases alone: another training may turn it round."
    )


def predict(options: argparse.Namespace) -> None:
    """Write masks, overlays and disagreement maps for a folder of images, or one image."""
    from tqdm import tqdm

    from .predicting.folders import predict_folder

    exported = without_keras(options)
    if exported:
        if exported != options.model and options.engine is None:
            print(f"{exported}: it computes what {options.model} does, unless --engine keras.")
        network, files, engine = exported, [], None
    else:
        network, files = _network(options)
        engine = options.engine or "keras"
    number = predict_folder(network, options.images, options.out, tqdm, files, engine)
    images = "1 image" if number == 1 else f"{number} images"
    print(f"{images}: masks/, overlays/ and disagreement/ in {options.out.absolute()}")


def without_keras(options: argparse.Namespace) -> Path | None:
    """Return the exported network that a command predicts with; None where it needs Keras."""
    if options.command is not predict or options.model is None:
        return None
    from .predicting.engines import ENGINE_OF, exported_file

    if options.zoom or options.eight_views:
        if options.model.suffix in ENGINE_OF:
            raise ValueError(f"{options.model}: expected no --zoom and no --eight-views with it.")
        return None
    return exported_file(options.model, options.engine)


def _network(options: argparse.Namespace) -> tuple:
    """Return the Keras model to predict with, and its files."""
    from . import build_ensemble, eight_views, load_model

    if options.zoom and (options.model or options.eight_views):
        raise ValueError("--zoom: expected the two trained models, without --model, --eight-views.")
    if options.eight_views and options.engine not in (None, "keras"):
        raise ValueError(f"--engine {options.engine}: expected keras with --eight-views.")
    if options.model is None:
        data, preset = _experiment(options)
        runs = _trained(data, preset, options).values()
        pair = [run.model for run in runs]
        if options.zoom:
            network = _zoom(pair, data, preset, options.runs_dir)
        else:
            network = build_ensemble(pair, preset.weights)
        files = [run.path / "model.keras" for run in runs]
    else:
        network, files = load_model(options.model), [options.model]
    return (eight_views(network) if options.eight_views else network), files


def export(options: argparse.Namespace) -> None:
    """Write a saved model for another runtime, in float32, and compare it with Keras."""
    from . import load_model
    from .exporting import export_model

    out = options.out or options.model
    path, difference = export_model(load_model(options.model), out, options.format)
    agreement = (
        "not compared with Keras: its runtime is not installed"
        if difference is None
        else f"at most {difference:.1g} from Keras' probabilities on three phantoms"
    )
    print(f"{path}: {agreement}")


def _zoom(models: list, data, preset, runs_dir: str | None):
    """Return the zoom ensemble of both models; what it needs is chosen on validation images."""
    from . import fit_zoom, run_path, save_model, zoom_ensemble

    weights, margin = fit_zoom(*models, data.validation)
    shares = " : ".join(f"{weight:g}" for weight in weights)
    ensemble = zoom_ensemble(*models, weights, margin)
    path = run_path(data, preset, "zoom", runs_dir) / "model.keras"
    save_model(ensemble, path)
    print(f"zoom: weights {shares}, margin {margin} pixels, by the validation images: {path}")
    return ensemble


def _trained(data, preset, options: argparse.Namespace) -> dict:
    """Return the finished runs of both models; they are refused where they saw other data."""
    from . import load_or_train, load_run, run_path

    names = ("main", "sampling")
    for name in names:
        load_run(run_path(data, preset, name, options.runs_dir))
    return {name: load_or_train(name, data, preset, options.runs_dir) for name in names}


def study(options: argparse.Namespace) -> None:
    """Test whether the method pays on a data set, against controls of the same cost."""
    from .study.report import write_report
    from .study.studies import Asked, run_study

    fields = ("data", "plan", "seeds", "data_dir", "preset", "steps", "out", "work")
    given = {field: getattr(options, field) for field in fields}
    given = {field: value for field, value in given.items() if value is not None}
    asked = Asked(**given)
    if options.report:
        print(write_report(asked.out, options.data and Path(options.data).name))
        return
    folders = run_study(asked, options.workers, options.dask, options.shard)
    print(write_report(asked.out, folders[0].name))


def doctor(options: argparse.Namespace) -> None:
    """Say what a report of a problem needs: versions, devices, disk, damaged runs, settings."""
    from .inspection.doctor import doctor_report

    print(doctor_report(options.runs_dir, options.data_dir))


def _experiment(options: argparse.Namespace):
    from . import load_dataset, preset

    chosen = preset(options.preset)
    values = _lesion_values(options)
    data = load_dataset(options.dataset, options.data_dir, lesion_values=values)
    return data.limit(chosen.limit), chosen


def _lesion_values(options: argparse.Namespace) -> str | None:
    return " ".join(options.lesion_values) if options.lesion_values else None
