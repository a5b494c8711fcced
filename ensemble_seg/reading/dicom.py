"""DICOM files, where pydicom is installed."""

from pathlib import Path

import numpy as np

from .refusing import names_its_file, require_pixels, unreadable


def is_dicom(path: str | Path) -> bool:
    """Say whether a file is DICOM by its suffix."""
    return str(path).lower().endswith(".dcm")


@names_its_file
def read_dicom(path: str | Path) -> np.ndarray:
    """Read a DICOM image as the display window of its header shows it.

    Rescale and window (VOI LUT) are applied; without a window the values are spread from lowest
    to highest. Padding (PixelPaddingValue) is black and does not count for that. MONOCHROME1 is
    inverted. Palettes and other colours are turned into RGB, of their stored bits the upper 8.

    Returns:
        (H, W) or (H, W, 3) uint8.

    Raises:
        ValueError: pydicom is missing, no DICOM file, or several frames.
    """
    header, values = _opened(path)
    if header.PhotometricInterpretation == "PALETTE COLOR":
        return _palette_colours(header, values)
    if values.ndim == 3:
        return _upper_eight(values, int(header.get("BitsStored", 8)))
    return _shown(header, values)


@names_its_file
def stored_values(path: str | Path) -> np.ndarray:
    """Read the values of a DICOM mask as they are stored, no window: (H, W) or (H, W, 3).

    Raises:
        ValueError: as `read_dicom`, or a palette.
    """
    header, values = _opened(path)
    if header.PhotometricInterpretation == "PALETTE COLOR":
        raise ValueError(
            f"{path}: expected a grey mask, found colours. Save one mask for the lesion class, "
            "background 0 and lesion 255."
        )
    return values


def _opened(path: str | Path) -> tuple:
    """Return the header and the values of a file of one frame."""
    try:
        import pydicom
        from pydicom.pixels import pixel_array
    except ImportError:
        raise ValueError(
            f"{path}: reading DICOM needs pydicom, which is not installed. Run pip install "
            "pydicom, or save the image as PNG."
        ) from None
    header = pydicom.dcmread(path)
    frames = int(header.get("NumberOfFrames") or 1)
    if frames > 1:
        raise ValueError(
            f"{path}: expected one image, found {frames} in the file (DICOM). Save the one that is "
            "meant as PNG."
        )
    require_pixels(path, int(header.Columns), int(header.Rows))
    values = pixel_array(header)
    encoded = header.file_meta.TransferSyntaxUID.is_encapsulated
    # pydicom reads on with a warning; one byte fills up an odd length.
    if not encoded and values.nbytes + 1 < len(header.get("PixelData", b"")):
        raise unreadable(path, f"{header.Rows} x {header.Columns} pixels, but data of more")
    return header, values


def _palette_colours(header, values: np.ndarray) -> np.ndarray:
    from pydicom.pixels import apply_color_lut

    colours = apply_color_lut(values, header)[..., :3]
    return _upper_eight(colours, colours.itemsize * 8)


def _upper_eight(colours: np.ndarray, bits: int) -> np.ndarray:
    return (colours >> max(0, bits - 8)).astype("uint8")


def _shown(header, values: np.ndarray) -> np.ndarray:
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    padding = _padding(header, values)
    if not _has_window(header):
        for tag in ("WindowCenter", "WindowWidth"):
            header.pop(tag, None)
    values = apply_modality_lut(values, header)
    shown = apply_voi_lut(values, header).astype("float64")
    inside = shown if padding.all() else shown[~padding]
    low, high = inside.min(), inside.max()
    if "WindowWidth" in header and "VOILUTSequence" not in header:
        with np.errstate(over="ignore"):
            low, high = apply_voi_lut(np.array([-1e9, 1e9]), header)
    grey = np.round(((shown - low) / max(high - low, 1e-9)).clip(0, 1) * 255).astype("uint8")
    if header.PhotometricInterpretation == "MONOCHROME1":
        grey = 255 - grey
    grey[padding] = 0
    return grey


def _has_window(header) -> bool:
    return all(
        header.get(tag) not in (None, "", []) and None not in np.atleast_1d(header[tag].value)
        for tag in ("WindowCenter", "WindowWidth")
    )


def _padding(header, values: np.ndarray) -> np.ndarray:
    """Say which pixels are no part of the image: PixelPaddingValue, to its limit if there is one.

    DICOM PS3.3, C.7.5.1.1.2.
    """
    first = header.get("PixelPaddingValue")
    if first in (None, ""):
        return np.zeros(values.shape, bool)
    last = header.get("PixelPaddingRangeLimit")
    low, high = sorted((int(first), int(first if last in (None, "") else last)))
    return (values >= low) & (values <= high)
