"""A 4000 x 3000 JPEG to its mask, beside decoding and resizing it.

Its workers: python -m benchmarks.rows.predict_large plain | image | files | large FOLDER
"""

import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.drawing import draw_pairs
from benchmarks.measuring import at_most, compare, serve
from benchmarks.spending import megabytes, seconds

HEIGHT, WIDTH = 3000, 4000
PLAIN, IMAGE, FILES, LARGE = (
    "decode + resize alone",
    "ours, mask in memory",
    "ours, three PNG files written",
    "ours, two ResNet-101 at 256x256, mask in memory",
)
MODES = {PLAIN: "plain", IMAGE: "image", FILES: "files", LARGE: "large"}


def measure(rounds: int, scratch: Path) -> dict:
    folder = scratch / "pairs"
    if not folder.is_dir():
        draw_pairs(folder, (HEIGHT, WIDTH), 1, 4.0, ".png", distinct=1)
    worker = [sys.executable, "-m", "benchmarks.rows.predict_large"]
    commands = {name: [*worker, mode, str(folder)] for name, mode in MODES.items()}
    times, about = compare(commands, rounds, scratch)
    beside = {
        name: statistics.median(times[name]) - statistics.median(times[PLAIN])
        for name in (IMAGE, FILES, LARGE)
    }
    return {
        "row": f"predict a {WIDTH}x{HEIGHT} JPEG, ensemble of two quick networks",
        "unit": "s",
        "measured": times,
        "goals": [at_most(f"{name}, beside", beside[name], 1.5, " s") for name in (IMAGE, FILES)],
        "notes": [
            "From the file to `predict_image`: probability, mask and disagreement at the image's "
            "own size; or to `predict_folder`, which draws and writes masks, overlays and "
            f"disagreement. Beside it, two ResNet-101 take {beside[LARGE]:.2f} s.",
            "Memory in use at most, above that before the first image: "
            + ", ".join(f"{name} {about[name]['megabytes']:.0f} MB" for name in MODES)
            + f". The image itself has {HEIGHT * WIDTH * 3 / 1e6:.0f} MB, what is returned "
            f"{HEIGHT * WIDTH * 9 / 1e6:.0f} MB.",
        ],
    }


def task(mode: str, folder: Path) -> Callable[[], object]:
    """Return what is measured, with its networks built."""
    (file,) = (folder / "images").iterdir()
    if mode == "plain":
        return lambda: decode_and_resize(file, size=128)
    import ensemble_seg as es

    preset = (
        es.preset("paper").replace(encoder_weights=None) if mode == "large" else es.preset("quick")
    )
    model = es.build_ensemble([es.unet(preset.replace(seed=seed)) for seed in (0, 1)])
    model(np.zeros((1, *model.input_shape[1:]), "float32"))
    if mode == "files":
        return lambda: es.predict_folder(model, folder / "images", folder.with_name("predictions"))
    return lambda: es.predict_image(model, es.read_image(file))


def decode_and_resize(file: Path, size: int) -> np.ndarray:
    from PIL import Image

    with Image.open(file) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    small = Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(small)


def worker(mode: str, folder: Path) -> None:
    predict = task(mode, folder)
    serve(lambda: seconds(predict), megabytes=megabytes(predict))


if __name__ == "__main__":
    worker(sys.argv[1], Path(sys.argv[2]))
