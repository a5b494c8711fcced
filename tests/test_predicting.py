import keras
import numpy as np
import pytest
from conftest import save
from PIL import Image

import ensemble_seg as es
from ensemble_seg.predicting import overlay


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


def test_overlay_marks_the_contour_only():
    image = np.zeros((20, 20, 3), "uint8")
    mask = np.zeros((20, 20), int)
    mask[5:15, 5:15] = 1
    drawn = overlay(image, mask)
    changed = drawn.any(axis=-1)
    assert changed[5, 5:15].all()
    assert not changed[8:12, 8:12].any()
    assert not changed[:3].any()


def test_bad_input(tmp_path):
    model = threshold_model(120)
    with pytest.raises(ValueError, match=r"`image`. Expected an array \(H, W, 3\)"):
        es.predict_image(model, np.zeros((20, 20)))
    with pytest.raises(ValueError, match="expected image files"):
        es.predict_folder(model, tmp_path, tmp_path / "out")
