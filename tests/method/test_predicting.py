import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from skimage.segmentation import find_boundaries
from tiny import threshold_model

import ensemble_seg as es
from ensemble_seg.predicting import own_size_masks


def dark_square(height, width):
    image = np.full((height, width, 3), 200, "uint8")
    image[height // 4 : height // 2, width // 4 : width // 2] = 50
    return image


@pytest.mark.parametrize("size", [(32, 32), (100, 61), (20, 300)])
def test_masks_have_the_size_of_their_image(size):
    result = es.predict_image(threshold_model(120), dark_square(*size))
    assert result.mask.shape == result.probability.shape == result.disagreement.shape == size
    assert (result.mask == (dark_square(*size)[..., 0] == 50)).mean() > 0.95
    assert result.mask.dtype == np.uint8
    assert not result.disagreement.any()
    np.testing.assert_array_equal(result.probabilities[..., 1], result.probability)
    np.testing.assert_allclose(result.probabilities.sum(-1), 1, atol=1e-6)


def test_disagreement_of_members():
    ensemble = es.build_ensemble([threshold_model(120), threshold_model(20)])
    image = dark_square(32, 32)
    result = es.predict_image(ensemble, image)
    dark = image[..., 0] == 50
    np.testing.assert_allclose(result.disagreement, dark, atol=1e-3)
    np.testing.assert_allclose(result.probability[dark], 1.01 / 2.01, atol=1e-3)
    np.testing.assert_array_equal(result.mask, dark)


@pytest.mark.parametrize("size", [(32, 32), (200, 61), (9, 7), (129, 1), (1, 64)])
@pytest.mark.parametrize("members", [1, 3])
def test_enlarging_after_the_vote_is_voting_after_enlarging(size, members):
    image = np.random.default_rng(size[0]).integers(0, 256, (*size, 3), "uint8")
    models = [threshold_model(limit, 0.05) for limit in (120, 100, 140)[:members]]
    weights = (1.01, 1, 0.5)[:members]
    result = es.predict_image(es.build_ensemble(models, weights), image)
    small = np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR))
    maps = [tf.image.resize(model(small[None].astype("float32")), size)[0] for model in models]
    voted = np.average(maps, axis=0, weights=weights)
    np.testing.assert_allclose(result.probability, voted[..., 1], atol=2e-6)
    clear = np.abs(voted[..., 1] - voted[..., 0]) > 1e-5
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(result.mask[clear], voted.argmax(axis=-1)[clear])
    lesion = np.stack(maps)[..., 1]
    np.testing.assert_allclose(result.disagreement, lesion.max(0) - lesion.min(0), atol=2e-6)


def test_masks_of_a_split_at_their_own_size(disks):
    split, model = es.load_dataset(disks).train, threshold_model(140)  # more than one batch
    for pair, (truth, found) in zip(split.pairs, own_size_masks(model, split), strict=True):
        np.testing.assert_array_equal(truth, es.read_mask(pair.mask))
        np.testing.assert_array_equal(
            found, es.predict_image(model, es.read_image(pair.image)).mask
        )


@pytest.mark.parametrize("size", [(20, 31), (1, 12), (12, 1), (1, 1)])
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 1])
def test_contours_are_those_of_scikit_image(size, share):
    mask = np.random.default_rng(0).random(size) < share
    drawn = es.overlay(np.zeros((*size, 3), "uint8"), mask.astype("uint8"))
    np.testing.assert_array_equal(drawn.any(axis=-1), find_boundaries(mask, mode="thick"))


def test_an_overlay_leaves_the_image_alone():
    image = dark_square(20, 20)
    mask = (image[..., 0] == 50).astype("uint8")
    edge = find_boundaries(mask, mode="thick")
    drawn = es.overlay(image, mask)
    np.testing.assert_array_equal(drawn[~edge], image[~edge])
    assert (drawn[edge] != image[edge]).any(axis=-1).all()
    np.testing.assert_array_equal(image, dark_square(20, 20))


@pytest.mark.parametrize("shape", [(20, 20), (20, 20, 4), (1, 20, 20, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"`image`. Expected an array \(H, W, 3\)"):
        es.predict_image(threshold_model(120), np.zeros(shape, "uint8"))
