"""What a folder holds: the publishers' layouts, and any folder of one's own."""

import re
from pathlib import Path, PureWindowsPath

from .pairing import (
    MASK_ENDINGS,
    SPLITS,
    Listing,
    Pair,
    by_stem,
    from_manifest,
    groups_in_two_parts,
    image_files,
    read_text,
)

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
        Listing of pairs and problems. Groups that stand in two parts are among the problems.
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
            f"{folder}: {len(unlisted)} of {len(pairs)} images stand in none of {names}: "
            f"{', '.join(unlisted[:3])}{' ...' if len(unlisted) > 3 else '.'} Add or remove them."
        )
    return Listing(parts, problems)


def _numbers(text: str) -> list:
    """Sort key that puts slice 2 before slice 10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", text)]
