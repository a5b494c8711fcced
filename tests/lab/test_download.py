import hashlib
import io
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import requests
from PIL import Image

import ensemble_seg as es
from ensemble_lab import download as module
from ensemble_lab.download import download

RNG = np.random.default_rng(0)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    """A folder that is served at an address."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield folder, f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def picture(kind, array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind)
    return file.getvalue()


def noise(*shape):
    return RNG.integers(0, 256, shape, "uint8")


def disk(size=32):
    rows, columns = np.mgrid[:size, :size]
    return (np.hypot(rows - 12, columns - 15) < 6).astype("uint8") * 255


def pack(path, files):
    with zipfile.ZipFile(path, "w") as zipped:
        for name, content in files.items():
            zipped.writestr(name, content)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pack_kvasir(path):
    files = {"__MACOSX/Kvasir-SEG/._images": b"junk"}
    for number in range(8):
        files[f"Kvasir-SEG/images/c{number}.jpg"] = picture("jpeg", noise(32, 32, 3))
        files[f"Kvasir-SEG/masks/c{number}.jpg"] = picture("jpeg", disk())
    return pack(path, files)


@pytest.fixture
def kvasir_server(server, monkeypatch):
    folder, url = server
    sha256 = pack_kvasir(folder / "kvasir-seg.zip")
    archive = module.KVASIR._replace(url=f"{url}/kvasir-seg.zip", sha256=sha256)
    monkeypatch.setitem(module.SOURCES, "kvasir-seg", ("some terms.", [archive]))
    return folder / "kvasir-seg.zip", archive


def test_kvasir_is_fetched_verified_and_unzipped(kvasir_server, tmp_path, capsys):
    data = tmp_path / "new" / "data"
    assert download("kvasir-seg", data) == data / "Kvasir-SEG"
    assert len(es.load_dataset("kvasir-seg", data).train) > 0
    names = sorted(path.name for path in data.iterdir())
    assert names == ["Kvasir-SEG", "kvasir-seg.zip"]
    assert "some terms." in capsys.readouterr().out
    kvasir_server[0].unlink()  # nothing is fetched twice
    download("kvasir-seg", data)
    assert "is there already" in capsys.readouterr().out


def test_an_archive_that_is_there_is_used(kvasir_server, tmp_path):
    kvasir_server[0].rename(tmp_path / "kvasir-seg.zip")
    assert (download("kvasir-seg", tmp_path) / "images").is_dir()


def test_half_an_archive_is_kept_and_wget_is_named(kvasir_server, tmp_path):
    half = kvasir_server[0].read_bytes()[:1000]
    (tmp_path / "kvasir-seg.zip").write_bytes(half)
    with pytest.raises(ValueError, match=rf"expected sha256 .* `wget -c {kvasir_server[1].url}`"):
        download("kvasir-seg", tmp_path)
    assert (tmp_path / "kvasir-seg.zip").read_bytes() == half


def test_another_file_at_the_address_is_refused(kvasir_server, tmp_path):
    kvasir_server[0].write_bytes(b"another")
    with pytest.raises(ValueError, match=r"does not match the known hash"):
        download("kvasir-seg", tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_missing_file_is_explained(kvasir_server, tmp_path):
    kvasir_server[0].unlink()
    place = tmp_path / "data" / "kvasir-seg.zip"
    message = rf"HTTPError at http.*browser or with `wget -c` and put it at {place}"
    with pytest.raises(RuntimeError, match=message):
        download("kvasir-seg", tmp_path / "data")


def test_a_certificate_that_cannot_be_verified_is_explained(kvasir_server, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise requests.exceptions.SSLError("CERTIFICATE_VERIFY_FAILED")

    monkeypatch.setattr("requests.get", refuse)
    with pytest.raises(RuntimeError, match=r"leave out an intermediate .*REQUESTS_CA_BUNDLE"):
        download("kvasir-seg", tmp_path)


def test_kaggle_needs_a_login(tmp_path):
    place = tmp_path / "lgg-mri-segmentation.zip"
    message = rf"Log in at https://www.kaggle.com/.*, press Download, put the file at {place}"
    with pytest.raises(RuntimeError, match=message):
        download("lgg-mri", tmp_path)


def test_lgg_becomes_plain_and_its_second_copy_is_left_out(tmp_path):
    files = {}
    for patient in ("CS_4941_19960909", "DU_5849_19950405", "HT_7473_19970826"):
        for number in (1, 2):
            stem = f"TCGA_{patient}/TCGA_{patient}_{number}"
            files[f"kaggle_3m/{stem}.tif"] = picture("tiff", noise(32, 32, 3))
            files[f"kaggle_3m/{stem}_mask.tif"] = picture("tiff", disk())
    files |= {f"lgg-mri-segmentation/{name}": content for name, content in files.items()}
    pack(tmp_path / "lgg-mri-segmentation.zip", files)
    download("lgg-mri", tmp_path)
    data = es.load_dataset("lgg-mri", tmp_path)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [2, 2, 2]
    assert es.read_mask(data.train.pairs[0].mask).sum() == (disk() > 0).sum()
    assert not list(tmp_path.glob("tmp*"))


def test_isic_becomes_plain_with_its_official_parts(tmp_path, monkeypatch):
    archives = []
    for number, (part, archive) in enumerate(
        zip(module.ISIC, module.SOURCES["isic-2018"][1], strict=True)
    ):
        truth, files = part.endswith("GroundTruth"), {}
        for image in range(2 * (number // 2), 2 * (number // 2) + 2):
            name = f"{archive.root}/ISIC_{image:07d}"
            files[f"{archive.root}/LICENSE.txt"] = b"CC-0"
            content = picture("png", disk()) if truth else picture("jpeg", noise(32, 32, 3))
            files[f"{name}_segmentation.png" if truth else f"{name}.jpg"] = content
        archives.append(archive._replace(sha256=pack(tmp_path / archive.name, files)))
    monkeypatch.setitem(module.SOURCES, "isic-2018", ("terms.", archives))
    download("isic-2018", tmp_path)
    data = es.load_dataset("isic-2018", tmp_path)
    stems = [[pair.image.stem for pair in part.pairs] for part in (data.train, data.test)]
    assert [sorted(each) for each in stems] == [
        [f"ISIC_{number:07d}" for number in pair] for pair in ((0, 1), (4, 5))
    ]


def test_the_addresses_of_isic():
    names = [archive.name for archive in module.SOURCES["isic-2018"][1]]
    assert names[:2] == [
        "ISIC2018_Task1-2_Training_Input.zip",
        "ISIC2018_Task1_Training_GroundTruth.zip",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no zip", "File is not a zip file. Get the archive again"), (None, "a folder 'kaggle_3m'")],
)
def test_an_archive_of_another_kind(tmp_path, content, message):
    path = tmp_path / "lgg-mri-segmentation.zip"
    if content is None:
        pack(path, {"other/a.tif": b""})
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        download("lgg-mri", tmp_path)
    assert list(tmp_path.iterdir()) == [path]
