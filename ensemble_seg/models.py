"""The network: a U-Net of segmentation_models with a float32 softmax head."""

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np

from .normalization import FusedBatchNormalization
from .presets import Preset, _suggest

# Keras' 0.99 averages over the last hundred steps and lags behind in a training of a few hundred.
BATCH_NORM_MOMENTUM = 0.9

CPUINFO = Path("/proc/cpuinfo")
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}  # of x86; on ARM it was not measured

# The layers segmentation_models builds with: Keras' own, but for batch normalisation.
_LAYERS = SimpleNamespace(**{**vars(keras.layers), "BatchNormalization": FusedBatchNormalization})


def unet(preset: Preset, name: str = "unet") -> keras.Model:
    """Build an uncompiled U-Net for two classes from random or ImageNet weights.

    The weights depend on `preset.seed`. Precision is the preset's; the head is float32 always.

    Args:
        preset: its size, backbone, encoder_weights, encoder_freeze, precision and seed are used.
        name: of the model.

    Returns:
        keras.Model from images (B, size, size, 3), RGB 0..255, to softmax maps
        (B, size, size, 2) float32, channel 0 background and channel 1 lesion.

    Raises:
        ValueError: an unknown backbone; the nearest name is given.
        RuntimeError: SM_FRAMEWORK is set wrongly, or the encoder weights cannot be downloaded.

    Example:
        >>> from ensemble_seg import preset
        >>> unet(preset("smoke")).output.shape
        (None, 64, 64, 2)
    """
    sm = _segmentation_models()
    if preset.backbone not in sm.get_available_backbone_names():
        raise ValueError(
            f"Unknown backbone '{preset.backbone}'."
            f"{_suggest(preset.backbone, sm.get_available_backbone_names())} "
            f"Backbones: {', '.join(sorted(sm.get_available_backbone_names()))}."
        )
    keras.utils.set_random_seed(preset.seed)
    with _policy(precision_policy(preset.precision)), _download_explained(preset):
        network = sm.Unet(
            preset.backbone,
            input_shape=(preset.size, preset.size, 3),
            classes=2,
            activation="linear",
            encoder_weights=preset.encoder_weights,
            encoder_freeze=preset.encoder_freeze,
        )
        for layer in network.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = BATCH_NORM_MOMENTUM
        network = _with_preprocessing(network, sm.get_preprocessing(preset.backbone))
        probabilities = keras.layers.Softmax(dtype="float32", name="softmax")(network.output)
        return keras.Model(network.input, probabilities, name=name)


def precision_policy(precision: str = "auto") -> str:
    """Return the Keras dtype policy for a precision; "auto" asks the hardware.

    On a GPU mixed bfloat16 from compute capability 8.0, mixed float16 from 7.0 (the first with
    tensor cores). On a processor mixed bfloat16 where it has AVX512-BF16 or AMX and TensorFlow
    computes: there it was measured to be faster than float32, with JAX it was not. Else float32.

    Example:
        >>> precision_policy("float32")
        'float32'
    """
    if precision != "auto":
        return precision
    capability = _gpu_capability()
    if capability is not None:
        if capability >= (8, 0):
            return "mixed_bfloat16"
        return "mixed_float16" if capability >= (7, 0) else "float32"
    fast = keras.backend.backend() == "tensorflow" and _cpu_flags() & BFLOAT16_FLAGS
    return "mixed_bfloat16" if fast else "float32"


def _with_preprocessing(network: keras.Model, preprocess: Callable) -> keras.Model:
    """Put a backbone's preprocessing inside the model, as the frozen 1x1 convolution it is."""
    probes = np.concatenate([np.zeros((1, 3)), np.eye(3)])[:, None, None].astype("float32")
    bias, *columns = np.array(preprocess(probes.copy()), "float32")[:, 0, 0]
    kernel = np.stack(columns) - bias
    if np.array_equal(kernel, np.eye(3)) and not bias.any():
        return network
    image = keras.Input(network.input_shape[1:], name="image")
    affine = keras.layers.Conv2D(3, 1, dtype="float32", trainable=False, name="preprocessing")
    output = network(affine(image))
    affine.set_weights([kernel[None, None], bias])
    return keras.Model(image, output)


def _gpu_capability() -> tuple[int, int] | None:
    if keras.backend.backend() != "tensorflow":
        return (8, 0) if _has_gpu() else None
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return None
    return tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))


def _has_gpu() -> bool:
    try:
        return bool(keras.distribution.list_devices("gpu"))
    except RuntimeError:
        return False


def _cpu_flags() -> set[str]:
    lines = CPUINFO.read_text().splitlines() if CPUINFO.is_file() else []
    return {flag for line in lines if line.startswith("flags") for flag in line.split()}


def _segmentation_models():
    backend = keras.backend.backend()
    expected = "tf.keras" if backend == "tensorflow" else "keras"
    framework = os.environ.setdefault("SM_FRAMEWORK", expected)
    if framework != expected:
        raise RuntimeError(
            f"Invalid value for environment variable SM_FRAMEWORK. Expected {expected}, the only "
            f"one that works with Keras 3 on {backend}. Received: SM_FRAMEWORK={framework}. Unset "
            "it and start Python again."
        )
    if expected == "keras":
        # A module that Keras 3 no longer has; efficientnet takes get_custom_objects from it.
        keras.utils.generic_utils = keras.utils
    with contextlib.redirect_stdout(io.StringIO()):
        import segmentation_models
    segmentation_models._KERAS_LAYERS = _LAYERS
    return segmentation_models


@contextlib.contextmanager
def _policy(policy: str):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@contextlib.contextmanager
def _download_explained(preset: Preset):
    try:
        yield
    except Exception as error:
        if preset.encoder_weights is None or "fetch" not in str(error).lower():
            raise
        raise RuntimeError(
            f"The {preset.encoder_weights} weights of {preset.backbone} could not be downloaded: "
            f"{error}. Connect to the internet once (the file is then kept in ~/.keras/models), "
            "put it there by hand, or start from random weights with "
            "preset.replace(encoder_weights=None)."
        ) from error
