"""Masks for images of any size, given back at their own size."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from PIL import Image

from ..common.errors import invalid
from ..ensembling import ensemble_members
from ..reading.images import resize_image
from ..zooming import PasteAndVote, is_zoom, zoom_members
from .engines import KERAS, exported_networks, require_engine

BAND = 64  # rows of a map enlarged at once: they stay in the processor's cache
MANY = 6  # images for which it pays to compile a network


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
    lesion's probability back to the image (bilinear). The mask is where it exceeds a half. For a
    zoom ensemble the box is cut out of the image at its own size, so that a small lesion keeps
    its pixels.

    Args:
        model: from `unet`, `build_ensemble` or `zoom_ensemble`.
        number: how many images are to come: for many of them the networks are compiled first,
            which takes a second or two and makes each call about five times as fast.
        engine: what computes the networks: "keras", "onnx" or "openvino".
        files: of the models, which another engine than Keras needs; see `engines`.
    """

    def __init__(
        self,
        model: keras.Model,
        number: int = 1,
        engine: str = KERAS,
        files: Sequence[Path] = (),
    ):
        self.size, self.find = model.input_shape[1], None
        if is_zoom(model):
            members, self.find, self.vote = zoom_members(model)
        else:
            members, self.vote = ensemble_members(model)
        require_engine(engine, files)
        if engine == KERAS:
            self.networks = [_network(member, compiled=number >= MANY) for member in members]
        else:
            self.networks = exported_networks(engine, members, files)

    def __call__(self, images: Sequence[np.ndarray]) -> list[Prediction]:
        """Segment images, (H, W, 3) uint8 RGB each; their sizes may differ."""
        batch = self._batch(images)
        if self.find is not None:
            return self._zoomed(images, self.networks[0](batch))
        maps = [network(batch) for network in self.networks]
        several = maps if len(maps) > 1 else []
        lesion = np.stack([np.array(self.vote(maps)), *several])[..., 1]
        return [_enlarged(lesion[:, n], image.shape[:2]) for n, image in enumerate(images)]

    def _batch(self, images: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack([resize_image(image, self.size) for image in images]).astype("float32")

    def _zoomed(self, images: Sequence[np.ndarray], maps: np.ndarray) -> list[Prediction]:
        """Cut the boxes out of the images, segment them too, and average inside the boxes."""
        found = []
        for image, whole, box in zip(images, maps, np.array(self.find(maps)), strict=True):
            result = _enlarged(whole[None, ..., 1], image.shape[:2])
            top, left, bottom, right = box / self.size * (*image.shape[:2], *image.shape[:2])
            if bottom > top:
                corners = int(top), int(left), math.ceil(bottom), math.ceil(right)
                crop = resize_image(image, self.size, corners)[None].astype("float32")
                _vote_inside(result, self.networks[1](crop)[0, ..., 1], corners, self.vote)
            found.append(result)
        return found


def predict_image(model: keras.Model, image: np.ndarray) -> Prediction:
    """Predict the lesion of one image of any size; see `Segmenter`.

    Args:
        model: from `unet`, `build_ensemble` or `zoom_ensemble`.
        image: (H, W, 3) uint8 RGB.

    Raises:
        ValueError: another shape.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] != 3 or not image.size:
        raise invalid(
            "image",
            "an array (H, W, 3), RGB 0..255",
            found=f"shape {image.shape}",
            hint="ensemble_seg.read_image reads image files.",
        )
    return Segmenter(model)([image])[0]


def _network(model: keras.Model, compiled: bool) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from a batch of images to softmax maps."""
    if compiled:
        return model.predict_on_batch
    return lambda batch: keras.ops.convert_to_numpy(model(batch, training=False))


def _vote_inside(result: Prediction, near: np.ndarray, corners: tuple, vote: PasteAndVote) -> None:
    """Average a map with what another model sees in a box of it."""
    top, left, bottom, right = corners
    picture = Image.fromarray(near).resize((right - left, bottom - top), Image.Resampling.BILINEAR)
    whole, mask, disagreement = (each[top:bottom, left:right] for each in result)
    disagreement[:] = np.abs(picture - whole)
    whole[:] = np.average([whole, picture], axis=0, weights=vote.weights_given)
    mask[:] = whole > 0.5


def _enlarged(lesion: np.ndarray, shape: tuple[int, int]) -> Prediction:
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
