import keras
import numpy as np
import pytest
from conftest import require_package

import ensemble_seg as es
from ensemble_lab import export
from ensemble_lab.export import Exported, export_model, load_exported, predict_exported
from ensemble_lab.zoom import zoom_ensemble

SIZE = 32


def network(seed, policy="mixed_bfloat16"):
    """Two convolutions in place of a U-Net."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = keras.layers.Rescaling(1 / 255, dtype=policy)(image)
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", dtype=policy)(x)
    x = keras.layers.BatchNormalization(dtype=policy)(x)
    x = keras.layers.Conv2D(2, 3, padding="same", dtype=policy)(x)
    return keras.Model(image, keras.layers.Softmax(dtype="float32")(x))


def pictures():
    return list(np.random.default_rng(1).integers(0, 256, (2, 40, 50, 3)).astype("uint8"))


@pytest.mark.parametrize("suffix", [".onnx", ".xml", ""])
def test_an_ensemble_gives_keras_probabilities_and_disagreement(suffix, tmp_path):
    if suffix:
        require_package("tf2onnx")
        require_package("onnxruntime" if suffix == ".onnx" else "openvino")
    model = es.build_ensemble([network(0, "float32"), network(1, "float32")], [3, 1])
    path = tmp_path / "made" / f"model{suffix}"
    assert export_model(model, path) < 1e-4
    names = {".onnx": ["model.onnx"], ".xml": ["model.bin", "model.xml"], "": ["model"]}[suffix]
    assert sorted(file.name for file in path.parent.iterdir()) == names
    loaded = load_exported(path)
    assert loaded.name == "model" and loaded.input_shape == (None, SIZE, SIZE, 3)
    images = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3))
    expected = model.predict(images.astype("float32"), verbose=0)
    np.testing.assert_allclose(loaded.predict(images), expected, atol=1e-4)
    np.testing.assert_allclose(loaded.predict(images[:1]), expected[:1], atol=1e-4)
    pairs = predict_exported(loaded, pictures()), es.predict_images(model, pictures())
    for found, wanted in zip(*pairs, strict=True):
        np.testing.assert_allclose(found.probability, wanted.probability, atol=1e-4)
        np.testing.assert_allclose(found.disagreement, wanted.disagreement, atol=1e-4)
        assert wanted.disagreement.max() > 0.01


def test_a_model_trained_in_bfloat16_is_written_in_float32(tmp_path):
    model = network(0)
    export_model(model, tmp_path / "model")
    exact = network(0, "float32")
    exact.set_weights(model.get_weights())
    images = np.random.default_rng(0).uniform(0, 255, (2, SIZE, SIZE, 3)).astype("float32")
    found = load_exported(tmp_path / "model").predict(images)
    np.testing.assert_allclose(found, exact.predict(images, verbose=0), atol=1e-6)
    assert np.abs(found - model.predict(images, verbose=0)).max() > 1e-4


def test_a_zoom_ensemble_is_written_as_one_network(tmp_path):
    require_package("tf2onnx")
    require_package("onnxruntime")
    model = zoom_ensemble(network(0, "float32"), network(1, "float32"), margin=2)
    assert export_model(model, tmp_path / "zoom.onnx") < 1e-4
    assert len(load_exported(tmp_path / "zoom.onnx").run(np.zeros((1, SIZE, SIZE, 3), "f"))) == 1


def test_another_network_than_keras_is_not_kept(monkeypatch, tmp_path):
    zeros = Exported("", (), lambda images: [np.zeros((2, SIZE, SIZE, 2))])
    monkeypatch.setattr(export, "load_exported", lambda path: zeros)
    with pytest.raises(RuntimeError, match="model: its probabilities differ from Keras' by up to"):
        export_model(network(0), tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_other_names_and_missing_files_are_refused(tmp_path):
    for call in (lambda path: export_model(network(0), path), load_exported):
        with pytest.raises(ValueError, match=r"`path`\. Expected a name that ends in \.onnx"):
            call(tmp_path / "model.tflite")
    with pytest.raises(FileNotFoundError, match=r"no\.onnx: no such model"):
        load_exported(tmp_path / "no.onnx")
    assert not list(tmp_path.iterdir())
