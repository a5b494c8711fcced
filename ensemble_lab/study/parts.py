"""Which cases a seed trains, validates and tests on, and which windows of them an arm sees."""

import functools
from dataclasses import replace

import numpy as np

from ensemble_seg.data import Dataset, Split
from ensemble_seg.pairing import PARTS, Pair, split_by_group
from ensemble_seg.presets import Preset, invalid
from ensemble_seg.reading import Box, picture_size, read_mask
from ensemble_seg.sampling import crop_split

FOLDS = 5


def all_cases(data: Dataset) -> list[Pair]:
    """Return the pairs of all parts, in an order of their own."""
    return sorted({pair for part in PARTS for pair in getattr(data, part).pairs}, key=tuple)


@functools.lru_cache(maxsize=1)
def split_of_seed(data: Dataset, seed: int) -> Dataset:
    """Return the parts of one seed, 70/10/20: a fold of five, shuffled anew after five seeds.

    Five seeds in a row, from a multiple of five, test every case once. Official parts are put
    together first: what is asked is whether a method pays, not where it ranks. No group is in two
    parts. Folds are alike in how large the lesions are: images are dealt in the strata empty,
    small and large lesions, of which one with fewer than five images is not kept apart.
    ValueError where there are fewer than six groups.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # not above: its import takes a while

    pairs, order = all_cases(data), seed // FOLDS
    names, numbers = np.unique([pair.group for pair in pairs], return_inverse=True)
    if len(names) <= FOLDS:
        found = f"{len(names)} in {data.name}"
        raise invalid("data", f"at least {FOLDS + 1} groups, such as patients", found=found)
    # Its own shuffle loses the strata before version 1.8, which Python 3.10 does not get:
    # https://github.com/scikit-learn/scikit-learn/pull/32540
    shuffled = np.random.default_rng(order).permutation(len(names))[numbers]
    folds = StratifiedGroupKFold(FOLDS).split(pairs, _strata(pairs), shuffled)
    rest, test = list(folds)[seed % FOLDS]
    shares = {part: PARTS[part] for part in ("train", "validation")}
    parts = split_by_group((pairs[index] for index in rest), order, shares)
    parts["test"] = tuple(pairs[index] for index in test)
    return data.replace(**{part: replace(getattr(data, part), pairs=parts[part]) for part in PARTS})


def training_windows(train: Split, windows: str, count: int, preset: Preset) -> Split:
    """Return the windows of a round: as many for each arm, so that the steps are equal.

    Each image or crop appears equally often, or once more than the others.
    Windows are "whole" images, "lesion" crops, or "random" crops of their sizes and images.
    """
    rng = np.random.default_rng((preset.seed, count))
    if windows == "whole":
        return _repeated(train, count, rng)
    crops = _repeated(crop_split(train, preset.threshold, preset.margin)[0], count, rng)
    if windows == "lesion":
        return crops
    return replace(crops, boxes=tuple(_anywhere(*each, rng) for each in crops.windows))


def _strata(pairs: list[Pair]) -> np.ndarray:
    """Return 0 for an empty mask, 1 for a small lesion, 2 for a large one; rare ones join 1."""
    fractions = np.array([read_mask(pair.mask).mean() for pair in pairs])
    lesions = fractions[fractions > 0]
    large = fractions > (np.median(lesions) if lesions.size else 0)
    strata = (fractions > 0).astype(int) + large
    for stratum in (0, 2):
        if np.count_nonzero(strata == stratum) < FOLDS:
            strata[strata == stratum] = 1
    return strata if np.count_nonzero(strata == 1) >= FOLDS else np.ones_like(strata)


def _repeated(split: Split, count: int, rng: np.random.Generator) -> Split:
    rounds = -(-count // len(split))
    order = np.concatenate([rng.permutation(len(split)) for _ in range(rounds)])[:count]
    pairs = tuple(split.pairs[number] for number in order)
    return replace(split, pairs=pairs, boxes=split.boxes and tuple(split.boxes[n] for n in order))


def _anywhere(pair: Pair, box: Box, rng: np.random.Generator) -> Box:
    height, width = box.bottom - box.top, box.right - box.left
    rows, columns = picture_size(pair.image)
    top, left = int(rng.integers(rows - height + 1)), int(rng.integers(columns - width + 1))
    return Box(top, left, top + height, left + width)
