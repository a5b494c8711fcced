"""What must be right with the files before a training starts."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .images import open_picture, orientation, picture_size, small_image
from .masks import ambiguous_pixels, mask_from_grey, read_grey
from .pairs import Pair

TRIAL_SIZE = 32
PAIRS_AT_ONCE = 1000  # pairs handed to the threads at once: what waits takes memory, too


def check_pairs(pairs: Iterable[Pair]) -> int:
    """Read every image and every mask; raise at the first file that cannot be trained on.

    Large JPEG images are decoded at 1/8 of their size, which reads the whole file nevertheless.

    Returns:
        How many mask pixels were neither clearly background (at most 15) nor clearly lesion (at
        least 200) before they were thresholded at 127.

    Raises:
        FileNotFoundError, ValueError: naming the file: unreadable, not a two-class mask, or a mask
            of another size than its image.
    """
    pairs = list(dict.fromkeys(pairs))
    blocks = [pairs[start : start + PAIRS_AT_ONCE] for start in range(0, len(pairs), PAIRS_AT_ONCE)]
    with ThreadPoolExecutor() as threads:
        return sum(sum(threads.map(_check_pair, block)) for block in blocks)


def _check_pair(pair: Pair) -> int:
    image, mask, _ = pair
    small_image(image, TRIAL_SIZE)
    size, grey = picture_size(image), read_grey(mask)
    mask_from_grey(grey, str(mask))
    if size != grey.shape:
        raise ValueError(
            f"{mask}: expected the size of its image {image.name}, {_in_pixels(size)}. "
            f"Found {_in_pixels(grey.shape)}.{_turned(image)}"
        )
    return ambiguous_pixels(grey)


def _turned(image: Path) -> str:
    turn = orientation(open_picture(image))
    if turn == 1:
        return ""
    return f" The image is turned by its EXIF orientation {turn}: the mask must be turned as well."


def _in_pixels(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]} pixels"
