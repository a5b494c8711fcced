import csv
import shutil

import numpy as np
import pytest
from conftest import save
from PIL import Image
from scipy.ndimage import gaussian_filter

import ensemble_seg as es
from ensemble_lab.check import check_folder, picture, write_manifest
from ensemble_seg.pairing import all_pairs

QUICK = es.preset("quick")


def scene(seed, shape=(100, 120)):
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(*shape, 3)), (4, 4, 0))
    return (130 + 30 * noise / noise.std()).clip(40, 255).astype("uint8")


def add(folder, name, image, lesion=50):
    mask = np.zeros(image.shape[:2], "uint8")
    mask[:lesion, : image.shape[1] // 2] = 255
    save(folder / "images" / f"{name}.png", image)
    save(folder / "masks" / f"{name}.png", mask)


@pytest.fixture
def scenes(tmp_path):
    """A data set of 12 unlike images of 100 x 120 pixels, a quarter of each mask is lesion."""
    for number in range(12):
        add(tmp_path / "scenes", f"s{number:02d}", scene(number))
    return tmp_path / "scenes"


def manifest(folder, rows):
    lines = [f"images/{n}.png,masks/{n}.png,{group},{part}" for n, (group, part) in rows.items()]
    text = "\n".join(["image,mask,group,split", *lines, ""])
    (folder / "manifest.csv").write_text(text, encoding="utf-8")


def test_the_facts_of_a_sound_folder(disks):
    report = check_folder(disks, QUICK)
    masks = [np.asarray(Image.open(pair.mask)) > 0 for pair in all_pairs(disks)]
    shares = sorted(100 * mask.mean() for mask in masks)
    assert report.problems == report.notes == report.near == []
    assert sorted(row.share for row in report.rows) == pytest.approx(shares)
    text = report.text()
    assert "20: 14 train, 2 validation, 4 test (at random by group, seed 0)" in text
    assert "image sizes      48 x 40\n" in text
    assert "empty masks      1\n" in text
    low, middle, high = np.percentile([share for share in shares if share], (10, 50, 90))
    assert f"{middle:.1f} %, 10th to 90th percentile {low:.1f} % to {high:.1f} %" in text
    assert text.endswith("\nTraining is possible.")
    assert len(text.splitlines()) < 24


@pytest.mark.parametrize("threshold", [2.0, 3.0, 14.0])
def test_the_ratio_is_that_of_the_preset(disks, threshold):
    report = check_folder(disks, QUICK.replace(threshold=threshold))
    ratios = [es.imbalance_ratio(es.read_mask(pair.mask)) for pair in all_pairs(disks)]
    kept = sum(threshold <= ratio < np.inf for ratio in ratios)
    assert f"ratio >= {threshold:g}" in report.text()
    assert f"{kept} of 20 in all" in report.text()


def test_every_bad_file_is_one_line_and_the_others_are_read(scenes):
    images, masks = scenes / "images", scenes / "masks"
    content = (images / "s00.png").read_bytes()
    (images / "s00.png").write_bytes(content[: len(content) // 2])
    (images / "s01.png").write_bytes(b"")
    (images / "s02.png").write_text("no image", encoding="utf-8")
    three = np.repeat(np.array([0, 100, 200], "uint8"), 4000).reshape(100, 120)
    save(masks / "s03.png", three)
    save(masks / "s04.png", np.full((50, 60), 255, "uint8"))
    report = check_folder(scenes, QUICK)
    found = {row.pair.image.stem: row.problems for row in report.rows if row.problems}
    assert sorted(found) == ["s00", "s01", "s02", "s03", "s04"]
    assert [len(problems) for problems in found.values()] == [1] * 5
    assert str(masks / "s03.png") in found["s03"][0] and "3 values" in found["s03"][0]
    assert "expected the size of its image, 120 x 100 pixels. Found 60 x 50" in found["s04"][0]
    lines = report.text().splitlines()
    assert all(f"  {problems[0]}" in lines for problems in found.values())
    assert lines[-1] == "Training is impossible, see the problems."


def test_a_folder_that_is_not_plain_is_one_message(tmp_path):
    save(tmp_path / "a7.png", scene(0))
    with pytest.raises(ValueError, match=r"images/ and masks/ .*ensemble-seg import .* OUT"):
        check_folder(tmp_path, QUICK)


def test_too_few_images_for_a_split(tmp_path):
    for number in range(2):
        add(tmp_path, f"s{number}", scene(number))
    report = check_folder(tmp_path, QUICK)
    assert len(report.rows) == 2
    assert "Expected at least 3 groups of images" in report.problems[0]


@pytest.mark.parametrize("part", ["train", "validation"])
def test_a_part_without_a_lesion(scenes, part):
    parts = ["train"] * 6 + ["validation"] * 3 + ["test"] * 3
    manifest(scenes, {f"s{n:02d}": (n, each) for n, each in enumerate(parts)})
    for number, each in enumerate(parts):
        if each == part:
            add(scenes, f"s{number:02d}", scene(number), lesion=0)
    number = parts.count(part)
    expected = f"Expected {part} images with a lesion, found none in {number} masks."
    assert check_folder(scenes, QUICK).problems == [expected]


def test_the_limit_of_the_preset_decides_which_masks_count(scenes):
    parts = ["train"] * 6 + ["validation"] * 3 + ["test"] * 3
    manifest(scenes, {f"s{n:02d}": (n, each) for n, each in enumerate(parts)})
    add(scenes, "s00", scene(0), lesion=0)
    assert check_folder(scenes, QUICK).problems == []
    problems = check_folder(scenes, QUICK.replace(limit=1)).problems
    assert problems == ["Expected train images with a lesion, found none in 1 masks."]


def test_nothing_to_crop_is_a_problem(scenes):
    assert check_folder(scenes, QUICK.replace(threshold=3)).problems == []
    problems = check_folder(scenes, QUICK.replace(threshold=3.1)).problems
    assert problems == ["No training image has background / lesion >= 3.1: lower it."]


def test_masks_that_mark_the_lesion_with_two_values(scenes):
    mask = np.asarray(Image.open(scenes / "masks" / "s05.png"))
    save(scenes / "masks" / "s05.png", mask // 255)
    (problem,) = check_folder(scenes, QUICK).problems
    assert "one value" in problem and "1 in s05.png" in problem


def test_inverted_masks_are_noted(scenes):
    for path in (scenes / "masks").iterdir():
        save(path, 255 - np.asarray(Image.open(path)))
    notes = check_folder(scenes, QUICK.replace(threshold=0)).notes
    assert notes == ["In most masks more than half is lesion. Look at them: they may be inverted."]


def test_what_lies_beside_the_pairs_is_noted(scenes):
    (scenes / "patients.csv").write_text("image,patient\n", encoding="utf-8")
    assert check_folder(scenes, QUICK).notes == [f"{scenes}: not read: patients.csv."]


def test_a_leak_is_named_and_a_manifest_mends_it(scenes, tmp_path):
    parts = {row.pair.image.stem: row.part for row in check_folder(scenes, QUICK).rows}
    test, train = (next(s for s in parts if parts[s] == part) for part in ("test", "train"))
    shutil.copy(scenes / "images" / f"{train}.png", scenes / "images" / f"{test}.png")
    report = check_folder(scenes, QUICK)
    (leak,) = report.leaks
    assert {report.rows[number].pair.image.stem for number in leak[:2]} == {train, test}
    assert leak.similarity == 1.0
    assert f"{train}.png (train)" in report.notes[0] and f"{test}.png (test)" in report.notes[0]
    assert "1 pairs, 1 of them across parts" in report.text()
    assert write_manifest(report, tmp_path / "new.csv") == 1
    (tmp_path / "new.csv").rename(scenes / "manifest.csv")
    mended = check_folder(scenes, QUICK)
    assert mended.leaks == [] and len(mended.near) == 1
    assert mended.problems == mended.notes == []


def test_a_near_duplicate_that_is_no_equal_file(scenes):
    noise = np.random.default_rng(0).integers(-3, 4, (100, 120, 3))
    save(scenes / "images" / "s07.png", (scene(3).astype(int) + noise).astype("uint8"))
    report = check_folder(scenes, QUICK)
    (near,) = report.near
    assert {report.rows[number].pair.image.stem for number in near[:2]} == {"s03", "s07"}
    assert 0.62 < near.similarity < 1


def test_parts_that_are_given_stay_in_the_manifest(scenes, tmp_path):
    parts = ["train"] * 6 + ["validation"] * 3 + ["test"] * 3
    manifest(scenes, {f"s{n:02d}": (f"g{n}", each) for n, each in enumerate(parts)})
    for source, copy in (("s00", "s11"), ("s01", "s02")):
        shutil.copy(scenes / "images" / f"{source}.png", scenes / "images" / f"{copy}.png")
    report = check_folder(scenes, QUICK)
    assert report.split == "as given" and len(report.leaks) == 1 and len(report.near) == 2
    assert write_manifest(report, tmp_path / "new.csv") == 1
    with open(tmp_path / "new.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["split"] for row in rows] == parts
    assert rows[0]["group"] != rows[11]["group"] and rows[1]["group"] == rows[2]["group"]
    with pytest.raises(FileExistsError):
        write_manifest(report, tmp_path / "new.csv")


@pytest.mark.parametrize(("images", "found"), [(1, 1), (2, 0)])
def test_of_two_patients_more_likeness_is_asked(scenes, monkeypatch, images, found):
    monkeypatch.setattr("ensemble_lab.check.SIMILAR_PATIENTS", 1.01)
    noise = np.random.default_rng(0).integers(-3, 4, (100, 120, 3))
    save(scenes / "images" / "s07.png", (scene(3).astype(int) + noise).astype("uint8"))
    groups = {n: n for n in range(12)} | ({4: 3, 8: 7} if images == 2 else {})
    manifest(scenes, {f"s{n:02d}": (f"p{group}", "") for n, group in groups.items()})
    assert len(check_folder(scenes, QUICK).near) == found


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "tkagg"])
def test_the_picture_is_drawn_whatever_the_backend(disks, tmp_path, monkeypatch, backend):
    monkeypatch.setenv("MPLBACKEND", backend)
    picture(check_folder(disks, QUICK), tmp_path / "check.png")
    assert Image.open(tmp_path / "check.png").width > 500
