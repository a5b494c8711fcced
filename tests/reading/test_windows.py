import numpy as np
import pytest
import tensorflow as tf
from conftest import save
from PIL import Image
from skimage.transform import resize

from ensemble_seg.reading.images import resize_image, small_image
from ensemble_seg.reading.masks import small_mask
from ensemble_seg.reading.pairs import Box, Pair
from ensemble_seg.reading.windows import read_window

NOISE = np.random.default_rng(0).integers(0, 256, (157, 203, 3), "uint8")
BOXES = [
    (0, 0, 157, 203),
    (0, 0, 33, 33),
    (124, 170, 157, 203),
    (1, 3, 40, 42),
    (3, 5, 120, 130),
    (7, 101, 157, 102),
    (33, 17, 34, 120),
    (0, 0, 1, 1),
    (5, 7, 6, 8),
    (156, 202, 157, 203),
]


def smooth(height, width):
    rows, columns = np.mgrid[:height, :width] / height
    waves = [np.sin(5 * rows + 2 * columns), np.cos(9 * columns), np.sin(8 * rows - 3)]
    return (127.5 + 100 * np.dstack(waves)).astype("uint8")


def cut_and_resized(path, size, box):
    """By hand: all of the file is decoded, cut with NumPy, and what is left resized."""
    top, left, bottom, right = box
    image = np.asarray(Image.open(path).convert("RGB"))[top:bottom, left:right]
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))


@pytest.fixture
def decoded_shapes(monkeypatch):
    """Height and width of what is resized, one after the other."""
    shapes, resized = [], Image.Image.resize

    def spy(picture, *arguments):
        shapes.append(picture.size[::-1])
        return resized(picture, *arguments)

    monkeypatch.setattr(Image.Image, "resize", spy)
    return shapes


@pytest.mark.parametrize(
    ("size", "shape"),
    [(300, (520, 640)), (260, (260, 320)), (200, (260, 320)), (100, (130, 160)), (65, (65, 80))],
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_whole_jpeg_is_decoded_small_and_looks_the_same(
    tmp_path, decoded_shapes, mode, size, shape
):
    path = tmp_path / "a.jpg"
    Image.fromarray(smooth(520, 640)).convert(mode).save(path, quality=95)
    image = small_image(path, size)
    assert decoded_shapes == [shape]
    assert image.shape == (size, size, 3)
    assert image.dtype == np.uint8
    full = np.asarray(Image.open(path).convert("RGB"), "float32")
    expected = resize(full, (size, size), order=1, anti_aliasing=True)
    assert np.abs(image - expected)[2:-2, 2:-2].mean() < 1.5
    assert np.abs(image - expected)[2:-2, 2:-2].max() < 12


def test_odd_sizes_are_decoded_small_without_a_shift(tmp_path, decoded_shapes):
    path = save(tmp_path / "a.jpg", smooth(1003, 1237), quality=95)
    expected = resize(smooth(1003, 1237).astype(float), (100, 100), order=1, anti_aliasing=True)
    assert np.abs(small_image(path, 100) - expected)[2:-2, 2:-2].mean() < 0.7
    assert decoded_shapes == [(126, 155)]


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
@pytest.mark.parametrize("size", [32, 60, 110, 220])
def test_a_window_of_a_jpeg_is_decoded_small_and_looks_the_same(
    tmp_path, decoded_shapes, size, options
):
    path = save(tmp_path / "a.jpg", smooth(520, 640), quality=95, **options)
    for box in [(0, 0, 300, 300), (220, 340, 520, 640), (101, 203, 401, 507)]:
        image = small_image(path, size, Box(*box))
        scale = {32: 8, 60: 4, 110: 2, 220: 1}[size]
        assert max(decoded_shapes[-1]) <= 304 / scale + 6
        assert np.abs(image - cut_and_resized(path, size, box).astype(float)).mean() < 1.5


@pytest.mark.parametrize("subsampling", [0, 1, 2, "4:1:1"])
@pytest.mark.parametrize("grey", [False, True])
def test_a_window_of_a_jpeg_is_cut_to_the_very_pixel(tmp_path, subsampling, grey):
    pixels = NOISE[..., 0] if grey else NOISE
    path = save(tmp_path / "a.jpg", pixels, subsampling=subsampling)
    for box in BOXES:
        size = min(box[2] - box[0], box[3] - box[1]) // 2 + 9
        expected = cut_and_resized(path, size, box)
        np.testing.assert_array_equal(small_image(path, size, Box(*box)), expected, f"{box}")


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_a_window_of_other_files_is_cut_to_the_very_pixel(tmp_path, suffix):
    path = save(tmp_path / f"a.{suffix}", NOISE)
    for box in BOXES:
        for size in (8, 40):
            expected = cut_and_resized(path, size, box)
            np.testing.assert_array_equal(small_image(path, size, Box(*box)), expected, f"{box}")


def test_a_window_of_one_pixel_is_that_pixel(tmp_path):
    for name in ("a.png", "a.jpg"):
        path = save(tmp_path / name, NOISE)
        pixel = np.asarray(Image.open(path))[41, 58]
        assert (small_image(path, 16, Box(41, 58, 42, 59)) == pixel).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_followed_before_the_window_is_cut(tmp_path, orientation):
    upright = smooth(200, 260)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: np.rot90(upright, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = np.ascontiguousarray(stored[orientation])
    path = save(tmp_path / "a.jpg", image, exif=exif, quality=95, subsampling=0)
    for box in [None, Box(11, 23, 91, 143)]:
        top, left, bottom, right = box or (0, 0, 200, 260)
        cut = Image.fromarray(upright[top:bottom, left:right])
        expected = np.asarray(cut.resize((40, 40), Image.Resampling.BILINEAR), float)
        assert np.abs(small_image(path, 40, box) - expected).mean() < 1.5


def test_cmyk(tmp_path):
    colour = np.full((300, 300, 3), (200, 60, 20), "uint8")
    Image.fromarray(colour).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    for box in (None, Box(10, 20, 200, 260)):
        image = small_image(tmp_path / "a.jpg", 32, box).astype(int)
        assert np.abs(image - colour[0, 0]).max() <= 4


@pytest.mark.parametrize("shape", [(64, 96), (33, 100), (157, 203), (10, 15)])
def test_resize_is_that_of_tensorflow_with_anti_aliasing(shape):
    image = np.ascontiguousarray(NOISE[: shape[0], : shape[1]])
    for size in (7, 32, 64):
        expected = tf.image.resize(image, (size, size), antialias=True).numpy()
        assert np.abs(resize_image(image, size) - expected).max() <= 1.01


def centres(length, size):
    """Return the pixels that the centres of `size` pixels fall on, and where halfway is none."""
    doubled = (2 * np.arange(size) + 1) * length
    return doubled // (2 * size), doubled % (2 * size) != 0


@pytest.mark.parametrize("shape", [(1, 1), (7, 9), (40, 48), (157, 203), (625, 574), (448, 448)])
def test_masks_take_the_nearest_pixel(tmp_path, shape):
    mask = (np.random.default_rng(1).random(shape) < 0.5).astype("uint8")
    path = save(tmp_path / "m.png", mask * 255)
    height, width = shape
    boxes = [
        Box(0, 0, height, width),
        Box(height // 4, width // 5, height, width),
        Box(0, width // 2, height // 3 + 1, width),
        Box(height - 1, 0, height, 1),
    ]
    for size in (1, 2, 5, 8, 15, 32, 45, 64, 112, 224, 256):
        for box in boxes:
            rows, clear_rows = centres(box.bottom - box.top, size)
            columns, clear_columns = centres(box.right - box.left, size)
            expected = mask[box.top + rows[:, None], box.left + columns]
            clear = clear_rows[:, None] & clear_columns
            small = small_mask(path, size, box)
            np.testing.assert_array_equal(small[clear], expected[clear], f"{size} {box}")
            assert set(np.unique(small)) <= {0, 1}
        np.testing.assert_array_equal(small_mask(path, size), small_mask(path, size, boxes[0]))


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("box", [None, Box(96, 160, 608, 672)])
def test_large_jpeg_masks_are_decoded_at_a_reduced_size(tmp_path, monkeypatch, box, colours):
    rows, columns = np.mgrid[:640, :720]
    mask = (np.hypot(rows - 330, columns - 400) < 200).astype("uint8")
    grey = mask * np.uint8(255)
    path = save(tmp_path / "m.jpg", grey if colours == 1 else np.dstack([grey] * 3), quality=90)
    loaded = []
    load = Image.Image.load

    def watched(picture):
        loaded.append(picture.size)
        return load(picture)

    monkeypatch.setattr(Image.Image, "load", watched)
    small = small_mask(path, 64, box)
    assert (90, 80) in loaded  # 1/8 of 720 x 640
    assert (720, 640) not in loaded
    top, left, bottom, right = box or (0, 0, 640, 720)
    y = top + (np.arange(64) + 0.5) * (bottom - top) / 64
    x = left + (np.arange(64) + 0.5) * (right - left) / 64
    distance = np.hypot(y[:, None] - 330, x - 400)
    clear = np.abs(distance - 200) > 9  # a block of 8 pixels is decided by its majority
    np.testing.assert_array_equal(small[clear], (distance < 200)[clear])
    assert abs(int(small.sum()) - int((distance < 200).sum())) <= 16


def test_masks_are_resized_as_tensorflow_does(tmp_path):
    mask = (np.random.default_rng(1).random((352, 288)) < 0.5).astype("uint8")
    path = save(tmp_path / "m.png", mask * 255)
    for size in (32, 128, 256):
        expected = tf.image.resize(mask[..., None], (size, size), method="nearest")[..., 0]
        np.testing.assert_array_equal(small_mask(path, size), expected)


def test_read_window_cuts_image_and_mask_alike(tmp_path):
    lesion = (NOISE[..., 0] > 127).astype("uint8")
    pair = Pair(save(tmp_path / "a.png", NOISE), save(tmp_path / "m.png", lesion * 255), "a")
    image, mask = read_window(pair, Box(3, 5, 20, 31))
    np.testing.assert_array_equal(image, NOISE[3:20, 5:31])
    np.testing.assert_array_equal(mask, lesion[3:20, 5:31])
    whole = read_window(pair)
    assert (whole[0].shape, whole[1].shape) == ((157, 203, 3), (157, 203))


@pytest.mark.parametrize("box", [None, Box(90, 10, 150, 120)], ids=["whole", "window"])
@pytest.mark.parametrize("size", [16, 100])
def test_a_jpeg_that_breaks_off_is_named(tmp_path, box, size):
    path = save(tmp_path / "broken.jpg", NOISE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(ValueError, match=r"broken.jpg: not an image that can be read"):
        small_image(path, size, box)
    with pytest.raises(FileNotFoundError, match=r"gone.jpg: no such file"):
        small_image(tmp_path / "gone.jpg", size, box)
