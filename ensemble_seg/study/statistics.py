"""Paired differences with seeds as the unit, and the verdict on a claim.

A seed moves the split, the initial weights, the order and the augmentation together, and is shared
by both arms of a comparison. The training parts of two seeds overlap, so their differences are not
independent, and the usual interval is too narrow: it is corrected here as Nadeau and Bengio did.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize, stats

from ..common.errors import invalid

MATTERS = 0.01  # Dice, set before any run
LEVEL, POWER = 0.95, 0.8
FEWEST_SEEDS = 3
VERDICTS = SUPPORTED, REFUTED, TOO_SMALL, UNDECIDED = (
    "supported",
    "refuted",
    "too small to matter",
    "undecided",
)


class Difference(NamedTuple):
    """Mean over seeds of arm - control, and what it can and cannot show.

    Attributes:
        mean, low, high: with the corrected 95 % interval, which covers seeds and the choice of
            training and test cases among those of the data set.
        error: corrected standard error of the mean.
        visible: the smallest true difference that would have been found in 80 % of such studies.
        seeds: number of seeds.
    """

    mean: float
    low: float
    high: float
    error: float
    visible: float
    seeds: int

    def __str__(self) -> str:
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def paired(arm: Sequence[float], control: Sequence[float], ratio: float) -> Difference:
    """Compare two arms seed by seed.

    The variance of the mean of J differences is taken as (1 / J + ratio) times their variance
    instead of 1 / J (Nadeau and Bengio, Machine Learning 52, 2003).

    Args:
        arm, control: (J,) one score a seed, of the same seeds in the same order.
        ratio: test cases / training cases of one seed.

    Raises:
        ValueError: not as many scores of both, fewer than two, or a ratio that is negative.

    Example:
        >>> found = paired([0.83, 0.85, 0.84], [0.80, 0.81, 0.82], ratio=0.25)
        >>> print(found)
        +0.030 [-0.003, +0.063]
    """
    arm, control = np.asarray(arm, "float64"), np.asarray(control, "float64")
    if arm.shape != control.shape or arm.ndim != 1 or len(arm) < 2:
        expected = "as many scores as `control`, one for each of at least two seeds"
        raise invalid("arm", expected, found=f"shapes {arm.shape} and {control.shape}")
    if not 0 <= ratio < np.inf:
        raise invalid("ratio", "test cases / training cases, at least 0", ratio)
    differences = arm - control
    seeds, mean = len(differences), float(differences.mean())
    error = float(np.sqrt((1 / seeds + ratio) * differences.var(ddof=1)))
    reach = float(stats.t.ppf((1 + LEVEL) / 2, seeds - 1)) * error
    return Difference(mean, mean - reach, mean + reach, error, visible(error, seeds), seeds)


def visible(error: float, seeds: int) -> float:
    """Return the smallest true difference that a two-sided test at 5 % finds with power 80 %.

    Args:
        error: corrected standard error of the mean difference.
        seeds: number of seeds, at least 2.

    Example:
        >>> round(visible(0.01, 10), 4)
        0.0315
    """
    freedom = seeds - 1
    limit = stats.t.ppf((1 + LEVEL) / 2, freedom)

    def lacking(shift: float) -> float:
        return stats.nct.sf(limit, freedom, shift) - POWER

    return float(optimize.brentq(lacking, limit / 2, 2 * limit)) * error


def p_different(difference: Difference) -> float:
    """Two-sided p of no difference; 1 where the arms never differ."""
    if difference.error == 0:
        return float(difference.mean == 0)
    return float(2 * stats.t.sf(abs(difference.mean) / difference.error, difference.seeds - 1))


def p_gain_matters(difference: Difference, matters: float = MATTERS) -> float:
    """Two-sided p of a gain of `matters`, where the difference lies below it; else 1."""
    below = matters - difference.mean
    if below <= 0:
        return 1.0
    if difference.error == 0:
        return 0.0
    return float(2 * stats.t.sf(below / difference.error, difference.seeds - 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted for their number, by Holm's step-down procedure.

    Example:
        >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    p_values = np.asarray(p_values, "float64")
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    stepped = np.minimum(np.maximum.accumulate(factors * p_values[order]), 1.0)
    adjusted = np.empty_like(p_values)
    adjusted[order] = stepped
    return adjusted.tolist()


def verdicts(differences: Sequence[Difference], matters: float = MATTERS) -> list[str]:
    """Return the verdict on each claim "the arm is better than its control", of one family.

    In this order, with p values adjusted by Holm over the family:

    * undecided: fewer than 3 seeds.
    * too small to matter: the whole interval lies within +- `matters`.
    * supported: the arm is better (p < 0.05) and its mean gain is at least `matters`.
    * refuted: a gain of `matters` is ruled out (p < 0.05).
    * undecided: anything else.

    Example:
        >>> verdicts([paired([0.9, 0.91, 0.92, 0.93], [0.8, 0.81, 0.82, 0.829], 0.25)])
        ['supported']
    """
    better = holm([p_different(each) for each in differences])
    ruled_out = holm([p_gain_matters(each, matters) for each in differences])
    return [
        _verdict(each, *ps, matters)
        for each, *ps in zip(differences, better, ruled_out, strict=True)
    ]


def _verdict(difference: Difference, better: float, ruled_out: float, matters: float) -> str:
    if difference.seeds < FEWEST_SEEDS:
        return UNDECIDED
    if -matters < difference.low and difference.high < matters:
        return TOO_SMALL
    if difference.mean >= matters and better < 1 - LEVEL:
        return SUPPORTED
    return REFUTED if ruled_out < 1 - LEVEL else UNDECIDED


def probability_of_false_claim(better: np.ndarray, worse: np.ndarray) -> float:
    """Return the probability that a claimed order of two models is false, given their cases.

    That of Christodoulou et al. 2025 (arXiv 2505.04720): Student's t of N - 1 degrees at
    sqrt(N) (mB - mA) / sqrt(sA^2 + sB^2 - 2 r sA sB), A being said to be the better one. It covers
    the chance of the cases alone, not that of another training.

    Args:
        better, worse: (N,) scores of the same cases.

    Raises:
        ValueError: shapes that differ, or fewer than two cases.

    Example:
        >>> round(probability_of_false_claim([0.8, 0.9, 0.7], [0.7, 0.6, 0.8]), 3)
        0.239
    """
    better, worse = np.asarray(better, "float64"), np.asarray(worse, "float64")
    if better.shape != worse.shape or better.ndim != 1 or len(better) < 2:
        raise invalid(
            "better", "scores of the same cases as `worse`, two or more",
            found=f"shapes {better.shape} and {worse.shape}",
        )  # fmt: skip
    covariance = np.cov(better, worse)
    spread = float(np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0)))
    gap = float(worse.mean() - better.mean())
    if spread < 1e-12:
        return 0.5 if gap == 0 else float(gap > 0)
    return float(stats.t.cdf(np.sqrt(len(better)) * gap / spread, len(better) - 1))
