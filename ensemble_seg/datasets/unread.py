"""What lies in a folder and is not read: named, so that nothing is passed over without a word."""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

from ..reading.images import SUFFIXES, image_names

# What is known to hold no pictures.
TEXT = re.compile(
    r"(license|licence|readme|citation|authors|makefile|checksums).*"
    r"|.*\.(txt|md|rst|csv|tsv|json|xml|ya?ml|ini|cfg|toml|log|pdf|html?|py|ipynb|db|lst|bib|cff"
    r"|xlsx?|docx?)",
    re.IGNORECASE,
)
VOLUMES = (".nii", ".nii.gz", ".mha", ".mhd", ".nrrd", ".img", ".hdr", ".npy", ".npz", ".mat")
DEPTH = 3  # folders below folders that are searched for images


def unread_files(folder: Path) -> list[str]:
    """Return a message on the files of a folder whose suffix is not read; none on texts."""
    found = Counter(_suffix(name) for name in names_in(folder) if not _known(name))
    if not found:
        return []
    cure = " Save slices as PNG." if set(found) & set(VOLUMES) else ""
    return [
        f"{folder}: not read: {_counted(found)}. Expected images ({', '.join(SUFFIXES)}).{cure}"
    ]


def unread_folders(folder: Path, used: Collection[str] = ()) -> dict[str, int]:
    """Return how many files that look like images lie in each folder below that is not used."""
    others = [name for name in names_in(folder, files=False) if name not in used]
    counts = {name: _pictures(folder / name, DEPTH) for name in others}
    return {name: number for name, number in counts.items() if number}


def names_in(folder: Path, files: bool = True) -> list[str]:
    """Return the names of the files of a folder, or of the folders in it, but for hidden ones."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.name[0] != "." and _is_folder(e) != files)


def contents(folder: Path) -> str:
    """Say in a few words what is in a folder.

    Example:
        >>> contents(Path("nowhere"))
        'no such folder'
    """
    if not folder.is_dir():
        return "no such folder"
    folders = [f"{name}/" for name in names_in(folder, files=False)]
    files = Counter(_suffix(name) for name in names_in(folder))
    parts = [shortened(folders)] if folders else []
    parts += [_counted(files)] if files else []
    return "; ".join(parts) or "nothing"


def shortened(names: Iterable[str], most: int = 3) -> str:
    """Return the first names, and how many more there are.

    Example:
        >>> shortened(["a", "b", "c", "d"])
        'a, b, c and 1 more'
    """
    names = list(names)
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _is_folder(entry: os.DirEntry) -> bool:
    # A path does not raise where a link leads in a circle, and is asked for links only.
    return Path(entry).is_dir() if entry.is_symlink() else entry.is_dir()


def _known(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) or TEXT.fullmatch(name) is not None


def _suffix(name: str) -> str:
    suffixes = Path(name.lower()).suffixes
    if suffixes[-1:] == [".gz"]:
        return "".join(suffixes[-2:])
    return suffixes[-1] if suffixes else "no suffix"


def _counted(suffixes: Counter) -> str:
    return shortened(
        f"{number} file{'s' if number > 1 else ''} {suffix}"
        for suffix, number in suffixes.most_common()
    )


def _pictures(folder: Path, depth: int) -> int:
    here = sum(name.lower().endswith(VOLUMES) for name in names_in(folder))
    here += len(image_names(folder))
    if depth > 1 and not here:
        here = sum(_pictures(folder / name, depth - 1) for name in names_in(folder, files=False))
    return here
