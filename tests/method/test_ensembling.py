from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ensemble_seg as es
from ensemble_seg.ensembling import ensemble_members


def maps(seed, shape=(2, 4, 4)):
    lesion = np.random.default_rng(seed).random(shape)
    return np.stack([1 - lesion, lesion], axis=-1).astype("float32")


def average(weights, *probabilities):
    return np.asarray(es.WeightedAverage(weights)(list(probabilities)))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=4).filter(lambda w: sum(w) > 1e-3))
def test_the_vote_is_the_weighted_average(weights):
    stacked = [maps(seed) for seed in range(len(weights))]
    voted = average(weights, *stacked)
    by_hand = sum(w * m.astype("float64") for w, m in zip(weights, stacked, strict=True))
    np.testing.assert_allclose(voted, by_hand / sum(weights), atol=1e-6)
    np.testing.assert_allclose(es.average_probabilities(stacked, weights), voted, atol=1e-6)
    np.testing.assert_allclose(voted.sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(average(weights[::-1], *stacked[::-1]), voted, atol=1e-6)
    np.testing.assert_allclose(average(np.multiply(weights, 10), *stacked), voted, atol=1e-6)


def test_fit_weights_takes_the_plain_average_where_all_are_alike():
    truth = np.array([[[0, 1], [0, 1]]])
    assert es.fit_weights([truth * 0.9] * 2, truth) == (0.5, 0.5)
    assert es.fit_weights([truth * 0.9] * 2, truth, steps=3) == pytest.approx((1 / 3, 2 / 3))
    # A half is not a lesion.
    assert es.fit_weights([truth * 0.5, truth * 0.9], truth, steps=1) == (0.0, 1.0)


@pytest.mark.parametrize("weights", [[-1, 2], [0, 0], [], [np.nan, 1], [np.inf, 1]])
def test_bad_weights(weights):
    for function in (es.WeightedAverage, lambda w: es.average_probabilities([maps(0)] * 2, w)):
        with pytest.raises(ValueError, match="`weights`. Expected numbers of at least 0, not all"):
            function(weights)


def test_one_weight_for_each_model():
    with pytest.raises(ValueError, match="one for each of the 2 inputs"):
        es.WeightedAverage([1, 1, 1])([maps(0), maps(1)])
    small, large = (es.unet(es.preset("smoke").replace(size=size)) for size in (32, 64))
    with pytest.raises(ValueError, match="`models`. Expected models of one input and output"):
        es.build_ensemble([small, large])
    with pytest.raises(ValueError, match="one for each of the 1 models"):
        es.build_ensemble([small])


def test_the_ensemble_votes_with_the_members_that_were_passed_in():
    preset = es.preset("smoke").replace(size=32, precision="float32")
    members = [es.unet(preset.replace(seed=seed)) for seed in (0, 1)]
    ensemble = es.build_ensemble(members)
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    maps = [member(images).numpy() for member in members]
    np.testing.assert_allclose(ensemble(images), (1.01 * maps[0] + maps[1]) / 2.01, atol=1e-6)
    found, vote = ensemble_members(ensemble)
    assert (len(found), vote.weights_given) == (2, (1.01, 1.0))
    for member, map_ in zip(found, maps, strict=True):
        np.testing.assert_array_equal(member(images), map_)
    (alone,), vote = ensemble_members(members[0])
    assert alone is members[0]
    np.testing.assert_array_equal(vote([maps[0]]), maps[0])


def test_fit_weights_finds_the_model_that_is_right():
    truth = np.random.default_rng(0).integers(0, 2, (3, 8, 8))
    right, wrong = truth * 0.8 + 0.1, (1 - truth) * 0.9
    best = es.fit_weights([wrong, right], truth)
    assert sum(best) == pytest.approx(1)
    # 0.9 * w < 0.5 on background and 0.9 * (1 - w) > 0.5 on lesion: every w below 4 / 9.
    assert best == (0.4, 0.6)


@pytest.mark.parametrize("first", [True, False])
def test_fit_weights_can_leave_a_model_out_and_half_is_no_lesion(first):
    truth = np.array([[[0, 0, 1, 1]]])
    good, bad = np.where(truth, 0.8, 0.5), np.where(truth, 0.1, 0.6)
    # With any share of the other model the background is above a half.
    maps = [good, bad] if first else [bad, good]
    assert es.fit_weights(maps, truth) == ((1, 0) if first else (0, 1))


def test_fit_weights_agrees_with_brute_force_over_three_models():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, (2, 6, 6))
    models = [np.clip(truth * 0.5 + rng.random(truth.shape) * 0.6, 0, 1) for _ in range(3)]

    def dice(weights):
        lesion = sum(w * m for w, m in zip(weights, models, strict=True)) > 0.5
        scores = [
            2 * (p & (t > 0)).sum() / (p.sum() + t.sum())
            for p, t in zip(lesion, truth, strict=True)
        ]
        return np.mean(scores)

    grid = [(i / 4, j / 4, (4 - i - j) / 4) for i in range(5) for j in range(5 - i)]
    best = es.fit_weights(models, truth, steps=4)
    assert dice(best) == pytest.approx(max(map(dice, grid)))


def test_fit_weights_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"`probabilities`. Expected .* \(2, 4, 4, 2\)"):
        es.fit_weights([np.zeros((2, 5, 5))], np.zeros((2, 4, 4), int))


def test_an_ensemble_that_an_earlier_version_saved_still_votes_the_same():
    """Two networks of two convolutions around our batch normalisation, saved at commit 214f7d5."""
    path = Path(__file__).with_name("ensemble_of_214f7d5.keras")
    model = keras.saving.load_model(path, safe_mode=True)
    image = np.linspace(0, 1, 32 * 32 * 3, dtype="float32").reshape(1, 32, 32, 3)
    lesion = np.asarray(model(image))[0, ::8, ::8, 1]
    expected = [
        [0.5252, 0.5371, 0.5423, 0.5475],
        [0.6788, 0.7905, 0.7966, 0.8026],
        [0.8086, 0.9221, 0.9245, 0.9269],
        [0.8940, 0.9718, 0.9726, 0.9735],
    ]
    np.testing.assert_allclose(lesion, expected, atol=2e-4)
