"""The sampling method: choose images by imbalance ratio, crop them around their lesions."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import skimage

from .data import Dataset, Split
from .presets import Preset, checked_margin, invalid
from .reading import Box, read_mask


class Counts(NamedTuple):
    """What became of the images of a sampling step."""

    kept: int  # images
    dropped: int  # images below the threshold
    empty: int  # images without a lesion
    crops: int  # windows cut out of those that are kept


def imbalance_ratio(mask: np.ndarray) -> float:
    """Return background pixels / lesion pixels of a mask (H, W) of 0 and 1; inf for an empty one.

    Example:
        >>> imbalance_ratio(np.array([[0, 0], [0, 1]]))
        3.0
    """
    mask = _checked_mask(mask)
    lesion = int(np.count_nonzero(mask))
    return (mask.size - lesion) / lesion if lesion else float("inf")


def lesion_box(mask: np.ndarray, margin: int | Iterable[int] = (20, 10)) -> Box | None:
    """Return the smallest window that holds every lesion pixel, with a margin for context.

    Each side by itself: the margins are tried from first to last; the first that keeps the
    box inside the image is taken, none (0) where no margin does.

    Margins are pixels, largest first, or one number. The box is half-open; an empty mask has none.

    Example:
        >>> mask = np.zeros((100, 100), int)
        >>> mask[12:40, 50:95] = 1
        >>> lesion_box(mask)
        Box(top=2, left=30, bottom=60, right=95)
    """
    mask, margin = _checked_mask(mask), checked_margin(margin)
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return None
    top, bottom = rows[0], rows[-1] + 1
    columns = np.flatnonzero(mask[top:bottom].any(axis=0))
    return _widen(Box(top, columns[0], bottom, columns[-1] + 1), mask.shape, margin)


def lesion_boxes(mask: np.ndarray, margin: int | Iterable[int] = (20, 10)) -> list[Box]:
    """Return a box for each lesion (8-connected component), in the order of their first pixels.

    Example:
        >>> mask = np.zeros((9, 9), int)
        >>> mask[0, 0] = mask[4:6, 5] = 1
        >>> [tuple(box) for box in lesion_boxes(mask, margin=0)]
        [(0, 0, 1, 1), (4, 5, 6, 6)]
    """
    mask, margin = _checked_mask(mask), checked_margin(margin)
    regions = skimage.measure.regionprops(skimage.measure.label(mask, connectivity=2))
    return [_widen(Box(*region.bbox), mask.shape, margin) for region in regions]


def lesion_crops(
    threshold: float = 3.0,
    margin: int | Iterable[int] = (20, 10),
    each_lesion: bool = False,
) -> "LesionCrops":
    """Return a transformation for `tf.data.Dataset.apply` that crops images around their lesions.

    Args:
        threshold: images with background / lesion >= threshold are kept; empty masks never are.
        margin: as in `lesion_box`.
        each_lesion: one crop for each 8-connected lesion, instead of all of an image in one.

    Example:
        >>> import tensorflow as tf
        >>> mask = np.zeros((1, 64, 64), "uint8")
        >>> mask[0, 30:34, 30:34] = 1
        >>> full = tf.data.Dataset.from_tensor_slices((np.ones((1, 64, 64, 3)), mask))
        >>> [crop.shape for image, crop in full.apply(lesion_crops())]
        [TensorShape([44, 44])]
        >>> lesion_crops().count(full)
        Counts(kept=1, dropped=0, empty=0, crops=1)
    """
    return LesionCrops(threshold, checked_margin(margin), each_lesion)


@dataclass(frozen=True)
class LesionCrops:
    """The transformation that `lesion_crops` makes.

    Of elements (image, mask), (H, W, 3) of any dtype and (H, W) of 0 and 1, sizes free, it makes
    elements of the same dtypes, cut to the lesion's window and not resized.
    """

    threshold: float
    margin: tuple[int, ...]
    each_lesion: bool

    def boxes(self, mask: np.ndarray) -> list[Box] | None:
        """Return the boxes to cut out, [] below the threshold; None for an empty mask."""
        ratio = imbalance_ratio(mask)
        if ratio == float("inf"):
            return None
        if ratio < self.threshold:
            return []
        if self.each_lesion:
            return lesion_boxes(mask, self.margin)
        return [lesion_box(mask, self.margin)]

    def __call__(self, dataset):
        import tensorflow as tf

        def corners(mask: np.ndarray) -> np.ndarray:
            return np.array(self.boxes(mask) or [], "int64").reshape(-1, 4)

        def crops(image, mask):
            def window(box):
                rows, columns = slice(box[0], box[2]), slice(box[1], box[3])
                return image[rows, columns], mask[rows, columns]

            boxes = tf.numpy_function(corners, [mask], tf.int64, stateful=False)
            boxes = tf.ensure_shape(boxes, (None, 4))
            return tf.data.Dataset.from_tensor_slices(boxes).map(window)

        return dataset.flat_map(crops)

    def count(self, dataset) -> Counts:
        """Go through a dataset of (image, mask) once and count what is kept, dropped and empty."""
        masks = dataset.map(lambda image, mask: mask).as_numpy_iterator()
        return _counts([self.boxes(mask) for mask in masks])


def crop_split(
    split: Split,
    threshold: float = 3.0,
    margin: int | Iterable[int] = (20, 10),
    each_lesion: bool = False,
) -> tuple[Split, Counts]:
    """Replace the images of a split by crops around their lesions, found once from the mask files.

    The files are left alone: a crop is a pair and a box. The rule is that of `lesion_crops`.
    ValueError where no image is left, or the split is one of crops already.
    """
    if split.boxes is not None:
        raise ValueError(f"The {split.name} split holds crops already. Pass whole images.")
    rule = lesion_crops(threshold, margin, each_lesion)
    with ThreadPoolExecutor() as threads:
        found = list(threads.map(lambda pair: rule.boxes(read_mask(pair.mask)), split.pairs))
    counts = _counts(found)
    if not counts.crops:
        raise ValueError(
            f"No image of {len(split)} has background / lesion >= {threshold}: {counts.dropped} "
            f"below it, {counts.empty} without a lesion. Lower `threshold`, or add lesions."
        )
    pairs, boxes = [], []
    for pair, of_pair in zip(split.pairs, found, strict=True):
        for box in of_pair or []:
            pairs.append(pair)
            boxes.append(box)
    return replace(split, pairs=tuple(pairs), boxes=tuple(boxes)), counts


def sampling_data(data: Dataset, preset: Preset) -> Dataset:
    """Return the data of the sampling model: lesion crops to train on, all else as it was."""
    crops, _ = crop_split(data.train, preset.threshold, preset.margin)
    return data.replace(train=crops)


def _counts(found: list[list[Box] | None]) -> Counts:
    dropped, empty = found.count([]), found.count(None)
    crops = sum(len(boxes) for boxes in found if boxes)
    return Counts(len(found) - dropped - empty, dropped, empty, crops)


def _widen(box: Box, shape: tuple[int, int], margin: tuple[int, ...]) -> Box:
    room = (box.top, box.left, shape[0] - box.bottom, shape[1] - box.right)
    top, left, bottom, right = (
        next((pixels for pixels in margin if pixels <= space), 0) for space in room
    )
    widened = (box.top - top, box.left - left, box.bottom + bottom, box.right + right)
    return Box(*map(int, widened))


def _checked_mask(mask: np.ndarray) -> np.ndarray:
    mask = np.asarray(mask)
    lesion = mask == 1
    if mask.ndim != 2 or np.count_nonzero(lesion) != np.count_nonzero(mask):
        values = ", ".join(str(value) for value in np.unique(mask)[:5])
        raise invalid(
            "mask",
            "an array (H, W) of 0 and 1",
            found=f"shape {mask.shape} with values {values}",
            hint="ensemble_seg.read_mask reads mask files.",
        )
    return lesion
