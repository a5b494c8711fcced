"""Mask files to 0 and 1: what counts as lesion, and what is refused."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from .classes import (
    CHOOSE,
    HIGHEST_BACKGROUND,
    MIDDLE,
    grey_mask,
    lesion_value,
    require_two_greys,
)
from .dicom import is_dicom
from .images import decoded, draft, is_plain_jpeg, open_picture, orientation
from .lesion_values import LesionValues
from .pairs import Box
from .refusing import names_its_file
from .stored import ADVICE, Stored, has_transparency, is_lossy, read_stored

THRESHOLD = tuple(range(HIGHEST_BACKGROUND + 1, 256))


class MaskFile(NamedTuple):
    """A mask and how its file says lesion.

    Attributes:
        mask: (H, W) uint8 of 0 and 1.
        lesion: what marks the lesion: "1", "255", "255 of 16 bits", "65535", a colour such as
            "#800000", or "1 bit"; "" where there is no lesion, and where its values were chosen.
        ambiguous: pixels of a JPEG in 16..199, which are cut at 127.
        lossy: JPEG, whose values are near those of background and lesion.
    """

    mask: np.ndarray
    lesion: str
    ambiguous: int = 0
    lossy: bool = False


def read_mask(path: str | Path, lesion_values: LesionValues | None = None) -> np.ndarray:
    """Read a mask file as lesion (1) and background (0).

    Where a file keeps its values (PNG, TIFF, BMP, DICOM) they are {0, 1}, {0, 255} or {0, 65535};
    everything else is refused. JPEG changes values: there, lesion is what exceeds 127; see
    `grey_mask`. Of an indexed file black is background, whatever its index.

    Args:
        path: the file.
        lesion_values: the values that are lesion, all others being background, of an indexed file
            its indices.

    Returns:
        (H, W) uint8 of 0 and 1.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is not an image, or its values are not those of a two-class mask.
    """
    return read_mask_file(path, lesion_values).mask


@names_its_file
def read_mask_file(path: str | Path, lesion_values: LesionValues | None = None) -> MaskFile:
    """Read a mask file as `read_mask`, and say what marks the lesion in it."""
    stored, name = read_stored(path), str(path)
    if lesion_values is not None:
        found = MaskFile(_chosen(stored, lesion_values, name), "")
    elif stored.lossy:
        found = _from_lossy(stored.values, name)
    elif stored.palette is not None:
        found = _from_palette(stored, name)
    else:
        found = _from_values(stored.values, name)
    if stored.alpha is not None and not np.array_equal(stored.alpha > 0, found.mask > 0):
        raise ValueError(
            f"{name}: expected an opaque mask, found an alpha channel from {stored.alpha.min()} to "
            f"{stored.alpha.max()} that says something else than the colours. {ADVICE}"
        )
    return found


def mixed_marks(marks: Iterable[tuple[Path, str]]) -> str:
    """Return a message if masks of one set mark the lesion in several ways, "" if they do not.

    Where one mask is {0, 1} and another {0, 255}, 255 may well be another class, or a border.
    White of 8 and of 16 bits is the same, and 1 bit says nothing else than either.

    Args:
        marks: the file and `MaskFile.lesion` of each mask.
    """
    first, counts = {}, Counter()
    for path, mark in marks:
        if mark not in ("", "1 bit"):
            counts[mark] += 1
            first.setdefault(mark, path)
    if len({"255" if mark == "65535" else mark for mark in counts}) < 2:
        return ""
    found = ", ".join(f"{mark} in {n} masks ({first[mark]})" for mark, n in counts.most_common())
    text = f"Expected masks that all mark the lesion with one value. Found {found}."
    values = [mark.split()[0] for mark in counts]
    if not all(value.isdigit() for value in values):
        return f"{text} {ADVICE}"
    chosen = " ".join(sorted(set(values), key=int))
    return f"{text} If all of them are lesion, say so: --lesion-values {chosen}."


@names_its_file
def small_mask(
    path: Path, size: int, box: Box | None = None, lesion_values: LesionValues | None = None
) -> np.ndarray:
    """Read a window of a mask file, resized to the nearest pixel; halfway, either neighbour.

    A large JPEG is decoded at a reduced size, as images are: there a pixel is lesion where most of
    the block that it stands for is. Whether such a mask has two classes `check_pairs` has to say.

    Returns:
        (size, size) uint8 of 0 and 1.

    Raises:
        FileNotFoundError, ValueError: as `read_mask`.
    """
    if lesion_values is None and not is_dicom(path):
        picture = open_picture(path)
        if is_plain_jpeg(picture):
            return _small_jpeg(picture, path, size, box)
        if _is_plain_grey(picture, path):
            picture = decoded(picture, path)
            value = lesion_value(np.asarray(picture), str(path))
            return (_nearest(picture, size, box) == value).view("uint8")
    return _nearest(Image.fromarray(read_mask(path, lesion_values)), size, box)


def _small_jpeg(picture: Image.Image, path: Path, size: int, box: Box | None) -> np.ndarray:
    stored = picture.size
    corners = draft(picture, "L", size, box)
    picture = decoded(picture, path)
    if picture.size == stored:
        require_two_greys(np.asarray(picture), str(path))
    return (_nearest(picture, size, corners) > HIGHEST_BACKGROUND).view("uint8")


def _is_plain_grey(picture: Image.Image, path: Path) -> bool:
    fits = picture.mode == "L" and orientation(picture) == 1 and not has_transparency(picture)
    return fits and not is_lossy(picture, path)


def _nearest(picture: Image.Image, size: int, window: tuple | None) -> np.ndarray:
    top, left, bottom, right = window or (0, 0, picture.height, picture.width)
    small = picture.resize((size, size), Image.Resampling.NEAREST, (left, top, right, bottom))
    return np.asarray(small)


def _from_lossy(grey: np.ndarray, name: str) -> MaskFile:
    mask, ambiguous = grey_mask(grey, name)
    return MaskFile(mask, "255" if mask.any() else "", ambiguous, lossy=True)


def _from_values(values: np.ndarray, name: str) -> MaskFile:
    if values.dtype == bool:
        return MaskFile(values.astype("uint8"), "1 bit" if values.any() else "")
    value = lesion_value(values, name)
    mask = (values == value).view("uint8")
    mark = f"{value} of 16 bits" if value == 255 and values.dtype != np.uint8 else str(value)
    return MaskFile(mask, mark if mask.any() else "")


def _from_palette(stored: Stored, name: str) -> MaskFile:
    """Tell lesion by colour: black is background, and white, or the only other colour, lesion.

    Index 2 beside black may be another class than index 1: only 0 and 1 are taken.
    """
    used = np.flatnonzero(np.bincount(stored.values.ravel()))
    colours = {int(i): _colour(stored.palette[i]) for i in used if i < len(stored.palette)}
    shown = set(colours.values())
    two = len(shown) == len(used)  # each index has a colour, and its own
    lesion = shown - {"0"}
    if not two or not (lesion <= {"255"} or (set(colours) == {0, 1} and len(lesion) == 1)):
        found = ", ".join(f"{i} ({colours.get(i, 'no colour')})" for i in used[:6].tolist())
        raise ValueError(
            f"{name}: expected an indexed mask of black and white, or of indices 0 and 1 of which "
            f"one is black. Found {len(used)} indices: {found}. {ADVICE} {CHOOSE.format('INDEX')}"
        )
    mask = np.isin(stored.values, [i for i, colour in colours.items() if colour in lesion])
    return MaskFile(mask.view("uint8"), lesion.pop() if lesion else "")


def _chosen(stored: Stored, lesion_values: LesionValues, name: str) -> np.ndarray:
    if stored.lossy and lesion_values != THRESHOLD:
        raise ValueError(
            f"{name}: expected a file that keeps its values, found JPEG or lossy WebP, in which "
            f"{' '.join(map(str, lesion_values[:6]))} cannot be told from values near them. Save "
            f"the mask as PNG, or cut it in the middle: {MIDDLE}."
        )
    values = stored.values
    if values.dtype == bool:  # white may be called 1 or 255
        values = values.astype("uint8") * (1 if 1 in lesion_values else 255)
    mask = np.isin(values, lesion_values)
    if stored.palette is None or values.max(initial=0) >= len(stored.palette):
        return mask.view("uint8")
    greys = stored.palette[values]
    same = (greys == greys[..., :1]).all(axis=-1)
    by_colour = same & np.isin(greys[..., 0], lesion_values)
    if not same.all() or np.array_equal(mask, by_colour) or not by_colour.any():
        return mask.view("uint8")
    if mask.any():
        raise ValueError(
            f"{name}: the chosen values are indices of this file, and greys that other indices "
            f"stand for. {ADVICE}"
        )
    return by_colour.view("uint8")


def _colour(colour: np.ndarray) -> str:
    red, green, blue = colour.tolist()
    return str(red) if red == green == blue else f"#{red:02x}{green:02x}{blue:02x}"
