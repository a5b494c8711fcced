import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import save
from PIL import Image
from skimage.segmentation import find_boundaries

import ensemble_seg as es
from ensemble_seg.predicting.folders import overlay
from ensemble_seg.predicting.networks import segmenter
from ensemble_seg.predicting.segmenter import Segmenter


def threshold_model(limit, sharpness=1.0):
    """Lesion where the mean of the channels is below `limit`."""
    image = keras.Input((32, 32, 3))
    layer = keras.layers.Conv2D(2, 1, activation="softmax")
    model = keras.Model(image, layer(image), name=f"below_{limit}")
    kernel = np.array([[[[0.0, -sharpness / 3]] * 3]])
    layer.set_weights([kernel, np.array([0.0, limit * sharpness])])
    return model


def dark_square(height, width):
    image = np.full((height, width, 3), 200, "uint8")
    image[height // 4 : height // 2, width // 4 : width // 2] = 50
    return image


@pytest.mark.parametrize("size", [(32, 32), (100, 61), (20, 300)])
def test_masks_have_the_size_of_their_image(size):
    result = es.predict_image(threshold_model(120), dark_square(*size))
    assert result.mask.shape == result.probability.shape == result.disagreement.shape == size
    expected = dark_square(*size)[..., 0] == 50
    assert (result.mask == expected).mean() > 0.95
    assert not result.disagreement.any()


def test_disagreement_of_members():
    ensemble = es.build_ensemble([threshold_model(120), threshold_model(20)])
    image = dark_square(32, 32)
    result = es.predict_image(ensemble, image)
    dark = image[..., 0] == 50
    np.testing.assert_allclose(result.disagreement[dark], 1, atol=1e-3)
    np.testing.assert_allclose(result.disagreement[~dark], 0, atol=1e-3)
    np.testing.assert_allclose(result.probability[dark], 1.01 / 2.01, atol=1e-3)


@pytest.mark.parametrize("size", [(32, 32), (200, 61), (20, 300), (9, 7), (129, 1), (1, 64)])
@pytest.mark.parametrize("members", [1, 2, 3])
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
    np.testing.assert_array_equal(result.mask[clear], voted.argmax(axis=-1)[clear])
    assert clear.mean() > 0.99
    lesion = np.stack(maps)[..., 1]
    np.testing.assert_allclose(result.disagreement, lesion.max(0) - lesion.min(0), atol=2e-6)


def test_a_folder_of_images_of_all_kinds(tmp_path):
    save(tmp_path / "in" / "rgb.jpg", dark_square(50, 70))
    save(tmp_path / "in" / "grey.png", dark_square(33, 41)[..., 0])
    (tmp_path / "in" / "notes.txt").write_text("not an image")
    assert es.predict_folder(threshold_model(120), tmp_path / "in", tmp_path / "out") == 2
    written = (tmp_path / "out").rglob("*.png")
    files = sorted(path.relative_to(tmp_path / "out").as_posix() for path in written)
    kinds = ("disagreement", "masks", "overlays")
    assert files == [f"{kind}/{stem}.png" for kind in kinds for stem in ("grey", "rgb")]
    mask = np.asarray(Image.open(tmp_path / "out" / "masks" / "rgb.png"))
    assert mask.shape == (50, 70)
    assert set(np.unique(mask)) == {0, 255}
    image = es.read_image(tmp_path / "in" / "rgb.jpg")
    expected = es.predict_image(threshold_model(120), image).mask
    np.testing.assert_array_equal(mask, expected * 255)
    drawn = np.asarray(Image.open(tmp_path / "out" / "overlays" / "rgb.png"))
    np.testing.assert_array_equal(drawn, overlay(image, expected))


def test_many_images_come_in_batches_of_few_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr("ensemble_seg.predicting.segmenter.PIXELS_AT_ONCE", 5000)
    calls, segment = [], Segmenter.__call__
    spy = lambda self, images: calls.append(len(images)) or segment(self, images)  # noqa: E731
    monkeypatch.setattr(Segmenter, "__call__", spy)
    sizes = [(40, 40)] * 4 + [(100, 90)] + [(20, 30)] * 9
    for number, size in enumerate(sizes):
        save(tmp_path / "in" / f"{number:02d}.png", dark_square(*size))
    seen = []
    model = threshold_model(120)
    bar = lambda files: (seen.append(file) or file for file in files)  # noqa: E731
    assert es.predict_folder(model, tmp_path / "in", tmp_path / "out", bar) == 14
    assert calls == [3, 1, 1, 8, 1]
    assert len(seen) == 14
    for number, size in enumerate(sizes):
        mask = np.asarray(Image.open(tmp_path / "out" / "masks" / f"{number:02d}.png"))
        expected = segment(segmenter(model), [dark_square(*size)])[0].mask
        np.testing.assert_array_equal(mask, expected * 255)


def test_overlay_marks_the_contour_only():
    image = np.zeros((20, 20, 3), "uint8")
    mask = np.zeros((20, 20), int)
    mask[5:15, 5:15] = 1
    drawn = overlay(image, mask)
    changed = drawn.any(axis=-1)
    assert changed[5, 5:15].all()
    assert not changed[8:12, 8:12].any()
    assert not changed[:3].any()


@pytest.mark.parametrize("size", [(20, 31), (1, 12), (12, 1), (1, 1)])
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 1])
def test_contours_are_those_of_scikit_image(size, share):
    mask = np.random.default_rng(0).random(size) < share
    drawn = overlay(np.zeros((*size, 3), "uint8"), mask.astype("uint8"))
    np.testing.assert_array_equal(drawn.any(axis=-1), find_boundaries(mask, mode="thick"))


def test_bad_input(tmp_path):
    model = threshold_model(120)
    with pytest.raises(ValueError, match=r"`image`. Expected an array \(H, W, 3\)"):
        es.predict_image(model, np.zeros((20, 20)))
    with pytest.raises(ValueError, match="expected image files"):
        es.predict_folder(model, tmp_path, tmp_path / "out")


def test_scores_at_own_size_are_those_of_predict_image(disks):
    split = es.load_dataset(disks).test
    model = es.unet(es.preset("smoke"))
    scores = es.evaluate(model, split, own_size=True)
    for pair, counts in zip(split.pairs, scores.counts, strict=True):
        mask = es.predict_image(model, es.read_image(pair.image)).mask
        truth = es.read_mask(pair.mask)
        assert counts.sum() == 40 * 48
        assert counts[0] == (mask & truth).sum() and counts[1] == (mask & (1 - truth)).sum()
    assert scores.names == tuple(pair.image.stem for pair in split.pairs)
