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


def grey_mask(grey: np.ndarray, name: str = "mask") -> tuple[np.ndarray, int]:
    """Turn the grey values of a JPEG mask into 0 and 1.

    Args:
        grey: (H, W) uint8: 0 and 255, or greys near them as JPEG leaves them.
        name: what to call the mask in an error.

    Returns:
        (H, W) uint8 of 0 and 1, and how many pixels were ambiguous.

    Raises:
        ValueError: several values without any white, more than 1 % of the pixels in 16..199, or a
            patch of 5 x 5 pixels in 16..239, which is a third class.

    Example:
        >>> grey_mask(np.array([[0, 3, 251, 255]], "uint8"))
        (array([[0, 0, 1, 1]], dtype=uint8), 0)
    """
    ambiguous = require_two_greys(grey, name)
    if _has_flat_greys(grey):
        raise other_values(grey, name)
    return (grey > HIGHEST_BACKGROUND).view("uint8"), ambiguous


def require_two_greys(grey: np.ndarray, name: str = "mask") -> int:
    """Return how many pixels are ambiguous in a JPEG mask, which has to be black and white.

    One grey up to 15 everywhere is what JPEG makes of an empty mask.

    Args:
        grey: (H, W) uint8.
        name: what to call the mask in an error.

    Raises:
        ValueError: several values without any white, or more than 1 % of the pixels in 16..199.
    """
    highest = grey.max(initial=0)
    if highest <= CLEAR_BACKGROUND:
        if highest != grey.min(initial=CLEAR_BACKGROUND):
            raise ValueError(
                f"{name}: expected a JPEG mask of black and white, 0 and 255. Found values up to "
                f"{highest}, which JPEG does not keep. Save the mask as PNG."
            )
        return 0
    ambiguous = ambiguous_pixels(grey)
    if highest < CLEAR_LESION or ambiguous > AMBIGUOUS_SHARE * grey.size:
        raise other_values(grey, name)
    return ambiguous


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
    """Say whether a square of FLAT pixels a side has nothing but greys: an edge is narrower."""
    # Every such square has one pixel of those in each FLAT-th row and column.
    rows, columns = np.nonzero(_between(grey[::FLAT, ::FLAT]))
    for row, column in zip((rows * FLAT).tolist(), (columns * FLAT).tolist(), strict=True):
        top, left = max(0, row - FLAT + 1), max(0, column - FLAT + 1)
        around = grey[top : row + FLAT, left : column + FLAT]
        if _has_run(around[row - top]) and _has_run(around[:, column - left]):
            around = _between(around)
            for _ in range(FLAT - 1):
                around = around[1:] & around[:-1]
                around = around[:, 1:] & around[:, :-1]
            if around.any():
                return True
    return False


def _has_run(line: np.ndarray) -> bool:
    length = 0
    for value in line.tolist():
        length = length + 1 if CLEAR_BACKGROUND < value < FLAT_GREYS else 0
        if length == FLAT:
            return True
    return False


def _between(grey: np.ndarray) -> np.ndarray:
    return (grey > CLEAR_BACKGROUND) & (grey < FLAT_GREYS)


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
