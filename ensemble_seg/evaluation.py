"""Scores of the lesion class: per image, pooled, and paired between models."""

import csv
import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import keras
import numpy as np

from .batches import batches
from .data import Split

METRICS = ("dice", "iou", "precision", "recall")
RESAMPLES = 5000
DRAWN_AT_ONCE = 1_000_000  # groups: memory does not grow with the resamples

# TensorFlow adds the traces of all models up, and would warn in the midst of a score table.
logging.getLogger("tensorflow").addFilter(
    lambda record: "make_predict_function" not in record.getMessage()
)


class Interval(NamedTuple):
    """A mean with the ends of its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Scores:
    """Scores of a model on N images, made from one count of pixels for each image.

    `counts`, (N, 4) int64, are true positive, false positive, false negative and true negative
    pixels, lesion being positive. Intervals resample `groups`, not images.
    Where truth and prediction are both empty, every score is 1. Where only one is, it is 0.

    Example:
        >>> scores = Scores.from_masks([[[1, 1, 0, 0]]], [[[1, 0, 1, 0]]])
        >>> scores.per_image["dice"].tolist(), scores.pooled["iou"]
        ([0.5], 0.333...)
    """

    counts: np.ndarray
    names: tuple[str, ...]
    groups: tuple[str, ...]

    @classmethod
    def from_masks(
        cls,
        truth: np.ndarray,
        predicted: np.ndarray,
        names: Sequence[str] | None = None,
        groups: Sequence[str] | None = None,
    ) -> "Scores":
        """Count the pixels of masks (N, H, W) of 0 and 1; ValueError for anything else."""
        truth, predicted = (np.asarray(masks) for masks in (truth, predicted))
        if truth.shape != predicted.shape or truth.ndim != 3:
            raise ValueError(
                "Expected `truth` and `predicted` of one shape (N, H, W). "
                f"Received: {truth.shape} and {predicted.shape}."
            )
        counts = np.array(list(map(_count, truth, predicted)), "int64").reshape(-1, 4)
        names = tuple(map(str, range(len(truth))) if names is None else names)
        return cls(counts, names, names if groups is None else tuple(groups))

    @cached_property
    def per_image(self) -> dict[str, np.ndarray]:
        """Dice, IoU, precision and recall of the lesion class, (N,) each."""
        return _ratios(self.counts)

    @cached_property
    def pooled(self) -> dict[str, float]:
        """The same from the counts of all images together, and the mean IoU of both classes."""
        tp, fp, fn, tn = total = self.counts.sum(axis=0)
        scores = {metric: float(score) for metric, score in _ratios(total).items()}
        # The same counts with the background as what is looked for.
        background = _ratios(np.array([tn, fn, fp, tp]))["iou"]
        return {**scores, "mean_iou": (scores["iou"] + float(background)) / 2}

    def summary(self, seed: int = 0) -> dict[str, Interval]:
        """Mean over images with its 95 % interval, for each score; see `bootstrap_mean`."""
        return {
            metric: bootstrap_mean(values, self.groups, seed)
            for metric, values in self.per_image.items()
        }

    def to_csv(self) -> str:
        """Return a table with a row for each image."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["name", "group", *METRICS, "tp", "fp", "fn", "tn"])
        scores = [self.per_image[metric].round(6) for metric in METRICS]
        rows = zip(self.names, self.groups, *scores, *self.counts.T, strict=True)
        writer.writerows(rows)
        return text.getvalue()


def predict_split(model: keras.Model, split: Split) -> np.ndarray:
    """Return the softmax maps of all images of a split: (N, size, size, 2) float32."""
    images = batches(split.windows, size=model.input_shape[1])
    return model.predict(images, verbose=0)


def score(probabilities: np.ndarray, split: Split) -> Scores:
    """Score softmax maps (N, size, size, 2) of the images of a split."""
    truth = split.masks(probabilities.shape[1])
    predicted = probabilities[..., 1] > probabilities[..., 0]
    return Scores.from_masks(truth, predicted, split.names, split.groups)


def evaluate(model: keras.Model, split: Split) -> Scores:
    """Score a model's arg-max masks of a split's images, at the size of the network's input."""
    return score(predict_split(model, split), split)


def paired_difference(
    scores: Scores, reference: Scores, metric: str = "dice", seed: int = 0
) -> Interval:
    """Mean over images of score - reference, with its 95 % bootstrap interval.

    Example:
        >>> better = Scores.from_masks([[[1, 1]]], [[[1, 1]]])
        >>> worse = Scores.from_masks([[[1, 1]]], [[[0, 1]]])
        >>> paired_difference(better, worse, "iou").mean
        0.5
    """
    if scores.names != reference.names:
        raise ValueError("Expected scores of the same images in the same order to compare.")
    if metric not in METRICS:
        raise ValueError(f"Unknown metric '{metric}'. Metrics: {', '.join(METRICS)}.")
    difference = scores.per_image[metric] - reference.per_image[metric]
    return bootstrap_mean(difference, scores.groups, seed)


def bootstrap_mean(
    values: np.ndarray, groups: Sequence[str], seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Mean of values (N,) with a 95 % percentile bootstrap interval.

    Whole groups are drawn, with replacement; of a single group both ends are the mean.

    Example:
        >>> bootstrap_mean(np.array([1.0, 1.0, 1.0]), ["a", "a", "b"])
        Interval(mean=1.0, low=1.0, high=1.0)
    """
    from scipy.stats import bootstrap  # not above: its import takes a while

    _, member = np.unique(np.asarray(groups), return_inverse=True)
    sums, sizes = np.bincount(member, values), np.bincount(member)
    mean = float(np.mean(values))
    if len(sums) < 2:
        return Interval(mean, mean, mean)

    def mean_of_groups(sums: np.ndarray, sizes: np.ndarray, axis: int) -> np.ndarray:
        return sums.sum(axis) / sizes.sum(axis)

    found = bootstrap(
        (sums, sizes),
        mean_of_groups,
        paired=True,
        n_resamples=resamples,
        batch=max(1, DRAWN_AT_ONCE // len(sums)),
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high))


def score_table(scores: Mapping[str, Scores]) -> str:
    """Return a Markdown table of models: lesion Dice and IoU per image, and pooled scores.

    Example:
        >>> print(score_table({"main": Scores.from_masks([[[1, 1]]], [[[1, 1]]])}))
        | model | Dice per image [95 %] | IoU per image [95 %] | pooled Dice | mean IoU, 2 classes |
        |---|---|---|---|---|
        | main | 1.000 [1.000, 1.000] | 1.000 [1.000, 1.000] | 1.000 | 1.000 |
    """
    lines = [
        "| model | Dice per image [95 %] | IoU per image [95 %] | pooled Dice "
        "| mean IoU, 2 classes |",
        "|---|---|---|---|---|",
    ]
    for name, result in scores.items():
        summary, pooled = result.summary(), result.pooled
        lines.append(
            f"| {name} | {summary['dice']} | {summary['iou']} | {pooled['dice']:.3f} "
            f"| {pooled['mean_iou']:.3f} |"
        )
    return "\n".join(lines)


def _count(truth: np.ndarray, predicted: np.ndarray) -> tuple[int, int, int, int]:
    truth, predicted = _lesion(truth), _lesion(predicted)
    both = np.count_nonzero(truth & predicted)
    found, lesion = np.count_nonzero(predicted), np.count_nonzero(truth)
    return both, found - both, lesion - both, truth.size - found - lesion + both


def _lesion(mask: np.ndarray) -> np.ndarray:
    lesion = mask if mask.dtype == bool else mask == 1
    if np.count_nonzero(lesion) != np.count_nonzero(mask):
        raise ValueError("Expected masks of 0 and 1. Received other values: take the argmax.")
    return lesion


def _ratios(counts: np.ndarray) -> dict[str, np.ndarray]:
    tp, fp, fn, _ = np.moveaxis(counts, -1, 0)
    empty = tp + fp + fn == 0

    def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        return np.where(empty, 1.0, part / np.maximum(whole, 1))

    return {
        "dice": ratio(2 * tp, 2 * tp + fp + fn),
        "iou": ratio(tp, tp + fp + fn),
        "precision": ratio(tp, tp + fp),
        "recall": ratio(tp, tp + fn),
    }
