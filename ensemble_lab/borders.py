"""ISIC's score, and distances between the borders of masks, at the size of the images."""

from collections.abc import Iterator, Mapping

import keras
import numpy as np

from ensemble_seg.data import Split
from ensemble_seg.evaluation import Scores, bootstrap_mean
from ensemble_seg.predicting import own_size_masks
from ensemble_seg.reading import read_image, read_mask

from .zoom import is_zoom, predict_zoom


def isic_scores(scores: Scores, least: float = 0.65) -> np.ndarray:
    """IoU of each image (N,), set to 0 below 0.65: the official score of ISIC 2018, task 1.

    Example:
        >>> isic_scores(Scores(np.array([[65, 35, 0, 0], [64, 36, 0, 0]]), ("a", "b"), ()))
        array([0.65, 0.  ])
    """
    iou = scores.per_image["iou"]
    return np.where(iou < least, 0.0, iou)


def surface_scores(
    truth: np.ndarray, predicted: np.ndarray, tolerance: float = 2.0
) -> tuple[float, float]:
    """Compare the borders of two masks, by the package surface-distance.

    Args:
        truth, predicted: (H, W) of 0 and 1.
        tolerance: how far apart borders may be and still agree, pixels.

    Returns:
        The 95th percentile of the distances between the borders (HD95, pixels), and the share of
        both borders that agrees (normalised surface distance, 0..1). Both masks empty: 0 and 1.
        One of them empty: the diagonal of the image, and 0.

    Raises:
        ImportError: surface-distance is not installed: pip install "ensemble-seg[borders]".

    Reference:
        Nikolov et al., J. Med. Internet Res. 23 (2021) e26151.
    """
    from surface_distance import metrics

    truth, predicted = (np.asarray(mask).astype(bool) for mask in (truth, predicted))
    if not (truth.any() and predicted.any()):
        agree = not (truth.any() or predicted.any())
        return (0.0, 1.0) if agree else (float(np.hypot(*truth.shape)), 0.0)
    found = metrics.compute_surface_distances(truth, predicted, (1, 1))
    hd95 = metrics.compute_robust_hausdorff(found, 95)
    return float(hd95), float(metrics.compute_surface_dice_at_tolerance(found, tolerance))


def border_table(models: Mapping[str, keras.Model], split: Split, tolerance: float = 2.0) -> str:
    """Return a Markdown table of ISIC's score and of distances between borders, at own size.

    Args:
        models: by name; zoom ensembles too.
        split: data.test, say.
        tolerance: of the normalised surface distance, pixels.
    """
    head = f"ISIC score [95 %] | HD95, pixels [95 %] | NSD at {tolerance:g} pixels [95 %]"
    lines = [f"| model | {head} |", "|---|---|---|---|"]
    for name, model in models.items():
        rows = list(_rows(model, split, tolerance))
        means = (bootstrap_mean(np.array(each), split.groups) for each in zip(*rows, strict=True))
        lines.append(f"| {name} | {' | '.join(map(str, means))} |")
    return "\n".join(lines)


def masks_at_own_size(model: keras.Model, split: Split) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """As `own_size_masks`; of a zoom ensemble the box is cut out of the image itself."""
    if not is_zoom(model):
        yield from own_size_masks(model, split)
        return
    for pair in split.pairs:
        yield read_mask(pair.mask), predict_zoom(model, [read_image(pair.image)])[0].mask


def _rows(model: keras.Model, split: Split, tolerance: float) -> Iterator[tuple[float, ...]]:
    for truth, mask in masks_at_own_size(model, split):
        isic = isic_scores(Scores.from_masks([truth], [mask]))[0]
        yield isic, *surface_scores(truth, mask, tolerance)
