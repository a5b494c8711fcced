"""Which cases a seed trains, validates and tests on, and which windows of them an arm sees."""

from dataclasses import replace

import numpy as np

from ..datasets import Dataset, Split
from ..datasets.folds import k_folds
from ..inspection.duplicates import group_duplicates, near_duplicates, thumbnail
from ..presets import Preset
from ..reading.images import picture_size, small_image
from ..reading.pairs import Box, Pair
from ..sampling import crop_split
from .plans import WIDE

FOLDS = 5
SHIFT = 0.25  # of a crop's height and width, at most, in each direction
PARTS = ("train", "validation", "test")


def all_cases(data: Dataset) -> list[Pair]:
    """Return the pairs of all parts, in an order of their own."""
    return sorted((pair for part in PARTS for pair in getattr(data, part).pairs), key=tuple)


def split_of_seed(data: Dataset, seed: int, groups: str = "given") -> Dataset:
    """Return the parts of one seed, 70/10/20: a fold of five, shuffled anew after five seeds.

    Five seeds in a row, from a multiple of five, test every case once. Official parts are put
    together first: what is asked is whether a method pays, not where it ranks.

    Args:
        data: all parts of it.
        seed: from 0 on.
        groups: see `plans.Training`.

    Raises:
        ValueError: fewer than six groups.

    Example:
        >>> from ensemble_seg import load_dataset
        >>> data = load_dataset("phantoms")
        >>> tested = [set(split_of_seed(data, seed).test.pairs) for seed in range(5)]
        >>> len(set.union(*tested)), sum(map(len, tested))
        (240, 240)
    """
    regrouped = _regrouped(data, groups)
    return k_folds(regrouped, FOLDS, seed // FOLDS)[seed % FOLDS].replace(name=data.name)


def training_windows(train: Split, windows: str, count: int, preset: Preset) -> Split:
    """Return the windows of a round: as many for each arm, so that the steps are equal.

    Each image or crop appears equally often, or once more than the others.

    Args:
        train: whole images.
        windows: see `plans.Training`.
        count: number of windows.
        preset: its threshold, margin and seed are used.

    Raises:
        ValueError: as `crop_split`.
    """
    rng = np.random.default_rng((preset.seed, count))
    if windows == "whole":
        return _repeated(train, count, rng)
    margin = WIDE if windows == "wide" else preset.margin
    crops = _repeated(crop_split(train, preset.threshold, margin)[0], count, rng)
    if windows == "random":
        return _moved(crops, rng, anywhere=True)
    if windows in ("lesion", "wide"):
        return crops
    crops = crops.first(count // 3)
    if windows == "third-shifted":
        crops = _moved(crops, rng, anywhere=False)
    whole = _repeated(train, count - count // 3, rng)
    boxes = (None,) * len(whole) + crops.boxes
    return replace(train, pairs=whole.pairs + crops.pairs, boxes=boxes)


def _regrouped(data: Dataset, groups: str) -> Dataset:
    if groups == "given":
        return data
    pairs = all_cases(data)
    if groups == "image":
        changed = [pair.in_group(str(pair.image)) for pair in pairs]
    else:
        thumbnails = np.stack([thumbnail(small_image(pair.image, 128)) for pair in pairs])
        changed = group_duplicates(pairs, near_duplicates(thumbnails))
    new = dict(zip(pairs, changed, strict=True))
    parts = {part: getattr(data, part) for part in PARTS}
    return data.replace(
        **{
            part: replace(split, pairs=tuple(new[pair] for pair in split.pairs))
            for part, split in parts.items()
        }
    )


def _repeated(split: Split, count: int, rng: np.random.Generator) -> Split:
    rounds = -(-count // len(split))
    order = np.concatenate([rng.permutation(len(split)) for _ in range(rounds)])[:count]
    pairs = tuple(split.pairs[number] for number in order)
    boxes = split.boxes and tuple(split.boxes[number] for number in order)
    return replace(split, pairs=pairs, boxes=boxes)


def _moved(crops: Split, rng: np.random.Generator, anywhere: bool) -> Split:
    """Move each crop inside its image: anywhere, or by up to a quarter of its size."""

    def moved(pair: Pair, box: Box) -> Box:
        corner = []
        for start, end, length in zip(box[:2], box[2:], picture_size(pair.image), strict=True):
            size, reach = end - start, int(SHIFT * (end - start))
            low, high = (0, length) if anywhere else (start - reach, start + reach)
            low, high = max(low, 0), min(high, length - size)
            corner.append(int(rng.integers(low, high + 1)))
        top, left = corner
        return Box(top, left, top + box.bottom - box.top, left + box.right - box.left)

    return replace(crops, boxes=tuple(moved(pair, box) for pair, box in crops.windows))
