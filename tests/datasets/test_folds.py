import functools
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from conftest import SHARED

import ensemble_seg as es
from ensemble_seg.datasets import Dataset, Split
from ensemble_seg.datasets import folds as folding
from ensemble_seg.datasets.folds import k_folds
from ensemble_seg.reading.masks import read_mask
from ensemble_seg.reading.pairs import Box, Pair

PARTS = ("train", "validation", "test")


def data_of(pairs, **options):
    thirds = {part: tuple(pairs[number::3]) for number, part in enumerate(PARTS)}
    splits = {part: Split(thirds[part], part, Path(), **options) for part in PARTS}
    return Dataset("toy", **splits)


@pytest.fixture
def toy(monkeypatch):
    """Data set without files, of (group, share of lesion) for each image."""
    shares = {}

    def fake_mask(path, lesion_values):
        mask = np.zeros(1000, "uint8")
        mask[: round(1000 * shares[path])] = 1
        return mask.reshape(20, 50)

    def build(images):
        pairs = [Pair(Path(f"{n}"), Path(f"m{n}"), str(g)) for n, (g, _) in enumerate(images)]
        shares.update({pair.mask: share for pair, (_, share) in zip(pairs, images, strict=True)})
        return data_of(pairs)

    monkeypatch.setattr(folding, "read_mask", fake_mask)
    build.shares = shares
    return build


def assert_folds(data, folds):
    pairs = {pair for part in PARTS for pair in getattr(data, part).pairs}
    tested = Counter(pair for fold in folds for pair in fold.test.pairs)
    assert tested == Counter(pairs)
    for fold in folds:
        parts = [getattr(fold, part).pairs for part in PARTS]
        assert all(parts)
        assert Counter(pair for part in parts for pair in part) == Counter(pairs)
        groups = [{pair.group for pair in part} for part in parts]
        assert all(not one & other for one, other in combinations(groups, 2))
        assert [getattr(fold, part).name for part in PARTS] == list(PARTS)


@pytest.mark.parametrize("folds", range(2, 11))
def test_each_pair_is_tested_once_and_no_group_is_split(toy, folds):
    for seed in range(12):
        rng = np.random.default_rng(seed)
        groups = [*range(40), *rng.choice(40, 80, p=rng.dirichlet(np.ones(40)))]
        data = toy([(group, max(0, rng.uniform(-0.5, 0.5))) for group in groups])
        result = k_folds(data, folds, seed)
        assert len(result) == folds
        assert_folds(data, result)


def test_names_order_and_seed(toy):
    data = toy([(n, n % 3 / 10) for n in range(30)])
    first = k_folds(data, 3, seed=0)
    assert [fold.name for fold in first] == [f"toy-fold-{n}-of-3" for n in (1, 2, 3)]
    assert first == k_folds(data, 3, seed=0)
    assert {fold.test for fold in first} != {fold.test for fold in k_folds(data, 3, seed=1)}
    # The order of the parts that are put together does not matter.
    turned = data.replace(train=data.test, test=data.train)
    assert [fold.test.pairs for fold in k_folds(turned, 3)] == [fold.test.pairs for fold in first]
    assert all(fold.test.folder == data.test.folder for fold in first)


def test_an_eighth_of_the_rest_is_for_validation(toy):
    for fold in k_folds(toy([(n, 0.1) for n in range(100)]), 5):
        assert [len(getattr(fold, part)) for part in PARTS] == [70, 10, 20]


def test_strata_by_hand(toy):
    # 20 empty, 10 small and 10 large lesions, each a group of its own: a fifth of each, exactly.
    shares = [0] * 20 + [n / 1000 for n in range(1, 11)] + [n / 100 for n in range(50, 60)]
    for seed in range(10):
        for fold in k_folds(toy(list(enumerate(shares))), 5, seed):
            tested = [toy.shares[pair.mask] for pair in fold.test.pairs]
            assert tested.count(0) == 4
            assert sum(0 < share < 0.3 for share in tested) == 2
            assert sum(share > 0.3 for share in tested) == 2


def test_the_middle_lesion_is_a_small_one(toy):
    # The median is 0.1: ten small lesions, five large ones, as many as there are folds.
    shares = [0.1] * 10 + [0.5] * 5
    for seed in range(10):
        for fold in k_folds(toy(list(enumerate(shares))), 5, seed):
            assert sorted(toy.shares[pair.mask] for pair in fold.test.pairs) == [0.1, 0.1, 0.5]


def test_as_many_images_as_folds_are_a_stratum(toy):
    shares = [0] * 5 + [0.1] * 5 + [0.5] * 5
    for seed in range(10):
        for fold in k_folds(toy(list(enumerate(shares))), 5, seed):
            assert sorted(toy.shares[pair.mask] for pair in fold.test.pairs) == [0, 0.1, 0.5]


def test_rare_empty_masks_join_the_small_lesions(toy):
    # 3 empty and 12 small ones are 15 in one stratum, 3 a fold; 10 large ones are 2 a fold.
    shares = [0] * 3 + [0.1] * 12 + [0.5] * 10
    for seed in range(10):
        for fold in k_folds(toy(list(enumerate(shares))), 5, seed):
            tested = [toy.shares[pair.mask] for pair in fold.test.pairs]
            assert (len(tested), tested.count(0.5)) == (5, 2)


def test_five_folds_from_seed_0_where_nothing_is_said(toy):
    data = toy([(n, n % 3 / 10) for n in range(30)])
    assert k_folds(data) == k_folds(data, 5, 0) != k_folds(data, 5, 1)
    assert len(k_folds(data)) == 5


def test_folds_of_groups_are_alike(toy):
    # 30 patients of 4 slices: 10 without a lesion, 10 with small, 10 with large ones in 2 slices.
    lesions = ((0, 0, 0, 0), (0, 0, 0.01, 0.02), (0, 0, 0.4, 0.5))
    images = [(patient, share) for patient in range(30) for share in lesions[patient % 3]]
    for seed in range(10):
        for fold in k_folds(toy(images), 5, seed):
            tested = [toy.shares[pair.mask] for pair in fold.test.pairs]
            assert 20 <= len(tested) <= 28  # 24 if all are equal
            assert abs(np.mean([share > 0 for share in tested]) - 1 / 3) < 0.1
            assert abs(np.mean([share > 0.3 for share in tested]) - 1 / 6) < 0.1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "counts", [(3, 20, 20), (20, 1, 1), (20, 0, 3), (30, 3, 3), (0, 4, 9), (5, 20, 3)]
)
def test_strata_with_fewer_images_than_folds_are_not_kept_apart(toy, counts):
    empty, small, large = counts
    shares = [0] * empty + [0.01] * small + [0.5] * large
    data = toy(list(enumerate(shares)))
    folds = k_folds(data, 5)
    assert_folds(data, folds)
    sizes = [len(fold.test) for fold in folds]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("share", [0, 0.2, 1])
def test_masks_that_are_all_alike(toy, share):
    data = toy([(n, share) for n in range(12)])
    assert_folds(data, k_folds(data, 4))


def test_masks_are_read_from_files(disks):
    data = es.load_dataset(disks)
    folds = k_folds(data, 4)
    assert_folds(data, folds)
    assert {len(fold.test) for fold in folds} == {5}
    assert len({fold.hash for fold in folds}) == 4


@pytest.mark.parametrize("folds", [-1, 0, 1, 6, 7, 100])
def test_too_few_or_too_many_folds(toy, folds):
    data = toy([(n // 3, 0.1) for n in range(18)])
    with pytest.raises(
        ValueError, match=rf"argument `folds`.*2 to .*\(6\). Received: folds={folds}"
    ):
        k_folds(data, folds)


def test_as_many_folds_as_the_message_allows(toy):
    data = toy([(n, n % 3 / 10) for n in range(12)])
    for folds in (2, 5, 7, 11):
        assert_folds(data, k_folds(data, folds))


def test_one_patient_with_nearly_all_images(toy):
    data = toy([(max(0, n - 40), n % 3 / 10) for n in range(46)])
    for folds in (3, 4):
        for seed in range(10):
            assert_folds(data, k_folds(data, folds, seed))


def test_crops_are_refused_or_keep_their_boxes(toy):
    whole = toy([(n, 0.1) for n in range(12)])
    boxes = {part: (Box(0, 0, 9, 9),) * 4 for part in PARTS}
    splits = {part: Split(getattr(whole, part).pairs, part, Path(), boxes[part]) for part in PARTS}
    try:
        folds = k_folds(Dataset("crops", **splits), 3)
    except ValueError as error:
        assert "box" in str(error) or "crop" in str(error)
    else:
        assert all(box for fold in folds for _, box in fold.train.windows)


def test_patients_of_lgg_are_tested_together(monkeypatch):
    folder = SHARED / "lgg-mri-segmentation"
    if not folder.is_dir():
        pytest.skip("LGG is not there: set ENSEMBLE_SEG_TEST_DATA to its parent folder")
    data = es.load_dataset(folder)
    monkeypatch.setattr(folding, "read_mask", functools.cache(read_mask))
    for seed in range(10):
        folds = k_folds(data, 5, seed)
        assert_folds(data, folds)
        for fold in folds:
            assert abs(len(fold.test) - 66) <= 6
            patients = [{p.image.name[:12] for p in getattr(fold, part).pairs} for part in PARTS]
            assert sum(map(len, patients)) == 110
