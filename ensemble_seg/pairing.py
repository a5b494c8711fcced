"""Which image belongs to which mask, by name or as a manifest says, and what does not fit."""

import csv
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".dcm")
MASK_ENDINGS = ("_mask", "_segmentation")
SPLITS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}


class Box(NamedTuple):
    """Half-open window of an image in pixels: rows top..bottom-1, columns left..right-1."""

    top: int
    left: int
    bottom: int
    right: int


class Pair(tuple):
    """An image file, its mask file, and the group (the patient, say) it belongs to.

    A tuple (Path, Path, str) that holds its paths as text: a third of the memory, so that a set of
    100,000 pairs weighs little.

    Example:
        >>> image, mask, group = pair = Pair("images/a7.jpg", "masks/a7.png", "a7")
        >>> image.stem, pair.mask.name, pair.group
        ('a7', 'a7.png', 'a7')
    """

    __slots__ = ()

    def __new__(cls, image: str | Path, mask: str | Path, group: str) -> "Pair":
        return super().__new__(cls, (str(image), str(mask), group))

    def __iter__(self) -> Iterator:
        return iter((self.image, self.mask, self.group))

    def __getitem__(self, index: int | slice) -> "Path | str | tuple":
        return (*self,)[index]

    @property
    def image(self) -> Path:
        return Path(super().__getitem__(0))

    @property
    def mask(self) -> Path:
        return Path(super().__getitem__(1))

    @property
    def group(self) -> str:
        return super().__getitem__(2)

    def in_group(self, group: str) -> "Pair":
        """Return the same files in another group."""
        return Pair(*self[:2], group)

    def __getnewargs__(self) -> tuple:
        return (*self,)

    def __repr__(self) -> str:
        return f"Pair{(*map(str, self),)}"


class Listing(NamedTuple):
    """What a folder holds.

    Attributes:
        parts: pairs under "train", "validation" and "test" as the publisher split them; under ""
            where nobody did.
        problems: one message for each thing that makes training impossible.
    """

    parts: dict[str, list[Pair]]
    problems: list[str]


def by_stem(images: Path, masks: Path, ending: str = "") -> Listing:
    """Pair the files of two folders: image a7.jpg with mask a7.png, or a7_mask.png.

    Args:
        images, masks: folders. They may be the same one if masks have an ending.
        ending: what the stems of masks end with, "_mask" say; images do not.
    """
    problems: list[str] = []
    image_files = image_stems(images, problems, without=ending)
    mask_files = image_stems(masks, problems, ending)
    for kind, end, folder, other, files, others in (
        ("mask", ending, images, masks, image_files, mask_files),
        ("image", "", masks, images, mask_files, image_files),
    ):
        if others:
            problems += [
                f"{folder / (stem + files[stem])}: no {kind} '{stem}{end}.*' in {other}. Add it, "
                "or remove the file."
                for stem in sorted(files.keys() - others.keys())
            ]
    pairs = [
        Pair(images / (stem + image_files[stem]), masks / (stem + mask_files[stem]), stem)
        for stem in sorted(image_files)
        if stem in mask_files
    ]
    return Listing({"": pairs}, problems)


def image_stems(
    folder: Path, problems: list[str], ending: str = "", without: str = ""
) -> dict[str, str]:
    """Return how the names of a folder's image files go on by stem, and note what is wrong.

    Args:
        folder: not searched below its first level.
        problems: messages are added to it: no files at all, or stems that two files share.
        ending: only files whose stem ends so; the ending is cut off.
        without: leave out the files whose stem ends so.
    """
    found: dict[str, str] = {}
    for name in image_names(folder):
        stem, _, suffix = name.rpartition(".")
        if not stem.endswith(ending) or (without and stem.endswith(without)):
            continue
        stem = stem.removesuffix(ending)
        if stem in found:
            problems.append(
                f"{folder / name}: has the stem of {stem}{found[stem]}, so it is not clear which "
                "one is meant. Keep one of them."
            )
        found.setdefault(stem, sys.intern(f"{ending}.{suffix}"))
    if not found:
        problems.append(
            f"{folder}: expected image files ({', '.join(SUFFIXES)}), found none. A data set has "
            "two folders, images/ and masks/, with files of the same stem."
        )
    return found


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


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file.

    Raises:
        ValueError: another encoding.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: expected UTF-8 text. Save the file as UTF-8.") from None


def from_manifest(manifest: Path) -> Listing:
    """Read a CSV table with the columns image, mask, and, if you like, group and split.

    Paths are relative to the table's folder. Where group is empty the image is a group of its own.
    split is train, validation (or val) or test, in each row or in none.
    """
    rows = list(csv.DictReader(read_text(manifest).splitlines()))
    columns = [str(column) for column in rows[0]] if rows else []
    if not {"image", "mask"} <= set(columns):
        return Listing(
            {},
            [
                f"{manifest}: expected rows with columns image and mask, and if you like group and "
                f"split. Found {len(rows)} rows with columns {', '.join(columns) or 'none'}."
            ],
        )
    parts: dict[str, list[Pair]] = {}
    problems: list[str] = []
    for number, row in enumerate(rows, start=2):
        problem = _row_problem(manifest.parent, row)
        if problem:
            problems.append(f"{manifest}, line {number}: {problem}")
            continue
        image, mask = (manifest.parent / row[column] for column in ("image", "mask"))
        pair = Pair(image, mask, (row.get("group") or "").strip() or row["image"])
        parts.setdefault(SPLITS.get(_split(row), ""), []).append(pair)
    if "" in parts and len(parts) > 1:
        problems.append(
            f"{manifest}: {len(parts[''])} of {len(rows)} rows have no split. Give one to each "
            "row, or to none."
        )
    return Listing(parts, problems + _doubled_images(manifest, parts))


def groups_in_two_parts(parts: dict[str, list[Pair]]) -> list[str]:
    """Return a message for each group that stands in more than one part."""
    seen: dict[str, str] = {}
    problems = {}
    for part, pairs in parts.items():
        for pair in pairs:
            first = seen.setdefault(pair.group, part)
            if first != part:
                problems[pair.group] = (
                    f"{pair.image}: its group '{pair.group}' stands in {first} and in {part}, so "
                    "the "
                    "test would not be on unseen cases. Keep each group in one part."
                )
    return list(problems.values())


def _row_problem(folder: Path, row: dict[str, str]) -> str:
    for column in ("image", "mask"):
        if not row[column] or not (folder / row[column]).is_file():
            return f"no {column} file '{row[column] or ''}'."
    if _split(row) and _split(row) not in SPLITS:
        return f"expected a split of {', '.join(SPLITS)}, found '{row['split']}'."
    return ""


def _split(row: dict[str, str]) -> str:
    return (row.get("split") or "").strip().lower()


def _doubled_images(manifest: Path, parts: dict[str, list[Pair]]) -> list[str]:
    images = [pair.image for pairs in parts.values() for pair in pairs]
    counts = Counter(Path(os.path.relpath(image, manifest.parent)).as_posix() for image in images)
    return [
        f"{manifest}: image '{name}' stands in {count} rows. Keep one."
        for name, count in counts.items()
        if count > 1
    ]
