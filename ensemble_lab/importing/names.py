"""What the names of files and folders say: image, mask or neither; and how names go together."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection

MASK = "masks? segs? segmentations? segmented labels? lbl gts? groundtruth ground truths?"
MASK += " annos? annots? annotations? annotated manual delineations? outlines? contours?"
IMAGE = "images? imgs? originals? orig inputs? photos? scans? pictures? raw jpegimages sat rgb"
OTHER = "rois? fov overlays? vis visual visualizations? previews? superpixels? edges? weights?"
WORDS = {
    role: re.compile("|".join(words.split())).fullmatch
    for role, words in (("other", OTHER), ("mask", MASK), ("image", IMAGE))
}
SPLITS = {"train": "train", "training": "train", "tr": "train"}
SPLITS |= dict.fromkeys(("val", "valid", "validation", "dev"), "validation")
SPLITS |= dict.fromkeys(("test", "testing", "ts"), "test")
BORDER = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])|[\W_]+")


def tokens(name: str) -> list[str]:
    """Return the words of a name, small: images, tr and 01 of imagesTr_01."""
    return [word.casefold() for word in BORDER.split(name) if word]


def role(name: str) -> str:
    """Return what a name's words say: "other" before "mask" before "image"; "" for nothing."""
    words = tokens(name)
    return next((r for r, fits in WORDS.items() if any(map(fits, words))), "")


def split_of(name: str) -> str:
    """Return the part that a name names: train, validation, test or ""."""
    words = [word for word in tokens(name) if len(word) > 2 or role(name)]
    found = {SPLITS[word] for word in words if word in SPLITS}
    return found.pop() if len(found) == 1 else ""


def folded(name: str) -> str:
    """Return a name without what file systems change: case, and how accents are stored."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def natural(name: str) -> list:
    """Sort key that puts slice 2 before slice 10."""
    return [int(p) if p.isdecimal() else p for p in re.split(r"(\d+)", name)]


def bare(stem: str) -> tuple[str, str, str]:
    """Cut words for image or mask off a stem: ("mask_", "a7", "") of mask_a7."""
    found = re.split(r"([A-Za-z]+)", stem)
    words = [bool(part) and role(part) in ("mask", "image") for part in found]
    start, end = 0, len(found)
    while start < end and (words[start] or not re.search(r"\w", found[start].replace("_", ""))):
        start += 1
    while end > start and (words[end - 1] or not re.search(r"\w", found[end - 1].replace("_", ""))):
        end -= 1
    if not any(words[:start]):
        start = 0
    if not any(words[end:]):
        end = len(found)
    before, core, after = ("".join(part) for part in (found[:start], found[start:end], found[end:]))
    left = core.lstrip(" _.-") if before else core
    right = left.rstrip(" _.-") if after else left
    return before + core[: len(core) - len(left)], right, left[len(right) :] + after


def ways(mask: str, images: Collection[str], heads: dict, cores: dict, beside: bool) -> set:
    """Return how a mask's stem may go with images: {(image stem, way)}.

    A way is what images have before and behind the shared name, then what masks have; numbers that
    tell several masks of one image are written #.

    Args:
        mask: folded stem.
        images: folded stems.
        heads, cores: from `extended`.
        beside: the mask lies in the images' folder, so equal stems are the file itself.
    """
    found = set()
    if mask in images and not beside:
        return {(mask, ("", "", "", ""))}
    for place in range(1, len(mask)):
        head, tail = mask[:place], mask[place:]
        if head in images and not tail[0].isalnum():
            found.add((head, ("", "", "", tail)))
        if tail in images and not head[-1].isalnum():
            found.add((tail, ("", "", head, "")))
    before, core, after = bare(mask)
    numbered = re.fullmatch(r"(.*?)[\s_.-]*\(?\d+\)?", mask)
    if not (before or after) and numbered:  # a7_mask_1
        cut = bare(numbered[1])
        before, core, after = (*cut[:2], cut[2] + "#") if cut[0] or cut[2] else ("", mask, "")
    if core and (before or after or not beside):
        found |= {(core, ("", "", before, after))} if core in images and core != mask else set()
        found |= {(i, ("", end, before, after)) for i, end in heads.get(core, ())}
        found |= {(i, (b, e, before, after)) for i, b, e in cores.get(core, ())}
    plain = {
        (i, (b * (b != x), e * (e != y), x * (b != x), y * (e != y))) for i, (b, e, x, y) in found
    }
    return {(i, way) for i, way in plain if not beside or (i != mask and any(way[2:]))}


def extended(images: Collection[str]) -> tuple[dict, dict]:
    """Return image stems by what they begin with, and by what is left without image words."""
    heads, cores = defaultdict(list), defaultdict(list)
    for stem in images:
        for place in range(1, len(stem)):
            if not stem[place].isalnum():
                heads[stem[:place]].append((stem, stem[place:]))
        before, core, after = bare(stem)
        if (before or after) and role(before + " " + after) != "mask":
            cores[core].append((stem, before, after))
    return heads, cores


def general(way: tuple) -> tuple:
    """Return a way without the running number at its end: _mask_1 is _mask, _2 is _#."""
    short = re.sub(r"[\s_.-]*\(?\d+\)?$|#$", "", way[3])
    return (*way[:3], short if re.search("[^\\W\\d_]", short) else re.sub(r"\d+$", "#", way[3]))


def shifted(images: Collection[str], masks: Collection[str]) -> int:
    """Return by how much the last numbers of masks are lower or higher than the images', or 0."""
    numbers = [
        {(m[1], int(m[2])) for m in (re.fullmatch(r"(.*?)(\d+)\D*", s) for s in names) if m}
        for names in (images, masks)
    ]
    if min(map(len, numbers)) < 2 or numbers[0] == numbers[1]:
        return 0
    ahead = Counter()
    for step in {min(n for _, n in numbers[1]) - min(n for _, n in numbers[0])} | {-1, 1}:
        ahead[step] = len(numbers[1] & {(head, n + step) for head, n in numbers[0]})
    step, count = ahead.most_common(1)[0]
    same = len(numbers[0] & numbers[1])
    return step if step and count == len(numbers[1]) and count > same else 0
