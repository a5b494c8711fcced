"""The folder layouts that are known, and the pairs they hold."""

import re
from pathlib import Path

from ..common.results import RECORD
from ..reading.images import SUFFIXES, image_names
from ..reading.pairs import Pair
from .lists import with_lists
from .manifests import from_manifest
from .naming import (
    IMAGE_FOLDER,
    MASK_FOLDER,
    PLAIN,
    Affix,
    affixes,
    affixes_in_one_folder,
    letters,
)
from .pairing import Listing, by_stem, stems_of
from .splits import SPLITS
from .unread import contents, names_in, shortened, unread_files, unread_folders

ISIC_PARTS = {"Training": "train", "Validation": "validation", "Test": "test"}
ISIC_INPUT, ISIC_TRUTH = "ISIC2018_Task1-2_{}_Input", "ISIC2018_Task1_{}_GroundTruth"
LGG_FOLDER = "kaggle_3m"


def find_pairs(folder: Path) -> Listing:
    """Find the pairs of a folder by the first layout that fits.

    1. manifest.csv: as its rows say.
    2. kaggle_3m/TCGA_*/ (LGG MRI): by patient.
    3. ISIC2018_Task1-2_*_Input/ and ISIC2018_Task1_*_GroundTruth/ (ISIC 2018): official parts.
    4. images/ and masks/ (Kvasir-SEG, and your own), or other common names for them: by stem, or
       with one ending or prefix that all masks have, such as masks/a7_mask.png.
    5. one folder with masks named a7_mask.png or a7_segmentation.png beside a7.jpg.

    train.txt, val.txt and test.txt (an image a line) give the parts of each of them.

    Args:
        folder: never searched deeper than its layout needs.

    Returns:
        Listing of pairs, problems and notes. Groups that appear in two parts are among the
        problems, and so are folders that look like a part and are not read.
    """
    folder = Path(folder)
    parts, problems, notes = with_lists(folder, _first_layout(folder))
    return Listing(parts, problems + _results(folder) + groups_in_two_parts(parts), notes)


def _first_layout(folder: Path) -> Listing:
    manifests = [name for name in names_in(folder) if name.lower() == "manifest.csv"]
    if len(manifests) > 1:
        return Listing({}, [f"{folder}: {' and '.join(manifests)}. Keep one of them."])
    if manifests:
        return from_manifest(folder / manifests[0])
    if (folder / LGG_FOLDER).is_dir():
        return lgg_mri(folder / LGG_FOLDER)
    if folder.resolve().name == LGG_FOLDER:
        return lgg_mri(folder)
    if any((folder / ISIC_INPUT.format(part)).is_dir() for part in ISIC_PARTS):
        return isic_2018(folder)
    return two_folders(folder)


def isic_2018(folder: Path) -> Listing:
    """Pair ISIC_0000000.jpg with ISIC_0000000_segmentation.png in each official part that is there.

    Other files (.txt) are passed over. Each image is a group of its own.
    """
    parts, problems, notes, used = {}, [], [], []
    for part, name in ISIC_PARTS.items():
        images, masks = folder / ISIC_INPUT.format(part), folder / ISIC_TRUTH.format(part)
        if images.is_dir() or masks.is_dir():
            listing = by_stem(images, masks, PLAIN, Affix("", "_segmentation"))
            parts[name] = listing.parts[""]
            problems += listing.problems
            notes += listing.notes
            used += [images.name, masks.name]
    return with_unread(Listing(parts, problems, notes), folder, used)


def lgg_mri(folder: Path) -> Listing:
    """Pair TCGA_.._7.tif with TCGA_.._7_mask.tif in each case's folder, slices in numeric order.

    Channels are pre-contrast, FLAIR and post-contrast. The group is the patient,
    TCGA_<institution>_<patient>. Only folders TCGA_* at the first level are read, so that the copy
    of the whole tree that the archive holds is not.
    """
    pairs: list[Pair] = []
    problems: list[str] = []
    notes: list[str] = []
    cases = sorted(case for case in folder.glob("TCGA_*") if case.is_dir())
    for case in cases:
        listing = by_stem(case, case, PLAIN, Affix("", "_mask"))
        patient = "_".join(case.name.split("_")[:3])
        slices = sorted(listing.parts[""], key=lambda pair: _numbers(pair.image.stem))
        pairs += [pair.in_group(patient) for pair in slices]
        problems += listing.problems
        notes += listing.notes
    if not cases:
        problems.append(
            f"{folder}: expected folders TCGA_<institution>_<patient>_<date>, found none."
        )
    return with_unread(Listing({"": pairs}, problems, notes), folder, [case.name for case in cases])


def two_folders(folder: Path) -> Listing:
    """Pair a folder of images with one of masks; where there is none, masks beside their images."""
    images, masks = _named(folder, IMAGE_FOLDER), _named(folder, MASK_FOLDER)
    for kind, found in (("images", images), ("masks", masks)):
        if len(found) > 1:
            return Listing(
                {},
                [
                    f"{folder}: {' and '.join(f'{name}/' for name in found)} could both hold the "
                    f"{kind}. Move one of them elsewhere, or write a manifest.csv."
                ],
            )
    if images and masks:
        first, second, used = folder / images[0], folder / masks[0], [images[0], masks[0]]
    elif image_names(folder):
        first, second, used = folder, folder / masks[0] if masks else folder, masks
    elif images and affixes_in_one_folder(stems_of(folder / images[0])):
        first, second, used = folder / images[0], folder / images[0], images
    else:
        return with_unread(Listing({}, [_no_layout(folder)]), folder, [*images, *masks])
    listing = one_folder(first) if first == second else _by_common_ending(first, second)
    return with_unread(listing, folder, used)


def one_folder(folder: Path) -> Listing:
    """Pair masks with the images that they lie beside: a7_mask.png and a7.jpg, say."""
    ways = affixes_in_one_folder(stems_of(folder))
    if len(ways) > 1:
        names = " and ".join(f"{mask.full('*')} beside {image.full('*')}" for image, mask in ways)
        problem = f"{folder}: more than one kind of file could be the masks: {names}. Keep one."
        return Listing({}, [problem])
    if not ways:
        return Listing({}, [_no_layout(folder)])
    return by_stem(folder, folder, *ways[0])


def _by_common_ending(images: Path, masks: Path) -> Listing:
    found = affixes(stems_of(images), stems_of(masks))
    if found is None and image_names(images) and image_names(masks):
        one, other = image_names(images)[0], image_names(masks)[0]
        problem = (
            f"{masks}: no mask goes with an image by its name ({masks.name}/{other} and "
            f"{images.name}/{one}, say). Name masks as their images, or with one ending or prefix "
            "that all of them have, or write a manifest.csv."
        )
        return Listing({}, [problem])
    listing = by_stem(images, masks, *(found or (PLAIN, PLAIN)))
    if found and found != (PLAIN, PLAIN):
        pair = next(iter(listing.parts[""]))
        listing.notes.insert(
            0,
            f"{masks}: masks are named otherwise than images: {pair.mask.name} is taken for "
            f"{pair.image.name}, and so on for all.",
        )
    return listing


def with_unread(listing: Listing, folder: Path, used: list[str]) -> Listing:
    """Add what lies in a data set's folder and is not read.

    Args:
        listing: what is read.
        folder: of the data set.
        used: the folders in it that hold the data set; none where it does so itself.
    """
    problems, notes = list(listing.problems), list(listing.notes)
    images = [pair.image.parent for pairs in listing.parts.values() for pair in pairs[:1]]
    if used and folder not in images and image_names(folder):
        notes.append(
            f"{folder}: not read: {shortened(image_names(folder))}, since the data set is in "
            f"{shortened(f'{name}/' for name in used)}."
        )
    for place in (folder, *(folder / name for name in used)):
        notes += unread_files(place)
        for name, number in unread_folders(place, used if place == folder else ()).items():
            message = f"{place / name}: not read: a folder with images ({number})"
            if letters(name) in SPLITS:
                problems.append(
                    f"{message}, whose name looks like a part. Put its images and masks with the "
                    f"others and name them in {letters(name)}.txt, or move it elsewhere."
                )
            elif not (place / name / RECORD).is_file():
                notes.append(f"{message}, which belongs to no known layout.")
    return Listing(listing.parts, problems, notes)


def _no_layout(folder: Path) -> str:
    return (
        f"{folder}: expected image files ({', '.join(SUFFIXES)}) in a folder images/ and masks of "
        "the same stems in masks/, or masks named a7_mask.png beside a7.png, or a manifest.csv. "
        f"Found {contents(folder)}."
    )


def _named(folder: Path, names: re.Pattern) -> list[str]:
    """Return the folders of such a name: those with images in them, where any has."""
    found = [name for name in names_in(folder, files=False) if names.fullmatch(letters(name))]
    return [name for name in found if image_names(folder / name)] or found


def _results(folder: Path) -> list[str]:
    if not (folder / RECORD).is_file():
        return []
    return [
        f"{folder}: holds what python -m ensemble_seg predict has written ({RECORD}), no data "
        "set. To train on predicted masks all the same, copy them to another folder."
    ]


def _numbers(text: str) -> list:
    """Sort key that puts slice 2 before slice 10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", text)]


def groups_in_two_parts(parts: dict[str, list[Pair]]) -> list[str]:
    """Return a message for each group that appears in more than one part."""
    seen: dict[str, str] = {}
    problems = {}
    for part, pairs in parts.items():
        for pair in pairs:
            first = seen.setdefault(pair.group, part)
            if first != part:
                problems[pair.group] = (
                    f"{pair.image}: its group '{pair.group}' appears in {first} and in {part}, so "
                    "the test would not be on unseen cases. Keep each group in one part."
                )
    return list(problems.values())
