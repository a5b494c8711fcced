"""DICOM files, where pydicom is installed."""

from pathlib import Path

import numpy as np


def read_dicom(path: Path) -> np.ndarray:
    """Read a DICOM image as the display window of its header shows it.

    Rescale and window (VOI LUT) are applied; without a window the values are spread from lowest
    to highest. MONOCHROME1 is inverted. Colours are turned into RGB. Masks, which have at most the
    values 0 and 1 or 0 and 255, stay as they are.

    Returns:
        (H, W) or (H, W, 3) uint8.

    Raises:
        ValueError: pydicom is missing, no DICOM file, or several frames.
    """
    try:
        import pydicom
        from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array
    except ImportError:
        raise ValueError(
            f"{path}: reading DICOM needs pydicom, which is not installed. Run pip install "
            "pydicom, or save the image as PNG."
        ) from None
    try:
        header = pydicom.dcmread(path)
        values = pixel_array(header)
    except Exception as error:
        raise ValueError(
            f"{path}: not a DICOM image that can be read ({error}). Replace the file or leave it "
            "out."
        ) from error
    frames = int(header.get("NumberOfFrames", 1))
    if frames > 1:
        raise ValueError(
            f"{path}: expected one image, found {frames} in the file (DICOM). Save the one that is "
            "meant as PNG."
        )
    if values.ndim == 3:
        return values.astype("uint8")
    if np.isin(values, (0, 1)).all() or np.isin(values, (0, 255)).all():
        return values.astype("uint8")
    try:
        values = apply_modality_lut(values, header)
        shown = apply_voi_lut(values, header).astype("float64")
        low, high = shown.min(), shown.max()
        if "WindowWidth" in header and "VOILUTSequence" not in header:
            with np.errstate(over="ignore"):
                low, high = apply_voi_lut(np.array([-1e9, 1e9]), header)
    except Exception as error:
        raise ValueError(
            f"{path}: not a DICOM image that can be read ({error}). Replace the file or leave it "
            "out."
        ) from error
    grey = np.round((shown - low) / max(high - low, 1e-9) * 255).astype("uint8")
    return 255 - grey if header.PhotometricInterpretation == "MONOCHROME1" else grey
