"""Image files as they are stored: pictures for eyes, masks as numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

ORIENTATION = 0x0112  # EXIF
COLOUR = 1 << 24  # a code of a mask's pixel from here on is a colour, below it a grey value
NEAR_GREY = 16  # how far channels of a grey JPEG may differ
CLEAR = (15, 200)  # greys between are neither black nor white in a JPEG mask
TIFF = (".tif", ".tiff")
Image.MAX_IMAGE_PIXELS = None


class MaskFile(NamedTuple):
    """A mask's pixels: codes (H, W) int64, grey or COLOUR + rgb; indices where it has a palette."""

    codes: np.ndarray
    indices: np.ndarray | None = None
    blurred: float = 0.0


def opened(path: Path) -> Image.Image:
    """Open an image file of one picture; raises ValueError that names it for any other."""
    try:
        picture = Image.open(path)
        picture.load()
    except FileNotFoundError:
        raise
    except Exception as error:  # Pillow raises many kinds for a damaged file
        if path.suffix.lower() in TIFF:
            return _tiff(path, error)
        raise ValueError(f"{path}: not an image that can be read ({error}).") from error
    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format != "MPO":
        raise ValueError(
            f"{path}: expected one picture, found {frames} in the file. Save the one that is meant "
            "by itself, or all of them as a volume (NIfTI, NRRD)."
        )
    return picture


def orientation(path: Path) -> int:
    """Return how the EXIF says that a picture has to be turned, 1 for not at all."""
    with Image.open(path) as picture:
        turn = picture.getexif().get(ORIENTATION, 1)
    return turn if turn in range(2, 9) else 1


def turned(values: np.ndarray, turn: int) -> np.ndarray:
    """Turn (H, W, ...) upright as an EXIF orientation of 1..8 says."""
    if turn >= 5:
        values = np.swapaxes(values, 0, 1)
    if turn in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values[::-1] if turn in (3, 4, 7, 8) else values


def wide(picture: Image.Image) -> bool:
    """Say whether a picture has more than 8 bits a channel."""
    bits = picture.tag_v2.get(258) or (8,) if picture.format == "TIFF" else (8,)
    return picture.mode[0] in "IF" or np.max(bits) > 8


def read_picture(path: Path) -> np.ndarray:
    """Read an image upright: (H, W, 3) uint8, or (H, W) of more bits as they are stored."""
    picture = opened(path)
    if wide(picture):
        return turned(np.asarray(picture), orientation(path))
    picture = ImageOps.exif_transpose(picture)
    return np.asarray(picture.convert("RGBA" if picture.mode in ("PA", "La") else "RGB"))[..., :3]


def copied(path: Path) -> str:
    """Return the suffix under which a file's bytes may stay as they are; "" where they may not."""
    with Image.open(path) as picture:
        plain = picture.mode in ("L", "RGB") and "transparency" not in picture.info
        deep = picture.format == "PNG" and any(str(t[3]).endswith("16B") for t in picture.tile)
        turn = picture.getexif().get(ORIENTATION, 1)
        suffix = {"JPEG": ".jpg", "PNG": ".png"}.get(picture.format, "")
    return suffix if plain and not deep and turn == 1 else ""


def read_mask(path: Path) -> MaskFile:
    """Read a mask's numbers, upright by its own EXIF; raises ValueError for what is not one."""
    picture = opened(path)
    lossy, deep = picture.format in ("JPEG", "MPO"), wide(picture)
    picture = ImageOps.exif_transpose(picture)
    indices = np.asarray(picture) if picture.mode == "P" else None
    if picture.mode in ("RGBA", "LA", "PA"):
        values = _of_alpha(path, np.asarray(picture.convert("RGBA")))
    elif picture.mode in ("1", "L") or deep:
        values = np.asarray(picture)
        values = values * 255 if values.dtype == bool else values
    else:
        values = np.asarray(picture.convert("RGB"))
    codes, blurred = as_codes(values, str(path), lossy)
    return MaskFile(codes, indices, blurred)


def as_codes(values: np.ndarray, name: str, lossy: bool = False) -> tuple[np.ndarray, float]:
    """Return codes (H, W) of a mask's values, and the share of a JPEG's pixels that are unclear."""
    if values.dtype.kind == "f" and not np.array_equal(values, np.round(values)):
        raise ValueError(f"{name}: expected whole numbers in a mask, found fractions.")
    values = np.asarray(values).astype("int64")
    if values.ndim == 3:
        values = values[..., :3]
        differ = np.ptp(values, axis=-1)
        if differ.max(initial=0) > (NEAR_GREY if lossy else 0):
            if lossy:
                raise ValueError(f"{name}: colours of a JPEG cannot be told. Save masks as PNG.")
            packed = COLOUR + (values << np.array([16, 8, 0])).sum(axis=-1)
            return np.where(differ > 0, packed, values[..., 0]), 0.0
        values = values[..., 0]
    if not lossy:
        return values, 0.0
    blurred = float(np.mean((values > CLEAR[0]) & (values < CLEAR[1])))
    if blurred > 0.01 or (values.max() < CLEAR[1] and np.ptp(values) > 0):
        return values, max(blurred, 0.011)
    return np.where(values > 127, 255, 0), blurred


def colour_code(red: int, green: int, blue: int) -> int:
    """Return the code of a colour: of a grey its value."""
    same = red == green == blue
    return red if same else COLOUR + (red << 16) + (green << 8) + blue


def code_name(code: int) -> str:
    """Return a code as `--lesion` takes it: 255, or 250,50,83."""
    if code < COLOUR:
        return str(code)
    return ",".join(str((code - COLOUR) >> shift & 255) for shift in (16, 8, 0))


def to_8_bits(values: np.ndarray, scale: Sequence[float]) -> np.ndarray:
    """Spread values from `scale` = (low, high) over 0..255: uint8 of the same shape."""
    low, high = scale
    grey = (values.astype("float64") - low) / max(high - low, 1e-9)
    return np.round(np.nan_to_num(grey).clip(0, 1) * 255).astype("uint8")


def _of_alpha(path: Path, values: np.ndarray) -> np.ndarray:
    """Return the mask of a file that may be see-through: its colours, or its alpha."""
    colours, alpha = values[..., :3], values[..., 3]
    shown, hidden = colours[alpha > 0], colours[alpha == 0]
    if alpha.min() == 255 or (
        set(np.unique(alpha)) == {0, 255} and not hidden.any() and shown.any()
    ):
        return colours
    if len(shown) and not np.ptp(shown, axis=0).any():  # one colour: a drawing on nothing
        return np.where(alpha > 127, 255, 0)
    raise ValueError(f"{path}: a mask whose alpha and colours differ. Save it without alpha.")


def _tiff(path: Path, error: Exception) -> Image.Image:
    import tifffile  # comes with scikit-image; reads what Pillow cannot

    try:
        values = np.squeeze(tifffile.imread(path))
    except Exception:
        raise ValueError(f"{path}: not an image that can be read ({error}).") from error
    if values.ndim == 3 and values.shape[-1] in (3, 4) and values.dtype == np.uint8:
        return Image.fromarray(values[..., :3])
    if values.ndim != 2:
        raise ValueError(f"{path}: expected a picture, found an array {values.shape}.")
    return Image.fromarray(values if values.dtype.itemsize < 4 else values.astype("float32"))
