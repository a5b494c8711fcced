"""The network: a U-Net of segmentation_models with a float32 softmax head."""

import contextlib
import io
import os
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import keras
import numpy as np
from keras import layers

from .normalization import FusedBatchNormalization
from .presets import Preset

# Keras' 0.99 averages over the last hundred steps and lags behind in a training of a few hundred.
BATCH_NORM_MOMENTUM = 0.9
WEIGHTS = Path(__file__).with_name("efficientnet_lite0.npz")
# EfficientNet-Lite0: repeats, kernel, stride of the first, expansion, channels: a stage each.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
# Where the decoder of a U-Net looks in: at 1/16, 1/8, 1/4 and 1/2 of the image.
SKIPS = tuple(f"block{name}_expand_relu" for name in ("6a", "4a", "3a", "2a"))
CPUINFO = Path("/proc/cpuinfo")
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}  # of x86; on ARM it was not measured
_ONE_AT_A_TIME = threading.Lock()


def unet(preset: Preset, name: str = "unet") -> keras.Model:
    """Build an uncompiled U-Net for two classes from random or ImageNet weights.

    Random weights are those of `preset.seed`, whatever was drawn before. The head is float32.

    Args:
        preset: its size, backbone, encoder_weights, encoder_freeze, precision and seed are used.
        name: of the model.

    Returns:
        keras.Model from images (B, size, size, 3), RGB 0..255, to softmax maps
        (B, size, size, 2) float32, channel 0 background and channel 1 lesion.

    Raises:
        RuntimeError: another backend than TensorFlow.
        Exception: of Keras, where the ImageNet weights could not be downloaded.

    Example:
        >>> from ensemble_seg import preset
        >>> unet(preset("smoke")).output.shape
        (None, 64, 64, 2)
    """
    sm = _segmentation_models()
    with _seeded(preset.seed), _dtype_policy(precision_policy(preset.precision)):
        network = sm.Unet(
            preset.backbone,
            input_shape=(preset.size, preset.size, 3),
            classes=2,
            activation="linear",
            encoder_weights=preset.encoder_weights,
            encoder_freeze=preset.encoder_freeze,
        )
        for layer in network.layers:
            if isinstance(layer, layers.BatchNormalization):
                layer.momentum = BATCH_NORM_MOMENTUM
        network = _with_preprocessing(network, sm.get_preprocessing(preset.backbone))
        probabilities = layers.Softmax(dtype="float32", name="softmax")(network.output)
        return keras.Model(network.input, probabilities, name=name)


def efficientnet_lite0(
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    weights: str | None = "imagenet",
    **_,
) -> keras.Model:
    """Build the encoder EfficientNet-Lite0 for RGB images 0..255, which it scales to -1..1 itself.

    Against EfficientNet-B0 it has ReLU6 for swish and no squeeze-and-excitation.

    Args:
        input_shape: (H, W, 3), multiples of 32 for a U-Net.
        weights: "imagenet" (beside this file) or None for a random start.

    Returns:
        keras.Model to feature maps (B, H / 32, W / 32, 320).

    Example:
        >>> efficientnet_lite0((64, 64, 3), weights=None).output.shape
        (None, 2, 2, 320)

    Reference:
        Tan and Le, EfficientNet, ICML 2019; the Lite variants are in github.com/tensorflow/tpu.
    """
    image = keras.Input(input_shape)
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="scale")(image)
    x = _conv_bn(x, 32, 3, 2, "stem")
    for number, (repeats, kernel, stride, expansion, channels) in enumerate(STAGES, start=1):
        for repeat in range(repeats):
            name = f"block{number}{'abcd'[repeat]}"
            x = _block(x, kernel, stride if repeat == 0 else 1, expansion, channels, name)
    model = keras.Model(image, x, name="efficientnetlite0")
    if weights:
        arrays = dict(np.load(WEIGHTS))
        for layer in model.layers:
            if layer.weights:  # "stem_conv/0" is the first weight of stem_conv
                names = [f"{layer.name}/{number}" for number in range(len(layer.weights))]
                layer.set_weights([arrays[name] for name in names])
    return model


def precision_policy(precision: str = "auto") -> str:
    """Return the Keras dtype policy for a precision; "auto" asks the hardware.

    On a GPU mixed bfloat16 from compute capability 8.0, mixed float16 from 7.0 (the first with
    tensor cores). On a processor mixed bfloat16 where it has AVX512-BF16 or AMX. Else float32.

    Example:
        >>> precision_policy("float32")
        'float32'
    """
    if precision != "auto":
        return precision
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        capability = details.get("compute_capability", (0, 0))
        if capability >= (8, 0):
            return "mixed_bfloat16"
        return "mixed_float16" if capability >= (7, 0) else "float32"
    flags = set(CPUINFO.read_text(encoding="utf-8").split()) if CPUINFO.is_file() else set()
    return "mixed_bfloat16" if flags & BFLOAT16_FLAGS else "float32"


def _block(x, kernel: int, stride: int, expansion: int, channels: int, name: str):
    """Inverted bottleneck: expand, filter each channel, project; added to the input if it fits."""
    start = x
    if expansion > 1:
        x = _conv_bn(x, expansion * x.shape[-1], 1, 1, f"{name}_expand")
    x = layers.DepthwiseConv2D(
        kernel,
        stride,
        "same",
        use_bias=False,
        depthwise_initializer="he_normal",
        dtype="float32",  # processors take longer in bfloat16
        name=f"{name}_dw_conv",
    )(x)
    x = layers.ReLU(6.0, name=f"{name}_dw_relu")(FusedBatchNormalization(name=f"{name}_dw_bn")(x))
    x = _conv_bn(x, channels, 1, 1, f"{name}_project", relu=False)
    if stride == 1 and start.shape[-1] == channels:
        x = layers.Add(name=f"{name}_add")([start, x])
    return x


def _conv_bn(x, channels: int, kernel: int, stride: int, name: str, relu: bool = True):
    x = layers.Conv2D(
        channels,
        kernel,
        stride,
        "same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    x = FusedBatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if relu else x


def _segmentation_models() -> ModuleType:
    """Return segmentation_models, mended so that what it builds is fast and loads again."""
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            f"Expected Keras with TensorFlow, found {keras.backend.backend()}. Unset KERAS_BACKEND."
        )
    os.environ.setdefault("SM_FRAMEWORK", "tf.keras")
    with contextlib.redirect_stdout(io.StringIO()):
        import efficientnet.model
        import segmentation_models
    # Its own swish and dropout would be known to this process only. Keras has both by now.
    efficientnet.model.get_swish = lambda **_: "silu"
    efficientnet.model.get_dropout = lambda **_: layers.Dropout
    segmentation_models._KERAS_LAYERS = SimpleNamespace(
        **{**vars(layers), "BatchNormalization": FusedBatchNormalization}
    )
    factory = type(segmentation_models.Backbones)
    factory._models_update["efficientnetlite0"] = (efficientnet_lite0, lambda image, **_: image)
    factory._default_feature_layers["efficientnetlite0"] = SKIPS
    return segmentation_models


def _with_preprocessing(network: keras.Model, preprocess: Callable) -> keras.Model:
    """Put a backbone's preprocessing inside the model, as the frozen 1x1 convolution it is."""
    probes = np.concatenate([np.zeros((1, 3)), np.eye(3)])[:, None, None].astype("float32")
    bias, *columns = np.array(preprocess(probes.copy()), "float32")[:, 0, 0]
    kernel = np.stack(columns) - bias
    if np.array_equal(kernel, np.eye(3)) and not bias.any():
        return network
    image = keras.Input(network.input_shape[1:], name="image")
    affine = layers.Conv2D(3, 1, dtype="float32", trainable=False, name="preprocessing")
    output = network(affine(image))
    affine.set_weights([kernel[None, None], bias])
    return keras.Model(image, output)


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the initial weights, which Keras draws from Python's `random`, and give it back."""
    with _ONE_AT_A_TIME:
        before = random.getstate()
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(before)


@contextlib.contextmanager
def _dtype_policy(policy: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
