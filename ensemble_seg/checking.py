"""What must be right with the files before a training starts."""

from collections.abc import Iterable

from .datasets import Pair
from .reading import ambiguous_pixels, image_size, mask_from_grey, read_grey


def check_pairs(pairs: Iterable[Pair]) -> int:
    """Read every mask and every image's header; raise at the first file that cannot be trained on.

    Returns:
        How many mask pixels were neither clearly background (at most 15) nor clearly lesion (at
        least 200) before they were thresholded at 127.

    Raises:
        FileNotFoundError, ValueError: naming the file: unreadable, not a two-class mask, or a mask
            of another size than its image.
    """
    ambiguous = 0
    for image, mask in {pair[:2]: None for pair in pairs}:
        size, grey = image_size(image), read_grey(mask)
        mask_from_grey(grey, str(mask))
        if size != grey.shape:
            raise ValueError(
                f"{mask}: expected the size of its image {image.name}, {_size(size)}. "
                f"Found {_size(grey.shape)}."
            )
        ambiguous += ambiguous_pixels(grey)
    return ambiguous


def _size(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]} pixels"
