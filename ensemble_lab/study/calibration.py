"""Do the probabilities mean what they say? Brier score, calibration error, one temperature.

Arrays: `lesion` float (N, H, W), probabilities of the lesion class; `truth` (N, H, W) of 0 and 1.
"""

import numpy as np
from scipy import optimize

BINS = 10
LEAST = 1e-7  # float32 probabilities reach 0 and 1


def reliability(lesion: np.ndarray, truth: np.ndarray) -> list[list[float]]:
    """Sort the pixels into ten bins by their probability of lesion, each 0.1 wide.

    Returns:
        For each bin: its share of the pixels, their mean probability, their share of true lesion;
        zeros for an empty bin.
    """
    lesion, truth = np.ravel(lesion).astype("float64"), np.ravel(truth)
    number = np.minimum((lesion * BINS).astype(int), BINS - 1)
    pixels = np.bincount(number, minlength=BINS)
    sums = [np.bincount(number, values, BINS) for values in (lesion, truth)]
    means = [each / np.maximum(pixels, 1) for each in sums]
    return np.stack([pixels / max(pixels.sum(), 1), *means], axis=1).tolist()


def tempered(lesion: np.ndarray, temperature: float) -> np.ndarray:
    """Divide the log-odds of probabilities by a temperature: above 1 they become less sure."""
    return 1 / (1 + np.exp(-_log_odds(lesion) / temperature))


def fit_temperature(lesion: np.ndarray, truth: np.ndarray) -> float:
    """Choose the temperature (0.05 to 50) with the least cross-entropy, on validation data."""
    odds, sign = _log_odds(np.ravel(lesion)), 1 - 2 * np.ravel(truth).astype("float64")

    def cross_entropy(log_temperature: float) -> float:
        return float(np.logaddexp(0, sign * odds * np.exp(-log_temperature)).mean())

    found = optimize.minimize_scalar(cross_entropy, bounds=np.log((0.05, 50.0)), method="bounded")
    return float(np.exp(found.x))


def calibration(lesion: np.ndarray, truth: np.ndarray) -> dict:
    """Return how far probabilities can be trusted, rounded.

    Returns:
        "brier": mean of (probability - truth)^2; "ece": mean of |probability - share of lesion|
        in the bins; "sure": share of pixels above 0.99 or below 0.01; "bins": of `reliability`.
    """
    bins = reliability(lesion, truth)
    brier = np.mean((np.asarray(lesion, "float64") - truth) ** 2)
    error = sum(share * abs(mean - true) for share, mean, true in bins)
    sure = np.mean((lesion > 0.99) | (lesion < 0.01))
    found = {"brier": round(float(brier), 5), "ece": round(error, 5), "sure": round(float(sure), 4)}
    return {**found, "bins": np.round(bins, 4).tolist()}


def _log_odds(lesion: np.ndarray) -> np.ndarray:
    lesion = np.clip(np.asarray(lesion, "float64"), LEAST, 1 - LEAST)
    return np.log(lesion) - np.log1p(-lesion)
