"""The values that a mask file holds, before anything is made of them."""

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from .dicom import is_dicom, stored_values
from .images import decoded, has_narrowed_colours, open_picture, require_file

LOSSY = ("JPEG", "MPO")
JPEG_TOLERANCE = 16  # between the channels of a grey JPEG
OPAQUE = 255
ADVICE = "Save one mask for the lesion class, background 0 and lesion 255."


class Stored(NamedTuple):
    """What stands in a mask file.

    Attributes:
        values: (H, W) bool, uint8, uint16 or int32; of an indexed file the indices.
        lossy: the format changes values: greys near 0 and 255 are meant as these.
        palette: (N, 3) uint8 colours of the indices, None where there are none.
        alpha: (H, W) uint8, None where the whole picture is opaque.
    """

    values: np.ndarray
    lossy: bool = False
    palette: np.ndarray | None = None
    alpha: np.ndarray | None = None


def read_stored(path: str | Path) -> Stored:
    """Read the values of a mask file as they stand in it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is not an image, or it has colours without indices.
    """
    if is_dicom(path):
        require_file(Path(path))
        values = stored_values(path)
        return Stored(values if values.ndim == 2 else _one_channel(values, path))
    picture = open_picture(path)
    lossy = is_lossy(picture, path)
    if has_narrowed_colours(picture):
        raise ValueError(
            f"{path}: expected a grey mask, found colours with 16 bits a channel. {ADVICE}"
        )
    picture = decoded(picture, path)
    alpha = _alpha(picture)
    if picture.mode in ("P", "PA"):
        values = np.asarray(picture)
        palette = np.array(picture.getpalette("RGB"), "uint8").reshape(-1, 3)
        return Stored(values[..., 0] if values.ndim == 3 else values, False, palette, alpha)
    return Stored(_grey_values(picture, path, lossy), lossy, None, alpha)


def is_lossy(picture: Image.Image, path: str | Path) -> bool:
    """Say whether the format of an opened file changes the values that were saved."""
    if picture.format == "TIFF":
        return picture.info.get("compression") in ("jpeg", "tiff_jpeg")
    if picture.format == "WEBP":
        return _is_lossy_webp(Path(path).read_bytes())
    return picture.format in LOSSY


def has_transparency(picture: Image.Image) -> bool:
    """Say whether an opened picture has an alpha channel, or a colour that is transparent."""
    return picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info


def _grey_values(picture: Image.Image, path: str | Path, lossy: bool) -> np.ndarray:
    if picture.mode in ("1", "L") or picture.mode.startswith("I"):
        return np.asarray(picture)
    if picture.mode == "LA":
        return np.asarray(picture)[..., 0]
    if picture.mode not in ("RGB", "RGBA", "RGBX", "CMYK", "YCbCr"):
        what = "float32" if picture.mode == "F" else f"the colour mode {picture.mode}"
        raise ValueError(f"{path}: expected whole numbers 0..65535, found {what}. {ADVICE}")
    return _one_channel(np.asarray(picture.convert("RGB")), path, lossy)


def _one_channel(colours: np.ndarray, path: str | Path, lossy: bool = False) -> np.ndarray:
    red, green, blue = np.moveaxis(colours, -1, 0)
    if not (np.array_equal(red, green) and np.array_equal(green, blue)):
        widest = int(np.ptp(colours.astype("int32"), axis=-1).max())
        if not lossy or widest > JPEG_TOLERANCE:
            raise ValueError(f"{path}: expected a grey mask, found colours. {ADVICE}")
    return red


def _alpha(picture: Image.Image) -> np.ndarray | None:
    if not has_transparency(picture) or picture.mode.startswith("I"):
        return None
    alpha = np.asarray(picture.convert("RGBA").getchannel("A"))
    return None if alpha.min(initial=OPAQUE) == OPAQUE else alpha


def _is_lossy_webp(data: bytes) -> bool:
    place = 12  # behind RIFF, length and WEBP
    while place + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, place)
        if name in (b"VP8 ", b"VP8L"):
            return name == b"VP8 "
        place += 8 + length + length % 2
    return False
