"""The order of what is written, names that are unique, and files that lie there twice."""

from collections import Counter

from .items import Item
from .names import folded, natural

PARTS = ("train", "validation", "test", "")


def order(item: Item, running: bool) -> tuple:
    """Return a sort key: part, folder, name; running numbers in names count as numbers."""
    name = natural(item.name) if running else [item.name]
    keys = [(0, part, "") if isinstance(part, int) else (1, 0, part) for part in name]
    return PARTS.index(item.split), item.folder, keys


def unique(items: list[Item]) -> None:
    """Put folders before names that repeat, and numbers behind those that still do."""
    counts, seen = Counter(folded(item.name) for item in items), Counter()
    for item in items:
        if counts[folded(item.name)] > 1:
            above = [*item.folder, *[item.split] * bool(item.split)] or item.path.parts[-2:-1]
            item.name = "_".join([*above, item.name])
        seen[folded(item.name)] += 1
        if seen[folded(item.name)] > 1:
            item.name += f"-{seen[folded(item.name)]}"


def without_doubles(items: list[Item], left_out: list[str]) -> list[Item]:
    """Leave out pairs whose files lie there twice, as in an archive that holds itself again."""

    def content(item: Item) -> list[bytes]:
        return [path.read_bytes() for path in (item.path, *item.masks) if not callable(path)]

    kept = {}
    for item in sorted(items, key=lambda item: len(item.path.parts)):
        size = item.path.stat().st_size if item.path.is_file() and item.masks else id(item)
        twins = kept.setdefault((item.name, size), [])
        if not any(content(item) == content(twin) for twin in twins):
            twins.append(item)
    left = {id(item) for twins in kept.values() for item in twins}
    if len(left) < len(items):
        left_out.append(f"{len(items) - len(left)} pairs that lie there twice, file by file")
    return [item for item in items if id(item) in left]
