"""What must be right with the files before a training starts."""

import functools
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..common.files import file_state
from .dicom import is_dicom
from .images import open_picture, orientation, picture_size, small_image
from .lesion_values import LesionValues
from .masks import MaskFile, mixed_marks, read_mask_file
from .pairs import Pair

TRIAL_SIZE = 32
PAIRS_AT_ONCE = 1000  # pairs handed to the threads at once: what waits takes memory, too


class CheckedMask(NamedTuple):
    """What a mask holds: ambiguous pixels, what marks its lesion, its pixels, those of lesion."""

    ambiguous: int
    mark: str
    pixels: int
    lesion: int


def check_pairs(pairs: Iterable[Pair], lesion_values: LesionValues | None = None) -> int:
    """Read every image and every mask; raise at the first file that cannot be trained on.

    Large JPEG images are decoded at 1/8 of their size, which reads the whole file nevertheless.

    Args:
        pairs: of one data set.
        lesion_values: as in `read_mask`.

    Returns:
        How many pixels of JPEG masks were neither clearly background (at most 15) nor clearly
        lesion (at least 200) before they were thresholded at 127.

    Raises:
        FileNotFoundError, ValueError: naming the file: unreadable, not a two-class mask, a mask of
            another size than its image, or masks that mark the lesion in different ways.
    """
    return sum(mask.ambiguous for mask in checked_masks(pairs, lesion_values).values())


def checked_masks(
    pairs: Iterable[Pair], lesion_values: LesionValues | None = None
) -> dict[Pair, CheckedMask]:
    """Check pairs as `check_pairs` does, and return what their masks hold.

    What was found is remembered while the process runs: both models are trained on the same files.
    """

    def check(pair: Pair) -> CheckedMask:
        return _check_pair(pair, lesion_values, *map(_state, pair[:2]))

    pairs = list(dict.fromkeys(pairs))
    blocks = [pairs[start : start + PAIRS_AT_ONCE] for start in range(0, len(pairs), PAIRS_AT_ONCE)]
    with ThreadPoolExecutor() as threads:
        found = [result for block in blocks for result in threads.map(check, block)]
    mixed = mixed_marks((pair.mask, seen.mark) for pair, seen in zip(pairs, found, strict=True))
    if mixed:
        raise ValueError(mixed)
    return dict(zip(pairs, found, strict=True))


@functools.lru_cache(maxsize=100_000)
def _check_pair(pair: Pair, lesion_values: LesionValues | None, *states) -> CheckedMask:
    """Read a pair; `states` are there so that files that have changed are read again."""
    small_image(pair.image, TRIAL_SIZE)
    found = read_mask_file(pair.mask, lesion_values)
    require_size(pair, picture_size(pair.image), found)
    lesion = int(np.count_nonzero(found.mask))
    return CheckedMask(found.ambiguous, found.lesion, found.mask.size, lesion)


def _state(file: Path) -> tuple[int, ...] | None:
    try:
        return file_state(file)
    except OSError:
        return None  # which reading it will explain


def require_size(pair: Pair, size: tuple[int, int], found: MaskFile) -> None:
    """Raise ValueError where a mask has not the size (height, width) of its image."""
    if size != found.mask.shape:
        raise ValueError(
            f"{pair.mask}: expected the size of its image {pair.image.name}, {_in_pixels(size)}. "
            f"Found {_in_pixels(found.mask.shape)}.{_turned(pair.image)}"
        )


def _turned(image: Path) -> str:
    if is_dicom(image):
        return ""
    turn = orientation(open_picture(image))
    if turn == 1:
        return ""
    return f" The image is turned by its EXIF orientation {turn}: the mask must be turned as well."


def _in_pixels(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]} pixels"
