"""The folder layouts that are known, and the pairs they hold."""

import re
import sys
from pathlib import Path, PureWindowsPath

from ..reading.images import SUFFIXES, image_files, image_names
from ..reading.pairs import Pair
from .manifests import SPLITS, Listing, from_manifest, read_text

MASK_ENDINGS = ("_mask", "_segmentation")
ISIC_PARTS = {"Training": "train", "Validation": "validation", "Test": "test"}
ISIC_INPUT, ISIC_TRUTH = "ISIC2018_Task1-2_{}_Input", "ISIC2018_Task1_{}_GroundTruth"
LGG_FOLDER = "kaggle_3m"


def find_pairs(folder: Path) -> Listing:
    """Find the pairs of a folder by the first layout that fits.

    1. manifest.csv: as its rows say.
    2. kaggle_3m/TCGA_*/ (LGG MRI): by patient.
    3. ISIC2018_Task1-2_*_Input/ and ISIC2018_Task1_*_GroundTruth/ (ISIC 2018): official parts.
    4. images/ and masks/ (Kvasir-SEG, and your own): by stem, with the parts of train.txt, val.txt
       and test.txt (a stem a line) where these files are there.
    5. one folder with masks named a7_mask.png or a7_segmentation.png beside a7.jpg.

    Args:
        folder: never searched deeper than its layout needs.

    Returns:
        Listing of pairs and problems. Groups that appear in two parts are among the problems.
    """
    listing = _first_layout(Path(folder))
    return Listing(listing.parts, listing.problems + groups_in_two_parts(listing.parts))


def _first_layout(folder: Path) -> Listing:
    if (folder / "manifest.csv").is_file():
        return from_manifest(folder / "manifest.csv")
    if (folder / LGG_FOLDER).is_dir():
        return lgg_mri(folder / LGG_FOLDER)
    if folder.resolve().name == LGG_FOLDER:
        return lgg_mri(folder)
    if any((folder / ISIC_INPUT.format(part)).is_dir() for part in ISIC_PARTS):
        return isic_2018(folder)
    if not (folder / "images").is_dir():
        for ending in MASK_ENDINGS:
            if any(file.stem.endswith(ending) for file in image_files(folder)):
                return by_stem(folder, folder, ending)
    return with_lists(folder, by_stem(folder / "images", folder / "masks"))


def isic_2018(folder: Path) -> Listing:
    """Pair ISIC_0000000.jpg with ISIC_0000000_segmentation.png in each official part that is there.

    Other files (.txt) are passed over. Each image is a group of its own.
    """
    parts, problems = {}, []
    for part, name in ISIC_PARTS.items():
        images, masks = folder / ISIC_INPUT.format(part), folder / ISIC_TRUTH.format(part)
        if images.is_dir() or masks.is_dir():
            listing = by_stem(images, masks, "_segmentation")
            parts[name] = listing.parts[""]
            problems += listing.problems
    return Listing(parts, problems)


def lgg_mri(folder: Path) -> Listing:
    """Pair TCGA_.._7.tif with TCGA_.._7_mask.tif in each case's folder, slices in numeric order.

    Channels are pre-contrast, FLAIR and post-contrast. The group is the patient,
    TCGA_<institution>_<patient>. Only folders TCGA_* at the first level are read, so that the copy
    of the whole tree that the archive holds is not.
    """
    pairs: list[Pair] = []
    problems: list[str] = []
    cases = sorted(case for case in folder.glob("TCGA_*") if case.is_dir())
    for case in cases:
        listing = by_stem(case, case, "_mask")
        patient = "_".join(case.name.split("_")[:3])
        slices = sorted(listing.parts[""], key=lambda pair: _numbers(pair.image.stem))
        pairs += [pair.in_group(patient) for pair in slices]
        problems += listing.problems
    if not cases:
        problems.append(
            f"{folder}: expected folders TCGA_<institution>_<patient>_<date>, found none."
        )
    return Listing({"": pairs}, problems)


def with_lists(folder: Path, listing: Listing) -> Listing:
    """Split a listing as train.txt, val.txt and test.txt say, where they are there."""
    files = {folder / f"{name}.txt": part for name, part in SPLITS.items()}
    lists = {part: file for file, part in files.items() if file.is_file()}
    if not lists:
        return listing
    pairs = {pair.image.stem: pair for pair in listing.parts[""]}
    parts: dict[str, list[Pair]] = {}
    problems = list(listing.problems)
    for part, file in lists.items():
        lines = read_text(file).splitlines()
        names = [PureWindowsPath(line.strip()).name for line in lines if line.strip()]
        stems = [name if name in pairs else Path(name).stem for name in names]
        problems += [f"{file}: no image '{stem}'." for stem in stems if stem not in pairs]
        parts[part] = [pairs[stem] for stem in dict.fromkeys(stems) if stem in pairs]
    listed = {pair for part in parts.values() for pair in part}
    unlisted = [pair.image.name for pair in pairs.values() if pair not in listed]
    if unlisted:
        names = ", ".join(file.name for file in lists.values())
        problems.append(
            f"{folder}: {len(unlisted)} of {len(pairs)} images appear in none of {names}: "
            f"{', '.join(unlisted[:3])}{' ...' if len(unlisted) > 3 else '.'} Add or remove them."
        )
    return Listing(parts, problems)


def _numbers(text: str) -> list:
    """Sort key that puts slice 2 before slice 10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", text)]


def by_stem(images: Path, masks: Path, ending: str = "") -> Listing:
    """Pair the files of two folders: image a7.jpg with mask a7.png, or a7_mask.png.

    Args:
        images, masks: folders. They may be the same one if masks have an ending.
        ending: what the stems of masks end with, "_mask" say; images do not.
    """
    problems: list[str] = []
    image_files = image_stems(images, problems, without=ending)
    mask_files = image_stems(masks, problems, ending)
    for kind, end, folder, other, files, others in (
        ("mask", ending, images, masks, image_files, mask_files),
        ("image", "", masks, images, mask_files, image_files),
    ):
        if others:
            problems += [
                f"{folder / (stem + files[stem])}: no {kind} '{stem}{end}.*' in {other}. Add it, "
                "or remove the file."
                for stem in sorted(files.keys() - others.keys())
            ]
    pairs = [
        Pair(images / (stem + image_files[stem]), masks / (stem + mask_files[stem]), stem)
        for stem in sorted(image_files)
        if stem in mask_files
    ]
    return Listing({"": pairs}, problems)


def image_stems(
    folder: Path, problems: list[str], ending: str = "", without: str = ""
) -> dict[str, str]:
    """Return how the names of a folder's image files go on by stem, and note what is wrong.

    Args:
        folder: not searched below its first level.
        problems: messages are added to it: no files at all, or stems that two files share.
        ending: only files whose stem ends so; the ending is cut off.
        without: leave out the files whose stem ends so.
    """
    found: dict[str, str] = {}
    for name in image_names(folder):
        stem, _, suffix = name.rpartition(".")
        if not stem.endswith(ending) or (without and stem.endswith(without)):
            continue
        stem = stem.removesuffix(ending)
        if stem in found:
            problems.append(
                f"{folder / name}: has the stem of {stem}{found[stem]}, so it is not clear which "
                "one is meant. Keep one of them."
            )
        found.setdefault(stem, sys.intern(f"{ending}.{suffix}"))
    if not found:
        problems.append(
            f"{folder}: expected image files ({', '.join(SUFFIXES)}), found none. A data set has "
            "two folders, images/ and masks/, with files of the same stem."
        )
    return found


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
