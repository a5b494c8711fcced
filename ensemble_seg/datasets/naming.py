"""How the names of images and masks go together, and which words people use for them."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

IMAGE_FOLDER = re.compile(
    "(images?|imgs?|jpegimages|originals?|inputs?|photos?|scans?|frames?|pictures?)(tr)?"
)
MASK_FOLDER = re.compile(
    "(masks?|labels?|gts?|groundtruths?|annotations?|segmentations?|segmentationclass|truths?)(tr)?"
)
IMAGE_WORDS = "images|image|imgs|img|im|original|orig|input|photo|scan|sat|rgb|frame|volume"
MASK_WORDS = (
    "segmentation|masks|mask|seg|labels|label|lbl|ground[-_ ]?truth|truth|gt|annotations"
    "|annotation|anno"
)


def _affix(words: str) -> re.Pattern:
    return re.compile(rf"^((?:{words})[-_. ]*)|((?:[-_. ]*(?:{words}))+)$", re.IGNORECASE)


IMAGE_AFFIX, MASK_AFFIX = _affix(IMAGE_WORDS), _affix(MASK_WORDS)


class Affix(NamedTuple):
    """What stands before and behind the name that an image and its mask share.

    Example:
        >>> Affix("", "_mask").shared("a7_mask"), Affix("", "_mask").full("a7")
        ('a7', 'a7_mask')
    """

    prefix: str = ""
    ending: str = ""

    def shared(self, stem: str) -> str | None:
        """Return a stem without the affix; None where it has another one, or nothing else."""
        long = len(stem) > len(self.prefix) + len(self.ending)
        if not (long and stem.startswith(self.prefix) and stem.endswith(self.ending)):
            return None
        return stem[len(self.prefix) : len(stem) - len(self.ending)]

    def full(self, shared: str) -> str:
        """Return the stem for a shared name."""
        return f"{self.prefix}{shared}{self.ending}"


PLAIN = Affix()


def folded(name: str) -> str:
    """Return a name without what file systems change: case, and how accents are stored.

    Example:
        >>> folded("I00") == folded("i00")
        True
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def letters(name: str) -> str:
    """Return the letters and digits of a name in lower case.

    Example:
        >>> letters("Ground Truth")
        'groundtruth'
    """
    return "".join(character for character in folded(name) if character.isalnum())


def affixes(images: Collection[str], masks: Collection[str]) -> tuple[Affix, Affix] | None:
    """Find what is to be cut off the stems of images and of masks in two folders.

    Nothing, where a mask has the stem of an image. Else the masks may have a prefix or an ending
    that the images lack (a7, a7_mask), or the images one that the masks lack (a7_0000, a7), or each
    a word for what it is (img_7, mask_7).

    Returns:
        For images and for masks; None where nothing fits, or two ways fit equally well.

    Example:
        >>> affixes(["a7", "a8"], ["mask_a7", "mask_a8"])
        (Affix(prefix='', ending=''), Affix(prefix='mask_', ending=''))
    """
    images, masks = frozenset(images), frozenset(masks)
    if images & masks or {folded(stem) for stem in images} & {folded(stem) for stem in masks}:
        return PLAIN, PLAIN
    pairs = [(PLAIN, affix) for affix in _added(images, masks, MASK_AFFIX)]
    pairs += [(affix, PLAIN) for affix in _added(masks, images, IMAGE_AFFIX)]
    if not pairs:
        pairs = [
            (one, other)
            for one in _with_words(images, IMAGE_AFFIX)
            for other in _with_words(masks, MASK_AFFIX)
        ]
    return _best(pairs, images, masks)


def affixes_in_one_folder(stems: Collection[str]) -> list[tuple[Affix, Affix]]:
    """Find how masks beside their images are called; more than one way where it is not clear.

    Only names with a word for a mask in them count, as in a7_mask beside a7, or mask_7 beside
    img_7. Where no image has such a partner, a mask's word is enough.

    Example:
        >>> affixes_in_one_folder(["a7", "a7_mask"])
        [(Affix(prefix='', ending=''), Affix(prefix='', ending='_mask'))]
    """
    counts = partners(stems)
    if counts:
        return list(counts)
    alone = Counter(
        {
            (PLAIN, affix): sum(affix.shared(stem) is not None for stem in stems)
            for affix in _with_words(stems, MASK_AFFIX)
            if affix.prefix[-1:] in ("-", "_", ".", " ") or affix.ending[:1] in ("-", "_", ".", " ")
        }
    )
    return [pair for pair, _ in alone.most_common(1)]


def partners(stems: Collection[str]) -> Counter:
    """Count, for each way in which masks may be called, the images that have such a mask."""
    counts = Counter()
    for affix in _with_words(stems, MASK_AFFIX):
        masks = {stem for stem in stems if affix.shared(stem) is not None}
        images = frozenset(stem for stem in stems if stem not in masks)
        for one in (PLAIN, *_with_words(images, IMAGE_AFFIX)):
            if number := _matches((one, affix), images, masks):
                counts[one, affix] = number
    return counts


def _added(bare: frozenset[str], longer: frozenset[str], words: re.Pattern) -> list[Affix]:
    """Return what the longer stems have beyond bare ones, the most common first."""
    counts = Counter()
    for stem in longer:
        for place in range(1, len(stem)):
            if stem[:place] in bare and _set_off(stem[place], stem[place:], words):
                counts[Affix("", stem[place:])] += 1
            if stem[place:] in bare and _set_off(stem[place - 1], stem[:place], words):
                counts[Affix(stem[:place], "")] += 1
    return [affix for affix, _ in counts.most_common(8)]


def _set_off(joint: str, text: str, words: re.Pattern) -> bool:
    return not joint.isalnum() or words.fullmatch(text) is not None


def _with_words(stems: Iterable[str], pattern: re.Pattern) -> list[Affix]:
    counts = Counter()
    for stem in stems:
        for match in pattern.finditer(stem):
            if len(match[0]) < len(stem):
                counts[Affix(match[1] or "", match[2] or "")] += 1
    return [affix for affix, _ in counts.most_common(8)]


def _best(pairs, images: frozenset[str], masks: frozenset[str]) -> tuple[Affix, Affix] | None:
    scores = Counter({pair: _matches(pair, images, masks) for pair in pairs})
    best = scores.most_common(2)
    if not best or not best[0][1] or (len(best) > 1 and best[0][1] == best[1][1]):
        return None
    return best[0][0]


def _matches(pair: tuple[Affix, Affix], images: Iterable[str], masks: Iterable[str]) -> int:
    shared = [
        {affix.shared(stem) for stem in stems}
        for affix, stems in zip(pair, (images, masks), strict=True)
    ]
    return len((shared[0] & shared[1]) - {None})
