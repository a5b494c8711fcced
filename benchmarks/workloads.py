"""What both stacks are given: random images, an endless batch; and what it costs them."""

import math

import numpy as np

SIZE, BATCH = 256, 8
IMAGES = 16  # that an ensemble segments in a round
PEER_STEPS = {"resnet101": 2, "efficientnetlite0": 6}  # of training and of inference, a round


def random_images(count: int, size: int = SIZE) -> np.ndarray:
    """Return (count, size, size, 3) float32 in 0..255."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, size, size, 3), dtype="uint8").astype("float32")


def random_masks(count: int, size: int = SIZE) -> np.ndarray:
    """Return (count, size, size, 2) float32, one-hot."""
    return np.eye(2, dtype="float32")[np.random.default_rng(1).integers(0, 2, (count, size, size))]


def without_tuning(dataset):
    """Switch off the thread that tunes a tf.data.Dataset while it runs.

    It sleeps 10 ms, 20 ms, 40 ms and so on up to a minute, and the end of a pass often waits for
    it to wake up: a pass of 7 s then takes 10.23 s, one of 21 s takes 40.95 s, in any version.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def endless_batch(size: int = SIZE):
    """Return a tf.data.Dataset that gives one batch of images and masks again and again."""
    import tensorflow as tf

    batch = random_images(BATCH, size), random_masks(BATCH, size)
    return without_tuning(tf.data.Dataset.from_tensors(batch).repeat())


def forward_flops(model) -> int:
    """Floating point operations of a model's convolutions for one image, two for each product.

    Args:
        model: of Keras 2 or 3, whose layers that multiply are convolutions, or such models.
    """
    return sum(map(_layer_flops, model.layers))


def _layer_flops(layer) -> int:
    if hasattr(layer, "layers"):
        return forward_flops(layer)
    if type(layer).__name__ not in ("Conv2D", "DepthwiseConv2D"):
        return 0
    return 2 * math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:3])
