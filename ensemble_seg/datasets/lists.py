"""Lists such as train.txt beside the images, which give the parts of a data set."""

import os
import re
from collections import defaultdict
from pathlib import Path

from ..reading.images import SUFFIXES
from ..reading.pairs import Pair
from .manifests import read_text
from .naming import folded
from .pairing import Listing
from .splits import PARTS, SPLITS
from .unread import names_in, shortened

LIST_FOLDERS = ("splits", "split", "lists", "imagesets", "folds", "partitions")
LIST_SUFFIXES = ("", ".txt", ".csv", ".tsv", ".lst", ".json", ".list")
# Words beside that of a part in the name of a list, as in train_ids.txt or test-set.lst.
LIST_WORDS = {"list", "lists", "set", "ids", "id", "names", "files", "images", "image", "split"}
SEVERAL = re.compile(rf"({'|'.join(map(re.escape, SUFFIXES))})[\s,;]+\S", re.IGNORECASE)


def with_lists(folder: Path, listing: Listing) -> Listing:
    """Split a listing as train.txt, val.txt and test.txt say, where they are there.

    Each line names an image, by its stem, its file name or its path in the folder, or a group, all
    of whose images it stands for. Names of files are taken in any case, valid.txt and
    validation.txt for val.txt.
    """
    lists, problems = _lists(folder)
    problems = [*listing.problems, *problems]
    if not lists:
        return Listing(listing.parts, problems, listing.notes)
    if set(listing.parts) - {"", "train"}:
        names = ", ".join(file.name for file in lists.values())
        problems.append(
            f"{folder}: the parts are given by {names} and by the layout or manifest.csv as well. "
            "Keep one of the two."
        )
        return Listing(listing.parts, problems, listing.notes)
    pairs = [pair for part in listing.parts.values() for pair in part]
    known = _by_name(folder, pairs)
    parts: dict[str, list[Pair]] = {}
    for part, file in lists.items():
        parts[part], more = _listed(file, known)
        problems += more
    problems += _unlisted(folder, lists, parts, pairs)
    return Listing(parts, problems, listing.notes)


def _lists(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Return the list of each part, and problems with files that look like lists."""
    found, problems = defaultdict(list), []
    names = [name for name in names_in(folder) if not name.lower().endswith(SUFFIXES)]
    for file in (folder / name for name in names):
        if file.suffix.lower() == ".txt" and file.stem.lower() in SPLITS:
            found[SPLITS[file.stem.lower()]].append(file)
        elif looks_like_list(file):
            problems.append(
                f"{file}: looks like a list of images of a part, and is not read. Write train.txt, "
                "val.txt and test.txt with the name of an image on each line, or move it elsewhere."
            )
    inner = [name for name in names_in(folder, files=False) if name.lower() in LIST_FOLDERS]
    for file in (file for name in inner for file in (folder / name).rglob("*")):
        if looks_like_list(file) and file.is_file():
            problems.append(
                f"{file}: looks like a list of images of a part, and is not read there. Copy it to "
                f"{folder}, or move it elsewhere."
            )
    for files in found.values():
        if len(files) > 1:
            names = " and ".join(file.name for file in files)
            problems.append(f"{folder}: {names} name the same part. Keep one of them.")
    return {part: found[part][0] for part in PARTS if part in found}, problems


def looks_like_list(file: Path) -> bool:
    """Say whether a file's name is that of a list of the images of a part.

    Example:
        >>> looks_like_list(Path("train_ids.csv")), looks_like_list(Path("test_report.txt"))
        (True, False)
    """
    if file.suffix.lower() not in LIST_SUFFIXES:
        return False
    words = [word for word in re.split(r"[\W_\d]+", file.stem.lower()) if word]
    given = [word for word in words if word in SPLITS]
    others = {word for word in words if word not in SPLITS}
    return (bool(given) and others <= LIST_WORDS) or words in (["split"], ["splits"], ["folds"])


def _by_name(folder: Path, pairs: list[Pair]) -> list[dict[str, list[Pair]]]:
    """Return pairs by path in the folder, by file name, by stem, by folded stem and by group."""
    tables = [defaultdict(list) for _ in range(5)]
    for pair in pairs:
        path = Path(os.path.relpath(pair.image, folder))
        names = (path.as_posix(), path.name, path.stem, folded(path.stem), pair.group)
        for table, name in zip(tables, names, strict=True):
            table[name].append(pair)
    return tables


def _listed(file: Path, known: list[dict[str, list[Pair]]]) -> tuple[list[Pair], list[str]]:
    lines = [line.strip() for line in re.split(r"\r\n|\r|\n", read_text(file))]
    lines = [line for line in lines if line]
    if not lines:
        return [], [f"{file}: an empty list. Name the images of its part, or remove the file."]
    pairs, problems = [], []
    for line in lines:
        found, problem = _meant(line, known)
        pairs += found
        problems += [f"{file}: {problem}"] if problem else []
    return list(dict.fromkeys(pairs)), problems


def _meant(line: str, known: list[dict[str, list[Pair]]]) -> tuple[list[Pair], str]:
    """Return the pairs that a line stands for, or what is wrong with it."""
    paths, names, stems, folds, groups = known
    path = line.replace("\\", "/").removeprefix("./")
    name = path.rpartition("/")[2]
    stem = Path(name).stem
    if SEVERAL.search(path):
        return [], f"expected one name a line, found '{line}'."
    keys = (path, name, name, stem, folded(name), folded(stem))
    for table, key in zip((paths, names, stems, stems, folds, folds), keys, strict=True):
        found = table.get(key, [])
        if len(found) == 1:
            return found, ""
        if found:
            others = shortened(str(pair.image) for pair in found)
            return [], f"'{line}' could be {others}. Write the path in the data set's folder."
    if path in groups:
        return groups[path], ""
    return [], f"no image '{stem if stem != name and name.lower().endswith(SUFFIXES) else name}'."


def _unlisted(folder, lists: dict[str, Path], parts, pairs: list[Pair]) -> list[str]:
    listed = {pair for part in parts.values() for pair in part}
    missing = [pair.image.name for pair in pairs if pair not in listed]
    if not missing:
        return []
    names = ", ".join(file.name for file in lists.values())
    return [
        f"{folder}: {len(missing)} of {len(pairs)} images appear in none of {names}: "
        f"{', '.join(missing[:3])}{' ...' if len(missing) > 3 else '.'} Add or remove them."
    ]
