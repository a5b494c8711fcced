"""Folders in the plain form to pairs of image and mask, and pairs to parts."""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .reading import image_files

PARTS = {"train": 0.7, "validation": 0.1, "test": 0.2}
COLUMNS = ("image", "mask", "group", "split")


class Pair(NamedTuple):
    """An image file, its mask file, and the group (the patient, say) it belongs to."""

    image: Path
    mask: Path
    group: str


def all_pairs(folder: str | Path) -> tuple[Pair, ...]:
    """Return the pairs of all parts of a folder; errors as `load_dataset`."""
    return tuple(pair for pairs in read_folder(folder).values() for pair in pairs)


def read_folder(folder: str | Path) -> dict[str, list[Pair]]:
    """Return the pairs of a folder by the part that they are given to, "" where none is.

    Raises:
        ValueError: as `load_dataset`.
    """
    folder = Path(folder).expanduser().absolute()
    if (folder / "manifest.csv").is_file():
        parts = _of_manifest(folder / "manifest.csv")
    elif (folder / "images").is_dir() and (folder / "masks").is_dir():
        parts = {"": _by_stem(folder / "images", folder / "masks")}
    else:
        raise ValueError(
            f"{folder}: expected images/ and masks/ with files of equal stems, or manifest.csv. "
            f"For any other layout: ensemble-seg import {folder} OUT"
        )
    seen: dict[str, str] = {}
    for part, pairs in parts.items():
        for pair in pairs:
            if seen.setdefault(pair.group, part) != part:
                raise ValueError(
                    f"{pair.image}: its group '{pair.group}' appears in {seen[pair.group]} and in "
                    f"{part}, so the test would not be on unseen cases. Keep each in one part."
                )
    return parts


def complete_parts(parts: dict[str, list[Pair]], seed: int = 0) -> dict[str, tuple[Pair, ...]]:
    """Fill in the parts that nobody gave, as `load_dataset` says.

    Raises:
        ValueError: no pairs, no training part beside the others, or too few groups.
    """
    given = {part: pairs for part, pairs in parts.items() if pairs}
    if set(given) <= {"", "train"}:
        return split_by_group((pair for pairs in given.values() for pair in pairs), seed)
    if "train" not in given:
        raise ValueError(f"Expected training images beside those of {', '.join(given)}.")
    if "test" not in given:
        given["test"] = given.pop("validation")
    if "validation" not in given:
        shares = {part: PARTS[part] for part in ("train", "validation")}
        given |= split_by_group(given["train"], seed, shares)
    return {part: tuple(given[part]) for part in PARTS}


def split_by_group(
    pairs: Iterable[Pair], seed: int = 0, shares: dict[str, float] = PARTS
) -> dict[str, tuple[Pair, ...]]:
    """Split pairs at random, each group whole in one part.

    Groups are dealt in random order: one to each part, then to the part that lacks most of its
    share of the pairs.

    Args:
        pairs: image files with their groups.
        seed: of the order.
        shares: of the pairs, for each part. 70/10/20 by default.

    Raises:
        ValueError: fewer groups than parts.
    """
    members = defaultdict(list)
    for pair in pairs:
        members[pair.group].append(pair)
    if len(members) < len(shares):
        raise ValueError(
            f"Expected at least {len(shares)} groups of images for {', '.join(shares)}. "
            f"Received: {len(members)}. Add images, or groups in manifest.csv."
        )
    total, whole = sum(map(len, members.values())), sum(shares.values())
    parts = {part: [] for part in shares}
    order = np.random.default_rng(seed).permutation(sorted(members))
    for part, group in zip(shares, order, strict=False):
        parts[part] += members[group]
    for group in order[len(shares) :]:
        lacking = max(shares, key=lambda part: shares[part] / whole - len(parts[part]) / total)
        parts[lacking] += members[group]
    return {part: tuple(pairs) for part, pairs in parts.items()}


def not_read(folder: Path) -> tuple[str, ...]:
    """Return a message for what lies beside the pairs: a list of parts, a column of patients."""
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        others = sorted({file.name for file in folder.iterdir()} - {"images", "masks"})
        others = [name for name in others if name[0] != "."]
        return (f"{folder}: not read: {', '.join(others)}.",) if others else ()
    with manifest.open(encoding="utf-8-sig", newline="") as file:
        columns = next(csv.reader(file))
    others = [column for column in columns if column not in COLUMNS]
    if "group" in columns or not others:
        return ()
    return (f"{manifest}: no column group; not read: {', '.join(others)}.",)


def _by_stem(images: Path, masks: Path) -> list[Pair]:
    found = {
        folder: {file.stem: file for file in image_files(folder)} for folder in (images, masks)
    }
    for folder, other in ((images, masks), (masks, images)):
        stems = Counter(file.stem for file in image_files(folder))
        for stem in sorted(stems):
            if stems[stem] > 1:
                raise ValueError(f"{folder / stem}: {stems[stem]} files of this stem. Keep one.")
            if stem not in found[other]:
                raise ValueError(
                    f"{found[folder][stem]}: no partner {stem}.* in {other}. Add it, or remove the "
                    "file. Where masks are named otherwise: "
                    f"ensemble-seg import {folder.parent} OUT"
                )
    if not found[images]:
        raise ValueError(f"{images}: expected image files, found none.")
    return [Pair(found[images][stem], found[masks][stem], stem) for stem in sorted(found[images])]


def _of_manifest(manifest: Path) -> dict[str, list[Pair]]:
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except UnicodeDecodeError as error:
        raise ValueError(f"{manifest}: expected UTF-8 text ({error}).") from error
    if not rows or not {"image", "mask"} <= rows[0].keys():
        raise ValueError(f"{manifest}: expected rows under image,mask[,group][,split].")
    parts: dict[str, list[Pair]] = {}
    for number, row in enumerate(rows, start=2):
        where = f"{manifest}, line {number}"
        image, mask = (manifest.parent / (row[column] or "") for column in ("image", "mask"))
        for path in (image, mask):
            if not path.is_file():
                raise ValueError(f"{where}: no file {path}.")
        part = (row.get("split") or "").strip()
        if part and part not in PARTS:
            raise ValueError(f"{where}: expected a split of {', '.join(PARTS)}, found '{part}'.")
        group = (row.get("group") or "").strip() or row["image"]
        parts.setdefault(part, []).append(Pair(image, mask, group))
    if "" in parts and len(parts) > 1:
        raise ValueError(f"{manifest}: {len(parts[''])} rows have no split. Give all one, or none.")
    counts = Counter(pair.image for pairs in parts.values() for pair in pairs)
    for image, count in counts.items():
        if count > 1:
            raise ValueError(f"{manifest}: {image} appears in {count} rows. Keep one.")
    return parts
