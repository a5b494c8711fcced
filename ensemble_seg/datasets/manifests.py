"""A table that says which image belongs to which mask, and its problems."""

import csv
import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from ..reading.pairs import Pair

SPLITS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}


class Listing(NamedTuple):
    """What a folder holds.

    Attributes:
        parts: pairs under "train", "validation" and "test" as the publisher split them; under ""
            where nobody did.
        problems: one message for each thing that makes training impossible.
    """

    parts: dict[str, list[Pair]]
    problems: list[str]


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
        f"{manifest}: image '{name}' appears in {count} rows. Keep one."
        for name, count in counts.items()
        if count > 1
    ]
