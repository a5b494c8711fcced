import numpy as np
import pytest
import tensorflow as tf
from conftest import save
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

import ensemble_seg as es
from ensemble_seg.datasets import Split
from ensemble_seg.reading.pairs import Pair

MASKS = arrays(
    np.uint8,
    array_shapes(min_dims=2, max_dims=2, max_side=24),
    elements=st.integers(0, 1),
    fill=st.just(0),
) | st.tuples(
    st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.floats(0, 1)
).map(lambda t: (np.random.default_rng(t[2]).random(t[:2]) < t[3] ** 3).astype("uint8"))
MARGINS = st.lists(st.integers(0, 12), max_size=3).map(tuple)


def brute_force_ratio(mask):
    lesion = sum(int(value) for row in mask for value in row)
    return (mask.size - lesion) / lesion if lesion else np.inf


def brute_force_box(mask, margin):
    """Walk outwards pixel by pixel, as a person with a ruler would."""
    points = [(r, c) for r in range(mask.shape[0]) for c in range(mask.shape[1]) if mask[r, c]]
    if not points:
        return None
    rows, columns = [r for r, _ in points], [c for _, c in points]
    top, left, bottom, right = min(rows), min(columns), max(rows), max(columns)

    def fitting(space):
        for pixels in margin:
            if pixels <= space:
                return pixels
        return 0

    return (
        top - fitting(top),
        left - fitting(left),
        bottom + 1 + fitting(mask.shape[0] - 1 - bottom),
        right + 1 + fitting(mask.shape[1] - 1 - right),
    )


def test_defaults_are_the_published_ones(tmp_path):
    """Margins 20, then 10; ratios of 3 are kept, of less are not."""
    mask = np.zeros((100, 100), "uint8")
    mask[12:40, 50:95] = 1
    box = (2, 30, 60, 95)  # 12 - 10, 50 - 20, 40 + 20, and at 95 neither fits
    assert es.lesion_box(mask) == box
    assert es.lesion_boxes(mask) == [box]
    for lesion, kept in ((25, 1), (26, 0)):  # of 100 pixels: 75 / 25 = 3, 74 / 26 < 3
        small = np.zeros(100, "uint8")
        small[:lesion] = 1
        small = small.reshape(10, 10)
        full = tf.data.Dataset.from_tensors((np.ones((10, 10, 3), "uint8"), small))
        assert es.lesion_crops().count(full) == (kept, 1 - kept, 0, kept)
        whole = Split(pairs_of(tmp_path, [small, mask]), "train", tmp_path)
        crops, counts = es.crop_split(whole)
        assert counts == (1 + kept, 1 - kept, 0, 1 + kept)
        assert crops.boxes[-1] == box
    two = mask.copy()
    two[80:90, 5:10] = 1
    full = tf.data.Dataset.from_tensors((np.ones((100, 100, 3), "uint8"), two))
    # 12 - 10, 5 and 95 have no room, 90 + 10: one crop of both lesions.
    assert [m.shape for _, m in full.apply(es.lesion_crops()).as_numpy_iterator()] == [(98, 90)]
    shapes = [m.shape for _, m in full.apply(es.lesion_crops(each_lesion=True))]
    assert shapes == [(58, 65), (40, 25)]


def pairs_of(folder, masks):
    pairs = []
    for number, mask in enumerate(masks):
        path = save(folder / f"m{number}.png", mask * 255)
        pairs.append(Pair(path, path, str(number)))
    return tuple(pairs)


def test_moves_of_crops_by_hand(tmp_path):
    mask = np.zeros((50, 70), "uint8")
    mask[20:28, 30:50] = 1
    whole = Split(pairs_of(tmp_path, [mask] * 6), "train", tmp_path)
    crops, _ = es.crop_split(whole, 3.0, 5)
    assert set(crops.boxes) == {(15, 25, 33, 55)}
    for options, seed in (({}, 0), ({"seed": 7}, 7)):
        expected = []
        for down, right in np.random.default_rng(seed).uniform(-1, 1, (6, 2)):
            top = min(max(round(15 + 18 * down), 0), 50 - 18)
            left = min(max(round(25 + 30 * right), 0), 70 - 30)
            expected.append((top, left, top + 18, left + 30))
        assert es.shift_crops(crops, 1, **options).boxes == tuple(expected)
    for share in (-0.1, 1.1):
        with pytest.raises(ValueError, match="`share`. Expected a number from 0 to 1"):
            es.shift_crops(crops, share)


def test_a_mask_of_one_dimension_or_with_1_and_2_is_refused():
    for mask in (np.ones(4, "uint8"), np.array([[1, 2]], "uint8"), np.array([[-1, 0]])):
        with pytest.raises(ValueError, match="`mask`. Expected an array .H, W. of 0 and 1"):
            es.imbalance_ratio(mask)


@settings(max_examples=1000, deadline=None)
@given(MASKS, MARGINS)
@example(np.zeros((5, 5), "uint8"), (20, 10))
@example(np.ones((5, 5), "uint8"), (20, 10))
@example(np.ones((1, 1), "uint8"), ())
@example(np.pad(np.ones((1, 1), "uint8"), 20), (20, 10))
@example(np.pad(np.ones((30, 1), "uint8"), ((10, 9), (19, 20))), (20, 10))
def test_ratio_and_box_agree_with_brute_force(mask, margin):
    assert es.imbalance_ratio(mask) == brute_force_ratio(mask)
    assert es.lesion_box(mask, margin) == brute_force_box(mask, margin)


@settings(max_examples=300, deadline=None)
@given(MASKS, MARGINS)
def test_boxes_of_single_lesions_agree_with_brute_force(mask, margin):
    numbered, number = ndimage.label(mask, np.ones((3, 3)))
    expected = [brute_force_box(numbered == n + 1, margin) for n in range(number)]
    assert sorted(es.lesion_boxes(mask, margin)) == sorted(expected)


@settings(max_examples=100, deadline=None)
@given(MASKS)
def test_masks_of_all_types_give_the_same(mask):
    for other in (
        mask.astype(bool),
        mask.astype("int64"),
        mask.astype("float32"),
        mask[::-1][::-1],
    ):
        assert es.imbalance_ratio(other) == brute_force_ratio(mask)
        assert es.lesion_box(other, (5, 2)) == brute_force_box(mask, (5, 2))


@settings(max_examples=60, deadline=None)
@given(st.lists(MASKS, min_size=1, max_size=4), st.sampled_from([(20, 10), (5, 2), (3,), ()]))
def test_crops_of_a_dataset_are_those_of_brute_force(masks, margin):
    images = [np.random.default_rng(n).random((*m.shape, 3)) for n, m in enumerate(masks)]
    shapes = (
        tf.TensorSpec((None, None, 3), tf.float64),
        tf.TensorSpec((None, None), masks[0].dtype),
    )
    full = tf.data.Dataset.from_generator(
        lambda: zip(images, masks, strict=True), output_signature=shapes
    )
    expected = []
    for image, mask in zip(images, masks, strict=True):
        box = brute_force_box(mask, margin)
        if box is not None and brute_force_ratio(mask) >= 3:
            top, left, bottom, right = box
            expected += [image[top:bottom, left:right], mask[top:bottom, left:right]]
    found = list(full.apply(es.lesion_crops(3.0, margin)).as_numpy_iterator())
    flat = [array for crop in found for array in crop]
    assert len(flat) == len(expected)
    for ours, theirs in zip(flat, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_each_lesion_of_a_dataset_is_a_crop_and_counted():
    mask = np.zeros((1, 20, 20), "uint8")
    mask[0, 1:3, 1:4] = mask[0, 10:12, 15:19] = 1
    full = tf.data.Dataset.from_tensor_slices((np.ones((1, 20, 20, 3), "uint8"), mask))
    shapes = [crop.shape for _, crop in full.apply(es.lesion_crops(3.0, 1, each_lesion=True))]
    assert shapes == [(4, 5), (4, 6)]
    assert es.lesion_crops(3.0, 1, each_lesion=True).count(full) == (1, 0, 0, 2)


def test_a_mask_of_255_in_a_dataset_is_refused():
    mask = np.full((1, 8, 8), 255, "uint8")
    full = tf.data.Dataset.from_tensor_slices((np.ones((1, 8, 8, 3), "uint8"), mask))
    with pytest.raises(tf.errors.InvalidArgumentError, match="Expected an array .H, W. of 0 and 1"):
        list(full.apply(es.lesion_crops()))


def three_images():
    """Ratios 3 (just kept), below 3 (dropped), and no lesion."""
    masks = np.zeros((3, 8, 8), "uint8")
    masks[0, :4, 2:6] = 1
    masks[1, :4, 2:6] = masks[1, 7, 7] = 1
    images = np.arange(3 * 8 * 8 * 3, dtype="uint8").reshape(3, 8, 8, 3)
    return images, masks


@pytest.mark.parametrize("each", [False, True])
def test_crops_of_a_dataset(each):
    images, masks = three_images()
    dataset = tf.data.Dataset.from_tensor_slices((images, masks))
    crops = list(dataset.apply(es.lesion_crops(3.0, (1,), each)).as_numpy_iterator())
    assert len(crops) == 1
    np.testing.assert_array_equal(crops[0][0], images[0, :5, 1:7])
    np.testing.assert_array_equal(crops[0][1], masks[0, :5, 1:7])
    assert es.lesion_crops(3.0, (1,), each).count(dataset) == (1, 1, 1, 1)


def test_each_lesion_gives_a_crop_of_its_own():
    mask = np.zeros((30, 30), "uint8")
    mask[2:5, 2:5] = mask[20:22, 10:14] = 1
    image = np.random.default_rng(0).integers(0, 256, (30, 30, 3), "uint8")
    dataset = tf.data.Dataset.from_tensors((image, mask))
    shapes = [m.shape for _, m in dataset.apply(es.lesion_crops(margin=(1,), each_lesion=True))]
    assert sorted(map(tuple, shapes)) == [(4, 6), (5, 5)]
    assert es.lesion_crops(each_lesion=True).count(dataset) == (1, 0, 0, 2)


def test_crop_table_finds_what_the_graph_finds(disks):
    data = es.load_dataset(disks)
    split, counts = es.crop_split(data.train, 3.0, (3, 1))
    whole = tf.data.Dataset.from_generator(
        lambda: ((es.read_image(p.image), es.read_mask(p.mask)) for p in data.train.pairs),
        output_signature=(
            tf.TensorSpec((None, None, 3), tf.uint8),
            tf.TensorSpec((None, None), tf.uint8),
        ),
    )
    transform = es.lesion_crops(3.0, (3, 1))
    assert transform.count(whole) == counts
    for (pair, box), (image, mask) in zip(split.windows, whole.apply(transform), strict=True):
        top, left, bottom, right = box
        full = es.read_image(pair.image)
        np.testing.assert_array_equal(image, full[top:bottom, left:right])
        assert mask.shape == image.shape[:2]


def test_sampled_changes_training_data_only(disks):
    data = es.load_dataset(disks)
    changed = es.sampled(data, es.preset("smoke"))
    assert len(changed.train.boxes) == len(changed.train.pairs) > 0
    assert changed.validation == data.validation
    assert changed.test == data.test


def test_a_crop_cannot_be_cropped_again(disks):
    crops, _ = es.crop_split(es.load_dataset(disks).train)
    with pytest.raises(ValueError, match="holds crops already"):
        es.crop_split(crops)


def test_nothing_left_says_why(disks):
    train = es.load_dataset(disks).train
    with pytest.raises(ValueError, match=r"No image of 14 has background / lesion >= 1000000.0"):
        es.crop_split(Split(train.pairs, "train", train.folder), threshold=1e6)


@pytest.mark.parametrize("margin", [-3, (20, -1), (2.5,)])
def test_bad_margin(margin):
    for function in (lambda m: es.lesion_box(np.ones((3, 3)), m), lambda m: es.lesion_crops(3, m)):
        with pytest.raises(ValueError, match="`margin`. Expected non-negative whole pixels"):
            function(margin)


@pytest.mark.parametrize("mask", [np.full((4, 4), 255), np.zeros((4, 4, 2)), np.full((2, 2), 0.5)])
def test_bad_mask(mask):
    for function in (es.imbalance_ratio, es.lesion_box, es.lesion_boxes):
        with pytest.raises(ValueError, match="`mask`. Expected an array"):
            function(mask)


def test_crops_move_inside_their_image_and_keep_their_size(disks):
    train = es.load_dataset(disks).train
    crops, _ = es.crop_split(train, 0, 2)
    moved = es.shift_crops(crops, 0.5, seed=3)
    assert moved.pairs == crops.pairs
    away = []
    for old, new in zip(crops.boxes, moved.boxes, strict=True):
        height, width = old.bottom - old.top, old.right - old.left
        assert (new.bottom - new.top, new.right - new.left) == (height, width)
        assert new.top >= 0 and new.bottom <= 40 and new.left >= 0 and new.right <= 48
        away.append(((new.top - old.top) / height, (new.left - old.left) / width))
    assert 0.2 < np.abs(away).max() <= 0.5 + 1 / 8
    assert es.shift_crops(crops, 0.5, seed=3) == moved != es.shift_crops(crops, 0.5, seed=4)
    assert es.shift_crops(crops, 0).boxes == crops.boxes
    with pytest.raises(ValueError, match="holds whole images"):
        es.shift_crops(train, 0.5)


def test_the_preset_shifts_the_crops_of_the_sampling_model_alone(disks, tmp_path):
    data, preset = es.load_dataset(disks), es.preset("smoke")
    plain = es.sampling_data(data, preset).train
    assert es.sampling_data(data, preset.replace(shift=0.3)).train.boxes != plain.boxes
    paths = [es.run_path(data, preset.replace(shift=s), "main", tmp_path) for s in (0.0, 0.3)]
    assert paths[0] == paths[1]
