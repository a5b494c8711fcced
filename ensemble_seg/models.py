"""The network: a U-Net of segmentation_models with a float32 softmax head."""

import contextlib
import random
import threading
from collections.abc import Callable, Iterator

import keras
import numpy as np

from .encoders.backbones import require_backbone, segmentation_models
from .encoders.weights import load_encoder
from .hardware.precision import dtype_policy, precision_policy
from .presets import Preset

# Keras' 0.99 averages over the last hundred steps and lags behind in a training of a few hundred.
BATCH_NORM_MOMENTUM = 0.9
_ONE_AT_A_TIME = threading.RLock()


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
    require_backbone(preset.backbone, preset.size)
    sm = segmentation_models()
    policy = dtype_policy(precision_policy(preset.precision))
    with _seeded(preset.seed), policy, _download_explained(preset):
        network = sm.Unet(
            preset.backbone,
            input_shape=(preset.size, preset.size, 3),
            classes=2,
            activation="linear",
            encoder_weights="imagenet" if preset.encoder_weights == "imagenet" else None,
            encoder_freeze=preset.encoder_freeze,
        )
        if preset.encoder_weights not in ("imagenet", None):
            load_encoder(network, preset.backbone, preset.encoder_weights)
        for layer in network.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = BATCH_NORM_MOMENTUM
        network = _with_preprocessing(network, sm.get_preprocessing(preset.backbone))
        probabilities = keras.layers.Softmax(dtype="float32", name="softmax")(network.output)
        return keras.Model(network.input, probabilities, name=name)


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


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the initial weights of this thread.

    Keras seeds each layer from Python's `random`. Other threads, such as those of Dask, draw from
    it as well and would shift what comes next.
    """
    own, shared, thread = random.Random(seed), random.randint, threading.get_ident()

    def randint(low: int, high: int) -> int:
        return (own.randint if threading.get_ident() == thread else shared)(low, high)

    with _ONE_AT_A_TIME:
        keras.utils.set_random_seed(seed)
        random.randint = randint
        try:
            yield
        finally:
            random.randint = shared


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
