"""Paired differences with seeds as the unit, and the verdict on a claim.

A seed moves the split, the initial weights, the order and the augmentation together, and is shared
by both arms of a comparison. The training parts of two seeds overlap, so their differences are not
independent, and the usual interval is too narrow: it is corrected here as Nadeau and Bengio did.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize, stats

from ensemble_seg.presets import invalid

MATTERS = 0.01  # Dice, set before any run
LEVEL, POWER = 0.95, 0.8
FEWEST_SEEDS = 3
SUPPORTED, REFUTED = "supported", "refuted"
TOO_SMALL, UNDECIDED = "too small to matter", "undecided"


class Difference(NamedTuple):
    """Mean over seeds of arm - control, and what it can and cannot show."""

    mean: float
    low: float  # the corrected 95 % interval covers seeds and the choice of cases
    high: float
    error: float  # corrected standard error of the mean
    visible: float  # smallest true difference that is found in 80 % of such studies
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

    Example:
        >>> print(paired([0.83, 0.85, 0.84], [0.80, 0.81, 0.82], ratio=0.25))
        +0.030 [-0.003, +0.063]
    """
    arm, control = _alike("arm", arm, control)
    if not 0 <= ratio < np.inf:
        raise invalid("ratio", "test cases / training cases, at least 0", ratio)
    differences = arm - control
    seeds, mean = len(differences), float(differences.mean())
    error = float(np.sqrt((1 / seeds + ratio) * differences.var(ddof=1)))
    reach = float(stats.t.ppf((1 + LEVEL) / 2, seeds - 1)) * error
    return Difference(mean, mean - reach, mean + reach, error, visible(error, seeds), seeds)


def visible(error: float, seeds: int) -> float:
    """Return the smallest true difference that a two-sided test at 5 % finds with power 80 %."""
    limit = stats.t.ppf((1 + LEVEL) / 2, seeds - 1)

    def lacking(shift: float) -> float:
        return stats.nct.sf(limit, seeds - 1, shift) - POWER

    return float(optimize.brentq(lacking, limit / 2, 2 * limit)) * error


def p_value(distance: float, difference: Difference) -> float:
    """Two-sided p of a true value at a distance from the mean difference; 1 for none."""
    if distance <= 0:
        return 1.0
    if difference.error == 0:
        return 0.0
    return float(2 * stats.t.sf(distance / difference.error, difference.seeds - 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values for their number, by Holm's step-down procedure."""
    p_values = np.asarray(p_values, "float64")
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p_values[order]), 1.0)
    return adjusted.tolist()


def verdicts(differences: Sequence[Difference]) -> list[str]:
    """Return the verdict on each claim "the arm is better than its control", of one family.

    In this order, with p values adjusted by Holm over the family:

    * undecided: fewer than 3 seeds.
    * too small to matter: the whole interval lies within +- `MATTERS`.
    * supported: the arm is better (p < 0.05) and its mean gain is at least `MATTERS`.
    * refuted: a gain of `MATTERS` is ruled out (p < 0.05).
    * undecided: anything else.
    """
    better = holm([p_value(abs(each.mean), each) for each in differences])
    ruled_out = holm([p_value(MATTERS - each.mean, each) for each in differences])
    return [_verdict(*each) for each in zip(differences, better, ruled_out, strict=True)]


def probability_of_false_claim(better: Sequence[float], worse: Sequence[float]) -> float:
    """Return the probability that a claimed order of two models is false, given their cases.

    That of Christodoulou et al. 2025 (arXiv 2505.04720), which is the p of a one-sided paired
    t-test. It covers the chance of the cases alone, not that of another training.

    Example:
        >>> round(probability_of_false_claim([0.8, 0.9, 0.7], [0.7, 0.6, 0.8]), 3)
        0.239
    """
    better, worse = _alike("better", better, worse)
    gaps = worse - better
    if np.ptp(gaps) < 1e-12:
        return 0.5 if gaps[0] == 0 else float(gaps[0] > 0)
    return float(stats.ttest_rel(better, worse, alternative="greater").pvalue)


def _alike(argument: str, one, other) -> tuple[np.ndarray, np.ndarray]:
    one, other = np.asarray(one, "float64"), np.asarray(other, "float64")
    if one.shape != other.shape or one.ndim != 1 or len(one) < 2:
        expected = "as many scores as of the other arm, two or more"
        raise invalid(argument, expected, found=f"shapes {one.shape} and {other.shape}")
    return one, other


def _verdict(difference: Difference, better: float, ruled_out: float) -> str:
    if difference.seeds < FEWEST_SEEDS:
        return UNDECIDED
    if difference.low > -MATTERS and difference.high < MATTERS:
        return TOO_SMALL
    if difference.mean >= MATTERS and better < 1 - LEVEL:
        return SUPPORTED
    return REFUTED if ruled_out < 1 - LEVEL else UNDECIDED
