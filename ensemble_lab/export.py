"""Networks for other runtimes: ONNX Runtime, OpenVINO, TensorFlow without Keras."""

import gc
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from ensemble_seg.ensembling import ensemble_members
from ensemble_seg.predicting import Prediction, enlarged
from ensemble_seg.presets import invalid
from ensemble_seg.reading import resize_image

AGREEMENT = 2e-3  # of two probabilities: float32 is rounded elsewhere in another runtime
SUFFIXES = (".onnx", ".xml", "")
sys.modules.setdefault("openvino_telemetry", None)  # OpenVINO would report home


class Exported(NamedTuple):
    """A network that another runtime computes, in float32 on the processor.

    `run` takes images (B, S, S, 3) float32, RGB 0..255, and gives softmax maps (B, S, S, 2) and, of
    an ensemble, the lesion's probability by each of its M members (B, M, S, S).
    """

    name: str
    input_shape: tuple
    run: Callable[[np.ndarray], list[np.ndarray]]

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return softmax maps (B, S, S, 2) of images (B, S, S, 3), RGB 0..255."""
        return self.run(np.asarray(images, "float32"))[0]


def export_model(model: keras.Model, path: str | Path) -> float:
    """Write a model for another runtime, in float32, by Keras' `Model.export`.

    Inputs and outputs are those of `Exported`. Resizing is not in it, and the box of a zoom
    ensemble is cut out of the small image.

    Args:
        model: a U-Net, an ensemble or a zoom ensemble.
        path: NAME.onnx, NAME.xml (OpenVINO, with its weights in NAME.bin), or a name without a
            suffix: the folder of a TensorFlow SavedModel. Replaces a file, not a folder.

    Returns:
        The largest difference of a probability from Keras' on two random images.

    Raises:
        RuntimeError: it is more than `AGREEMENT`. Nothing is left.
        ImportError: a package is missing: pip install "ensemble-seg[export]".
    """
    path = _checked(path)
    network = _with_members(_in_float32(model))
    images = np.random.default_rng(0).uniform(0, 255, (2, *model.input_shape[1:]))
    expected = network.predict_on_batch(images.astype("float32"))
    expected = expected[0] if isinstance(expected, list) else expected
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        _write(network, Path(folder) / path.name)
        found = load_exported(Path(folder) / path.name).predict(images)
        difference = float(np.abs(found - expected).max())
        if not difference <= AGREEMENT:
            raise RuntimeError(
                f"{path.name}: its probabilities differ from Keras' by up to {difference:.2g}, "
                f"more than {AGREEMENT:g}. It was not kept; try another version of the runtime."
            )
        for made in sorted(Path(folder).iterdir()):  # .bin before .xml
            made.replace(path.with_name(made.name))
    return difference


def load_exported(path: str | Path) -> Exported:
    """Open what `export_model` wrote: .onnx, .xml or the folder of a SavedModel."""
    path = _checked(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such model.")
    size, run = {".onnx": _onnx, ".xml": _openvino, "": _saved_model}[path.suffix](path)
    return Exported(path.stem, (None, size, size, 3), run)


def predict_exported(network: Exported, images: Sequence[np.ndarray]) -> list[Prediction]:
    """Segment images (H, W, 3) uint8 RGB of any sizes, in one batch, as `predict_images` does."""
    small = np.stack([resize_image(image, network.input_shape[1]) for image in images])
    vote, *members = network.run(small.astype("float32"))
    lesion = np.concatenate([vote[None, ..., 1], *(each.swapaxes(0, 1) for each in members)])
    return [enlarged(lesion[:, n], image.shape[:2]) for n, image in enumerate(images)]


def _checked(path: str | Path) -> Path:
    path = Path(path).expanduser().absolute()
    if path.suffix not in SUFFIXES:
        expected = "a name that ends in .onnx (ONNX), .xml (OpenVINO) or in no suffix (SavedModel)"
        raise invalid("path", expected, found=str(path))
    return path


def _with_members(model: keras.Model) -> keras.Model:
    """Return an ensemble that gives its members' maps of the lesion, too."""
    members, vote = ensemble_members(model)
    if members == [model]:
        return model
    image = keras.Input(model.input_shape[1:], name="image")
    maps = [member(image) for member in members]
    lesion = keras.ops.stack([each[..., 1] for each in maps], axis=1)
    return keras.Model(image, [vote(maps), lesion], name=model.name)


def _in_float32(model: keras.Model) -> keras.Model:
    config = re.sub(r'"(mixed_)?b?float16"', '"float32"', model.to_json())
    copy = keras.models.model_from_json(config)
    copy.set_weights(model.get_weights())
    return copy


def _write(model: keras.Model, path: Path) -> None:
    if not path.suffix:
        model.export(str(path), format="tf_saved_model", verbose=False)
        return
    onnx, thresholds = path.with_suffix(".onnx"), gc.get_threshold()
    gc.freeze()
    gc.set_threshold(700, 2, 2)  # tf2onnx leaves thirty copies of a network, 12 GB of a ResNet-101
    try:
        model.export(str(onnx), format="onnx", verbose=False)
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
    if path.suffix == ".xml":  # from Python 3.13 on OpenVINO does not take Keras' other way
        import openvino

        openvino.save_model(openvino.Core().read_model(onnx), path, compress_to_fp16=False)
        onnx.unlink()


def _onnx(path: Path) -> tuple:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    return given.shape[1], lambda images: session.run(None, {given.name: images})


def _openvino(path: Path) -> tuple:
    import openvino

    network = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    size = network.input(0).partial_shape[1].get_length()
    return size, lambda images: [each.copy() for each in network(images).values()]


def _saved_model(path: Path) -> tuple:
    import tensorflow as tf

    network = tf.saved_model.load(path)
    given = network.signatures["serving_default"].structured_input_signature[1]
    size = next(iter(given.values())).shape[1]
    return size, lambda images: [each.numpy() for each in tf.nest.flatten(network.serve(images))]
