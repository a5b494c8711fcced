"""Networks that ONNX Runtime and OpenVINO compute: from Keras' models, and without Keras."""

import json
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest import require_package, save
from PIL import Image
from test_predicting import threshold_model

import ensemble_seg as es
from ensemble_seg.__main__ import main
from ensemble_seg.exporting import export_model
from ensemble_seg.predicting import engines

PACKAGES = {"onnx": ("tf2onnx", "onnxruntime"), "openvino": ("openvino",)}


@pytest.fixture(params=PACKAGES)
def engine(request):
    for package in PACKAGES[request.param]:
        require_package(package)
    yield request.param
    assert "openvino_telemetry" not in sys.modules


def textured(tmp_path, number=3):
    rng = np.random.default_rng(0)
    for index in range(number):
        image = rng.integers(0, 256, (40 + index, 50, 3), "uint8")
        save(tmp_path / "in" / f"{index}.png", image)
    return tmp_path / "in"


def pair():
    return [threshold_model(120, 0.05), threshold_model(140, 0.05)]


def saved_ensemble(tmp_path):
    path = tmp_path / "model.keras"
    es.save_model(es.build_ensemble(pair()), path)
    return path


def pictures(folder, kind):
    return [np.asarray(Image.open(file)) for file in sorted((folder / kind).iterdir())]


def require_alike(first, second):
    """The same masks but for one pixel in a thousand, the same disagreement but for rounding."""
    for one, other in zip(pictures(first, "masks"), pictures(second, "masks"), strict=True):
        assert 0.05 < (one > 0).mean() < 0.95
        assert (one != other).mean() < 0.001
    kinds = pictures(first, "disagreement"), pictures(second, "disagreement")
    for one, other in zip(*kinds, strict=True):
        assert one.max() > 20
        np.testing.assert_allclose(one.astype(int), other, atol=1)


@pytest.mark.parametrize("build", [es.build_ensemble, lambda pair: es.zoom_ensemble(*pair)])
@pytest.mark.parametrize("in_one_file", [False, True])
def test_another_engine_gives_the_same_masks(tmp_path, monkeypatch, engine, build, in_one_file):
    folder, models = textured(tmp_path), pair()
    if in_one_file:
        models = [build(models)]
    files = [tmp_path / "models" / str(number) / "model.keras" for number in range(len(models))]
    for model, file in zip(models, files, strict=True):
        es.save_model(model, file)
    network = models[0] if in_one_file else build(models)
    for name, chosen in (("a", "keras"), ("b", engine), ("c", engine)):
        es.predict_folder(network, folder, tmp_path / name, iter, files, chosen)
        about = json.loads((tmp_path / name / "predictions.json").read_text())
        assert about["engine"] == chosen
        if name == "b":  # once is enough
            monkeypatch.setattr("ensemble_seg.predicting.networks.export_model", None)
    endings = {file.suffix for file in files[0].parent.iterdir()}
    assert endings == {".keras"} | ({".onnx"} if engine == "onnx" else {".xml", ".bin"})
    require_alike(tmp_path / "a", tmp_path / "b")
    require_alike(tmp_path / "a", tmp_path / "c")


def test_an_exported_ensemble_needs_no_keras(tmp_path, engine):
    folder, model = textured(tmp_path), saved_ensemble(tmp_path)
    es.predict_folder(es.load_model(model), folder, tmp_path / "a")
    exported, _ = export_model(es.load_model(model), tmp_path / "net", engine)
    command = [sys.executable, "-X", "importtime", "-m", "ensemble_seg", "predict", folder]
    options = ["--model", exported, "--out", tmp_path / "b"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1000:]
    assert done.stdout.startswith("3 images: masks/, overlays/ and disagreement/ in ")
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "ensemble_seg.predicting.engines" in imported
    assert not imported & {"tensorflow", "keras", "keras.src", "scipy", "skimage"}
    require_alike(tmp_path / "a", tmp_path / "b")
    about = json.loads((tmp_path / "b" / "predictions.json").read_text())
    assert (about["model"], about["engine"]) == ("net", engine)
    assert list(about["model files"]) == [str(exported)]


def test_an_exported_u_net_has_no_disagreement(tmp_path, engine):
    exported, _ = export_model(pair()[0], tmp_path / "net", engine)
    assert es.predict_folder(exported, textured(tmp_path), tmp_path / "out") == 3
    assert not any(picture.any() for picture in pictures(tmp_path / "out", "disagreement"))


def test_what_was_exported_once_is_taken_by_itself(tmp_path, engine, capsys):
    folder, model = textured(tmp_path), saved_ensemble(tmp_path)

    def predict(*options):
        out = tmp_path / "out"
        shutil.rmtree(out, ignore_errors=True)
        command = ["predict", str(folder), "--model", str(model), "--out", str(out)]
        assert main([*command, *options]) == 0
        computed = json.loads((out / "predictions.json").read_text())["engine"]
        return computed, capsys.readouterr().out

    assert predict()[0] == "keras"
    computed, said = predict("--engine", engine)
    assert (computed, "the network is exported once" in said) == (engine, True)
    computed, said = predict()
    assert (computed, said.startswith(str(tmp_path / "model-"))) == (engine, True)
    assert f"it computes what {model} does, unless --engine keras." in said
    computed, said = predict("--engine", engine)
    assert (computed, said.startswith("3 images")) == (engine, True)
    assert predict("--engine", "keras")[0] == "keras"
    es.save_model(es.build_ensemble(pair()[::-1]), model)  # another model: another hash
    assert predict()[0] == "keras"


def test_nobody_is_told_that_a_model_is_converted():
    require_package("openvino")
    script = (
        "from ensemble_seg.predicting.engines import import_openvino; import_openvino()\n"
        "from openvino.tools.ovc import telemetry_utils; print(telemetry_utils.tm.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "openvino.tools.ovc.telemetry_stub", done.stderr


def test_engines_that_cannot_be(tmp_path):
    folder = textured(tmp_path)
    with pytest.raises(ValueError, match=r"`engine`\. Expected one of keras, onnx, openvino"):
        es.predict_folder(threshold_model(1), folder, tmp_path / "out", iter, [], "tensorrt")
    with pytest.raises(ValueError, match=r"`engine`\. Expected keras for a model without a file"):
        es.predict_folder(threshold_model(1), folder, tmp_path / "out", iter, [], "onnx")
    assert not (tmp_path / "out").exists()


def test_exported_files_that_cannot_be(tmp_path, capsys, monkeypatch):
    for package in PACKAGES["onnx"]:
        require_package(package)
    folder = textured(tmp_path)

    def said(model, *options):
        out = tmp_path / "out"
        command = ["predict", str(folder), "--model", str(model), "--out", str(out), *options]
        assert main(command) == 1
        assert not out.exists()
        message = capsys.readouterr().err
        assert message.count("\n") == 1
        return message.removeprefix(f"ensemble_seg: {model}: ").rstrip()

    net, _ = export_model(pair()[0], tmp_path / "net")
    assert said(tmp_path / "none.onnx") == "no such model."
    assert (
        said(net, "--engine", "openvino") == "expected --engine onnx, or none. Received: openvino."
    )
    assert said(net, "--zoom") == "expected no --zoom and no --eight-views with it."
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(net.read_bytes()[:100])
    assert said(damaged).startswith("cannot be read by onnxruntime: ")
    image = keras.Input((32, 32, 3))
    other = keras.Model(image, keras.layers.GlobalAveragePooling2D()(image))
    other(np.zeros((1, 32, 32, 3), "float32"))
    other.export(str(tmp_path / "other.onnx"), format="onnx", verbose=False)
    assert said(tmp_path / "other.onnx").startswith("gives [(2, 3)]. Expected a network that ")
    monkeypatch.setattr(engines, "is_installed", lambda package: False)
    assert said(net) == "onnxruntime is not installed. Run: pip install onnxruntime"
