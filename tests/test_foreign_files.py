"""Folders, lists and tables of other people: what is done with each, and what is said.

docs/FOREIGN_FOLDERS.md is made from this file: python tests/test_foreign_files.py writes it again.
"""

import csv
import json
import unicodedata
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import save

import ensemble_seg as es
from ensemble_seg.__main__ import main
from ensemble_seg.datasets.layouts import find_pairs
from ensemble_seg.keeping.configs import run_config
from ensemble_seg.reading.images import SUFFIXES

PAGE = Path(__file__).resolve().parents[1] / "docs" / "FOREIGN_FOLDERS.md"
CASES = {}
IMAGE = np.full((40, 48, 3), 200, "uint8")
IMAGE[10:20, 12:30] = 50
MASK = np.zeros((40, 48), "uint8")
MASK[10:20, 12:30] = 255
LISTED = ", ".join(SUFFIXES)
A10 = [f"a{n}" for n in range(10)]


def case(situation, done, message=""):
    """Register a situation; the function returns what was said, {folder} being its folder."""

    def register(function):
        CASES[situation] = (done, message, function)
        return function

    return register


@pytest.mark.parametrize("situation", CASES)
def test_what_is_said(situation, tmp_path, monkeypatch, capsys):
    _, message, function = CASES[situation]
    monkeypatch.chdir(tmp_path)
    said = function(tmp_path, monkeypatch, capsys)
    assert said.replace(str(tmp_path), "{folder}").replace(LISTED, "{suffixes}") == message
    assert not list(tmp_path.rglob("partial-*"))


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page()


def touch(folder, *names):
    """Empty files: pairing reads no pixels."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def pairs(folder, images="images/{}.png", masks="masks/{}.png", stems=A10):
    touch(folder, *(pattern.format(stem) for stem in stems for pattern in (images, masks)))
    return folder


def listed(folder):
    """The names of image and mask, and the group, of each pair by part."""
    return {
        part: [(pair.image.name, pair.mask.name, pair.group) for pair in found]
        for part, found in find_pairs(folder).parts.items()
    }


def stems(folder):
    return {part: [Path(row[0]).stem for row in rows] for part, rows in listed(folder).items()}


def problem(folder):
    (only,) = find_pairs(folder).problems
    return only


def note(folder):
    assert find_pairs(folder).problems == []
    (only,) = find_pairs(folder).notes
    return only


def silent(folder):
    assert find_pairs(folder)[1:] == ([], [])
    return ""


def table(folder, *lines):
    (folder / "manifest.csv").write_text("\n".join(lines), encoding="utf-8", newline="")
    return folder


def rows(*ends, first=0):
    return [f"images/a{n}.png,masks/a{n}.png{end}" for n, end in enumerate(ends, start=first)]


def refused(capsys, *arguments):
    assert main([str(argument) for argument in arguments]) == 1
    return capsys.readouterr().err.strip().removeprefix("ensemble_seg: ")


def printed(capsys, *arguments):
    assert main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out.strip()


def dark_is_lesion(folder, name="model.keras"):
    """A saved model: lesion where the mean of the channels is below 120."""
    image = keras.Input((32, 32, 3))
    layer = keras.layers.Conv2D(2, 1, activation="softmax")
    model = keras.Model(image, layer(image), name="dark")
    layer.set_weights([np.array([[[[0.0, -1 / 3]] * 3]]), np.array([0.0, 120.0])])
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / name)
    return folder / name


def real(folder, names=("a", "b"), image="images/{}.png", mask="masks/{}.png"):
    for name in names:
        save(folder / image.format(name), IMAGE)
        save(folder / mask.format(name), MASK)
    return folder


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def results(out):
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def named(*names):
    kinds = ("disagreement", "masks", "overlays")
    return [f"{kind}/{name}.png" for kind in kinds for name in names]


# Results of predict


@case(
    "`predict truth/images --out truth`, `truth/masks`, `truth/new`",
    "refused: results never go into the data set of the images",
    "{folder}/truth: in the folder of the images ({folder}/truth), where results could be taken "
    "for its masks. Name a folder outside it, with --out {folder}/predictions say.",
)
def _(folder, patch, capsys):
    before, model = contents(real(folder / "truth")), dark_is_lesion(folder)
    for out in ("truth/masks", "truth/new", "truth/images", "truth"):
        said = refused(capsys, "predict", "truth/images", "--out", out, "--model", model)
    assert contents(folder / "truth") == before
    return said


@case(
    "`--out` holds files of the user",
    "refused, nothing is replaced",
    "{folder}/mine: not empty, and not made by this command (predictions.json is missing or "
    "damaged). Nothing in it is replaced: name another folder to write to.",
)
def _(folder, patch, capsys):
    real(folder / "in")
    save(folder / "mine" / "masks" / "a.png", MASK)
    before, model = contents(folder / "mine"), dark_is_lesion(folder)
    said = refused(capsys, "predict", "in/images", "--out", "mine", "--model", model)
    assert contents(folder / "mine") == before
    return said


@case(
    "second `predict` into the same `--out`, other images",
    "the first results are removed; notes.txt that the user put there stays",
    "1 image: masks/, overlays/ and disagreement/ in {folder}/out",
)
def _(folder, patch, capsys):
    model = dark_is_lesion(folder)
    printed(capsys, "predict", real(folder / "in") / "images", "--out", "out", "--model", model)
    assert results(folder / "out") == sorted([*named("a", "b"), "predictions.json"])
    (folder / "out" / "notes.txt").write_text("mine")
    more = real(folder / "other", names=["c"]) / "images"
    said = printed(capsys, "predict", more, "--out", "out", "--model", model)
    expected = sorted([*named("c"), "notes.txt", "predictions.json"])
    assert results(folder / "out") == expected
    record = json.loads((folder / "out" / "predictions.json").read_text())
    assert sorted(record["files"]) == named("c")
    assert list(record["model files"]) == [str(model)]
    # 10 rows and 18 columns of 40 x 48 pixels are dark; the network sees 32 x 32.
    found = es.read_mask(folder / "out" / "masks" / "c.png")
    assert found.shape == (40, 48)
    assert abs(int(found.sum()) - 180) < 40
    assert found[12:18, 15:27].all()
    return said


@case(
    "a predicted mask was corrected by hand, then a second `predict`",
    "refused, the correction stays",
    "{folder}/out/masks/a.png: was changed since it was written, so the folder is left as it is. "
    "Name another folder to write to, or move the file elsewhere.",
)
def _(folder, patch, capsys):
    order = ["predict", real(folder / "in") / "images", "--out", "out"]
    order += ["--model", dark_is_lesion(folder)]
    printed(capsys, *order)
    save(folder / "out" / "masks" / "a.png", MASK)
    before = contents(folder / "out")
    said = refused(capsys, *order)
    assert contents(folder / "out") == before
    return said


@case(
    "predictions used as a data set",
    "refused",
    "{folder}/out: holds what python -m ensemble_seg predict has written (predictions.json), no "
    "data set. To train on predicted masks all the same, copy them to another folder.",
)
def _(folder, patch, capsys):
    model = dark_is_lesion(folder)
    printed(capsys, "predict", real(folder / "in") / "images", "--out", "out", "--model", model)
    (folder / "in" / "images").rename(folder / "out" / "images")
    return problem(folder / "out")


@case(
    "`predict --dataset hospB/data` beside a run on `hospA/data`",
    "refused: the data hash is compared, as train and evaluate do",
    "runs/data/smoke/main: holds a run on other data (hash {A}, this data {B}). Remove the folder, "
    "or set ENSEMBLE_SEG_RUNS_DIR.",
)
def _(folder, patch, capsys):
    stems = [f"p{n}" for n in range(10)]
    first, second = (real(folder / name / "data", stems) for name in ("hospA", "hospB"))
    save(second / "images" / "p3.png", 255 - IMAGE)
    data, preset = es.load_dataset(first), es.preset("smoke")
    for name in ("main", "sampling"):
        path = dark_is_lesion(folder / "runs" / "data" / "smoke" / name).parent
        config = run_config(data.limit(preset.limit), preset, name)
        (path / "config.json").write_text(json.dumps(config))
        (path / "history.csv").write_text("epoch,val_dice\n1,0.5\n")
    order = ["predict", second / "images", "--dataset", second, "--preset", "smoke"]
    said = refused(capsys, *order)
    assert not (folder / "predictions").exists()
    other = es.load_dataset(second).limit(preset.limit)
    said = said.replace(data.limit(preset.limit).hash[:12], "{A}")
    return said.replace(other.hash[:12], "{B}")


# Crops


@case(
    "`sample` of a set whose manifest gives a split, with absolute paths",
    "the crops keep part and group of their image, and where it lies",
    "10 crops of 10 images in crops; 0 images below the ratio, 0 without a lesion.",
)
def _(folder, patch, capsys):
    real(folder / "far", A10)
    words = ["train"] * 6 + ["val"] * 2 + ["test"] * 2
    lines = [
        f"{folder}/far/images/a{n}.png,{folder}/far/masks/a{n}.png,p{n // 2},{word}"
        for n, word in enumerate(words)
    ]
    (folder / "in").mkdir()
    table(folder / "in", "image,mask,group,split", *lines)
    said = printed(capsys, "sample", "in", "crops")
    with open(folder / "crops" / "manifest.csv", newline="") as file:
        found = list(csv.DictReader(file))
    expected = ["train"] * 6 + ["validation"] * 2 + ["test"] * 2
    assert [row["split"] for row in found] == expected
    assert [row["source"] for row in found] == [f"{folder}/far/images/a{n}.png" for n in range(10)]
    assert [row["group"] for row in found] == [f"p{n // 2}" for n in range(10)]
    data = es.load_dataset(folder / "crops")
    assert (len(data.train), len(data.validation), len(data.test)) == (6, 2, 2)
    return said


@case(
    "`sample` of a set with train.txt and test.txt, or with no split at all",
    "the crops have the parts that `load_dataset` gives to their images",
    "10 crops of 10 images in crops2; 0 images below the ratio, 0 without a lesion.",
)
def _(folder, patch, capsys):
    real(folder / "in", A10)
    for number, test in enumerate((["a0", "a9"], None)):
        if test:
            (folder / "in" / "test.txt").write_text("\n".join(test))
            (folder / "in" / "train.txt").write_text("\n".join(A10[1:9]))
        said = printed(capsys, "sample", "in", f"crops{number + 1}")
        data, crops = es.load_dataset(folder / "in"), es.load_dataset(folder / f"crops{number + 1}")
        for part in ("train", "validation", "test"):
            sources = {pair.image.stem.split("_")[0] for pair in getattr(crops, part).pairs}
            assert sources == {pair.image.stem for pair in getattr(data, part).pairs}
        if test:
            assert {pair.image.stem for pair in data.test.pairs} == set(test)
            for name in ("train", "test"):
                (folder / "in" / f"{name}.txt").unlink()
    return said


# Lists and tables


@case("train.txt, Valid.txt and test.txt beside a.png and a_mask.png", "the lists give the parts")
def _(folder, patch, capsys):
    pairs(folder, "{}.png", "{}_mask.png")
    for name, part in (("train", A10[:6]), ("Valid", A10[6:8]), ("test", A10[8:])):
        (folder / f"{name}.txt").write_text("\r\n".join(f"{stem}.png" for stem in part) + "\r\n")
    expected = {"train": A10[:6], "validation": A10[6:8], "test": A10[8:]}
    assert stems(folder) == expected
    return silent(folder)


@case("a list that names patients (groups of manifest.csv)", "all images of each patient")
def _(folder, patch, capsys):
    lines = rows(*(f",p{n // 2}" for n in range(10)))
    table(pairs(folder), "image,mask,Patient ID", *lines)
    (folder / "train.txt").write_text("p0\np1\np2\n")
    (folder / "validation.txt").write_text("p3\n")
    (folder / "test.txt").write_text("p4\n")
    expected = {"train": A10[:6], "validation": A10[6:8], "test": A10[8:]}
    assert stems(folder) == expected
    (said,) = find_pairs(folder).notes
    assert said.endswith("column Patient ID is taken for the group.")
    assert find_pairs(folder).problems == []
    return ""


@case(
    "an empty test.txt",
    "refused",
    "{folder}/test.txt: an empty list. Name the images of its part, or remove the file.",
)
def _(folder, patch, capsys):
    (pairs(folder) / "train.txt").write_text("\n".join(A10))
    (folder / "test.txt").write_text("\n \n")
    return problem(folder)


@case(
    "val.txt and valid.txt",
    "refused",
    "{folder}: val.txt and valid.txt name the same part. Keep one of them.",
)
def _(folder, patch, capsys):
    (pairs(folder) / "train.txt").write_text("\n".join(A10[:8]))
    for name in ("val", "valid"):
        (folder / f"{name}.txt").write_text("a8\na9\n")
    return problem(folder)


@case(
    "train_ids.csv, or ImageSets/train.txt",
    "refused: it looks like a list and is not read",
    "{folder}/train_ids.csv: looks like a list of images of a part, and is not read. Write "
    "train.txt, val.txt and test.txt with the name of an image on each line, or move it elsewhere.",
)
def _(folder, patch, capsys):
    touch(pairs(folder), "ImageSets/Segmentation/train.txt", "test_report.txt", "training.log")
    assert "ImageSets/Segmentation/train.txt: looks like a list" in problem(folder)
    (folder / "ImageSets" / "Segmentation" / "train.txt").unlink()
    touch(folder, "train_ids.csv")
    return problem(folder)


@case(
    "lists beside a manifest with a split",
    "refused",
    "{folder}: the parts are given by train.txt and by the layout or manifest.csv as well. Keep "
    "one of the two.",
)
def _(folder, patch, capsys):
    table(pairs(folder), "image,mask,split", *rows(*[",train"] * 8, ",val", ",test"))
    (folder / "train.txt").write_text("\n".join(A10))
    return problem(folder)


@case(
    "a name in a list that two folders hold",
    "refused, unless the line has the path",
    "{folder}/train.txt: '001' could be {folder}/p1/001.png, {folder}/p2/001.png. Write the path "
    "in the data set's folder.",
)
def _(folder, patch, capsys):
    lines = [f"p{n}/001.png,p{n}/m.png" for n in (1, 2)]
    touch(folder, "p1/001.png", "p2/001.png", "p1/m.png", "p2/m.png")
    table(folder, "image,mask", *lines)
    (folder / "train.txt").write_text("p2/001.png")
    (folder / "test.txt").write_text("p1\\001.png")
    assert [row[2] for row in listed(folder)["train"]] == ["p2/001.png"]
    assert [row[2] for row in listed(folder)["test"]] == ["p1/001.png"]
    (folder / "test.txt").unlink()
    (folder / "train.txt").write_text("001")
    return find_pairs(folder).problems[0]


@case(
    "columns `Patient` and `Split` in a manifest",
    "used as group and split",
    "{folder}/manifest.csv: column Patient is taken for the group.",
)
def _(folder, patch, capsys):
    words = ["Train"] * 6 + ["VAL"] * 2 + ["Testing"] * 2
    ends = [f",p{n // 2},{word}" for n, word in enumerate(words)]
    table(pairs(folder), "Image,MASK,Patient,Split", *rows(*ends))
    groups = {part: [row[2] for row in rows] for part, rows in listed(folder).items()}
    assert groups["train"] == ["p0", "p0", "p1", "p1", "p2", "p2"]
    assert groups["validation"] == ["p3", "p3"]
    assert groups["test"] == ["p4", "p4"]
    return note(folder)


@case(
    "a patient on both sides of a column `subset`",
    "refused",
    "{folder}/images/a9.png: its group 'p0' appears in train and in test, so the test would not be "
    "on unseen cases. Keep each group in one part.",
)
def _(folder, patch, capsys):
    ends = [f";p{n}; train" for n in range(9)]
    lines = [line.replace(",", ";") for line in rows(*ends, ";p0;test")]
    table(pairs(folder), "image;mask;subject_id;subset", *lines)
    return problem(folder)


@case(
    "columns `scan id` and `patient`, each scan of one patient",
    "the patient is the group",
    "{folder}/manifest.csv: column patient is taken for the group.",
)
def _(folder, patch, capsys):
    ends = [f",s{n // 2},p{n // 4}" for n in range(10)]
    table(pairs(folder), "image,mask,scan id,patient", *rows(*ends))
    assert [row[2] for row in listed(folder)[""]] == [f"p{n // 4}" for n in range(10)]
    return note(folder)


@case(
    "columns `group` and `patient` that cross",
    "refused",
    "{folder}/manifest.csv: columns group and patient look like groups, and none of them keeps "
    "together what the others do. Write one column group and remove them.",
)
def _(folder, patch, capsys):
    ends = [f",g{n % 2},p{n // 5}" for n in range(10)]
    table(pairs(folder), "image,mask,group,patient", *rows(*ends))
    return problem(folder)


@case(
    "a column `fold` with 0, 1, 2, or `is_train`",
    "refused: it looks like a split and cannot be used",
    "{folder}/manifest.csv: column fold looks like a split ('0', '1', '2'). Write one column split "
    "with train, validation and test in it, and remove or rename the other.",
)
def _(folder, patch, capsys):
    pairs(folder)
    table(folder, "image,mask,is_train", *rows(*(f",{n % 2}" for n in range(10))))
    assert "column is_train looks like a split" in problem(folder)
    table(folder, "image,mask,fold", *rows(*(f",{n % 3}" for n in range(10))))
    return problem(folder)


@case(
    "two columns `split` and `Split`",
    "refused",
    "{folder}/manifest.csv: column split appears 2 times. Keep one.",
)
def _(folder, patch, capsys):
    table(pairs(folder), "image,mask,split,Split", *rows(*[",train,test"] * 10))
    return problem(folder)


@case("a manifest of Excel: byte order mark, blank lines, an index without a name", "read")
def _(folder, patch, capsys):
    lines = ["", ",,", ",image,mask", *(f"{n},{row}" for n, row in enumerate(rows(*[""] * 10)))]
    text = "\ufeff" + "\r\n".join([*lines, ",,", ""])
    (pairs(folder) / "manifest.csv").write_bytes(text.encode())
    assert stems(folder) == {"": A10}
    return silent(folder)


@case("a form feed or U+2028 in a cell, a line break in quotes", "stays in its cell")
def _(folder, patch, capsys):
    ends = [f',"first\u2028second\x0cthird\n{n}",p{n // 2}' for n in range(10)]
    table(pairs(folder), "image,mask,remark,group", *rows(*ends))
    assert [row[2] for row in listed(folder)[""]] == [f"p{n // 2}" for n in range(10)]
    return silent(folder)


@case(
    "a quotation mark that is not closed",
    "refused",
    "{folder}/manifest.csv: line 5: not a table that can be read (unexpected end of data). Look "
    "for a quotation mark that is not closed.",
)
def _(folder, patch, capsys):
    table(pairs(folder), "image,mask", *rows("", ""), '"images/a2.png,masks/a2.png', *rows("ab"))
    return problem(folder)


@case(
    "a cell of more than 131,072 characters",
    "refused",
    "{folder}/manifest.csv: line 2: not a table that can be read (field larger than field limit "
    "(131072)). Look for a quotation mark that is not closed.",
)
def _(folder, patch, capsys):
    table(pairs(folder), "image,mask,remark", *rows("," + "x" * 131_073))
    return problem(folder)


@case(
    "a comma in a file name, without quotation marks",
    "refused",
    "{folder}/manifest.csv: line 2: 3 cells, but 2 columns. Put a cell with a separator in it in "
    "quotation marks.",
)
def _(folder, patch, capsys):
    table(pairs(folder), "image,mask", "images/a,0.png,masks/a0.png")
    return problem(folder)


@case("a manifest written on Windows: images\\a0.png", "read")
def _(folder, patch, capsys):
    table(pairs(folder), "image,mask", *(row.replace("/", "\\") for row in rows(*[""] * 10)))
    assert stems(folder) == {"": A10}
    return silent(folder)


@case(
    "a manifest with A0.PNG for a0.png, and accents stored in the other way",
    "read where there is no other choice, with a note",
    "{folder}/manifest.csv: 4 names are spelled otherwise than their files (case, or how accents "
    "are stored): 'a0.png' is taken for 'A0.PNG'.",
)
def _(folder, patch, capsys):
    apart, joined = (unicodedata.normalize(form, "L\u00e4sion") for form in ("NFD", "NFC"))
    pairs(folder, stems=["a0", "a1", f"{apart} 1", f"{joined} 2"])
    names = ["A0.PNG", "a1.png", f"{joined} 1.png", f"{joined} 2.png"]
    lines = [f"images/{name},masks/{name.lower()}" for name in names]
    table(folder, "image,mask", *lines)
    images = [row[0] for row in listed(folder)[""]]
    assert images == ["a0.png", "a1.png", f"{apart} 1.png", f"{joined} 2.png"]
    return note(folder)


@case(
    "a manifest with a0.PNG where a0.png and A0.png are there",
    "refused",
    "{folder}/manifest.csv, line 2: no image file 'images/a0.PNG'.",
)
def _(folder, patch, capsys):
    pairs(folder, stems=["a0", "A0"])
    return problem(table(folder, "image,mask", "images/a0.PNG,masks/a0.png"))


@case(
    "an image of a manifest that is a link to another one",
    "read; `check` tells it as it tells a copy",
    "a0.png (train) and b.png (test): the same file, byte for byte, across parts.",
)
def _(folder, patch, capsys):
    real(folder, ("a0", "a1", "a2"))
    save(folder / "masks" / "b.png", MASK)
    (folder / "images" / "b.png").symlink_to(folder / "images" / "a0.png")
    for number, name in enumerate(("a1", "a2")):
        save(folder / "images" / f"{name}.png", IMAGE + np.uint8(number + 1))
    names = {"a0": "train", "a1": "train", "a2": "validation", "b": "test"}
    lines = [f"images/{name}.png,masks/{name}.png,{part}" for name, part in names.items()]
    table(folder, "image,mask,split", *lines)
    (said,) = [text for text in es.inspect_dataset(folder).warnings if "byte for byte" in text]
    return said


@case(
    "one mask for every row of a manifest",
    "read, with a warning",
    "{folder}/manifest.csv: masks of several images, up to 10: masks/a0.png. Look at them.",
)
def _(folder, patch, capsys):
    table(pairs(folder), "image,mask", *(f"images/a{n}.png,masks/a0.png" for n in range(10)))
    return find_pairs(folder).notes[0]


# What is not read


@case(
    "images/ with .nii.gz files among the others",
    "the others are read, with a warning",
    "{folder}/images: not read: 2 files .nii.gz. Expected images ({suffixes}). Save slices as PNG.",
)
def _(folder, patch, capsys):
    touch(pairs(folder), "images/v1.nii.gz", "images/v2.nii.gz", "images/LICENSE", "README.md")
    assert stems(folder) == {"": A10}
    return note(folder)


@case(
    "nothing but .npy files",
    "refused",
    "{folder}/images: expected image files ({suffixes}), found none, but 10 files .npy. A data set "
    "has two folders, images/ and masks/, with files of the same stem.",
)
def _(folder, patch, capsys):
    pairs(folder, "images/{}.npy", "masks/{}.npy")
    first, second = find_pairs(folder).problems
    assert second == first.replace("/images", "/masks")
    return first


@case(
    "a folder of images in images/",
    "passed over, with a warning",
    "{folder}/images/more: not read: a folder with images (10), which belongs to no known layout.",
)
def _(folder, patch, capsys):
    pairs(pairs(folder), "images/more/{}.png", "masks/{}.png")
    assert stems(folder) == {"": A10}
    return note(folder)


@case(
    "a folder test/ beside images/ and masks/",
    "refused: it looks like a part",
    "{folder}/test: not read: a folder with images (20), whose name looks like a part. Put its "
    "images and masks with the others and name them in test.txt, or move it elsewhere.",
)
def _(folder, patch, capsys):
    pairs(pairs(folder), "test/images/{}.png", "test/masks/{}.png")
    return problem(folder)


@case(
    "images beside those of a manifest",
    "passed over, with a warning",
    "{folder}/images: not read: 2 image files that appear in no row of the manifest (a8.png, "
    "a9.png).",
)
def _(folder, patch, capsys):
    table(pairs(folder), "image,mask", *rows(*[""] * 8))
    first, second = find_pairs(folder).notes
    assert second == first.replace("/images", "/masks")
    return first


@case(
    "`predict` on a.png beside a_mask.png, with other files and a folder",
    "masks are left out; what is not read is printed",
    "{folder}/in: not read: 1 file .mha. Expected images ({suffixes}). Save slices as PNG.<br>"
    "{folder}/in: not read: 2 masks beside the images (a_mask.png, b_mask.png).<br>"
    "{folder}/in/more: not read: a folder with images (1).<br>"
    "2 images: masks/, overlays/ and disagreement/ in {folder}/out",
)
def _(folder, patch, capsys):
    real(folder / "in", image="{}.png", mask="{}_mask.png")
    touch(folder / "in", "v.mha", "more/c.png")
    order = ["predict", "in", "--out", "out", "--model", dark_is_lesion(folder)]
    said = printed(capsys, *order).replace("\n", "<br>")
    assert results(folder / "out") == sorted([*named("a", "b"), "predictions.json"])
    return said


# What predict is given


@case(
    "`predict` on one file",
    "segmented",
    "1 image: masks/, overlays/ and disagreement/ in {folder}/out",
)
def _(folder, patch, capsys):
    file = real(folder / "in") / "images" / "b.png"
    said = printed(capsys, "predict", file, "--out", "out", "--model", dark_is_lesion(folder))
    assert results(folder / "out") == sorted([*named("b"), "predictions.json"])
    return said


@case(
    "`predict` on a folder that is not there",
    "refused",
    "{folder}/in/image: no such file or folder. Did you mean 'images'? {folder}/in holds images/, "
    "masks/.",
)
def _(folder, patch, capsys):
    real(folder / "in")
    return refused(capsys, "predict", "in/image", "--model", dark_is_lesion(folder))


@case(
    "`predict` on the root of a data set",
    "refused",
    "{folder}/in: expected image files ({suffixes}) at its first level. Found images/, masks/. Its "
    "images may be in {folder}/in/images: name that folder.",
)
def _(folder, patch, capsys):
    real(folder / "in")
    return refused(capsys, "predict", "in", "--model", dark_is_lesion(folder))


@case(
    "`predict` on the masks of a data set",
    "refused",
    "{folder}/in/masks: looks like the masks of {folder}/in/images. Name the folder of the images.",
)
def _(folder, patch, capsys):
    real(folder / "in")
    return refused(capsys, "predict", "in/masks", "--model", dark_is_lesion(folder))


@case(
    "`predict`, and the last image is cut off",
    "refused before the first is segmented; earlier results stay",
    "{folder}/in/images/b.png",
)
def _(folder, patch, capsys):
    file = real(folder / "in") / "images" / "b.png"
    order = ["predict", "in/images", "--out", "out", "--model", dark_is_lesion(folder)]
    printed(capsys, *order)
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 3), "uint8")
    save(file, noise)
    file.write_bytes(file.read_bytes()[:3000])
    before = contents(folder / "out")
    said = refused(capsys, *order)
    assert contents(folder / "out") == before
    assert "not an image that can be read" in said
    return said.partition(":")[0]


@case(
    "`predict` on a.png and a.jpg",
    "refused",
    "{folder}/in: expected image files, each with a stem of its own, since results are named by "
    "it. Found a.jpg and a.png. Rename them.",
)
def _(folder, patch, capsys):
    save(folder / "in" / "a.png", IMAGE)
    save(folder / "in" / "a.jpg", IMAGE)
    return refused(capsys, "predict", "in", "--model", dark_is_lesion(folder))


# Names


@case(
    "masks/a_mask.png beside images/a.png",
    "paired by the common ending, with a note",
    "{folder}/masks: masks are named otherwise than images: a0_mask.png is taken for a0.png, and "
    "so on for all.",
)
def _(folder, patch, capsys):
    pairs(folder, masks="masks/{}_mask.png")
    assert listed(folder)[""] == [(f"{a}.png", f"{a}_mask.png", a) for a in A10]
    return note(folder)


@case(
    "Image/img_1.jpg and Ground Truth/mask_1.png",
    "paired, with a note",
    "{folder}/Ground Truth: masks are named otherwise than images: mask_1.png is taken for "
    "img_1.jpg, and so on for all.",
)
def _(folder, patch, capsys):
    pairs(folder, "Image/img_{}.jpg", "Ground Truth/mask_{}.png", ["1", "2", "10"])
    rows = [(f"img_{n}.jpg", f"mask_{n}.png", f"img_{n}") for n in (1, 10, 2)]
    assert listed(folder)[""] == rows
    return note(folder)


@case(
    "imagesTr/a_0000.png and labelsTr/a.png (nnU-Net, one channel)",
    "paired, with a note",
    "{folder}/labelsTr: masks are named otherwise than images: a0.png is taken for a0_0000.png, "
    "and so on for all.",
)
def _(folder, patch, capsys):
    pairs(folder, "imagesTr/{}_0000.png", "labelsTr/{}.png")
    assert [row[:2] for row in listed(folder)[""]] == [(f"{a}_0000.png", f"{a}.png") for a in A10]
    return note(folder)


@case(
    "imagesTr/a_0000.png and a_0001.png (two channels)",
    "refused",
    "{folder}/imagesTr/a0_0001.png: expected a name such as '*_0000', as the other files have. "
    "Rename it, or remove the file.",
)
def _(folder, patch, capsys):
    pairs(folder, "imagesTr/{}_0000.png", "labelsTr/{}.png")
    touch(folder, "imagesTr/a0_0001.png")
    return problem(folder)


@case("img_1.png and mask_1.png, or a.png and a-gt.png, in one folder", "paired")
def _(folder, patch, capsys):
    pairs(folder / "x", "img_{}.png", "mask_{}.png", ["1", "2", "10"])
    pairs(folder / "y", "{}.png", "{}-gt.png")
    found = [(f"img_{n}.png", f"mask_{n}.png", f"img_{n}") for n in (1, 10, 2)]
    assert listed(folder / "x")[""] == found
    assert listed(folder / "y")[""] == [(f"{a}.png", f"{a}-gt.png", a) for a in A10]
    return silent(folder / "x") + silent(folder / "y")


@case(
    "a.png, a_mask.png and a_seg.png",
    "refused",
    "{folder}: more than one kind of file could be the masks: *_mask beside * and *_seg beside *. "
    "Keep one.",
)
def _(folder, patch, capsys):
    touch(pairs(folder, "{}.png", "{}_mask.png"), *(f"{a}_seg.png" for a in A10))
    return problem(folder).replace("*_seg beside * and *_mask", "*_mask beside * and *_seg")


@case(
    "masks/ and labels/, both with images",
    "refused",
    "{folder}: labels/ and masks/ could both hold the masks. Move one of them elsewhere, or write "
    "a manifest.csv.",
)
def _(folder, patch, capsys):
    pairs(pairs(folder), masks="labels/{}.png")
    return problem(folder)


@case("labels/ with texts (boxes) beside masks/", "masks/ is read")
def _(folder, patch, capsys):
    pairs(pairs(folder), masks="labels/{}.txt")
    assert stems(folder) == {"": A10}
    return silent(folder)


@case(
    "no mask has the name of an image",
    "refused with one message, not one for each file",
    "{folder}/masks: no mask goes with an image by its name (masks/b0.png and images/a0.png, say). "
    "Name masks as their images, or with one ending or prefix that all of them have, or write a "
    "manifest.csv.",
)
def _(folder, patch, capsys):
    touch(folder, *(f"images/a{n}.png" for n in range(9)), *(f"masks/b{n}.png" for n in range(9)))
    return problem(folder)


@case(
    "I00.PNG and i00.png",
    "paired where there is no other choice, with a note",
    "{folder}/masks: 10 names are spelled otherwise than their images' (case, or how accents are "
    "stored): 'a0' is taken for 'A0'.",
)
def _(folder, patch, capsys):
    pairs(folder, "images/A{}.PNG", "masks/a{}.png", [str(n) for n in range(10)])
    assert [row[:2] for row in listed(folder)[""]][3] == ("A3.PNG", "a3.png")
    return note(folder)


@case(
    "I00.png and i00.png, one mask i00.png",
    "refused",
    "{folder}/images/I00.png: no mask 'I00.*' in {folder}/masks. Add it, or remove the file.",
)
def _(folder, patch, capsys):
    touch(folder, "images/I00.png", "images/i00.png", "masks/i00.png")
    return problem(folder)


@case(
    "accents stored in two ways (macOS and Linux)",
    "paired, with a note",
    "{folder}/masks: 1 names are spelled otherwise than their images' (case, or how accents are "
    "stored): 'L\u00e4sion' is taken for 'L\u00e4sion'.",
)
def _(folder, patch, capsys):
    apart, joined = (unicodedata.normalize(form, "L\u00e4sion") for form in ("NFD", "NFC"))
    touch(pairs(folder), f"images/{apart}.png", f"masks/{joined}.png")
    assert (f"{apart}.png", f"{joined}.png", apart) in listed(folder)[""]
    return unicodedata.normalize("NFC", note(folder))


@case(
    "a data set that is not there, from another working directory",
    "refused, with the absolute path",
    "Unknown data set '../data'. Expected phantoms, kvasir-seg, isic-2018, lgg-mri, or a folder "
    "with images/ and masks/ in it. There is no folder {folder}/notebooks/../data.",
)
def _(folder, patch, capsys):
    (folder / "notebooks").mkdir()
    patch.chdir(folder / "notebooks")
    return refused(capsys, "check", "../data")


@case("`~` in ENSEMBLE_SEG_DATASET, ENSEMBLE_SEG_RUNS_DIR and options", "expanded")
def _(folder, patch, capsys):
    patch.setenv("HOME", str(folder))
    patch.setenv("USERPROFILE", str(folder))
    patch.setenv("ENSEMBLE_SEG_DATASET", "~/set")
    patch.setenv("ENSEMBLE_SEG_RUNS_DIR", "~/runs")
    pairs(folder / "set")
    data = es.load_dataset()
    assert data.train.folder == folder / "set"
    assert es.run_path(data, es.preset("smoke"), "main") == folder / "runs/set/smoke/main"
    return ""


def page() -> str:
    """Return docs/FOREIGN_FOLDERS.md."""
    lines = [
        "# Unusual folders, lists and tables",
        "",
        "| situation | what is done | message |",
        "|---|---|---|",
    ]
    for situation, (done, message, _) in CASES.items():
        cells = (cell.replace("|", "\\|") for cell in (situation, done, message))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
