"""Which columns of a manifest hold images, masks, groups and splits, whatever they are called."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from .naming import letters
from .splits import SPLITS

NUMBER = "(id|ids|no|nr|num|number|name|code|key|uid|hash)"
# Columns that say which images belong together. A lesion, a scan or a study needs an id to be one:
# "lesion" alone may be yes or no.
GROUP = re.compile(
    f"(anon[a-z]*)?((patient|subject|case|participant|person|individual|donor|animal|video|group)"
    f"s?{NUMBER}?|(lesion|study|series|exam|examination|scan|visit|slide|volume|stack|eye)"
    f"(instance)?{NUMBER}|pid|mrn)"
)
SPLIT = re.compile(
    "((data|train|test|cv|official)*(split|splits|fold|folds|subset|partition)(id|no|nr|name)?"
    "|set|dataset|(is|in|for)?(train|training|val|valid|validation|test|testing)(set|split)?)"
    "[0-9]*"
)
ENTRIES = "expected rows with columns image and mask, and if you like group and split"


class Columns(NamedTuple):
    """Numbers of the columns; None for one that is not there. `notes` say what was chosen."""

    image: int
    mask: int
    group: int | None
    split: int | None
    notes: list[str]

    def group_of(self, cells: Sequence[str]) -> str:
        """Return the group of a row, "" for none."""
        return "" if self.group is None else cells[self.group].strip()

    def split_of(self, cells: Sequence[str]) -> str:
        """Return the word for the part of a row in lower case, "" for none."""
        return "" if self.split is None else cells[self.split].strip().lower()


def find_columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Columns:
    """Find the columns of a table.

    Args:
        header: their names, in any case.
        rows: the cells of each row, as many as there are columns.

    Raises:
        ValueError: image or mask is missing, a name is there twice, or a column looks like a group
            or a split and cannot be used. The message does not name the file.

    Example:
        >>> find_columns(["Image", "Mask", "Patient"], [["a.png", "b.png", "p1"]]).group
        2
    """
    names = [name.strip().casefold() for name in header]
    doubled = [name for name, count in Counter(names).items() if name and count > 1]
    if doubled:
        raise ValueError(f"column {doubled[0]} appears {names.count(doubled[0])} times. Keep one.")
    if not rows or not {"image", "mask"} <= set(names):
        found = ", ".join(name.strip() for name in header if name.strip())
        raise ValueError(f"{ENTRIES}. Found {len(rows)} rows with columns {found or 'none'}.")
    filled = [n for n in range(len(names)) if any(row[n].strip() for row in rows)]
    groups = [n for n in filled if GROUP.fullmatch(letters(names[n]))]
    group = _coarsest(groups, header, rows)
    split = _split(names, filled, header, rows)
    notes = [
        f"column {header[n].strip()} is taken for the {kind}."
        for kind, n in (("group", group), ("split", split))
        if n is not None and names[n] != kind
    ]
    return Columns(names.index("image"), names.index("mask"), group, split, notes)


def _coarsest(groups: Sequence[int], header, rows) -> int | None:
    """Return the column that keeps together all that any other of them keeps together.

    Of patient and scan that is the patient, where each scan is of one patient.
    """
    for column in groups:
        if all(_keeps_together(column, other, rows) for other in groups):
            return column
    if groups:
        found = " and ".join(header[n].strip() for n in groups)
        raise ValueError(
            f"columns {found} look like groups, and none of them keeps together what the others "
            "do. Write one column group and remove them."
        )
    return None


def _keeps_together(column: int, other: int, rows: Sequence[Sequence[str]]) -> bool:
    groups = defaultdict(set)
    for number, row in enumerate(rows):
        if row[other].strip():
            groups[row[other].strip()].add(row[column].strip() or number)
    return all(len(found) == 1 for found in groups.values())


def _split(names, filled, header, rows) -> int | None:
    """Return the column of the parts, and raise where one looks like it and says something else."""
    chosen = names.index("split") if "split" in names and names.index("split") in filled else None
    for column in filled:
        values = [row[column].strip().lower() for row in rows]
        words = [value for value in values if value in SPLITS]
        named = SPLIT.fullmatch(letters(names[column])) is not None
        if names[column] in ("image", "mask") or column == chosen:
            continue
        if not named and 2 * len(words) <= len([value for value in values if value]):
            continue
        if chosen is not None and _same_parts(values, [row[chosen] for row in rows]):
            continue
        if chosen is not None or len(words) < len(values):
            raise _refused(column, chosen, header, values)
        chosen = column
    return chosen


def _same_parts(values: Sequence[str], chosen: Sequence[str]) -> bool:
    given = [SPLITS.get(value.strip().lower()) for value in chosen]
    return [SPLITS.get(value) for value in values] == given


def _refused(column: int, chosen: int | None, header, values: Sequence[str]) -> ValueError:
    found = ", ".join(repr(value) for value in dict.fromkeys(values))[:60]
    beside = ""
    if chosen is not None:
        beside = f" and says something else than column {header[chosen].strip()}"
    return ValueError(
        f"column {header[column].strip()} looks like a split ({found}){beside}. Write one column "
        "split with train, validation and test in it, and remove or rename the other."
    )
