"""k-fold cross-validation by group."""

from dataclasses import replace

import numpy as np

from ..common.errors import invalid
from ..reading.lesion_values import LesionValues
from ..reading.masks import read_mask
from .dataset import Dataset
from .splits import PARTS, split_by_group


def k_folds(data: Dataset, folds: int = 5, seed: int = 0) -> list[Dataset]:
    """Split a data set anew: each image is a test image in one fold, and no group is split.

    Folds are alike in how large the lesions are: images are dealt by scikit-learn's
    StratifiedGroupKFold in the strata empty, small and large lesions, of which one with fewer
    images than folds is not kept apart. In each fold an eighth of what is not tested is for
    validation. Reads all masks.

    Args:
        data: its parts are put together first.
        folds: number of folds, at least 2.
        seed: of the order.

    Returns:
        A Dataset for each fold, named as "lgg-mri-fold-1-of-5".

    Raises:
        ValueError: fewer than 2 folds, too few groups, or crops instead of images.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # not above: its import takes a while

    if any(getattr(data, part).boxes is not None for part in PARTS):
        raise ValueError("Expected whole images. Found crops: make the folds first, then crop.")
    pairs = sorted({pair for part in PARTS for pair in getattr(data, part).pairs}, key=tuple)
    groups = len({pair.group for pair in pairs})
    if not 2 <= folds <= groups - 1:
        expected = f"a number from 2 to one less than there are groups ({groups})"
        raise invalid("folds", expected, folds)
    strata = _strata(pairs, folds, data.lesion_values)
    splits = StratifiedGroupKFold(folds).split(pairs, strata, _shuffled_groups(pairs, seed))
    result = []
    for number, (rest, test) in enumerate(splits, start=1):
        shares = {part: PARTS[part] for part in ("train", "validation")}
        parts = split_by_group((pairs[index] for index in rest), seed, shares)
        parts["test"] = tuple(pairs[index] for index in test)
        fold = {part: replace(getattr(data, part), pairs=parts[part]) for part in PARTS}
        result.append(replace(data, name=f"{data.name}-fold-{number}-of-{folds}", **fold))
    return result


def _shuffled_groups(pairs: list, seed: int) -> np.ndarray:
    """Number the groups in random order: scikit-learn takes groups that are alike by number.

    Its own shuffle loses the strata before version 1.8, which Python 3.10 does not get:
    https://github.com/scikit-learn/scikit-learn/pull/32540
    """
    names, numbers = np.unique([pair.group for pair in pairs], return_inverse=True)
    return np.random.default_rng(seed).permutation(len(names))[numbers]


def _strata(pairs: list, folds: int, lesion_values: LesionValues | None) -> np.ndarray:
    """Return 0 for an empty mask, 1 for a small lesion, 2 for a large one; rare ones join 1."""
    fractions = np.array([read_mask(pair.mask, lesion_values).mean() for pair in pairs])
    lesions = fractions[fractions > 0]
    large = fractions > (np.median(lesions) if lesions.size else 0)
    strata = (fractions > 0).astype(int) + large
    for stratum in (0, 2):
        if np.count_nonzero(strata == stratum) < folds:
            strata[strata == stratum] = 1
    return strata if np.count_nonzero(strata == 1) >= folds else np.ones_like(strata)
