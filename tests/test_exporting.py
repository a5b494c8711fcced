import collections
import gc
import re
import weakref

import keras
import numpy as np
import pytest
from conftest import require_package

import ensemble_seg as es
from ensemble_seg import exporting
from ensemble_seg.__main__ import main
from ensemble_seg.exporting import export_model
from ensemble_seg.hardware.precision import dtype_policy, in_float32
from ensemble_seg.predicting.engines import Network, import_openvino, opened

SIZE = 32


def small_unet(seed):
    """Two convolutions in place of a U-Net, in mixed precision as on a fast processor."""
    keras.utils.set_random_seed(seed)
    with dtype_policy("mixed_bfloat16"):
        image = keras.Input((SIZE, SIZE, 3), name="image")
        x = keras.layers.Rescaling(1 / 255)(image)
        x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(x)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.Conv2D(2, 3, padding="same")(x)
        return keras.Model(image, keras.layers.Softmax(dtype="float32")(x))


def exported(model, path, name):
    pytest.importorskip("tf2onnx")
    return export_model(model, path / f"{name}.keras", "onnx")


def onnx_maps(path, images):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(str(path))
    return session.run(None, {session.get_inputs()[0].name: images})[0]


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(0, 255, (3, SIZE, SIZE, 3)).astype("float32")


def test_a_float32_copy_has_the_same_weights():
    model = es.build_ensemble([small_unet(0), small_unet(1)])
    copy = in_float32(model)
    assert {layer.compute_dtype for layer in copy._flatten_layers()} == {"float32"}
    for before, after in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("build", [es.build_ensemble, lambda pair: es.zoom_ensemble(*pair)])
def test_onnx_gives_keras_probabilities(build, images, tmp_path):
    model = build([small_unet(0), small_unet(1)])
    path, difference = exported(model, tmp_path, "model")
    assert path.name == "model.onnx" and difference < 1e-4
    expected = np.array(in_float32(model)(images))
    np.testing.assert_allclose(onnx_maps(path, images), expected, atol=1e-4)
    np.testing.assert_allclose(onnx_maps(path, images[:1]), expected[:1], atol=1e-4)
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "openvino", "litert"])
def test_a_zoom_ensemble_of_real_networks(format, tmp_path):
    for package in exporting.FORMATS[format][1]:
        require_package(package)
    settings = "smoke,backbone=efficientnetlite0,encoder_weights=imagenet,precision=mixed_bfloat16"
    pair = [es.unet(es.preset(f"{settings},seed={seed}")) for seed in (0, 1)]
    path, difference = export_model(es.zoom_ensemble(*pair), tmp_path / "zoom", format)
    assert path.is_file() and difference < 1e-4


def test_another_network_than_keras_is_not_kept(monkeypatch, tmp_path):
    zeros = Network(SIZE, lambda images: [np.zeros((3, SIZE, SIZE, 2))])
    monkeypatch.setattr(exporting, "opened", lambda path, format, exact: zeros)
    with pytest.raises(RuntimeError, match=r"model.onnx: its probabilities differ from Keras'"):
        exported(small_unet(0), tmp_path, "model")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("policy", "hint"), [("mixed_bfloat16", "bf16"), ("float32", "f32")])
def test_openvino_computes_in_what_a_model_was_trained_in(policy, hint, images, tmp_path):
    """Where the processor has bfloat16; its products then have 8 bits in place of 24."""
    require_package("openvino")
    core = import_openvino().Core()
    model = small_unet(0) if policy == "mixed_bfloat16" else in_float32(small_unet(0))
    path, difference = export_model(model, tmp_path / "model", "openvino")
    assert difference < 1e-4
    stored = core.read_model(path).get_rt_info(["ensemble_seg", "precision"])
    assert stored.value == hint
    found, exact = (opened(path, "openvino", exact).run(images)[0] for exact in (False, True))
    has_it = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert (np.abs(found - exact).max() > 1e-6) == (has_it and hint == "bf16")
    np.testing.assert_allclose(found, exact, atol=0.02)


def test_an_unknown_format_and_a_missing_package(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match=r"`format`\. Expected one of onnx, openvino, litert"):
        export_model(small_unet(0), tmp_path / "model", "tflite")
    monkeypatch.setattr(exporting, "is_installed", lambda name: name != "tf2onnx")
    expected = r"tf2onnx is not installed\. Run: pip install onnx tf2onnx onnxruntime"
    with pytest.raises(RuntimeError, match=expected):
        export_model(small_unet(0), tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_the_command_says_how_near_it_is(capsys, tmp_path):
    pytest.importorskip("tf2onnx")
    es.save_model(small_unet(0), tmp_path / "model.keras")
    assert main(["export", str(tmp_path / "model.keras"), "--out", str(tmp_path / "net")]) == 0
    said = capsys.readouterr().out
    assert re.search(r"net\.onnx: at most .* from Keras' probabilities on three phantoms", said)
    assert (tmp_path / "net.onnx").is_file()


def test_a_model_that_the_format_cannot_hold(monkeypatch, tmp_path):
    def fail(*args, **kwargs):
        raise NotImplementedError("no such operation:\n  Foo")

    monkeypatch.setattr(keras.Model, "export", fail)
    with pytest.raises(ValueError, match="could not write this model as litert: .*: no such"):
        export_model(small_unet(0), tmp_path / "model", "litert")
    assert not list(tmp_path.iterdir())


def test_what_a_converter_leaves_is_collected_while_it_works(monkeypatch, tmp_path):
    class Copy:
        def __init__(self):
            self.graph, self.nodes = self, [[] for _ in range(1000)]

    there, in_use, counts = weakref.WeakSet(), collections.deque(maxlen=20), []

    def export(self, path, **_):
        for _ in range(100):
            in_use.append(Copy())
            there.add(in_use[-1])
            counts.append(len(there))
        raise KeyError("no such operation")

    monkeypatch.setattr(keras.Model, "export", export)
    monkeypatch.setattr(exporting, "is_installed", lambda package: True)
    before = gc.get_threshold(), gc.get_freeze_count()
    with pytest.raises(ValueError, match="could not write this model"):
        export_model(small_unet(0), tmp_path / "model", "onnx")
    assert len(counts) == 100 and max(counts) < 50
    assert (gc.get_threshold(), gc.get_freeze_count()) == before
