"""Damaged files: each is read as it was or refused in one line that begins with its name."""

import io
import re
import struct
import zlib

import numpy as np
import pytest
from conftest import save
from PIL import Image, ImageFile, PngImagePlugin

import ensemble_seg as es
from ensemble_seg.reading.images import picture_size, small_image
from ensemble_seg.reading.masks import small_mask

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
MASK = np.zeros((24, 32), "uint8")
MASK[5:15, 8:25] = 255
RGB = np.random.default_rng(0).integers(0, 256, (24, 32, 3), "uint8")
READERS = (
    es.read_image,
    es.read_mask,
    lambda path: small_image(path, 8),
    lambda path: small_mask(path, 8),
    lambda path: es.read_mask(path, (1, 255)),
    picture_size,
)


def encoded(array, kind, **options):
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind, **options)
    return file.getvalue()


def dicom(rows=24, pixels=MASK):
    pydicom = pytest.importorskip("pydicom")
    header = pydicom.Dataset()
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    header.SOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    header.SOPInstanceUID = "1.2.3"
    header.PhotometricInterpretation = "MONOCHROME2"
    header.Rows, header.Columns, header.SamplesPerPixel = rows, 32, 1
    header.BitsAllocated, header.BitsStored, header.HighBit = 8, 8, 7
    header.PixelRepresentation, header.PixelData = 0, pixels.tobytes()
    file = io.BytesIO()
    header.save_as(file, enforce_file_format=True)
    return file.getvalue()


def png_with_notes():
    notes, exif = PngImagePlugin.PngInfo(), Image.Exif()
    notes.add_text("Comment", "a" * 40, zip=True)
    notes.add_itxt("Title", "b" * 40, "en", "c", zip=True)
    exif[0x112] = 1
    return encoded(MASK, "PNG", pnginfo=notes, exif=exif, transparency=7, icc_profile=b"d" * 40)


KINDS = {
    "mask.png": lambda: encoded(MASK, "PNG"),
    "notes.png": png_with_notes,
    "deep.png": lambda: encoded(MASK * np.uint16(257), "PNG"),
    "rgb.jpg": lambda: encoded(RGB, "JPEG", progressive=True),
    "mask.jpg": lambda: encoded(MASK, "JPEG"),
    "mask.tif": lambda: encoded(MASK, "TIFF"),
    "lzw.tif": lambda: encoded(MASK, "TIFF", compression="tiff_lzw"),
    "mask.bmp": lambda: encoded(MASK, "BMP"),
    "mask.gif": lambda: encoded(MASK, "GIF"),
    "mask.webp": lambda: encoded(MASK, "WEBP", lossless=True),
    "mask.dcm": dicom,
}


def mangled(data, rng):
    """One bit or byte changed, a piece put in or taken out, or the end cut off."""
    data = bytearray(data)
    at = int(rng.integers(len(data) if rng.random() < 0.5 else min(len(data), 400)))
    way = rng.integers(5)
    if way == 0:
        data[at] ^= 1 << int(rng.integers(8))
    elif way == 1:
        data[at] = int(rng.integers(256))
    elif way == 2:
        data[at : at + int(rng.integers(1, 12))] = b"\xff" * 4
    elif way == 3:
        data[at:at] = rng.bytes(int(rng.integers(1, 9)))
    else:
        del data[at:]
    return bytes(data)


def refusal(read, path):
    """What is said, "" where the file is read; anything but one line with its name fails."""
    try:
        read(path)
    except ValueError as error:
        assert str(error).startswith(f"{path}: "), repr(error)
        assert "\n" not in str(error)
        return str(error)
    return ""


def png_chunks(data):
    """The place of each chunk's head, its kind and the length of what it holds."""
    place = 8
    while place < len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        yield place, kind, length
        place += 12 + length


@pytest.mark.parametrize("name", KINDS)
def test_mangled_files_are_named_in_one_line(tmp_path, monkeypatch, name):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)  # no time for larger ones
    sound, rng, path = KINDS[name](), np.random.default_rng(1), tmp_path / name
    refused = 0
    for number in range(300):
        path.write_bytes(mangled(sound, rng))
        if path.stat().st_size:
            said = [refusal(READERS[(number + k) % len(READERS)], path) for k in (0, 1)]
            refused += any(said)
    assert refused > 30


def test_chunks_whose_content_is_wrong_and_whose_checksum_is_right(tmp_path):
    sound, rng, path = png_with_notes(), np.random.default_rng(2), tmp_path / "a.png"
    chunks = [chunk for chunk in png_chunks(sound) if chunk[2] and chunk[1] != b"IHDR"]
    for number in range(300):
        place, kind, length = chunks[number % len(chunks)]
        content = bytearray(sound[place + 8 : place + 8 + length])
        content[int(rng.integers(length))] = int(rng.integers(256))
        content = bytes(content[: int(rng.integers(length + 1))] if number % 2 else content)
        checksum = zlib.crc32(kind + content)
        chunk = struct.pack(">I4s", len(content), kind) + content + struct.pack(">I", checksum)
        path.write_bytes(sound[:place] + chunk + sound[place + 12 + length :])
        for k in (0, 1):
            refusal(READERS[(number + k) % len(READERS)], path)


@pytest.mark.parametrize("depth", ["8 bits", "1 bit", "indexed", "rgb"])
def test_no_flipped_bit_of_a_png_is_read_as_another_mask(tmp_path, depth):
    rows, columns = np.mgrid[:256, :256]
    mask = (np.hypot(rows - 120, columns - 140) < 60).astype("uint8")
    picture = Image.fromarray(mask * 255)
    picture = {
        "8 bits": picture,
        "1 bit": picture.convert("1"),
        "indexed": picture.convert("P"),
        "rgb": picture.convert("RGB"),
    }[depth]
    path, rng = tmp_path / "mask.png", np.random.default_rng(3)
    picture.save(path)
    sound = path.read_bytes()
    for bit in rng.integers(8 * (len(sound) - 12), size=100).tolist():  # the last chunk is empty
        damaged = bytearray(sound)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        for read in (es.read_mask, es.read_image, lambda path: small_mask(path, 64)):
            assert refusal(read, path), bit
    path.write_bytes(sound)
    np.testing.assert_array_equal(es.read_mask(path), mask)


def test_a_tiff_without_its_size(tmp_path):
    path = tmp_path / "a.tif"
    data = bytearray(encoded(MASK, "TIFF"))
    (start,) = struct.unpack_from("<I", data, 4)
    data[start + 2 : start + 4] = b"\xff\x7f"  # the tag of the width
    path.write_bytes(data)
    for read in READERS:
        assert refusal(read, path)


@pytest.mark.parametrize("rows", [23, 25, 48])
def test_dicom_whose_rows_disagree_with_its_data(tmp_path, rows):
    path = tmp_path / "a.dcm"
    path.write_bytes(dicom(rows))
    for read in READERS:
        assert refusal(read, path)
    path.write_bytes(dicom(23, MASK[:23]))
    np.testing.assert_array_equal(es.read_mask(path), MASK[:23] // 255)


def claims(kind, side=13_000):
    """A file of a few hundred bytes whose header says side x side pixels."""
    data = bytearray(encoded(RGB if kind == "JPEG" else MASK, kind))
    if kind == "JPEG":
        place = data.index(b"\xff\xc0") + 5
        data[place : place + 4] = struct.pack(">HH", side, side)
    elif kind == "PNG":
        data[16:24] = struct.pack(">II", side, side)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif kind == "BMP":
        data[18:26] = struct.pack("<ii", side, side)
    elif kind == "GIF":
        data[6:10] = struct.pack("<HH", side, side)
    elif kind == "TIFF":
        for tag, old in ((256, 32), (257, 24)):
            place = data.index(struct.pack("<HH", tag, 4) + struct.pack("<II", 1, old))
            data[place + 8 : place + 12] = struct.pack("<I", side)
    return data


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "TIFF"])
def test_an_image_that_is_too_large_is_not_decoded(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("decoded"))
    path = tmp_path / f"a.{kind.lower()}"
    path.write_bytes(claims(kind))
    message = (
        f"{path}: 13,000 x 13,000 pixels, more than the 89,478,485 that are decoded. Save it "
        "smaller, or cut it into tiles."
    )
    assert [refusal(read, path) for read in READERS] == [message] * len(READERS)
    path.write_bytes(claims(kind, 30_000))
    for read in READERS:
        assert re.search("far more pixels than the 89,478,485", refusal(read, path))


def test_dicom_that_is_too_large_is_not_decoded(tmp_path, monkeypatch):
    pytest.importorskip("pydicom")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 24 * 32 - 1)
    (tmp_path / "a.dcm").write_bytes(dicom())
    for read in READERS:
        assert "more than the 767 that are decoded" in refusal(read, tmp_path / "a.dcm")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 24 * 32)
    np.testing.assert_array_equal(es.read_mask(tmp_path / "a.dcm"), MASK // 255)


def test_an_orientation_that_is_no_number(tmp_path):
    exif = Image.Exif()
    exif[0x112] = 9
    path = save(tmp_path / "a.jpg", RGB, exif=exif)
    assert picture_size(path) == (24, 32)
