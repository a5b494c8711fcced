"""A table that says which image belongs to which mask, and its problems."""

import csv
import io
import os
from collections import Counter, defaultdict
from pathlib import Path

from ..reading.images import image_names
from ..reading.pairs import Pair
from .columns import Columns, find_columns
from .naming import folded
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
    relative to the table's folder; a name that differs from its file's in case only, or in how
    accents are stored, is taken for it where there is no other. Where group is empty the image is a
    group of its own. split is train, validation (or val, valid) or test, in each row or in none.
    Other columns that look like groups (patient) or splits (subset) are used, or refused where it
    is not clear how; see `columns.find_columns`.
    """
    try:
        header, rows = _table(manifest)
        columns = find_columns(header, [cells for _, cells in rows])
    except ValueError as error:
        return Listing({}, [f"{manifest}: {error}"])
    parts: dict[str, list[Pair]] = {}
    problems: list[str] = []
    files = _Files(manifest.parent)
    for number, cells in rows:
        problem, pair = _pair(files, cells, columns)
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
    notes = [f"{manifest}: {note}" for note in (*columns.notes, *files.notes())]
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


class _Files:
    """Finds the files that cells name; each folder is listed once, which is faster than asking."""

    def __init__(self, folder: Path):
        self.folder = str(folder)
        self.listed: dict[str, set[str]] = {}
        self.spelled: dict[str, dict[str, list[str]]] = {}
        self.others: dict[str, str] = {}

    def find(self, cell: str) -> str | None:
        """Return the file that a cell names: as it stands, without blanks, or as on Windows."""
        bare = cell.strip()
        for way in dict.fromkeys((cell, bare, bare.replace("\\", "/"))):
            path = os.path.join(self.folder, way)  # noqa: PTH118
            if way[:1] == "~" or "./" in way or "//" in way:
                path = str(Path(self.folder) / Path(way).expanduser())
            folder, name = os.path.split(path)
            if name in self._names(folder):
                return path
        return self._otherwise(path)

    def notes(self) -> list[str]:
        """Return a message if names differ from those of their files."""
        if not self.others:
            return []
        one, other = next(iter(self.others.items()))
        return [
            f"{len(self.others)} names are spelled otherwise than their files (case, or how "
            f"accents are stored): '{other}' is taken for '{one}'."
        ]

    def _names(self, folder: str) -> set[str]:
        if folder not in self.listed:
            try:
                with os.scandir(folder) as entries:
                    files = {entry.name for entry in entries if _is_file(entry)}
            except (OSError, ValueError):
                files = set()
            self.listed[folder] = files
        return self.listed[folder]

    def _otherwise(self, path: str) -> str | None:
        folder, name = os.path.split(path)
        if folder not in self.spelled:
            self.spelled[folder] = defaultdict(list)
            for other in self._names(folder):
                self.spelled[folder][folded(other)].append(other)
        found = self.spelled[folder].get(folded(name), ())
        if len(found) != 1:
            return None
        self.others[name] = found[0]
        return str(Path(folder) / found[0])


def _is_file(entry: os.DirEntry) -> bool:
    return entry.is_file(follow_symlinks=False) or (entry.is_symlink() and Path(entry).is_file())


def _pair(files: _Files, cells: list[str], columns: Columns) -> tuple[str, Pair | None]:
    """Return what is wrong with a row, or its pair."""
    paths = []
    for name, column in (("image", columns.image), ("mask", columns.mask)):
        paths.append(files.find(cells[column]))
        if paths[-1] is None:
            return f"no {name} file '{cells[column]}'.", None
    if paths[0] == paths[1]:
        return f"image and mask are the same file '{cells[columns.image]}'.", None
    split = columns.split_of(cells)
    if split and split not in SPLITS:
        found = cells[columns.split].strip()
        return f"expected a split of {', '.join(SPLITS)}, found '{found}'.", None
    return "", Pair(*paths, columns.group_of(cells) or cells[columns.image])


def _doubled_images(manifest: Path, parts: dict[str, list[Pair]]) -> list[str]:
    counts = Counter(os.path.normpath(pair.names[0]) for pairs in parts.values() for pair in pairs)
    doubled = {image: count for image, count in counts.items() if count > 1}
    return [
        f"{manifest}: image '{Path(os.path.relpath(image, manifest.parent)).as_posix()}' appears "
        f"in {count} rows. Keep one."
        for image, count in doubled.items()
    ]


def _shared_masks(manifest: Path, parts: dict[str, list[Pair]]) -> list[str]:
    masks = Counter(pair.names[1] for pairs in parts.values() for pair in pairs)
    shared = [mask for mask, count in masks.items() if count > 1]
    if not shared:
        return []
    (_, most), *_ = masks.most_common(1)
    names = shortened(os.path.relpath(mask, manifest.parent) for mask in shared)
    return [f"{manifest}: masks of several images, up to {most}: {names}. Look at them."]


def _unlisted(parts: dict[str, list[Pair]]) -> list[str]:
    """Name the image files beside those of a manifest that appear in none of its rows."""
    listed = defaultdict(set)
    for pair in (pair for pairs in parts.values() for pair in pairs):
        for path in pair.names:
            folder, name = os.path.split(path)
            listed[folder].add(name)
    notes = []
    for folder, names in listed.items():
        others = [name for name in image_names(Path(folder)) if name not in names]
        if others:
            notes.append(
                f"{folder}: not read: {len(others)} image files that appear in no row of the "
                f"manifest ({shortened(others)})."
            )
    return notes
