import hashlib
import re

import keras
import numpy as np
import pytest

import ensemble_seg as es
from ensemble_seg.encoders.efficientnet_lite import efficientnet_lite0
from ensemble_seg.keeping.configs import run_config
from ensemble_seg.runs import RunFolder

RANDOM = es.preset("smoke,encoder_weights=none,precision=float32")
LITE = RANDOM.replace(backbone="efficientnetlite0")
ENDINGS = pytest.mark.parametrize("ending", [".weights.h5", ".keras"])


def write(model, path):
    model.save_weights(path) if path.name.endswith(".weights.h5") else model.save(path)
    return str(path)


def resnet(name):
    import segmentation_models as sm

    es.unet(RANDOM)  # sets segmentation_models up
    kwargs = {"backend": keras.backend, "layers": keras.layers, "models": keras.models}
    return sm.Backbones.get_backbone(
        name, input_shape=(64, 64, 3), weights=None, include_top=False, utils=keras.utils, **kwargs
    )


@ENDINGS
def test_an_encoder_of_ones_own(tmp_path, ending):
    encoder = efficientnet_lite0((96, 64, 3), weights=None)
    path = write(encoder, tmp_path / f"mine{ending}")
    model = es.unet(LITE.replace(encoder_weights=path))
    weighted = [layer for layer in encoder.layers if layer.weights]
    assert len(weighted) == 2 * (1 + 2 + 15 * 3)
    for layer in weighted:
        ours = model.get_layer(layer.name).get_weights()
        for mine, theirs in zip(ours, layer.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, theirs)


@ENDINGS
def test_an_encoder_with_layers_of_keras_own(tmp_path, ending):
    encoder = resnet("resnet18")
    path = write(encoder, tmp_path / f"resnet{ending}")
    model = es.unet(RANDOM.replace(encoder_weights=path))
    for name in ("bn_data", "conv0", "bn0", "stage4_unit2_conv2", "bn1"):
        for mine, theirs in zip(
            model.get_layer(name).get_weights(), encoder.get_layer(name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(mine, theirs)


def test_a_trained_unet_starts_another(tmp_path):
    """With vgg16, whose preprocessing stands before it and makes it a model in a model."""
    vgg = RANDOM.replace(backbone="vgg16")
    first = es.unet(vgg.replace(seed=1))
    es.save_model(first, tmp_path / "first.keras")
    second = es.unet(vgg.replace(seed=2, encoder_weights=tmp_path / "first.keras"))
    networks = [
        next(layer for layer in model.layers if isinstance(layer, keras.Model))
        for model in (first, second)
    ]
    for name, same in (("block1_conv1", True), ("block5_conv3", True), ("final_conv", False)):
        kernels = [network.get_layer(name).get_weights()[0] for network in networks]
        assert np.array_equal(*kernels) is same


@ENDINGS
def test_the_first_weight_that_does_not_fit_is_named(tmp_path, ending):
    image = keras.Input((64, 64, 3))
    other = keras.Model(image, keras.layers.Conv2D(32, 5, use_bias=False, name="any")(image))
    path = write(other, tmp_path / f"other{ending}")
    expected = re.escape(
        f"other{ending}: expected the weights of the encoder efficientnetlite0. The first that "
        "does not fit is stem_conv/kernel: expected (3, 3, 3, 32), found (5, 5, 3, 32). Name"
    )
    with pytest.raises(ValueError, match=expected):
        es.unet(LITE.replace(encoder_weights=path))


@ENDINGS
def test_a_deeper_encoder_is_refused(tmp_path, ending):
    path = write(resnet("resnet34"), tmp_path / f"deep{ending}")
    with pytest.raises(ValueError, match="resnet18. The first that does not fit is stage2_unit1_"):
        es.unet(RANDOM.replace(encoder_weights=path))


def test_a_file_with_more_than_the_encoder_is_refused(tmp_path):
    encoder = efficientnet_lite0((64, 64, 3), weights=None)
    longer = keras.Model(encoder.input, keras.layers.Dense(5, name="extra")(encoder.output))
    path = write(longer, tmp_path / "longer.weights.h5")
    with pytest.raises(ValueError, match="longer.*more layers than the encoder.*: extra"):
        es.unet(LITE.replace(encoder_weights=path))


@ENDINGS
def test_what_is_no_file_of_weights_is_refused(tmp_path, ending):
    path = tmp_path / f"note{ending}"
    path.write_text("no weights")
    with pytest.raises(ValueError, match="note.*cannot be read as weights of Keras"):
        es.unet(LITE.replace(encoder_weights=path))


@pytest.mark.parametrize("path", ["nowhere.weights.h5", "README.md", "imagnet"])
def test_a_file_that_is_missing_or_of_another_kind_is_refused_at_once(path):
    with pytest.raises(ValueError, match="`encoder_weights`. Expected 'imagenet', None, or a file"):
        LITE.replace(encoder_weights=path)


def test_the_label_is_one_folder_and_changes_with_the_file(tmp_path):
    path = tmp_path / "a, b.weights.h5"
    path.write_bytes(b"one")
    variant = LITE.replace(encoder_weights=path)
    start = hashlib.sha256(b"one").hexdigest()[:8]
    changed = f"encoder_weights=a__b-{start}"
    assert variant.label == f"smoke,backbone=efficientnetlite0,{changed},precision=float32"
    path.write_bytes(b"two")
    assert start not in variant.label


def test_a_run_is_known_by_the_hash_of_the_file(tmp_path, disks):
    data, path = es.load_dataset(disks), tmp_path / "mine.weights.h5"
    path.write_bytes(b"one")
    config = run_config(data, LITE.replace(encoder_weights=path), "main")
    assert config["encoder_weights_sha256"] == hashlib.sha256(b"one").hexdigest()
    assert run_config(data, LITE, "main")["encoder_weights_sha256"] is None
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.begin(config, 0)
    moved = path.rename(tmp_path / "moved.weights.h5")
    folder.refuse_another(run_config(data, LITE.replace(encoder_weights=moved), "main"))
    moved.write_bytes(b"two")
    with pytest.raises(ValueError, match="holds a run with other settings .encoder_weights="):
        folder.refuse_another(run_config(data, LITE.replace(encoder_weights=moved), "main"))
