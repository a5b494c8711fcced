"""A deep ensemble for medical image segmentation, from the data to the masks."""

import argparse
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ensemble_lab.importing import command as import_command
from ensemble_lab.study import command as study_command

MODELS = ("main", "sampling")


def main(argv: list[str] | None = None) -> int:
    """Run a command; return 0, 1 with one message where the input is bad, or 130 after Ctrl-C."""
    options = _parser().parse_args(argv)
    for name, value in vars(options).items():
        if str(value).startswith("~"):  # which no shell expands in --out=~/results
            setattr(options, name, type(value)(Path(value).expanduser()))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["MPLBACKEND"] = "agg"  # that of a notebook draws no files
    sys.stdout.reconfigure(errors="replace")  # of `check > file` no character stops the report
    try:
        options.run(options)
        return 0
    except KeyboardInterrupt:
        message, code = "interrupted; a training goes on where it was with the same command", 130
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        message, code = (str(error).strip() or type(error).__name__).splitlines()[-1], 1
    print(f"ensemble-seg {options.name}: {message}", file=sys.stderr)
    return code


def check(options: argparse.Namespace) -> None:
    """Say what a data set holds, what is wrong with it, and what leaks between its parts."""
    from ensemble_lab.check import check_folder, picture, write_manifest
    from ensemble_seg import preset
    from ensemble_seg.data import find_folder

    name = options.dataset or os.environ.get("ENSEMBLE_SEG_DATASET") or "phantoms"
    report = check_folder(find_folder(name, options.data_dir), preset(options.preset))
    print(report.text())
    if options.picture:
        picture(report, options.picture)
    if options.write_manifest:
        number, place = write_manifest(report, options.write_manifest), report.folder
        print(f"{options.write_manifest}: {number} new groups. Read as {place}/manifest.csv")
    if report.problems:
        raise ValueError(f"training is impossible; problems: {len(report.problems)}, listed above")


def sample(options: argparse.Namespace) -> None:
    """Write the lesion crops of a data set as files."""
    import ensemble_seg as es
    from ensemble_lab.folders import write_crops

    data = es.load_dataset(options.dataset, options.data_dir)
    rule = options.threshold, options.margin, options.each_lesion
    kept, dropped, empty, crops = write_crops(data, options.out, *rule)
    print(
        f"{options.out}: {crops} crops of {kept} images; {dropped} below the ratio, {empty} empty"
    )


def train(options: argparse.Namespace) -> None:
    """Train the main and the sampling model and save their ensemble."""
    import ensemble_seg as es

    preset = es.preset(options.preset)
    data = es.load_dataset(options.dataset, options.data_dir)
    print("".join(f"{note}\n" for note in data.notes), end="")
    es.check_before_training(data, preset, options.runs_dir)
    runs = [es.load_or_train(name, data, preset, options.runs_dir) for name in MODELS]
    file = es.run_path(data, preset, "ensemble", options.runs_dir) / "model.keras"
    es.save_model(es.build_ensemble([run.model for run in runs], preset.weights), file)
    print(f"ensemble: saved in {file}")


def evaluate(options: argparse.Namespace) -> None:
    """Print the score table of the trained models on the test images."""
    import numpy as np

    import ensemble_seg as es
    from ensemble_lab.borders import border_table, masks_at_own_size
    from ensemble_seg.runs import write_text

    def at_own_size(model, split):
        pairs = masks_at_own_size(model, split)
        counts = [es.Scores.from_masks([truth], [mask]).counts for truth, mask in pairs]
        return es.Scores(np.concatenate(counts), tuple(split.names), tuple(split.groups))

    data, preset, models = _trained(options)
    score = at_own_size if options.own_size else es.evaluate
    scores = {name: score(model, data.test) for name, model in models.items()}
    print(es.score_table(scores))
    size = "own size" if options.own_size else f"{preset.size} x {preset.size} pixels"
    size += ", each row by eight views" * options.eight_views
    print(f"\n{data.name}: {len(data.test)} test images, {size}, data hash {data.hash[:12]}")
    if options.borders:
        print(f"\n{border_table(models, data.test)}")
    if options.cases:
        for name, each in scores.items():
            write_text(options.cases / f"{name}.csv", each.to_csv())


def predict(options: argparse.Namespace) -> None:
    """Write masks, overlays and disagreement maps for a folder of images, or one image."""
    import ensemble_seg as es
    from ensemble_lab.export import load_exported
    from ensemble_lab.folders import input_images, predict_folder, require_empty

    if options.model and (options.zoom or options.eight_views):
        raise ValueError("--model goes without --zoom and --eight-views")
    require_empty(options.out)
    input_images(options.images)
    if not options.model:
        *_, model = _trained(options)[2].values()
    else:
        exported = options.model.suffix != ".keras"
        model = (load_exported if exported else es.load_model)(options.model)
    number, bad = predict_folder(model, options.images, options.out)
    print(f"masks/, overlays/ and disagreement/ in {options.out}, images: {number}")
    if bad:
        print(*bad, sep="\n")
        raise ValueError(f"images that cannot be read: {len(bad)}, listed above")


def export(options: argparse.Namespace) -> None:
    """Write a saved model for another runtime, in float32, and compare it with Keras."""
    import ensemble_seg as es
    from ensemble_lab.export import export_model

    difference = export_model(es.load_model(options.model), options.out)
    print(f"{options.out}: at most {difference:.1g} from Keras' probabilities")


def phantoms(options: argparse.Namespace) -> None:
    """Draw a data set of phantoms."""
    import ensemble_seg as es

    es.write_phantoms(options.out, options.count, options.seed, options.fraction)
    print(f"{options.count} phantoms in {options.out}")


def download(options: argparse.Namespace) -> None:
    """Fetch a data set from its publisher, verify it and write it in the plain form."""
    from ensemble_lab.download import download

    download(options.dataset, options.data_dir)


def _trained(options: argparse.Namespace) -> tuple:
    """Return data, preset, and the models by name, each of eight views if that is asked."""
    import ensemble_seg as es
    from ensemble_lab.views import eight_views
    from ensemble_lab.zoom import fit_zoom, zoom_ensemble

    preset = es.preset(options.preset)
    data = es.load_dataset(options.dataset, options.data_dir).limit(preset.limit)
    for name in MODELS:  # nothing is trained here
        es.load_run(es.run_path(data, preset, name, options.runs_dir))
    pair = [es.load_or_train(name, data, preset, options.runs_dir).model for name in MODELS]
    pair = [eight_views(model) for model in pair] if options.eight_views else pair
    models = dict(zip(MODELS, pair, strict=True))
    models["ensemble"] = es.build_ensemble(pair, preset.weights)
    if options.zoom:
        weights, margin = fit_zoom(*pair, data.validation)
        models["zoom"] = zoom_ensemble(*pair, weights, margin)
        name = "zoom_8_views" if options.eight_views else "zoom"
        file = es.run_path(data, preset, name, options.runs_dir) / "model.keras"
        es.save_model(models["zoom"], file)
        print(f"zoom: {weights=}, {margin=} by the validation images; saved in {file}")
    return data, preset, models


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("ensemble-seg", description=__doc__)
    known = parser.add_subparsers(required=True, metavar="COMMAND")
    ours = (check, sample, train, evaluate, predict, export, phantoms, download)
    texts = {"import": "Turn a data set into the plain form.", "study": "Test if the method pays."}
    named, parsers = [(run.__name__, run) for run in ours], {}
    for name, run in (("import", import_command.run), *named, ("study", study_command.run)):
        text = texts.get(name, run.__doc__)
        parsers[name] = known.add_parser(name, help=text, description=text)
        parsers[name].set_defaults(run=run, name=name)
    for names, option, settings in _options():
        for name in names.split():
            parsers[name].add_argument(option, **settings)
    import_command.add_arguments(parsers["import"])
    study_command.add_arguments(parsers["study"])
    return parser


def _options() -> Iterator[tuple[str, str, dict]]:
    """Give the commands that have an option, its name, and its settings."""
    file, flag = partial(dict, type=Path), partial(dict, action="store_true")
    number, data = partial(dict, type=int), {"help": "a name or a folder (phantoms)"}
    fitted, voted = "train evaluate predict", "evaluate predict"
    yield "check sample", "dataset", {"nargs": "?", **data}
    yield "download", "dataset", {"help": "kvasir-seg, isic-2018 (13.8 GB) or lgg-mri"}
    yield "predict", "images", file(help="a folder of images of any size, or one of them")
    yield "export", "model", file(help="a saved model (.keras)")
    yield "export", "out", file(help="NAME.onnx, NAME.xml (OpenVINO) or a folder")
    yield "sample phantoms", "out", file(help="folder to make")
    yield fitted, "--dataset", data
    yield f"check sample download {fitted}", "--data-dir", file(help="of the named sets (data)")
    yield f"check {fitted}", "--preset", {"help": 'quick, smoke, paper; "quick,epochs=40"'}
    yield fitted, "--runs-dir", file(help="where run folders go (runs)")
    yield voted, "--eight-views", flag(help="vote over flips and turns: 8 times the work")
    yield voted, "--zoom", flag(help="the sampling model looks into the main model's box")
    yield "evaluate", "--own-size", flag(help="score at each image's own size")
    yield "evaluate", "--borders", flag(help="ISIC's score and distances between borders, too")
    yield "evaluate", "--cases", file(metavar="FOLDER", help="write the scores of each case")
    yield "predict", "--out", file(default=Path("predictions"), help="to make (%(default)s)")
    yield "predict", "--model", file(help=".keras or exported; the trained ensemble by default")
    yield "check", "--picture", file(metavar="FILE.png", help="draw how much is lesion")
    yield "check", "--write-manifest", file(metavar="FILE.csv", help="join near duplicates")
    yield "sample", "--threshold", {"type": float, "default": 3.0, "help": "least ratio (3)"}
    yield "sample", "--margin", number(nargs="+", default=(20, 10), help="pixels (20 10)")
    yield "sample", "--each-lesion", flag(help="one crop for each lesion")
    yield "phantoms", "--count", number(default=240, help="images (240)")
    yield "phantoms", "--seed", number(default=0, help="of the drawing (0)")
    yield "phantoms", "--fraction", {"type": float, "help": "of every image that is lesion"}


if __name__ == "__main__":
    sys.exit(main())
