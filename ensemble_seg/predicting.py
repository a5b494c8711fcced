"""Masks for images of any size, given back at their own size, and eight views of each image."""

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from keras import ops
from PIL import Image

from .common.errors import invalid
from .common.files import file_hash
from .common.results import require_own, results_folder
from .datasets.inputs import data_root, input_images
from .ensembling import build_ensemble, ensemble_members
from .reading.images import read_image, resize_image, small_image

CONTOUR = (230, 159, 0)
BAND = 64  # rows of a map enlarged at once: they stay in the processor's cache
TRIAL_SIZE = 32
# Swap rows and columns, flip top and bottom, flip left and right: the symmetries of a square.
VIEWS = tuple(itertools.product((False, True), repeat=3))


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
        raise invalid(
            "image",
            "an array (H, W, 3), RGB 0..255",
            found=f"shape {image.shape}",
            hint="ensemble_seg.read_image reads image files.",
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
    model_files: Sequence[Path] = (),
) -> int:
    """Write masks/, overlays/ and disagreement/ for every image of a folder, as PNG.

    Masks are 0 and 255, disagreement maps 0..255 for 0..1. All have the size of their image.
    predictions.json beside them lists what was written and by which model. All images are read
    before the first is segmented, and results appear when all are there; they replace those of an
    earlier call, and nothing else.

    Args:
        model: from `unet` or `build_ensemble`.
        folder: images, not searched below, or one image. Masks beside them are left out, as
            `datasets.inputs.input_images` tells; what is not read is printed.
        out: folder to write to; made where missing.
        progress: wraps the list of files, tqdm say.
        model_files: what the model was read from, for predictions.json.

    Returns:
        The number of images.

    Raises:
        FileNotFoundError: there is no such folder.
        FileExistsError: `out` holds anything that an earlier call has not written.
        ValueError: no images in the folder, two of one stem, or one that cannot be read; `out` in
            the data set that the images belong to.
    """
    folder, out = (Path(path).expanduser().absolute() for path in (folder, out))
    files, notes = input_images(folder)
    _require_apart(out, folder)
    require_own(out)
    _require_readable(files)
    for note in notes:
        print(note)
    about = {
        "made by": "python -m ensemble_seg predict",
        "model": model.name,
        "model files": {str(file): file_hash(file) for file in model_files},
        "images": str(folder),
    }
    with results_folder(out, about) as results:
        for file in progress(files):
            _write_results(model, file, results)
    return len(files)


def eight_views(model: keras.Model) -> keras.Model:
    """Let a model vote with itself on the flips and quarter turns of each image.

    Known as test-time augmentation. A lesion turned by 90 degrees is the same lesion, but a
    network sees it anew, and errors that depend on the orientation may average out. The result
    shares its weights with the model, takes eight times as long, and can be saved, scored or made a
    member of an ensemble as any other. The published method does without.

    Args:
        model: from square images (B, S, S, 3) to softmax maps (B, S, S, 2); see `unet`. Of an
            ensemble each member gets its eight views before they vote.

    Returns:
        Uncompiled keras.Model from images to softmax maps, float32, of the same shapes.

    Raises:
        ValueError: images that are not square, or maps of another size than the images.

    Example:
        >>> from ensemble_seg import preset, unet
        >>> eight_views(unet(preset("smoke"))).output.shape
        (None, 64, 64, 2)
    """
    members, vote = ensemble_members(model)
    if members != [model]:
        return build_ensemble([eight_views(member) for member in members], vote.weights_given)
    shape, maps = model.input_shape[1:], model.output_shape[1:]
    if shape[0] != shape[1] or maps[:2] != shape[:2]:
        found = f"a model from {shape} to {maps}"
        raise invalid("model", "one from square images to maps of their size", found=found)
    image = keras.Input(shape, name="image")
    member = keras.Model(model.input, model.output, name=model.name)
    average = AverageViews(name="average_views")(member(Views(name="views")(image)))
    return keras.Model(image, average, name=f"{model.name}_8_views")


@keras.saving.register_keras_serializable(package="ensemble_seg")
class Views(keras.layers.Layer):
    """Stack the eight views of square images: (B, S, S, C) to (8 B, S, S, C), view by view.

    Example:
        >>> Views()(keras.ops.ones((2, 4, 4, 3))).shape.as_list()
        [16, 4, 4, 3]
    """

    def call(self, images):
        return ops.concatenate([_flipped(_swapped(images, view), view) for view in VIEWS])

    def compute_output_shape(self, input_shape):
        batch, *rest = input_shape
        return (batch and batch * len(VIEWS), *rest)


@keras.saving.register_keras_serializable(package="ensemble_seg")
class AverageViews(keras.layers.Layer):
    """Turn the maps of `Views` back and average them: (8 B, S, S, C) to (B, S, S, C).

    Example:
        >>> AverageViews()(Views()(keras.ops.ones((2, 4, 4, 3)))).shape.as_list()
        [2, 4, 4, 3]
    """

    def call(self, maps):
        each = ops.reshape(maps, (len(VIEWS), -1, *maps.shape[1:]))
        back = [_swapped(_flipped(each[n], view), view) for n, view in enumerate(VIEWS)]
        return sum(back) / len(VIEWS)

    def compute_output_shape(self, input_shape):
        batch, *rest = input_shape
        return (batch and batch // len(VIEWS), *rest)


def _require_apart(out: Path, images: Path) -> None:
    root = data_root(images)
    if out.resolve().is_relative_to(root.resolve()):
        raise ValueError(
            f"{out}: in the folder of the images ({root}), where results could be taken for its "
            f"masks. Name a folder outside it, with --out {root.parent / 'predictions'} say."
        )


def _require_readable(files: Sequence[Path]) -> None:
    with ThreadPoolExecutor() as threads:
        for _ in threads.map(lambda file: small_image(file, TRIAL_SIZE), files):
            pass


def _write_results(model: keras.Model, file: Path, out: Path) -> None:
    image = read_image(file)
    result = predict_image(model, image)
    pictures = {
        "masks": result.mask * np.uint8(255),
        "overlays": overlay(image, result.mask),
        "disagreement": np.round(result.disagreement * 255).astype("uint8"),
    }
    for kind, picture in pictures.items():
        (out / kind).mkdir(exist_ok=True)
        # Level 6, the usual one, takes far longer and saves little.
        Image.fromarray(picture).save(out / kind / f"{file.stem}.png", compress_level=1)


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


def _swapped(maps, view: tuple[bool, bool, bool]):
    return ops.transpose(maps, (0, 2, 1, 3)) if view[0] else maps


def _flipped(maps, view: tuple[bool, bool, bool]):
    for axis, flip in zip((1, 2), view[1:], strict=True):
        maps = ops.flip(maps, axis) if flip else maps
    return maps
