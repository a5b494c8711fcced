"""Images of 12 or 16 bits as 8-bit files, all with one scale."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from ..common.errors import invalid
from ..common.files import whole
from .dicom import is_dicom
from .images import decoded, image_files, open_picture
from .refusing import names_its_file

Range = tuple[int, int]


def convert_folder(folder: str | Path, out: str | Path, shown: Range | None = None) -> Range:
    """Write the images of a folder with 8 bits a pixel, as PNG, and copy those that have 8 bits.

    Every image has the same scale, so that what is twice as bright stays so from file to file. The
    scale is written into each PNG (Comment). Give images that a model is to segment the one of the
    images that it was trained on.

    Args:
        folder: images, not searched below. None of them is changed.
        out: folder to make.
        shown: the values that become 0 and 255, others are cut; the lowest and the highest of all
            files where it is None.

    Returns:
        The values that became 0 and 255.

    Raises:
        FileExistsError: `out` exists.
        ValueError: nothing to convert, a file that cannot be read, or a range that is none.
    """
    folder, out = Path(folder), Path(out)
    if out.exists():
        raise FileExistsError(f"{out}: exists. Remove it or name another folder.")
    files = image_files(folder)
    deep = {file: extremes for file in files if (extremes := _extremes(file)) is not None}
    if not deep:
        raise ValueError(
            f"{folder}: expected grey images of 16 bits, found none among {len(files)} images. "
            "They can be used as they are."
        )
    low, high = shown or (min(low for low, _ in deep.values()), max(h for _, h in deep.values()))
    if not 0 <= low < high <= 65535:
        raise invalid("range", "two values 0..65535, the lower one first", (low, high))
    with whole(out) as partial:
        partial.mkdir(parents=True)
        for file in files:
            if file in deep:
                _write(_values(file), (low, high), partial / f"{file.stem}.png")
            else:
                shutil.copy(file, partial / file.name)
    return low, high


@names_its_file
def _values(file: Path) -> np.ndarray | None:
    """Return the values of a grey image of 16 bits, None for another."""
    if is_dicom(file):  # has its scale in its header
        return None
    picture = open_picture(file)
    return np.asarray(decoded(picture, file)) if picture.mode.startswith("I") else None


def _extremes(file: Path) -> Range | None:
    values = _values(file)
    return None if values is None else (int(values.min()), int(values.max()))


def _write(values: np.ndarray, shown: Range, path: Path) -> None:
    low, high = shown
    grey = np.round((values.clip(low, high) - float(low)) / (high - low) * 255).astype("uint8")
    note = PngImagePlugin.PngInfo()
    note.add_text("Comment", f"values {low} to {high} are shown as 0 to 255")
    Image.fromarray(grey).save(path, pnginfo=note)
