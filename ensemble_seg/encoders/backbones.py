"""Which encoders are offered, and segmentation_models mended so that what it builds loads again."""

import contextlib
import io
import os
from types import ModuleType, SimpleNamespace

import keras

from ..common.errors import suggest
from ..hardware.normalization import FusedBatchNormalization
from .efficientnet_lite import SKIPS, efficientnet_lite0

# A U-Net of each is built, saved, and loaded in a new process by tests/encoders/test_backbones.py.
BACKBONES = (
    *(f"densenet{layers}" for layers in (121, 169, 201)),
    *(f"efficientnetb{number}" for number in range(8)),
    "efficientnetlite0",
    *("inceptionresnetv2", "inceptionv3"),
    *("mobilenet", "mobilenetv2"),
    *(f"resnet{layers}" for layers in (18, 34, 50, 101, 152)),
    *("resnext50", "resnext101"),
    *(f"seresnet{layers}" for layers in (18, 34, 50, 101, 152)),
    *("seresnext50", "seresnext101"),
    *("vgg16", "vgg19"),
)
LEFT_OUT = {
    "senet154": "it takes a minute to build, as each grouped convolution becomes 64 layers",
}
SMALLEST = {"inceptionv3": 96, "inceptionresnetv2": 96}  # of multiples of 32


def require_backbone(name: str, size: int | None = None) -> None:
    """Raise ValueError for an encoder that is not offered, or images too small for it."""
    if name in LEFT_OUT:
        raise ValueError(
            f"Backbone '{name}' is left out: {LEFT_OUT[name]}. Backbones: {', '.join(BACKBONES)}."
        )
    if name not in BACKBONES:
        raise ValueError(
            f"Unknown backbone '{name}'.{suggest(name, BACKBONES)} "
            f"Backbones: {', '.join(BACKBONES)}."
        )
    smallest = SMALLEST.get(name, 32)
    if size is not None and size < smallest:
        raise ValueError(f"Backbone '{name}' needs a size of at least {smallest}, not {size}.")


def segmentation_models() -> ModuleType:
    """Return the module segmentation_models, imported for this backend and mended.

    Raises:
        RuntimeError: an environment variable with which it cannot be used.
    """
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
        import efficientnet.model
        import segmentation_models
    # Registered nowhere, they would be known to this process only. Keras has both by now.
    efficientnet.model.get_swish = lambda **_: "silu"
    efficientnet.model.get_dropout = lambda **_: keras.layers.Dropout
    segmentation_models._KERAS_LAYERS = LAYERS
    factory = type(segmentation_models.Backbones)
    factory._models_update["efficientnetlite0"] = (efficientnet_lite0, lambda image, **_: image)
    factory._default_feature_layers["efficientnetlite0"] = SKIPS
    return segmentation_models


@keras.saving.register_keras_serializable(package="ensemble_seg")
class Channels(keras.layers.Layer):
    """Take the channels from `start` to before `stop` of (B, H, W, C).

    Example:
        >>> Channels(1, 3)(keras.ops.ones((1, 2, 2, 4))).shape.as_list()
        [1, 2, 2, 2]
    """

    def __init__(self, start: int, stop: int, **kwargs):
        super().__init__(**kwargs)
        self.start, self.stop = start, stop

    def call(self, inputs):
        return inputs[..., self.start : self.stop]

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.stop - self.start)

    def get_config(self) -> dict:
        return {**super().get_config(), "start": self.start, "stop": self.stop}


@keras.saving.register_keras_serializable(package="ensemble_seg")
class ScaledSum(keras.layers.Layer):
    """Add the second input, times `scale`, to the first.

    Example:
        >>> ScaledSum(0.5)([keras.ops.ones(2), keras.ops.ones(2)]).numpy().tolist()
        [1.5, 1.5]
    """

    def __init__(self, scale: float, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs):
        return inputs[0] + inputs[1] * self.scale

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self) -> dict:
        return {**super().get_config(), "scale": self.scale}


def _without_code(function, arguments=None, output_shape=None, **kwargs) -> keras.layers.Layer:
    """Return a layer for what the encoders write as a Lambda, which no safe mode loads."""
    arguments = arguments or {}
    if function.__name__ == "slice_tensor":
        return Channels(arguments["start"], arguments["stop"], **kwargs)
    if function.__name__ == "expand_dims":
        return keras.layers.Reshape((1, 1, -1), **kwargs)
    return ScaledSum(arguments["scale"], **kwargs)


def _plain_name(layer: type) -> type | object:
    """Let a layer take the names of DenseNet, conv1/bn, which Keras 3 refuses."""

    def make(*args, name=None, **kwargs):
        return layer(*args, name=name and name.replace("/", "_"), **kwargs)

    return make


# The layers segmentation_models builds with: Keras' own, where they can be saved and loaded.
LAYERS = SimpleNamespace(
    **{
        **vars(keras.layers),
        "Activation": _plain_name(keras.layers.Activation),
        "BatchNormalization": FusedBatchNormalization,
        "Conv2D": _plain_name(keras.layers.Conv2D),
        "Lambda": _without_code,
    }
)
