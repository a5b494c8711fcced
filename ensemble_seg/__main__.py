"""Command line: python -m ensemble_seg COMMAND; without a command it lists them."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from . import commands
from .common.starting import import_whole
from .common.stopping import INTERRUPTED, TerminatedError, terminable


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return 0, or 1 with one message where the input is bad.

    Where it was interrupted it is 130 (Ctrl-C) or 143 (SIGTERM), with what is kept.
    """
    options = _parser().parse_args(arguments)
    try:
        with terminable():
            _begin(options)
            options.command(options)
    except KeyboardInterrupt as stop:
        ended = isinstance(stop, TerminatedError)
        sys.stderr.write(f"\nensemble_seg: {str(stop) or INTERRUPTED}\n")
        return 143 if ended else 130
    except Exception as error:
        from .common.errors import is_out_of_memory

        if is_out_of_memory(error) and not isinstance(error, RuntimeError):
            error = "out of memory. Close other programs, or use a machine with more of it."
        elif not isinstance(error, ValueError | OSError | RuntimeError) and not _is_refusal(error):
            raise
        sys.stderr.write(f"ensemble_seg: {error}\n")
        return 1
    return 0


def _begin(options: argparse.Namespace) -> None:
    try:
        if not commands.without_keras(options):
            import_whole(__package__, options.verbose)
    except Exception:
        if options.command is not commands.doctor:  # which says what is wrong
            raise


def run() -> None:
    """End the process with what `main` returns, an interrupted one at once.

    All that is kept is written by then, and threads of TensorFlow that wait may never end.
    """
    code = main()
    if code in (130, 143):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _is_refusal(error: Exception) -> bool:
    return isinstance(error, ImportError) and error.name == __package__  # see common.environment


def _path(text: str) -> Path:
    return Path(text).expanduser()  # which no shell does in --out=~/results


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ensemble_seg", description=__doc__)
    parser.add_argument(
        "--verbose", action="store_true", help="show what TensorFlow logs at its start"
    )
    known = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(command, *parents) -> argparse.ArgumentParser:
        text = command.__doc__
        sub = known.add_parser(command.__name__, help=text, description=text, parents=parents)
        sub.set_defaults(command=command)
        return sub

    masks = argparse.ArgumentParser(add_help=False)
    masks.add_argument(
        "--lesion-values",
        nargs="+",
        metavar="VALUE",
        help="values of the masks that are lesion, where there are more than two: 1 2, or 128-255",
    )
    _add_data_commands(add, masks)
    _add_model_commands(add, masks)
    _add_study(add(commands.study))
    look = add(commands.doctor)
    look.add_argument("--data-dir", help="folder of the named data sets (data)")
    look.add_argument("--runs-dir", help="where run folders go (runs)")
    return parser


def _add_data_commands(add: Callable, masks: argparse.ArgumentParser) -> None:
    fetch = add(commands.download)
    fetch.add_argument("name", help="kvasir-seg, isic-2018 (13.8 GB) or lgg-mri (says what to do)")
    fetch.add_argument("--data-dir", type=_path, help="where the data set goes (data)")

    look = add(commands.check, masks)
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

    draw = add(commands.phantoms)
    draw.add_argument("out", type=_path, help="folder to make")
    draw.add_argument("--count", type=int, default=240)
    draw.add_argument("--seed", type=int, default=0)
    draw.add_argument("--fraction", type=float, help="lesion fraction of every image")

    crop = add(commands.sample, masks)
    crop.add_argument("folder", type=_path, metavar="IN", help="folder of a data set")
    crop.add_argument("out", type=_path, metavar="OUT", help="folder to make")
    crop.add_argument("--threshold", type=float, default=3.0, help="ratio to keep (%(default)s)")
    crop.add_argument("--margin", type=int, nargs="+", default=(20, 10), help="pixels (20 10)")
    crop.add_argument("--each-lesion", action="store_true", help="one crop for each lesion")

    scale = add(commands.convert)
    scale.add_argument("folder", type=Path, metavar="IN", help="folder of images")
    scale.add_argument("out", type=Path, metavar="OUT", help="folder to make")
    scale.add_argument(
        "--range",
        type=int,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="values that become 0 and 255 (lowest and highest of all files)",
    )


def _add_model_commands(add: Callable, masks: argparse.ArgumentParser) -> None:
    experiment = argparse.ArgumentParser(add_help=False, parents=[masks])
    experiment.add_argument("--dataset", help="a name or a folder (phantoms)")
    experiment.add_argument("--data-dir", help="folder of the named data sets")
    experiment.add_argument("--preset", help='smoke, quick or paper, or "quick,epochs=40" (quick)')
    experiment.add_argument("--runs-dir", help="where run folders go (runs)")

    fit = add(commands.train, experiment)
    fit.add_argument("--devices", nargs="+", help="train on several: GPU:0 GPU:1 (one)")
    views = argparse.ArgumentParser(add_help=False)
    views.add_argument(
        "--eight-views", action="store_true", help="vote over flips and turns: eight times the work"
    )
    views.add_argument(
        "--zoom", action="store_true", help="the sampling model looks into the main model's box"
    )
    scored = add(commands.evaluate, experiment, views)
    scored.add_argument("--own-size", action="store_true", help="score at each image's own size")
    scored.add_argument(
        "--borders", action="store_true", help="ISIC's score and distances between borders, too"
    )
    scored.add_argument(
        "--cases", type=_path, metavar="FILE.csv", help="write the Dice of each case, as well"
    )
    use = add(commands.predict, experiment, views)
    use.add_argument("images", type=_path, help="a folder of images of any size, or one of them")
    use.add_argument("--out", type=_path, default=Path("predictions"), help="(%(default)s)")
    use.add_argument(
        "--model",
        type=_path,
        help="a saved or exported model (.keras, .onnx, .xml); the trained ensemble by default",
    )
    use.add_argument(
        "--engine",
        choices=("keras", "onnx", "openvino"),
        help="what computes the networks (keras, or what --model was exported to before)",
    )
    written = add(commands.export)
    written.add_argument("model", type=_path, metavar="MODEL", help="a saved model (.keras)")
    written.add_argument("--format", choices=("onnx", "openvino", "litert"), default="onnx")
    written.add_argument("--out", type=_path, help="file to write (beside the model)")


def _add_study(parser: argparse.ArgumentParser) -> None:
    plans = "loss, sampling, ensemble, imbalance, split, start, check, or all"
    parser.add_argument("data", nargs="?", metavar="DATA", help="a name or a folder (phantoms)")
    parser.add_argument("--data-dir", help="folder of the named data sets")
    parser.add_argument("--plan", nargs="+", metavar="PLAN", help=f"what to test: {plans} (all)")
    parser.add_argument("--seeds", type=int, help="how many (5)")
    parser.add_argument("--preset", help='network and training ("quick,size=96,epochs=5")')
    parser.add_argument(
        "--steps", type=int, help="of each training (250; kvasir-seg, isic-2018: 600)"
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
    run()
