"""The values of a mask to 0 and 1: which are lesion, and which are refused."""

import numpy as np

from .stored import ADVICE

CLEAR_BACKGROUND, CLEAR_LESION = 15, 200
HIGHEST_BACKGROUND = 127
AMBIGUOUS_SHARE = 0.01
FLAT = 5  # side of a square of greys that no edge of a JPEG makes
FLAT_GREYS = 240  # above, what JPEG makes of 255
LESION = (0, 1, 255, 65535)  # the values that mean lesion without being asked; 0 for none
MANY = 8  # values, above which a mask is rather one of greys than one of classes
CHOOSE = "Or choose which values are lesion: --lesion-values {}, say (lesion_values in Python)."
MIDDLE = "--lesion-values 128-255 (lesion_values in Python)"


def mask_from_grey(grey: np.ndarray, name: str = "mask") -> np.ndarray:
    """Turn the grey values of a JPEG mask into 0 and 1.

    Args:
        grey: (H, W) uint8 or bool: {0, 1}, {0, 255}, or greys near 0 and 255 as JPEG leaves them.
        name: what to call the mask in an error.

    Returns:
        (H, W) uint8 of 0 and 1.

    Raises:
        ValueError: values above 1 without any white, more than 1 % of the pixels in 16..199, or a
            patch of 5 x 5 pixels in 16..239, which is a third class.

    Example:
        >>> mask_from_grey(np.array([[0, 3, 251, 255]], "uint8"))
        array([[0, 0, 1, 1]], dtype=uint8)
    """
    grey = np.asarray(grey).astype("uint8", copy=False)
    threshold = lesion_threshold(grey, name)
    if threshold > 1 and _has_flat_greys(grey):
        raise other_values(grey, name)
    return (grey >= threshold).view("uint8")


def lesion_threshold(grey: np.ndarray, name: str = "mask") -> int:
    """Return the lowest value that means lesion in a JPEG mask: 1 of {0, 1}, else 128.

    Args:
        grey: (H, W) uint8.
        name: what to call the mask in an error.

    Raises:
        ValueError: values above 1 without any white, or more than 1 % of the pixels in 16..199.
    """
    highest = grey.max(initial=0)
    if highest <= 1:
        return 1
    if highest < CLEAR_LESION or ambiguous_pixels(grey) > AMBIGUOUS_SHARE * grey.size:
        raise other_values(grey, name)
    return HIGHEST_BACKGROUND + 1


def lesion_value(values: np.ndarray, name: str = "mask") -> int:
    """Return the value that means lesion in a mask whose file keeps its values: 1, 255 or 65535.

    Args:
        values: (H, W) uint8, uint16 or int32.
        name: what to call the mask in an error.

    Raises:
        ValueError: a third value, or two others.

    Example:
        >>> lesion_value(np.array([[0, 255]], "uint8"))
        255
    """
    highest = values.max(initial=0)
    if highest not in LESION or (values.dtype.kind == "i" and values.min() < 0):
        raise other_values(values, name)
    if highest > 1 and np.count_nonzero(values) != np.count_nonzero(values == highest):
        raise other_values(values, name)
    return int(highest) or 1


def ambiguous_pixels(grey: np.ndarray) -> int:
    """Count the pixels of a 0..255 mask that are neither clearly background nor clearly lesion.

    Example:
        >>> ambiguous_pixels(np.array([0, 15, 16, 199, 200, 255]))
        2
    """
    above = np.asarray(grey, "uint8") - np.uint8(CLEAR_BACKGROUND + 1)
    # Clear background has wrapped round to 240 and more.
    return int(np.count_nonzero(above < CLEAR_LESION - CLEAR_BACKGROUND - 1))


def _has_flat_greys(grey: np.ndarray) -> bool:
    """Say whether a square of FLAT pixels has nothing but greys: an edge is narrower."""
    between = (grey > CLEAR_BACKGROUND) & (grey < FLAT_GREYS)
    rows, columns = np.nonzero(between)
    height, width = grey.shape
    inside = (rows <= height - FLAT) & (columns <= width - FLAT)
    rows, columns = rows[inside], columns[inside]
    for down in range(FLAT):
        for right in range(FLAT):
            still = between[rows + down, columns + right]
            rows, columns = rows[still], columns[still]
    return bool(len(rows))


def other_values(values: np.ndarray, name: str) -> ValueError:
    """Return the error for a mask that is not one of two classes: what is in it, and ways on."""
    found, counts = np.unique(values, return_counts=True)
    found = found[np.argsort(-counts, kind="stable")].tolist()
    way = CHOOSE.format(next((value for value in found if value > 0), 1))
    if len(found) > MANY:
        way = f"If it was resized or comes from a JPEG, cut it in the middle: {MIDDLE}."
    return ValueError(
        f"{name}: expected a mask of two classes, with values 0 and 1 or 0 and 255 (greys near "
        f"them in JPEG only). Found {len(found)} values, most often "
        f"{', '.join(map(str, found[:6]))}. {ADVICE} {way}"
    )
