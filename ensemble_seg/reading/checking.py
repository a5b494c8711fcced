"""What must be right with the files before a training starts."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .dicom import is_dicom
from .images import open_picture, orientation, picture_size, small_image
from .lesion_values import LesionValues
from .masks import MaskFile, mixed_marks, read_mask_file
from .pairs import Pair

TRIAL_SIZE = 32
PAIRS_AT_ONCE = 1000  # pairs handed to the threads at once: what waits takes memory, too


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

    def check(pair: Pair) -> tuple[int, str]:
        return _check_pair(pair, lesion_values)

    pairs = list(dict.fromkeys(pairs))
    blocks = [pairs[start : start + PAIRS_AT_ONCE] for start in range(0, len(pairs), PAIRS_AT_ONCE)]
    with ThreadPoolExecutor() as threads:
        found = [result for block in blocks for result in threads.map(check, block)]
    mixed = mixed_marks((pair.mask, mark) for pair, (_, mark) in zip(pairs, found, strict=True))
    if mixed:
        raise ValueError(mixed)
    return sum(ambiguous for ambiguous, _ in found)


def _check_pair(pair: Pair, lesion_values: LesionValues | None) -> tuple[int, str]:
    """Return a mask's ambiguous pixels, and what marks its lesion."""
    small_image(pair.image, TRIAL_SIZE)
    found = read_mask_file(pair.mask, lesion_values)
    require_size(pair, picture_size(pair.image), found)
    return found.ambiguous, found.lesion


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
