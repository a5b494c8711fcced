"""Tables and lists beside the images: columns that give groups and parts."""

import csv
import re
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from .items import Item, some
from .names import SPLITS, folded, natural, split_of, tokens
from .pairs import stem_of

# Columns that repeat and say nothing about who is shown: numbers within a patient, and findings.
WITHIN = "visit time day frame slice index order position age sex gender side eye laterality grade"
WITHIN += " stage class classes category label diagnosis dx type width height size score year date"
WITHIN += " site location localization device modality benign malignant view magnification fold"
WITHIN += " part batch"
WITHIN = set(WITHIN.split())
IDS = {"id", "ids", "uid", "uuid", "code", "key", "name", "barcode", "accession", "hash"}


class Column(NamedTuple):
    """A column's values by the number of the item."""

    table: str
    name: str
    values: dict[int, str]


def read_table(path: Path) -> list[list[str]]:
    """Return the rows of a CSV with commas, semicolons or tabs, the header first."""
    text = path.read_bytes()
    for encoding in ("utf-8-sig", "utf-16" if text[:2] in (b"\xff\xfe", b"\xfe\xff") else "cp1252"):
        try:
            lines = text.decode(encoding).splitlines()
            break
        except UnicodeDecodeError:
            continue
    else:
        lines = text.decode("latin-1").splitlines()
    mark = max(",;\t", key=(lines or [""])[0].count)
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=mark)]
    return [row + [""] * (len(rows[0]) - len(row)) for row in rows if any(row)]


def by_name(items: list[Item], source: Path) -> dict[str, set[int]]:
    """Return the items' numbers by each way to call an image: path, name, stem."""
    known = defaultdict(set)
    for number, item in enumerate(items):
        path = folded(item.path.relative_to(source).as_posix())
        for name in (path, path.rpartition("/")[2], folded(stem_of(item.path)), folded(item.name)):
            known[name].add(number)
    return known


def meant(cell: str, known: dict[str, set[int]]) -> int | None:
    """Return the number of the item that a cell names, None for none or several."""
    path = folded(cell.replace("\\", "/").removeprefix("./"))
    name = path.rpartition("/")[2]
    for key in (path, name, stem_of(Path(name))):
        if len(known.get(key, ())) == 1:
            return next(iter(known[key]))
    return None


def columns(items: list[Item], source: Path, files: list[Path]) -> tuple[list[Column], list[str]]:
    """Return the columns of tables that name the images in a column, and what was not read."""
    known, merged, unread = by_name(items, source), {}, []
    for path in files:
        rows = read_table(path) if path.suffix.lower() in (".csv", ".tsv") else []
        if len(rows) < 3:
            continue
        found = []
        for number in range(len(rows[0])):
            hits = {n: meant(row[number], known) for n, row in enumerate(rows[1:], 1)}
            hits = {n: item for n, item in hits.items() if item is not None}
            unique = len(set(hits.values())) == len(hits)
            if unique and 2 * len(hits) >= min(len(items), len(rows) - 1) and len(hits) > 1:
                found.append((len(hits), -number, hits))
        if not found:
            unread.append(path.name)
            continue
        _, image, hits = max(found, key=lambda f: f[:2])
        for number, name in enumerate(rows[0]):
            if number != -image:
                cells = {item: rows[n][number] for n, item in hits.items() if rows[n][number]}
                column = merged.setdefault(name, Column(path.name, name, {}))
                column.values.update(cells)
    return list(merged.values()), unread


def parts(items: list[Item], source: Path, files: list[Path], table: list[Column]) -> str:
    """Give items the parts that lists (train.txt) and columns of parts say; returns how.

    Raises:
        ValueError: two of list, column and folder say different parts of an image.
    """
    said = defaultdict(dict)
    for column in table:
        words = {n: SPLITS.get(value.casefold()) for n, value in column.values.items()}
        if words and all(words.values()) and len(set(words.values())) > 1:
            said[f"column {column.name}"] = words
    known = by_name(items, source)
    for path in files:
        part = split_of(path.stem)
        alone = set(tokens(path.stem)) <= {
            *SPLITS,
            "ids",
            "list",
            "names",
            "files",
            "images",
            "set",
        }
        if part and alone and path.suffix.lower() in (".txt", ".lst", ".list"):
            for line in path.read_text("utf-8", errors="replace").splitlines():
                number = meant(line.split("\t")[0].strip(), known) if line.strip() else None
                if number is not None:
                    said["lists"][number] = part
    folders = {n: item.split for n, item in enumerate(items) if item.split}
    kinds = {"folders": folders, **said} if folders else dict(said)
    for number, item in enumerate(items):
        found = {kind: words[number] for kind, words in kinds.items() if number in words}
        if len(set(found.values())) > 1:
            text = ", ".join(f"{part} by {kind}" for kind, part in found.items())
            raise ValueError(f"{item.path}: {text}. Keep one of them, or --ignore-parts.")
        item.split = next(iter(found.values()), "")
    counts = Counter(item.split for item in items)
    if counts[""] and len(counts) > 1:
        names = [item.path.name for item in items if not item.split]
        raise ValueError(
            f"{counts['']} of {len(items)} images are in no part ({some(names)}), the others by "
            f"{some(kinds)}. Complete the parts, or --ignore-parts."
        )
    return some(kinds)


def group_columns(table: list[Column], items: list[Item]) -> list[Column]:
    """Return the columns that say which images belong together, those of clear ids first choice.

    A column counts if its values repeat, are no fractions, and it is not of those that number
    things within a patient. Words (male, nv) count only where each stands in one block.
    """
    strong, weak = [], []
    order = sorted(range(len(items)), key=lambda n: natural(items[n].path.as_posix()))
    for column in table:
        values = [column.values[n] for n in order if n in column.values]
        distinct, words = len(set(values)), set(tokens(column.name))
        if not 1 < distinct < len(values) or 2 * len(values) < len(items) or words & WITHIN:
            continue
        if any(re.fullmatch(r"-?\d*[.,]\d+(e.\d+)?", value) for value in values):
            continue
        if all(value.casefold() in SPLITS for value in values):
            continue
        blocks = 1 + sum(a != b for a, b in pairwise(values)) == distinct
        coded = sum((bool(re.search(r"\d", v)) and not v.isdecimal()) or len(v) > 5 for v in values)
        coded = coded > 0.9 * len(values) and any(re.search(r"\d", v) for v in values)
        if words & IDS or coded:
            strong.append(column)
        elif blocks or (
            distinct > 2 and all(re.search(r"\d", v) or not v.isascii() for v in values)
        ):
            weak.append(column)
    return strong or weak


def coarsest(found: list[Column]) -> Column:
    """Return the column that keeps together what any other does; raises ValueError for none."""
    for column in found:
        if all(_within(other, column) for other in found):
            return column
    names = [column.name for column in found]
    raise ValueError(
        f"{found[0].table}: columns {' and '.join(names)} both repeat, and neither keeps together "
        "what the other does. Choose: "
        + " or ".join(f'--group "{name}"' for name in names)
        + ", or --group none."
    )


def _within(fine: Column, coarse: Column) -> bool:
    owner = {}
    return all(
        owner.setdefault(value, coarse.values.get(n)) == coarse.values.get(n)
        for n, value in fine.values.items()
    )
