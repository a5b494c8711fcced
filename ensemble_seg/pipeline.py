"""From files to batches: tf.data of float32 images 0..255 and one-hot masks.

A batch depends on the seed, the epoch and the pair alone, never on threads or on what ran before,
so that a training that was interrupted goes on with the very batches it would have seen.
"""

import os
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from .caching import Windows, cached_reader
from .presets import Preset
from .windows import small_pair


def batches(
    windows: Windows,
    preset: Preset,
    training: bool = False,
    first_epoch: int = 0,
    cache: str | Path | None = None,
) -> tf.data.Dataset:
    """Stream pairs of files as batches.

    Args:
        windows: pairs to read, each with the box that is cut out before the resize, or None.
        preset: its size, batch_size, augment and seed are used.
        training: shuffle, augment if the preset says so, and go on from `first_epoch` to the
            preset's last epoch. Without it: one pass in the order of the pairs, never augmented.
        first_epoch: epochs that were trained before.
        cache: folder for the resized images and masks, 4 bytes a pixel, so that the files are
            decoded once; ENSEMBLE_SEG_CACHE_DIR where it is None. Where that is unset too, the
            files are decoded in each epoch.

    Returns:
        tf.data.Dataset of (images, masks): (B, size, size, 3) float32 in 0..255, and
        (B, size, size, 2) float32 one-hot, channel 0 background and channel 1 lesion. The last
        batch of an epoch may be smaller.
    """

    def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        order = tf.range(len(windows), dtype=tf.int64)
        if training:
            order = tf.random.experimental.stateless_shuffle(order, [preset.seed, epoch])
        dataset = tf.data.Dataset.from_tensor_slices(order)
        dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE)
        if training and preset.augment:
            seeds = tf.data.Dataset.from_tensor_slices(order + epoch * len(windows))
            dataset = tf.data.Dataset.zip((dataset, seeds)).map(
                lambda example, seed: augment(*example, [preset.seed, seed]),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
        return dataset.batch(preset.batch_size)

    def load(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        kinds = (tf.uint8, tf.uint8)
        image, mask = tf.numpy_function(read, [index], kinds, stateful=False)
        image = tf.ensure_shape(image, (preset.size, preset.size, 3))
        mask = tf.ensure_shape(mask, (preset.size, preset.size))
        return tf.cast(image, tf.float32), tf.one_hot(mask, 2)

    read = _reader(windows, preset.size, cache or os.environ.get("ENSEMBLE_SEG_CACHE_DIR"))
    last = preset.epochs if training else first_epoch + 1
    steps = (last - first_epoch) * -(-len(windows) // preset.batch_size)
    dataset = tf.data.Dataset.range(first_epoch, last).flat_map(one_epoch)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    return dataset.prefetch(tf.data.AUTOTUNE)


def _reader(windows: Windows, size: int, cache: str | Path | None) -> Callable:
    if cache:
        return cached_reader(windows, size, cache)
    return lambda index: small_pair(*windows[index], size)


def to_network(image: tf.Tensor, mask: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Resize and one-hot in the graph, for `lesion_crops`: see `windows.small_image` for files.

    The image is anti-aliased, the mask takes the nearest pixel.

    Args:
        image: (H, W, 3) RGB, any real dtype, 0..255.
        mask: (H, W) of 0 and 1.
        size: side of the result, pixels.

    Returns:
        (size, size, 3) float32 in 0..255 and (size, size, 2) float32 one-hot.
    """
    image = tf.image.resize(image, (size, size), antialias=True)
    mask = tf.image.resize(mask[..., None], (size, size), method="nearest")[..., 0]
    one_hot = tf.one_hot(tf.cast(mask, tf.int32), 2)
    return tf.ensure_shape(image, (size, size, 3)), tf.ensure_shape(one_hot, (size, size, 2))


def augment(image: tf.Tensor, mask: tf.Tensor, seed) -> tuple[tf.Tensor, tf.Tensor]:
    """Flip, turn by a multiple of 90 degrees, and vary brightness and contrast by up to 20 %.

    Args:
        image: (S, S, 3) float32 in 0..255.
        mask: (S, S, 2) float32 one-hot.
        seed: two integers; the same seed gives the same result.

    Returns:
        The same shapes and ranges. Geometry is shared, so the mask stays one-hot.
    """
    seed = tf.cast(tf.stack(seed), tf.int32)
    chance = tf.random.stateless_uniform((4,), seed)
    both = tf.concat([image, mask], axis=-1)
    both = tf.image.rot90(both, tf.cast(chance[0] * 4, tf.int32))
    both = tf.cond(chance[1] < 0.5, lambda: both[:, ::-1], lambda: both)
    brightness, contrast = 0.8 + 0.4 * chance[2], 0.8 + 0.4 * chance[3]
    image = (both[..., :3] * brightness - 127.5) * contrast + 127.5
    image = tf.ensure_shape(tf.clip_by_value(image, 0.0, 255.0), image.shape)
    return image, tf.ensure_shape(both[..., 3:], mask.shape)
