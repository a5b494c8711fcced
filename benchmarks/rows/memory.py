"""Peak memory of a process that goes once through a training set of many pairs.

Its scripts: python -m benchmarks.rows.memory ours|arrays FOLDER
"""

import json
import shutil
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.drawing import draw_pairs
from benchmarks.measuring import at_most, once, peak_megabytes, ratio

SIZE, DISTINCT, ROUNDS = 64, 20, 1
PAIRS = (1_000, 10_000, 100_000)


def measure(rounds: int, scratch: Path) -> dict:
    for pairs in PAIRS:
        shutil.rmtree(scratch / str(pairs), ignore_errors=True)
        draw_pairs(scratch / str(pairs), (SIZE, SIZE), pairs, 0.0, ".png", DISTINCT)
    cases = [("ours", pairs) for pairs in PAIRS] + [("arrays", pairs) for pairs in PAIRS[:2]]
    megabytes = {f"{way}, {pairs:,} pairs": [] for way, pairs in cases}
    seconds = []
    for _ in range(min(rounds, ROUNDS)):
        for way, pairs in cases:
            script = [sys.executable, "-m", "benchmarks.rows.memory", way]
            found = once([*script, str(scratch / str(pairs))])
            megabytes[f"{way}, {pairs:,} pairs"].append(found["megabytes"])
            if (way, pairs) == cases[len(PAIRS) - 1]:
                seconds.append(found["seconds"])
    least, most = (f"ours, {pairs:,} pairs" for pairs in (PAIRS[0], PAIRS[-1]))
    loading, passing = (median(each) for each in zip(*seconds, strict=True))
    return {
        "row": f"peak memory of a process, training sets of {SIZE}x{SIZE} images",
        "unit": "MB",
        "measured": megabytes,
        "goals": [at_most(f"{most} / {least}", ratio(megabytes, most, least), 1.1)],
        "notes": [
            "Resident memory, TensorFlow included: load_dataset, then one epoch of batches of 8; "
            "arrays: all images and one-hot masks in two arrays, as in the published notebooks, "
            f"not tried with {PAIRS[-1]:,} pairs, which needs more than many machines have. "
            f"The files are links to {DISTINCT} pairs. At 256x256 the arrays would be 16 times as "
            "large, ours only its batches.",
            f"Of {PAIRS[-1]:,} pairs load_dataset takes {loading:.0f} s (it lists and pairs) and "
            f"the epoch {passing:.0f} s.",
        ],
    }


def ours(folder: Path) -> tuple[float, float]:
    """Go once through the batches; return seconds of loading and of the pass."""
    import ensemble_seg as es

    start = time.perf_counter()
    data = es.load_dataset(str(folder))
    preset = es.preset("paper").replace(size=SIZE, epochs=1)
    middle = time.perf_counter()
    for split in (data.train, data.validation, data.test):
        for _ in split.to_tf(preset, training=split is data.train):
            pass
    return middle - start, time.perf_counter() - middle


def arrays(folder: Path) -> tuple[float, float]:
    import tensorflow as tf
    from PIL import Image

    start = time.perf_counter()
    images, masks = (
        np.array([np.asarray(Image.open(file)) for file in sorted((folder / kind).iterdir())])
        for kind in ("images", "masks")
    )
    one_hot = tf.keras.utils.to_categorical(masks > 127, 2)
    assert len(images) == len(one_hot)
    return 0.0, time.perf_counter() - start


if __name__ == "__main__":
    passed = {"ours": ours, "arrays": arrays}[sys.argv[1]](Path(sys.argv[2]))
    print(json.dumps({"megabytes": peak_megabytes(), "seconds": passed}))
