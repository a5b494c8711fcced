"""Image and mask files in the plain form: 8-bit images, masks of two values, and their windows."""

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")
ORIENTATION = 0x0112  # EXIF
BITS_PER_SAMPLE = 258  # TIFF
HIGHEST_BACKGROUND = 127  # of a JPEG, which changes values
CLEAR_BACKGROUND, CLEAR_LESION, MOST_GREYS = 15, 200, 0.01
CHANNELS_DIFFER = 16  # at most, in a grey JPEG
IMPORT = "ensemble-seg import FOLDER OUT turns a data set into the plain form."


class Box(NamedTuple):
    """Half-open window of an image in pixels: rows top..bottom-1, columns left..right-1."""

    top: int
    left: int
    bottom: int
    right: int


def read_image(path: str | Path) -> np.ndarray:
    """Read an image file of 8 bits as RGB, upright; an alpha channel is dropped.

    Returns:
        (H, W, 3) uint8, RGB, 0..255.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not an image, damaged, several images in one, or more than 8 bits a channel.
    """
    with _opened(path) as picture:
        return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))


def read_mask(path: str | Path) -> np.ndarray:
    """Read a mask file of two values: 0 is background, the other one lesion.

    JPEG changes values: there, lesion is what exceeds 127.

    Returns:
        (H, W) uint8 of 0 and 1, upright.

    Raises:
        FileNotFoundError: no such file.
        ValueError: damaged, several or unequal channels, alpha, a palette, more than 8 bits, or
            other values than two.
    """
    return mask_and_value(path)[0]


def mask_and_value(path: str | Path) -> tuple[np.ndarray, int]:
    """Read a mask as `read_mask`, and the value that marks its lesion: 0 where there is none."""
    with _opened(path) as picture:
        lossy = picture.format in ("JPEG", "MPO")
        if picture.mode not in ("1", "L", "RGB") or "transparency" in picture.info:
            raise _no_mask(path, f"mode {picture.mode}, or a transparent colour")
        picture = ImageOps.exif_transpose(picture)
        values = np.asarray(picture)
        if values.ndim == 3:
            if np.ptp(values, axis=-1).max(initial=0) > (CHANNELS_DIFFER if lossy else 0):
                raise _no_mask(path, "channels that differ: colours")
            values = values[..., 0]
    if values.dtype == bool:
        return values.astype("uint8"), 255 * bool(values.any())
    if lossy:
        values = _of_jpeg(values, path)
    found = np.flatnonzero(np.bincount(values.ravel(), minlength=1))
    if len(found) > 2 or (len(found) == 2 and found[0] != 0):
        text = ", ".join(map(str, found[:6])) + ("..." if len(found) > 6 else "")
        raise _no_mask(path, f"{len(found)} values: {text}")
    return (values > 0).view("uint8"), int(found.max(initial=0))


def small_image(path: str | Path, size: int, box: Box | None = None) -> np.ndarray:
    """Read a window of an image file, resized bilinear with anti-aliasing.

    A large JPEG is decoded at 1/2, 1/4 or 1/8 where that leaves `size` pixels on each side.

    Args:
        path: as in `read_image`.
        size: side of the result, pixels.
        box: the window, None for the whole image.

    Returns:
        (size, size, 3) uint8 RGB.
    """
    with _opened(path) as picture:
        top, left, bottom, right = box or (0, 0, *_size(picture))
        scale = 1
        if picture.format == "JPEG" and picture.mode in ("RGB", "L") and not _turn(picture):
            fits = (each for each in (8, 4, 2) if min(bottom - top, right - left) >= each * size)
            scale = next(fits, 1)
            picture.draft(picture.mode, (picture.width // scale, picture.height // scale))
        window = (top / scale, left / scale, bottom / scale, right / scale)
        return _resized(ImageOps.exif_transpose(picture).convert("RGB"), size, window)


def small_mask(path: str | Path, size: int, box: Box | None = None) -> np.ndarray:
    """Read a window of a mask file, resized to the nearest pixel: (size, size) uint8 of 0 and 1."""
    picture = Image.fromarray(read_mask(path))
    top, left, bottom, right = box or (0, 0, picture.height, picture.width)
    corners = (left, top, right, bottom)
    return np.asarray(picture.resize((size, size), Image.Resampling.NEAREST, corners))


def resize_image(
    image: np.ndarray, size: int, window: tuple[float, float, float, float] | None = None
) -> np.ndarray:
    """Resize an image (H, W, 3) uint8, or a window of it, bilinear with anti-aliasing.

    Args:
        image: RGB.
        size: side of the result, pixels.
        window: top, left, bottom, right in pixels; need not be whole numbers.

    Returns:
        (size, size, 3) uint8.
    """
    return _resized(Image.fromarray(image), size, window or (0, 0, *image.shape[:2]))


def picture_size(path: str | Path) -> tuple[int, int]:
    """Return (height, width) of an image file, upright, from its header."""
    with Image.open(path) as picture:
        return _size(picture)


def image_files(folder: Path) -> list[Path]:
    """Return the image files of a folder by their suffix, sorted by name, hidden ones left out."""
    files = (file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
    return sorted(file for file in files if file.name[0] != "." and not file.is_dir())


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[Image.Image]:
    """Open an image file; whatever goes wrong with its content names it.

    Pillow does not compare the checksums of a PNG while it decodes: `verify` does.
    """
    try:
        # By its handle: Pillow maps a named grey TIFF into memory, and one that is turned wrongly.
        with Path(path).open("rb") as file, Image.open(file) as picture:
            if getattr(picture, "n_frames", 1) > 1 and picture.format != "MPO":
                raise ValueError(f"{path}: expected one image, found {picture.n_frames}. {IMPORT}")
            if picture.format == "PNG":
                with Image.open(path) as again:
                    again.verify()
            _refuse_16_bits(picture, path)
            yield picture
    except FileNotFoundError:
        raise
    except Exception as error:  # Pillow raises many kinds for a damaged file
        if isinstance(error, ValueError) and str(path) in str(error):
            raise
        raise ValueError(f"{path}: not an image that can be read ({error}).") from error


def _refuse_16_bits(picture: Image.Image, path: str | Path) -> None:
    """Raise ValueError for more than 8 bits, of which Pillow would keep some without a word."""
    wide = picture.mode.startswith(("I", "F"))
    if picture.format == "PNG":
        wide = wide or any(str(tile[3]).endswith(";16B") for tile in picture.tile)
    if picture.format == "TIFF":
        wide = wide or max(picture.tag_v2.get(BITS_PER_SAMPLE) or (8,)) > 8
    if wide:
        raise ValueError(f"{path}: expected 8 bits a channel, found more. {IMPORT}")


def _size(picture: Image.Image) -> tuple[int, int]:
    width, height = picture.size
    if picture.format == "TIFF":  # whose size Pillow has turned
        width, height = picture.tag_v2[256], picture.tag_v2[257]
    return (width, height) if _turn(picture) >= 5 else (height, width)


def _turn(picture: Image.Image) -> int:
    """Return how the EXIF says that the picture has to be turned: 2..8, 0 for not at all."""
    turn = picture.getexif().get(ORIENTATION, 1)
    return turn if turn in range(2, 9) else 0


def _of_jpeg(grey: np.ndarray, path: str | Path) -> np.ndarray:
    """Cut the greys of a JPEG mask in the middle, where black and white can be told."""
    greys = np.count_nonzero((grey > CLEAR_BACKGROUND) & (grey < CLEAR_LESION))
    dark = grey.max(initial=0) < CLEAR_LESION and np.ptp(grey) > 0
    if dark or greys > MOST_GREYS * grey.size:
        found = f"{greys} of {grey.size} pixels from 16 to 199, the highest {grey.max()}"
        raise _no_mask(path, f"a JPEG with {found}")
    return np.where(grey > HIGHEST_BACKGROUND, 255, 0).astype("uint8")


def _no_mask(path: str | Path, found: str) -> ValueError:
    return ValueError(
        f"{path}: expected a mask of two values, 0 and one other (such as 255), in one channel or "
        f"equal ones, without alpha. Found {found}. {IMPORT}"
    )


def _resized(picture: Image.Image, size: int, window: tuple) -> np.ndarray:
    top, left, bottom, right = window
    y, x = int(top), int(left)
    # Cut first: Pillow's filter would reach beyond the window.
    cut = (x, y, math.ceil(right), math.ceil(bottom))
    if cut != (0, 0, *picture.size):
        picture = picture.crop(cut)
    corners = (left - x, top - y, right - x, bottom - y)
    return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR, corners))
