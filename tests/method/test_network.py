import random
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny import weights_of

import ensemble_seg as es
from ensemble_seg import network
from ensemble_seg.network import WEIGHTS, efficientnet_lite0
from ensemble_seg.normalization import FusedBatchNormalization

SMOKE = es.preset("smoke").replace(precision="float32")
LITE = SMOKE.replace(backbone="efficientnetlite0")


def noise(number=2, size=64):
    return np.random.default_rng(0).uniform(0, 255, (number, size, size, 3)).astype("float32")


def segmentation_models():
    es.unet(SMOKE)  # which sets it up
    return sys.modules["segmentation_models"]


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_output_is_a_probability_in_float32_and_precision_does_not_leak_out(precision):
    maps = es.unet(SMOKE.replace(precision=precision))(noise()).numpy()
    assert (maps.dtype, maps.shape) == (np.float32, (2, 64, 64, 2))
    np.testing.assert_allclose(maps.sum(-1), 1, atol=1e-5)
    assert keras.config.dtype_policy().name == "float32"


def test_the_seed_alone_decides_the_weights():
    first = weights_of(es.unet(SMOKE))
    keras.utils.set_random_seed(123)
    np.testing.assert_array_equal(weights_of(es.unet(SMOKE)), first)
    assert not np.array_equal(weights_of(es.unet(SMOKE.replace(seed=1))), first)


def test_the_callers_random_numbers_are_left_alone():
    keras.utils.set_random_seed(5)
    draw = random.randint
    python, numpy = random.getstate(), np.random.get_state()[1].copy()
    expected = tf.random.uniform((3,)).numpy()
    keras.utils.set_random_seed(5)
    es.unet(SMOKE)
    assert random.getstate() == python
    np.testing.assert_array_equal(np.random.get_state()[1], numpy)
    np.testing.assert_array_equal(tf.random.uniform((3,)), expected)
    assert random.randint == draw


def test_preprocessing_of_a_backbone_is_inside_the_model():
    model = es.unet(SMOKE.replace(backbone="vgg16"))
    theirs = segmentation_models().get_preprocessing("vgg16")(noise())
    np.testing.assert_allclose(model.get_layer("preprocessing")(noise()), theirs, atol=1e-4)
    assert "preprocessing" not in {layer.name for layer in es.unet(SMOKE).layers}


def test_the_real_network():
    model = es.unet(es.preset("paper").replace(encoder_weights=None, precision="float32"))
    assert model.count_params() > 50e6
    assert model(noise(1, 256)).shape == (1, 256, 256, 2)
    names = {layer.name for layer in model.layers}
    assert "stage3_unit23_conv2" in names and "stage3_unit24_conv2" not in names  # ResNet-101


def test_every_weight_has_a_gradient_and_the_loss_is_a_published_one():
    model = es.unet(SMOKE.replace(size=32))
    masks = np.eye(2, dtype="float32")[np.random.default_rng(1).integers(0, 2, (2, 32, 32))]
    with tf.GradientTape() as tape:
        loss = es.ExponentialLoss()(masks, model(noise(2, 32), training=True))
    assert 1.3332 < float(loss) < 1.5878  # the least and the greatest it can be
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(np.any(gradient) for gradient in gradients)


LOAD = """
import sys, keras, numpy as np, ensemble_seg
for path in sys.argv[2:]:
    model = keras.saving.load_model(path, safe_mode=True)
    assert not model.compiled
    np.save(path + ".npy", model(np.load(sys.argv[1]), training=False))
"""


def test_saved_models_load_in_a_new_process_in_safe_mode_and_give_the_same(tmp_path):
    members = [es.unet(SMOKE), es.unet(LITE.replace(precision="mixed_bfloat16"))]
    mended = es.unet(SMOKE.replace(backbone="efficientnetb0"))
    models = {"ensemble": es.build_ensemble(members), "mended": mended}
    np.save(tmp_path / "images.npy", noise())
    for name, model in models.items():
        es.save_model(model, tmp_path / f"{name}.keras")
    paths = [str(tmp_path / f"{name}.keras") for name in models]
    command = [sys.executable, "-c", LOAD, str(tmp_path / "images.npy"), *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    for name, model in models.items():
        there = np.load(tmp_path / f"{name}.keras.npy")
        np.testing.assert_array_equal(there, model(noise(), training=False), name)


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_bf16 sha_ni", "mixed_bfloat16"),
        ("flags\t\t: fpu avx2 amx_bf16 amx_tile amx_int8", "mixed_bfloat16"),
        ("flags\t\t: fpu avx2 avx512_vnni avx512_fp16", "float32"),  # bfloat16 would be emulated
        ("Features\t: fp asimd bf16 i8mm svebf16", "float32"),  # ARM: not measured
        (None, "float32"),  # macOS has no such file
    ],
)
def test_automatic_precision_asks_the_processor(monkeypatch, tmp_path, cpuinfo, expected):
    if cpuinfo is not None:
        (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{cpuinfo}\n\n" * 2, encoding="utf-8")
    monkeypatch.setattr(network, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert es.precision_policy("auto") == expected


@pytest.mark.parametrize(
    ("capability", "expected"),
    [((9, 0), "mixed_bfloat16"), ((7, 5), "mixed_float16"), ((6, 1), "float32")],
)
def test_automatic_precision_asks_the_gpu_first(monkeypatch, capability, expected):
    details = {"compute_capability": capability}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["GPU:0"])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details)
    assert es.precision_policy() == expected


def test_the_encoder_has_the_shape_of_the_paper():
    encoder = efficientnet_lite0((64, 96, 3), weights=None)
    assert encoder.output_shape == (None, 2, 3, 320)
    norms = [layer for layer in encoder.layers if layer.name.endswith("_bn")]
    assert len(norms) == 1 + 2 + 15 * 3
    # The published network has 4.65 million weights, 1.69 of them in its head.
    head = 320 * 1280 + 4 * 1280 + 1280 * 1000 + 1000
    moving = sum(2 * layer.gamma.shape[0] for layer in norms) + 2 * 1280
    assert encoder.count_params() + head - moving == 4_652_008


def test_the_weights_in_the_package_are_those_of_the_model():
    trained, start = (es.unet(LITE.replace(encoder_weights=each)) for each in ("imagenet", None))
    with np.load(WEIGHTS) as arrays:
        for name in ("block4a_dw_conv", "stem_conv", "block7a_project_conv"):
            kernel = trained.get_layer(name).get_weights()[0]
            np.testing.assert_array_equal(kernel, arrays[f"{name}/0"])
            assert not np.array_equal(start.get_layer(name).get_weights()[0], kernel)
        np.testing.assert_array_equal(
            trained.get_layer("stem_bn").get_weights()[1], arrays["stem_bn/1"]
        )
    notice = WEIGHTS.with_suffix(".LICENSE").read_text("utf-8")
    assert "TERMS AND CONDITIONS" in notice
    assert WEIGHTS.stat().st_size < 6.5e6


def normalised(images, scale=1.0, shift=0.0):
    """Batch normalisation in float64, as Ioffe and Szegedy write it."""
    images = images.astype("float64")
    mean, variance = images.mean(axis=(0, 1, 2)), images.var(axis=(0, 1, 2))
    return (images - mean) / np.sqrt(variance + 1e-3) * scale + shift, mean, variance


def layer_with(channels, dtype="float32", **settings):
    layer = FusedBatchNormalization(momentum=0.9, dtype=dtype, **settings)
    layer.build((None, 6, 5, channels))
    return layer


@pytest.mark.parametrize("channels", [3, 16])  # Keras' own way, and the kernel's
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-6), ("mixed_bfloat16", 2e-2)])
def test_training_normalises_with_the_batch_and_moves_the_averages(channels, dtype, tolerance):
    rng = np.random.default_rng(0)
    images = tf.cast(rng.normal(3, 2, (4, 6, 5, channels)), "bfloat16")
    images = tf.cast(images, "float32").numpy()
    scale, shift = rng.normal(1, 0.1, channels), rng.normal(0, 0.1, channels)
    layer = layer_with(channels, dtype)
    layer.gamma.assign(scale)
    layer.beta.assign(shift)
    outputs = layer(images, training=True)
    expected, mean, variance = normalised(images, scale, shift)
    assert outputs.dtype == layer.compute_dtype
    np.testing.assert_allclose(tf.cast(outputs, "float32"), expected, atol=tolerance)
    np.testing.assert_allclose(layer.moving_mean, 0.1 * mean, rtol=1e-4)
    np.testing.assert_allclose(layer.moving_variance, 0.9 + 0.1 * variance, rtol=1e-4)


@pytest.mark.parametrize(("training", "trainable"), [(False, True), (True, False)])
def test_inference_and_frozen_layers_use_the_moving_averages(training, trainable):
    layer = layer_with(16)
    layer.trainable = trainable
    layer.moving_mean.assign(np.arange(16))
    layer.moving_variance.assign(np.full(16, 4.0))
    outputs = layer(np.ones((1, 6, 5, 16), "float32"), training=training)
    np.testing.assert_allclose(outputs[0, 0, 0], (1 - np.arange(16)) / np.sqrt(4.001), rtol=1e-5)
    np.testing.assert_array_equal(layer.moving_mean, np.arange(16))


@pytest.mark.parametrize("settings", [{}, {"scale": False}, {"center": False}])
def test_gradients_agree_with_finite_differences(settings):
    rng = np.random.default_rng(1)
    images = rng.normal(size=(2, 6, 5, 16)).astype("float32")
    pull = rng.normal(size=images.shape)
    layer, inputs = layer_with(16, **settings), tf.Variable(images)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(inputs, training=True) * pull.astype("float32"))
    gradient = tape.gradient(total, inputs).numpy()
    for place in [(0, 0, 0, 0), (1, 3, 2, 5), (0, 5, 4, 7)]:
        step = np.zeros(images.shape)
        step[place] = 1e-4
        above, below = (normalised(images + sign * step)[0] for sign in (1, -1))
        assert gradient[place] == pytest.approx(((above - below) * pull).sum() / 2e-4, abs=1e-4)
