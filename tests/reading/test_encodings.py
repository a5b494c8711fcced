"""Masks and images as other people save them: the right value by hand, or one message.

PYTHONPATH=.:tests python tests/reading/test_encodings.py writes docs/FOREIGN_IMAGES.md again.
"""

import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import save
from PIL import Image

import ensemble_seg as es

PAGE = Path(__file__).resolve().parents[2] / "docs" / "FOREIGN_IMAGES.md"
M = np.zeros((40, 48), "uint8")
M[10:20, 12:30] = 1
BORDER = M.copy()
BORDER[9, 11:31] = 2  # another class beside the lesion
ONE_MASK = "Save one mask for the lesion class, background 0 and lesion 255."
TWO_CLASSES = (
    "expected a mask of two classes, with values 0 and 1 or 0 and 255 (greys near them in JPEG "
    "only). Found"
)
CHOOSE = "Or choose which values are lesion: --lesion-values {}, say (lesion_values in Python)."
MIDDLE = (
    "If it was resized or comes from a JPEG, cut it in the middle: --lesion-values 128-255 "
    "(lesion_values in Python)."
)
COLOURS = f"expected a grey mask, found colours. {ONE_MASK}"
INDEXED = (
    "expected an indexed mask of black and white, or of indices 0 and 1 of which one is black. "
    f"Found {{}} indices: {{}}. {ONE_MASK} {CHOOSE.format('INDEX')}"
)
READ, REFUSED = {}, {}


def read(kind, rule):
    """Register a mask that is M, however it is saved."""

    def register(write):
        READ[kind] = (write, rule)
        return write

    return register


def refused(kind, message):
    """Register a mask that cannot be read; {file} is its path."""

    def register(write):
        REFUSED[kind] = (write, message)
        return write

    return register


def coded(*values, classes=M, kind="uint8"):
    return np.array(values, kind)[classes]


def indexed(*colours, classes=M):
    picture = Image.fromarray(classes, "L").convert("P")
    picture.putdata(classes.ravel().tolist())
    picture.putpalette(np.ravel(colours).tolist())
    return picture


def low_bits(path, values, bits):
    """Write a grey PNG of 2 or 4 bits a pixel, by hand."""
    rows = np.unpackbits(values[..., None], axis=-1)[..., -bits:].reshape(len(values), -1)
    rows = np.hstack([np.zeros((len(values), 1), "uint8"), np.packbits(rows, axis=1)])
    write_png(path, values.shape, bits, 0, rows.tobytes())


def sixteen_bit_colours(path, values):
    rows = values.astype(">u2").reshape(len(values), -1).view("uint8")
    rows = np.hstack([np.zeros((len(values), 1), "uint8"), rows])
    write_png(path, values.shape, 16, 2, rows.tobytes())


def write_png(path, shape, bits, colour, data):
    header = struct.pack(">IIBBBBB", shape[1], shape[0], bits, colour, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for name, part in ((b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b"")):
        checked = name + part
        content += struct.pack(">I", len(part)) + checked + struct.pack(">I", zlib.crc32(checked))
    path.write_bytes(content)


@pytest.mark.parametrize("kind", READ)
def test_read_right(kind, tmp_path):
    path = READ[kind][0](tmp_path)
    np.testing.assert_array_equal(es.read_mask(path), M)
    same = Path(save(tmp_path / "image.png", np.zeros((40, 48, 3), "uint8")))
    split = es.Split((es.Pair(same, path, "a"),), "test", tmp_path)
    nearest = M[(2 * np.arange(10) + 1) * 40 // 20][:, (2 * np.arange(10) + 1) * 48 // 20]
    np.testing.assert_array_equal(split.masks(10)[0], nearest)


@pytest.mark.parametrize("kind", REFUSED)
def test_refused(kind, tmp_path):
    write, message = REFUSED[kind]
    path = write(tmp_path)
    with pytest.raises(ValueError) as caught:
        es.read_mask(path)
    assert str(caught.value) == message.format(file=path)
    split = es.Split((es.Pair(path, path, "a"),), "test", tmp_path)
    with pytest.raises(ValueError, match=re.escape(str(path))):
        split.masks(10)


# Grey files that keep their values


for white in (1, 255):
    for suffix in ("png", "tif", "bmp", "gif"):

        @read(f"{suffix} of 0 and {white}", f"{white} is lesion")
        def _(folder, white=white, suffix=suffix):
            return save(folder / f"m.{suffix}", M * np.uint8(white))


for white in (1, 255, 65535):
    for suffix in ("png", "tif"):

        @read(f"16-bit {suffix} of 0 and {white}", f"{white} is lesion")
        def _(folder, white=white, suffix=suffix):
            return save(folder / f"m.{suffix}", coded(0, white, kind="uint16"))


@read("PNG of 1 bit", "white is lesion")
def _(folder):
    return save(folder / "m.png", M.astype(bool))


@read("TIFF of 1 bit whose white is 0", "white is lesion")
def _(folder):
    Image.fromarray(M.astype(bool)).save(folder / "m.tif", tiffinfo={262: 0})
    return folder / "m.tif"


@read("16-bit TIFF whose white is 0", "white is lesion")
def _(folder):
    return negative(folder / "m.tif", coded(0, 65535, kind="uint16"))


def negative(path, values):
    """Write a 16-bit TIFF that stores 65535 - value and says so."""
    save(path, 65535 - values)
    content = path.read_bytes()
    tag = struct.pack("<HHI", 262, 3, 1)
    assert content.count(tag) == 1
    path.write_bytes(content.replace(tag + b"\x01\x00", tag + b"\x00\x00"))
    return path


@read("lossless WebP", "255 is lesion")
def _(folder):
    return save(folder / "m.webp", M * np.uint8(255), lossless=True)


@read("WebP that is not lossless, JPEG in TIFF", "lesion above 127, as in JPEG")
def _(folder):
    path = save(folder / "m.webp", np.kron(M, np.ones((16, 16), "uint8")) * 255, quality=90)
    large = es.read_mask(path)
    assert (large != np.kron(M, np.ones((16, 16), "uint8"))).mean() < 0.001
    path = save(folder / "m.tif", M[::-1] * np.uint8(0) + M * np.uint8(255), compression="jpeg")
    assert (es.read_mask(path) != M).mean() < 0.01
    return save(folder / "m.png", M)


@refused(
    "0, 1 and an ignored border of 255",
    f"{{file}}: {TWO_CLASSES} 3 values, most often 0, 1, 255. {ONE_MASK} {CHOOSE.format(1)}",
)
def _(folder):
    return save(folder / "m.png", coded(0, 1, 255, classes=BORDER))


@refused(
    "0, 128 and 255 with few pixels of 128",
    f"{{file}}: {TWO_CLASSES} 3 values, most often 0, 255, 128. {ONE_MASK} {CHOOSE.format(255)}",
)
def _(folder):
    values = M * np.uint8(255)
    values[0, 0] = 128
    return save(folder / "m.tif", values)


@refused(
    "16-bit label map of 1, 120 and 300",
    f"{{file}}: {TWO_CLASSES} 4 values, most often 0, 1, 120, 300. {ONE_MASK} {CHOOSE.format(1)}",
)
def _(folder):
    values = coded(0, 1, kind="uint16")
    values[0, :4], values[1, :3] = 120, 300
    return save(folder / "m.png", values)


for values in ((0, 2), (1, 2), (0, 254), (1, 255), (128, 255)):

    @refused(
        f"{values[0]} and {values[1]}",
        f"{{file}}: {TWO_CLASSES} 2 values, most often {values[0]}, {values[1]}. {ONE_MASK} "
        f"{CHOOSE.format(max(1, values[0]) if values[0] else values[1])}",
    )
    def _(folder, values=values):
        return save(folder / "m.png", coded(*values))


@refused(
    "16 bits, 0 and 300",
    f"{{file}}: {TWO_CLASSES} 2 values, most often 0, 300. {ONE_MASK} {CHOOSE.format(300)}",
)
def _(folder):
    return save(folder / "m.png", coded(0, 300, kind="uint16"))


@refused(
    "resized PNG with greys between 0 and 255",
    f"{{file}}: {TWO_CLASSES} 11 values, most often 0, 255, 20, 40, 60, 80. {ONE_MASK} {MIDDLE}",
)
def _(folder):
    values = M * np.uint8(255)
    values[0, :9] = np.arange(20, 200, 20)
    return save(folder / "m.png", values)


@refused(
    "PNG of 2 bits with 0, 1 and 2, shown as 0, 85 and 170",
    f"{{file}}: {TWO_CLASSES} 3 values, most often 0, 85, 170. {ONE_MASK} {CHOOSE.format(85)}",
)
def _(folder):
    low_bits(folder / "m.png", BORDER, 2)
    return folder / "m.png"


@pytest.mark.parametrize("third", [30, 128, 220])
def test_a_patch_of_a_third_grey_in_a_jpeg_is_a_class(tmp_path, third):
    values = np.kron(M, np.ones((8, 8), "uint8")) * 255
    path = save(tmp_path / "m.jpg", values, quality=75)
    assert (es.read_mask(path) != values // 255).mean() < 0.001
    values[8:16, 8:16] = third
    with pytest.raises(ValueError, match=r"m.jpg: expected a mask of two classes"):
        es.read_mask(save(tmp_path / "m.jpg", values, quality=75))


def test_an_empty_or_full_jpeg_is_empty_or_full_at_every_quality(tmp_path):
    for quality in range(1, 101):
        for value in (0, 255):
            path = save(tmp_path / "m.jpg", M * np.uint8(0) + np.uint8(value), quality=quality)
            assert (es.read_mask(path) == value // 255).all(), quality


def test_jpeg_does_not_keep_labels_of_0_and_1(tmp_path):
    path = save(tmp_path / "m.jpg", M, quality=100)
    assert np.unique(np.asarray(Image.open(path))).tolist() == [0, 1]
    with pytest.raises(ValueError) as caught:
        es.read_mask(path)
    assert str(caught.value) == (
        f"{path}: expected a JPEG mask of black and white, 0 and 255. Found values up to 1, which "
        "JPEG does not keep. Save the mask as PNG."
    )


# Indices, colours, alpha


BLACK, WHITE, RED, GREEN = (0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 128, 0)


@read("indexed, black and white", "white is lesion")
def _(folder):
    indexed(BLACK, WHITE).save(folder / "m.png")
    return folder / "m.png"


@read("indexed, white before black", "white is lesion, whatever its index")
def _(folder):
    indexed(WHITE, BLACK, classes=1 - M).save(folder / "m.png")
    return folder / "m.png"


@read("indexed, black and red", "red is lesion")
def _(folder):
    indexed(BLACK, RED).save(folder / "m.png")
    return folder / "m.png"


@read("red on black through a palette quantiser", "red is lesion, whatever its index")
def _(folder):
    picture = Image.fromarray(np.array([BLACK, RED], "uint8")[M])
    picture = picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=2)
    assert np.asarray(picture)[0, 0] == 1, "black has come first: nothing is shown"
    picture.save(folder / "m.png")
    return folder / "m.png"


@refused("indexed, neither is black", f"{{file}}: {INDEXED.format(2, '0 (#ff0000), 1 (#008000)')}")
def _(folder):
    indexed(RED, GREEN).save(folder / "m.png")
    return folder / "m.png"


@refused(
    "indexed, three classes",
    f"{{file}}: {INDEXED.format(3, '0 (0), 1 (#ff0000), 2 (#008000)')}",
)
def _(folder):
    indexed(BLACK, RED, GREEN, classes=BORDER).save(folder / "m.png")
    return folder / "m.png"


@refused("indexed, index 2 alone", f"{{file}}: {INDEXED.format(2, '0 (0), 2 (#008000)')}")
def _(folder):
    indexed(BLACK, RED, GREEN, classes=M * np.uint8(2)).save(folder / "m.png")
    return folder / "m.png"


@refused(
    "indexed, two classes of one colour",
    f"{{file}}: {INDEXED.format(3, '0 (0), 1 (255), 2 (255)')}",
)
def _(folder):
    indexed(BLACK, WHITE, WHITE, classes=BORDER).save(folder / "m.png")
    return folder / "m.png"


@read("RGB, black and white", "white is lesion")
def _(folder):
    return save(folder / "m.png", np.dstack([M * 255] * 3))


@refused("RGB with 1 in the blue channel only", f"{{file}}: {COLOURS}")
def _(folder):
    return save(folder / "m.png", np.dstack([M * 0, M * 0, M]))


@refused("RGB, red on black", f"{{file}}: {COLOURS}")
def _(folder):
    return save(folder / "m.bmp", np.dstack([M * 255, M * 0, M * 0]))


@refused(
    "RGB of 16 bits a channel, 0 and 1",
    f"{{file}}: expected a grey mask, found colours with 16 bits a channel. {ONE_MASK}",
)
def _(folder):
    sixteen_bit_colours(folder / "m.png", np.dstack([M] * 3))
    return folder / "m.png"


@read("RGBA, opaque, or opaque where the lesion is", "white is lesion")
def _(folder):
    opaque = np.dstack([M * 255] * 3 + [M * 0 + 255])
    np.testing.assert_array_equal(es.read_mask(save(folder / "m.png", opaque)), M)
    return save(folder / "m.tif", np.dstack([M * 255] * 4))


for colour, where in ((255, "white"), (0, "black")):

    @refused(
        f"the label in the alpha channel of a {where} picture",
        "{file}: expected an opaque mask, found an alpha channel from 0 to 255 that says something "
        f"else than the colours. {ONE_MASK}",
    )
    def _(folder, colour=colour):
        grey = M * np.uint8(0) + np.uint8(colour)
        return save(folder / "m.png", np.dstack([grey, grey, grey, M * 255]))


@refused(
    "white that is transparent everywhere",
    "{file}: expected an opaque mask, found an alpha channel from 0 to 0 that says something else "
    f"than the colours. {ONE_MASK}",
)
def _(folder):
    return save(folder / "m.png", np.dstack([M * 0 + 255] * 3 + [M * 0]))


@refused(
    "float TIFF",
    f"{{file}}: expected whole numbers 0..65535, found float32. {ONE_MASK}",
)
def _(folder):
    return save(folder / "m.tif", M.astype("float32"))


# Chosen values


@pytest.mark.parametrize(
    ("values", "lesion"), [((1,), {1}), ((1, 2), {1, 2}), ((2,), {2}), ((0,), {0}), ((9,), set())]
)
def test_chosen_values_are_lesion_and_all_others_background(tmp_path, values, lesion):
    expected = np.isin(BORDER, list(lesion)).astype("uint8")
    paths = [save(tmp_path / "m.png", BORDER), save(tmp_path / "m.tif", BORDER.astype("uint16"))]
    indexed(RED, GREEN, BLACK, classes=BORDER).save(tmp_path / "p.png")
    for path in (*paths, tmp_path / "p.png"):
        np.testing.assert_array_equal(es.read_mask(path, values), expected, str(path))


def test_white_of_one_bit_may_be_called_1_or_255(tmp_path):
    path = save(tmp_path / "m.png", M.astype(bool))
    for values in ((1,), (255,), (1, 2)):
        np.testing.assert_array_equal(es.read_mask(path, values), M)
    np.testing.assert_array_equal(es.read_mask(path, (0,)), 1 - M)


def test_a_grey_palette_may_be_chosen_by_its_greys(tmp_path):
    indexed(BLACK, (128,) * 3, WHITE, classes=BORDER).save(tmp_path / "p.png")
    for values in ((1,), (128,)):
        np.testing.assert_array_equal(es.read_mask(tmp_path / "p.png", values), BORDER == 1)
    indexed((2,) * 3, (1,) * 3, BLACK, classes=BORDER).save(tmp_path / "p.png")
    with pytest.raises(ValueError, match=r"p.png: the chosen values are indices .* and greys"):
        es.read_mask(tmp_path / "p.png", (2,))


def test_greys_are_cut_where_it_is_asked_for(tmp_path):
    ramp = np.arange(256, dtype="uint8").reshape(16, 16)
    cut = tuple(range(128, 256))
    np.testing.assert_array_equal(es.read_mask(save(tmp_path / "m.png", ramp), cut), ramp > 127)
    path = save(tmp_path / "m.jpg", M * 255, quality=90)
    greys = np.asarray(Image.open(path))
    np.testing.assert_array_equal(es.read_mask(path, cut), greys > 127)
    with pytest.raises(ValueError, match=r"m.jpg: expected a file that keeps its values.*PNG"):
        es.read_mask(path, (1, 2))


@pytest.fixture
def classes(disks):
    """The disks with a class 2 beside the lesion, of value 1."""
    for path in (disks / "masks").iterdir():
        values = np.asarray(Image.open(path)) // 255
        values[:2, :3] = 2
        save(path, values)
    return disks


def test_chosen_values_go_through_all_that_reads_masks(classes, tmp_path):
    with pytest.raises(ValueError, match=r"expected a mask of two classes.*0, 1, 2.*lesion_values"):
        es.check_pairs(es.load_dataset(classes).train.pairs)
    data = es.load_dataset(classes, lesion_values=(2,))
    assert es.check_pairs(data.train.pairs, data.lesion_values) == 0
    expected = np.zeros((40, 48), int)
    expected[:2, :3] = 1
    assert (data.test.masks(480)[:, ::12, ::10] == expected).all()
    preset = es.preset("smoke").replace(size=480, batch_size=1)
    for cache in (None, tmp_path / "cache"):
        for stream in (
            data.train.to_tf(preset, cache=cache),
            data.train.to_tf(preset, training=True, cache=cache),
        ):
            mask = next(iter(stream))[1].numpy()[0, ..., 1]
            assert mask.sum() == 6 * 120
    crops, counts = es.crop_split(data.train, margin=0)
    assert counts.kept == 14 and set(crops.boxes) == {(0, 0, 2, 3)}
    assert crops.lesion_values == (2,)
    assert len(es.load_dataset(classes, lesion_values=1, empty=False).train) == 13


def test_another_choice_is_read_anew_from_the_cache_folder(classes, tmp_path):
    for value in (1, 2):
        data = es.load_dataset(classes, lesion_values=value)
        stream = data.test.to_tf(es.preset("smoke").replace(size=64), cache=tmp_path / "cache")
        kept = np.concatenate([masks[..., 1] for _, masks in stream.as_numpy_iterator()])
        np.testing.assert_array_equal(kept, data.test.masks(64))
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_the_choice_is_part_of_the_data_hash_only_where_there_is_one(disks, monkeypatch):
    plain = es.load_dataset(disks).hash
    chosen = es.load_dataset(disks, lesion_values=(255,)).hash
    assert chosen != plain
    monkeypatch.setenv("ENSEMBLE_SEG_LESION_VALUES", "255")
    assert es.load_dataset(disks).hash == chosen
    assert es.load_dataset(disks, lesion_values="1 255").hash not in (plain, chosen)


@pytest.mark.parametrize("values", [(), "", " ", "x", "-1", (1.5,), "5-2", 70000, "1 2 three"])
def test_values_that_are_none(values):
    with pytest.raises(ValueError, match="Invalid value for argument `lesion_values`"):
        es.load_dataset("phantoms", lesion_values=values)


def test_masks_of_one_set_mark_the_lesion_in_one_way(disks):
    path = disks / "masks" / "disk_03.png"
    save(path, np.asarray(Image.open(path)) // 255)
    data = es.load_dataset(disks)
    pairs = (*data.train.pairs, *data.validation.pairs, *data.test.pairs)
    with pytest.raises(ValueError) as caught:
        es.check_pairs(pairs)
    assert re.search(
        r"one value. Found 255 in 18 masks \(.*disk_\d\d.png\), 1 in 1 masks \(.*disk_03.png\). "
        r"If all of them are lesion, say so: --lesion-values 1 255.$",
        str(caught.value),
    )
    assert es.inspect_dataset(disks).problems == (str(caught.value),)
    assert es.check_pairs(pairs, (1, 255)) == 0
    assert es.inspect_dataset(disks, lesion_values="1 255").is_trainable


def test_inverted_masks_are_warned_of(disks):
    warnings = [text for text in es.inspect_dataset(disks).warnings if "inverted" in text]
    assert warnings == []
    for path in (disks / "masks").iterdir():
        save(path, 255 - np.asarray(Image.open(path)))
    found = es.inspect_dataset(disks)
    assert found.warnings[0].startswith(
        "20 of 20 masks with a lesion have it in all four corners or in more than half of the "
    )
    assert "--lesion-values 0" in found.warnings[0]
    mended = es.inspect_dataset(disks, lesion_values=0)
    assert not [text for text in mended.warnings if "inverted" in text]
    assert mended.fractions().max() < 0.25


def test_commands_and_the_environment_take_lesion_values(classes, tmp_path, capsys, monkeypatch):
    from ensemble_seg.__main__ import main

    assert main(["check", str(classes)]) == 1
    assert "most often 0, 1, 2" in capsys.readouterr().out
    assert main(["check", str(classes), "--lesion-values", "1", "2"]) == 0
    assert "as chosen (20)" in capsys.readouterr().out
    assert main(["check", str(classes), "--lesion-values", "7"]) == 1
    assert "check that what --lesion-values names is lesion" in capsys.readouterr().out
    crops = ["sample", str(classes), str(tmp_path / "crops"), "--margin", "0"]
    assert main([*crops, "--lesion-values", "2"]) == 0
    for path in (tmp_path / "crops" / "masks").iterdir():
        assert np.array_equal(np.asarray(Image.open(path)), np.full((2, 3), 255))
    monkeypatch.setenv("ENSEMBLE_SEG_LESION_VALUES", "1-2")
    assert es.inspect_dataset(classes).is_trainable
    assert es.load_dataset(classes).lesion_values == (1, 2)


# Images


def test_12_bits_in_files_of_16_are_refused_then_converted(tmp_path):
    ramp = np.linspace(0, 4095, 1920).round().astype("uint16").reshape(40, 48)
    save(tmp_path / "set" / "a.png", ramp)
    save(tmp_path / "set" / "b.tif", (ramp // 17).astype("uint16"))  # at most 240
    save(tmp_path / "set" / "c.png", np.full((40, 48), 99, "uint8"))
    for name, high in (("a.png", 4095), ("b.tif", 240)):
        with pytest.raises(ValueError) as caught:
            es.read_image(tmp_path / "set" / name)
        assert str(caught.value) == (
            f"{tmp_path}/set/{name}: 16 bits a pixel, of which the values 0 to {high} fill too "
            "little to tell their scale. Give the images of the set one scale with python -m "
            f"ensemble_seg convert {tmp_path}/set NEW_FOLDER"
        )
    from ensemble_seg.reading.converting import convert_folder

    assert convert_folder(tmp_path / "set", tmp_path / "new") == (0, 4095)
    greys = {p.stem: es.read_image(p)[..., 0].astype(float) for p in (tmp_path / "new").iterdir()}
    np.testing.assert_allclose(greys["a"], ramp / 4095 * 255, atol=0.51)
    np.testing.assert_allclose(greys["b"], (ramp // 17) / 4095 * 255, atol=0.51)
    assert (greys["c"] == 99).all()
    assert convert_folder(tmp_path / "set", tmp_path / "dark", (0, 8190)) == (0, 8190)
    assert es.read_image(tmp_path / "dark" / "a.png").max() == 128
    with pytest.raises(FileExistsError, match="new: exists"):
        convert_folder(tmp_path / "set", tmp_path / "new")
    with pytest.raises(ValueError, match="expected grey images of 16 bits, found none among 3"):
        convert_folder(tmp_path / "new", tmp_path / "newer")


def test_convert_is_a_command(tmp_path, capsys):
    from ensemble_seg.__main__ import main

    save(tmp_path / "set" / "a.png", np.array([[0, 1000, 4000]], "uint16"))
    assert main(["convert", str(tmp_path / "set"), str(tmp_path / "new")]) == 0
    assert "values 0 to 4000" in capsys.readouterr().out
    assert es.read_image(tmp_path / "new" / "a.png")[0, :, 0].tolist() == [0, 64, 255]
    again = ["convert", str(tmp_path / "set"), str(tmp_path / "b"), "--range", "9", "3"]
    assert main(again) == 1
    assert "two values 0..65535, the lower one first" in capsys.readouterr().err


def test_16_bits_that_are_filled_keep_their_upper_8(tmp_path):
    values = np.array([[0, 255, 256, 40000, 65535]], "uint16")
    image = es.read_image(save(tmp_path / "a.png", values))
    assert image[0, :, 0].tolist() == [0, 0, 1, 156, 255]
    black = es.read_image(save(tmp_path / "b.png", values * 0))
    assert black.max() == 0


def test_a_16_bit_tiff_whose_white_is_0_is_turned_positive(tmp_path):
    values = np.array([[0, 255, 256, 40000, 65535]], "uint16")
    image = es.read_image(negative(tmp_path / "a.tif", values))
    assert image[0, :, 0].tolist() == [0, 0, 1, 156, 255]


def test_16_bit_colours_are_read_where_they_fill_their_range(tmp_path):
    bright = np.array([[[0, 300, 65535], [40000, 256, 255]]])
    sixteen_bit_colours(tmp_path / "a.png", bright)
    assert es.read_image(tmp_path / "a.png").tolist() == [[[0, 1, 255], [156, 1, 0]]]
    sixteen_bit_colours(tmp_path / "a.png", bright // 16)
    with pytest.raises(ValueError, match=r"a.png: 16 bits a channel.*16 greys only"):
        es.read_image(tmp_path / "a.png")


def test_gif_webp_and_jfif_images(tmp_path):
    colour = np.full((16, 16, 3), (200, 100, 50), "uint8")
    for name in ("a.gif", "a.webp", "a.jfif"):
        image = es.read_image(
            save(tmp_path / name, colour, format=None if "jf" not in name else "JPEG")
        )
        assert np.abs(image.astype(int) - colour).max() < 10, name


# Messages name their file


@pytest.mark.parametrize("kind", ["images", "masks"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.99])
def test_whatever_breaks_in_a_file_its_name_is_said(disks, kind, share):
    for number, suffix in enumerate(("png", "jpg", "tif", "bmp", "webp", "gif")):
        path = disks / kind / f"disk_{number:02d}.png"
        picture = Image.open(path)
        picture.load()
        path.unlink()
        path = path.with_suffix(f".{suffix}")
        picture.save(path)
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    problems = es.inspect_dataset(disks).problems
    for problem in problems:
        assert problem.startswith(f"{disks}/{kind}/disk_"), problem
    assert len(problems) >= 3


def test_a_truncated_png_of_200_bytes_is_named(disks):
    path = disks / "images" / "disk_03.png"
    path.write_bytes(path.read_bytes()[:200])
    message = f"{path}: not an image that can be read (it breaks off). Replace the file or leave "
    assert [text.startswith(message) for text in es.inspect_dataset(disks).problems] == [True]
    with pytest.raises(ValueError, match=re.escape(message)):
        es.check_pairs(es.load_dataset(disks).train.pairs + es.load_dataset(disks).test.pairs)


# What the page says beside READ and REFUSED, each tested above or in test_dicom
MORE = (
    ("masks of one set that mark the lesion differently, 0/1 and 0/255 say", "refused, unless "
     "--lesion-values names both", "Expected masks that all mark the lesion with one value. Found "
     "255 in 18 masks ({file}), 1 in 1 masks ({file}). If all of them are lesion, say so: "
     "--lesion-values 1 255."),
    ("inverted masks, lesion 0 and background 255", "a warning where most masks have lesion in all "
     "four corners or in more than half of the image; --lesion-values 0 turns them", "20 of 20 "
     "masks with a lesion have it in all four corners or in more than half of the image ({file}). "
     "Look at them: if they are inverted, choose --lesion-values 0."),
    ("images that have one grey value or one colour all over", "read, with a warning", "1 images "
     "have one colour all over. Look at them. The first is {file}."),
    ("JPEG mask of 0 and 1", "refused", "{file}: expected a JPEG mask of black and white, 0 and "
     "255. Found values up to 1, which JPEG does not keep. Save the mask as PNG."),
    ("JPEG mask with one value of 0 to 15", "read: no lesion", ""),
    ("JPEG mask with 5 x 5 pixels or more of a third grey", "refused", "as for PNG"),
    ("more than two values", "--lesion-values 1 2, lesion_values=(1, 2) or "
     "ENSEMBLE_SEG_LESION_VALUES choose what is lesion; part of the data hash", ""),
    ("12 bits in 16-bit files", "refused; convert gives the whole folder one scale", "{file}: 16 "
     "bits a pixel, of which the values 0 to 4095 fill too little to tell their scale. Give the "
     "images of the set one scale with python -m ensemble_seg convert {folder} NEW_FOLDER"),
    ("16-bit image that fills a quarter of its range or more", "the upper 8 bits", ""),
    ("16-bit TIFF whose white is 0", "turned positive", ""),
    ("DICOM without, or with an empty, window", "spread from lowest to highest", ""),
    ("DICOM with PixelPaddingValue", "padding is black and does not set the range", ""),
    ("DICOM of PALETTE COLOR", "its colours", ""),
    ("DICOM of 16-bit RGB", "the upper 8 of the stored bits", ""),
    ("DICOM masks", "stored values, no window, by the rules for PNG", ""),
    ("truncated file of any format", "refused, by check with its name", "{file}: not an image that "
     "can be read (it breaks off). Replace the file or leave it out."),
)  # fmt: skip


def page() -> str:
    """Return docs/FOREIGN_IMAGES.md."""
    rows = [(f"mask: {kind}", f"read: {rule}", "") for kind, (_, rule) in READ.items()]
    rows += [(f"mask: {kind}", "refused", text) for kind, (_, text) in REFUSED.items()]
    lines = [
        "# Unusual images and masks",
        "",
        "| situation | what is done | message |",
        "|---|---|---|",
    ]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in (*rows, *MORE))]) + "\n"


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page()


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
