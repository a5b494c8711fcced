import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import save

import ensemble_seg as es
from ensemble_seg.reading.dicom import read_dicom
from ensemble_seg.reading.masks import small_mask

GREYS = np.array([[0, 25, 50, 75], [99, 100, 500, 4095]], "uint16")


@pytest.fixture
def dicom(tmp_path):
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import Dataset, FileMetaDataset

    def write(values, photometric="MONOCHROME2", name="a.dcm", **tags):
        colours = photometric == "RGB"
        header = Dataset()
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        header.SOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
        header.SOPInstanceUID = "1.2.3"
        header.SamplesPerPixel = 3 if colours else 1
        if colours:
            header.PlanarConfiguration = 0
        header.PhotometricInterpretation = photometric
        header.Rows, header.Columns = values.shape[-3:-1] if colours else values.shape[-2:]
        header.BitsAllocated = header.BitsStored = values.itemsize * 8
        header.HighBit = header.BitsStored - 1
        header.PixelRepresentation = int(values.dtype.kind == "i")
        for tag, value in tags.items():
            setattr(header, tag, value)
        header.PixelData = values.tobytes()
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        header.save_as(path, enforce_file_format=True)
        return path

    return write


# A window of centre 50 and width 100 shows x as 255 * ((x - 49.5) / 99 + 0.5), DICOM C.11.2.1.2.
def test_the_window_of_the_header(dicom):
    path = dicom(GREYS, WindowCenter=50, WindowWidth=100)
    expected = [[0, 64, 129, 193], [255, 255, 255, 255]]
    np.testing.assert_array_equal(read_dicom(path), expected)
    image = es.read_image(path)
    assert (image.shape, image.dtype) == ((2, 4, 3), np.uint8)
    np.testing.assert_array_equal(image[..., 1], expected)


def test_of_several_windows_the_first_is_taken(dicom):
    path = dicom(GREYS, WindowCenter=[50, 2000], WindowWidth=[100, 4000])
    np.testing.assert_array_equal(read_dicom(path)[0], [0, 64, 129, 193])


def test_the_window_is_the_same_where_the_values_do_not_fill_it(dicom):
    path = dicom(GREYS[:, 1:3], WindowCenter=50, WindowWidth=100)
    np.testing.assert_array_equal(read_dicom(path), [[64, 129], [255, 255]])
    path = dicom(GREYS[:1, 1:], WindowCenter=50, WindowWidth=100)
    np.testing.assert_array_equal(read_dicom(path), [[64, 129, 193]])


def test_rescale_comes_before_the_window(dicom):
    values = np.array([[0, 840, 1040, 1240, 3000]], "uint16")
    tags = {"RescaleSlope": 1, "RescaleIntercept": -1000, "WindowCenter": 40, "WindowWidth": 400}
    expected = [[0, 0.5, 128, 255, 255]]  # Hounsfield units -160, 40 and 240 of -160..240
    np.testing.assert_allclose(read_dicom(dicom(values, **tags)), expected, atol=1)
    signed = (values.astype("int32") - 1000).astype("int16")
    path = dicom(signed, WindowCenter=40, WindowWidth=400)
    np.testing.assert_allclose(read_dicom(path), expected, atol=1)


def test_without_a_window_lowest_is_black_and_highest_white(dicom):
    values = np.array([[1000, 1500, 2000]], "uint16")
    np.testing.assert_array_equal(read_dicom(dicom(values)), [[0, 128, 255]])


def test_monochrome1_is_inverted(dicom):
    path = dicom(GREYS, "MONOCHROME1", WindowCenter=50, WindowWidth=100)
    np.testing.assert_array_equal(read_dicom(path), [[255, 191, 126, 62], [0, 0, 0, 0]])


def test_colours_keep_their_order(dicom):
    colours = np.random.default_rng(0).integers(0, 256, (4, 6, 3), "uint8")
    np.testing.assert_array_equal(read_dicom(dicom(colours, "RGB")), colours)
    np.testing.assert_array_equal(es.read_image(dicom(colours, "RGB")), colours)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(("white", "kind"), [(1, "uint8"), (1, "uint16"), (255, "uint8")])
def test_masks_stay_as_they_are(dicom, white, kind, photometric):
    mask = np.array([[0, 1, 1], [0, 0, 1]], kind)
    np.testing.assert_array_equal(es.read_mask(dicom(mask * white, photometric)), mask)


def test_several_frames_are_refused(dicom):
    path = dicom(np.zeros((3, 4, 5), "uint8"), NumberOfFrames=3)
    with pytest.raises(ValueError, match=r"a.dcm: expected one image, found 3 in the file"):
        es.read_image(path)
    path = dicom(np.array([[0, 9, 18]], "uint8"), NumberOfFrames=1)
    np.testing.assert_array_equal(read_dicom(path), [[0, 128, 255]])


@pytest.mark.parametrize("kind", ["garbage", "truncated", "window"])
def test_files_that_cannot_be_read_are_named(dicom, tmp_path, kind):
    path = dicom(GREYS, WindowCenter=50, WindowWidth=0 if kind == "window" else 100)
    if kind != "window":
        path.write_bytes(b"\x01" * 900 if kind == "garbage" else path.read_bytes()[:-5])
    with pytest.raises(ValueError, match=r"a.dcm: not an image that can be read"):
        es.read_image(path)


def test_without_pydicom_the_message_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    (tmp_path / "a.dcm").write_bytes(b"anything")
    with pytest.raises(ValueError, match=r"a.dcm: reading DICOM needs pydicom.*pip install"):
        es.read_image(tmp_path / "a.dcm")


def test_a_folder_of_dicom_images_with_png_masks(dicom, tmp_path):
    ramp = np.arange(1024, dtype="uint16").reshape(32, 32) * 4
    for number in range(10):
        dicom(ramp, name=f"set/images/s{number}.dcm", WindowCenter=2000, WindowWidth=4000)
        mask = (ramp > 2400).astype("uint8") * 255
        save(tmp_path / "set" / "masks" / f"s{number}.png", mask)
    data = es.load_dataset(tmp_path / "set")
    assert (len(data.train), len(data.validation), len(data.test)) == (7, 1, 2)
    images, masks = next(iter(data.train.to_tf(es.preset("smoke").replace(size=32, batch_size=4))))
    assert (images.shape, masks.shape) == ((4, 32, 32, 3), (4, 32, 32, 2))
    expected = np.clip((ramp - 1999.5) / 3999 + 0.5, 0, 1) * 255
    np.testing.assert_allclose(images[0, ..., 2], expected, atol=1)
    np.testing.assert_array_equal(masks[0, ..., 1], ramp > 2400)


@pytest.mark.parametrize("empty", [None, "", []])
def test_an_empty_window_is_none(dicom, empty):
    values = np.array([[1000, 1500, 2000]], "uint16")
    for tags in ({"WindowCenter": empty, "WindowWidth": empty}, {"WindowCenter": 1}):
        np.testing.assert_array_equal(read_dicom(dicom(values, **tags)), [[0, 128, 255]])


def test_padding_is_black_and_does_not_set_the_range(dicom):
    values = np.array([[-2000, 0, 500, 1000, -2000]], "int16")
    path = dicom(values, PixelPaddingValue=-2000)
    np.testing.assert_array_equal(read_dicom(path), [[0, 0, 128, 255, 0]])
    path = dicom(values, "MONOCHROME1", PixelPaddingValue=-2000)
    np.testing.assert_array_equal(read_dicom(path), [[0, 255, 127, 0, 0]])
    values = np.array([[60000, 0, 500, 1000, 65535]], "uint16")
    path = dicom(values, PixelPaddingValue=65535, PixelPaddingRangeLimit=60000)
    np.testing.assert_array_equal(read_dicom(path), [[0, 0, 128, 255, 0]])


@pytest.mark.parametrize(("bits", "shift"), [(16, 8), (12, 4)])
def test_colours_of_16_bits_keep_the_upper_8_of_those_stored(dicom, bits, shift):
    colours = np.random.default_rng(0).integers(0, 1 << bits, (4, 6, 3)).astype("uint16")
    path = dicom(colours, "RGB", BitsStored=bits, HighBit=bits - 1)
    np.testing.assert_array_equal(read_dicom(path), colours // (1 << shift))


def test_a_palette_gives_its_colours(dicom):
    def table(*values):
        return np.array(values, "uint16").tobytes()

    tags = {"RedPaletteColorLookupTableData": table(0, 65535, 40000)}
    tags |= {"GreenPaletteColorLookupTableData": table(0, 256, 0)}
    tags |= {"BluePaletteColorLookupTableData": table(0, 0, 65535)}
    for colour in ("Red", "Green", "Blue"):
        tags[f"{colour}PaletteColorLookupTableDescriptor"] = [3, 0, 16]
    path = dicom(np.array([[0, 1, 2]], "uint8"), "PALETTE COLOR", **tags)
    assert read_dicom(path).tolist() == [[[0, 0, 0], [255, 1, 0], [156, 0, 255]]]
    with pytest.raises(ValueError, match=r"a.dcm: expected a grey mask, found colours"):
        es.read_mask(path)


def test_files_that_come_with_pydicom():
    pydicom = pytest.importorskip("pydicom")
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    image = es.read_image(folder / "examples_palette.dcm")
    values = pydicom.dcmread(folder / "examples_palette.dcm")
    red = np.frombuffer(values.RedPaletteColorLookupTableData, "<u2")
    assert (image[..., 0] == (red >> 8)[values.pixel_array]).all()
    assert np.abs(image[..., 0].astype(int) - image[..., 2]).max() > 50
    with pytest.raises(ValueError, match=r"palette.dcm: expected a grey mask"):
        es.read_mask(folder / "examples_palette.dcm")
    eight, sixteen = (es.read_image(folder / f"SC_rgb_rle{bits}.dcm") for bits in ("", "_16bit"))
    np.testing.assert_array_equal(eight, sixteen)


@pytest.mark.parametrize(
    ("values", "message"),
    [([0, 1, 2], "Found 3 values"), ([0, 2], "Found 2 values"), ([0, 300], "Found 2 values")],
)
def test_masks_are_read_by_their_stored_values_not_by_the_window(dicom, values, message):
    stored = np.resize(np.array(values, "uint16"), (4, 6))
    path = dicom(stored, WindowCenter=1, WindowWidth=2, RescaleSlope=2, RescaleIntercept=0)
    with pytest.raises(ValueError, match=rf"a.dcm: expected a mask of two classes.*{message}"):
        es.read_mask(path)
    chosen = (values[-1],)
    np.testing.assert_array_equal(es.read_mask(path, chosen), stored == values[-1])
    np.testing.assert_array_equal(small_mask(path, 6, None, chosen)[0], stored[0] == values[-1])
