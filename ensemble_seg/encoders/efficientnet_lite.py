"""EfficientNet-Lite0: a small ImageNet encoder for processors, with its weights beside it."""

from pathlib import Path

import keras
import numpy as np
from keras import layers

from ..hardware.normalization import FusedBatchNormalization

WEIGHTS = Path(__file__).with_name("efficientnet_lite0.npz")
# Repeats, kernel, stride of the first, expansion, channels: a stage each.
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


def efficientnet_lite0(
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    weights: str | None = "imagenet",
    include_top: bool = False,
    classes: int = 1000,
    **_,
) -> keras.Model:
    """Build EfficientNet-Lite0 for RGB images 0..255, which it scales to -1..1 itself.

    Against EfficientNet-B0 it has ReLU6 for swish and no squeeze-and-excitation. Batch
    normalisation is fused where TensorFlow has a kernel for it.

    Args:
        input_shape: (H, W, 3), multiples of 32 for a U-Net.
        weights: "imagenet" or None for a random start.
        include_top: go on to the class scores. Its weights are not in the package.
        classes: of the top.

    Returns:
        keras.Model to feature maps (B, H / 32, W / 32, 320), or to softmax scores (B, classes).

    Raises:
        ValueError: ImageNet weights for the top.

    Example:
        >>> efficientnet_lite0((64, 64, 3), weights=None).output.shape
        (None, 2, 2, 320)

    Reference:
        Tan and Le, EfficientNet, ICML 2019; the Lite variants are in github.com/tensorflow/tpu.
    """
    if weights and include_top:
        raise ValueError("The weights in the package are those of the encoder, without the top.")
    image = keras.Input(input_shape)
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="scale")(image)
    x = _conv_bn(x, 32, 3, 2, "stem")
    for number, (repeats, kernel, stride, expansion, channels) in enumerate(STAGES, start=1):
        for repeat in range(repeats):
            name = f"block{number}{'abcd'[repeat]}"
            x = _block(x, kernel, stride if repeat == 0 else 1, expansion, channels, name)
    if include_top:
        x = layers.GlobalAveragePooling2D(name="pool")(_conv_bn(x, 1280, 1, 1, "head"))
        x = layers.Dense(classes, activation="softmax", name="classes")(x)
    model = keras.Model(image, x, name="efficientnetlite0")
    if weights:
        set_weights(model, dict(np.load(WEIGHTS)))
    return model


def set_weights(model: keras.Model, arrays: dict[str, np.ndarray]) -> None:
    """Give each layer the arrays of its name: "stem_conv/0" is the first weight of stem_conv.

    Raises:
        KeyError, ValueError: an array that is missing or has another shape.
    """
    for layer in model.layers:
        if layer.weights:
            layer.set_weights([arrays[f"{layer.name}/{n}"] for n in range(len(layer.weights))])


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
        dtype="float32",  # processors take longer in bfloat16: benchmarks, row encoder
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
