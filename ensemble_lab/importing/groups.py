"""Which images belong together: by tables, names and folders, and by what they show."""

import re
from collections import Counter, defaultdict
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from .items import Item, some
from .names import split_of, tokens
from .pairs import stem_of
from .tables import WITHIN, Column, coarsest, group_columns

SIDE, ALIKE = 24, 0.985
SPECIAL = (
    ("the TCGA barcode", r"(TCGA[-_]\w{2}[-_]\w{4})"),
    ("the name before .rf. (Roboflow)", r"(.+?)(?:_(?:jpe?g|png|tiff?|bmp|webp))?\.rf\.\w+"),
    ("the name before the tile's x and y", r"(.+?)[\s_-]*(?:\[.*x=.*\]|x=?\d+[\s_,-]*y=?\d+.*)"),
)
RUNNING = r"(.+?)[\s_.-]+\(?\d+\)?|(.*\d[A-Za-z]+)\d+|(.+[\s_.-][A-Za-z]+)\d+"
SIDES = r"(.*\d)[\s_.-]*(?:L|R|OD|OS|left|right)"


class Grouping(NamedTuple):
    """A group for each item, how it was found, and whether names count up within groups."""

    groups: list[str]
    text: str
    running: bool = False
    option: str = ""


def groups_of(items: list[Item], table: list[Column], chosen: str | None) -> Grouping:
    """Find the groups of items.

    Args:
        items: all.
        table: columns that are known of the images.
        chosen: "none", "folder", a column or a regular expression; None to find the rule.

    Raises:
        ValueError: two rules disagree, or what was chosen fits not all images.
    """
    names = [item.name for item in items]
    stems = [stem_of(item.path) for item in items]
    if chosen == "none":
        return Grouping(names, "none, as chosen: each image is a group of its own")
    if chosen:
        return _chosen(items, names, stems, table, chosen)
    found = [*_by_table(table, items), *_by_names(stems)]
    if not special(stems)[0]:
        found += _by_folders(items, bool(found))
    kinds = {_partition(grouping.groups): grouping for grouping in reversed(found)}
    if len(kinds) > 1:
        readings = "; ".join(f"{g.text}: --group {g.option}" for g in found)
        raise ValueError(f"Groups can be read in several ways: {readings}; or --group none.")
    return found[0] if found else Grouping(names, "no rule found: each file is one of its own")


def _chosen(items: list[Item], names: list, stems: list, table: list, chosen: str) -> Grouping:
    column = next((c for c in table if c.name == chosen), None)
    if column:
        groups = [column.values.get(n, name) for n, name in enumerate(names)]
        return Grouping(groups, f"column {chosen}, as chosen ({_evidence(groups)})")
    if chosen == "folder":
        groups = ["/".join(item.folder) or item.name for item in items]
        return Grouping(groups, f"folder, as chosen ({_evidence(groups)})", True)
    hits = [re.search(chosen, stem) for stem in stems]
    if not all(hits):
        others = [stem for stem, hit in zip(stems, hits, strict=True) if not hit]
        has = some([f"'{c.name}'" for c in table], 8) or "none"
        raise ValueError(
            f"--group {chosen}: no column of that name (there are: {has}), and as a regular "
            f"expression it does not fit {some(others)}."
        )
    groups = [hit[1] if hit.re.groups else hit[0] for hit in hits]
    return Grouping(groups, f"{chosen}, as chosen ({_evidence(groups)})", True)


def _by_table(table: list[Column], items: list[Item]) -> list[Grouping]:
    found = group_columns(table, items)
    if not found:
        return []
    column = coarsest(found)
    groups = [column.values.get(n, item.name) for n, item in enumerate(items)]
    text = f"column {column.name} of {column.table} ({_evidence(groups)})"
    return [Grouping(groups, text, False, f'"{column.name}"')]


def _by_names(stems: list[str]) -> list[Grouping]:
    text, pattern = special(stems)
    if text:
        hits = [re.match(pattern, stem) for stem in stems]
        groups = [hit[1] if hit else stem for hit, stem in zip(hits, stems, strict=True)]
        if len(set(groups)) > 1:
            if ".rf." in text:
                finer = _running(groups)
                groups = finer[-1].groups if finer else groups
            text = f"{text} ({_evidence(groups)})"
            return [Grouping(groups, text, True, f"'{pattern}'")]
    return _running(stems)


def special(stems: list[str]) -> tuple[str, str]:
    """Return a well-known form that most names have: what it is and its pattern; "" for none."""
    for text, pattern in SPECIAL:
        if sum(bool(re.match(pattern, stem)) for stem in stems) >= 0.9 * len(stems):
            return text, pattern
    return "", ""


def _running(stems: list[str]) -> list[Grouping]:
    """Names that share a beginning and differ in a running number, or in left and right."""
    found, heads = {}, stems
    for level in range(3):
        hits = [(level == 0 and re.fullmatch(SIDES, h)) or re.fullmatch(RUNNING, h) for h in heads]
        if sum(map(bool, hits)) < 0.9 * len(stems):
            break
        heads = [_head(hit, head) for hit, head in zip(hits, heads, strict=True)]
        short = [
            re.sub(r"(?<=\d)[\s_.-]*[A-Za-z]+$|[\s_.-]+[A-Za-z]+$", "", head) for head in heads
        ]
        heads = short if len(set(short)) == len(set(heads)) and all(short) else heads
        if _repeats(heads) and _ids(set(heads)):
            shape = Counter(map(_shape, heads)).most_common(1)[0][0]
            text = f"names that begin alike, as {some(sorted(set(heads)), 2)} ({_evidence(heads)})"
            grouping = Grouping(heads, text, True, f"'^{shape.replace('#', chr(92) + 'd+')}'")
            found.setdefault(_partition(heads), grouping)
    return list(found.values())


def _head(hit: re.Match | None, stem: str) -> str:
    return next((part for part in hit.groups() if part), stem) if hit else stem


def _shape(head: str) -> str:
    return re.sub(r"\d+", "#", head)


def _ids(heads: set[str]) -> bool:
    """Say whether names are those of things counted (vid0, slide_A), not of kinds (benign)."""
    if any(split_of(head) for head in heads):
        return False
    common = Counter(map(_shape, heads)).most_common(1)[0]
    if "#" in common[0]:
        return common[1] >= 0.9 * len(heads)
    start = min(heads, key=len)
    while not all(head.startswith(start) for head in heads):
        start = start[:-1]
    return all(len(head) - len(start) <= 2 for head in heads)


def _by_folders(items: list[Item], known: bool) -> list[Grouping]:
    """Folders of a patient: the uppermost whose names are counted; folders of a class are none."""
    for depth in range(max((len(item.folder) for item in items), default=0)):
        names = [item.folder[depth] if len(item.folder) > depth else "" for item in items]
        distinct = set(names) - {""}
        groups = [name or item.name for name, item in zip(names, items, strict=True)]
        if len(distinct) < 2 or not _repeats(groups) or set(map(str.lower, distinct)) & WITHIN:
            continue
        if any(set(tokens(name)) & WITHIN for name in distinct):
            continue
        if all(re.search(r"\d", name) for name in distinct) or _ids(distinct):
            text = f"folder, as {some(sorted(distinct), 2)} ({_evidence(groups)})"
            return [Grouping(groups, text, True, "folder")]
        if len(distinct) > 5 and not known:
            raise ValueError(
                f"Are {len(distinct)} folders ({some(sorted(distinct))}) patients or classes? "
                "--group folder keeps each together; --group none does not."
            )
    return []


def _repeats(groups: list[str]) -> bool:
    counts = Counter(groups)
    return len(counts) > 1 and 2 * sum(n for n in counts.values() if n > 1) >= len(groups)


def _partition(groups: list[str]) -> tuple:
    first = {}
    return tuple(first.setdefault(group, number) for number, group in enumerate(groups))


def _evidence(groups: list[str]) -> str:
    sizes = sorted(Counter(groups).values())
    size = f"{sizes[0]}" if sizes[0] == sizes[-1] else f"{sizes[0]} to {sizes[-1]}"
    return f"{len(sizes)} groups of {size}"


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Return (24, 24) float32 of norm 1 alike for copies of an image; 0 without structure."""
    small = Image.fromarray(image).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    grey = np.asarray(small, "float32")
    contrast = grey - ndimage.gaussian_filter(grey, 6, mode="nearest")
    norm = np.linalg.norm(contrast)
    return contrast / norm if norm > 2 * SIDE else np.zeros_like(grey)


def copies(thumbnails: np.ndarray) -> list[tuple[int, int]]:
    """Return the pairs of numbers of images that are copies, turned and mirrored ones too."""
    flat = thumbnails.reshape(len(thumbnails), -1)
    found = set()
    for turn in range(4):
        for mirrored in (thumbnails, thumbnails[:, :, ::-1]):
            views = np.rot90(mirrored, turn, (1, 2)).reshape(len(flat), -1)
            for start in range(0, len(flat), 1000):
                hits = np.argwhere(views[start : start + 1000] @ flat.T > ALIKE)
                found |= {(min(a + start, b), max(a + start, b)) for a, b in hits.tolist()}
    return sorted(pair for pair in found if pair[0] != pair[1])


def joined(groups: list[str], pairs: list[tuple[int, int]], splits: list[str]) -> tuple[list, list]:
    """Put copies into one group, where no given part stands between; returns also those pairs."""
    name, apart = {group: group for group in groups}, []
    parts = defaultdict(set)
    for group, split in zip(groups, splits, strict=True):
        parts[group].add(split)

    def root(group: str) -> str:
        while name[group] != group:
            group = name[group]
        return group

    for a, b in pairs:
        one, other = sorted((root(groups[a]), root(groups[b])))
        if parts[one] != parts[other]:
            apart.append((a, b))
        elif one != other:
            name[other] = one
    return [root(group) for group in groups], apart
