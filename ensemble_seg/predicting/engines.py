"""Exported networks: what ONNX Runtime or OpenVINO computes, without Keras and TensorFlow.

No module that is imported here imports Keras, so that a command with an exported network begins
at once.
"""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np

from ..common.files import file_hash
from ..common.starting import import_without
from .segmenter import Segmenter

KERAS = "keras"
ENGINES = (KERAS, "onnx", "openvino")
# OpenVINO 2026.4 cannot take a function of TensorFlow from Python 3.13 on: it reads ONNX there.
OPENVINO_READS_ONNX = sys.version_info >= (3, 13)
FORMATS = {  # ending, packages that write it, package that runs it
    "onnx": (".onnx", ("onnx", "tf2onnx"), "onnxruntime"),
    "openvino": (
        ".xml",
        ("onnx", "tf2onnx", "openvino") if OPENVINO_READS_ONNX else ("openvino",),
        "openvino",
    ),
    "litert": (".tflite", ("tensorflow",), "tensorflow"),
}
PRECISION = ["ensemble_seg", "precision"]  # in a network of OpenVINO: f32, or bf16
FASTEST_FIRST = ("openvino", "onnx")  # as measured: see benchmarks/README.md
WANTED = "Expected a network that python -m ensemble_seg export wrote. Export the model again."
ENGINE_OF = {FORMATS[engine][0]: engine for engine in FASTEST_FIRST}


class Network(NamedTuple):
    """A network that another runtime computes.

    Attributes:
        size: side of its square images, pixels; None where they have no fixed size.
        run: from images (B, S, S, 3) float32 to all its outputs.
    """

    size: int | None
    run: Callable[[np.ndarray], list[np.ndarray]]


def is_installed(package: str) -> bool:
    """Say whether a package can be imported, without importing it."""
    return importlib.util.find_spec(package) is not None


def exported_path(model: Path, engine: str, number: int | None = None) -> Path:
    """Return where the network of a model file is exported to: its hash is part of the name."""
    parts = [model.stem, file_hash(model)[:12], *([] if number is None else [str(number)])]
    return model.with_name("-".join(parts) + FORMATS[engine][0])


def exported_file(model: Path, engine: str | None = None) -> Path | None:
    """Return the exported network that stands for a model file; None where Keras computes.

    It is the file itself where that is one (.onnx, .xml), else the one that an earlier call
    exported beside this very model, if there is one and its runtime is installed.

    Args:
        model: file of a model.
        engine: the one that is wanted; None for the fastest that is there.

    Raises:
        ValueError: an exported file of another engine than the one wanted.
    """
    own = ENGINE_OF.get(model.suffix)
    if own:
        if engine not in (None, own):
            raise ValueError(f"{model}: expected --engine {own}, or none. Received: {engine}.")
        return model
    if engine == KERAS or not model.is_file():
        return None
    for each in FASTEST_FIRST if engine is None else (engine,):
        if is_installed(FORMATS[each][2]) and exported_path(model, each).is_file():
            return exported_path(model, each)
    return None


def exported_segmenter(path: Path) -> Segmenter:
    """Return what segments images with an exported U-Net or ensemble.

    Args:
        path: .onnx or .xml, written by `export_model`.

    Raises:
        FileNotFoundError: no such file.
        RuntimeError: the package that runs it is not installed.
        ValueError: a damaged file, or another network.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such model.")
    runtime = FORMATS[ENGINE_OF[path.suffix]][2]
    if not is_installed(runtime):
        raise RuntimeError(f"{path}: {runtime} is not installed. Run: pip install {runtime}")
    try:
        network = opened(path, ENGINE_OF[path.suffix])
    except Exception as error:  # each runtime raises its own kinds
        text = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{path}: cannot be read by {runtime}: {text}. Export the model again."
        ) from error
    _require_segmentation(network, path)
    return Segmenter(network.size, lambda images: lesion_maps(network.run(images)))


def lesion_maps(outputs: list[np.ndarray]) -> np.ndarray:
    """Return the lesion's probabilities (1 + M, B, S, S): of the vote and of its M members."""
    vote, *members = outputs
    return np.concatenate([vote[None, ..., 1], *(each.swapaxes(0, 1) for each in members)])


def _require_segmentation(network: Network, path: Path) -> None:
    size = network.size
    images = np.zeros((2, size or 1, size or 1, 3), "float32")
    try:
        shapes = [output.shape for output in network.run(images)] if size else []
    except Exception as error:
        raise ValueError(f"{path}: does not take two RGB images. {WANTED}") from error
    fits = shapes[:1] == [(2, size, size, 2)]
    if not fits or not all(len(each) == 4 and each[2:] == (size, size) for each in shapes[1:]):
        raise ValueError(f"{path}: gives {shapes or 'images of no fixed size'}. {WANTED}")


def opened(path: Path, format: str, exact: bool = False) -> Network:
    """Open a written network: "onnx", "openvino" or "litert".

    Args:
        path, format: of the network.
        exact: compute in float32 whatever it was trained in.
    """
    if format == "openvino":
        return _openvino(path, exact)
    return {"onnx": _onnx, "litert": _litert}[format](path)


def _onnx(path: Path) -> Network:
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    side = given.shape[1] if len(given.shape) == 4 else None
    size = side if isinstance(side, int) else None
    return Network(size, lambda images: session.run(None, {given.name: images}))


def import_openvino() -> ModuleType:
    """Import OpenVINO without what reports to its makers that a model was converted."""
    return import_without("openvino", "openvino_telemetry")


def _openvino(path: Path, exact: bool) -> Network:
    core = import_openvino().Core()
    model = core.read_model(path)
    has_bfloat16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    as_trained = has_bfloat16 and not exact and model.has_rt_info(PRECISION)
    hint = {"INFERENCE_PRECISION_HINT": model.get_rt_info(PRECISION).value if as_trained else "f32"}
    network = core.compile_model(model, "CPU", hint)
    shape = network.input(0).partial_shape
    side = shape[1] if len(shape) == 4 else None
    size = side.get_length() if side is not None and side.is_static else None

    def run(images: np.ndarray) -> list[np.ndarray]:
        found = network(images)
        return [found[number] for number in range(len(network.outputs))]

    return Network(size, run)


def _litert(path: Path) -> Network:
    import tensorflow as tf

    network = tf.lite.Interpreter(model_content=path.read_bytes())
    given, maps = network.get_input_details()[0], network.get_output_details()[0]["index"]

    def run(images: np.ndarray) -> list[np.ndarray]:
        network.resize_tensor_input(given["index"], images.shape)
        network.allocate_tensors()
        network.set_tensor(given["index"], images)
        network.invoke()
        return [network.get_tensor(maps)]

    return Network(int(given["shape"][1]), run)
