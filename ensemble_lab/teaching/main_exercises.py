"""The exercises of notebook 1, main model: what is right, and what misconceptions give."""

import numpy as np

from .exercise import Exercise

EXERCISES: dict[str, Exercise] = {}
EXERCISES["ratio"] = Exercise(
    "Count the background pixels and the lesion pixels of a small mask by eye, then divide.",
    lambda mask: (mask == 0).sum() / mask.sum(),
    {
        "You divided all pixels by the lesion: so the lesion is counted as background too.": (
            lambda mask: mask.size / mask.sum()
        ),
        "Upside down: this is lesion / background. The ratio has to grow as the lesion shrinks.": (
            lambda mask: mask.sum() / (mask == 0).sum()
        ),
        "You divided by all pixels: this is the lesion's share of the image, and background "
        "counts in it too. Divide the background by the lesion.": lambda mask: mask.mean(),
        "You divided by all pixels: this is the share of the background. Divide by the lesion.": (
            lambda mask: (mask == 0).mean()
        ),
    },
    cases=(
        (np.pad(np.ones((1, 2), int), ((1, 2), (1, 2))),),
        (np.pad(np.ones((3, 4), int), ((0, 3), (0, 2))),),
    ),
)


def _terms(y, p, first=0.8, second=1.0) -> np.ndarray:
    return first * np.exp(-y * p) + second * np.exp(-(1 - y) * (1 - p))


EXERCISES["pixel-loss"] = Exercise(
    "Write out both classes for y = (0, 1), p = (0.2, 0.8): four exponentials, then their mean.",
    lambda y, p: _terms(y, p).mean(),
    {
        "You added the two classes up. The formula takes their mean: 1 / C is before the sum.": (
            lambda y, p: _terms(y, p).sum()
        ),
        "The second term is missing: the one in which 1 - y and 1 - p stand.": (
            lambda y, p: _terms(y, p, second=0.0).mean()
        ),
        "The factor 0.8 is missing.": lambda y, p: _terms(y, p, first=1.0).mean(),
        "The 0.8 belongs to the first term alone.": lambda y, p: _terms(y, p, second=0.8).mean(),
        "You took the channel of the true class alone. The other one costs too.": (
            lambda y, p: (y * _terms(y, p)).sum()
        ),
        "This is cross-entropy. Here nothing is a logarithm.": lambda y, p: -np.log((y * p).sum()),
    },
    cases=(
        (np.array([0.0, 1.0]), np.array([0.2, 0.8])),
        (np.array([1.0, 0.0]), np.array([0.1, 0.9])),
    ),
)
EXERCISES["second-softmax"] = Exercise(
    "Softmax of (0, 1): take e to the power of each number, then divide by the sum of both.",
    wrong={
        "That would be so if softmax left probabilities alone. It takes exponentials first, "
        "whatever it is given: the 0 becomes 1, not 0.": lambda: 1.0,
        "Softmax says 0.5 to two equal numbers. These are 0 and 1.": lambda: 0.5,
        "This is what the background gets. The question is about the lesion.": lambda: 0.27,
        "You gave softmax -1 and 1. The network's sure answer is 0 and 1.": lambda: 0.88,
    },
    seal="31900e81881b8019",
)
EXERCISES["slope"] = Exercise(
    "Differentiate piece by piece: a constant vanishes, a factor stays, exp(-p) becomes -exp(-p).",
    lambda p: -0.9 * np.exp(-p),
    {
        "The sign is lost: the loss falls as p grows, so its slope is negative.": (
            lambda p: 0.9 * np.exp(-p)
        ),
        "The factor 0.9 is lost. A factor stays when you differentiate.": lambda p: -np.exp(-p),
        "The 1 in the brackets is a constant: it vanishes when you differentiate.": (
            lambda p: -0.9 * (1 + np.exp(-p))
        ),
        "This is the loss itself, not its slope.": lambda p: 0.9 * (1 + np.exp(-p)),
        "exp(-p) is no power of p: nothing comes down in front of it.": (
            lambda p: -0.9 * p * np.exp(-p)
        ),
        "This is the slope for the logit: p (1 - p) is the slope of the softmax. Asked is the "
        "one for p.": lambda p: -0.9 * np.exp(-p) * p * (1 - p),
    },
    cases=((0.1,), (0.7,)),
)


def _dices(counts, above=2, below=2, negatives=0) -> tuple[float, float]:
    """Return the mean over images and the pooled ratio; true negatives where they are let in."""

    def ratio(tp, fp, fn, tn):
        right = negatives * tn
        return (above * tp + right) / np.maximum(below * tp + fp + fn + right, 1)

    return ratio(*counts.T).mean(), ratio(*counts.sum(axis=0))


EXERCISES["two-dices"] = Exercise(
    "Dice is 2 tp / (2 tp + fp + fn): once for each image, then the mean; once of the three sums.",
    _dices,
    {
        "The two are the wrong way round: pooled is the one of the sums.": (
            lambda counts: _dices(counts)[::-1]
        ),
        "This is IoU. Dice counts the overlap twice, above and below the line.": (
            lambda counts: _dices(counts, 1, 1)
        ),
        "The overlap counts twice above the line as well as below it.": (
            lambda counts: _dices(counts, 1, 2)
        ),
        "You left the true negatives in: this is accuracy, and background is easy.": (
            lambda counts: _dices(counts, 1, 1, 1)
        ),
    },
)
