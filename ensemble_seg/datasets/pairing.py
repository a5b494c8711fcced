"""Image files and mask files to pairs, by their names."""

import sys
from pathlib import Path
from typing import NamedTuple

from ..reading.images import SUFFIXES, image_names
from ..reading.pairs import Pair
from .naming import PLAIN, Affix, folded
from .unread import contents, unread_files


class Listing(NamedTuple):
    """What a folder holds.

    Attributes:
        parts: pairs under "train", "validation" and "test" as the publisher split them; under ""
            where nobody did.
        problems: one message for each thing that makes training impossible.
        notes: one message for what was read in an unusual way, or not read.
    """

    parts: dict[str, list[Pair]]
    problems: list[str]
    notes: list[str] = []  # noqa: RUF012


def by_stem(images: Path, masks: Path, image: Affix = PLAIN, mask: Affix = PLAIN) -> Listing:
    """Pair the files of two folders: image a7.jpg with mask a7.png, or a7_mask.png.

    Names that differ in case only, or in how accents are stored, go together where there is no
    other choice.

    Args:
        images, masks: folders. They may be the same one if masks have an affix.
        image, mask: what is cut off the stems before they are compared.
    """
    problems: list[str] = []
    same = images == masks
    image_files = image_stems(images, problems, image, mask if same else None)
    mask_files = image_stems(masks, problems, mask, image if same else None)
    others = _folded_partners(image_files, mask_files)
    names = dict(zip(others.values(), others, strict=True))
    for kind, affix, own, folder, other, files, partners, taken in (
        ("mask", mask, image, images, masks, image_files, mask_files, others),
        ("image", image, mask, masks, images, mask_files, image_files, names),
    ):
        if partners:
            problems += [
                f"{folder / (own.prefix + stem + files[stem])}: no {kind} '{affix.full(stem)}.*' "
                f"in {other}. Add it, or remove the file."
                for stem in sorted(files.keys() - partners.keys() - taken.keys())
            ]
    pairs = []
    for stem in sorted(image_files):
        partner = stem if stem in mask_files else others.get(stem)
        if partner is not None:
            name = image.prefix + stem + image_files[stem]
            mask_name = mask.prefix + partner + mask_files[partner]
            pairs.append(Pair(images / name, masks / mask_name, image.full(stem)))
    return Listing({"": pairs}, problems, _spelled_otherwise(masks, others))


def image_stems(
    folder: Path, problems: list[str], affix: Affix = PLAIN, other: Affix | None = None
) -> dict[str, str]:
    """Return how the names of a folder's image files go on by stem, and note what is wrong.

    Args:
        folder: not searched below its first level.
        problems: messages are added to it: no files at all, or stems that two files share.
        affix: what all stems have; it is cut off.
        other: the affix of the other kind of files, where they lie in the same folder.
    """
    found: dict[str, str] = {}
    for name in image_names(folder):
        stem, _, suffix = name.rpartition(".")
        shared = affix.shared(stem)
        # Without any affix every stem is an image's: then the longer affix tells.
        if other and other.shared(stem) is not None and (shared is None or other > affix):
            continue
        if shared is None:
            problems.append(
                f"{folder / name}: expected a name such as '{affix.full('*')}', as the other files "
                "have. Rename it, or remove the file."
            )
            continue
        rest = f"{affix.ending}.{suffix}"
        if shared in found:
            problems.append(
                f"{folder / name}: has the stem of {affix.prefix}{shared}{found[shared]}, so it is "
                "not clear which one is meant. Keep one of them."
            )
        found.setdefault(shared, sys.intern(rest))
    if not found:
        problems.append(_no_images(folder))
    return found


def stems_of(folder: Path) -> list[str]:
    """Return the stems of a folder's image files."""
    return [name.rpartition(".")[0] for name in image_names(folder)]


def _no_images(folder: Path) -> str:
    there = f", but {contents(folder)}" if unread_files(folder) else ""
    return (
        f"{folder}: expected image files ({', '.join(SUFFIXES)}), found none{there}. A data set "
        "has two folders, images/ and masks/, with files of the same stem."
    )


def _folded_partners(images: dict[str, str], masks: dict[str, str]) -> dict[str, str]:
    """Return the mask's stem for images whose partner is spelled otherwise, and clearly theirs."""
    if images.keys() == masks.keys():
        return {}
    spelled: dict[str, tuple[list[str], list[str]]] = {}
    for side, stems in enumerate((images, masks)):
        for stem in stems:
            spelled.setdefault(folded(stem), ([], []))[side].append(stem)
    return {
        one[0]: other[0]
        for one, other in spelled.values()
        if len(one) == len(other) == 1 and one != other
    }


def _spelled_otherwise(masks: Path, others: dict[str, str]) -> list[str]:
    if not others:
        return []
    one, other = next(iter(others.items()))
    return [
        f"{masks}: {len(others)} names are spelled otherwise than their images' (case, or how "
        f"accents are stored): '{other}' is taken for '{one}'."
    ]
