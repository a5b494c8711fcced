"""The full check of a data set: what is there, what is wrong, and what leaks."""

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..common.files import file_hash, whole
from ..datasets import Dataset, Split, find_folder
from ..datasets.dataset import NAMES
from ..datasets.layouts import find_pairs
from ..datasets.pairing import Listing
from ..datasets.splits import complete_parts
from ..presets import Preset
from ..presets import preset as chosen_preset
from ..reading.checking import require_size
from ..reading.images import open_picture, orientation, picture_size, small_image
from ..reading.lesion_values import LesionValues, chosen_lesion_values
from ..reading.masks import mixed_marks, read_mask_file
from ..reading.refusing import unreadable
from .duplicates import Near, group_duplicates, near_duplicates, same_files, thumbnail
from .readiness import Seen, lesion_problems
from .records import Inspection, Record
from .report import table, warnings

SIMILAR_PATIENTS = 0.85


def inspect_dataset(
    name: str | Path | None = None,
    data_dir: str | Path | None = None,
    seed: int = 0,
    progress: Callable = iter,
    lesion_values: int | str | Iterable[int] | None = None,
    preset: Preset | None = None,
) -> Inspection:
    """Read every file of a data set once and report all that is there and all that is wrong.

    Args:
        name, data_dir, seed, lesion_values: as for `load_dataset`.
        progress: wraps the files as they are read, tqdm say.
        preset: what is to be trained: its limit, size and threshold decide whether the masks
            suffice. ENSEMBLE_SEG_PRESET, or "quick", where it is None.

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
    values = chosen_lesion_values(lesion_values)
    records = _records(parts, listing, progress, values)
    problems += more + [message for record in records for message in record.problems]
    seen = {
        part: [Seen(r.pair, r.pixels, r.lesion) for r in records if r.part == part and r.pixels]
        for part in parts
    }
    problems += lesion_problems(seen, preset or chosen_preset(), values=values)
    problems += _mixed_marks(records)
    exact = same_files(record.hash for record in records)
    near = _near_pairs(records, exact)
    label = name if name in NAMES else folder.resolve().name
    found = Inspection(label, folder, split, records, tuple(exact), near, "", (), ())
    splits = {part: Split(parts[part], part, folder, None, values) for part in parts}
    digest = "" if problems else Dataset(label, **splits).hash
    told = (*listing.notes, *warnings(found))
    found = replace(found, hash=digest, problems=tuple(problems), warnings=told)
    return replace(found, text=table(found))


def write_manifest(found: Inspection, path: str | Path) -> int:
    """Write a manifest in which images that show the same share a group.

    A random split then keeps them together, once the file is manifest.csv in the data set's
    folder. Where the parts are official they stay as they are, in a column split, and groups are
    joined within a part only. Returns how many pairs got another group.

    Raises:
        FileExistsError, ValueError: there is such a file already; no pairs to write.
    """
    path, records = Path(path), found.records
    if path.exists():
        raise FileExistsError(f"{path}: there is such a file already. Name another one.")
    if not records:
        raise ValueError(f"{found.folder}: expected pairs to write to {path}, found none.")
    edges = [(same[0], other) for same in found.exact for other in same[1:]]
    edges = [
        edge
        for edge in (*edges, *(near[:2] for near in found.near))
        if found.same(edge, "official")
    ]
    before = [record.pair for record in records]
    after = group_duplicates(before, edges)
    split = ["split"] if any(record.official for record in records) else []
    with whole(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "mask", "group", *split])
        for record, pair in zip(records, after, strict=True):
            names = [Path(os.path.relpath(each, found.folder)).as_posix() for each in pair[:2]]
            rows.writerow([*names, pair.group, *([record.official] if split else [])])
    return sum(old != new for old, new in zip(before, after, strict=True))


def _listed(folder: Path) -> tuple[Listing, list[str]]:
    try:
        listing = find_pairs(folder)
    except (OSError, ValueError) as error:
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


def _mixed_marks(records: Sequence[Record]) -> list[str]:
    message = mixed_marks((record.pair.mask, record.marks) for record in records)
    return [message] if message else []


def _records(
    parts: dict, listing: Listing, progress: Callable, values: LesionValues | None
) -> tuple[Record, ...]:
    official = {pair[:2]: part for part, pairs in listing.parts.items() for pair in pairs}
    some = not set(official.values()) <= {"", "train"}
    records: dict = {}
    for part, pairs in parts.items():
        for pair in pairs:
            records.setdefault(pair[:2], Record(pair, part, official[pair[:2]] * some))
    with ThreadPoolExecutor() as threads:
        list(progress(threads.map(lambda record: _read(record, values), records.values())))
    return tuple(records.values())


def _read(record: Record, values: LesionValues | None) -> None:
    # A check reports every bad file, whatever a decoder raises on it.
    for path, read in (
        (record.pair.image, lambda: _read_image(record)),
        (record.pair.mask, lambda: _read_mask(record, values)),
    ):
        try:
            read()
        except Exception as error:
            named = str(error).startswith(str(path))
            record.problems.append(str(error if named else unreadable(path, error)))


def _read_image(record: Record) -> None:
    path = record.pair.image
    with open_picture(path) as picture:
        record.kind = f"{picture.format or 'DICOM'} {picture.mode}"
        record.turned = orientation(picture) != 1
    small = small_image(path, 128)
    record.size, record.hash = picture_size(path), file_hash(path)
    record.thumb = thumbnail(small)
    record.plain = bool((small == small[0, 0]).all())
    if path.parent.name.startswith("TCGA_"):
        channels = {"first": small[..., 0], "third": small[..., 2]}
        record.copies = tuple(
            name for name, values in channels.items() if np.array_equal(values, small[..., 1])
        )


def _read_mask(record: Record, values: LesionValues | None) -> None:
    found = read_mask_file(record.pair.mask, values)
    mask = found.mask
    record.pixels, record.lesion = mask.size, int(np.count_nonzero(mask))
    record.ambiguous, record.marks = found.ambiguous, found.lesion
    record.corners = bool(mask[[0, 0, -1, -1], [0, -1, 0, -1]].all())
    if values is not None:
        record.values = "as chosen"
    elif found.lossy and found.lesion:
        record.values = "greys"
    else:
        record.values = f"0/{found.lesion}" if found.lesion else "only 0"
    if record.size:
        require_size(record.pair, record.size, found)


def _near_pairs(records: Sequence[Record], exact: Sequence[Sequence[int]]) -> tuple[Near, ...]:
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
