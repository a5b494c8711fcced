import numpy as np
import pytest
from conftest import save
from PIL import Image

import ensemble_seg as es
from ensemble_seg.reading.classes import ambiguous_pixels, grey_mask

RGB = np.random.default_rng(0).integers(0, 256, (6, 7, 3), "uint8")
BINARY = np.zeros((6, 7), "uint8")
BINARY[2:4, 1:5] = 1


def test_rgb_is_kept_in_order(tmp_path):
    np.testing.assert_array_equal(es.read_image(save(tmp_path / "a.png", RGB)), RGB)


def test_grey_becomes_three_channels(tmp_path):
    image = es.read_image(save(tmp_path / "a.png", RGB[..., 0]))
    np.testing.assert_array_equal(image, np.repeat(RGB[..., :1], 3, axis=-1))


def test_alpha_is_dropped(tmp_path):
    rgba = np.dstack([RGB, np.full((6, 7), 40, "uint8")])
    np.testing.assert_array_equal(es.read_image(save(tmp_path / "a.png", rgba)), RGB)


def test_of_sixteen_bits_the_upper_eight_are_kept(tmp_path):
    deep = (RGB[..., 0].astype("uint16") << 8) + 77
    image = es.read_image(save(tmp_path / "a.png", deep))
    np.testing.assert_array_equal(image[..., 2], RGB[..., 0])


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
@pytest.mark.parametrize("white", [1, 255])
def test_masks_of_two_values(tmp_path, suffix, white):
    path = save(tmp_path / f"m.{suffix}", BINARY * np.uint8(white))
    mask = es.read_mask(path)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, BINARY)


def test_masks_as_bool_palette_rgb_rgba_and_sixteen_bit(tmp_path):
    kinds = {
        "bool.png": Image.fromarray(BINARY.astype(bool)),
        "rgb.png": Image.fromarray(np.repeat(BINARY[..., None] * 255, 3, axis=-1)),
        "rgba.png": Image.fromarray(np.dstack([BINARY * 255] * 3 + [BINARY * 0 + 255])),
        "deep.png": Image.fromarray(BINARY.astype("uint16") * 65535),
    }
    palette = Image.fromarray(BINARY).convert("P")
    palette.putpalette([0, 0, 0, 128, 0, 0])
    for name, picture in {**kinds, "palette.png": palette}.items():
        picture.save(tmp_path / name)
        np.testing.assert_array_equal(es.read_mask(tmp_path / name), BINARY, err_msg=name)


def test_jpeg_greys_are_thresholded(tmp_path):
    mask = np.kron(BINARY, np.ones((43, 43), "uint8"))
    path = save(tmp_path / "m.jpg", mask * 255, quality=75)
    assert len(np.unique(np.asarray(Image.open(path)))) > 2
    assert (es.read_mask(path) != mask).mean() < 0.001


@pytest.mark.parametrize(
    "values",
    [[0, 1, 2], [0, 128, 255], [0, 100], [0, 60, 120]],
    ids=["three labels", "three greys", "no white", "greys"],
)
def test_masks_with_other_values_are_refused(tmp_path, values):
    grey = np.resize(np.array(values, "uint8"), (9, 9))
    path = save(tmp_path / "m.png", grey)
    message = rf"m.png: expected a mask of two classes.*Found {len(values)} values"
    with pytest.raises(ValueError, match=message):
        es.read_mask(path)


def test_coloured_masks_are_refused(tmp_path):
    path = save(tmp_path / "m.png", np.full((4, 4, 3), (255, 0, 0), "uint8"))
    with pytest.raises(ValueError, match=r"m.png: expected a grey mask, found colours"):
        es.read_mask(path)


def test_full_and_empty_masks_are_read():
    assert grey_mask(np.full((3, 3), 255, "uint8"))[0].all()
    assert not grey_mask(np.zeros((3, 3), "uint8"))[0].any()


def test_ambiguous_pixels_are_those_of_the_histogram():
    grey = np.random.default_rng(3).integers(0, 256, (701, 523), "uint8")
    assert ambiguous_pixels(grey) == sum(Image.fromarray(grey).histogram()[16:200])


def test_ambiguous_pixels_are_counted():
    assert ambiguous_pixels(np.array([[0, 15, 16, 127, 199, 200, 255]])) == 3


def test_float_images_are_refused(tmp_path):
    path = save(tmp_path / "a.tif", np.linspace(0, 1, 12, dtype="float32").reshape(3, 4))
    for read in (es.read_image, es.read_mask):
        with pytest.raises(
            ValueError, match=r"a.tif: expected whole numbers 0..65535, found float"
        ):
            read(path)


@pytest.mark.parametrize("content", [b"", b"not an image"], ids=["empty", "text"])
def test_files_that_are_no_images(tmp_path, content):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    message = "not an image that can be read" if content else "an empty file"
    for read in (es.read_image, es.read_mask):
        with pytest.raises(ValueError, match=f"a.jpg: {message}"):
            read(path)


def test_truncated_file(tmp_path):
    path = save(tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, (64, 64, 3), "uint8"))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match=r"a.png: not an image that can be read"):
        es.read_image(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a.png: no such file"):
        es.read_image(tmp_path / "a.png")
