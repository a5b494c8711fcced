"""Image and mask files to arrays, by one stated rule for each kind of file."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from .dicom import read_dicom

CLEAR_BACKGROUND, CLEAR_LESION, THRESHOLD = 15, 200, 127
AMBIGUOUS_SHARE = 0.01
ORIENTATION = 0x0112


def read_image(path: str | Path) -> np.ndarray:
    """Read an image file as RGB.

    Grey becomes three equal channels, an alpha channel is dropped, palettes and CMYK are turned
    into RGB, an EXIF orientation is followed, and of 16 bits the upper 8 are kept, unless no value
    exceeds 255.

    Returns:
        (H, W, 3) uint8, RGB, 0..255.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is not an image that can be read.
    """
    return rgb_pixels(open_picture(path), path)


def rgb_pixels(picture: Image.Image, path: str | Path) -> np.ndarray:
    """Decode an opened image file by the rule of `read_image`: (H, W, 3) uint8."""
    picture = decoded(picture, path)
    if picture.mode.startswith(("I", "F")):
        grey = _eight_bit(picture, path)
        return np.repeat(grey[..., None], 3, axis=-1)
    return np.asarray(picture.convert("RGB"))


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
    return THRESHOLD + 1


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
        return _eight_bit(picture, path)
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


def open_picture(path: str | Path) -> Image.Image:
    """Open an image file and read its header, no pixels yet.

    Raises:
        FileNotFoundError: no such file.
        ValueError: empty, no image, or several images in one file.
    """
    path = Path(path)
    if not path.is_file():
        why = "a link that leads nowhere or in a circle" if path.is_symlink() else "no such file"
        raise FileNotFoundError(f"{path}: {why}.")
    if not path.stat().st_size:
        raise ValueError(f"{path}: an empty file (0 bytes). Replace it or leave it out.")
    if path.suffix.lower() == ".dcm":
        return Image.fromarray(read_dicom(path))
    try:
        picture = Image.open(path)
    except UnidentifiedImageError:
        raise unreadable(path, "its content is of no known image format") from None
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise unreadable(path, error) from error
    frames = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)
    if frames > 1:
        raise ValueError(
            f"{path}: expected one image, found {frames} in the file ({picture.format}). Save the "
            "one that is meant as PNG."
        )
    return picture


def decoded(picture: Image.Image, path: str | Path) -> Image.Image:
    """Decode an opened image file and turn it upright.

    Raises:
        ValueError: the file breaks off or its content is damaged.
    """
    try:
        picture.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise unreadable(path, "it breaks off" if "truncated" in str(error) else error) from error
    return ImageOps.exif_transpose(picture) if orientation(picture) != 1 else picture


def orientation(picture: Image.Image) -> int:
    """Return the EXIF orientation of an opened picture: 1 where it is upright as stored."""
    return picture.getexif().get(ORIENTATION, 1)


def picture_size(path: str | Path) -> tuple[int, int]:
    """Return (height, width) of an image file, upright, from its header."""
    with open_picture(path) as picture:
        width, height = picture.size
        return (width, height) if orientation(picture) >= 5 else (height, width)


def _eight_bit(picture: Image.Image, path: str | Path) -> np.ndarray:
    values = np.asarray(picture)
    missing = int(np.isnan(values).sum())
    if picture.mode != "F" and values.min() >= 0 and values.max() <= 65535:
        return (values if values.max() <= 255 else values.astype("uint32") >> 8).astype("uint8")
    found = f"{values.dtype} from {values.min():g} to {values.max():g}"
    if missing:
        found = f"{values.dtype} with {missing} NaN"
    raise ValueError(
        f"{path}: expected whole numbers 0..65535, found {found}. Save the image with 8 or 16 bits "
        "a channel."
    )


def unreadable(path: str | Path, reason: object) -> ValueError:
    """Return the error for a file whose content cannot be read."""
    return ValueError(
        f"{path}: not an image that can be read ({reason}). Replace the file or leave it out."
    )
