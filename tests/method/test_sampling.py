import numpy as np
import pytest
import tensorflow as tf
from conftest import save
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

import ensemble_seg as es

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
        whole = es.Split(pairs_of(tmp_path, [small, mask]), "train", tmp_path)
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
        pairs.append(es.Pair(path, path, str(number)))
    return tuple(pairs)


@settings(max_examples=400, deadline=None)
@given(MASKS, MARGINS)
@example(np.zeros((5, 5), "uint8"), (20, 10))
@example(np.ones((5, 5), "uint8"), (20, 10))
@example(np.ones((1, 1), "uint8"), ())
@example(np.pad(np.ones((1, 1), "uint8"), 20), (20, 10))
@example(np.pad(np.ones((30, 1), "uint8"), ((10, 9), (19, 20))), (20, 10))
def test_ratio_and_box_agree_with_brute_force(mask, margin):
    assert es.imbalance_ratio(mask) == brute_force_ratio(mask)
    assert es.lesion_box(mask, margin) == brute_force_box(mask, margin)


@settings(max_examples=150, deadline=None)
@given(MASKS, MARGINS)
def test_boxes_of_single_lesions_agree_with_brute_force(mask, margin):
    numbered, number = ndimage.label(mask, np.ones((3, 3)))
    expected = [brute_force_box(numbered == n + 1, margin) for n in range(number)]
    assert sorted(es.lesion_boxes(mask, margin)) == sorted(expected)


@settings(max_examples=15, deadline=None)
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
    changed = es.sampling_data(data, es.preset("smoke"))
    assert len(changed.train.boxes) == len(changed.train.pairs) > 0
    assert changed.validation == data.validation
    assert changed.test == data.test


def test_a_crop_cannot_be_cropped_again(disks):
    crops, _ = es.crop_split(es.load_dataset(disks).train)
    with pytest.raises(ValueError, match="holds crops already"):
        es.crop_split(crops)
    with pytest.raises(ValueError, match=r"No image of 14 has background / lesion >= 1000000.0"):
        es.crop_split(es.load_dataset(disks).train, threshold=1e6)


@pytest.mark.parametrize("margin", [-3, (20, -1), (2.5,)])
def test_bad_margin(margin):
    for function in (lambda m: es.lesion_box(np.ones((3, 3)), m), lambda m: es.lesion_crops(3, m)):
        with pytest.raises(ValueError, match="`margin`. Expected non-negative whole pixels"):
            function(margin)


@pytest.mark.parametrize(
    "mask",
    [
        np.full((4, 4), 255, "uint8"),
        np.zeros((4, 4, 2)),
        np.full((2, 2), 0.5),
        np.ones(4),
        -np.eye(2),
    ],
)
def test_bad_mask(mask):
    for function in (es.imbalance_ratio, es.lesion_box, es.lesion_boxes):
        with pytest.raises(ValueError, match="`mask`. Expected an array"):
            function(mask)
