"""Models scored on the images of a split, at the network's size or at their own."""

import math
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np

from ..datasets import Split
from ..evaluation import Scores, bootstrap_mean, predict_split, score, surface_scores
from ..reading.images import picture_size
from ..reading.pairs import Box, Pair
from ..reading.windows import read_window
from .networks import segmenter
from .segmenter import in_batches


def evaluate(model: keras.Model, split: Split, own_size: bool = False) -> Scores:
    """Score a model on the images of a split.

    Args:
        model: from images to softmax maps of two classes; see `unet` and `build_ensemble`.
        split: data.test, say.
        own_size: score at the size of each image, as `predict_image` gives the mask, against the
            mask file as it is. Without it: at the size of the network's
            input, the truth resized to the nearest pixel.

    Returns:
        Scores of the arg-max masks.
    """
    if not own_size:
        return score(predict_split(model, split), split)
    pairs = [Scores.from_masks([truth], [mask]) for truth, mask in own_size_masks(model, split)]
    counts = np.concatenate([scores.counts for scores in pairs])
    return Scores(counts, tuple(pair.image.stem for pair in split.pairs), tuple(split.groups))


def own_size_masks(model: keras.Model, split: Split) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give truth and prediction of each image of a split, (H, W) of 0 and 1, at its own size."""
    segment = segmenter(model, len(split))

    def read(window: tuple[Pair, Box | None]) -> tuple[np.ndarray, np.ndarray]:
        return read_window(*window, split.lesion_values)

    def pixels(window: tuple[Pair, Box | None]) -> int:
        return math.prod(picture_size(window[0].image))

    with ThreadPoolExecutor() as threads:
        for batch in in_batches(split.windows, pixels):
            images, truths = zip(*threads.map(read, batch), strict=True)
            for truth, result in zip(truths, segment(images), strict=True):
                yield truth, result.mask


def border_table(models: Mapping[str, keras.Model], split: Split, tolerance: float = 2.0) -> str:
    """Return a Markdown table of ISIC's score and of distances between borders, at own size.

    Args:
        models: by name.
        split: data.test, say.
        tolerance: of the normalised surface distance, pixels.

    Raises:
        ImportError: surface-distance is not installed; see `evaluation.surface_scores`.
    """
    head = f"ISIC score [95 %] | HD95, pixels [95 %] | NSD at {tolerance:g} pixels [95 %]"
    lines = [f"| model | {head} |", "|---|---|---|---|"]
    for name, model in models.items():
        rows = []
        for truth, mask in own_size_masks(model, split):
            isic = Scores.from_masks([truth], [mask]).isic()[0]
            rows.append((isic, *surface_scores(truth, mask, tolerance)))
        means = (
            bootstrap_mean(np.array(column), split.groups) for column in zip(*rows, strict=True)
        )
        lines.append(f"| {name} | {' | '.join(map(str, means))} |")
    return "\n".join(lines)
