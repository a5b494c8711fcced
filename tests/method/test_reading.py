"""Files in the plain form are read right, all others are refused by name, none is read wrong."""

import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from conftest import save
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import ensemble_seg as es
from ensemble_seg.reading import image_files, picture_size, resize_image, small_image, small_mask

NOISE = np.random.default_rng(0).integers(0, 256, (157, 203, 3), "uint8")
MASK = np.zeros((13, 17), "uint8")
MASK[2:7, 3:12] = 1
READERS = (es.read_image, es.read_mask, lambda path: small_image(path, 8))

LOSSLESS = {
    "1": ("png", "tif", "bmp", "gif"),
    "L": ("png", "tif", "bmp", "gif"),
    "RGB": ("png", "tif", "bmp"),
    "P": ("png", "tif", "bmp", "gif"),
    "LA": ("png", "tif"),
    "RGBA": ("png", "tif", "webp"),
    "CMYK": ("tif",),
    "YCbCr": ("tif",),
    "LAB": ("tif",),
    "I;16": ("png", "tif"),
    "I": ("tif",),
    "F": ("tif",),
}
JPEG = ("1", "L", "RGB", "CMYK", "YCbCr")
PLAIN = ("1", "L", "RGB")
CHANNELS = {"RGB": 3, "LA": 2, "RGBA": 4, "CMYK": 4, "YCbCr": 3, "LAB": 3}
KINDS = {"1": bool, "I;16": "uint16", "I": "int32", "F": "float32"}
BYTE = st.one_of(st.sampled_from([0, 1, 2, 127, 128, 200, 254, 255]), st.integers(0, 255))


@st.composite
def masks(draw):
    """Draw (mode, suffix, codes, classes): a value for each class, and the class of each pixel."""
    mode = draw(st.one_of(st.sampled_from(PLAIN), st.sampled_from(list(LOSSLESS))))
    lossy = mode in JPEG and draw(st.integers(0, 3)) == 0
    suffix = "jpg" if lossy else draw(st.sampled_from(LOSSLESS[mode]))
    if mode == "1":
        codes = draw(st.permutations([0, 1]))
    elif draw(st.booleans()):  # a mask that is plain, but for its mode
        codes = draw(st.permutations([0, 255 if lossy else draw(st.integers(1, 255))]))
    else:
        count = draw(st.integers(1, 4))
        codes = draw(st.lists(BYTE, min_size=count, max_size=count, unique=True))
    channels = CHANNELS.get(mode, 1)
    if channels > 1:
        grey = draw(st.booleans())
        codes = [(code,) * channels if grey else (*[code] * (channels - 1), 90) for code in codes]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    classes = rng.integers(0, len(codes), (13, 17))
    classes.ravel()[rng.choice(classes.size, len(codes), replace=False)] = range(len(codes))
    return mode, suffix, codes, np.kron(classes, np.ones((8, 8), int)) if lossy else classes


def write_mask(path, mode, codes, classes):
    values = np.array(codes, KINDS.get(mode, "uint8"))[classes]
    if mode == "P":  # an index for each class, its colour in the palette
        picture = Image.fromarray(classes.astype("uint8")).convert("P")
        picture.putpalette([each for code in codes for each in (code,) * 3])
    elif mode in CHANNELS:
        picture = Image.frombytes(mode, values.shape[1::-1], values.tobytes())
    else:
        picture = Image.fromarray(values)
    assert picture.mode == mode
    options = {"quality": 95} if path.suffix == ".jpg" else {}
    picture.save(path, **options, **({"lossless": True} if path.suffix == ".webp" else {}))


def right_mask(mode, suffix, codes, classes):
    """Return what is lesion, or None where nobody can tell, and whether it has to be read."""
    firsts = [code[0] if isinstance(code, tuple) else int(code) for code in codes]
    equal = all(len(set(code)) == 1 for code in codes if isinstance(code, tuple))
    if mode not in PLAIN or not equal:
        return None, False
    values = np.array(firsts)[classes]
    if suffix == "jpg":  # its rule: 127 is the highest background
        values = values * (255 if mode == "1" else 1)
        return values > 127, {*np.unique(values)} == {0, 255}
    clear = len(firsts) == 1 or (len(firsts) == 2 and 0 in firsts)
    # A GIF may come back with a palette.
    return (values > 0, suffix != "gif") if clear else (None, False)


def test_200_random_masks_are_read_right_or_refused(tmp_path):
    counted = {"read": 0, "refused": 0}

    @settings(max_examples=200, deadline=None, derandomize=True, database=None)
    @given(masks())
    def check(drawn):
        path = tmp_path / f"m.{drawn[1]}"
        write_mask(path, drawn[0], *drawn[2:])
        right, must_be_read = right_mask(*drawn)
        try:
            found = es.read_mask(path)
        except ValueError as error:
            counted["refused"] += 1
            assert not must_be_read, error
            assert str(path) in str(error) and "ensemble-seg import" in str(error)
            return
        counted["read"] += 1
        assert right is not None, f"read, though {drawn[0]} {drawn[2]} can mean anything"
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, right)

    check()
    assert min(counted.values()) > 50, counted


def test_whatever_the_other_value_is_it_is_lesion(tmp_path):
    for value in range(256):
        path = save(tmp_path / "m.png", MASK * np.uint8(value))
        np.testing.assert_array_equal(es.read_mask(path), MASK * (value > 0), f"{value}")
        path = save(tmp_path / "m.png", np.full((5, 6), value, "uint8"))
        assert es.read_mask(path).tolist() == [[min(value, 1)] * 6] * 5


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_a_pixel(tmp_path, bits):
    path = tmp_path / "m.png"
    path.write_bytes(png(MASK * (2**bits - 1), bits))
    np.testing.assert_array_equal(es.read_mask(path), MASK)


def test_jpeg_greys_are_cut_above_127(tmp_path):
    mask = np.kron(MASK, np.ones((43, 43), "uint8"))
    path = save(tmp_path / "m.jpg", mask * 255, quality=75)
    assert len(np.unique(np.asarray(Image.open(path)))) > 2
    assert (es.read_mask(path) != mask).mean() < 0.001


def refused_masks():
    grey = MASK * np.uint8(255)
    ramp = np.resize(np.array([0, 60, 120, 255], "uint8"), (64, 64))
    return {
        "three labels.png": (np.arange(12, dtype="uint8").reshape(3, 4) % 3, {}),
        "no background.png": (grey // 2 + 9, {}),
        "greys.jpg": (ramp, {}),
        "dark.jpg": (np.kron(MASK, np.ones((16, 16), "uint8")) * np.uint8(9), {"quality": 95}),
        "alpha.png": (np.dstack([grey] * 4), {}),
        "solid alpha.png": (np.dstack([grey] * 3 + [grey * 0 + 255]), {}),
        "grey and alpha.png": (np.dstack([grey, grey]), {}),
        "one red pixel.png": (np.dstack([grey, grey, np.where(MASK.cumsum() == 1, 0, 255).reshape(
            MASK.shape).astype("uint8") & grey]), {}),
        "red.png": (np.dstack([grey, grey * 0, grey * 0]), {}),
        "a transparent grey.png": (grey, {"transparency": 0}),
        "sixteen bits.png": (MASK.astype("uint16") * 65535, {}),
        "sixteen bits.tif": (MASK.astype("uint16"), {}),
        "whole numbers.tif": (MASK.astype("int32"), {}),
        "float.tif": (MASK.astype("float32"), {}),
    }  # fmt: skip


@pytest.mark.parametrize("name", refused_masks())
def test_masks_that_could_mean_anything_are_refused(tmp_path, name):
    array, options = refused_masks()[name]
    path = save(tmp_path / name, array, **options)
    with pytest.raises(ValueError, match=f"{name}: expected .* ensemble-seg import"):
        es.read_mask(path)
    with pytest.raises(ValueError, match=f"{name}: expected"):
        small_mask(path, 8)


def png(values, bits, colour=0):
    """A PNG of any bits, unlike Pillow's; colour: 0 grey, 2 RGB, 4 grey and alpha, 6 RGBA."""
    height, width = values.shape[:2]
    if bits == 16:
        rows = values.astype(">u2").reshape(height, -1).view("uint8")
    else:
        digits = np.unpackbits(values.astype("uint8")[..., None], axis=-1)[..., -bits:]
        rows = np.packbits(digits.reshape(height, -1), axis=1)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = struct.pack(">2I5B", width, height, bits, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    packed = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_sixteen_bits_are_refused_not_cut(tmp_path, colour, channels):
    path = tmp_path / "deep.png"
    path.write_bytes(png(np.dstack([MASK.astype("uint16") * 65535] * channels), 16, colour))
    for read in READERS:
        with pytest.raises(ValueError, match="deep.png: expected .* ensemble-seg import"):
            read(path)


@pytest.mark.parametrize("name", ["pages.tif", "frames.gif", "frames.png"])
def test_several_images_in_one_file_are_refused(tmp_path, name):
    first, second = Image.fromarray(MASK * 255), Image.fromarray(255 - MASK * 255)
    first.save(tmp_path / name, save_all=True, append_images=[second])
    for read in READERS:
        with pytest.raises(ValueError, match=f"{name}: expected one image, found 2"):
            read(tmp_path / name)


def test_no_flipped_bit_of_a_png_passes_unseen(tmp_path):
    path = save(tmp_path / "m.png", MASK * 255)
    whole, refused = path.read_bytes(), 0
    for place in range(8 * len(whole)):
        bits = bytearray(whole)
        bits[place // 8] ^= 1 << place % 8
        path.write_bytes(bits)
        try:
            found = es.read_mask(path)
        except ValueError as error:
            assert "m.png" in str(error)
            refused += 1
        else:
            np.testing.assert_array_equal(found, MASK, f"bit {place}")
    assert refused > 6 * len(whole)


def cut_off(content):
    return content[: len(content) // 3]


def wrong_checksum(content):
    place = content.rindex(b"IEND") - 5  # of the pixels
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *((f"a.{suffix}", cut_off) for suffix in ("png", "jpg", "tif", "bmp")),
        ("a.png", wrong_checksum),
        ("empty.jpg", lambda content: b""),
        ("text.jpg", lambda content: b"not an image"),
    ],
)
def test_damaged_files_are_refused_by_name(tmp_path, name, damage):
    path = save(tmp_path / name, NOISE)
    path.write_bytes(damage(path.read_bytes()))
    for read in READERS:
        with pytest.raises(ValueError, match=f"{name}: not an image that can be read"):
            read(path)
        with pytest.raises(FileNotFoundError, match="gone.jpg"):
            read(tmp_path / "gone.jpg")


def test_images_of_every_mode_are_rgb_of_eight_bits(tmp_path):
    grey, alpha = NOISE[..., 0], np.full((157, 203), 40, "uint8")
    kinds = {
        "rgb.png": (NOISE, NOISE),
        "grey.png": (grey, np.dstack([grey] * 3)),
        "alpha.png": (np.dstack([NOISE, alpha]), NOISE),
        "grey and alpha.png": (np.dstack([grey, alpha]), np.dstack([grey] * 3)),
        "two.png": (grey > 127, np.dstack([(grey > 127) * np.uint8(255)] * 3)),
        "rgb.tif": (NOISE, NOISE),
        "rgb.bmp": (NOISE, NOISE),
    }
    for name, (stored, expected) in kinds.items():
        image = es.read_image(save(tmp_path / name, stored))
        np.testing.assert_array_equal(image, expected, name)
    palette = Image.fromarray(NOISE).quantize(16)
    palette.save(tmp_path / "palette.png")
    expected = np.asarray(palette.convert("RGB"))
    np.testing.assert_array_equal(es.read_image(tmp_path / "palette.png"), expected)


TURNS = {  # what is stored, so that the EXIF number turns it upright
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: np.rot90(upright),
    7: lambda upright: upright.swapaxes(0, 1)[::-1, ::-1],
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_images_and_masks_are_turned_upright(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"exif": exif, "quality": 95}
    upright = smooth(200, 260)
    stored = np.ascontiguousarray(TURNS[orientation](upright))
    path = save(tmp_path / f"a.{suffix}", stored, **options)
    assert picture_size(path) == (200, 260)
    assert np.abs(es.read_image(path) - upright.astype(float)).mean() < 2
    for box in (None, es.Box(11, 23, 91, 143)):
        expected = cut_and_resized(upright, 40, box or (0, 0, 200, 260)).astype(float)
        assert np.abs(small_image(path, 40, box) - expected).mean() < 2
    if suffix != "webp":  # which mixes black and white
        mask = np.kron(MASK, np.ones((16, 16), "uint8"))
        stored = np.ascontiguousarray(TURNS[orientation](mask * 255))
        path = save(tmp_path / f"m.{suffix}", stored, **options)
        assert picture_size(path) == mask.shape
        np.testing.assert_array_equal(es.read_mask(path), mask)


def test_the_images_of_a_folder_are_sorted_and_nothing_else(tmp_path):
    for name in ("b.PNG", "a.jpeg", "c.tiff", ".hidden.png", "notes.txt", "d.gif"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    assert [file.name for file in image_files(tmp_path)] == ["a.jpeg", "b.PNG", "c.tiff"]


BOXES = [
    (0, 0, 157, 203), (124, 170, 157, 203), (3, 5, 120, 130), (7, 101, 157, 102),
    (33, 17, 34, 120), (0, 0, 1, 1), (156, 202, 157, 203),
]  # fmt: skip


def smooth(height, width):
    rows, columns = np.mgrid[:height, :width] / height
    waves = [np.sin(5 * rows + 2 * columns), np.cos(9 * columns), np.sin(8 * rows - 3)]
    return (127.5 + 100 * np.dstack(waves)).astype("uint8")


def cut_and_resized(image, size, box):
    """By hand: cut with NumPy, and what is left resized."""
    top, left, bottom, right = box
    cut = Image.fromarray(image[top:bottom, left:right])
    return np.asarray(cut.resize((size, size), Image.Resampling.BILINEAR))


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "jpg"])
def test_a_window_is_cut_to_the_very_pixel_before_it_is_resized(tmp_path, suffix):
    path = save(tmp_path / f"a.{suffix}", NOISE)
    image = np.asarray(Image.open(path))
    for box in BOXES:
        size = min(box[2] - box[0], box[3] - box[1]) // 2 + 9  # no JPEG is decoded smaller
        expected = cut_and_resized(image, size, box)
        np.testing.assert_array_equal(small_image(path, size, es.Box(*box)), expected, f"{box}")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
@pytest.mark.parametrize("size", [32, 60, 110, 220])
def test_a_jpeg_that_is_decoded_small_looks_the_same(tmp_path, size, options):
    upright = smooth(520, 640)
    path = save(tmp_path / "a.jpg", upright, quality=95, **options)
    for box in [(0, 0, 520, 640), (0, 0, 300, 300), (220, 340, 520, 640), (101, 203, 401, 507)]:
        expected = cut_and_resized(upright, size, box).astype(float)
        assert np.abs(small_image(path, size, es.Box(*box)) - expected).mean() < 1.5


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


@pytest.mark.parametrize("shape", [(1, 1), (7, 9), (40, 48), (157, 203), (448, 448)])
def test_masks_take_the_nearest_pixel(tmp_path, shape):
    mask = (np.random.default_rng(1).random(shape) < 0.5).astype("uint8")
    path = save(tmp_path / "m.png", mask * 255)
    height, width = shape
    boxes = [es.Box(0, 0, height, width), es.Box(height // 4, width // 5, height, width)]
    for size in (1, 5, 32, 45, 256):
        for box in [*boxes, es.Box(height - 1, 0, height, 1)]:
            rows, clear_rows = centres(box.bottom - box.top, size)
            columns, clear_columns = centres(box.right - box.left, size)
            expected = mask[box.top + rows[:, None], box.left + columns]
            clear = clear_rows[:, None] & clear_columns
            small = small_mask(path, size, box)
            np.testing.assert_array_equal(small[clear], expected[clear], f"{size} {box}")
        np.testing.assert_array_equal(small_mask(path, size), small_mask(path, size, boxes[0]))
