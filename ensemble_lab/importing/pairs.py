"""Candidates for pairs of image and mask files, from their names and places alone."""

import os
import re
from collections import defaultdict
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from .items import Options
from .names import extended, folded, general, role, split_of, tokens, ways

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".jp2", ".ppm")
PICTURES += (".pgm", ".pbm", ".jfif", ".tga")
VOLUMES = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd", ".dcm")


@dataclass(eq=False)
class Entry:
    """A file and what its place says: role, part, the other folders, and its kind of place."""

    path: Path
    relative: Path
    role: str = ""
    split: str = ""
    folder: tuple[str, ...] = ()
    place: str = ""

    @property
    def stem(self) -> str:
        """The file's stem."""
        return stem_of(self.path)


def tree(source: Path) -> list[Path]:
    """Return all files below a folder, sorted; hidden ones and __MACOSX, say, are passed over."""
    found = []
    for top, folders, files in os.walk(source, followlinks=True):
        folders[:] = sorted(f for f in folders if f[0] != "." and f[:2] != "__")
        found += [Path(top, f) for f in sorted(files) if f[0] != "." and f != "Thumbs.db"]
    return found


def stem_of(path: Path) -> str:
    """Return a file's stem; that of a.nii.gz is a, of a folder its name."""
    low = path.name.lower()
    suffix = next((s for s in (*VOLUMES, *PICTURES) if low.endswith(s)), "")
    return path.name[: len(path.name) - len(suffix)]


def entry_of(path: Path, source: Path) -> Entry:
    """Say what a file's folders are: words for images or masks, parts, or others."""
    entry, above, place = Entry(path, path.relative_to(source)), "", []
    for part in entry.relative.parts[:-1]:
        grown = bool(above) and part != above and part.startswith(above)  # IMD002/IMD002_lesion
        said = role(part[len(above) :] if grown else part)
        said = "" if said == "image" and re.search(r"\d", part) else said
        entry.split = split_of(part) or entry.split
        place.append(f"*{part[len(above) :]}" if grown else part if said else "*")
        if said or grown:
            entry.role = said or "named"
        elif not split_of(part) or len(tokens(part)) > 1:
            entry.folder += (part,)
        above = part
    entry.place = "/".join(place)
    return entry


def meant(entry: Entry, patterns: tuple[str, ...], source: Path) -> bool:
    """Say whether a file is meant by one of: a folder's path or name, or a pattern of names."""
    names = (entry.relative.as_posix(), entry.relative.name, entry.stem)
    for pattern in patterns:
        parts = Path(
            os.path.relpath(pattern, source) if Path(pattern).is_absolute() else pattern
        ).parts
        if any(p.parts[-len(parts) :] == parts for p in entry.relative.parents):
            return True
        if any(fnmatchcase(name, pattern) for name in names):
            return True
    return False


class Pairing:
    """One reading of a folder: which files may be masks of which images."""

    def __init__(self, source: Path, files: list[Path], options: Options) -> None:
        """Read the names only; what the options name is what they say."""
        self.source, self.options, self.left_out, self.notes = source, options, [], []
        self.all = [entry_of(path, source) for path in files]
        chosen = [e for e in self.all if meant(e, options.masks, source)]
        images = [e for e in self.all if meant(e, options.images, source) and e not in chosen]
        for name, found in (("masks", chosen), ("images", images)):
            if getattr(options, name) and not found:
                words = " ".join(getattr(options, name))
                raise ValueError(f"--{name} {words}: no such image files in {source}.")
        for entry in self.all:
            if entry in chosen:
                entry.role = "mask"
            elif chosen and entry.role in ("mask", "other", "named"):
                entry.role = "other"
        self.candidates = images or [e for e in self.all if e.role not in ("mask", "other")]
        self.maskable = chosen or [e for e in self.all if e not in images]

    def families(self) -> dict:
        """Return {(place, way): {mask's id: [(mask, image), ...]}}, the best way of each place."""
        masks = [e for e in self.maskable if e.role == "mask"] or self.candidates
        sides = ({f for e in side for f in e.folder} for side in (self.candidates, masks))
        self.shared = set.intersection(*sides)  # other folders do not tell images apart
        groups = defaultdict(lambda: defaultdict(list))
        for entry in self.candidates:
            groups[self.context(entry)][folded(entry.stem)].append(entry)
        tables = {key: (by_stem, *extended(by_stem)) for key, by_stem in groups.items()}
        found = defaultdict(lambda: defaultdict(list))
        for mask in self.maskable:
            table = tables.get(self.context(mask), ({}, {}, {}))
            for stem, way in ways(folded(mask.stem), *table, mask.role != "mask"):
                pairs = [(mask, e) for e in table[0][stem] if e is not mask]
                if pairs:
                    found[self.place(mask), general(way)][id(mask)] += pairs
        best = self._best(found)
        inner = {mask for key in best for mask in best[key] if self.tier(*key) == 3}
        kept = [entry for entry in self.candidates if id(entry) not in inner]
        if len(kept) == len(self.candidates):
            return best
        self.candidates = kept  # a mask of a mask is none
        return self.families()

    def context(self, entry: Entry) -> tuple:
        """Return what an image and its mask have in common beside their names."""
        return entry.split, tuple(f for f in entry.folder if f in self.shared)

    def place(self, mask: Entry) -> str:
        """Return the kind of place of a mask, with folders that only masks have by name."""
        extra = [f for f in mask.folder if f not in self.shared]
        return "/".join([mask.place, *extra]) if mask.role == "mask" else mask.place

    def _best(self, found: dict) -> dict:
        """Of each place keep the way that most masks go; of ways beside images those that count."""
        best, taken = {}, {}
        for place, way in sorted(found, key=lambda k: (-len(found[k]), sum(map(len, k[1])))):
            masks = found[place, way]
            if next(iter(masks.values()))[0][0].role == "mask":
                if taken.setdefault(place, way[2:]) == way[2:]:
                    best[place, way] = masks
            elif any(c.isalpha() for c in way[2] + way[3]) and (
                self.tier(place, way) != 2 or len(masks) * 3 >= len(self.candidates)
            ):
                best[place, way] = masks
        return best

    def tier(self, place: str, way: tuple) -> int:
        """Return how clearly names say mask: 3 by a word, 2 by nothing, 1 for a word for others."""
        said = {role(part) for part in (*way[2:], *place.split("/"))}
        return 1 if "other" in said else 3 if "mask" in said else 2
