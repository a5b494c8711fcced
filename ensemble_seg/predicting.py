"""Masks for images of any size, given back at their own size."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import keras
import numpy as np

from .data import Split
from .ensembling import ensemble_members
from .presets import invalid
from .reading import read_image, read_mask, resize_image

AT_ONCE = 8  # images
CONTOUR = (230, 159, 0)


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

    @property
    def probabilities(self) -> np.ndarray:
        """(H, W, 2) float32: channel 0 background, 1 lesion."""
        return np.stack([1 - self.probability, self.probability], axis=-1)


def predict_image(model: keras.Model, image: np.ndarray) -> Prediction:
    """Predict the lesion of one image of any size.

    Args:
        model: from `unet` or `build_ensemble`.
        image: (H, W, 3) uint8 RGB.

    Raises:
        ValueError: another shape or dtype.
    """
    return predict_images(model, [image])[0]


def predict_images(model: keras.Model, images: Sequence[np.ndarray]) -> list[Prediction]:
    """Predict the lesions of a few images, one batch of the network; their sizes may differ.

    Each is resized to the network's input, where the members of an ensemble vote, and the lesion's
    probability back to the image (bilinear). The mask is where it exceeds a half.
    """
    for image in images:
        image = np.asarray(image)
        if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:
            raise invalid(
                "image",
                "an array (H, W, 3) uint8, RGB 0..255",
                found=f"shape {image.shape}, {image.dtype}",
                hint="ensemble_seg.read_image reads image files.",
            )
    batch = np.stack([resize_image(image, model.input_shape[1]) for image in images])
    members, average = ensemble_members(model)
    maps = [member.predict_on_batch(batch.astype("float32")) for member in members]
    several = maps if len(maps) > 1 else []
    lesion = np.stack([np.array(average(maps)), *several])[..., 1]
    return [enlarged(lesion[:, n], image.shape[:2]) for n, image in enumerate(images)]


def own_size_masks(model: keras.Model, split: Split) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give truth and prediction of each image of a split, (H, W) of 0 and 1, at its own size."""
    if split.boxes is not None:
        raise ValueError(f"The {split.name} split holds crops. Pass whole images.")
    for start in range(0, len(split), AT_ONCE):
        pairs = split.pairs[start : start + AT_ONCE]
        images = [read_image(pair.image) for pair in pairs]
        for pair, result in zip(pairs, predict_images(model, images), strict=True):
            yield read_mask(pair.mask), result.mask


def enlarged(lesion: np.ndarray, shape: tuple[int, int]) -> Prediction:
    """Enlarge maps of the lesion (1 + M, h, w), the vote and those of its members, to an image."""
    for axis, length in ((2, shape[1]), (1, shape[0])):
        lesion = _interpolated(lesion, axis, length)
    vote, members = lesion[0], lesion[1:]
    apart = np.ptp(members, axis=0) if len(members) > 1 else np.zeros(shape, "float32")
    return Prediction(vote, (vote > 0.5).astype("uint8"), apart)


def overlay(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Draw the contour of a mask (H, W) on an image (H, W, 3) uint8, in orange."""
    drawn, mask = image.copy(), mask.astype(bool)
    edge = np.zeros_like(mask)
    across, down = mask[:, 1:] != mask[:, :-1], mask[1:] != mask[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    drawn[edge] = CONTOUR
    return drawn


def _interpolated(maps: np.ndarray, axis: int, length: int) -> np.ndarray:
    """Stretch an axis to a length, linear between the middles of the pixels."""
    size = maps.shape[axis]
    place = ((np.arange(length) + 0.5) * size / length - 0.5).clip(0, size - 1)
    before = place.astype("int64")
    share = (place - before).astype("float32")
    share = share.reshape([-1 if number == axis else 1 for number in range(maps.ndim)])
    low, high = maps.take(before, axis), maps.take(np.minimum(before + 1, size - 1), axis)
    return low + (high - low) * share
