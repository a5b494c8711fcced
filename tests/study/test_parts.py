"""Folds and windows: which images a seed tests, and what each arm is trained on."""

from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import ensemble_seg as es
from ensemble_lab.study import parts
from ensemble_lab.study.parts import split_of_seed, training_windows
from ensemble_lab.study.results import read_all

PARTS = ("train", "validation", "test")
PRESET = es.preset("smoke,size=32,margin=4")


@pytest.fixture
def toy(monkeypatch):
    """Data set without files, of (group, share of lesion) for each image."""
    shares = {}

    def fake_mask(path):
        mask = np.zeros(1000, "uint8")
        mask[: round(1000 * shares[path])] = 1
        return mask.reshape(20, 50)

    def build(images):
        pairs = [es.Pair(Path(f"{n}"), Path(f"m{n}"), str(g)) for n, (g, _) in enumerate(images)]
        shares.update({pair.mask: share for pair, (_, share) in zip(pairs, images, strict=True)})
        thirds = {part: tuple(pairs[number::3]) for number, part in enumerate(PARTS)}
        return es.Dataset("toy", **{p: es.Split(thirds[p], p, Path()) for p in PARTS})

    monkeypatch.setattr(parts, "read_mask", fake_mask)
    split_of_seed.cache_clear()
    build.shares = shares
    yield build
    split_of_seed.cache_clear()


def shares_tested(toy, images, seed):
    return [toy.shares[pair.mask] for pair in split_of_seed(toy(images), seed).test.pairs]


@pytest.mark.parametrize("order", range(4))
def test_five_seeds_test_each_image_once_and_no_group_is_split(toy, order):
    rng = np.random.default_rng(order)
    groups = [*range(40), *rng.choice(40, 80, p=rng.dirichlet(np.ones(40)))]
    data = toy([(group, max(0, rng.uniform(-0.5, 0.5))) for group in groups])
    pairs = {pair for part in PARTS for pair in getattr(data, part).pairs}
    folds = [split_of_seed(data, 5 * order + number) for number in range(5)]
    assert Counter(pair for fold in folds for pair in fold.test.pairs) == Counter(pairs)
    for fold in folds:
        found = [getattr(fold, part).pairs for part in PARTS]
        assert all(found)
        assert Counter(pair for part in found for pair in part) == Counter(pairs)
        for one, other in combinations([{pair.group for pair in part} for part in found], 2):
            assert not one & other


def test_seeds_move_the_split_and_the_order_of_the_parts_does_not(toy):
    data = toy([(n, n % 3 / 10) for n in range(100)])
    first = split_of_seed(data, 0)
    assert [len(getattr(first, part)) for part in PARTS] == [70, 10, 20]
    assert first.name == "toy" and first.test.name == "test"
    assert set(first.test.pairs) != set(split_of_seed(data, 5).test.pairs)
    turned = data.replace(train=data.test, test=data.train)
    assert split_of_seed(turned, 0).test.pairs == first.test.pairs


def test_a_test_part_that_is_the_validation_part_counts_once(toy):
    data = toy([(n, 0.1) for n in range(30)])
    same = data.replace(test=data.validation)
    assert len(parts.all_cases(same)) == 20
    assert sum(len(split_of_seed(same, seed).test) for seed in range(5)) == 20


@pytest.mark.parametrize("seed", [0, 4, 7])
def test_strata_by_hand(toy, seed):
    # 20 empty, 10 small and 10 large lesions, each a group of its own: a fifth of each, exactly.
    shares = [0] * 20 + [n / 1000 for n in range(1, 11)] + [n / 100 for n in range(50, 60)]
    found = shares_tested(toy, list(enumerate(shares)), seed)
    assert found.count(0) == 4
    assert sum(0 < share < 0.3 for share in found) == sum(share > 0.3 for share in found) == 2
    # The median is 0.1: ten small lesions, five large ones, as many as there are folds.
    found = shares_tested(toy, list(enumerate([0.1] * 10 + [0.5] * 5)), seed)
    assert sorted(found) == [0.1, 0.1, 0.5]
    # 3 empty and 12 small ones are 15 in one stratum, 3 a fold; 10 large ones are 2 a fold.
    found = shares_tested(toy, list(enumerate([0] * 3 + [0.1] * 12 + [0.5] * 10)), seed)
    assert (len(found), found.count(0.5)) == (5, 2)


def test_too_few_groups_are_refused(toy):
    with pytest.raises(ValueError, match="at least 6 groups.*Received: 5 in toy"):
        split_of_seed(toy([(n % 5, 0.1) for n in range(20)]), 0)
    split_of_seed(toy([(n % 6, 0.1) for n in range(20)]), 0)


@pytest.mark.parametrize("kind", ["whole", "lesion", "random"])
def test_every_arm_sees_as_many_windows(disks, kind):
    train = split_of_seed(es.load_dataset(disks), 0).train
    found = training_windows(train, kind, 60, PRESET)
    assert len(found) == 60
    counts = Counter(found.pairs)
    assert set(counts) <= set(train.pairs)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_random_crops_have_the_sizes_of_lesion_crops_and_other_places(disks):
    train = split_of_seed(es.load_dataset(disks), 0).train
    lesion, random = (training_windows(train, kind, 60, PRESET) for kind in ("lesion", "random"))
    assert lesion.pairs == random.pairs
    sizes = [
        [(b.bottom - b.top, b.right - b.left) for b in each.boxes] for each in (lesion, random)
    ]
    assert sizes[0] == sizes[1]
    assert lesion.boxes != random.boxes
    for box in random.boxes:
        assert 0 <= box.top < box.bottom <= 40 and 0 <= box.left < box.right <= 48


def test_the_splits_of_the_committed_study():
    """What was published hangs on them: cases of the test images in results/study."""
    results = read_all(Path(__file__).parents[2] / "results" / "study")[0]
    data = es.load_dataset("phantoms")
    names = [pair.image.name for pair in parts.all_cases(data)]
    assert names == results.record["cases"]
    for seed, result in results.arms["main"].items():
        found = [pair.image.name for pair in split_of_seed(data, seed).test.pairs]
        assert found == [names[case] for case in result["test"]["cases"]]
