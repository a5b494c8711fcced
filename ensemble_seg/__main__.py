"""Command line: python -m ensemble_seg COMMAND; without a command it lists them."""

import argparse
import sys
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return 0, or 1 with one message where the input is bad."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except (ValueError, OSError, RuntimeError) as error:
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

    def bar(items):
        return tqdm(items, desc="check", unit=" pairs", leave=False)

    found = inspect_dataset(options.dataset, options.data_dir, progress=bar)
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
        options.folder, options.out, options.threshold, options.each_lesion, options.margin
    )
    print(
        f"{counts.crops} crops of {counts.kept} images in {options.out}; "
        f"{counts.dropped} images below the ratio, {counts.empty} without a lesion."
    )


def train(options: argparse.Namespace) -> None:
    """Train the main and the sampling model and save their ensemble."""
    from . import build_ensemble, load_or_train, save_model
    from .runs import run_path

    data, preset = _experiment(options)
    runs = [
        load_or_train(name, data, preset, options.runs_dir, options.devices)
        for name in ("main", "sampling")
    ]
    path = run_path(data, preset, "ensemble", options.runs_dir) / "model.keras"
    save_model(build_ensemble([run.model for run in runs], preset.weights), path)
    print(f"ensemble: saved in {path}")


def evaluate(options: argparse.Namespace) -> None:
    """Print the score table of the trained models on the test images."""
    from . import build_ensemble, eight_views, evaluate, load_or_train, load_run, score_table
    from .common.files import whole
    from .evaluation import cases_csv
    from .runs import run_path

    data, preset = _experiment(options)
    models = {}
    for name in ("main", "sampling"):
        load_run(run_path(data, preset, name, options.runs_dir))
        models[name] = load_or_train(name, data, preset, options.runs_dir).model
    models["ensemble"] = build_ensemble(list(models.values()), preset.weights)
    if options.eight_views:
        models = {name: eight_views(model) for name, model in models.items()}
    scores = {name: evaluate(model, data.test) for name, model in models.items()}
    print(score_table(scores))
    print(f"\n{data.name}: {len(data.test)} test images, data hash {data.hash[:12]}")
    print(_false_claim({name: scores[name].per_image["dice"] for name in ("ensemble", "main")}))
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
    """Write masks, overlays and disagreement maps for a folder of images."""
    import keras
    from tqdm import tqdm

    from . import eight_views, predict_folder
    from .runs import run_path

    model = options.model
    if model is None:
        data, preset = _experiment(options)
        model = run_path(data, preset, "ensemble", options.runs_dir) / "model.keras"
    if not Path(model).is_file():
        raise FileNotFoundError(
            f"{model}: no such model. Train it first (python -m ensemble_seg train), or name one "
            "with --model."
        )
    network = keras.saving.load_model(model, compile=False)
    if options.eight_views:
        network = eight_views(network)
    number = predict_folder(network, options.folder, options.out, progress=tqdm)
    print(f"{number} images: masks/, overlays/ and disagreement/ in {options.out}")


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
    data = load_dataset(options.dataset, options.data_dir)
    return data.limit(chosen.limit), chosen


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ensemble_seg", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    experiment = argparse.ArgumentParser(add_help=False)
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
    fetch.add_argument("--data-dir", type=Path, help="where the data set goes (data)")

    look = add(check)
    look.add_argument("dataset", nargs="?", help="a name or a folder (phantoms)")
    look.add_argument("--data-dir", help="folder of the named data sets")
    look.add_argument(
        "--picture", type=Path, metavar="FILE.png", help="draw lesion sizes and leaks"
    )
    look.add_argument(
        "--write-manifest",
        type=Path,
        metavar="FILE.csv",
        help="a manifest in which near duplicates share a group",
    )

    draw = add(phantoms)
    draw.add_argument("out", type=Path, help="folder to make")
    draw.add_argument("--count", type=int, default=240)
    draw.add_argument("--seed", type=int, default=0)
    draw.add_argument("--fraction", type=float, help="lesion fraction of every image")

    crop = add(sample)
    crop.add_argument("folder", type=Path, metavar="IN", help="folder of a data set")
    crop.add_argument("out", type=Path, metavar="OUT", help="folder to make")
    crop.add_argument("--threshold", type=float, default=3.0, help="ratio to keep (%(default)s)")
    crop.add_argument("--margin", type=int, nargs="+", default=(20, 10), help="pixels (20 10)")
    crop.add_argument("--each-lesion", action="store_true", help="one crop for each lesion")

    fit = add(train, experiment)
    fit.add_argument("--devices", nargs="+", help="train on several: GPU:0 GPU:1 (one)")
    views = argparse.ArgumentParser(add_help=False)
    views.add_argument(
        "--eight-views", action="store_true", help="vote over flips and turns: eight times the work"
    )
    scored = add(evaluate, experiment, views)
    scored.add_argument(
        "--cases", type=Path, metavar="FILE.csv", help="write the Dice of each case, as well"
    )
    use = add(predict, experiment, views)
    use.add_argument("folder", type=Path, help="images, of any size")
    use.add_argument("--out", type=Path, default=Path("predictions"), help="(%(default)s)")
    use.add_argument("--model", type=Path, help="a saved model; the trained ensemble by default")
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
