"""The full check of a data set: what is there, what is wrong, and what leaks."""

import csv
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

import numpy as np

from .datasets import FOLDERS, Dataset, Split, find_folder
from .duplicates import Near, file_hash, near_duplicates, same_files, thumbnail
from .inspection_plots import lesion_problems, table, warnings
from .layouts import find_pairs
from .pairing import Listing, Pair
from .reading import (
    ambiguous_pixels,
    mask_from_grey,
    open_picture,
    orientation,
    picture_size,
    read_grey,
)
from .splitting import complete_parts
from .windows import small_image

RATIO = 3.0
SIMILAR_PATIENTS = 0.85


@dataclass
class Record:
    """What is known about one pair; fields stay empty where its files cannot be read.

    Attributes:
        part, official: where it stands, and where its publisher put it ("" for nowhere).
        size, kind, turned: (height, width), "JPEG RGB" say, and if EXIF turns the image.
        copies: channels that equal the second (FLAIR in LGG): "first", "third".
        values: of the mask: "0/1", "0/255", "greys" or "only 0"; the rest counts its pixels.
    """

    pair: Pair
    part: str
    official: str
    size: tuple[int, int] | None = None
    kind: str = ""
    turned: bool = False
    copies: tuple[str, ...] = ()
    values: str = ""
    ambiguous: int = 0
    lesion: int = 0
    pixels: int = 0
    hash: str = ""
    thumb: np.ndarray | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def fraction(self) -> float:
        """Lesion pixels / all pixels; NaN where the mask cannot be read."""
        return self.lesion / self.pixels if self.pixels else float("nan")

    @property
    def kept(self) -> bool:
        """Background / lesion is at least 3, so the sampling model trains on it."""
        return self.lesion > 0 and self.pixels - self.lesion >= RATIO * self.lesion


@dataclass(frozen=True)
class Inspection:
    """The result of `inspect_dataset`. `str` gives the table.

    Attributes:
        name, folder, split: of the data set, and how it was split, in words.
        exact: numbers of records whose image files are the same, byte for byte.
        near: pairs of records that show the same scene, across parts first, then by similarity.
        hash: of the files, as `Dataset.hash`; "" where training is impossible.
        problems, warnings: what makes training impossible, and what one should know.
    """

    name: str
    folder: Path
    split: str
    records: tuple[Record, ...]
    exact: tuple[tuple[int, ...], ...]
    near: tuple[Near, ...]
    hash: str
    problems: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def is_trainable(self) -> bool:
        """No problem, whatever the warnings."""
        return not self.problems

    @property
    def leaks(self) -> list[Near]:
        """The near duplicates that stand in two parts."""
        return [near for near in self.near if not self.same(near, "part")]

    def fractions(self, part: str = "") -> np.ndarray:
        """Return the lesion fractions of the readable masks of a part, or of all."""
        return np.array([r.fraction for r in self.records if r.pixels and part in ("", r.part)])

    def same(self, which: Sequence, what: str) -> bool:
        """Whether an entry of `exact` or `near` has one "part", "official" or "pair.group"."""
        numbers = which[:2] if isinstance(which, Near) else which
        return len({attrgetter(what)(self.records[number]) for number in numbers}) == 1

    def __str__(self) -> str:
        return table(self)


def inspect_dataset(
    name: str | Path | None = None,
    data_dir: str | Path | None = None,
    seed: int = 0,
    progress: Callable = iter,
) -> Inspection:
    """Read every file of a data set once and report all that is there and all that is wrong.

    Args:
        name, data_dir, seed: as for `load_dataset`.
        progress: wraps the files as they are read, tqdm say.

    Raises:
        ValueError, FileNotFoundError: as `find_folder`. Bad files are problems instead.

    Example:
        >>> found = inspect_dataset("phantoms")
        >>> len(found.records), found.is_trainable
        (240, True)
    """
    name = str(name or os.environ.get("ENSEMBLE_SEG_DATASET") or "phantoms")
    folder = find_folder(name, data_dir)
    listing, problems = _listed(folder)
    parts, split, more = _split(listing, seed)
    records = _records(parts, listing, progress)
    problems += more + [message for record in records for message in record.problems]
    problems += lesion_problems(records)
    exact = same_files(record.hash for record in records)
    near = _near(records, exact)
    label = name if name in FOLDERS else folder.resolve().name
    found = Inspection(label, folder, split, records, tuple(exact), near, "", (), ())
    splits = {part: Split(parts[part], part, folder) for part in parts}
    digest = "" if problems else Dataset(label, **splits).hash
    values = {"hash": digest, "problems": tuple(problems), "warnings": tuple(warnings(found))}
    return Inspection(**{**vars(found), **values})


def _listed(folder: Path) -> tuple[Listing, list[str]]:
    try:
        listing = find_pairs(folder)
    except (OSError, ValueError, csv.Error) as error:
        return Listing({}, []), [f"{folder}: its files cannot be listed ({error})."]
    return listing, list(listing.problems)


def _split(listing: Listing, seed: int) -> tuple[dict, str, list[str]]:
    given = {part for part, pairs in listing.parts.items() if pairs}
    try:
        parts = complete_parts(listing.parts, seed)
    except ValueError as error:
        pairs = [pair for pairs in listing.parts.values() for pair in pairs]
        return {"train": pairs}, "", [str(error)]
    if given <= {"", "train"}:
        return parts, f"drawn at random by group, seed {seed}", []
    drawn = f"; validation drawn from train, seed {seed}" if len(given) < 3 else ""
    return (
        parts,
        f"as given{drawn}{'' if 'test' in given else ', the given one is the test part'}",
        [],
    )


def _records(parts: dict, listing: Listing, progress: Callable) -> tuple[Record, ...]:
    official = {pair[:2]: part for part, pairs in listing.parts.items() for pair in pairs}
    some = not set(official.values()) <= {"", "train"}
    records: dict = {}
    for part, pairs in parts.items():
        for pair in pairs:
            records.setdefault(pair[:2], Record(pair, part, official[pair[:2]] * some))
    with ThreadPoolExecutor() as threads:
        list(progress(threads.map(_read, records.values())))
    return tuple(records.values())


def _read(record: Record) -> None:
    # A check reports every bad file, whatever a decoder raises on it.
    for read in (_read_image, _read_mask):
        try:
            read(record)
        except Exception as error:
            record.problems.append(str(error))


def _read_image(record: Record) -> None:
    path = record.pair.image
    with open_picture(path) as picture:
        record.kind = f"{picture.format or 'DICOM'} {picture.mode}"
        record.turned = orientation(picture) != 1
    small = small_image(path, 128)
    record.size, record.hash = picture_size(path), file_hash(path)
    record.thumb = thumbnail(small)
    if path.parent.name.startswith("TCGA_"):
        channels = {"first": small[..., 0], "third": small[..., 2]}
        record.copies = tuple(
            name for name, values in channels.items() if np.array_equal(values, small[..., 1])
        )


def _read_mask(record: Record) -> None:
    path, size = record.pair.mask, record.size
    grey = read_grey(path)
    mask = mask_from_grey(grey, str(path))
    record.pixels, record.lesion = mask.size, int(mask.sum())
    record.ambiguous = ambiguous_pixels(grey)
    if grey.max(initial=0) <= 1:
        record.values = "0/1" if record.lesion else "only 0"
    else:
        record.values = "greys" if ((grey > 0) & (grey < 255)).any() else "0/255"
    if size and size != grey.shape:
        raise ValueError(
            f"{path}: expected the size of its image {record.pair.image.name}, {size[1]} x "
            f"{size[0]} pixels. Found {grey.shape[1]} x {grey.shape[0]} pixels."
        )


def _near(records: Sequence[Record], exact: Sequence[Sequence[int]]) -> tuple[Near, ...]:
    """Find near duplicates; of files that are the same only the first is compared.

    Of two groups with more than one image each (patients) more likeness is asked.
    """
    again = {number for same in exact for number in same[1:]}
    numbers = [n for n, r in enumerate(records) if r.thumb is not None and n not in again]
    # By name, so that the split does not change what is found.
    numbers.sort(key=lambda number: records[number].pair.image)
    thumbs = [records[number].thumb for number in numbers]
    members = Counter(record.pair.group for record in records)
    found = []
    for near in near_duplicates(np.reshape(thumbs, (-1, 64, 64))):
        edge = Near(numbers[near.first], numbers[near.second], near.similarity)
        groups = {records[number].pair.group for number in edge[:2]}
        patients = len(groups) == 2 and min(members[group] for group in groups) > 1
        if near.similarity >= (SIMILAR_PATIENTS if patients else 0):
            found.append(edge)
    return tuple(sorted(found, key=lambda n: records[n.first].part == records[n.second].part))
