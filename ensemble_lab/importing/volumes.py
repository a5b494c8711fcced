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
        raise ImportError(
            'Volumes and DICOM need SimpleITK. Run: pip install "ensemble-seg[import]"'
        ) from None
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    return SimpleITK


def series(files: list[Path]) -> list[Path]:
    """Put the folder in the place of DICOM files that are slices of one series.

    Raises:
        ValueError: several series in one folder.
    """
    found, folders = [], {}
    for path in files:
        if path.suffix.lower() == ".dcm":
            folders.setdefault(path.parent, []).append(path)
        else:
            found.append(path)
    others = {stem_of(path) for path in found}
    for folder, slices in folders.items():
        if others & {path.stem for path in slices}:  # a mask for each slice
            found += slices
            continue
        ids = simpleitk().ImageSeriesReader.GetGDCMSeriesIDs(str(folder)) if len(slices) > 1 else []
        if len(ids) > 1 and len(ids) < len(slices):
            raise ValueError(
                f"{folder}: {len(ids)} DICOM series. Put each into a folder of its own."
            )
        found += [folder] if len(ids) == 1 else slices
    return sorted(found)


@lru_cache(maxsize=4)
def read_volume(path: Path) -> tuple[np.ndarray, tuple]:
    """Read a volume: values (Z, H, W) or (Z, H, W, 3), and its place in space."""
    itk = simpleitk()
    reader = itk.ImageSeriesReader() if path.is_dir() else itk.ImageFileReader()
    if path.is_dir():
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(path)))
    else:
        reader.SetFileName(str(path))
    try:
        image = reader.Execute()
    except RuntimeError as error:
        text = str(error).strip().splitlines()[-1].strip()
        raise ValueError(f"{path}: not a volume that can be read ({text}).") from error
    values = itk.GetArrayFromImage(image)
    if image.GetDimension() == 2:
        values = values[None]
    if image.GetDimension() > 3 or image.GetNumberOfComponentsPerPixel() not in (1, 3):
        raise ValueError(f"{path}: expected a volume of one channel, found {values.shape}.")
    first = sorted(path.glob("*"))[0] if path.is_dir() else path
    if first.suffix.lower() == ".dcm" and _inverted(itk, first):
        values = values.max() + values.min() - values
    place = (*image.GetSize(), *image.GetSpacing(), *image.GetOrigin(), *image.GetDirection())
    return values, place


def read_volume_mask(path: Path) -> MaskFile:
    """Read the codes of a mask volume (Z, H, W), or of a picture as a volume of one slice."""
    if not is_volume(path):
        mask = read_mask(path)
        indices = None if mask.indices is None else mask.indices[None]
        return mask._replace(codes=mask.codes[None], indices=indices)
    values = read_volume(path)[0]
    if values.ndim == 4:
        return MaskFile(np.stack([as_codes(each, str(path))[0] for each in values]))
    return MaskFile(
        as_codes(values.reshape(-1, values.shape[-1]), str(path))[0].reshape(values.shape)
    )


def slices(item: Item, rule: Rule, options: Options) -> list[Item]:
    """Return an item for each slice with a lesion and every n-th without.

    Raises:
        ValueError: image and mask are not on one grid.
    """
    image, place = read_volume(item.path)
    for path in item.masks:
        if is_volume(path):
            other = read_volume(path)[1]
            same = len(place) == len(other) and np.allclose(place, other, rtol=1e-3, atol=1e-2)
        else:
            same = image.shape[:3] == read_volume_mask(path).codes.shape
        if not same:
            raise ValueError(
                f"{path}: not on the grid of its image {item.path.name}: size, spacing, origin or "
                "direction differ. Resample it (SimpleITK.Resample with nearest neighbours)."
            )
    lesion = _union(tuple(item.masks), rule, image.shape[:3]).any(axis=(1, 2))
    kept = [z for z, has in enumerate(lesion) if has or z % options.every == 0]
    return [
        Item(
            item.name if len(image) == 1 else f"{item.name}_{z:0{len(str(len(image)))}}",
            item.path,
            [partial(_slice, tuple(item.masks), rule, image.shape[:3], z)],
            item.folder,
            item.split,
            item.group,
            partial(_picture, item.path, z),
        )
        for z in kept
    ]


def _picture(path: Path, z: int) -> np.ndarray:
    return read_volume(path)[0][z]


def _slice(masks: tuple, rule: Rule, shape: tuple, z: int) -> np.ndarray:
    return _union(masks, rule, shape)[z]


@lru_cache(maxsize=4)
def _union(masks: tuple[Path, ...], rule: Rule, shape: tuple) -> np.ndarray:
    result = np.zeros(shape, bool)
    for path in masks:
        result |= rule.apply(read_volume_mask(path))
    return result


def _inverted(itk, path: Path) -> bool:
    reader = itk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    key = "0028|0004"
    return reader.HasMetaDataKey(key) and reader.GetMetaData(key).strip() == "MONOCHROME1"
