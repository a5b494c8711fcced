"""From files to batches: tf.data of float32 images 0..255 and one-hot masks.

A batch depends on the seed, the epoch and the pair alone, never on threads or on what ran before,
so that a training that was interrupted goes on with the very batches it would have seen.
"""

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf

from ..presets import Preset
from .lesion_values import LesionValues
from .windows import Windows, cached_reader, small_pair

THREADS = ThreadPoolExecutor(os.cpu_count(), "ensemble_seg")
AHEAD = 2  # batches


def batches(
    windows: Windows,
    size: int,
    batch_size: int = 8,
    cache: str | Path | None = None,
    lesion_values: LesionValues | None = None,
) -> tf.data.Dataset:
    """Stream pairs of files as batches: one pass, in their order.

    Args:
        windows: pairs to read, each with the box that is cut out before the resize, or None.
        size: side of the images and masks, pixels.
        batch_size: pairs in a batch.
        cache: folder for the resized images and masks, 4 bytes a pixel, so that the files are
            decoded once; ENSEMBLE_SEG_CACHE_DIR where it is None. Where that is unset too, the
            files are decoded in each epoch.
        lesion_values: as in `read_mask`.

    Returns:
        tf.data.Dataset of (images, masks): (B, size, size, 3) float32 in 0..255, and
        (B, size, size, 2) float32 one-hot, channel 0 background and channel 1 lesion. The last
        batch may be smaller.
    """
    load = _loader(windows, size, cache, lesion_values)
    numbers = tf.data.Dataset.range(len(windows)).batch(batch_size)
    return _ahead(numbers.map(load, num_parallel_calls=AHEAD))


def training_batches(
    windows: Windows,
    preset: Preset,
    first_epoch: int = 0,
    cache: str | Path | None = None,
    lesion_values: LesionValues | None = None,
) -> tf.data.Dataset:
    """Stream them for a training: shuffled in each epoch, augmented if the preset says so.

    Args:
        windows, cache, lesion_values: as in `batches`.
        preset: its size, batch_size, epochs, augment, warp and seed are used.
        first_epoch: epochs that were trained before; goes on from there to the preset's last.

    Returns:
        As `batches`. The last batch of an epoch may be smaller.
    """
    load = _loader(windows, preset.size, cache, lesion_values)

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
            lambda example: augment(*example[:2], [preset.seed, example[2]], preset.warp),
            (images, masks, seeds),
            fn_output_signature=(tf.float32, tf.float32),
        )

    steps = (preset.epochs - first_epoch) * -(-len(windows) // preset.batch_size)
    dataset = tf.data.Dataset.range(first_epoch, preset.epochs).flat_map(one_epoch)
    return _ahead(dataset.apply(tf.data.experimental.assert_cardinality(steps)))


def _ahead(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Prefetch without AUTOTUNE: its thread sleeps ever longer, and the end waits for it."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.prefetch(AHEAD).with_options(options)


def _loader(
    windows: Windows, size: int, cache: str | Path | None, lesion_values: LesionValues | None
) -> Callable:
    """Return a function from a tensor of window numbers to their batch."""
    cache = cache or os.environ.get("ENSEMBLE_SEG_CACHE_DIR")
    read = _batch_reader(windows, size, cache, lesion_values)

    def load(numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        kinds = (tf.uint8, tf.uint8)
        images, masks = tf.numpy_function(read, [numbers], kinds, stateful=False)
        images = tf.cast(tf.ensure_shape(images, (None, size, size, 3)), tf.float32)
        return images, tf.one_hot(tf.ensure_shape(masks, (None, size, size)), 2)

    return load


def _batch_reader(
    windows: Windows, size: int, cache: str | Path | None, lesion_values: LesionValues | None
) -> Callable:
    """Return a function of window numbers that reads them side by side and stacks them."""
    if cache:
        read = cached_reader(windows, size, cache, lesion_values)
    else:

        def read(number):
            return small_pair(*windows[number], size, lesion_values)

    def read_batch(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        images, masks = zip(*THREADS.map(read, numbers), strict=True)
        return np.stack(images), np.stack(masks)

    return read_batch


def augment(
    image: tf.Tensor, mask: tf.Tensor, seed, warp: float = 0.0
) -> tuple[tf.Tensor, tf.Tensor]:
    """Flip, turn by a multiple of 90 degrees, and vary brightness and contrast by up to 20 %.

    Args:
        image: (S, S, 3) float32 in 0..255.
        mask: (S, S, 2) float32 one-hot.
        seed: two integers; the same seed gives the same result.
        warp: above 0, turn by any angle as well, and zoom height and width, each by its own factor
            from 1 / (1 + warp) to 1 + warp, about a random point. What comes in from outside is
            the image reflected.

    Returns:
        The same shapes and ranges. Geometry is shared, so the mask stays one-hot.
    """
    seed = tf.cast(tf.stack(seed), tf.int32)
    chance = tf.random.stateless_uniform((4,), seed)
    both = tf.concat([image, mask], axis=-1)
    both = tf.image.rot90(both, tf.cast(chance[0] * 4, tf.int32))
    both = tf.cond(chance[1] < 0.5, lambda: both[:, ::-1], lambda: both)
    image, moved = both[..., :3], both[..., 3:]
    if warp > 0:
        inverse = _random_affine(tf.random.experimental.stateless_fold_in(seed, 1), mask, warp)
        image, moved = _warped(image, inverse, "BILINEAR"), _warped(moved, inverse, "NEAREST")
    brightness, contrast = 0.8 + 0.4 * chance[2], 0.8 + 0.4 * chance[3]
    image = (image * brightness - 127.5) * contrast + 127.5
    image = tf.ensure_shape(tf.clip_by_value(image, 0.0, 255.0), (*mask.shape[:2], 3))
    return image, tf.ensure_shape(moved, mask.shape)


def _random_affine(seed: tf.Tensor, mask: tf.Tensor, warp: float) -> tf.Tensor:
    """Draw where each pixel comes from: (1, 8), the rows of a projective transform, x before y."""
    chance = tf.random.stateless_uniform((5,), seed)
    angle = 2 * math.pi * chance[0]
    shrink = (1 + warp) ** (1 - 2 * chance[1:3])  # distances in the source, by those in the result
    middle = (tf.cast(tf.shape(mask)[:2], tf.float32) - 1) / 2
    turn = tf.stack([[tf.cos(angle), -tf.sin(angle)], [tf.sin(angle), tf.cos(angle)]])
    matrix = turn * shrink
    fixed = middle * 2 * chance[3:]  # the point that stays where it is, but for the turn
    shift = middle + tf.linalg.matvec(turn, (1 - shrink) * (fixed - middle))
    shift -= tf.linalg.matvec(matrix, middle)
    return tf.concat([matrix[0], shift[:1], matrix[1], shift[1:], [0.0, 0.0]], axis=0)[None]


def _warped(picture: tf.Tensor, inverse: tf.Tensor, interpolation: str) -> tf.Tensor:
    # Not keras.ops.image.affine_transform: inside tf.data it works with one backend of Keras only.
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=picture[None],
        transforms=inverse,
        output_shape=tf.shape(picture)[:2],
        fill_value=0.0,
        interpolation=interpolation,
        fill_mode="REFLECT",
    )[0]
