"""Files to batches: images a second and peak memory, beside a loop as in the published notebooks.

The loop reads with OpenCV, resizes to the nearest pixel and keeps everything in a list. Each
measurement runs in a process of its own, both kinds in alternation.

    python benchmarks/files_to_batches.py [--repeats 3] [--out benchmarks/files_to_batches.json]
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SIZE, BATCH = 256, 8
KINDS = {
    "352 x 352, JPEG masks, 1,000 pairs": (352, 352, 1000, 3.0, ".jpg"),
    "352 x 352, JPEG masks, 10,000 pairs": (352, 352, 10_000, 3.0, ".jpg"),
    "6000 x 4000 smooth, JPEG masks, 30 pairs": (4000, 6000, 30, 0.0, ".jpg"),
    "6000 x 4000 with camera noise, JPEG masks, 30 pairs": (4000, 6000, 30, 4.0, ".jpg"),
    "6000 x 4000 with camera noise, PNG masks, 30 pairs": (4000, 6000, 30, 4.0, ".png"),
}
DISTINCT = {352: 100, 4000: 3}


def draw(folder: Path, height: int, width: int, pairs: int, noise: float, ending: str) -> int:
    """Write phantoms at another size, then links to them; return the mean bytes of an image."""
    from PIL import Image

    from ensemble_seg import draw_phantom

    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    distinct = DISTINCT[height]
    for number in range(pairs):
        image, mask = (folder / kind / f"{number:05d}" for kind in ("images", "masks"))
        image, mask = image.with_suffix(".jpg"), mask.with_suffix(ending)
        if number >= distinct:
            image.symlink_to(folder / "images" / f"{number % distinct:05d}.jpg")
            mask.symlink_to(folder / "masks" / f"{number % distinct:05d}{ending}")
            continue
        rng = np.random.default_rng(number)
        small, small_mask = draw_phantom(rng)[:2]
        large = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
        pixels = np.asarray(large) + rng.normal(0, noise, (height, width, 1)).astype("float32")
        Image.fromarray(pixels.clip(0, 255).astype("uint8")).save(image, quality=90)
        nearest = Image.fromarray(small_mask * np.uint8(255))
        nearest.resize((width, height), Image.Resampling.NEAREST).save(mask, quality=90)
    sizes = [file.stat().st_size for file in sorted((folder / "images").iterdir())[:distinct]]
    return int(np.mean(sizes))


def loop(folder: Path) -> int:
    import cv2

    images, masks = [], []
    for path in sorted((folder / "images").iterdir()):
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        images.append(cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST))
    for path in sorted((folder / "masks").iterdir()):
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        masks.append(cv2.resize(mask, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST))
    return len(np.array(images)) + 0 * len(np.array(masks))


def stream(folder: Path) -> int:
    import ensemble_seg as es
    from ensemble_seg.datasets import Split, all_pairs

    split = Split(all_pairs(folder), "train", folder)
    preset = es.preset("paper").replace(epochs=1, batch_size=BATCH)
    batches, count = split.to_tf(preset, training=True), 0
    for images, _ in batches:
        count += len(images)
    return count


def cached(folder: Path) -> int:
    os.environ["ENSEMBLE_SEG_CACHE_DIR"] = str(folder / "cache")
    return stream(folder)


WAYS = {"loop": loop, "stream": stream, "cached": cached}


def measure(way: str, folder: Path) -> dict:
    """Run one way in this process: seconds, images, and growth of peak memory in MB."""
    if way == "loop":
        import cv2  # noqa: F401
    else:
        import tensorflow  # noqa: F401

        import ensemble_seg  # noqa: F401

        stream_warm(folder)
    before = peak()
    start = time.perf_counter()
    images = WAYS[way](folder)
    return {"seconds": time.perf_counter() - start, "images": images, "memory": peak() - before}


def stream_warm(folder: Path) -> None:
    """Start TensorFlow, which a loop over files need not."""
    import tensorflow as tf

    for _ in tf.data.Dataset.range(3).map(lambda x: x + 1).prefetch(1):
        pass


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_process(way: str, folder: Path) -> dict:
    command = [sys.executable, __file__, "--measure", way, "--folder", str(folder)]
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    return json.loads(done.stdout.splitlines()[-1])


def compare(repeats: int) -> list[dict]:
    rows = []
    for name, shape in KINDS.items():
        with tempfile.TemporaryDirectory() as folder:
            size = draw(Path(folder) / "data", *shape)
            runs = {way: [] for way in WAYS}
            in_process("cached", Path(folder) / "data")
            for _ in range(repeats):
                for way in WAYS:
                    runs[way].append(in_process(way, Path(folder) / "data"))
        row = {"row": name, "bytes": size}
        for way, results in runs.items():
            rates = [result["images"] / result["seconds"] for result in results]
            row[way] = {
                "images_per_second": statistics.median(rates),
                "lowest": min(rates),
                "highest": max(rates),
                "peak_mb": statistics.median(result["memory"] for result in results),
            }
        rows.append(row)
        print(line(row), flush=True)
    return rows


def line(row: dict) -> str:
    parts = [f"{row['row']} ({row['bytes'] / 1e6:.2f} MB each)"]
    base = row["loop"]["images_per_second"]
    for way in WAYS:
        found = row[way]
        parts.append(
            f"{way} {found['images_per_second']:.1f}/s [{found['lowest']:.1f}, "
            f"{found['highest']:.1f}] = {found['images_per_second'] / base:.1f}x, "
            f"+{found['peak_mb']:.0f} MB"
        )
    return "; ".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--measure", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.folder)))
        return
    rows = compare(options.repeats)
    if options.out:
        options.out.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
