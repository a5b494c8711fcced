import keras
import numpy as np
import pytest
from keras import ops

import ensemble_seg as es
from ensemble_seg.losses import LOSSES


def softmax(values):
    e = np.exp(values - values.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def reference(y_true, y_pred, alpha=0.8, double=True):
    """The published formula in NumPy float64, written pixel by pixel."""
    p = softmax(y_pred.astype("float64")) if double else y_pred.astype("float64")
    total = 0.0
    for y, q in zip(y_true.reshape(-1), p.reshape(-1), strict=True):
        total += alpha * np.exp(-y * q) + np.exp(-(1 - y) * (1 - q))
    return total / p.size


def example(seed=0, shape=(3, 5, 4), classes=2):
    rng = np.random.default_rng(seed)
    y_true = np.eye(classes)[rng.integers(0, classes, shape)]
    return y_true, softmax(rng.normal(0, 2, (*shape, classes)))


@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize("alpha", [0.8, 0.3, 2.0])
@pytest.mark.parametrize("classes", [2, 4])
def test_equals_the_formula_in_float64(double, alpha, classes):
    for seed in range(5):
        y_true, y_pred = example(seed, classes=classes)
        loss = es.ExponentialLoss(alpha=alpha, double_softmax=double)
        assert float(loss(y_true, y_pred)) == pytest.approx(
            reference(y_true, y_pred, alpha, double), abs=1e-6
        )


@pytest.mark.parametrize("double", [True, False])
def test_closed_form_for_two_classes(double):
    y_true, y_pred = example(1)
    p = softmax(y_pred) if double else y_pred
    p_true = (p * y_true).sum(-1)
    expected = 0.9 * (1 + np.exp(-p_true))
    pixels = es.exponential_loss(y_true, y_pred, double_softmax=double)
    np.testing.assert_allclose(pixels, expected, atol=1e-6)


def test_golden_two_by_two_worked_by_hand():
    # Four pixels, p_true = 1, 0.5, 0.5, 0: 0.9 * (4 + e^-1 + 2 e^-0.5 + 1) / 4 = 1.4807...
    y_true = np.array([[[[1, 0], [0, 1]], [[1, 0], [0, 1]]]], "float32")
    y_pred = np.array([[[[1, 0], [0.5, 0.5]], [[0.5, 0.5], [1, 0]]]], "float32")
    loss = es.ExponentialLoss(double_softmax=False)
    assert float(loss(y_true, y_pred)) == pytest.approx(1.480711, abs=1e-6)


@pytest.mark.parametrize(
    ("double", "best", "worst"), [(True, 1.333259, 1.587769), (False, 1.231091, 1.8)]
)
def test_limits(double, best, worst):
    y_true = np.array([[[[0.0, 1.0]]]])
    loss = es.ExponentialLoss(double_softmax=double)
    assert float(loss(y_true, y_true)) == pytest.approx(best, abs=2e-6)
    assert float(loss(y_true, 1 - y_true)) == pytest.approx(worst, abs=2e-6)


@pytest.mark.parametrize("weights", [None, (0.5, 3.0)])
@pytest.mark.parametrize("double", [True, False])
def test_gradient_agrees_with_finite_differences(double, weights):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("gradients are taken with TensorFlow's tape")
    import tensorflow as tf

    y_true, y_pred = example(2, (1, 2, 3))
    loss = es.ExponentialLoss(double_softmax=double, class_weights=weights, dtype="float64")
    variable = tf.Variable(y_pred)

    @tf.function
    def gradient():
        with tf.GradientTape() as tape:
            value = loss(y_true, variable)
        return tape.gradient(value, variable)

    def value(prediction):
        p = softmax(prediction) if double else prediction
        pixel = (0.8 * np.exp(-y_true * p) + np.exp(-(1 - y_true) * (1 - p))).mean(-1)
        return (pixel * (y_true * (weights or (1, 1))).sum(-1)).mean()

    numeric, step = np.zeros_like(y_pred), 1e-6
    for index in np.ndindex(y_pred.shape):
        up, down = y_pred.copy(), y_pred.copy()
        up[index] += step
        down[index] -= step
        numeric[index] = (value(up) - value(down)) / (2 * step)
    np.testing.assert_allclose(gradient().numpy(), numeric, atol=1e-8)


def test_published_form_treats_both_classes_alike_and_class_weights_do_not():
    y_true, y_pred = example(3)
    published = es.ExponentialLoss()
    flipped = float(published(y_true[..., ::-1], y_pred[..., ::-1]))
    assert float(published(y_true, y_pred)) == pytest.approx(flipped, abs=1e-6)
    plain = np.array(es.exponential_loss(y_true, y_pred))
    weighted = np.array(es.exponential_loss(y_true, y_pred, class_weights=(1, 4)))
    np.testing.assert_allclose(weighted / plain, np.where(y_true[..., 1] > 0, 4, 1), rtol=1e-5)


def test_compiled_graph_gives_the_same_as_eager():
    import tensorflow as tf

    y_true, y_pred = example(4)
    loss = es.ExponentialLoss(class_weights=(1, 2))
    assert float(tf.function(loss)(y_true, y_pred)) == pytest.approx(float(loss(y_true, y_pred)))


def test_config_round_trip():
    loss = es.ExponentialLoss(alpha=0.5, double_softmax=False, class_weights=(1, 2), name="mine")
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    y_true, y_pred = example(5)
    assert copy.get_config() == loss.get_config()
    double = es.ExponentialLoss.from_config(es.ExponentialLoss(dtype="float64").get_config())
    assert double.dtype == "float64"
    assert float(copy(y_true, y_pred)) == float(loss(y_true, y_pred))


def test_a_tiny_mask_can_be_fitted_exactly():
    mask = np.zeros((1, 8, 8), int)
    mask[0, 2:5, 3:7] = 1
    y_true = np.eye(2, dtype="float32")[mask]
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(128), keras.layers.Reshape((8, 8, 2)),
         keras.layers.Softmax()]
    )  # fmt: skip
    model.compile(keras.optimizers.Adam(0.1), es.ExponentialLoss())
    model.fit(np.ones((150, 1)), np.repeat(y_true, 150, axis=0), batch_size=1, verbose=0)
    predicted = model.predict(np.ones((1, 1)), verbose=0).argmax(-1)
    np.testing.assert_array_equal(predicted, mask)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_of_the_table_prefers_the_truth(name):
    y_true, y_pred = example(6)
    loss = es.loss_by_name(name)
    near = np.clip(y_true, 0.01, 0.99)
    assert float(ops.mean(loss(y_true, near))) < float(ops.mean(loss(y_true, y_pred)))
    assert float(ops.mean(loss(y_true, near))) < float(ops.mean(loss(y_true, 1 - near)))


def test_dice_and_tversky_of_the_table_worked_by_hand():
    # One image, 8 lesion and 8 background pixels; 4 lesion pixels are missed.
    truth, predicted = np.zeros((1, 4, 4), int), np.zeros((1, 4, 4), int)
    truth[0, :2], predicted[0, :1] = 1, 1
    y_true, y_pred = np.eye(2)[truth], np.eye(2)[predicted]
    dice = 1 - (2 * 4 / 12 + 2 * 8 / 20) / 2
    assert float(es.loss_by_name("dice")(y_true, y_pred)) == pytest.approx(dice, abs=1e-6)
    # Lesion: 4 hits, 4 missed. Background: 8 hits, 4 false alarms.
    tversky = 1 - (4 / (4 + 0.7 * 4) + 8 / (8 + 0.3 * 4)) / 2
    assert float(es.loss_by_name("tversky")(y_true, y_pred)) == pytest.approx(tversky, abs=1e-6)


def test_unknown_loss():
    with pytest.raises(ValueError, match="Unknown loss 'bce'. Losses: exponential, "):
        es.loss_by_name("bce")


@pytest.mark.parametrize(
    ("y_true", "message"),
    [
        (np.zeros((2, 4, 4), int), r"`y_true`.*one-hot mask.*shape \(2, 4, 4\)"),
        (np.zeros((2, 4, 4, 1), int), r"`y_true`.*one-hot mask.*shape \(2, 4, 4, 1\)"),
        (np.zeros((2, 4, 5, 2)), r"`y_true`.*shape \(2, 4, 5, 2\)"),
        (np.zeros((2, 4, 4, 2)), "`y_true`.*add up to 1"),
        (np.full((2, 4, 4, 2), 255.0), "`y_true`.*values from 0 to 255"),
    ],
)
def test_masks_that_are_not_one_hot_are_refused(y_true, message):
    with pytest.raises(ValueError, match=message):
        es.ExponentialLoss()(y_true, np.full((2, 4, 4, 2), 0.5))


def test_logits_are_refused_where_probabilities_are_needed():
    y_true, _ = example(7)
    with pytest.raises(ValueError, match="`y_pred`.*probabilities"):
        es.ExponentialLoss(double_softmax=False)(y_true, y_true * 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": -1}, "`alpha`.*alpha=-1"),
        ({"alpha": "a"}, "`alpha`.*alpha='a'"),
        ({"class_weights": (1, -2)}, "`class_weights`.*at least 0"),
        ({"class_weights": 3}, "`class_weights`"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        es.ExponentialLoss(**options)


def test_class_weights_must_match_the_classes():
    y_true, y_pred = example(8)
    with pytest.raises(ValueError, match="one weight for each of the 2 classes"):
        es.ExponentialLoss(class_weights=(1, 2, 3))(y_true, y_pred)
