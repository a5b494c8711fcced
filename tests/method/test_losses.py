import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import ensemble_seg as es


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
@pytest.mark.parametrize("alpha", [0.8, 0, 2.0])
@pytest.mark.parametrize("classes", [2, 4])
def test_equals_the_formula_in_float64(double, alpha, classes):
    for seed in range(5):
        y_true, y_pred = example(seed, classes=classes)
        loss = es.ExponentialLoss(alpha=alpha, double_softmax=double)
        assert float(loss(y_true, y_pred)) == pytest.approx(
            reference(y_true, y_pred, alpha, double), abs=1e-6
        )


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


def test_config_round_trip():
    loss = es.ExponentialLoss(alpha=0.5, double_softmax=False, class_weights=(1, 2), name="mine")
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    y_true, y_pred = example(5)
    assert copy.get_config() == loss.get_config()
    double = es.ExponentialLoss.from_config(es.ExponentialLoss(dtype="float64").get_config())
    assert double.dtype == "float64"
    assert float(copy(y_true, y_pred)) == float(loss(y_true, y_pred))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        # One lesion pixel, given 0.8. Softmax of (0.2, 0.8) gives it 1 / (1 + e^-0.6) = 0.645656.
        ("exponential", 1.371886),  # 0.9 (1 + e^-0.645656)
        ("exponential-single-softmax", 1.304396),  # 0.9 (1 + e^-0.8)
        ("exponential-asymmetric", 4.115658),  # three times the first
        ("cross-entropy", 0.223144),  # -log 0.8
        ("dice", 0.555556),  # background: nothing in common, 1; lesion: 1 - 1.6 / 1.8
        ("focal", 0.002231),  # 0.25 * 0.2^2 * -log 0.8
        ("cross-entropy-dice", 0.778699),  # 0.223144 + 0.555556
        ("tversky", 0.574468),  # background: 1; lesion: 1 - 0.8 / (0.8 + 0.7 * 0.2)
    ],
)
def test_every_loss_of_the_table_worked_by_hand(name, value):
    y_true, y_pred = np.array([[[[0.0, 1.0]]]]), np.array([[[[0.2, 0.8]]]])
    loss = es.loss_by_name(name)
    assert float(ops.mean(loss(y_true, y_pred))) == pytest.approx(value, abs=2e-6)
    # A second image that is right throughout: the mean of two images, not of their pixels together.
    both = np.concatenate([y_true, y_true]), np.concatenate([y_pred, [[[[0.0, 1.0]]]]])
    alone = float(ops.mean(loss(both[1][1:], both[1][1:])))
    if name in ("dice", "cross-entropy-dice", "tversky"):
        alone = 0.5  # of the background, which the image has none of and none of is found
    expected = (value + alone) / 2
    assert float(ops.mean(loss(*both))) == pytest.approx(expected, abs=2e-6)


def test_table_losses_are_taken_image_by_image():
    # One image of 4 x 4 halves right, as above, and one with a single lesion pixel, all right.
    truth, predicted = np.zeros((2, 4, 4), int), np.zeros((2, 4, 4), int)
    truth[0, :2], predicted[0, :1] = 1, 1
    truth[1, 3, 3] = predicted[1, 3, 3] = 1
    y_true, y_pred = np.eye(2)[truth], np.eye(2)[predicted]
    dice = 1 - (2 * 4 / 12 + 2 * 8 / 20) / 2
    tversky = 1 - (4 / (4 + 0.7 * 4) + 8 / (8 + 0.3 * 4)) / 2
    for name, value in (("dice", dice), ("tversky", tversky)):
        found = float(ops.mean(es.loss_by_name(name)(y_true, y_pred)))
        assert found == pytest.approx(value / 2, abs=1e-6), name
    # Four of 32 pixels are wrong at 1e-7: -log 1e-7 = 16.118096 each, over 16 pixels of an image.
    found = float(ops.mean(es.loss_by_name("cross-entropy-dice")(y_true, y_pred)))
    assert found == pytest.approx((16.118096 * 4 / 16 + dice) / 2, abs=1e-4)


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
        (np.full((2, 4, 4, 2), 0.4), "`y_true`.*add up to 1"),
        (np.full((2, 4, 4, 2), 255.0), "`y_true`.*values from 255 to 255"),
        (np.ones((2, 4, 4)), "one-hot mask of the shape of `y_pred`.*C >= 2"),
    ],
)
def test_masks_that_are_not_one_hot_are_refused(y_true, message):
    with pytest.raises(ValueError, match=message):
        es.ExponentialLoss()(y_true, np.full((2, 4, 4, 2), 0.5))


@pytest.mark.parametrize("pixel", [[-0.4, 0.7, 0.7], [-0.2, 0.6, 0.6], [1.4, -0.2, -0.2]])
def test_channels_that_add_up_to_1_but_are_no_probabilities_are_refused(pixel):
    y_true = np.array([[1.0, 0.0, 0.0]])
    with pytest.raises(ValueError, match="`y_true`.*values from"):
        es.exponential_loss(np.array([pixel]), np.full((1, 3), 1 / 3))
    with pytest.raises(ValueError, match="`y_pred`.*values from"):
        es.exponential_loss(y_true, np.array([pixel]), double_softmax=False)


def test_rounding_of_16_bits_is_allowed():
    y_true, y_pred = np.array([[1.0, 0.0]]), np.array([[0.6, 0.4005]])
    es.exponential_loss(y_true, y_pred, double_softmax=False)
    with pytest.raises(ValueError, match="0.002 away from 1"):
        es.exponential_loss(y_true, np.array([[0.6, 0.402]]), double_softmax=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": -1}, "`alpha`.*alpha=-1"),
        ({"alpha": -0.5}, "`alpha`.*alpha=-0.5"),
        ({"alpha": np.inf}, "`alpha`.*alpha=inf"),
        ({"alpha": "a"}, "`alpha`.*alpha='a'"),
        ({"class_weights": (1, -2)}, "`class_weights`.*at least 0"),
        ({"class_weights": 3}, "`class_weights`"),
        ({"class_weights": (1, 2, 3)}, "`class_weights`. Expected one weight for each of the 2"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        es.ExponentialLoss(**options)(*example(8))
