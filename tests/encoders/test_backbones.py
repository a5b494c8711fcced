"""Every encoder that is offered is built, saved, and loaded in a new process in safe mode."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import ensemble_seg as es
from ensemble_seg.encoders.backbones import BACKBONES, LEFT_OUT, SMALLEST, segmentation_models

# Small ones that had to be mended; other tests train and load resnet18 and efficientnetlite0.
SOME = ("seresnet18", "efficientnetb0")
LOAD = (
    "import sys, numpy, ensemble_seg, keras\n"
    "image = numpy.load(sys.argv[1])\n"
    "for path in sys.argv[2:]:\n"
    "    model = keras.saving.load_model(path, safe_mode=True)\n"
    "    size = model.input_shape[1]\n"
    "    numpy.save(path + '.npy', model(image[:, :size, :size], training=False))\n"
)


def build(name):
    size = SMALLEST.get(name, 64)
    preset = es.preset("smoke").replace(backbone=name, size=size, precision="float32")
    return es.unet(preset)


def require_loading_elsewhere(names, folder):
    image = np.random.default_rng(0).uniform(0, 255, (1, 96, 96, 3)).astype("float32")
    np.save(folder / "image.npy", image)
    expected, paths = {}, []
    for name in names:
        model = build(name)
        paths.append(str(folder / f"{name}.keras"))
        es.save_model(model, paths[-1])
        size = model.input_shape[1]
        expected[paths[-1]] = np.asarray(model(image[:, :size, :size], training=False))
        keras.backend.clear_session()
    command = [sys.executable, "-c", LOAD, str(folder / "image.npy"), *paths]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    for path, maps in expected.items():
        np.testing.assert_allclose(np.load(f"{path}.npy"), maps, atol=1e-4, err_msg=path)


def test_some_load_in_a_new_process(tmp_path):
    require_loading_elsewhere(SOME, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in BACKBONES if name not in SOME])
def test_each_loads_in_a_new_process(tmp_path, name):
    require_loading_elsewhere([name], tmp_path)


def test_all_that_segmentation_models_has_is_offered_or_left_out():
    available = set(segmentation_models().get_available_backbone_names())
    assert {*BACKBONES, *LEFT_OUT} == available
    assert len(BACKBONES) == len(set(BACKBONES))


def test_mended_layers_compute_what_they_replace():
    x = np.arange(24, dtype="float32").reshape(1, 2, 2, 6)
    from ensemble_seg.encoders.backbones import LAYERS

    def slice_tensor(x, start, stop, axis):
        return x[..., start:stop]

    def expand_dims(x, channels_axis):
        return x[:, None, None, :]

    cut = LAYERS.Lambda(slice_tensor, arguments={"start": 1, "stop": 3, "axis": 3})
    np.testing.assert_array_equal(cut(x), x[..., 1:3])
    wide = LAYERS.Lambda(expand_dims, arguments={"channels_axis": 3})
    np.testing.assert_array_equal(wide(x[0, 0]), x[0, 0][:, None, None])
    both = LAYERS.Lambda(lambda inputs, scale: None, arguments={"scale": 0.25}, name="sum")
    np.testing.assert_array_equal(both([x, x]), 1.25 * x)
    assert LAYERS.Conv2D(1, 1, name="conv1/conv").name == "conv1_conv"
