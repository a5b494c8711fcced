"""Volumes and DICOM through SimpleITK: slices with a lesion, and every n-th without."""

from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from .items import Item, Options
from .lesions import Rule
from .pairs import VOLUMES, stem_of
from .pixels import MaskFile, as_codes, read_mask


def is_volume(path: Path) -> bool:
    """Say whether a path is a volume, or a folder that is a DICOM series."""
    return path.name.lower().endswith(VOLUMES) or path.is_dir()


def simpleitk():
    """Return the module; raises ImportError that says how to get it."""
    try:
        import SimpleITK
    except ImportError:
        text = 'Volumes and DICOM need SimpleITK. Run: pip install "ensemble-seg[import]"'
        raise ImportError(text) from None
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    return SimpleITK


def series(files: list[Path]) -> list[Path]:
    """Put the folder in the place of DICOM files that are slices of one series."""
    found = [path for path in files if path.suffix.lower() != ".dcm"]
    folders, others = {}, {stem_of(path) for path in found}
    for path in files:
        if path.suffix.lower() == ".dcm":
            folders.setdefault(path.parent, []).append(path)
    for folder, names in folders.items():
        single = len(names) == 1 or others & {path.stem for path in names}  # a mask for each slice
        ids = [] if single else simpleitk().ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
        if 1 < len(ids) < len(names):
            raise ValueError(f"{folder}: {len(ids)} DICOM series. Put each into its own folder.")
        found += [folder] if len(ids) == 1 else names
    return sorted(found)


@lru_cache(maxsize=4)
def read_volume(path: Path) -> tuple[np.ndarray, tuple]:
    """Read a volume: values (Z, H, W) or (Z, H, W, 3), and its place in space."""
    itk = simpleitk()
    reader, first = itk.ImageFileReader(), path
    if path.is_dir():
        reader = itk.ImageSeriesReader()
        reader.SetFileNames(names := reader.GetGDCMSeriesFileNames(str(path)))
        first = Path(names[0])
    else:
        reader.SetFileName(str(path))
    try:
        image = reader.Execute()
    except RuntimeError as error:
        text = str(error).strip().splitlines()[-1].strip()
        raise ValueError(f"{path}: not a volume that can be read ({text}).") from error
    values = itk.GetArrayFromImage(image)
    if image.GetDimension() > 3 or image.GetNumberOfComponentsPerPixel() not in (1, 3):
        raise ValueError(f"{path}: expected a volume of one channel, found {values.shape}.")
    if first.suffix.lower() == ".dcm":
        header = itk.ReadImage(str(first))
        key = "0028|0004"
        if header.HasMetaDataKey(key) and header.GetMetaData(key).strip() == "MONOCHROME1":
            values = values.max() + values.min() - values
    place = (*image.GetSize(), *image.GetSpacing(), *image.GetOrigin(), *image.GetDirection())
    return values[None] if image.GetDimension() == 2 else values, place


def read_volume_mask(path: Path) -> MaskFile:
    """Read the codes of a mask volume (Z, H, W), or of a picture as a volume of one slice."""
    if not is_volume(path):
        mask = read_mask(path)
        indices = None if mask.indices is None else mask.indices[None]
        return mask._replace(codes=mask.codes[None], indices=indices)
    return MaskFile(np.stack([as_codes(each, str(path))[0] for each in read_volume(path)[0]]))


def slices(item: Item, rule: Rule, options: Options) -> list[Item]:
    """Return an item for each slice with a lesion and every n-th without.

    Raises:
        ValueError: image and mask are not on one grid.
    """
    (image, place), masks, found = read_volume(item.path), tuple(item.masks), []
    for path in masks:
        same = image.shape[:3] == read_volume_mask(path).codes.shape
        if not same or (
            is_volume(path) and not np.allclose(place, read_volume(path)[1], 1e-3, 1e-2)
        ):
            raise ValueError(
                f"{path}: not on the grid of its image {item.path.name}: size, spacing, origin or "
                "direction differ. Resample it (SimpleITK.Resample with nearest neighbours)."
            )
    for z, has in enumerate(_union(masks, rule, image.shape[:3]).any(axis=(1, 2))):
        if has or z % options.every == 0:
            number = f"_{z:0{len(str(len(image)))}}" if len(image) > 1 else ""
            drawn = [partial(_slice, masks, rule, image.shape[:3], z)]
            show = partial(_picture, item.path, z)
            place = item.folder, item.split, item.group
            found.append(Item(item.name + number, item.path, drawn, *place, show))
    return found


def _picture(path: Path, z: int) -> np.ndarray:
    return read_volume(path)[0][z]


def _slice(masks: tuple, rule: Rule, shape: tuple, z: int) -> np.ndarray:
    return _union(masks, rule, shape)[z]


@lru_cache(maxsize=4)
def _union(masks: tuple[Path, ...], rule: Rule, shape: tuple) -> np.ndarray:
    found = [rule.apply(read_volume_mask(path)) for path in masks]
    return np.any(found, axis=0) if found else np.zeros(shape, bool)
