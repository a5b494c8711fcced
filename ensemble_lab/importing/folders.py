"""From candidates for pairs to one reading of a folder, or to a refusal that names both."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

from .items import Item, Options, Source, check_without, some
from .names import folded, natural, role, shifted
from .pairs import VOLUMES, Entry, Pairing
from .pixels import opened

MANIFEST = "write a manifest.csv with columns image and mask that says which belong together"


def find_pairs(source: Path, files: list[Path], options: Options) -> Source:
    """Pair image files with mask files.

    Raises:
        ValueError: nothing fits, two kinds of files could be the masks, or files have no partner.
    """
    reading = Pairing(source, files, options)
    if options.masks:  # other masks are no images
        free = Pairing(source, files, replace(options, masks=()))
        masks = {pairs[0][0].path for each in free.families().values() for pairs in each.values()}
        reading.candidates = [e for e in reading.candidates if e.path not in masks]
    families = reading.families() or _one_each(reading)
    if not families and not options.masks:
        _by_content(reading)
        families = reading.families()
    if not families:
        raise ValueError(
            f"{source}: found {len(files)} image files ({some(e.relative for e in reading.all)}) "
            "and no names that go together. Say which are masks: --masks FOLDER or --masks "
            f"'PATTERN', or {MANIFEST}. Other annotations: datumaro turns them into COCO."
        )
    chosen = _choose(reading, families)
    partners = _partners(chosen)
    images, alone = _images(reading, families, chosen, partners)
    _check_matched(reading, images, alone, partners)
    items = []
    for image in images:
        masks = [mask.path for mask in partners.get(image, [])]
        if masks or not options.no_mask_is_left_out:
            items.append(Item(image.stem, image.path, masks, image.folder, image.split))
    several = [item for item in items if len(item.masks) > 1]
    if several:
        example = some(mask.name for mask in several[0].masks)
        reading.notes.append(f"{len(several)} images have several masks, their union ({example}).")
    _say_left_out(reading, items)
    pairs = [next(iter(masks.values()))[0] for masks in chosen.values()]
    examples = some([f"{i.relative.as_posix()} with {m.relative.as_posix()}" for m, i in pairs], 2)
    return Source(f"images and masks, {examples}", items, reading.left_out, reading.notes)


def _one_each(reading: Pairing) -> dict:
    """Pair all masks of a folder with its only image: case_1/image.png and case_1/mask.png."""
    folders = defaultdict(lambda: ([], []))
    for entry in dict.fromkeys([*reading.candidates, *reading.maskable]):
        mask = entry.role == "mask" or (entry.role != "image" and role(entry.stem) == "mask")
        folders[entry.split, entry.folder][mask].append(entry)
    if not all(len(i) == 1 and m for i, m in folders.values()):
        return {}
    masks = {id(m): [(m, images[0])] for images, found in folders.values() for m in found}
    return {("*", ("",) * 4): masks}


def _by_content(reading: Pairing) -> None:
    """Take files of few colours for masks, where no name says which are."""
    kinds = defaultdict(list)
    for entry in reading.maskable:
        if not entry.path.is_dir() and not entry.path.name.lower().endswith(VOLUMES):
            kinds[entry.path.parent, entry.path.suffix.lower()].append(entry)
    for found in kinds.values():
        if all(_few_colours(np.asarray(opened(e.path).convert("RGB"))) for e in found[:3]):
            for entry in found:
                entry.role = "mask"
    reading.candidates = [e for e in reading.candidates if e.role != "mask"]


def _few_colours(values: np.ndarray) -> bool:
    coarse = np.unique((values.reshape(-1, 3) + 16) // 32, axis=0, return_counts=True)[1]
    return len(coarse) <= 12 and np.sort(coarse)[::-1][:4].sum() >= 0.99 * coarse.sum()


def _choose(reading: Pairing, families: dict) -> dict:
    """Return the families of the clearest names; raise where two say something of one image."""
    if reading.options.masks:
        return families
    highest = max(reading.tier(*key) for key in families)
    best = {key: families[key] for key in families if reading.tier(*key) == highest}
    owners = {}
    for key, masks in best.items():
        for mask, image in (pair for pairs in masks.values() for pair in pairs):
            other, first = owners.setdefault(image, (key, mask))
            if other != key:
                raise _two_readings(reading, image, first, mask)
        _check_numbered(masks)
    return best


def _two_readings(reading: Pairing, image: Entry, one: Entry, other: Entry) -> ValueError:
    names = [mask.relative.parent.as_posix() for mask in (one, other)]
    if names[0] == names[1]:
        names = [f"'*{mask.path.name.removeprefix(image.stem)}'" for mask in (one, other)]
    return ValueError(
        f"{reading.source}: two kinds of files could be the masks: {one.relative} and "
        f"{other.relative} both go with {image.relative}. Choose: --masks {names[0]} or --masks "
        f"{names[1]} (both: --masks {' '.join(names)}, their union)."
    )


def _check_numbered(masks: dict) -> None:
    """Refuse masks _1 and _2 of each image: two people's opinions, or two lesions?"""
    ends = defaultdict(set)
    for mask, image in (pair for pairs in masks.values() for pair in pairs):
        ends[image].add(mask.stem[len(image.stem) :])
    kinds = {tuple(sorted(found)) for found in ends.values()}
    if len(kinds) == 1 and len(ends) > 2 and len(found := kinds.pop()) > 1:
        each = [f"'*{end}'" for end in found]
        raise ValueError(
            f"{mask.path}: each image has masks that end in {some(found)}: several opinions, or "
            f"several lesions? One: --masks {each[0]}. Their union: --masks {' '.join(each)}."
        )


def _partners(chosen: dict) -> dict[Entry, list[Entry]]:
    """Return the masks of each image."""
    partners, owners = defaultdict(list), defaultdict(dict)
    for mask, image in (p for masks in chosen.values() for pairs in masks.values() for p in pairs):
        owners[mask][image] = True
    for mask, images in owners.items():
        near = [image for image in images if image.folder == mask.folder]
        images = near if len(near) == 1 else list(images)
        if len(images) > 1:
            raise ValueError(
                f"{mask.path}: could be the mask of {some(i.relative for i in images)}. "
                "Say which files are the images: --images FOLDER or --images 'PATTERN'."
            )
        partners[images[0]].append(mask)
    for masks in partners.values():
        masks.sort(key=lambda mask: (len(mask.stem), natural(mask.stem)))
    return partners


def _images(reading: Pairing, families: dict, chosen: dict, partners: dict) -> tuple[list, list]:
    """Return the images, and masks of the chosen kind that go with none."""
    matched = {key for masks in families.values() for key in masks}
    images, alone = [], []
    for entry in dict.fromkeys([*reading.candidates, *reading.maskable]):
        stem, place = folded(entry.stem), reading.place(entry)
        ends = [way[2:] for where, way in chosen if where == place]
        like = any(stem.startswith(a) and stem.endswith(b.rstrip("#")) for a, b in ends if a or b)
        if id(entry) in matched:
            continue
        if entry not in partners and (ends if entry.role == "mask" else like):
            alone.append(entry)
        elif entry in reading.candidates and entry.role != "mask":
            images.append(entry)
    return images, alone


def _check_matched(reading: Pairing, images: list, alone: list, partners: dict) -> None:
    without = [image.relative for image in images if not partners.get(image)]
    masks = [mask for found in partners.values() for mask in found] + alone
    where = f"{reading.source}: {len(images)} images, {len(masks)} masks"
    step = shifted([i.stem for i in images], [m.stem for m in masks]) if alone or without else 0
    if step:
        raise ValueError(
            f"{where}: numbered {abs(step)} {'lower' if step < 0 else 'higher'}? Masks "
            f"({some(m.relative for m in masks)}) would be paired with wrong images by equal "
            f"numbers. Number them alike in a copy, or {MANIFEST}."
        )
    if alone:
        names = some(mask.relative for mask in alone)
        raise ValueError(
            f"{where}; no image for {len(alone)} masks: {names}. Add it, or {MANIFEST}."
        )
    check_without(without, where, reading.options)


def _say_left_out(reading: Pairing, items: list[Item]) -> None:
    used = {path for item in items for path in (item.path, *item.masks)}
    rest = defaultdict(list)
    for entry in reading.all:
        if entry.path not in used:
            rest[entry.place].append(entry.relative.as_posix())
    reading.left_out += [
        f"{len(n)} files, neither image nor mask ({some(n, 2)})" for n in rest.values()
    ]
