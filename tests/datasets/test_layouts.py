import shutil

import numpy as np
import pytest
from conftest import SHARED, save

import ensemble_seg as es
from ensemble_seg.datasets import all_pairs
from ensemble_seg.datasets.layouts import find_pairs


def touch(folder, *names):
    """Empty files: pairing reads no pixels."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def stems(listing):
    return {part: [pair.image.stem for pair in pairs] for part, pairs in listing.parts.items()}


@pytest.fixture
def ten(tmp_path):
    touch(tmp_path, *(f"{sub}/a{n}.png" for n in range(10) for sub in ("images", "masks")))
    return tmp_path


def lists(folder, **names):
    for name, lines in names.items():
        (folder / f"{name}.txt").write_text("\n".join(lines))
    return find_pairs(folder)


def manifest(folder, rows, columns="image,mask,group,split"):
    rows = [f"images/a{n}.png,masks/a{n}.png,{rest}" for n, rest in enumerate(rows)]
    (folder / "manifest.csv").write_text("\n".join([columns, *rows]))
    return find_pairs(folder)


def isic(folder, part, ids):
    images, masks = f"ISIC2018_Task1-2_{part}_Input", f"ISIC2018_Task1_{part}_GroundTruth"
    for number in ids:
        touch(folder, f"{images}/ISIC_{number:07d}.jpg")
        touch(folder, f"{masks}/ISIC_{number:07d}_segmentation.png")
    touch(folder, *(f"{sub}/{name}.txt" for sub in (images, masks) for name in ("LICENSE", "A")))


def test_isic_in_three_parts(tmp_path):
    isic(tmp_path, "Training", range(10))
    isic(tmp_path, "Validation", range(20, 23))
    isic(tmp_path, "Test", range(30, 35))
    data = es.load_dataset(tmp_path)
    assert [pair.image.stem[-2:] for pair in data.validation.pairs] == ["20", "21", "22"]
    assert (len(data.train), len(data.test)) == (10, 5)
    assert data.test.pairs[0].mask.name == "ISIC_0000030_segmentation.png"
    assert len(set(data.train.groups)) == 10


def test_isic_with_the_training_part_only_is_split_at_random(tmp_path):
    isic(tmp_path, "Training", range(20))
    data = es.load_dataset(tmp_path)
    assert (len(data.train), len(data.validation), len(data.test)) == (14, 2, 4)
    (tmp_path / "ISIC2018_Task1_Training_GroundTruth/ISIC_0000003_segmentation.png").unlink()
    with pytest.raises(ValueError, match=r"ISIC_0000003.jpg: no mask 'ISIC_0000003_segmentation"):
        es.load_dataset(tmp_path)


def lgg(folder, cases, slices=(1, 2, 10, 21)):
    for case in cases:
        touch(folder, *(f"{case}/{case}_{n}{end}.tif" for n in slices for end in ("", "_mask")))


def test_lgg_by_patient_with_slices_in_numeric_order(tmp_path):
    tree = tmp_path / "kaggle_3m"
    lgg(tree, ["TCGA_CS_4941_19960909", "TCGA_CS_4941_19970101", "TCGA_DU_5849_19950405"])
    touch(tree, "data.csv", "README.md")
    shutil.copytree(tree, tmp_path / "lgg-mri-segmentation" / "kaggle_3m")
    for folder in (tmp_path, tree):
        parts, problems, _ = find_pairs(folder)
        assert problems == []
        assert [pair.image.stem.split("_")[-1] for pair in parts[""][:4]] == ["1", "2", "10", "21"]
        assert [pair.group for pair in parts[""]] == ["TCGA_CS_4941"] * 8 + ["TCGA_DU_5849"] * 4
        assert all(pair.mask.stem == f"{pair.image.stem}_mask" for pair in parts[""])


def test_lgg_without_cases_or_masks(tmp_path):
    (tmp_path / "kaggle_3m").mkdir()
    with pytest.raises(ValueError, match=r"expected folders TCGA_<institution>_<patient>_<date>"):
        es.load_dataset(tmp_path)
    lgg(tmp_path / "kaggle_3m", ["TCGA_CS_1_2"])
    (tmp_path / "kaggle_3m/TCGA_CS_1_2/TCGA_CS_1_2_10_mask.tif").unlink()
    with pytest.raises(ValueError, match=r"TCGA_CS_1_2_10.tif: no mask 'TCGA_CS_1_2_10_mask"):
        es.load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("name", "pairs", "groups"), [("lgg-mri-segmentation", 330, 110), ("isic-2017-subset", 98, 98)]
)
def test_published_data(name, pairs, groups):
    if not (SHARED / name).is_dir():
        pytest.skip(f"{name} is not there: set ENSEMBLE_SEG_TEST_DATA to its parent folder")
    found = all_pairs(SHARED / name)
    assert len(found) == len({pair.image for pair in found}) == pairs
    assert len({pair.group for pair in found}) == groups
    image, mask = es.read_image(found[0].image), es.read_mask(found[0].mask)
    assert image.shape[:2] == mask.shape


@pytest.mark.parametrize("line", ["a{}", "a{}.png", "images/a{}.png", " a{} ", "images\\a{}.png"])
def test_lists_of_stems_and_of_file_names(ten, line):
    train, val, test = (
        [line.format(n) for n in part] for part in ((3, 1, 0), (2, 4), range(5, 10))
    )
    listing = lists(ten, train=[*train, ""], val=val, test=test)
    assert listing.problems == []
    expected = [["a3", "a1", "a0"], ["a2", "a4"], [f"a{n}" for n in range(5, 10)]]
    assert list(stems(listing).values()) == expected
    assert list(listing.parts) == ["train", "validation", "test"]


def test_without_test_list_the_validation_list_is_the_test_part(ten):
    lists(ten, train=[f"a{n}" for n in range(8)], val=["a8", "a9"])
    data = es.load_dataset(ten)
    assert {pair.image.stem for pair in data.test.pairs} == {"a8", "a9"}
    assert (len(data.train), len(data.validation)) == (7, 1)


def test_lists_that_do_not_fit(ten):
    train = [f"a{n}" for n in range(7)]
    assert lists(ten, train=[*train, "b"], val=["a7", "a8", "a9"]).problems == [
        f"{ten / 'train.txt'}: no image 'b'."
    ]
    (problem,) = lists(ten, train=train, val=["a7"]).problems
    assert "2 of 10 images appear in none of train.txt, val.txt: a8.png, a9.png." in problem
    (problem,) = lists(ten, train=train, val=["a6", "a7", "a8", "a9"]).problems
    assert "a6.png: its group 'a6' appears in train and in validation" in problem


def test_an_image_twice_in_a_list_is_noticed_or_taken_once(ten):
    listing = lists(ten, train=["a0", "a0", *(f"a{n}" for n in range(1, 8))], val=["a8", "a9"])
    assert listing.problems or stems(listing)["train"] == [f"a{n}" for n in range(8)]


def test_a_manifest_with_a_split(ten):
    words = ["train"] * 6 + ["val", "validation", "test", "test"]
    listing = manifest(ten, [f"p{n // 2},{word}" for n, word in enumerate(words)])
    assert listing.problems == []
    sizes = {part: len(pairs) for part, pairs in listing.parts.items()}
    assert sizes == {"train": 6, "validation": 2, "test": 2}
    assert [pair.group for pair in listing.parts["validation"]] == ["p3", "p3"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([",train", ",", ",test"], "manifest.csv: 1 of 3 rows have no split"),
        ([",train", ",eval", ",test"], "line 3: expected a split of train, .*, found 'eval'"),
        (["p1,train", "p2,train", "p1,test"], "its group 'p1' appears in train and in test"),
        (["p1,train", "p2,train", "p1 ,test"], "its group 'p1' appears in train and in test"),
        ([",test", ",val", ",test"], "Expected training images beside those of"),
    ],
)
def test_manifests_with_a_wrong_split(ten, rows, message):
    manifest(ten, rows)
    with pytest.raises(ValueError, match=message):
        es.load_dataset(ten)


def test_an_image_under_two_spellings_is_one_image(ten):
    rows = ["images/a0.png,masks/a0.png,train", "./images/a0.png,masks/a0.png,test"]
    (ten / "manifest.csv").write_text("\n".join(["image,mask,split", *rows]))
    assert find_pairs(ten).problems


def test_a_manifest_of_absolute_paths_has_a_hash(disks, tmp_path):
    rows = [f"{disks}/images/disk_{n:02d}.png,{disks}/masks/disk_{n:02d}.png" for n in range(20)]
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "manifest.csv").write_text("\n".join(["image,mask", *rows]))
    assert len(es.load_dataset(tmp_path / "elsewhere").hash) == 64


@pytest.mark.parametrize("ending", ["_mask", "_segmentation"])
def test_masks_beside_images(tmp_path, ending):
    touch(tmp_path, *(f"a{n}{end}" for n in range(10) for end in (".JPG", f"{ending}.png")))
    listing = find_pairs(tmp_path)
    assert listing.problems == []
    assert [(pair.image.name, pair.mask.name) for pair in listing.parts[""]] == [
        (f"a{n}.JPG", f"a{n}{ending}.png") for n in range(10)
    ]
    (tmp_path / f"a7{ending}.png").unlink()
    (tmp_path / "a8.JPG").unlink()
    first, second = find_pairs(tmp_path).problems
    assert f"a7.JPG: no mask 'a7{ending}.*' in" in first
    assert f"a8{ending}.png: no image 'a8.*' in" in second


@pytest.mark.parametrize("name", ["Läsion 7", "病变 (3)", "a b", "a.b.c", "Ø_mask_1", "-x", "100%"])
def test_unusual_names(tmp_path, name):
    touch(tmp_path, f"images/{name}.png", f"masks/{name}.png")
    listing = lists(tmp_path, train=[name])
    assert listing.problems == []
    assert stems(listing) == {"train": [name]}


def test_hidden_files_and_folders_are_no_images(ten):
    touch(ten, "images/._a1.png", "masks/._a1.png", "images/.DS_Store", "images/Thumbs.db")
    for sub in ("images", "masks"):
        (ten / sub / "folder.png").mkdir()
    listing = find_pairs(ten)
    assert listing.problems == []
    assert stems(listing) == {"": [f"a{n}" for n in range(10)]}


def test_links_are_followed_and_broken_ones_are_named(ten, tmp_path):
    save(tmp_path / "real.png", np.zeros((4, 4), "uint8"))
    for sub in ("images", "masks"):
        (ten / sub / "link.png").symlink_to(tmp_path / "real.png")
    assert stems(find_pairs(ten))[""][-1] == "link"
    (tmp_path / "real.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"link.png: a link that leads nowhere"):
        es.read_image(find_pairs(ten).parts[""][-1].image)


def test_ten_thousand_files(tmp_path):
    for sub in ("images", "masks"):
        touch(tmp_path, *(f"{sub}/a{n}.png" for n in range(10_000)))
    data = es.load_dataset(tmp_path)
    assert (len(data.train), len(data.validation), len(data.test)) == (7000, 1000, 2000)
