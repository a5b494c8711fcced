"""Scores of masks in memory with intervals, beside scikit-learn in a loop.

Its workers: python -m benchmarks.rows.evaluation ours | loop
"""

import sys
from pathlib import Path

import numpy as np

from benchmarks.drawing import ellipses
from benchmarks.measuring import at_least, compare, ratio, serve
from benchmarks.spending import megabytes, seconds

COUNT, SIDE, RESAMPLES = 10_000, 256, 5000
PART = 5  # the loop goes through every fifth mask, and its time counts five times
OURS, LOOP = "ours", "jaccard_score in a loop"


def measure(rounds: int, scratch: Path) -> dict:
    worker = [sys.executable, "-m", "benchmarks.rows.evaluation"]
    masks, about = compare({OURS: [*worker, "ours"], LOOP: [*worker, "loop"]}, rounds, scratch)
    here, there = (about[name] for name in (OURS, LOOP))
    np.testing.assert_allclose(here["iou"][::PART], there["iou"], rtol=1e-12)
    np.testing.assert_allclose(here["interval"], interval(np.array(here["iou"])), rtol=1e-12)
    mean, low, high = here["interval"]
    return {
        "row": f"evaluation, {COUNT:,} masks of {SIDE}x{SIDE} with intervals",
        "unit": "masks/s",
        "measured": masks,
        "goals": [at_least("ours / loop", ratio(masks, OURS, LOOP), 10)],
        "notes": [
            "uint8 masks in memory. Ours is `Scores.from_masks` and `summary`: four scores of each "
            "image, each with its interval. The loop has the IoU alone, with its interval from "
            f"the same {RESAMPLES:,} resamples; it goes through every fifth mask, and that time "
            "counts five times. Same numbers in both, to 12 digits: the IoU of these masks, and "
            f"the interval of all, mean {mean:.4f} [{low:.4f}, {high:.4f}].",
            f"Of ours, counting the pixels takes {here['counting']:.2f} s, and the intervals of "
            f"the four scores {here['intervals']:.2f} s; the loop's one interval takes "
            f"{there['intervals']:.2f} s.",
            f"Memory of ours above that of the masks: {here['megabytes']:.0f} MB.",
        ],
    }


def masks_in_memory() -> tuple[np.ndarray, np.ndarray]:
    """Return truth, and what a model might make of it: the same ellipses, a few pixels off."""
    truth = ellipses(COUNT, SIDE)
    return truth, np.roll(truth, (3, -4), axis=(1, 2))


def ours(truth: np.ndarray, predicted: np.ndarray):
    from ensemble_seg import Scores

    names = [f"{number:05d}" for number in range(COUNT)]  # in the loop's order when sorted
    scores = Scores.from_masks(truth, predicted, names)
    return scores.per_image["iou"], scores.summary()["iou"]


def loop(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    from sklearn.metrics import jaccard_score

    pairs = zip(truth, predicted, strict=True)
    return np.array([jaccard_score(a.ravel(), b.ravel(), zero_division=1) for a, b in pairs])


def interval(iou: np.ndarray) -> list[float]:
    generator = np.random.default_rng(0)
    means = [iou[generator.integers(COUNT, size=COUNT)].mean() for _ in range(RESAMPLES)]
    return [iou.mean(), *np.percentile(means, [2.5, 97.5])]


def ours_worker(truth: np.ndarray, predicted: np.ndarray) -> None:
    from ensemble_seg import Scores

    iou, found = ours(truth, predicted)
    serve(
        lambda: COUNT / seconds(ours, truth, predicted),
        iou=iou.tolist(),
        interval=found,
        megabytes=megabytes(ours, truth, predicted),
        counting=seconds(Scores.from_masks, truth, predicted),
        intervals=seconds(Scores.from_masks(truth, predicted).summary),
    )


def loop_worker(truth: np.ndarray, predicted: np.ndarray) -> None:
    truth, predicted = truth[::PART], predicted[::PART]
    iou = loop(truth, predicted)
    as_many = np.tile(iou, PART)

    def one_round() -> float:
        return COUNT / (PART * seconds(loop, truth, predicted) + seconds(interval, as_many))

    serve(one_round, iou=iou.tolist(), intervals=seconds(interval, as_many))


if __name__ == "__main__":
    {"ours": ours_worker, "loop": loop_worker}[sys.argv[1]](*masks_in_memory())
