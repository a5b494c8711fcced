"""Files to batches: the first pass and a pass with the cache, beside a loop as published.

Its workers: python -m benchmarks.rows.files loop | arrays | decode | first | cached FOLDER
"""

import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.drawing import draw_pairs
from benchmarks.measuring import at_least, compare, ratio, serve
from benchmarks.spending import seconds

SIZE, BATCH = 256, 8
SMALL, LARGE = (352, 352), (4000, 6000)
KINDS = {  # size, pairs, camera noise, ending of masks, files that are drawn, goal
    "352x352 JPEG, 1,000 pairs": (SMALL, 1000, 3.0, ".jpg", 100, 2),
    "352x352 JPEG, 10,000 pairs": (SMALL, 10_000, 3.0, ".jpg", 100, 2),
    "6000x4000 JPEG, smooth": (LARGE, 64, 0.0, ".jpg", 3, 8),
    "6000x4000 JPEG, camera noise": (LARGE, 64, 4.0, ".jpg", 3, 8),
    "6000x4000 JPEG, camera noise, PNG masks": (LARGE, 64, 4.0, ".png", 3, 8),
}
FIRST, CACHED = "ours, first pass", "ours, with the cache"
LOOP, ARRAYS = "OpenCV loop, to batches", "OpenCV loop, to uint8 arrays"
DECODING = "decoding alone, on all cores"
MODES = {FIRST: "first", CACHED: "cached", LOOP: "loop", ARRAYS: "arrays", DECODING: "decode"}


def measure(rounds: int, scratch: Path) -> list[dict]:
    return [row(kind, rounds, scratch / str(number)) for number, kind in enumerate(KINDS)]


def row(kind: str, rounds: int, scratch: Path) -> dict:
    size, pairs, noise, ending, distinct, goal = KINDS[kind]
    shutil.rmtree(scratch, ignore_errors=True)
    mean_bytes = draw_pairs(scratch / "pairs", size, pairs, noise, ending, distinct)
    worker = [sys.executable, "-m", "benchmarks.rows.files"]
    commands = {name: [*worker, mode, str(scratch / "pairs")] for name, mode in MODES.items()}
    images, _ = compare(commands, rounds, scratch)
    shutil.rmtree(scratch)
    return {
        "row": f"files to batches of {SIZE}x{SIZE}, {kind}",
        "unit": "images/s",
        "measured": images,
        "goals": [
            at_least(f"{name} / loop", ratio(images, name, LOOP), goal) for name in (FIRST, CACHED)
        ],
        "notes": [
            f"{pairs:,} pairs, {mean_bytes / 1e6:.2f} MB an image, in the page cache. The loop "
            "reads with OpenCV in one thread, resizes to the nearest pixel, keeps all in two "
            "arrays, cuts the masks' grey values in two, and gives float32 images and one-hot "
            "masks batch by batch; ours gives the same, anti-aliased. With the cache: each epoch "
            "after the first. Ours / loop that ends in its uint8 arrays: "
            f"{ratio(images, FIRST, ARRAYS):.2f}x, {ratio(images, CACHED, ARRAYS):.2f}x.",
            "Decoding alone is Pillow's, JPEG files at the smallest size that the network can "
            "use: what any first pass over these files has to do. It is "
            f"{ratio(images, DECODING, LOOP):.2f}x the loop, and ours reaches "
            f"{ratio(images, FIRST, DECODING):.0%} of it.",
        ],
    }


def arrays(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read and resize as the published notebooks do."""
    import cv2

    images, masks = [], []
    for path in sorted((folder / "images").iterdir()):
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        images.append(cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST))
    for path in sorted((folder / "masks").iterdir()):
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        masks.append(cv2.resize(mask, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST))
    return np.array(images), np.array(masks)


def loop(folder: Path) -> None:
    """Go through all batches that a training takes from those arrays."""
    import keras

    images, masks = arrays(folder)
    for start in range(0, len(images), BATCH):
        part = slice(start, start + BATCH)
        images[part].astype("float32"), keras.utils.to_categorical(masks[part] > 127, 2)


def decode(folder: Path) -> None:
    """Decode all files and do nothing with them."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for _ in threads.map(pixels, sorted(folder.glob("*/*"))):
            pass


def pixels(path: Path) -> None:
    from PIL import Image

    with Image.open(path) as picture:
        picture.draft(picture.mode, (SIZE, SIZE))  # JPEG only: 1/2, 1/4 or 1/8, not below SIZE
        picture.load()


def stream(folder: Path) -> None:
    """Go through all batches of an epoch."""
    import ensemble_seg as es
    from ensemble_seg.datasets import Split, all_pairs

    split = Split(all_pairs(folder), "train", folder)
    preset = es.preset("paper").replace(epochs=1, batch_size=BATCH)
    for _ in split.to_tf(preset, training=True):
        pass


def worker(mode: str, folder: Path) -> None:
    if mode == "cached":
        os.environ["ENSEMBLE_SEG_CACHE_DIR"] = str(folder.parent / "cache")
    one_pass = {"loop": loop, "arrays": arrays, "decode": decode}.get(mode, stream)
    one_pass(folder)
    pairs = len(list((folder / "images").iterdir()))
    serve(lambda: pairs / seconds(one_pass, folder))


if __name__ == "__main__":
    worker(sys.argv[1], Path(sys.argv[2]))
