"""Which image belongs to which mask: by stem, or as a manifest says."""

import csv
from collections import Counter
from pathlib import Path
from typing import NamedTuple

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp")


class Box(NamedTuple):
    """Half-open window of an image in pixels: rows top..bottom-1, columns left..right-1."""

    top: int
    left: int
    bottom: int
    right: int


class Pair(NamedTuple):
    """An image file, its mask file, and the group (the patient, say) it belongs to."""

    image: Path
    mask: Path
    group: str


def find_pairs(folder: Path) -> list[Pair]:
    """Return the pairs of a folder: those of its manifest.csv, else images/ and masks/ by stem.

    Raises:
        ValueError: no files, partners missing or doubled, a manifest without its columns.
    """
    return _from_manifest(folder) if (folder / "manifest.csv").is_file() else _by_stem(folder)


def _by_stem(folder: Path) -> list[Pair]:
    images, masks = (_stems(folder / sub) for sub in ("images", "masks"))
    for kind, files, others in (("mask", images, masks), ("image", masks, images)):
        alone = sorted(files.keys() - others.keys())
        if alone:
            raise ValueError(
                f"{files[alone[0]]}: no {kind} of the same stem in {folder / (kind + 's')} "
                f"({len(alone)} of {len(files)} files lack one). Add it or remove the file."
            )
    return [Pair(images[stem], masks[stem], stem) for stem in sorted(images)]


def _stems(folder: Path) -> dict[str, Path]:
    files = sorted(folder.glob("*")) if folder.is_dir() else []
    files = [file for file in files if file.suffix.lower() in SUFFIXES]
    if not files:
        raise ValueError(
            f"{folder}: expected image files ({', '.join(SUFFIXES)}), found none. A data set has "
            "two folders, images/ and masks/, with files of the same stem."
        )
    doubled = [stem for stem, count in Counter(file.stem for file in files).items() if count > 1]
    if doubled:
        names = ", ".join(file.name for file in files if file.stem == doubled[0])
        raise ValueError(f"{folder}: more than one file of stem '{doubled[0]}': {names}. Keep one.")
    return {file.stem: file for file in files}


def _from_manifest(folder: Path) -> list[Pair]:
    manifest = folder / "manifest.csv"
    with open(manifest, newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"image", "mask", "group"} <= rows[0].keys():
        raise ValueError(
            f"{manifest}: expected rows with columns image, mask and group. "
            f"Found {len(rows)} rows with columns {', '.join(rows[0]) if rows else 'none'}."
        )
    for number, row in enumerate(rows, start=2):
        for column in ("image", "mask"):
            if not row[column] or not (folder / row[column]).is_file():
                raise ValueError(f"{manifest}, line {number}: no {column} file '{row[column]}'.")
    doubled = [name for name, count in Counter(row["image"] for row in rows).items() if count > 1]
    if doubled:
        raise ValueError(f"{manifest}: image '{doubled[0]}' stands in more than one row. Keep one.")
    return [
        Pair(folder / row["image"], folder / row["mask"], row["group"] or row["image"])
        for row in rows
    ]
