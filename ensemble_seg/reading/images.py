"""Image files to arrays, by one stated rule for each kind of file, whole or a window of them."""

import math
import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from .dicom import is_dicom, read_dicom
from .pairs import Box
from .refusing import names_its_file, require_pixels, unreadable

SUFFIXES = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".gif", ".webp"),
    ".dcm",
)
ORIENTATION = 0x0112
BITS_PER_SAMPLE, PHOTOMETRIC, PLANES = 258, 262, 284  # tags of TIFF
FILLED = 1 << 14  # of 16 bits, the range below which less than 64 of 256 greys would be left
SCALES = (8, 4, 2, 1)  # at which a JPEG can be decoded
Corners = tuple[float, float, float, float]  # top, left, bottom, right in pixels


def image_files(folder: Path) -> list[Path]:
    """Return the files of a folder that have an image's suffix, sorted by name."""
    return [folder / name for name in image_names(folder)]


def image_names(folder: Path) -> list[str]:
    """Return their names."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if entry.name.lower().endswith(SUFFIXES)
            and entry.name[0] != "."
            and (entry.is_file(follow_symlinks=False) or not Path(entry).is_dir())
        )


@names_its_file
def read_image(path: str | Path) -> np.ndarray:
    """Read an image file as RGB.

    Grey becomes three equal channels, an alpha channel is dropped, palettes and CMYK are turned
    into RGB, an EXIF orientation is followed, and of 16 bits the upper 8 are kept. Files of 16 bits
    whose values fill less than a quarter of their range (12 bits, say) are refused: one file
    cannot tell which scale its set has.

    Returns:
        (H, W, 3) uint8, RGB, 0..255.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is not an image that can be read.
    """
    return rgb_pixels(open_picture(path), path)


def rgb_pixels(picture: Image.Image, path: str | Path) -> np.ndarray:
    """Decode an opened image file by the rule of `read_image`: (H, W, 3) uint8."""
    narrowed = has_narrowed_colours(picture)
    picture = decoded(picture, path)
    if picture.mode.startswith(("I", "F")):
        grey = eight_bit(picture, path)
        return np.repeat(grey[..., None], 3, axis=-1)
    colours = np.asarray(picture.convert("RGB"))
    if narrowed and np.ptp(colours) < FILLED >> 8:
        raise ValueError(
            f"{path}: 16 bits a channel, of which the upper 8 hold {np.ptp(colours) + 1} greys "
            "only. Save the images of the set with 8 bits a channel, all with one scale."
        )
    return colours


@names_its_file
def open_picture(path: str | Path) -> Image.Image:
    """Open an image file and read its header, no pixels yet.

    Raises:
        FileNotFoundError: no such file.
        ValueError: empty, no image, too large, or several images in one file.
    """
    require_file(path)
    if is_dicom(path):
        return Image.fromarray(read_dicom(path))
    picture = Image.open(path)
    require_pixels(path, *picture.size)
    frames = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)
    if _tag(picture, PLANES) == 2 and has_narrowed_colours(picture):
        raise unreadable(path, "16 bits a channel, each channel for itself")
    if frames > 1:
        raise ValueError(
            f"{path}: expected one image, found {frames} in the file ({picture.format}). Save the "
            "one that is meant as PNG."
        )
    return picture


def require_file(path: Path) -> None:
    """Raise FileNotFoundError where there is no file, ValueError where it is empty."""
    if not path.is_file():
        why = "a link that leads nowhere or in a circle" if path.is_symlink() else "no such file"
        raise FileNotFoundError(f"{path}: {why}.")
    if not path.stat().st_size:
        raise ValueError(f"{path}: an empty file (0 bytes). Replace it or leave it out.")


def decoded(picture: Image.Image, path: str | Path) -> Image.Image:
    """Decode an opened image file, turn it upright, and a 16-bit TIFF whose white is 0 positive.

    The checksums of a PNG are compared, which Pillow does not do while it decodes.
    """
    if picture.format == "PNG":
        with Image.open(path) as again:
            again.verify()
    picture.load()
    negative = picture.mode.startswith("I;16") and _tag(picture, PHOTOMETRIC) == 0
    if orientation(picture) != 1:
        picture = ImageOps.exif_transpose(picture)
    # Pillow turns negatives of 8 bits only.
    return Image.fromarray(65535 - np.asarray(picture, "uint16")) if negative else picture


def orientation(picture: Image.Image) -> int:
    """Return the EXIF orientation of an opened picture: 1 where it is upright as stored."""
    turn = picture.getexif().get(ORIENTATION, 1)
    return turn if turn in range(1, 9) else 1


@names_its_file
def picture_size(path: str | Path) -> tuple[int, int]:
    """Return (height, width) of an image file, upright, from its header."""
    with open_picture(path) as picture:
        width, height = picture.size
        return (width, height) if orientation(picture) >= 5 else (height, width)


def has_narrowed_colours(picture: Image.Image) -> bool:
    """Say whether an opened file has 16 bits a channel, of which Pillow keeps the upper 8."""
    if picture.mode.startswith(("I", "F")):
        return False
    if picture.format == "PNG":
        return any(str(tile[3]).endswith(";16B") for tile in picture.tile)
    return picture.format == "TIFF" and max(_tag(picture, BITS_PER_SAMPLE) or (8,)) > 8


def eight_bit(picture: Image.Image, path: str | Path) -> np.ndarray:
    """Return the upper 8 bits of a 16-bit picture as uint8; refuse one that leaves them unused."""
    values = np.asarray(picture)
    low, high = values.min(), values.max()
    missing = int(np.isnan(values).sum())
    if picture.mode != "F" and low >= 0 and high <= 65535:
        if high and int(high) - int(low) < FILLED:
            raise ValueError(
                f"{path}: 16 bits a pixel, of which the values {low} to {high} fill too little to "
                "tell their scale. Give the images of the set one scale with python -m "
                f"ensemble_seg convert {Path(path).parent} NEW_FOLDER"
            )
        return (values.astype("uint32") >> 8).astype("uint8")
    found = f"{values.dtype} from {values.min():g} to {values.max():g}"
    if missing:
        found = f"{values.dtype} with {missing} NaN"
    raise ValueError(
        f"{path}: expected whole numbers 0..65535, found {found}. Save the image with 8 or 16 bits "
        "a channel."
    )


@names_its_file
def small_image(path: Path, size: int, box: Box | None = None) -> np.ndarray:
    """Read a window of an image file, resized with anti-aliasing.

    A large JPEG is decoded at 1/2, 1/4 or 1/8 of its size where that leaves at least `size` pixels
    on each side of the window.

    Args:
        path: any image that `read_image` reads.
        size: side of the result, pixels.
        box: the window, None for the whole image.

    Returns:
        (size, size, 3) uint8 RGB.

    Raises:
        FileNotFoundError, ValueError: as `read_image`.
    """
    picture = open_picture(path)
    if not is_plain_jpeg(picture):
        return resize_image(rgb_pixels(picture, path), size, box)
    corners = draft(picture, picture.mode, size, box)
    picture = decoded(picture, path)
    if picture.mode != "RGB":
        picture = picture.convert("RGB")
    return _resized(picture, size, corners)


def resize_image(image: np.ndarray, size: int, window: Corners | None = None) -> np.ndarray:
    """Resize an image, or a window of it, bilinear with anti-aliasing.

    Args:
        image: (H, W, 3) uint8.
        size: side of the result, pixels.
        window: top, left, bottom, right in pixels; need not be whole numbers.

    Returns:
        (size, size, 3) uint8.
    """
    return _resized(Image.fromarray(image), size, window)


def is_plain_jpeg(picture: Image.Image) -> bool:
    """Say whether an opened picture can be decoded at a part of its size by `draft`."""
    return picture.format == "JPEG" and picture.mode in ("RGB", "L") and orientation(picture) == 1


def draft(picture: Image.Image, mode: str, size: int, box: Box | None) -> Corners:
    """Let an opened JPEG be decoded at 1/2, 1/4 or 1/8 if that leaves `size` pixels a side.

    Returns:
        Where the window lies in what will be decoded.
    """
    top, left, bottom, right = box or (0, 0, picture.height, picture.width)
    shorter = min(bottom - top, right - left)
    scale = next((scale for scale in SCALES if shorter >= scale * size), 1)
    picture.draft(mode, (picture.width // scale, picture.height // scale))
    return top / scale, left / scale, bottom / scale, right / scale


def _resized(picture: Image.Image, size: int, window: Corners | None) -> np.ndarray:
    top, left, bottom, right = window or (0, 0, picture.height, picture.width)
    y, x = int(top), int(left)
    # Cut first: Pillow's filter would reach beyond the window.
    cut = (x, y, math.ceil(right), math.ceil(bottom))
    if cut != (0, 0, *picture.size):
        picture = picture.crop(cut)
    corners = (left - x, top - y, right - x, bottom - y)
    return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR, corners))


def _tag(picture: Image.Image, number: int):
    return getattr(picture, "tag_v2", {}).get(number)
