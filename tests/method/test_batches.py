from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

import ensemble_seg as es
from ensemble_seg.batches import augment

SMOKE = es.preset("smoke").replace(size=32)


def collect(dataset):
    images, masks = zip(*dataset.as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(masks)


def test_shapes_types_ranges_and_last_batch(disks):
    train = es.load_dataset(disks).train
    assert [len(images) for images, _ in train.to_tf(SMOKE)] == [4, 4, 4, 2]
    images, masks = collect(train.to_tf(SMOKE))
    assert (images.shape, masks.shape) == ((14, 32, 32, 3), (14, 32, 32, 2))
    assert images.dtype == masks.dtype == np.float32
    assert images.min() >= 0 and 1 < images.max() <= 255
    assert set(np.unique(masks)) == {0.0, 1.0}
    np.testing.assert_array_equal(masks.sum(-1), 1)


def test_without_training_the_order_is_that_of_the_pairs_and_nothing_is_augmented(disks):
    test = es.load_dataset(disks).test
    images, masks = collect(test.to_tf(SMOKE))
    np.testing.assert_array_equal(masks[..., 1], test.masks(32))
    np.testing.assert_array_equal(collect(test.to_tf(SMOKE.replace(augment=True)))[0], images)


def test_a_box_is_cut_before_the_resize(disks):
    split = es.load_dataset(disks).train.first(1)
    image, mask = collect(replace(split, boxes=(es.Box(4, 6, 36, 38),)).to_tf(SMOKE))
    np.testing.assert_array_equal(image[0], es.read_image(split.pairs[0].image)[4:36, 6:38])
    np.testing.assert_array_equal(mask[0, ..., 1], es.read_mask(split.pairs[0].mask)[4:36, 6:38])


def test_every_epoch_shows_all_images_once_in_an_order_of_its_own(disks):
    train = es.load_dataset(disks).train
    whole = collect(train.to_tf(SMOKE))[0].reshape(14, -1)
    stream, _ = collect(train.to_tf(SMOKE.replace(epochs=3), training=True))
    orders = []
    for epoch in stream.reshape(3, 14, -1):
        orders.append([int(np.abs(whole - image).sum(1).argmin()) for image in epoch])
        assert sorted(orders[-1]) == list(range(14))
    assert orders[0] != orders[1] != orders[2] != orders[0]


@pytest.mark.parametrize("augmented", [False, True])
def test_a_resumed_stream_is_the_rest_of_the_whole_one(disks, augmented):
    train = es.load_dataset(disks).train
    preset = SMOKE.replace(epochs=3, augment=augmented)
    images, masks = collect(train.to_tf(preset, training=True))
    for done in (1, 2):
        rest = collect(train.to_tf(preset, training=True, first_epoch=done))
        np.testing.assert_array_equal(rest[0], images[14 * done :])
        np.testing.assert_array_equal(rest[1], masks[14 * done :])


def test_the_seed_decides_order_and_augmentation(disks):
    train = es.load_dataset(disks).train
    first, same, other = (
        collect(train.to_tf(SMOKE.replace(augment=True, seed=seed), training=True))[0]
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_an_image_is_augmented_otherwise_in_each_epoch(disks):
    one = es.load_dataset(disks).train.first(1)
    preset = SMOKE.replace(augment=True, epochs=20, batch_size=1)
    images, _ = collect(one.to_tf(preset, training=True))
    assert len({image.tobytes() for image in images}) == 20


def test_augmentation_moves_image_and_mask_together():
    mask = np.zeros((16, 16), "int32")
    mask[2:6, 3:12] = 1
    image = tf.cast(tf.stack([mask * 100 + 50] * 3, axis=-1), tf.float32)
    seen, brightness = set(), []
    for seed in range(80):
        moved, moved_mask = (
            each.numpy() for each in augment(image, tf.one_hot(mask, 2), [0, seed])
        )
        lesion = moved_mask[..., 1]
        assert moved.shape == image.shape
        np.testing.assert_array_equal(moved_mask.sum(-1), 1)
        assert lesion.sum() == mask.sum()
        assert np.ptp(moved[lesion == 1]) == np.ptp(moved[lesion == 0]) == 0
        dark, bright = moved[lesion == 0].max(), moved[lesion == 1].max()
        assert 0 <= dark < bright <= 255
        seen.add(lesion.tobytes())
        brightness.append((bright - dark) / 100)
    assert len(seen) == 8  # the symmetries of a square
    # Brightness and contrast, each within a fifth: 0.64 to 1.44 times the difference.
    assert 0.64 <= min(brightness) < 0.8 and 1.2 < max(brightness) <= 1.44
