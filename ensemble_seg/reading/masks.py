"""Mask files to 0 and 1: what counts as lesion, and what is refused."""

from pathlib import Path

import numpy as np
from PIL import Image

from .images import decoded, draft, eight_bit, is_plain_jpeg, open_picture, orientation
from .pairs import Box

CLEAR_BACKGROUND, CLEAR_LESION = 15, 200
HIGHEST_BACKGROUND = 127
AMBIGUOUS_SHARE = 0.01


def read_mask(path: str | Path) -> np.ndarray:
    """Read a mask file as lesion (1) and background (0).

    Values {0, 1} are taken as they are, other greys are lesion above 127. See `mask_from_grey`
    for what is refused.

    Returns:
        (H, W) uint8 of 0 and 1.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is not an image, or its values are not those of a two-class mask.
    """
    return mask_from_grey(read_grey(path), str(path))


def mask_from_grey(grey: np.ndarray, name: str = "mask") -> np.ndarray:
    """Turn the grey values of a mask file into 0 and 1.

    Args:
        grey: (H, W) uint8 or bool: {0, 1}, {0, 255}, or greys near 0 and 255 as JPEG leaves them.
        name: what to call the mask in an error.

    Returns:
        (H, W) uint8 of 0 and 1.

    Raises:
        ValueError: values above 1 without any white, or more than 1 % of the pixels in 16..199.

    Example:
        >>> mask_from_grey(np.array([[0, 3, 251, 255]], "uint8"))
        array([[0, 0, 1, 1]], dtype=uint8)
    """
    grey = np.asarray(grey).astype("uint8", copy=False)
    return (grey >= lesion_threshold(grey, name)).view("uint8")


def lesion_threshold(grey: np.ndarray, name: str = "mask") -> int:
    """Return the lowest value that means lesion in a mask file: 1 of {0, 1}, else 128.

    Args:
        grey: (H, W) uint8.
        name: what to call the mask in an error.

    Raises:
        ValueError: as `mask_from_grey`.
    """
    highest = grey.max(initial=0)
    if highest <= 1:
        return 1
    if highest < CLEAR_LESION or ambiguous_pixels(grey) > AMBIGUOUS_SHARE * grey.size:
        values, counts = np.unique(grey, return_counts=True)
        found = ", ".join(str(value) for value in values[np.argsort(-counts)][:6])
        raise ValueError(
            f"{name}: expected a mask of two classes, with values 0 and 1 or 0 and 255 (JPEG greys "
            f"near them are fine). Found {len(values)} values, most often {found}. Save one mask "
            "for the lesion class, background 0 and lesion 255."
        )
    return HIGHEST_BACKGROUND + 1


def ambiguous_pixels(grey: np.ndarray) -> int:
    """Count the pixels of a 0..255 mask that are neither clearly background nor clearly lesion.

    Example:
        >>> ambiguous_pixels(np.array([0, 15, 16, 199, 200, 255]))
        2
    """
    above = np.asarray(grey, "uint8") - np.uint8(CLEAR_BACKGROUND + 1)
    # Clear background has wrapped round to 240 and more.
    return int(np.count_nonzero(above < CLEAR_LESION - CLEAR_BACKGROUND - 1))


def read_grey(path: str | Path) -> np.ndarray:
    """Read the values of a mask file: (H, W), of a palette the indices unless its colours are grey.

    Raises:
        FileNotFoundError, ValueError: as `read_mask`; colours are refused.
    """
    picture = decoded(open_picture(path), path)
    if picture.mode.startswith(("I", "F")):
        return eight_bit(picture, path)
    if picture.mode in ("1", "L", "LA"):
        return np.asarray(picture.convert("L"))
    colours = np.asarray(picture.convert("RGB"))
    if picture.mode == "P" and not _is_grey(colours):
        return np.asarray(picture)
    if not _is_grey(colours):
        raise ValueError(
            f"{path}: expected a grey mask, found colours. Save one mask for the lesion class, "
            "background 0 and lesion 255."
        )
    return colours[..., 0]


def _is_grey(colours: np.ndarray, tolerance: int = 16) -> bool:
    red, green, blue = np.moveaxis(colours.astype("int16"), -1, 0)
    return all(
        np.abs(a - b).max(initial=0) <= tolerance
        for a, b in ((red, green), (green, blue), (blue, red))
    )


def small_mask(path: Path, size: int, box: Box | None = None) -> np.ndarray:
    """Read a window of a mask file, resized to the nearest pixel; halfway, either neighbour.

    A large JPEG is decoded at a reduced size, as images are: there a pixel is lesion where most of
    the block that it stands for is. Whether such a mask has two classes `check_pairs` has to say.

    Returns:
        (size, size) uint8 of 0 and 1.

    Raises:
        FileNotFoundError, ValueError: as `read_mask`.
    """
    picture = open_picture(path)
    stored = picture.size
    if is_plain_jpeg(picture):
        corners = draft(picture, "L", size, box)
    else:
        if picture.mode != "L" or orientation(picture) != 1:
            picture = Image.fromarray(read_mask(path))
        corners = box or (0, 0, picture.height, picture.width)
    top, left, bottom, right = corners
    picture = decoded(picture, path)
    grey = np.asarray(picture)
    if picture.size == stored:
        threshold = lesion_threshold(grey, str(path))
    else:
        threshold = 1 if grey.max(initial=0) <= 1 else HIGHEST_BACKGROUND + 1
    small = picture.resize((size, size), Image.Resampling.NEAREST, (left, top, right, bottom))
    return (np.asarray(small) >= threshold).view("uint8")
