import csv

import numpy as np
import pytest
from conftest import save
from tiny import threshold_model

import ensemble_seg as es
from ensemble_lab import folders
from ensemble_lab.export import Exported, predict_exported
from ensemble_lab.folders import predict_folder, write_crops
from ensemble_lab.zoom import predict_zoom, zoom_ensemble
from ensemble_seg.pairing import all_pairs


@pytest.fixture(scope="module")
def pair():
    return [threshold_model(limit, 0.1) for limit in (120, 150)]


@pytest.fixture(scope="module")
def ensemble(pair):
    return es.build_ensemble(pair)


@pytest.fixture
def images(tmp_path):
    """Eleven images of different sizes: more than are read at once."""
    rng = np.random.default_rng(0)
    for number in range(11):
        shape = (20 + 3 * number, 50 - 2 * number, 3)
        save(tmp_path / "images" / f"i{number:02d}.png", rng.integers(0, 256, shape, "uint8"))
    return tmp_path / "images"


def assert_written(out, stem, image, expected):
    np.testing.assert_array_equal(es.read_mask(out / "masks" / f"{stem}.png"), expected.mask)
    overlay = es.read_image(out / "overlays" / f"{stem}.png")
    np.testing.assert_array_equal(overlay, es.overlay(image, expected.mask))
    disagreement = es.read_image(out / "disagreement" / f"{stem}.png")[..., 0]
    np.testing.assert_allclose(disagreement, 255 * expected.disagreement, atol=0.51)


@pytest.mark.parametrize("values", [folders.VALUES_AT_ONCE, 5000])
def test_each_image_gets_what_predict_image_gives(images, tmp_path, ensemble, monkeypatch, values):
    monkeypatch.setattr(folders, "VALUES_AT_ONCE", values)
    out = tmp_path / "new" / "out"
    assert predict_folder(ensemble, images, out) == (11, [])
    assert {folder.name for folder in out.iterdir()} == set(folders.KINDS)
    for path in images.iterdir():
        image = es.read_image(path)
        assert_written(out, path.stem, image, es.predict_image(ensemble, image))
    assert len(list((out / "masks").iterdir())) == 11


def test_a_zoom_ensemble_looks_into_the_image_itself(disks, tmp_path, pair):
    zoom, path = zoom_ensemble(*pair), disks / "images" / "disk_03.png"
    assert predict_folder(zoom, path, tmp_path / "out") == (1, [])
    image = es.read_image(path)
    assert_written(tmp_path / "out", "disk_03", image, predict_zoom(zoom, [image])[0])


def test_an_exported_network(disks, tmp_path, pair):
    network = Exported("net", (None, 32, 32, 3), lambda images: [pair[0].predict_on_batch(images)])
    assert predict_folder(network, disks / "images", tmp_path / "out") == (20, [])
    image = es.read_image(disks / "images" / "disk_03.png")
    assert_written(tmp_path / "out", "disk_03", image, predict_exported(network, [image])[0])


def test_one_odd_image_is_named_and_the_others_go_on(images, tmp_path, ensemble):
    (images / "i04.png").write_bytes(b"no image")
    number, bad = predict_folder(ensemble, images, tmp_path / "out")
    assert number == 10 and len(bad) == 1 and str(images / "i04.png") in bad[0]
    stems = {path.stem for path in (tmp_path / "out" / "masks").iterdir()}
    assert stems == {f"i{number:02d}" for number in range(11)} - {"i04"}


def test_results_never_mix_with_other_files(images, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(FileExistsError, match=r"out: is not empty"):
        predict_folder(None, images, tmp_path / "out")
    with pytest.raises(FileExistsError, match=r"mine.txt: is not empty"):
        predict_folder(None, images, tmp_path / "out" / "mine.txt")


def test_two_images_of_one_stem(images, tmp_path):
    (images / "i04.png").rename(images / "i05.jpg")
    with pytest.raises(ValueError, match=r"2 images 'i05', and results have no suffix"):
        predict_folder(None, images, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [("", ValueError, "expected images .* at its first level"), ("nowhere", OSError, "nowhere")],
)
def test_a_place_without_images(images, tmp_path, name, error, message):
    with pytest.raises(error, match=message):
        predict_folder(None, tmp_path / name, tmp_path / "out")


def rows_of(folder):
    with open(folder / "manifest.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_crops_are_windows_of_their_images(disks, tmp_path):
    data = es.load_dataset(disks)
    counts = write_crops(data, tmp_path / "crops", margin=(4, 2))
    rows = rows_of(tmp_path / "crops")
    assert len(rows) == counts.crops == 19 and counts.empty == 1
    for row in rows:
        box = es.Box(*(int(row[side]) for side in es.Box._fields))
        mask = es.read_mask(disks / "masks" / f"{row['group']}.png")
        assert box == es.lesion_box(mask, (4, 2))
        window = slice(box.top, box.bottom), slice(box.left, box.right)
        image = es.read_image(disks / row["source"])[window]
        np.testing.assert_array_equal(es.read_image(tmp_path / "crops" / row["image"]), image)
        np.testing.assert_array_equal(es.read_mask(tmp_path / "crops" / row["mask"]), mask[window])


def test_crops_stay_in_the_part_and_group_of_their_image(disks, tmp_path):
    mask = np.zeros((40, 48), "uint8")
    mask[2:6, 2:6] = mask[30:34, 30:34] = 255
    save(disks / "masks" / "disk_07.png", mask)
    data = es.load_dataset(disks)
    write_crops(data, tmp_path / "crops", each_lesion=True)
    crops = es.load_dataset(tmp_path / "crops")
    for part in ("train", "validation", "test"):
        assert set(getattr(crops, part).groups) == set(getattr(data, part).groups)
    groups = [pair.group for pair in all_pairs(tmp_path / "crops")]
    assert groups.count("disk_07") == 2 and len(groups) == 21


def test_crops_are_whole_or_not_there(disks, tmp_path):
    data, out = es.load_dataset(disks), tmp_path / "crops"
    save(disks / "images" / "disk_03.png", np.zeros((9, 9, 3), "uint8"))
    with pytest.raises(ValueError, match=r"disk_03.png: expected the size of its image"):
        write_crops(data, out)
    assert not out.exists()
    save(disks / "images" / "disk_03.png", np.zeros((40, 48, 3), "uint8"))
    write_crops(data, out)
    assert len(list((out / "images").iterdir())) == len(rows_of(out)) == 19
    with pytest.raises(FileExistsError, match=r"crops: exists"):
        write_crops(data, out)
