"""Models that ensemble_seg has not made: used where they fit, else one message each."""

import zipfile

import keras
import numpy as np
import pytest

import ensemble_seg as es
from ensemble_seg.__main__ import main

REMEDY = "Build one that gives them, say with keras.Model around yours, and save it."


def model(channels=2, activation="softmax", shape=(32, 32, 3), end=None):
    image = keras.Input(shape)
    x = keras.layers.Conv2D(channels, 1, activation=activation)(image)
    return keras.Model(image, end(x) if end else x)


class Unknown(keras.layers.Layer):
    def call(self, inputs):
        return inputs


def two_inputs():
    first, second = keras.Input((32, 32, 3)), keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(2, 1, activation="softmax")(keras.layers.Add()([first, second]))
    return keras.Model([first, second], x)


def not_a_number():
    made = model()
    made.set_weights([np.full(weight.shape, np.nan) for weight in made.get_weights()])
    return made


OUTPUT = "expected one output of two softmax channels, background and lesion, (None, 32, 32, 2)."
INPUT = "expected one input of square RGB images of a fixed size, (None, S, S, 3)."
CASES = {
    "one sigmoid channel": (
        lambda: model(1, "sigmoid"),
        f"{OUTPUT} Found (None, 32, 32, 1). {REMEDY}",
    ),
    "three classes": (lambda: model(3), f"{OUTPUT} Found (None, 32, 32, 3). {REMEDY}"),
    "images of any size": (
        lambda: model(shape=(None, None, 3)),
        f"{INPUT} Found (None, None, None, 3). {REMEDY}",
    ),
    "images that are not square": (
        lambda: model(shape=(32, 64, 3)),
        f"{INPUT} Found (None, 32, 64, 3). {REMEDY}",
    ),
    "grey images": (
        lambda: model(shape=(32, 32, 1)),
        f"{INPUT} Found (None, 32, 32, 1). {REMEDY}",
    ),
    "smaller maps": (
        lambda: model(end=keras.layers.AveragePooling2D(2)),
        f"{OUTPUT} Found (None, 16, 16, 2). {REMEDY}",
    ),
    "one label an image": (
        lambda: model(end=keras.layers.GlobalAveragePooling2D()),
        f"{OUTPUT} Found (None, 2). {REMEDY}",
    ),
    "two inputs": (
        two_inputs,
        f"{INPUT} Found [(None, 32, 32, 3), (None, 32, 32, 3)]. {REMEDY}",
    ),
    "no softmax": (lambda: model(2, "relu"), "expected probabilities that add up to 1 at each"),
    "weights that are no numbers": (
        not_a_number,
        "gives values that are not finite (NaN), so its training has failed. Train again with a "
        "lower learning_rate, precision=float32 or another loss.",
    ),
    "an unknown layer": (
        lambda: model(end=Unknown()),
        "has a layer 'Unknown', which neither Keras nor ensemble_seg knows. In Python, register "
        "its class with keras.saving.register_keras_serializable before loading, or save a model "
        "without it.",
    ),
    "code in the file": (
        lambda: model(end=keras.layers.Lambda(lambda x: x)),
        "has a Lambda layer or other Python code in it, which is not run. Save a model of "
        "registered layers.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_one_message(tmp_path, case):
    make, message = CASES[case]
    path = tmp_path / "model.keras"
    make().save(path)
    refused(path, message)


def refused(path, message):
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        es.load_model(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


def test_files_of_other_kinds(tmp_path):
    on_kind = "Name a .keras file that ensemble_seg has trained, or save yours with Keras 3."
    model().save(tmp_path / "old.h5")
    refused(
        tmp_path / "old.h5",
        "expected a model of Keras 3 (.keras), found HDF5, the format of Keras 2 or of weights "
        "alone. Load it where it was made, with its own code, and save it as .keras.",
    )
    (tmp_path / "text.keras").write_text("a model")
    refused(tmp_path / "text.keras", f"no Keras model: its content is of another kind. {on_kind}")
    (tmp_path / "empty.keras").write_bytes(b"")
    refused(tmp_path / "empty.keras", f"no Keras model: its content is of another kind. {on_kind}")
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as file:
        file.writestr("readme.txt", "hello")
    refused(
        tmp_path / "other.keras",
        f"no Keras model: config.json, model.weights.h5 is not in it. {on_kind}",
    )
    refused(tmp_path, f"expected a model file, found a folder. {on_kind}")
    refused(tmp_path / "no.keras", "no such model. Train it first (python -m ensemble_seg train)")


def test_a_model_of_ones_own_that_fits_is_used(tmp_path):
    made = model()
    made.save(tmp_path / "mine.keras")
    image = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype("float32")
    np.testing.assert_array_equal(es.load_model(tmp_path / "mine.keras")(image), made(image))


def test_predict_names_the_file(disks, tmp_path, capsys):
    path = tmp_path / "one.keras"
    model(1, "sigmoid").save(path)
    out = tmp_path / "out"
    command = ["predict", str(disks / "images"), "--out", str(out), "--model", str(path)]
    assert main(command) == 1
    assert capsys.readouterr().err.startswith(f"ensemble_seg: {path}: expected one output of two")
    assert not out.exists()
