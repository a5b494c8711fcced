"""Masks for images of any size, given back at their own size."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from ..reading.images import resize_image

BAND = 64  # rows of a map enlarged at once: they stay in the processor's cache
AT_ONCE = 8  # images in a batch, of no more than so many pixels together:
PIXELS_AT_ONCE = 16_000_000
Item = TypeVar("Item")


class Prediction(NamedTuple):
    """Result for one image of H x W pixels.

    Attributes:
        probability: (H, W) float32, of the lesion class.
        mask: (H, W) uint8 of 0 and 1.
        disagreement: (H, W) float32 in 0..1, the widest difference between two members of the
            ensemble; 0 everywhere for a single model.
    """

    probability: np.ndarray
    mask: np.ndarray
    disagreement: np.ndarray


class Segmenter:
    """Segments images of any size, several at a time.

    Each image is resized to the network's input, where the members of an ensemble vote, and the
    lesion's probability back to the image (bilinear). The mask is where it exceeds a half.

    Args:
        size: side of the network's input, pixels.
        maps: from a batch (B, S, S, 3) float32, RGB 0..255, to the lesion's probabilities
            (1 + M, B, S, S): of the vote, and of its M members where there are several.
    """

    def __init__(self, size: int, maps: Callable[[np.ndarray], np.ndarray]):
        self.size, self.maps = size, maps

    def __call__(self, images: Sequence[np.ndarray]) -> list[Prediction]:
        """Segment images, (H, W, 3) uint8 RGB each; their sizes may differ."""
        lesion = self.maps(self.batch(images))
        return [enlarged(lesion[:, n], image.shape[:2]) for n, image in enumerate(images)]

    def batch(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Resize images to the network's input: (B, S, S, 3) float32."""
        return np.stack([resize_image(image, self.size) for image in images]).astype("float32")


def in_batches(items: Iterable[Item], pixels: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Give images in batches that fit into memory, by what says how many pixels each has."""
    batch, total = [], 0
    for item in items:
        size = pixels(item)
        if batch and (len(batch) == AT_ONCE or total + size > PIXELS_AT_ONCE):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += size
    if batch:
        yield batch


def enlarged(lesion: np.ndarray, shape: tuple[int, int]) -> Prediction:
    """Enlarge maps of the lesion (1 + M, h, w), the vote and those of its members, to an image."""
    result = Prediction(
        np.empty(shape, "float32"), np.empty(shape, "uint8"), np.empty(shape, "float32")
    )
    maps = _interpolated(lesion, 2, *_sources(shape[1], lesion.shape[2]))
    rows = _sources(shape[0], lesion.shape[1])
    for start in range(0, shape[0], BAND):
        band = slice(start, start + BAND)
        part = _interpolated(maps, 1, *(each[band] for each in rows))
        result.probability[band] = part[0]
        result.mask[band] = part[0] > 0.5
        result.disagreement[band] = np.ptp(part[1:], axis=0) if len(part) > 1 else 0
    return result


def _sources(length: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the two of `size` pixels that each of `length` lies between, and how far along."""
    place = ((np.arange(length) + 0.5) * size / length - 0.5).clip(0, size - 1)
    before = place.astype("int64")
    return before, np.minimum(before + 1, size - 1), (place - before).astype("float32")


def _interpolated(
    maps: np.ndarray, axis: int, before: np.ndarray, after: np.ndarray, share: np.ndarray
) -> np.ndarray:
    share = share.reshape([-1 if number == axis else 1 for number in range(maps.ndim)])
    low, high = maps.take(before, axis), maps.take(after, axis)
    high -= low
    high *= share
    return np.add(low, high, out=low)
