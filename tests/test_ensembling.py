import json
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest

import ensemble_seg as es


def maps(seed, shape=(2, 4, 4)):
    lesion = np.random.default_rng(seed).random(shape)
    return np.stack([1 - lesion, lesion], axis=-1).astype("float32")


def average(weights, *probabilities):
    return np.asarray(es.WeightedAverage(weights)(list(probabilities)))


def test_equals_the_average_worked_by_hand():
    a, b = np.array([[0.2, 0.8]]), np.array([[0.6, 0.4]])
    np.testing.assert_allclose(average([3, 1], a, b), [[0.3, 0.7]], atol=1e-6)
    expected = (1.01 * maps(0) + maps(1)) / 2.01
    np.testing.assert_allclose(average([1.01, 1], maps(0), maps(1)), expected, atol=1e-6)


def test_fit_weights_takes_maps_of_two_channels():
    truth = np.array([[[0, 1], [0, 1]]])
    right, wrong = truth * 0.8, (1 - truth) * 0.7
    one, two = ([maps, np.stack([1 - maps, maps], -1)] for maps in (right, wrong))
    # A lesion pixel has 0.8 w, a background pixel 0.7 (1 - w): right from w = 0.65, and 0.65 of
    # the twentieths is nearest to a half.
    for first, second in ((one[0], two[0]), (one[1], two[1]), (one[0], two[1])):
        assert es.fit_weights([first, second], truth) == (0.65, 0.35)


def test_fit_weights_takes_the_plain_average_where_all_are_alike():
    truth = np.array([[[0, 1], [0, 1]]])
    assert es.fit_weights([truth * 0.9] * 2, truth) == (0.5, 0.5)
    assert es.fit_weights([truth * 0.9] * 2, truth, steps=3) == pytest.approx((1 / 3, 2 / 3))
    # A half is not a lesion.
    assert es.fit_weights([truth * 0.5, truth * 0.9], truth, steps=1) == (0.0, 1.0)


def test_scale_of_the_weights_does_not_matter():
    a = average([1, 2, 3], maps(0), maps(1), maps(2))
    np.testing.assert_allclose(a, average([10, 20, 30], maps(0), maps(1), maps(2)), atol=1e-6)


def test_equal_weights_are_the_plain_mean():
    expected = np.mean([maps(0), maps(1), maps(2)], axis=0)
    np.testing.assert_allclose(average([7, 7, 7], maps(0), maps(1), maps(2)), expected, atol=1e-6)


def test_order_does_not_matter():
    a, b = average([1, 3], maps(0), maps(1)), average([3, 1], maps(1), maps(0))
    np.testing.assert_allclose(a, b, atol=1e-6)


def test_weight_zero_is_leaving_the_model_out():
    a = average([1, 0, 2], maps(0), maps(1), maps(2))
    np.testing.assert_allclose(a, average([1, 2], maps(0), maps(2)), atol=1e-6)
    np.testing.assert_allclose(average([0, 1], maps(0), maps(1)), maps(1), atol=1e-6)


def test_integer_weights_are_repeated_models():
    a = average([1, 2], maps(0), maps(1))
    np.testing.assert_allclose(a, average([1, 1, 1], maps(0), maps(1), maps(1)), atol=1e-6)


def test_unanimous_models_are_not_changed_and_the_result_is_a_probability():
    np.testing.assert_allclose(average([0.3, 5], maps(0), maps(0)), maps(0), atol=1e-6)
    mixed = average([0.3, 5, 2], maps(0), maps(1), maps(2))
    np.testing.assert_allclose(mixed.sum(-1), 1, atol=1e-6)
    stacked = np.stack([maps(0), maps(1), maps(2)])
    assert (mixed <= stacked.max(0) + 1e-6).all()
    assert (mixed >= stacked.min(0) - 1e-6).all()


def test_agrees_with_scikit_learn_soft_voting():
    from sklearn.dummy import DummyClassifier
    from sklearn.ensemble import VotingClassifier

    x, y = np.zeros((10, 1)), np.array([0, 1] * 5)
    voters = []
    for number, prior in enumerate([0.2, 0.7, 0.9]):
        labels = (np.arange(10) < 10 * prior).astype(int)
        voters.append((str(number), DummyClassifier(strategy="prior").fit(x, labels)))
    voting = VotingClassifier(voters, voting="soft", weights=[1.01, 1, 2.5]).fit(x, y)
    voting.estimators_ = [voter for _, voter in voters]
    theirs = voting.predict_proba(x)
    ours = average([1.01, 1, 2.5], *[voter.predict_proba(x) for _, voter in voters])
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_published_weights_give_ties_to_the_main_model():
    main, sampling = np.array([[0.3, 0.7]]), np.array([[0.7, 0.3]])
    assert average([1.01, 1], main, sampling).argmax() == 1
    assert average([1.01, 1], sampling, main).argmax() == 0


def test_numpy_twin_agrees_with_the_layer():
    stacked = [maps(0), maps(1)]
    np.testing.assert_allclose(
        es.average_probabilities(stacked, [1.01, 1]), average([1.01, 1], *stacked), atol=1e-6
    )


@pytest.mark.parametrize("weights", [[-1, 2], [0, 0], [], [np.nan, 1], [np.inf, 1]])
def test_bad_weights(weights):
    for function in (es.WeightedAverage, lambda w: es.average_probabilities([maps(0)] * 2, w)):
        with pytest.raises(ValueError, match="`weights`. Expected numbers of at least 0, not all"):
            function(weights)


def test_one_weight_for_each_model():
    with pytest.raises(ValueError, match="one for each of the 2 inputs"):
        es.WeightedAverage([1, 1, 1])([maps(0), maps(1)])
    with pytest.raises(ValueError, match="one for each of the 1 models"):
        es.build_ensemble([es.unet(es.preset("smoke"))])


def test_layer_config_round_trip():
    layer = es.WeightedAverage([1.01, 1], name="vote")
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert copy.get_config() == layer.get_config()


def test_members_of_other_sizes_are_refused():
    small, large = (es.unet(es.preset("smoke").replace(size=size)) for size in (32, 64))
    with pytest.raises(ValueError, match="`models`. Expected models of one input and output"):
        es.build_ensemble([small, large])


@pytest.mark.parametrize(
    ("height", "layer"),
    [
        (16, keras.layers.AveragePooling2D((2, 1))),  # images of another height, maps of the same
        (8, keras.layers.UpSampling2D((2, 1))),  # maps of another height, images of the same
    ],
)
def test_members_that_differ_in_height_alone_are_refused(height, layer):
    plain, other = keras.Input((8, 8, 2)), keras.Input((height, 8, 2))
    models = [
        keras.Model(plain, keras.layers.Softmax()(plain)),
        keras.Model(other, keras.layers.Softmax()(layer(other))),
    ]
    with pytest.raises(ValueError, match="`models`. Expected models of one input and output"):
        es.build_ensemble(models)


def test_saved_ensemble_loads_in_a_new_process_and_predicts_bit_equal(tmp_path):
    preset = es.preset("smoke").replace(size=32, precision="float32")
    members = [es.unet(preset.replace(seed=seed)) for seed in (0, 1)]
    ensemble = es.build_ensemble(members)
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    maps = [member(images).numpy() for member in members]
    expected = (1.01 * maps[0] + maps[1]) / 2.01
    np.testing.assert_allclose(ensemble(images), expected, atol=1e-6)
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "here.npy", ensemble.predict(images, verbose=0))
    es.save_model(ensemble, tmp_path / "ensemble.keras")
    script = """
        import json, sys
        import keras, numpy as np
        import ensemble_seg
        folder = sys.argv[1]
        model = keras.saving.load_model(folder + "/ensemble.keras", safe_mode=True)
        there = model.predict(np.load(folder + "/images.npy"), verbose=0)
        equal = bool(np.array_equal(there, np.load(folder + "/here.npy")))
        print(json.dumps({"equal": equal, "compiled": model.compiled}))
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(run.stdout.splitlines()[-1]) == {"equal": True, "compiled": False}


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
