"""The sampling method: choose images by imbalance ratio, crop them around their lesions."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import skimage

from .common.errors import invalid
from .datasets import Dataset, Split
from .presets import Preset
from .reading.images import picture_size
from .reading.masks import read_mask
from .reading.pairs import Box, Pair

KEPT, DROPPED, EMPTY = range(3)


class Counts(NamedTuple):
    """What became of the images of a sampling step, and how many crops came out of it."""

    kept: int
    dropped: int
    empty: int
    crops: int


def imbalance_ratio(mask: np.ndarray) -> float:
    """Return background pixels / lesion pixels; inf for an empty mask.

    Args:
        mask: (H, W) of 0 and 1.

    Raises:
        ValueError: not two-dimensional, or other values.

    Example:
        >>> imbalance_ratio(np.array([[0, 0], [0, 1]]))
        3.0
    """
    mask = _checked_mask(mask)
    lesion = int(np.count_nonzero(mask))
    return (mask.size - lesion) / lesion if lesion else float("inf")


def lesion_box(mask: np.ndarray, margin: int | Iterable[int] = (20, 10)) -> Box | None:
    """Return the smallest window that holds every lesion pixel, with a margin for context.

    On each side for itself the margins are tried from first to last; the first that keeps the
    box inside the image is taken, none (0) where no margin does.

    Args:
        mask: (H, W) of 0 and 1.
        margin: pixels of context, largest first, or one number.

    Returns:
        Half-open Box(top, left, bottom, right); None for an empty mask.

    Raises:
        ValueError: a mask that is not two-dimensional or has other values, a negative margin.

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

    Args, errors: as `lesion_box`.

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

    Raises:
        ValueError: a margin that is negative or not whole.

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
    """The sampling rule with its settings, for masks one by one or for a tf.data.Dataset.

    As a transformation, made by `lesion_crops`, it takes elements (image, mask), (H, W, 3) of any
    dtype and (H, W) of 0 and 1, sizes free, and gives elements of the same dtypes, cut to the
    lesion's window and not resized.
    """

    threshold: float
    margin: tuple[int, ...]
    each_lesion: bool

    def boxes(self, mask: np.ndarray) -> tuple[int, list[Box]]:
        """Return the fate of an image, KEPT, DROPPED or EMPTY, and the boxes to cut out of it."""
        ratio = imbalance_ratio(mask)
        if ratio == float("inf"):
            return EMPTY, []
        if ratio < self.threshold:
            return DROPPED, []
        find = lesion_boxes if self.each_lesion else lesion_box
        found = find(mask, self.margin)
        return KEPT, found if self.each_lesion else [found]

    def __call__(self, dataset):
        import tensorflow as tf

        def corners(mask: np.ndarray) -> np.ndarray:
            return np.array(self.boxes(mask)[1], "int64").reshape(-1, 4)

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
        return _counts(self.boxes(mask) for mask in masks)


def crop_split(
    split: Split,
    threshold: float = 3.0,
    margin: int | Iterable[int] = (20, 10),
    each_lesion: bool = False,
) -> tuple[Split, Counts]:
    """Replace the images of a split by crops around their lesions, found once from the mask files.

    Args:
        split: whole images. The files are left alone: a crop is a pair and a box.
        threshold, margin, each_lesion: as in `lesion_crops`.

    Returns:
        The split of crops, and how many images were kept, dropped or empty.

    Raises:
        ValueError: no image is left, or the split is one of crops already.
    """
    if split.boxes is not None:
        raise ValueError(f"The {split.name} split holds crops already. Pass whole images.")
    rule = lesion_crops(threshold, margin, each_lesion)

    def boxes(pair: Pair) -> tuple[int, list[Box]]:
        return rule.boxes(read_mask(pair.mask, split.lesion_values))

    with ThreadPoolExecutor() as threads:
        found = list(threads.map(boxes, split.pairs))
    counts = _counts(found)
    crops = [
        (pair, box) for pair, (_, boxes) in zip(split.pairs, found, strict=True) for box in boxes
    ]
    if not crops:
        raise ValueError(nothing_to_crop(counts, threshold))
    pairs, boxes = zip(*crops, strict=True)
    return replace(split, pairs=pairs, boxes=boxes), counts


def shift_crops(split: Split, share: float, seed: int = 0) -> Split:
    """Move each crop at random, so that a lesion need not be in the middle. Not as published.

    Args:
        split: of crops, from `crop_split`.
        share: of the height and of the width of a crop by which it moves at most, up or down, left
            or right. It stays inside its image and keeps its size; a lesion may be cut.
        seed: of the moves.

    Raises:
        ValueError: whole images, or a share that is not from 0 to 1.
    """
    if split.boxes is None:
        raise ValueError(f"The {split.name} split holds whole images. Pass crops.")
    if not 0 <= share <= 1:
        raise invalid("share", "a number from 0 to 1", share)
    moves = np.random.default_rng(seed).uniform(-share, share, (len(split), 2))
    boxes = []
    for (pair, box), (down, right) in zip(split.windows, moves, strict=True):
        height, width = box.bottom - box.top, box.right - box.left
        rows, columns = picture_size(pair.mask)
        top = int(np.clip(round(box.top + down * height), 0, rows - height))
        left = int(np.clip(round(box.left + right * width), 0, columns - width))
        boxes.append(Box(top, left, top + height, left + width))
    return replace(split, boxes=tuple(boxes))


def nothing_to_crop(counts: Counts, threshold: float) -> str:
    """Return the message for a sampling step that keeps no image.

    Example:
        >>> nothing_to_crop(Counts(kept=0, dropped=1, empty=2, crops=0), 3.0)
        'No image of 3 has background / lesion >= 3.0: 1 below it, 2 without a lesion. Lower ...'
    """
    return (
        f"No image of {counts.dropped + counts.empty} has background / lesion >= {threshold}: "
        f"{counts.dropped} below it, {counts.empty} without a lesion. Lower `threshold`."
    )


def sampling_data(data: Dataset, preset: Preset) -> Dataset:
    """Return the data of the sampling model: lesion crops to train on, all else as it was."""
    crops, _ = crop_split(data.train, preset.threshold, preset.margin)
    if preset.shift:
        crops = shift_crops(crops, preset.shift, preset.seed)
    return data.replace(train=crops)


def checked_margin(margin: int | Iterable[int]) -> tuple[int, ...]:
    """Return the margins as a tuple of pixels; ValueError for anything but integers >= 0."""
    margins = tuple(margin) if isinstance(margin, Iterable) else (margin,)
    if not all(isinstance(pixels, int | np.integer) and pixels >= 0 for pixels in margins):
        raise invalid("margin", "non-negative whole pixels, largest first", margin)
    return tuple(int(pixels) for pixels in margins)


def _counts(found: Iterable[tuple[int, list[Box]]]) -> Counts:
    counts = [0, 0, 0, 0]
    for fate, boxes in found:
        counts[fate] += 1
        counts[3] += len(boxes)
    return Counts(*counts)


def _widen(box: Box, shape: tuple[int, int], margin: tuple[int, ...]) -> Box:
    room = (box.top, box.left, shape[0] - box.bottom, shape[1] - box.right)
    top, left, bottom, right = (
        next((pixels for pixels in margin if pixels <= space), 0) for space in room
    )
    widened = (box.top - top, box.left - left, box.bottom + bottom, box.right + right)
    return Box(*map(int, widened))


def _checked_mask(mask: np.ndarray) -> np.ndarray:
    mask = np.asarray(mask)
    if mask.ndim == 2 and mask.dtype == np.uint8 and mask.max(initial=0) <= 1:
        return mask.view(bool)
    if mask.ndim != 2 or not ((mask == 0) | (mask == 1)).all():
        values = ", ".join(str(value) for value in np.unique(mask)[:5])
        raise invalid(
            "mask",
            "an array (H, W) of 0 and 1",
            found=f"shape {mask.shape} with values {values}",
            hint="ensemble_seg.read_mask reads mask files.",
        )
    return mask.astype(bool, copy=False)
