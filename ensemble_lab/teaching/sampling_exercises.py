"""The exercises of notebook 2, sampling model: what is right, and what misconceptions give."""

from collections.abc import Callable

import numpy as np

from .exercise import Exercise

EXERCISES: dict[str, Exercise] = {}


def _ends(mask) -> tuple[int, int, int, int]:
    """Return first row, first column, last row and last column with a lesion pixel."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return rows[0], columns[0], rows[-1], columns[-1]


def _box(mask) -> np.ndarray:
    return np.add(_ends(mask), (0, 0, 1, 1))


EXERCISES["box"] = Exercise(
    "Rows with a lesion pixel give top and bottom, columns give left and right.",
    _box,
    {
        "Your box ends at the last lesion pixel, and a slice leaves that one out: mask[top:bottom] "
        "loses a row. It has to end one past the last.": _ends,
        "You put columns before rows: the order is top, left, bottom, right. Which axis is "
        "the height?": lambda mask: _box(mask)[[1, 0, 3, 2]],
        "The last two are height and width. Asked is where the box ends.": (
            lambda mask: _box(mask) - (0, 0, *_ends(mask)[:2])
        ),
        "You moved the first edges too. A slice begins with its first index.": (
            lambda mask: np.add(_ends(mask), 1)
        ),
    },
    cases=(
        (np.pad(np.ones((3, 5), int), ((2, 3), (4, 3))),),
        (np.pad(np.ones((4, 1), int), ((0, 6), (6, 2))),),
    ),
)
EXERCISES["box-start"] = Exercise(
    "Try 20, then 10, then 0: the first margin that stays inside the image is taken.",
    wrong={
        "As much margin as there is room for would be natural. This ladder has three rungs only: "
        "20, 10, 0.": lambda: 0.0,
        "With 20 the box would begin outside the image. The next rung is tried.": lambda: -5.0,
        "No margin is the last resort. A smaller one still fits.": lambda: 15.0,
        "This is the margin. In which row does the box begin?": lambda: 10.0,
    },
    seal="3502d7cc9616de6f",
)


def _middle(masks) -> float:
    return masks[:, masks.shape[1] // 2, masks.shape[2] // 2].mean()


EXERCISES["centre"] = Exercise(
    "Take the one pixel [middle, middle] of every mask, then the mean of what you have.",
    lambda crops, whole: _middle(crops),
    {
        "You took all pixels: this is how much of the crops is lesion. Take one pixel of each.": (
            lambda crops, whole: crops.mean()
        ),
        "These are the whole images. Asked are the crops.": lambda crops, whole: _middle(whole),
        "You took one crop. Asked is the share of all.": lambda crops, whole: _middle(crops[:1]),
    },
)


def _paired(first, second, factor=1.96) -> tuple[float, float]:
    difference = first - second
    return difference.mean(), factor * difference.std() / np.sqrt(len(first))


def _unpaired(first, second) -> tuple[float, float]:
    width = 1.96 * np.sqrt((np.var(first) + np.var(second)) / len(first))
    return np.mean(first - second), width


EXERCISES["paired"] = Exercise(
    "First one difference for each image; then mean, and 1.96 times their deviation / sqrt(n).",
    _paired,
    {
        "The wrong way round: asked is sampling - main.": (
            lambda first, second: _paired(second, first)
        ),
        "This is the width for two models tested on different images. Theirs are the same: subtract"
        " image by image first, and what makes an image hard for both falls out.": _unpaired,
        "This is how far single images scatter. The mean of n images is known sqrt(n) times "
        "better.": lambda first, second: _paired(first, second, 1.96 * np.sqrt(len(first))),
        "This is one standard error. 95 % takes 1.96 of them.": (
            lambda first, second: _paired(first, second, 1)
        ),
    },
    tolerance=0.06,  # so that both ways to estimate a deviation do
)


def _kept(threshold: float) -> Callable:
    def kept(masks) -> tuple[float, int]:
        ratios = np.array([(mask == 0).sum() / mask.sum() for mask in masks])
        return threshold, (ratios >= threshold).sum()

    return kept


EXERCISES["threshold"] = Exercise(
    "A lesion of 40 % leaves 60 % background: which ratio is that? Keep what lies at or above it.",
    _kept(1.5),
    {
        "0.4 is the lesion's share of the image. The threshold is a ratio, background / lesion.": (
            _kept(0.4)
        ),
        "1 / 0.4 is all pixels / lesion. The lesion itself is no background.": _kept(2.5),
        "Upside down: 0.4 / 0.6 is lesion / background.": _kept(0.4 / 0.6),
        "This is the published threshold: it keeps lesions of at most 25 %.": _kept(3.0),
        "The threshold is right, but you counted what is dropped. Small lesions have a large "
        "ratio.": lambda masks: (1.5, len(masks) - _kept(1.5)(masks)[1]),
    },
)
