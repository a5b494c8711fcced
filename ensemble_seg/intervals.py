"""Intervals of means: a percentile bootstrap over groups."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

RESAMPLES = 5000
BLOCK = 100_000  # groups drawn at once, at least: memory does not grow with the resamples


class Interval(NamedTuple):
    """A mean with the ends of its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap_mean(
    values: np.ndarray, groups: Sequence[str], seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Mean of values with a 95 % percentile bootstrap interval over groups.

    Example:
        >>> bootstrap_mean(np.array([1.0, 1.0, 1.0]), ["a", "a", "b"])
        Interval(mean=1.0, low=1.0, high=1.0)
    """
    return bootstrap_means(np.reshape(values, (-1, 1)), groups, seed, resamples)[0]


def bootstrap_means(
    values: np.ndarray, groups: Sequence[str], seed: int = 0, resamples: int = RESAMPLES
) -> list[Interval]:
    """Do the same for the columns of `values` (N, K), all from the same resamples.

    Example:
        >>> bootstrap_means(np.array([[0.0, 1.0], [0.0, 1.0]]), ["a", "b"])[1]
        Interval(mean=1.0, low=1.0, high=1.0)
    """
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    sums = [np.bincount(member, column) for column in np.transpose(values)]
    table = np.column_stack([*sums, np.bincount(member)])
    number = len(table)
    totals = np.concatenate(
        [draws.astype("float64") @ table for draws in _resamples(number, resamples, seed)]
    )
    lows, highs = np.percentile(totals[:, :-1] / totals[:, -1:], [2.5, 97.5], axis=0)
    return [
        Interval(*map(float, ends))
        for ends in zip(np.mean(values, axis=0), lows, highs, strict=True)
    ]


def _resamples(number: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each resample has each of `number` groups, (rows, number), a block at a time."""
    generator = np.random.default_rng(seed)
    rows = max(1, BLOCK // number)
    for start in range(0, resamples, rows):
        drawn = generator.integers(number, size=(min(rows, resamples - start), number))
        drawn += number * np.arange(len(drawn))[:, None]
        yield np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
