import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import write_disks

import ensemble_seg as es
from ensemble_seg.__main__ import main
from ensemble_seg.hardware.devices import MeanOverDevices, on_devices


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What two_devices.py prints, without oneDNN, whose convolution fails on an empty share."""
    folder = tmp_path_factory.mktemp("two_devices")
    here = Path(__file__).parent
    command = [sys.executable, here / "two_devices.py", write_disks(folder), folder / "runs"]
    paths = os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0", "PYTHONPATH": paths}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def compare(ours, reference, rtol):
    for key in ("loss", "val_loss"):
        np.testing.assert_allclose(ours["history"][key], reference["history"][key], rtol=rtol)
    for key in ("dice", "val_dice"):  # a pixel of 4,000 may change sides
        np.testing.assert_allclose(ours["history"][key], reference["history"][key], atol=3e-3)


def test_two_devices_give_the_loss_curve_of_one(results):
    small = results["small"]
    compare(small["two"], small["one"], rtol=1e-5)
    compare(small["first only"], small["one"], rtol=1e-5)
    assert len(small["two"]["history"]["loss"]) == 4


def test_the_real_network_on_two_devices(results):
    real = results["real"]
    compare(real["two"], real["one"], rtol=1e-9)
    np.testing.assert_allclose(real["two"]["weights"], real["one"]["weights"], atol=1e-9)


def test_a_training_on_two_devices_goes_on_with_one(results):
    compare(results["resumed"], results["small"]["one"], rtol=1e-5)


def test_the_run_folder_does_not_depend_on_the_devices(results):
    for runs in (results["small"], results["real"]):
        assert runs["two"]["files"] == ["config.json", "history.csv", "model.keras"]
        assert runs["two"]["path"] == runs["one"]["path"] == "main"
        assert not runs["two"]["synchronized"]  # which only TensorFlow could load


def test_a_device_that_is_not_there(disks, tmp_path, capsys):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    for devices in (["GPU:7"], ["CPU:0", "CPU:0"], ["both"]):
        with pytest.raises(ValueError, match="`devices`. Expected different names of CPU:0"):
            on_devices(model, devices).__enter__()
    preset = "smoke,size=32,precision=float32"
    options = ["--dataset", str(disks), "--preset", preset, "--runs-dir", str(tmp_path / "runs")]
    assert main(["train", *options, "--devices", "GPU:7", "GPU:8"]) == 1
    assert "Received: devices=('GPU:7', 'GPU:8')" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_first_batch_that_cannot_be_shared(disks, tmp_path):
    data, preset = es.load_dataset(disks), es.preset("smoke").replace(batch_size=3)
    with pytest.raises(ValueError, match="first batches of 3 and 2 images .* Received: 2 devices"):
        es.load_or_train("main", data, preset, tmp_path / "runs", devices=["CPU:0", "CPU:1"])
    assert not (tmp_path / "runs").exists()


def test_outside_a_strategy_the_loss_is_the_loss():
    truth = np.eye(2)[np.random.default_rng(0).integers(0, 2, (3, 4, 4))]
    loss = MeanOverDevices(keras.losses.MeanSquaredError())
    assert float(loss(truth, np.full((3, 4, 4, 2), 0.25))) == pytest.approx((0.25**2 + 0.75**2) / 2)


def test_without_devices_nothing_is_copied():
    model = es.unet(es.preset("smoke"))
    with on_devices(model, None) as same:
        assert same is model
