"""Files to batches: the first pass and a pass with the cache, beside readers a user would write.

Its workers: python -m benchmarks.rows.files loop | tf | decode | first | cached FOLDER
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
KINDS = {  # size, pairs, camera noise, files that are drawn, goal
    "352x352 JPEG, 1,000 pairs": (SMALL, 1000, 3.0, 100, 2),
    "6000x4000 JPEG, smooth": (LARGE, 32, 0.0, 3, 8),
    "6000x4000 JPEG, camera noise": (LARGE, 32, 4.0, 3, 8),
}
FIRST, CACHED = "ours, first pass", "ours, with the cache"
LOOP, TF = "loop with OpenCV", "tf.data with tf.io and tf.image"
DECODING = "decoding alone, on all cores"
MODES = {FIRST: "first", CACHED: "cached", LOOP: "loop", TF: "tf", DECODING: "decode"}


def measure(rounds: int, scratch: Path) -> list[dict]:
    return [row(kind, rounds, scratch / str(number)) for number, kind in enumerate(KINDS)]


def row(kind: str, rounds: int, scratch: Path) -> dict:
    size, pairs, noise, distinct, goal = KINDS[kind]
    shutil.rmtree(scratch, ignore_errors=True)
    mean_bytes = draw_pairs(scratch / "pairs", size, pairs, noise, ".jpg", distinct)
    worker = [sys.executable, "-m", "benchmarks.rows.files"]
    commands = {name: [*worker, mode, str(scratch / "pairs")] for name, mode in MODES.items()}
    images, _ = compare(commands, rounds, scratch)
    shutil.rmtree(scratch)
    return {
        "row": f"files to batches of {SIZE}x{SIZE}, {kind}",
        "unit": "images/s",
        "measured": images,
        "goals": [
            at_least(f"{name} / {other}", ratio(images, name, other), goal)
            for name in (FIRST, CACHED)
            for other in (LOOP, TF)
        ],
        "notes": [
            f"{pairs:,} pairs, {mean_bytes / 1e6:.2f} MB an image, in the page cache. All give the "
            "same: images that are resized with anti-aliasing, float32, and one-hot masks, batch "
            "by batch. The loop reads with OpenCV in one thread, resizes images by area and "
            "keeps all in two arrays first, as the published notebooks do; tf.data decodes, "
            "resizes and prepares batches in threads of its own. With the cache: each epoch after "
            "the first.",
            "Decoding alone is Pillow's, JPEG files at the smallest size that the network can "
            "use: what any first pass over these files has to do. It is "
            f"{ratio(images, DECODING, LOOP):.2f}x the loop, and ours reaches "
            f"{ratio(images, FIRST, DECODING):.0%} of it.",
        ],
    }


def loop(folder: Path) -> None:
    """Read all files one by one, then go through the batches that a training takes of them."""
    import cv2
    import keras

    images, masks = [], []
    for path in sorted((folder / "images").iterdir()):
        image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        images.append(cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA))
    for path in sorted((folder / "masks").iterdir()):
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        masks.append(cv2.resize(mask, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST))
    images, masks = np.array(images), np.array(masks)
    for start in range(0, len(images), BATCH):
        part = slice(start, start + BATCH)
        images[part].astype("float32"), keras.utils.to_categorical(masks[part] > 127, 2)


def tf_reader(folder: Path) -> None:
    """Go through the batches of a tf.data.Dataset as TensorFlow's guides build one."""
    import tensorflow as tf

    def read(image, mask):
        image = tf.io.decode_jpeg(tf.io.read_file(image), 3)
        mask = tf.io.decode_jpeg(tf.io.read_file(mask), 1)
        mask = tf.image.resize(mask, (SIZE, SIZE), "nearest")[..., 0]
        return (
            tf.image.resize(image, (SIZE, SIZE), antialias=True),
            tf.one_hot(tf.cast(mask > 127, "int32"), 2),
        )

    files = [sorted(map(str, (folder / kind).iterdir())) for kind in ("images", "masks")]
    pairs = tf.data.Dataset.from_tensor_slices(tuple(files))
    for _ in pairs.map(read, tf.data.AUTOTUNE).batch(BATCH).prefetch(tf.data.AUTOTUNE):
        pass


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
    one_pass = {"loop": loop, "tf": tf_reader, "decode": decode}.get(mode, stream)
    one_pass(folder)
    pairs = len(list((folder / "images").iterdir()))
    serve(lambda: pairs / seconds(one_pass, folder))


if __name__ == "__main__":
    worker(sys.argv[1], Path(sys.argv[2]))
