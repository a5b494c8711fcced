"""A table that says which image belongs to which mask, and its problems."""

import csv
import io
import os
from collections import Counter, defaultdict
from pathlib import Path

from ..reading.images import image_names
from ..reading.pairs import Pair
from .columns import Columns, find_columns
from .pairing import Listing
from .splits import SPLITS
from .unread import shortened

Row = tuple[int, list[str]]  # the number of its last line, and its cells


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file.

    Raises:
        ValueError: another encoding.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return file.read()
    except UnicodeDecodeError:
        raise ValueError(f"{path}: expected UTF-8 text. Save the file as UTF-8.") from None


def from_manifest(manifest: Path) -> Listing:
    """Read a CSV table with the columns image, mask, and, if you like, group and split.

    Names of columns are taken in any case, and separated by commas, semicolons or tabs. Paths are
    relative to the table's folder. Where group is empty the image is a group of its own. split is
    train, validation (or val, valid) or test, in each row or in none. Other columns that look like
    groups (patient) or splits (subset) are used, or refused where it is not clear how; see
    `columns.find_columns`.
    """
    try:
        header, rows = _table(manifest)
        columns = find_columns(header, [cells for _, cells in rows])
    except ValueError as error:
        return Listing({}, [f"{manifest}: {error}"])
    parts: dict[str, list[Pair]] = {}
    problems: list[str] = []
    for number, cells in rows:
        problem, pair = _pair(manifest.parent, cells, columns)
        if problem:
            problems.append(f"{manifest}, line {number}: {problem}")
            continue
        part = SPLITS.get(columns.split_of(cells), "")
        parts.setdefault(part, []).append(pair)
    if "" in parts and len(parts) > 1:
        problems.append(
            f"{manifest}: {len(parts[''])} of {len(rows)} rows have no split. Give one to each "
            "row, or to none."
        )
    problems += _doubled_images(manifest, parts)
    notes = [f"{manifest}: {note}" for note in columns.notes]
    return Listing(parts, problems, notes + _shared_masks(manifest, parts) + _unlisted(parts))


def _table(manifest: Path) -> tuple[list[str], list[Row]]:
    """Return the header and the rows of a table, without empty ones.

    Raises:
        ValueError: no table; the message does not name the file.
    """
    text = read_text(manifest)
    first = next((line for line in text.splitlines() if line.strip(" ,;\t")), "")
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count), strict=True
    )
    try:
        rows = [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as error:
        raise ValueError(
            f"line {reader.line_num}: not a table that can be read ({error}). Look for a quotation "
            "mark that is not closed."
        ) from None
    if not rows:
        raise ValueError("expected rows with columns image and mask. Found an empty file.")
    (_, header), *rows = rows
    for number, cells in rows:
        if any(map(str.strip, cells[len(header) :])):
            raise ValueError(
                f"line {number}: {len(cells)} cells, but {len(header)} columns. Put a cell with a "
                "separator in it in quotation marks."
            )
    return header, [(number, cells + [""] * (len(header) - len(cells))) for number, cells in rows]


def _pair(folder: Path, cells: list[str], columns: Columns) -> tuple[str, Pair | None]:
    """Return what is wrong with a row, or its pair."""
    paths = []
    for name, column in (("image", columns.image), ("mask", columns.mask)):
        cell = cells[column]
        paths.append(_path(folder, cell))
        if not cell.strip() or not paths[-1].is_file():
            return f"no {name} file '{cell}'.", None
    if paths[0] == paths[1]:
        return f"image and mask are the same file '{cells[columns.image]}'.", None
    split = columns.split_of(cells)
    if split and split not in SPLITS:
        found = cells[columns.split].strip()
        return f"expected a split of {', '.join(SPLITS)}, found '{found}'.", None
    return "", Pair(*paths, columns.group_of(cells) or cells[columns.image])


def _path(folder: Path, cell: str) -> Path:
    """Return the file that a cell names: as it stands, without blanks, or as Windows writes it."""
    ways = (cell, cell.strip(), cell.strip().replace("\\", "/"))
    paths = [folder / Path(way).expanduser() for way in ways]
    return next((path for path in paths if path.is_file()), paths[0])


def _doubled_images(manifest: Path, parts: dict[str, list[Pair]]) -> list[str]:
    images = [pair.image for pairs in parts.values() for pair in pairs]
    counts = Counter(Path(os.path.relpath(image, manifest.parent)).as_posix() for image in images)
    return [
        f"{manifest}: image '{name}' appears in {count} rows. Keep one."
        for name, count in counts.items()
        if count > 1
    ]


def _shared_masks(manifest: Path, parts: dict[str, list[Pair]]) -> list[str]:
    masks = Counter(str(pair.mask) for pairs in parts.values() for pair in pairs)
    shared = [Path(mask) for mask, count in masks.items() if count > 1]
    if not shared:
        return []
    (_, most), *_ = masks.most_common(1)
    names = shortened(os.path.relpath(mask, manifest.parent) for mask in shared)
    return [f"{manifest}: masks of several images, up to {most}: {names}. Look at them."]


def _unlisted(parts: dict[str, list[Pair]]) -> list[str]:
    """Name the image files beside those of a manifest that appear in none of its rows."""
    listed = defaultdict(set)
    for pair in (pair for pairs in parts.values() for pair in pairs):
        for path in pair[:2]:
            listed[path.parent].add(path.name)
    notes = []
    for folder, names in listed.items():
        others = [name for name in image_names(folder) if name not in names]
        if others:
            notes.append(
                f"{folder}: not read: {len(others)} image files that appear in no row of the "
                f"manifest ({shortened(others)})."
            )
    return notes
