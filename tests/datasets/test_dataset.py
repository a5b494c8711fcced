import pickle
import shutil
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import save

import ensemble_seg as es
from ensemble_seg.datasets.splits import split_by_group
from ensemble_seg.reading.pairs import Pair


def all_pairs(data):
    return [*data.train.pairs, *data.validation.pairs, *data.test.pairs]


def test_a_folder_is_paired_by_stem_and_split_70_10_20(disks):
    data = es.load_dataset(disks)
    assert (len(data.train), len(data.validation), len(data.test)) == (14, 2, 4)
    assert data.name == "disks"
    pairs = all_pairs(data)
    assert len({pair.image for pair in pairs}) == 20
    assert all(pair.image.stem == pair.mask.stem for pair in pairs)


def test_a_pair_is_a_tuple_of_two_paths_and_a_group():
    pair = Pair(Path("a/x.jpg"), "b/x.png", "patient")
    image, mask, group = pair
    expected = (Path("a/x.jpg"), Path("b/x.png"), "patient")
    assert (image, mask, group) == (pair.image, pair.mask, pair.group) == (*pair,) == expected
    assert (pair[0], pair[-1], pair[:2], len(pair)) == (image, "patient", (image, mask), 3)
    assert pair == Pair("a/x.jpg", Path("b/x.png"), "patient") == pickle.loads(pickle.dumps(pair))
    assert len({pair, Pair(*pair), pair.in_group("another")}) == 2
    assert repr(pair) == "Pair('a/x.jpg', 'b/x.png', 'patient')"


def test_pairs_take_little_memory():
    folder = "/".join(["a folder"] * 6)
    pair = Pair(Path(folder, "images/0123.jpg"), Path(folder, "masks/0123.png"), "0123")
    held = [pair, *tuple.__iter__(pair)]
    assert sum(map(sys.getsizeof, held)) < 500
    assert {type(each) for each in held} == {Pair, str}


def test_suffixes_of_partners_may_differ(disks):
    image = es.read_image(disks / "images" / "disk_03.png")
    (disks / "images" / "disk_03.png").unlink()
    save(disks / "images" / "disk_03.JPG", image)
    assert len(all_pairs(es.load_dataset(disks))) == 20


def test_the_seed_decides_the_split(disks):
    assert es.load_dataset(disks, seed=1) == es.load_dataset(disks, seed=1)
    assert es.load_dataset(disks, seed=1).test != es.load_dataset(disks, seed=2).test


def test_groups_stay_together():
    rng = np.random.default_rng(0)
    for seed in range(100):
        groups = rng.integers(0, 30, 200)
        pairs = [Pair(f"i{n}", f"m{n}", f"patient {g}") for n, g in enumerate(groups)]
        parts = split_by_group(pairs, seed)
        seen = [group for part in parts.values() for group in {pair.group for pair in part}]
        assert max(Counter(seen).values()) == 1
        assert sum(map(len, parts.values())) == 200
        shares = [len(parts[part]) / 200 for part in ("train", "validation", "test")]
        np.testing.assert_allclose(shares, [0.7, 0.1, 0.2], atol=0.09)


def test_even_three_groups_leave_no_part_empty():
    parts = split_by_group([Pair("i", "m", group) for group in "abc"])
    assert [len(part) for part in parts.values()] == [1, 1, 1]
    with pytest.raises(ValueError, match="at least 3 groups .* Received: 2"):
        split_by_group([Pair("i", "m", group) for group in "ab"])


def test_a_manifest_gives_the_groups(disks):
    rows = [f"images/disk_{n:02d}.png,masks/disk_{n:02d}.png,patient {n // 2}" for n in range(20)]
    (disks / "manifest.csv").write_text("\n".join(["image,mask,group", *rows]))
    data = es.load_dataset(disks)
    assert {pair.group for pair in all_pairs(data)} == {f"patient {n}" for n in range(10)}
    (disks / "manifest.csv").write_text("image,group\na,b")
    with pytest.raises(
        ValueError, match=r"manifest.csv: expected rows with columns image and mask"
    ):
        es.load_dataset(disks)


def test_the_hash_follows_content_names_and_split(disks):
    first = es.load_dataset(disks).hash
    assert first == es.load_dataset(disks).hash
    assert first != es.load_dataset(disks, seed=1).hash
    mask = es.read_mask(disks / "masks" / "disk_00.png")
    save(disks / "masks" / "disk_00.png", (1 - mask) * 255)
    assert first != es.load_dataset(disks).hash


def test_limit(disks):
    data = es.load_dataset(disks).limit(3)
    assert (len(data.train), len(data.validation), len(data.test)) == (3, 2, 3)
    assert data.limit(0) is data


def test_phantoms_come_with_the_module(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    data = es.load_dataset("phantoms")
    assert len(all_pairs(data)) == 240
    train = {pair.group for pair in data.train.pairs}
    assert not train & {pair.group for pair in (*data.validation.pairs, *data.test.pairs)}


def test_kvasir_layout(kvasir, monkeypatch):
    data = es.load_dataset("kvasir-seg", kvasir.parent)
    assert data.name == "kvasir-seg"
    assert len(all_pairs(data)) == len(list((kvasir / "images").iterdir()))
    monkeypatch.setenv("ENSEMBLE_SEG_DATA_DIR", str(kvasir.parent))
    assert es.load_dataset("kvasir-seg") == data


def test_masks_of_a_split_keep_their_order(disks):
    data = es.load_dataset(disks)
    masks = data.test.masks(32)
    assert masks.shape == (4, 32, 32)
    full = [es.read_mask(pair.mask).mean() for pair in data.test.pairs]
    np.testing.assert_allclose(masks.mean(axis=(1, 2)), full, atol=0.02)


def test_missing_partners(disks):
    (disks / "masks" / "disk_05.png").unlink()
    with pytest.raises(
        ValueError, match=r"images.disk_05.png: no mask 'disk_05.\*' in .*masks. Add it"
    ):
        es.load_dataset(disks)
    (disks / "images" / "disk_05.png").unlink()
    (disks / "images" / "disk_06.png").unlink()
    with pytest.raises(ValueError, match=r"masks.disk_06.png: no image 'disk_06.\*' in"):
        es.load_dataset(disks)


def test_doubled_stem(disks):
    shutil.copy(disks / "images" / "disk_01.png", disks / "images" / "disk_01.bmp")
    with pytest.raises(ValueError, match=r"disk_01.png: has the stem of disk_01.bmp"):
        es.load_dataset(disks)


def test_empty_folder(tmp_path):
    with pytest.raises(ValueError, match=r"expected image files .* Found nothing\."):
        es.load_dataset(tmp_path)


def test_unknown_names(tmp_path):
    with pytest.raises(ValueError, match=r"Unknown data set 'phantom'. Did you mean 'phantoms'"):
        es.load_dataset("phantom")
    with pytest.raises(
        FileNotFoundError, match=r"'kvasir-seg': no folder .*Kvasir-SEG. Get it with"
    ):
        es.load_dataset("kvasir-seg", tmp_path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["images/disk_99.png,masks/disk_00.png,a"], "line 2: no image file 'images/disk_99.png'"),
        (["images/disk_00.png,masks/gone.png,a"], "line 2: no mask file 'masks/gone.png'"),
        (["images/disk_00.png"], "line 2: no mask file"),
        (
            ["images/disk_00.png,masks/disk_00.png,a", "images/disk_00.png,masks/disk_00.png,b"],
            "image 'images/disk_00.png' appears in 2 rows",
        ),
    ],
)
def test_bad_manifests(disks, rows, message):
    (disks / "manifest.csv").write_text("\n".join(["image,mask,group", *rows]))
    with pytest.raises(ValueError, match=message):
        es.load_dataset(disks)


def test_manifests_of_spreadsheets_and_blank_groups(disks):
    rows = [f"images/disk_{n:02d}.png,masks/disk_{n:02d}.png," for n in range(20)]
    text = "\n".join(["image,mask,group", *rows])
    (disks / "manifest.csv").write_text(text, encoding="utf-8-sig")
    data = es.load_dataset(disks)
    assert (len(data.train), len(data.validation), len(data.test)) == (14, 2, 4)
