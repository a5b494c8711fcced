from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from conftest import save
from skimage.transform import resize

import ensemble_seg as es
from ensemble_seg.reading.batches import augment, batches
from ensemble_seg.reading.pairs import Box, Pair

SMOKE = es.preset("smoke").replace(size=32)


def collect(dataset):
    images, masks = zip(*dataset.as_numpy_iterator(), strict=True)
    return np.concatenate(images), np.concatenate(masks)


def test_shapes_types_ranges_and_last_batch(disks):
    data = es.load_dataset(disks)
    stream = list(data.train.to_tf(SMOKE))
    assert [len(images) for images, _ in stream] == [4, 4, 4, 2]
    images, masks = collect(data.train.to_tf(SMOKE))
    assert images.shape == (14, 32, 32, 3)
    assert masks.shape == (14, 32, 32, 2)
    assert images.dtype == masks.dtype == np.float32
    assert images.min() >= 0
    assert 1 < images.max() <= 255
    assert set(np.unique(masks)) == {0.0, 1.0}
    np.testing.assert_array_equal(masks.sum(-1), 1)


def test_lesion_is_channel_one_and_lies_where_the_image_is_dark(disks):
    images, masks = collect(es.load_dataset(disks).train.to_tf(SMOKE))
    grey = images.mean(-1)
    assert grey[masks[..., 1] == 1].mean() < grey[masks[..., 0] == 1].mean() - 80


def test_without_training_the_order_is_that_of_the_pairs(disks):
    data = es.load_dataset(disks)
    _, masks = collect(data.test.to_tf(SMOKE))
    np.testing.assert_array_equal(masks[..., 1], data.test.masks(32))


def test_images_are_resized_with_anti_aliasing_and_masks_to_the_nearest(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype("uint8")
    smooth = (np.linspace(0, 255, 64)[:, None, None] * np.ones((64, 96, 3))).astype("uint8")
    mask = (np.random.default_rng(1).random((64, 96)) < 0.5).astype("uint8")
    truth = save(tmp_path / "mask.png", mask)
    pairs = [
        Pair(save(tmp_path / f"{n}.png", x), truth, n) for n, x in (("a", noise), ("b", smooth))
    ]
    images, masks = collect(batches([(pair, None) for pair in pairs], 32))
    # White noise loses spread when it is averaged over 2 x 3 pixels, not when it is picked.
    assert images[0].std() < 0.6 * noise.std()
    np.testing.assert_array_equal(masks[0, ..., 1], mask[1::2, 1::3])
    theirs = resize(smooth, (32, 32), order=1, anti_aliasing=True, preserve_range=True)
    assert np.abs(images[1] - theirs)[2:-2].max() < 1.5


def test_a_box_is_cut_before_the_resize(disks):
    data = es.load_dataset(disks)
    pair = data.train.pairs[0]
    split = replace(data.train.first(1), boxes=(Box(4, 6, 36, 38),))
    image, mask = collect(split.to_tf(SMOKE))
    np.testing.assert_allclose(image[0], es.read_image(pair.image)[4:36, 6:38], atol=1e-3)
    np.testing.assert_array_equal(mask[0, ..., 1], es.read_mask(pair.mask)[4:36, 6:38])


def test_training_goes_through_every_image_once_an_epoch_in_changing_order(disks):
    train = es.load_dataset(disks).train
    whole, _ = collect(train.to_tf(SMOKE))
    stream, _ = collect(train.to_tf(SMOKE.replace(epochs=3), training=True))
    epochs = stream.reshape(3, 14, -1)
    orders = []
    for epoch in epochs:
        order = [int(np.abs(whole.reshape(14, -1) - image).sum(1).argmin()) for image in epoch]
        assert sorted(order) == list(range(14))
        orders.append(order)
    assert orders[0] != orders[1] != orders[2]


@pytest.mark.parametrize("augmented", [False, True])
def test_a_resumed_stream_is_the_rest_of_the_whole_one(disks, augmented):
    train = es.load_dataset(disks).train
    preset = SMOKE.replace(epochs=3, augment=augmented)
    preset = preset.replace(warp=0.2) if augmented else preset
    whole, _ = collect(train.to_tf(preset, training=True))
    rest, _ = collect(train.to_tf(preset, training=True, first_epoch=2))
    np.testing.assert_array_equal(whole[28:], rest)


def test_seeds_change_order_and_augmentation(disks):
    train = es.load_dataset(disks).train
    streams = [
        collect(train.to_tf(SMOKE.replace(augment=True, seed=seed), training=True))[0]
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(streams[0], streams[1])
    assert not np.array_equal(streams[0], streams[2])


def test_augmentation_moves_image_and_mask_together():
    mask = np.zeros((16, 16), "int32")
    mask[2:6, 3:12] = 1
    one_hot = tf.one_hot(mask, 2)
    image = tf.cast(tf.stack([mask * 100 + 50] * 3, axis=-1), tf.float32)
    seen = set()
    for seed in range(60):
        moved, moved_mask = augment(image, one_hot, [0, seed])
        lesion = moved_mask.numpy()[..., 1]
        assert moved.shape == image.shape
        assert set(np.unique(lesion)) == {0.0, 1.0}
        assert lesion.sum() == mask.sum()
        assert moved.numpy()[lesion == 1].min() > moved.numpy()[lesion == 0].max()
        assert moved.numpy().min() >= 0
        assert moved.numpy().max() <= 255
        seen.add(lesion.tobytes())
    assert len(seen) == 8  # the symmetries of a square


def test_warp_turns_and_zooms_image_and_mask_together():
    rows, columns = np.ogrid[:64, :64]
    mask = ((rows - 31.5) ** 2 + (columns - 31.5) ** 2 < 10**2).astype("int32")
    image = tf.cast(tf.stack([mask * 100 + 50] * 3, axis=-1), tf.float32)
    areas, shapes = [], set()
    for seed in range(40):
        moved, moved_mask = augment(image, tf.one_hot(mask, 2), [0, seed], warp=0.3)
        lesion, bright = moved_mask.numpy()[..., 1], moved.numpy()[..., 0]
        np.testing.assert_array_equal(moved_mask.numpy().sum(axis=-1), 1)
        assert set(np.unique(lesion)) == {0.0, 1.0}
        halfway = (bright.max() + bright.min()) / 2
        assert ((bright > halfway) == (lesion == 1)).mean() > 0.99  # but for the rim
        areas.append(lesion.sum() / mask.sum())
        shapes.add(lesion.tobytes())
    assert 0.95 / 1.3**2 < min(areas) < 0.8
    assert 1.25 < max(areas) < 1.05 * 1.3**2
    assert len(shapes) == 40


def test_warp_is_one_affine_map_of_the_whole_image():
    rows, columns = np.mgrid[:48, :48].astype("float32")
    image = np.stack([rows, columns, np.zeros_like(rows)], axis=-1) + 60
    mask = tf.one_hot(np.zeros((48, 48), "int32"), 2)
    for seed in range(20):
        moved, _ = augment(tf.constant(image), mask, [1, seed], warp=0.3)
        inside = (slice(20, 28), slice(20, 28))  # nothing is reflected there
        places = np.stack([rows[inside], columns[inside], np.ones((8, 8))], axis=-1).reshape(-1, 3)
        colours = moved.numpy()[inside].reshape(-1, 3)
        linear = np.linalg.lstsq(places, colours, rcond=None)[0]
        np.testing.assert_allclose(places @ linear, colours, atol=1e-3)
        strengths = np.linalg.svd(linear[:2, :2], compute_uv=False)
        assert strengths.min() > 0.64 / 1.3 - 1e-3 and strengths.max() < 1.44 * 1.3 + 1e-3


def test_validation_is_never_augmented(disks):
    train = es.load_dataset(disks).train
    plain, _ = collect(train.to_tf(SMOKE))
    still_plain, _ = collect(train.to_tf(SMOKE.replace(augment=True)))
    np.testing.assert_array_equal(plain, still_plain)
