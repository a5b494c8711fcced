import contextlib
import random
import sys
import threading

import keras
import numpy as np
import pytest

import ensemble_seg as es
from ensemble_seg.hardware.precision import precision_policy

SMOKE = es.preset("smoke").replace(precision="float32")


def test_output_is_a_probability_in_float32():
    for precision in ("float32", "mixed_bfloat16"):
        model = es.unet(SMOKE.replace(precision=precision))
        images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
        maps = model(images).numpy()
        assert maps.dtype == np.float32
        assert maps.shape == (2, 64, 64, 2)
        np.testing.assert_allclose(maps.sum(-1), 1, atol=1e-5)


def squares(number, seed):
    """Noise with one bright square of 20 pixels each, and one-hot masks."""
    rng = np.random.default_rng(seed)
    images = rng.uniform(0, 128, (number, 64, 64, 3)).astype("float32")
    masks = np.zeros((number, 64, 64), int)
    for image, mask, (top, left) in zip(
        images, masks, rng.integers(0, 44, (number, 2)), strict=True
    ):
        image[top : top + 20, left : left + 20] += 100
        mask[top : top + 20, left : left + 20] = 1
    return images, np.eye(2, dtype="float32")[masks]


def test_of_a_trained_network_bfloat16_changes_hardly_a_pixel():
    """Trained so far that it is sure: at random weights every other pixel is nearly a tie."""
    network, rounded = (
        es.unet(SMOKE.replace(precision=precision)) for precision in ("float32", "mixed_bfloat16")
    )
    network.compile(keras.optimizers.Adam(1e-3), es.ExponentialLoss(), jit_compile=False)
    network.fit(*squares(32, seed=0), batch_size=8, epochs=10, verbose=0)
    rounded.set_weights(network.get_weights())
    images, masks = squares(64, seed=1)
    maps, rounded_maps = (np.asarray(model(images)) for model in (network, rounded))
    predicted = maps.argmax(axis=-1)
    assert (predicted == masks.argmax(axis=-1)).mean() > 0.98
    assert np.abs(maps - rounded_maps).max() > 1e-4
    assert (predicted != rounded_maps.argmax(axis=-1)).mean() < 0.001


def test_precision_does_not_leak_out():
    es.unet(SMOKE.replace(precision="mixed_bfloat16"))
    assert keras.config.dtype_policy().name == "float32"


@contextlib.contextmanager
def thread_that_draws():
    """Another thread that takes numbers from Python's `random` as fast as it can."""
    stop, interval = threading.Event(), sys.getswitchinterval()

    def draw():
        while not stop.is_set():
            random.randint(0, 9)

    thread = threading.Thread(target=draw)
    sys.setswitchinterval(1e-5)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(interval)


def test_other_threads_do_not_move_the_initial_weights():
    alone = es.unet(SMOKE).get_weights()
    draw = random.randint
    with thread_that_draws():
        beside = es.unet(SMOKE).get_weights()
    for first, second in zip(alone, beside, strict=True):
        np.testing.assert_array_equal(first, second)
    assert random.randint == draw


def test_seed_decides_the_weights():
    first, same, other = (
        np.concatenate([w.ravel() for w in es.unet(SMOKE.replace(seed=seed)).get_weights()])
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_encoder_freeze_keeps_the_convolutions_of_the_encoder():
    free, frozen = (es.unet(SMOKE.replace(encoder_freeze=freeze)) for freeze in (False, True))
    assert len(frozen.trainable_weights) < len(free.trainable_weights)
    assert not frozen.get_layer("conv0").trainable
    assert frozen.get_layer("decoder_stage0a_conv").trainable


@pytest.mark.parametrize("backbone", ["vgg16", "mobilenetv2"])
def test_preprocessing_of_other_backbones_is_inside_the_model(backbone):
    import segmentation_models

    model = es.unet(SMOKE.replace(backbone=backbone))
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    ours = model.get_layer("preprocessing")(images).numpy()
    theirs = segmentation_models.get_preprocessing(backbone)(images.copy())
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_resnets_need_no_preprocessing():
    assert "preprocessing" not in {layer.name for layer in es.unet(SMOKE).layers}


def test_one_training_step_of_the_real_network():
    paper = es.preset("paper").replace(encoder_weights=None)
    model = es.unet(paper)
    assert model.count_params() > 50e6
    assert model.input_shape == (None, 256, 256, 3)
    optimizer = keras.optimizers.Adam(paper.learning_rate)
    model.compile(optimizer, es.loss_by_name(paper.loss), jit_compile=False)
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (2, 256, 256, 3)).astype("float32")
    masks = np.eye(2, dtype="float32")[rng.integers(0, 2, (2, 256, 256))]
    before = model.get_layer("conv0").get_weights()[0].copy()
    loss = float(model.train_on_batch(images, masks))
    assert 1.3332 < loss < 1.5878
    assert not np.array_equal(before, model.get_layer("conv0").get_weights()[0])


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_bf16 sha_ni", "mixed_bfloat16"),
        ("flags\t\t: fpu avx2 amx_bf16 amx_tile amx_int8", "mixed_bfloat16"),
        ("flags\t\t: fpu avx2 avx512f avx512_vnni avx512_fp16", "float32"),  # bfloat16 is emulated
        ("flags\t\t: fpu avx2 amx_tile amx_int8", "float32"),
        ("model name\t: amx_bf16\nflags\t\t: fpu avx2", "float32"),
        ("Features\t: fp asimd bf16 i8mm svebf16", "float32"),  # ARM: not measured
        ("", "float32"),
        (None, "float32"),  # macOS has no such file
    ],
)
def test_automatic_precision_asks_the_processor(monkeypatch, tmp_path, cpuinfo, expected):
    if cpuinfo is not None:
        text = f"processor\t: 0\n{cpuinfo}\n\n" * 2
        (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr("ensemble_seg.hardware.precision.CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("ensemble_seg.hardware.precision._gpu_capability", lambda: None)
    assert precision_policy("auto") == expected
    layers = es.unet(SMOKE.replace(precision="auto")).layers
    assert layers[-2].dtype_policy.name == expected


@pytest.mark.parametrize(
    ("capability", "expected"),
    [((9, 0), "mixed_bfloat16"), ((7, 5), "mixed_float16"), ((6, 1), "float32")],
)
def test_automatic_precision_asks_the_gpu_first(monkeypatch, capability, expected):
    monkeypatch.setattr("ensemble_seg.hardware.precision.cpu_flags", lambda: {"avx512_bf16"})
    monkeypatch.setattr("ensemble_seg.hardware.precision._gpu_capability", lambda: capability)
    assert precision_policy("auto") == expected


def test_unknown_backbone():
    with pytest.raises(ValueError, match="Unknown backbone 'resnet19'. Did you mean 'resnet"):
        es.unet(SMOKE.replace(backbone="resnet19"))


def test_wrong_framework_names_the_variable(monkeypatch):
    monkeypatch.setenv("SM_FRAMEWORK", "keras")
    with pytest.raises(RuntimeError, match="SM_FRAMEWORK. Expected tf.keras.*SM_FRAMEWORK=keras"):
        es.unet(SMOKE)


def test_weights_that_cannot_be_downloaded(monkeypatch):
    def no_network(*args, **kwargs):
        raise Exception("URL fetch failure on https://somewhere: None -- no route")

    monkeypatch.setattr("keras.utils.get_file", no_network)
    with pytest.raises(RuntimeError, match=r"imagenet weights of resnet18 could not be downloaded"):
        es.unet(SMOKE.replace(encoder_weights="imagenet"))
