"""Masks for images of any size, given back at their own size."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from PIL import Image
from skimage.segmentation import find_boundaries

from .ensembling import ensemble_members
from .pairing import SUFFIXES, image_files
from .reading import read_image
from .runs import write_file
from .windows import resize_image

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


def predict_image(model: keras.Model, image: np.ndarray) -> Prediction:
    """Predict the lesion of one image of any size.

    The image is resized to the network's input, the softmax maps back to the image (bilinear),
    where the members of an ensemble vote.

    Args:
        model: from `unet` or `build_ensemble`.
        image: (H, W, 3) uint8 RGB.

    Raises:
        ValueError: another shape.
    """
    import tensorflow as tf

    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] != 3 or not image.size:
        raise ValueError(
            "Invalid value for argument `image`. Expected an array (H, W, 3), RGB 0..255. "
            f"Received: shape {image.shape}. ensemble_seg.read_image reads image files."
        )
    batch = resize_image(image, model.input_shape[1])[None].astype("float32")
    members, vote = ensemble_members(model)
    maps = [tf.image.resize(member(batch), image.shape[:2])[0] for member in members]
    voted = np.asarray(vote(maps))
    lesion = np.stack([each[..., 1] for each in maps])
    mask = (voted[..., 1] > voted[..., 0]).astype("uint8")
    return Prediction(voted[..., 1], mask, np.ptp(lesion, axis=0))


def overlay(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Draw the contour of a mask (H, W) on an image (H, W, 3) uint8, in orange."""
    drawn = image.copy()
    drawn[find_boundaries(mask.astype(bool), mode="thick")] = CONTOUR
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
            write_file(Path(out) / kind / f"{file.stem}.png", Image.fromarray(picture).save)
    return len(files)
