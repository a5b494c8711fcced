"""Lesion boxes of masks in memory, beside a loop over columns and rows as published.

Its workers: python -m benchmarks.rows.sampling ours | loop
"""

import sys
from pathlib import Path

import numpy as np

from benchmarks.drawing import ellipses
from benchmarks.measuring import at_least, compare, ratio, serve
from benchmarks.spending import seconds

COUNT, SIDE = 1000, 512
THRESHOLD, MARGINS = 3, (20, 10)
OURS, LOOP = "ours", "loop as published"


def measure(rounds: int, scratch: Path) -> dict:
    worker = [sys.executable, "-m", "benchmarks.rows.sampling"]
    masks, about = compare({OURS: [*worker, "ours"], LOOP: [*worker, "loop"]}, rounds, scratch)
    if about[OURS]["boxes"] != about[LOOP]["boxes"]:
        raise AssertionError("the loop finds other boxes")
    kept = sum(box is not None for box in about[OURS]["boxes"])
    return {
        "row": f"sampling, {COUNT:,} masks of {SIDE}x{SIDE}",
        "unit": "masks/s",
        "measured": masks,
        "goals": [at_least("ours / loop", ratio(masks, OURS, LOOP), 50)],
        "notes": [
            f"One ellipse a mask, uint8. Both choose by imbalance ratio and box what they keep, "
            f"{kept:,} of {COUNT:,} masks, the same boxes of all. The loop asks `np.any` of each "
            "column and each row and counts values with `np.unique`, as the published notebook "
            "does; it has our half-open boxes and our margins, which may touch all four borders.",
        ],
    }


def ours(masks: np.ndarray) -> list:
    from ensemble_seg import imbalance_ratio, lesion_box

    return [
        lesion_box(mask, MARGINS) if imbalance_ratio(mask) >= THRESHOLD else None for mask in masks
    ]


def loop(masks: np.ndarray) -> list:
    return [_box(mask) for mask in masks]


def _box(mask: np.ndarray) -> tuple[int, int, int, int] | None:
    _, counts = np.unique(mask, return_counts=True)
    if counts[0] / counts[1] < THRESHOLD:
        return None
    left = right = top = bottom = None
    for column in range(mask.shape[1]):
        if np.any(mask[:, column] >= 255):
            left = column if left is None else left
            right = column + 1
    for row in range(mask.shape[0]):
        if np.any(mask[row, :] >= 255):
            top = row if top is None else top
            bottom = row + 1
    left, top = (side - _margin(side) for side in (left, top))
    right += _margin(mask.shape[1] - right)
    bottom += _margin(mask.shape[0] - bottom)
    return top, left, bottom, right


def _margin(room: int) -> int:
    return next((pixels for pixels in MARGINS if pixels <= room), 0)


def worker(name: str) -> None:
    masks, boxes = ellipses(COUNT, SIDE), {"ours": ours, "loop": loop}[name]
    if name == "loop":
        masks *= 255  # as the published code has them

    serve(lambda: COUNT / seconds(boxes, masks), boxes=boxes(masks))


if __name__ == "__main__":
    worker(sys.argv[1])
