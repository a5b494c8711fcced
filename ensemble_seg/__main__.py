"""Command line: python -m ensemble_seg COMMAND; without a command it lists them."""

import argparse
import sys
from pathlib import Path

from .common.errors import is_out_of_memory
from .common.stopping import INTERRUPTED, TerminatedError, terminable


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return 0, or 1 with one message where the input is bad.

    Where it was interrupted it is 130 (Ctrl-C) or 143 (SIGTERM), with what is kept.
    """
    options = _parser().parse_args(arguments)
    try:
        with terminable():
            options.command(options)
    except KeyboardInterrupt as stop:
        ended = isinstance(stop, TerminatedError)
        print(f"\nensemble_seg: {str(stop) or INTERRUPTED}", file=sys.stderr)
        return 143 if ended else 130
    except Exception as error:
        if is_out_of_memory(error) and not isinstance(error, RuntimeError):
            error = "out of memory. Close other programs, or use a machine with more of it."
        elif not isinstance(error, ValueError | OSError | RuntimeError):
            raise
        print(f"ensemble_seg: {error}", file=sys.stderr)
        return 1
    return 0


def download(options: argparse.Namespace) -> None:
    """Fetch a data set from its publisher, verify it and extract it."""
    from .fetching.downloads import download

    print(f"{options.name}: in {download(options.name, options.data_dir)}")


def check(options: argparse.Namespace) -> None:
    """Say what a data set holds, what is wrong with it, and what leaks between its parts."""
    from tqdm import tqdm

    from .inspection.inspecting import inspect_dataset, write_manifest
    from .inspection.report import picture
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
    from . import build_ensemble, check_before_training, load_or_train, save_model
    from .runs import run_path

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
    from .predicting import border_table

    data, preset = _experiment(options)
    models = {name: run.model for name, run in _trained(data, preset, options).items()}
    pair = list(models.values())
    models["ensemble"] = build_ensemble(pair, preset.weights)
    if options.eight_views:
        models = {name: eight_views(model) for name, model in models.items()}
    if options.zoom:
        models["zoom"] = _zoom(pair, data)
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

    from . import build_ensemble, eight_views, load_model, predict_folder

    if options.zoom and (options.model or options.eight_views):
        raise ValueError("--zoom: expected the two trained models, without --model, --eight-views.")
    if options.model is None:
        data, preset = _experiment(options)
        runs = _trained(data, preset, options).values()
        pair = [run.model for run in runs]
        network = _zoom(pair, data) if options.zoom else build_ensemble(pair, preset.weights)
        files = [run.path / "model.keras" for run in runs]
    else:
        network, files = load_model(options.model), [options.model]
    if options.eight_views:
        network = eight_views(network)
    number = predict_folder(network, options.images, options.out, tqdm, files)
    images = "1 image" if number == 1 else f"{number} images"
    print(f"{images}: masks/, overlays/ and disagreement/ in {options.out.absolute()}")


def _zoom(models: list, data):
    """Return the zoom ensemble of both models; what it needs is chosen on validation images."""
    from . import fit_zoom, zoom_ensemble

    weights, margin = fit_zoom(*models, data.validation)
    shares = " : ".join(f"{weight:g}" for weight in weights)
    print(f"zoom: weights {shares}, margin {margin} pixels, by the validation images")
    return zoom_ensemble(*models, weights, margin)


def _trained(data, preset, options: argparse.Namespace) -> dict:
    """Return the finished runs of both models; they are refused where they saw other data."""
    from . import load_or_train, load_run
    from .runs import run_path

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


def _experiment(options: argparse.Namespace):
    from . import load_dataset, preset

    chosen = preset(options.preset)
    values = _lesion_values(options)
    data = load_dataset(options.dataset, options.data_dir, lesion_values=values)
    return data.limit(chosen.limit), chosen


def _lesion_values(options: argparse.Namespace) -> str | None:
    return " ".join(options.lesion_values) if options.lesion_values else None


def _path(text: str) -> Path:
    return Path(text).expanduser()  # which no shell does in --out=~/results


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ensemble_seg", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    masks = argparse.ArgumentParser(add_help=False)
    masks.add_argument(
        "--lesion-values",
        nargs="+",
        metavar="VALUE",
        help="values of the masks that are lesion, where there are more than two: 1 2, or 128-255",
    )
    experiment = argparse.ArgumentParser(add_help=False, parents=[masks])
    experiment.add_argument("--dataset", help="a name or a folder (phantoms)")
    experiment.add_argument("--data-dir", help="folder of the named data sets")
    experiment.add_argument("--preset", help='smoke, quick or paper, or "quick,epochs=40" (quick)')
    experiment.add_argument("--runs-dir", help="where run folders go (runs)")

    def add(command, *parents) -> argparse.ArgumentParser:
        text = command.__doc__
        sub = commands.add_parser(command.__name__, help=text, description=text, parents=parents)
        sub.set_defaults(command=command)
        return sub

    fetch = add(download)
    fetch.add_argument("name", help="kvasir-seg, isic-2018 (13.8 GB) or lgg-mri (says what to do)")
    fetch.add_argument("--data-dir", type=_path, help="where the data set goes (data)")

    look = add(check, masks)
    look.add_argument("dataset", nargs="?", help="a name or a folder (phantoms)")
    look.add_argument("--data-dir", help="folder of the named data sets")
    look.add_argument("--preset", help="what is to be trained: decides which masks suffice (quick)")
    look.add_argument(
        "--picture", type=_path, metavar="FILE.png", help="draw lesion sizes and leaks"
    )
    look.add_argument(
        "--write-manifest",
        type=_path,
        metavar="FILE.csv",
        help="a manifest in which near duplicates share a group",
    )

    draw = add(phantoms)
    draw.add_argument("out", type=_path, help="folder to make")
    draw.add_argument("--count", type=int, default=240)
    draw.add_argument("--seed", type=int, default=0)
    draw.add_argument("--fraction", type=float, help="lesion fraction of every image")

    crop = add(sample, masks)
    crop.add_argument("folder", type=_path, metavar="IN", help="folder of a data set")
    crop.add_argument("out", type=_path, metavar="OUT", help="folder to make")
    crop.add_argument("--threshold", type=float, default=3.0, help="ratio to keep (%(default)s)")
    crop.add_argument("--margin", type=int, nargs="+", default=(20, 10), help="pixels (20 10)")
    crop.add_argument("--each-lesion", action="store_true", help="one crop for each lesion")

    scale = add(convert)
    scale.add_argument("folder", type=Path, metavar="IN", help="folder of images")
    scale.add_argument("out", type=Path, metavar="OUT", help="folder to make")
    scale.add_argument(
        "--range",
        type=int,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="values that become 0 and 255 (lowest and highest of all files)",
    )

    fit = add(train, experiment)
    fit.add_argument("--devices", nargs="+", help="train on several: GPU:0 GPU:1 (one)")
    views = argparse.ArgumentParser(add_help=False)
    views.add_argument(
        "--eight-views", action="store_true", help="vote over flips and turns: eight times the work"
    )
    views.add_argument(
        "--zoom", action="store_true", help="the sampling model looks into the main model's box"
    )
    scored = add(evaluate, experiment, views)
    scored.add_argument("--own-size", action="store_true", help="score at each image's own size")
    scored.add_argument(
        "--borders", action="store_true", help="ISIC's score and distances between borders, too"
    )
    scored.add_argument(
        "--cases", type=_path, metavar="FILE.csv", help="write the Dice of each case, as well"
    )
    use = add(predict, experiment, views)
    use.add_argument("images", type=_path, help="a folder of images of any size, or one of them")
    use.add_argument("--out", type=_path, default=Path("predictions"), help="(%(default)s)")
    use.add_argument("--model", type=_path, help="a saved model; the trained ensemble by default")
    _add_study(add(study))
    return parser


def _add_study(parser: argparse.ArgumentParser) -> None:
    plans = "loss, sampling, ensemble, imbalance, split, start, check, or all"
    parser.add_argument("data", nargs="?", metavar="DATA", help="a name or a folder (phantoms)")
    parser.add_argument("--data-dir", help="folder of the named data sets")
    parser.add_argument("--plan", nargs="+", metavar="PLAN", help=f"what to test: {plans} (all)")
    parser.add_argument("--seeds", type=int, help="how many (5)")
    parser.add_argument("--preset", help='network and training ("quick,size=96,epochs=5,...")')
    parser.add_argument(
        "--steps", type=int, help="of each training (300; kvasir-seg, isic-2018: 800)"
    )
    parser.add_argument("--out", help="folder of the JSON files (results/study)")
    parser.add_argument(
        "--work-dir", dest="work", help="folder of models, while needed (runs/study)"
    )
    parser.add_argument("--workers", type=int, help="processes (one for each core)")
    parser.add_argument(
        "--shard", type=_shard, default=(0, 1), metavar="0/8", help="a share of the jobs"
    )
    parser.add_argument("--dask", metavar="ADDRESS", help="run on this Dask cluster")
    parser.add_argument(
        "--report", action="store_true", help="tables and figures of what is there, no training"
    )


def _shard(text: str) -> tuple[int, int]:
    try:
        number, count = map(int, text.split("/"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected 0/8, say, received {text}") from None
    return number, count


if __name__ == "__main__":
    sys.exit(main())
