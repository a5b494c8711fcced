from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from conftest import SHARED

from ensemble_seg.datasets import all_pairs
from ensemble_seg.datasets.splits import complete_parts, split_by_group
from ensemble_seg.reading.pairs import Pair

PARTS = ("train", "validation", "test")


def pairs_of(groups):
    return [Pair(f"image {n}", f"mask {n}", str(group)) for n, group in enumerate(groups)]


def assert_disjoint(parts):
    assert tuple(parts) == PARTS
    assert all(parts.values())
    groups = [{pair.group for pair in pairs} for pairs in parts.values()]
    assert all(not one & other for one, other in combinations(groups, 2))


@pytest.mark.parametrize("seed", range(100))
def test_no_group_stands_in_two_parts_and_no_pair_is_lost(seed):
    rng = np.random.default_rng(seed)
    number = int(rng.integers(3, 60))
    groups = [*range(number), *rng.choice(number, 200, p=rng.dirichlet(np.ones(number)))]
    pairs = pairs_of(groups)
    parts = split_by_group(pairs, seed)
    assert_disjoint(parts)
    assert Counter(pair for part in parts.values() for pair in part) == Counter(pairs)
    turned = split_by_group(pairs[::-1], seed)
    assert all(set(parts[part]) == set(turned[part]) for part in PARTS)


def test_equal_groups_are_dealt_70_10_20():
    for seed in range(100):
        parts = split_by_group(pairs_of(n // 3 for n in range(300)), seed)
        assert [len(part) for part in parts.values()] == [210, 30, 60]


def test_each_group_comes_into_the_test_part_about_equally_often():
    pairs = pairs_of(range(20))
    tests = Counter(
        pair.group for seed in range(500) for pair in split_by_group(pairs, seed)["test"]
    )
    assert len(tests) == 20  # each 100 times expected, standard deviation 9
    assert min(tests.values()) > 60
    assert max(tests.values()) < 140


def test_other_shares():
    parts = split_by_group(pairs_of(range(40)), 3, {"train": 0.7, "validation": 0.1})
    assert {part: len(pairs) for part, pairs in parts.items()} == {"train": 35, "validation": 5}
    with pytest.raises(ValueError, match=r"at least 2 groups of images for train and validation"):
        split_by_group(pairs_of([0, 0]), shares={"train": 0.7, "validation": 0.1})


TRAIN, VALIDATION, TEST = (pairs_of(range(40)), pairs_of(range(40, 50)), pairs_of(range(50, 65)))


@pytest.mark.parametrize("seed", range(100))
def test_parts_that_were_given_are_kept(seed):
    given = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
    parts = complete_parts(given, seed)
    assert parts == {part: tuple(pairs) for part, pairs in given.items()}

    parts = complete_parts({"train": TRAIN, "test": TEST, "validation": []}, seed)
    assert_disjoint(parts)
    assert parts["test"] == tuple(TEST)
    assert (len(parts["train"]), len(parts["validation"])) == (35, 5)
    assert {*parts["train"], *parts["validation"]} == set(TRAIN)

    parts = complete_parts({"train": TRAIN, "validation": VALIDATION}, seed)
    assert_disjoint(parts)
    assert parts["test"] == tuple(VALIDATION)
    assert {*parts["train"], *parts["validation"]} == set(TRAIN)


@pytest.mark.parametrize("name", ["", "train"])
@pytest.mark.parametrize("seed", range(5))
def test_one_part_alone_is_split_in_three(name, seed):
    parts = complete_parts({name: TRAIN}, seed)
    assert_disjoint(parts)
    assert [len(part) for part in parts.values()] == [28, 4, 8]
    assert {pair for part in parts.values() for pair in part} == set(TRAIN)


def test_training_images_beside_those_of_no_part_are_split_together():
    parts = complete_parts({"": TEST, "train": TRAIN})
    assert {pair for part in parts.values() for pair in part} == {*TEST, *TRAIN}


def test_as_many_groups_as_parts_are_enough():
    assert [len(part) for part in split_by_group(pairs_of("aabbcc")).values()] == [2, 2, 2]


def test_the_seed_is_0_where_none_is_given():
    for given in ({"train": TRAIN}, {"train": TRAIN, "test": TEST}):
        assert complete_parts(given) == complete_parts(given, 0) != complete_parts(given, 1)
    assert split_by_group(TRAIN) == split_by_group(TRAIN, 0) != split_by_group(TRAIN, 1)


def test_the_given_parts_are_not_changed():
    given = {"train": list(TRAIN), "validation": list(VALIDATION)}
    complete_parts(given)
    assert given == {"train": TRAIN, "validation": VALIDATION}


@pytest.mark.parametrize(
    "given", [{"validation": VALIDATION}, {"test": TEST}, {"validation": VALIDATION, "test": TEST}]
)
def test_without_training_images(given):
    with pytest.raises(ValueError, match=f"training images beside those of {', '.join(given)}"):
        complete_parts(given)


@pytest.mark.parametrize("given", [{}, {"": []}, {"train": pairs_of([1, 1, 2])}])
def test_too_few_groups(given):
    with pytest.raises(ValueError, match=r"at least 3 groups of images for train, validation and"):
        complete_parts(given)


def test_too_few_groups_for_validation_images():
    with pytest.raises(ValueError, match=r"at least 2 groups of images for train and validation"):
        complete_parts({"train": pairs_of([1, 1]), "test": TEST})


def test_patients_of_lgg_stand_in_one_part():
    folder = SHARED / "lgg-mri-segmentation"
    if not folder.is_dir():
        pytest.skip("LGG is not there: set ENSEMBLE_SEG_TEST_DATA to its parent folder")
    pairs = all_pairs(folder)
    tests = set()
    for seed in range(100):
        parts = split_by_group(pairs, seed)
        assert_disjoint(parts)
        patients = [{pair.image.name[:12] for pair in part} for part in parts.values()]
        assert sum(map(len, patients)) == len(set.union(*patients)) == 110
        assert abs(len(parts["test"]) - 66) <= 6
        tests.add(parts["test"])
    assert len(tests) == 100
