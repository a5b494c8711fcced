import hashlib
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from conftest import save, write_disks

import ensemble_seg as es
from ensemble_seg.data import find_folder
from ensemble_seg.pairing import PARTS, all_pairs, complete_parts, read_folder, split_by_group

HASHES = (  # of the phantoms, split with seeds 0 to 4
    "538f939d069cbaa28ea74c57a3c3f8fc2a3cc33dc5c8c789f5dd9ab3efc7b59f",
    "9e3a9fa824ee9e34279b08716a9970c2e2dddb25460a6a4e9fc6a3c59c35a17d",
    "8f7b71ebe1509f9cdf232299513c5351facdc24666a4cdc504049840cd85980d",
    "68047e5676c0a2040b31cc451fba7e5d8525d07fb7bb3de42cda19a7b8264536",
    "60e157ca2e6a9b8747d05f681423454c0add8a7029c79df6e53b8f277b401fb9",
)
PHANTOMS = ("b6f3339835de", "3249fa096a49", "bb8bd08b8539", "42e7b31dfe6a", "53200f64bf87")
KVASIR = ("dabc764a1f4a", "19ad59faa51a", "771ec6e21eb6", "48173ecdaab5", "6ea4f1e10e7b")
KVASIR_HASH = "8d8d4ffa122cdf17"  # its beginning, seed 0


def digest(data):
    """Twelve digits that say which image is in which part."""
    parts = ((part, ",".join(p.image.stem for p in getattr(data, part).pairs)) for part in PARTS)
    text = "\n".join(":".join(part) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@pytest.mark.parametrize("seed", range(5))
def test_phantoms_are_split_and_hashed_as_ever(monkeypatch, tmp_path, seed):
    monkeypatch.chdir(tmp_path)
    data = es.load_dataset("phantoms", seed=seed)
    assert (digest(data), data.hash) == (PHANTOMS[seed], HASHES[seed])


@pytest.mark.parametrize("seed", range(5))
def test_kvasir_seg_is_split_as_ever(kvasir, monkeypatch, seed):
    monkeypatch.setenv("ENSEMBLE_SEG_DATA_DIR", str(kvasir.parent))
    data = es.load_dataset("kvasir-seg", seed=seed)
    if len(all_pairs(kvasir)) != 899:
        pytest.skip("the digests are those of a copy of 899 pairs")
    assert digest(data) == KVASIR[seed]
    assert seed or data.hash.startswith(KVASIR_HASH)


def test_the_hash_recipe_by_hand(disks):
    data = es.load_dataset(disks)
    boxes = tuple(es.Box(0, 0, number + 1, 9) for number in range(14))
    for split in (data.train, es.Split(data.train.pairs, "train", data.train.folder, boxes)):
        expected = hashlib.sha256()
        for part in (split, data.validation, data.test):
            for number, pair in enumerate(part.pairs):
                names = [f"images/{pair.image.name}", f"masks/{pair.mask.name}"]
                box = None if part.boxes is None else part.boxes[number]
                expected.update(repr((part.name, *names, box)).encode())
                expected.update(pair.image.read_bytes() + pair.mask.read_bytes())
        assert data.replace(train=split).hash == expected.hexdigest()


def test_the_hash_follows_content_and_split_but_not_the_place(disks, tmp_path):
    first = es.load_dataset(disks).hash
    elsewhere = write_disks(tmp_path / "elsewhere")
    assert es.load_dataset(elsewhere).hash == first != es.load_dataset(disks, seed=1).hash
    save(disks / "masks" / "disk_00.png", np.zeros((40, 48), "uint8"))
    assert es.load_dataset(disks).hash != first


def pairs_of(groups):
    return [es.Pair(Path(f"i{n}"), Path(f"m{n}"), str(group)) for n, group in enumerate(groups)]


def assert_disjoint(parts):
    assert tuple(parts) == ("train", "validation", "test")
    assert all(parts.values())
    groups = [{pair.group for pair in pairs} for pairs in parts.values()]
    assert all(not one & other for one, other in combinations(groups, 2))


@pytest.mark.parametrize("seed", range(50))
def test_no_group_stands_in_two_parts_and_no_pair_is_lost(seed):
    rng = np.random.default_rng(seed)
    number = int(rng.integers(3, 60))
    groups = [*range(number), *rng.choice(number, 200, p=rng.dirichlet(np.ones(number)))]
    pairs = pairs_of(groups)
    parts = split_by_group(pairs, seed)
    assert_disjoint(parts)
    assert Counter(pair for part in parts.values() for pair in part) == Counter(pairs)
    turned = split_by_group(pairs[::-1], seed)
    assert all(set(parts[part]) == set(turned[part]) for part in PARTS)


def test_equal_groups_are_dealt_70_10_20():
    for seed in range(20):
        parts = split_by_group(pairs_of(n // 3 for n in range(300)), seed)
        assert [len(part) for part in parts.values()] == [210, 30, 60]
    assert [len(part) for part in split_by_group(pairs_of("aabbcc")).values()] == [2, 2, 2]


TRAIN, VALIDATION, TEST = (pairs_of(range(40)), pairs_of(range(40, 50)), pairs_of(range(50, 65)))


@pytest.mark.parametrize("seed", range(20))
def test_parts_that_were_given_are_kept(seed):
    given = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
    parts = complete_parts(given, seed)
    assert parts == {part: tuple(pairs) for part, pairs in given.items()}

    parts = complete_parts({"train": TRAIN, "test": TEST, "validation": []}, seed)
    assert_disjoint(parts)
    assert parts["test"] == tuple(TEST)
    assert (len(parts["train"]), len(parts["validation"])) == (35, 5)
    assert {*parts["train"], *parts["validation"]} == set(TRAIN)

    parts = complete_parts({"train": TRAIN, "validation": VALIDATION}, seed)
    assert_disjoint(parts)
    assert parts["test"] == tuple(VALIDATION)
    assert {*parts["train"], *parts["validation"]} == set(TRAIN)


@pytest.mark.parametrize("name", ["", "train"])
def test_one_part_alone_is_split_in_three(name):
    parts = complete_parts({name: TRAIN}, 3)
    assert_disjoint(parts)
    assert [len(part) for part in parts.values()] == [28, 4, 8]
    assert {pair for part in parts.values() for pair in part} == set(TRAIN)


@pytest.mark.parametrize(
    "given", [{"validation": VALIDATION}, {"test": TEST}, {"validation": VALIDATION, "test": TEST}]
)
def test_without_training_images(given):
    with pytest.raises(ValueError, match=f"training images beside those of {', '.join(given)}"):
        complete_parts(given)


@pytest.mark.parametrize("given", [{}, {"": []}, {"train": pairs_of([1, 1, 2])}])
def test_too_few_groups(given):
    with pytest.raises(
        ValueError, match=r"at least 3 groups of images for train, validation, test"
    ):
        complete_parts(given)
    with pytest.raises(ValueError, match=r"at least 2 groups of images for train, validation"):
        complete_parts({"train": pairs_of([1, 1]), "test": TEST})


def pairs_in(data):
    return [*data.train.pairs, *data.validation.pairs, *data.test.pairs]


def test_a_folder_is_paired_by_stem_and_split(disks):
    save(disks / "images" / "disk_03.JPG", es.read_image(disks / "images" / "disk_03.png"))
    (disks / "images" / "disk_03.png").unlink()
    data = es.load_dataset(disks)
    assert (data.name, data.notes) == ("disks", ())
    assert (len(data.train), len(data.validation), len(data.test)) == (14, 2, 4)
    pairs = pairs_in(data)
    assert len({pair.image for pair in pairs}) == 20
    assert all(pair.image.stem == pair.mask.stem == pair.group for pair in pairs)
    assert all_pairs(disks) == tuple(read_folder(disks)[""])
    assert es.load_dataset(disks, seed=1) == es.load_dataset(disks, seed=1)
    assert es.load_dataset(disks, seed=1).test != es.load_dataset(disks, seed=2).test


@pytest.mark.parametrize(("gone", "left"), [("masks", "images"), ("images", "masks")])
def test_missing_partners(disks, gone, left):
    (disks / gone / "disk_05.png").unlink()
    message = rf"{left}.disk_05.png: no partner disk_05\.\* in .*{gone}.*ensemble-seg import"
    with pytest.raises(ValueError, match=message):
        es.load_dataset(disks)


def test_doubled_stem(disks):
    save(disks / "images" / "disk_01.bmp", np.zeros((40, 48), "uint8"))
    with pytest.raises(ValueError, match=r"disk_01: 2 files of this stem. Keep one"):
        es.load_dataset(disks)


def test_other_forms_are_refused_and_the_import_is_named(tmp_path):
    with pytest.raises(ValueError, match="expected images/ and masks/ .* ensemble-seg import"):
        es.load_dataset(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    with pytest.raises(ValueError, match="images: expected image files, found none"):
        es.load_dataset(tmp_path)


def test_what_lies_beside_the_pairs_is_said(disks):
    (disks / "patients.csv").write_text("a,b\n", encoding="utf-8")
    (disks / ".hidden").write_text("", encoding="utf-8")
    (note,) = es.load_dataset(disks).notes
    assert "not read: patients.csv." in note


def write_manifest(folder, rows, columns="image,mask,group,split", encoding="utf-8"):
    text = "\n".join([columns, *rows]) + "\n"
    (folder / "manifest.csv").write_text(text, encoding=encoding)


def test_a_manifest_gives_groups_and_parts(disks):
    parts = ["train"] * 12 + ["validation"] * 4 + ["test"] * 4
    write_manifest(
        disks,
        [
            f"images/disk_{n:02d}.png,masks/disk_{n:02d}.png,Jørgen {n // 2},{part}"
            for n, part in enumerate(parts)
        ],
        encoding="utf-8-sig",  # as spreadsheets write it
    )
    data = es.load_dataset(disks)
    assert {pair.group for pair in pairs_in(data)} == {f"Jørgen {n}" for n in range(10)}
    stems = [pair.image.stem for pair in data.validation.pairs]
    assert stems == [f"disk_{n}" for n in range(12, 16)]
    assert data == es.load_dataset(disks, seed=1)


def test_without_a_group_each_image_is_one(disks):
    rows = [f"images/disk_{n:02d}.png,masks/disk_{n:02d}.png,," for n in range(20)]
    write_manifest(disks, rows)
    data = es.load_dataset(disks)
    assert (len(data.train), len(data.validation), len(data.test)) == (14, 2, 4)
    assert len({pair.group for pair in pairs_in(data)}) == 20
    write_manifest(disks, [row[:-1] + "x" for row in rows], "image,mask,patient")
    (note,) = es.load_dataset(disks).notes
    assert "no column group; not read: patient." in note


FIRST, SECOND = (f"images/disk_0{n}.png,masks/disk_0{n}.png" for n in (0, 1))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["images/gone.png,masks/disk_00.png,a,"], "line 2: no file .*gone.png"),
        ([f"{FIRST},a,", "images/disk_01.png,masks/gone.png,b,"], "line 3: no file .*gone.png"),
        (["images/disk_00.png"], "line 2: no file"),
        ([f"{FIRST},a,", f"{FIRST},b,"], "disk_00.png appears in 2 rows. Keep one"),
        ([f"{FIRST},a,training"], "line 2: expected a split of train, validation, test, found 'tr"),
        ([f"{FIRST},a,train", f"{SECOND},b,"], "1 rows have no split. Give all one, or none"),
        ([f"{FIRST},a,train", f"{SECOND},a,test"], "its group 'a' appears in train and in test"),
        ([], "manifest.csv: expected rows under image,mask"),
    ],
)
def test_bad_manifests(disks, rows, message):
    write_manifest(disks, rows)
    with pytest.raises(ValueError, match=message):
        es.load_dataset(disks)


def test_phantoms_have_groups_of_two_and_parts_without_a_common_group():
    data = es.load_dataset()
    assert len(pairs_in(data)) == 240
    assert set(Counter(pair.group for pair in pairs_in(data)).values()) == {2}
    assert_disjoint({part: getattr(data, part).pairs for part in PARTS})


def test_the_environment_names_data_set_and_folder(disks, monkeypatch):
    monkeypatch.setenv("ENSEMBLE_SEG_DATASET", str(disks))
    assert es.load_dataset().name == "disks"
    disks.rename(disks.parent / "Kvasir-SEG")
    monkeypatch.setenv("ENSEMBLE_SEG_DATA_DIR", str(disks.parent))
    assert es.load_dataset("kvasir-seg").name == "kvasir-seg"
    monkeypatch.setenv("HOME", str(disks.parent))
    assert find_folder("~/Kvasir-SEG") == find_folder("kvasir-seg", "~")


def test_unknown_names(tmp_path):
    with pytest.raises(ValueError, match=r"Unknown data set 'phantom'. Did you mean 'phantoms'"):
        es.load_dataset("phantom")
    with pytest.raises(FileNotFoundError, match="'kvasir-seg': no folder .* ensemble-seg download"):
        es.load_dataset("kvasir-seg", tmp_path)


def test_limit(disks):
    data = es.load_dataset(disks)
    few = data.limit(3)
    assert few.train.pairs == data.train.pairs[:3]
    assert (len(few.train), len(few.validation), len(few.test)) == (3, 2, 3)
    assert data.limit(0) is data
    crops, _ = es.crop_split(data.train)
    assert crops.first(2).windows == crops.windows[:2]


def test_images_without_a_lesion_can_be_left_out(disks):
    assert "disk_07" in {pair.group for pair in pairs_in(es.load_dataset(disks))}
    groups = {pair.group for pair in pairs_in(es.load_dataset(disks, empty=False))}
    assert groups == {f"disk_{n:02d}" for n in range(20)} - {"disk_07"}


def test_names_tell_images_apart_whose_stems_repeat(tmp_path):
    rows = []
    for number, folder in enumerate("abcdefghij"):
        for kind in ("image", "mask"):
            save(tmp_path / folder / f"{kind}.png", np.full((9, 9), number % 2, "uint8"))
        rows.append(f"{folder}/image.png,{folder}/mask.png,,")
    write_manifest(tmp_path, rows)
    data = es.load_dataset(tmp_path)
    folders = {pair.image.parent.name for pair in data.train.pairs}
    assert set(data.train.names) == {f"{folder}/image.png" for folder in folders}
    assert len(set(data.train.names)) == len(data.train) > 1
