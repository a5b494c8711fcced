"""Which values of the masks are lesion: two values say it, all else is refused or chosen."""

import re
from collections import Counter
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from .items import some
from .pixels import COLOUR, MaskFile, code_name, colour_code


class Survey(NamedTuple):
    """What is known of one mask file before lesion is decided: code -> pixels, and the corners."""

    name: str
    counts: Counter
    corners: tuple[int, ...]
    blurred: float
    palette: dict[int, int]


class Rule(NamedTuple):
    """Codes from low to high that are lesion, and how to say it; `low` is 1 for an index."""

    ranges: tuple[tuple[int, int], ...]
    text: str
    by_index: bool = False

    def apply(self, mask: MaskFile) -> np.ndarray:
        """Return (H, W) bool."""
        values = mask.indices if self.by_index and mask.indices is not None else mask.codes
        return np.any([(values >= low) & (values <= high) for low, high in self.ranges], axis=0)


def survey(name: str, mask: MaskFile) -> Survey:
    """Count the values of a mask."""
    codes = mask.codes.reshape(-1, mask.codes.shape[-1])  # a volume's slices one below the other
    if codes.max(initial=0) < 1 << 17 and codes.min(initial=0) >= 0:
        numbers = np.bincount(codes.ravel())
        counts = Counter({int(v): int(numbers[v]) for v in np.flatnonzero(numbers)})
    else:
        values, numbers = np.unique(codes, return_counts=True)
        counts = Counter(dict(zip(values.tolist(), numbers.tolist(), strict=True)))
    corners = codes[[0, 0, -1, -1], [0, -1, 0, -1]]
    palette = {}
    if mask.indices is not None:
        found, places = np.unique(mask.indices, return_index=True)
        palette = dict(zip(codes.ravel()[places].tolist(), found.tolist(), strict=True))
    return Survey(name, counts, tuple(corners.tolist()), mask.blurred, palette)


def parse(lesion: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Turn 1, 1-255 and 250,50,83 into ranges of codes."""
    ranges = []
    for word in lesion:
        numbers = [int(number) for number in re.findall(r"\d+", word)]
        if re.fullmatch(r"\d+", word):
            ranges.append((numbers[0], numbers[0]))
        elif re.fullmatch(r"\d+-\d+", word):
            ranges.append((numbers[0], numbers[1]))
        elif re.fullmatch(r"\d+,\d+,\d+", word) and max(numbers) < 256:
            ranges.append((colour_code(*numbers),) * 2)
        else:
            raise ValueError(f"--lesion {word}: expected a value (1), a range (1-255) or a colour.")
    return tuple(ranges)


def decide(surveys: list[Survey], lesion: tuple[str, ...], names: dict[int, str]) -> Rule:
    """Say which values are lesion.

    Args:
        surveys: of all masks.
        lesion: as `parse` takes it; empty to decide by the values.
        names: of colours, from a label map.

    Raises:
        ValueError: more than two values, inverted masks, or a choice that no mask has.
    """
    total = sum((s.counts for s in surveys), Counter())
    blurred = [s for s in surveys if s.blurred > 0.01]
    if blurred and not lesion:
        raise ValueError(
            f"{blurred[0].name}: a JPEG of {len(blurred[0].counts)} greys, as {len(blurred)} of "
            f"{len(surveys)} masks are: black and white cannot be told. Save masks as PNG, or cut "
            "them in the middle: --lesion 128-255."
        )
    if lesion:
        return _chosen(surveys, total, lesion)
    marks = {tuple(sorted(s.counts)) for s in surveys}
    values = sorted(total)
    if len(values) > 2 or (len(values) == 2 and values[0] and min(values) < COLOUR <= max(values)):
        raise _several(surveys, total, marks, names)
    if len(values) == 1 and values[0] and all(len(m) == 1 for m in marks):
        raise ValueError(f"All masks are {code_name(values[0])} throughout. --lesion chooses.")
    value = values[-1]
    filled = [s for s in surveys if len(s.counts) == 2]
    around = [s for s in filled if set(s.corners) == {value}]
    if filled and 2 * len(around) > len(filled):
        other = code_name(values[0])
        raise ValueError(
            f"Inverted? In {len(around)} of {len(filled)} masks all four corners have the higher "
            f"value {code_name(value)}. If lesion is {other}: --lesion {other}. If not: --lesion "
            f"{code_name(value)}."
        )
    return Rule(((value, value),), code_name(value) if value else "none: all masks are 0")


def _chosen(surveys: list[Survey], total: Counter, lesion: tuple[str, ...]) -> Rule:
    ranges = parse(lesion)
    text = " ".join(lesion)
    by_code = any(low <= code <= high for code in total for low, high in ranges)
    palettes = [s.palette for s in surveys if s.palette]
    by_index = any(low <= i <= high for p in palettes for i in p.values() for low, high in ranges)
    coloured = any(code >= COLOUR for p in palettes for code in p)
    if by_index and (coloured or not by_code):
        return Rule(ranges, f"{text} (indices)", True)
    if by_code:
        return Rule(ranges, text)
    raise ValueError(f"--lesion {text}: no mask has it. They have {some(map(code_name, total))}.")


def _several(surveys, total: Counter, marks: set, names: dict[int, str]) -> ValueError:
    pixels = sum(total.values())
    have = Counter(code for s in surveys for code in s.counts)
    shares = [
        f"{code_name(code)}{f' ({names[code]})' if code in names else ''} in {have[code]} masks, "
        f"{100 * total[code] / pixels:.2g} % of pixels"
        for code, _ in total.most_common(6)
    ]
    more = f"; {len(total) - 6} more" if len(total) > 6 else ""
    text = f"{len(total)} values in {len(surveys)} masks: {'; '.join(shares)}{more}."
    greys = sorted(code for code in total if code < COLOUR)
    top = max(total) if max(total) < COLOUR else 255
    counted = all(max(mark) - min(mark) == len(mark) - 1 for mark in marks)
    if len(greys) == len(total) and counted and len({max(mark) for mark in marks} - {0}) > 1:
        return ValueError(
            f"{text} They are numbers of instances, it seems, 1 to another N in each mask: "
            f"--lesion 1-{max(255, top)} takes all of them."
        )
    if len(greys) == len(total) and {0, 255} <= set(greys) and len(greys) > 16:
        return ValueError(f"{text} Smoothed edges of white on black? --lesion 128-255 cuts them.")
    choice = code_name(next(code for code, _ in total.most_common() if code))
    palette = {code: index for s in surveys for code, index in s.palette.items()}
    if palette and any(code >= COLOUR for code in palette):
        found = [f"{i} is {code_name(c)}" for c, i in sorted(palette.items(), key=lambda p: p[1])]
        text += f" Indices of the palette: {some(found, 6)}; --lesion takes either."
    several = f"1 2, a range: --lesion 1-{max(255, top)}" if max(total) < COLOUR else "A B"
    return ValueError(
        f"{text} Say which are lesion, all others being background: --lesion {choice}, several: "
        f"--lesion {several}."
    )


class Facts(NamedTuple):
    """What one look at a mask gives: shares of pixels and of the border, and number of parts."""

    share: float
    border: float
    corners: int
    parts: int
    solid: float


def facts(mask: np.ndarray) -> Facts:
    """Measure a mask (H, W) bool."""
    small = mask[:: -(-mask.shape[0] // 256), :: -(-mask.shape[1] // 256)]
    rim = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    filled = ndimage.binary_fill_holes(small).sum()
    corners = int(sum(mask[y, x] for y in (0, -1) for x in (0, -1)))
    parts = ndimage.label(small, np.ones((3, 3)))[1] if small.any() else 0
    solid = float(small.sum() / filled) if filled else 1.0
    return Facts(float(mask.mean()), float(rim.mean()), corners, parts, solid)


def odd_ones(found: list[Facts]) -> dict[int, str]:
    """Return masks unlike the others by number: inverted, full or outline only.

    Where most are so it is the rule of the set and none is odd.
    """
    odd = {}
    for number, fact in enumerate(found):
        if fact.share == 1:
            odd[number] = "full"
        elif fact.corners == 4 and fact.border > 0.9 and fact.share > 0.5:
            odd[number] = "inverted"
        elif fact.share and fact.solid < 0.3:
            odd[number] = "an outline only"
    lesions = sum(fact.share > 0 for fact in found)
    return {n: why for n, why in odd.items() if 2 * list(odd.values()).count(why) <= lesions}
