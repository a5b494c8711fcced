"""Masks for images of any size, given back at their own size."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from PIL import Image

from .ensembling import ensemble_members
from .pairing import SUFFIXES, image_files
from .reading import read_image
from .runs import write_file
from .windows import resize_image

CONTOUR = (230, 159, 0)
BAND = 64  # rows of a map enlarged at once: they stay in the processor's cache


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


def predict_image(model: keras.Model, image: np.ndarray) -> Prediction:
    """Predict the lesion of one image of any size.

    The image is resized to the network's input, where the members of an ensemble vote, and the
    lesion's probability back to the image (bilinear). The mask is where it exceeds a half.

    Args:
        model: from `unet` or `build_ensemble`.
        image: (H, W, 3) uint8 RGB.

    Raises:
        ValueError: another shape.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] != 3 or not image.size:
        raise ValueError(
            "Invalid value for argument `image`. Expected an array (H, W, 3), RGB 0..255. "
            f"Received: shape {image.shape}. ensemble_seg.read_image reads image files."
        )
    batch = resize_image(image, model.input_shape[1])[None].astype("float32")
    members, vote = ensemble_members(model)
    maps = [member(batch) for member in members]
    lesion = np.stack([np.array(each)[0, ..., 1] for each in (vote(maps), *maps)])
    return _enlarged(lesion, image.shape[:2])


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


def predict_folder(
    model: keras.Model,
    folder: str | Path,
    out: str | Path,
    progress: Callable = iter,
) -> int:
    """Write masks/, overlays/ and disagreement/ for every image of a folder, as PNG.

    Masks are 0 and 255, disagreement maps 0..255 for 0..1. All have the size of their image.

    Args:
        model: from `unet` or `build_ensemble`.
        folder: images, not searched below.
        out: folder to write to; made where missing.
        progress: wraps the list of files, tqdm say.

    Returns:
        The number of images.

    Raises:
        ValueError: no images in the folder, two of one stem, or one that cannot be read.
    """
    files = image_files(Path(folder))
    if not files or len({file.stem for file in files}) < len(files):
        raise ValueError(
            f"{folder}: expected image files ({', '.join(SUFFIXES)}), each with a stem of its "
            f"own. Found {len(files)} files, {len({file.stem for file in files})} stems."
        )
    for file in progress(files):
        image = read_image(file)
        result = predict_image(model, image)
        pictures = {
            "masks": result.mask * np.uint8(255),
            "overlays": overlay(image, result.mask),
            "disagreement": np.round(result.disagreement * 255).astype("uint8"),
        }
        for kind, picture in pictures.items():
            write_file(Path(out) / kind / f"{file.stem}.png", partial(_save_png, picture))
    return len(files)


def _enlarged(lesion: np.ndarray, shape: tuple[int, int]) -> Prediction:
    """Enlarge maps of the lesion (1 + M, h, w), the vote and what M members gave, to an image."""
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
        result.disagreement[band] = np.ptp(part[1:], axis=0)
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


def _save_png(picture: np.ndarray, path: Path) -> None:
    Image.fromarray(picture).save(path, compress_level=1)  # 6 takes far longer and saves little
