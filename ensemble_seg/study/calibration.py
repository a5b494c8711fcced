"""Do the probabilities mean what they say? Brier score, calibration error, one temperature."""

import numpy as np
from scipy import optimize

BINS = 10
SURE = 0.99
LEAST = 1e-7  # float32 probabilities reach 0 and 1
TEMPERATURES = (0.05, 50.0)


def brier_score(lesion: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean over pixels of (probability of lesion - truth)^2: 0 is best.

    Args:
        lesion: (N, H, W) probabilities of the lesion class.
        truth: (N, H, W) of 0 and 1.

    Example:
        >>> brier_score(np.array([0.0, 0.5]), np.array([0, 1]))
        0.125
    """
    return float(np.mean((np.asarray(lesion, "float64") - truth) ** 2))


def reliability(lesion: np.ndarray, truth: np.ndarray) -> list[list[float]]:
    """Sort the pixels into ten bins by their probability of lesion, each 0.1 wide.

    Args:
        lesion, truth: as in `brier_score`.

    Returns:
        For each bin: its share of the pixels, their mean probability, their share of true lesion;
        zeros for an empty bin.

    Example:
        >>> reliability(np.array([0.25, 0.25, 1.0, 1.0]), np.array([0, 1, 1, 1]))[2]
        [0.5, 0.25, 0.5]
    """
    lesion, truth = np.ravel(lesion).astype("float64"), np.ravel(truth)
    number = np.minimum((lesion * BINS).astype(int), BINS - 1)
    pixels = np.bincount(number, minlength=BINS)
    sums = [np.bincount(number, values, BINS) for values in (lesion, truth)]
    means = [each / np.maximum(pixels, 1) for each in sums]
    return np.stack([pixels / max(pixels.sum(), 1), *means], axis=1).tolist()


def expected_calibration_error(bins: list[list[float]]) -> float:
    """Return the mean over pixels of |probability - share of lesion| in the bins of `reliability`.

    Example:
        >>> expected_calibration_error([[0.5, 0.25, 0.5], [0.5, 1.0, 1.0]])
        0.125
    """
    return float(sum(share * abs(mean - true) for share, mean, true in bins))


def tempered(lesion: np.ndarray, temperature: float) -> np.ndarray:
    """Divide the log-odds of probabilities by a temperature: above 1 they become less sure.

    Example:
        >>> tempered(np.array([0.5, 0.9]), 2.0).round(3).tolist()
        [0.5, 0.75]
    """
    odds = _log_odds(lesion) / temperature
    return 1 / (1 + np.exp(-odds))


def fit_temperature(lesion: np.ndarray, truth: np.ndarray) -> float:
    """Choose the temperature with the least cross-entropy, on validation data.

    Args:
        lesion, truth: as in `brier_score`, of the validation images.

    Returns:
        A number from 0.05 to 50; above 1 where the model is too sure.

    Example:
        >>> lesion = np.full(10, 0.99)
        >>> truth = np.array([1, 1, 1, 1, 1, 1, 1, 1, 1, 0])  # lesion in 90 %, not 99 %
        >>> temperature = fit_temperature(lesion, truth)
        >>> tempered(lesion[:1], temperature).round(2).tolist()
        [0.9]
    """
    odds, sign = _log_odds(np.ravel(lesion)), 1 - 2 * np.ravel(truth).astype("float64")

    def cross_entropy(log_temperature: float) -> float:
        return float(np.logaddexp(0, sign * odds * np.exp(-log_temperature)).mean())

    found = optimize.minimize_scalar(cross_entropy, bounds=np.log(TEMPERATURES), method="bounded")
    return float(np.exp(found.x))


def calibration(lesion: np.ndarray, truth: np.ndarray) -> dict:
    """Return brier, ece, sure (share of pixels above 0.99 or below 0.01) and bins, rounded.

    Args:
        lesion, truth: as in `brier_score`.
    """
    bins = reliability(lesion, truth)
    sure = np.mean((lesion > SURE) | (lesion < 1 - SURE))
    return {
        "brier": round(brier_score(lesion, truth), 5),
        "ece": round(expected_calibration_error(bins), 5),
        "sure": round(float(sure), 4),
        "bins": np.round(bins, 4).tolist(),
    }


def _log_odds(lesion: np.ndarray) -> np.ndarray:
    lesion = np.clip(np.asarray(lesion, "float64"), LEAST, 1 - LEAST)
    return np.log(lesion) - np.log1p(-lesion)
