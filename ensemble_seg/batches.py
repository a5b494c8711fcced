"""From files to batches: tf.data of float32 images 0..255 and one-hot masks.

A batch depends on the seed, the epoch and the pair alone, never on threads or on what ran before,
so that a training that was interrupted goes on with the very batches it would have seen.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf

from .presets import Preset
from .reading import Box, small_image, small_mask

THREADS = ThreadPoolExecutor(os.cpu_count(), "ensemble_seg")
AHEAD = 2  # batches

Windows = Sequence[tuple[tuple[Path, Path, str], Box | None]]  # a pair, and the box to cut out


def batches(windows: Windows, size: int, batch_size: int = 8) -> tf.data.Dataset:
    """Stream pairs of files as batches: one pass, in their order.

    Args:
        windows: pairs to read, each with the box that is cut out before the resize, or None.
        size: side of the images and masks, pixels.
        batch_size: pairs in a batch.

    Returns:
        tf.data.Dataset of (images, masks): (B, size, size, 3) float32 in 0..255, and
        (B, size, size, 2) float32 one-hot, channel 0 background and channel 1 lesion. The last
        batch may be smaller.
    """
    numbers = tf.data.Dataset.range(len(windows)).batch(batch_size)
    return _ahead(numbers.map(_loader(windows, size), num_parallel_calls=AHEAD))


def training_batches(windows: Windows, preset: Preset, first_epoch: int = 0) -> tf.data.Dataset:
    """Stream pairs of files for a training: shuffled in each epoch, augmented if so preset.

    Args:
        windows: as in `batches`.
        preset: its size, batch_size, epochs, augment and seed are used.
        first_epoch: epochs that were trained before; goes on from there to the preset's last.

    Returns:
        As `batches`. The last batch of an epoch may be smaller.
    """
    load = _loader(windows, preset.size)

    def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        order = tf.range(len(windows), dtype=tf.int64)
        order = tf.random.experimental.stateless_shuffle(order, [preset.seed, epoch])
        numbers = tf.data.Dataset.from_tensor_slices(order).batch(preset.batch_size)
        return numbers.map(lambda batch: augmented(batch, epoch), num_parallel_calls=AHEAD)

    def augmented(numbers: tf.Tensor, epoch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, masks = load(numbers)
        if not preset.augment:
            return images, masks
        seeds = numbers + epoch * len(windows)
        return tf.map_fn(
            lambda example: augment(*example[:2], [preset.seed, example[2]]),
            (images, masks, seeds),
            fn_output_signature=(tf.float32, tf.float32),
        )

    steps = (preset.epochs - first_epoch) * -(-len(windows) // preset.batch_size)
    dataset = tf.data.Dataset.range(first_epoch, preset.epochs).flat_map(one_epoch)
    return _ahead(dataset.apply(tf.data.experimental.assert_cardinality(steps)))


def augment(image: tf.Tensor, mask: tf.Tensor, seed) -> tuple[tf.Tensor, tf.Tensor]:
    """Flip, turn by a multiple of 90 degrees, vary brightness and contrast by up to 20 %.

    Contrast is about the grey 127.5.

    Args:
        image: (S, S, 3) float32 in 0..255.
        mask: (S, S, 2) float32 one-hot.
        seed: two integers; the same seed gives the same result.

    Returns:
        The same shapes and ranges. Geometry is shared, so the mask stays one-hot.
    """
    chance = tf.random.stateless_uniform((4,), tf.cast(tf.stack(seed), tf.int32))
    both = tf.concat([image, mask], axis=-1)
    both = tf.image.rot90(both, tf.cast(chance[0] * 4, tf.int32))
    both = tf.cond(chance[1] < 0.5, lambda: both[:, ::-1], lambda: both)
    image, moved = both[..., :3], both[..., 3:]
    brightness, contrast = 0.8 + 0.4 * chance[2], 0.8 + 0.4 * chance[3]
    image = (image * brightness - 127.5) * contrast + 127.5
    image = tf.ensure_shape(tf.clip_by_value(image, 0.0, 255.0), (*mask.shape[:2], 3))
    return image, tf.ensure_shape(moved, mask.shape)


def _ahead(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Prefetch without AUTOTUNE: its thread sleeps ever longer, and the last batch waits."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.prefetch(AHEAD).with_options(options)


def _loader(windows: Windows, size: int) -> Callable:
    """Return a function from a tensor of window numbers to their batch."""

    def read(number: int) -> tuple[np.ndarray, np.ndarray]:
        (image, mask, _), box = windows[number]
        return small_image(image, size, box), small_mask(mask, size, box)

    def read_batch(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        images, masks = zip(*THREADS.map(read, numbers), strict=True)
        return np.stack(images), np.stack(masks)

    def load(numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        kinds = (tf.uint8, tf.uint8)
        images, masks = tf.numpy_function(read_batch, [numbers], kinds, stateful=False)
        images = tf.cast(tf.ensure_shape(images, (None, size, size, 3)), tf.float32)
        return images, tf.one_hot(tf.ensure_shape(masks, (None, size, size)), 2)

    return load
