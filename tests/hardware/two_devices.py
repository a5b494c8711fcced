"""Train on two logical CPU devices and on one, and print what came: test_devices runs this.

TensorFlow fixes its devices at start, so this needs a process of its own.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from test_training import StopError, small_model

import ensemble_seg as es
from ensemble_seg.runs import KeepState

TWO = ("CPU:0", "CPU:1")
# 13 images: three batches of 4, shares of 2 and 2, and one of 1, shares of 1 and 0.
SMALL = es.preset("smoke").replace(
    size=32, batch_size=4, epochs=4, limit=13, precision="float32", decay=True
)


def small(data, folder):
    results = {}
    for name, devices in {"one": None, "two": TWO, "first only": TWO[:1]}.items():
        model = small_model(SMALL)
        run = es.train(model, data, SMALL, runs_dir=folder / name, devices=devices)
        results[name] = described(run, model)
    return results


def resumed(data, folder):
    """Two devices, stopped in the third epoch; then one."""

    def stop(self, epoch, logs=None):
        if epoch == 2:
            raise StopError

    KeepState.on_epoch_begin = stop
    try:
        es.train(small_model(SMALL), data, SMALL, runs_dir=folder, devices=TWO)
    except StopError:
        del KeepState.on_epoch_begin
    model = small_model(SMALL, seed=9)
    return described(es.train(model, data, SMALL, runs_dir=folder), model)


def real(data, folder):
    """The U-Net in float64, so that no rounding hides a difference."""
    keras.config.set_floatx("float64")
    preset = SMALL.replace(size=64, batch_size=12, epochs=2, limit=12, keep="best")

    def in_float64(layer):
        return layer.__class__.from_config({**layer.get_config(), "dtype": "float64"})

    results = {}
    for name, devices in {"one": None, "two": TWO}.items():
        model = keras.models.clone_model(es.unet(preset), clone_function=in_float64)
        run = es.train(model, data, preset, runs_dir=folder / name, devices=devices)
        results[name] = described(run, model)
    return results


def described(run, model):
    norms = [layer for layer in run.model.layers if hasattr(layer, "synchronized")]
    return {
        "history": run.history,
        "weights": np.concatenate([w.ravel() for w in model.get_weights()])[:2000].tolist(),
        "path": run.path.name,
        "files": sorted(file.name for file in run.path.iterdir()),
        "synchronized": any(layer.synchronized for layer in norms),
    }


def main(data, folder):
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], halves)
    data, folder = es.load_dataset(data), Path(folder)
    return {
        "small": small(data, folder / "small"),
        "resumed": resumed(data, folder / "resumed"),
        "real": real(data, folder / "real"),
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
