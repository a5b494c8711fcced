import keras
import numpy as np
import pytest
import tensorflow as tf

import ensemble_seg as es
from ensemble_seg.hardware.adam import FusedAdam
from ensemble_seg.hardware.normalization import FusedBatchNormalization


def reference(images, scale, shift, epsilon=1e-3):
    """Batch normalisation in float64, as Ioffe and Szegedy write it."""
    images = images.astype("float64")
    mean, variance = images.mean(axis=(0, 1, 2)), images.var(axis=(0, 1, 2))
    return (images - mean) / np.sqrt(variance + epsilon) * scale + shift, mean, variance


def layer_with(channels, dtype="float32", **settings):
    layer = FusedBatchNormalization(momentum=0.9, dtype=dtype, **settings)
    layer.build((None, 6, 5, channels))
    return layer


@pytest.mark.parametrize("channels", [3, 16])
@pytest.mark.parametrize("dtype, tolerance", [("float32", 2e-6), ("mixed_bfloat16", 2e-2)])
def test_training_normalises_with_the_batch_and_moves_the_averages(channels, dtype, tolerance):
    rng = np.random.default_rng(0)
    images = rng.normal(3, 2, (4, 6, 5, channels)).astype("float32")
    if dtype == "mixed_bfloat16":
        images = tf.cast(tf.cast(images, "bfloat16"), "float32").numpy()
    scale, shift = rng.normal(1, 0.1, channels), rng.normal(0, 0.1, channels)
    layer = layer_with(channels, dtype)
    layer.gamma.assign(scale)
    layer.beta.assign(shift)
    expected, mean, variance = reference(images, scale, shift)

    outputs = layer(images, training=True)

    assert outputs.dtype == layer.compute_dtype
    np.testing.assert_allclose(tf.cast(outputs, "float32"), expected, atol=tolerance)
    np.testing.assert_allclose(layer.moving_mean, 0.1 * mean, rtol=1e-4)
    np.testing.assert_allclose(layer.moving_variance, 0.9 + 0.1 * variance, rtol=1e-4)


def test_inference_uses_the_moving_averages():
    layer = layer_with(16)
    layer.moving_mean.assign(np.arange(16))
    layer.moving_variance.assign(np.full(16, 4.0))

    outputs = layer(np.ones((1, 6, 5, 16), "float32"), training=False)

    expected = (1 - np.arange(16)) / np.sqrt(4.001)
    np.testing.assert_allclose(outputs[0, 0, 0], expected, rtol=1e-5)


def test_a_frozen_layer_uses_the_moving_averages_in_training_too():
    layer = layer_with(16)
    layer.trainable = False
    outputs = layer(np.full((1, 6, 5, 16), 2.0, "float32"), training=True)
    np.testing.assert_allclose(outputs, np.full((1, 6, 5, 16), 2 / np.sqrt(1.001)), rtol=1e-5)
    np.testing.assert_array_equal(layer.moving_mean, np.zeros(16))


@pytest.mark.parametrize("settings", [{}, {"scale": False}, {"center": False}])
def test_gradients_agree_with_finite_differences(settings):
    rng = np.random.default_rng(1)
    images = rng.normal(size=(2, 6, 5, 16)).astype("float32")
    pull = rng.normal(size=images.shape)
    layer = layer_with(16, **settings)

    with tf.GradientTape() as tape:
        inputs = tf.constant(images)
        tape.watch(inputs)
        total = tf.reduce_sum(layer(inputs, training=True) * pull.astype("float32"))
    gradient = tape.gradient(total, inputs).numpy()

    for place in [(0, 0, 0, 0), (1, 3, 2, 5), (0, 5, 4, 7)]:
        step = np.zeros(images.shape)
        step[place] = 1e-4
        above, below = (reference(images + sign * step, 1, 0)[0] for sign in (1, -1))
        assert gradient[place] == pytest.approx(((above - below) * pull).sum() / 2e-4, abs=1e-4)


@pytest.mark.parametrize("settings", [{"synchronized": True}, {"axis": 1}])
def test_what_the_kernel_cannot_do_is_left_to_keras(settings):
    images = np.random.default_rng(2).normal(size=(2, 6, 5, 16)).astype("float32")
    ours = FusedBatchNormalization(**settings)
    theirs = keras.layers.BatchNormalization(**settings)
    np.testing.assert_array_equal(ours(images, training=True), theirs(images, training=True))


def test_a_masked_image_is_left_to_keras():
    images = np.random.default_rng(3).normal(size=(2, 6, 5, 16)).astype("float32")
    mask = np.random.default_rng(4).integers(0, 2, (2, 6, 5)).astype(bool)
    outputs = FusedBatchNormalization()(images, training=True, mask=mask)
    kept = outputs.numpy()[mask]
    np.testing.assert_allclose(kept.mean(axis=0), 0, atol=1e-5)


def test_a_saved_layer_comes_back():
    layer = layer_with(4, scale=False)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert isinstance(again, FusedBatchNormalization)
    assert again.get_config() == layer.get_config()


def test_a_network_trains_as_with_keras_own_normalisation_and_optimizer():
    ours = es.unet(es.preset("smoke").replace(precision="float32"))
    theirs = keras.models.clone_model(ours, clone_function=with_keras_layers, recursive=True)
    theirs.set_weights(ours.get_weights())
    rng = np.random.default_rng(5)
    images = rng.uniform(0, 255, (4, 64, 64, 3)).astype("float32")
    masks = np.eye(2, dtype="float32")[(images[..., 0] > 128).astype(int)]

    losses = []
    for model, adam in ((ours, FusedAdam(1e-3)), (theirs, keras.optimizers.Adam(1e-3))):
        model.compile(adam, es.ExponentialLoss(), jit_compile=False)
        losses.append([float(model.train_on_batch(images, masks)) for _ in range(4)])
    assert {"BatchNormalization"} == {
        type(layer).__name__
        for layer in theirs._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    }
    found, expected = np.array(losses)
    np.testing.assert_allclose(found[:2], expected[:2], rtol=1e-4)
    # Adam's first steps are as long for a gradient that is rounding alone as for any other.
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    assert found[-1] < found[0]


def with_keras_layers(layer):
    kind = layer.__class__
    if kind is FusedBatchNormalization:
        kind = keras.layers.BatchNormalization
    return kind.from_config(layer.get_config())
