import sys

import numpy as np
import pytest
from conftest import save

import ensemble_seg as es
from ensemble_seg.reading.dicom import read_dicom

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
    with pytest.raises(ValueError, match=r"a.dcm: not a DICOM image that can be read"):
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
