import csv
import shutil

import numpy as np
import pytest
from conftest import save
from PIL import Image
from test_duplicates import scene

import ensemble_seg as es
from ensemble_seg.datasets import all_pairs
from ensemble_seg.datasets.layouts import find_pairs
from ensemble_seg.datasets.splits import complete_parts
from ensemble_seg.inspection.inspecting import inspect_dataset, write_manifest
from ensemble_seg.inspection.picture import picture
from ensemble_seg.inspection.report import table


@pytest.fixture
def scenes(tmp_path):
    """A data set of 12 unlike images of 100 x 120 pixels, a quarter of each mask is lesion."""
    for number in range(12):
        add(tmp_path / "scenes", f"s{number:02d}", scene(number, 100, 120))
    return tmp_path / "scenes"


def add(folder, name, image, lesion=50, suffix=".png"):
    mask = np.zeros(image.shape[:2], "uint8")
    mask[:lesion, : image.shape[1] // 2] = 255
    save(folder / "images" / f"{name}{suffix}", image)
    save(folder / "masks" / f"{name}.png", mask)


def manifest(folder, splits):
    lines = ["image,mask,group,split"]
    for name, (group, split) in splits.items():
        lines.append(f"images/{name}.png,masks/{name}.png,{group},{split}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")


def with_text(messages, *texts):
    return [message for message in messages if all(text in message for text in texts)]


def test_sound_disks(disks):
    found = inspect_dataset(disks)
    masks = [np.asarray(Image.open(pair.mask)) > 0 for pair in all_pairs(disks)]
    fractions = [mask.mean() for mask in masks]
    assert found.is_trainable and found.problems == ()
    assert sorted(found.fractions()) == pytest.approx(sorted(fractions))
    kept = sum(0 < fraction <= 0.25 for fraction in fractions)
    assert sum(record.kept for record in found.records) == kept
    assert found.hash == es.load_dataset(disks).hash
    assert with_text(found.warnings, "1 masks are empty")
    text = str(found)
    assert "20: 14 train, 2 validation, 4 test (drawn at random by group, seed 0)" in text
    assert "48 x 40, all" in text and "PNG RGB (20)" in text
    assert "0/255 (19), only 0 (1)" in text and found.hash[:12] in text
    assert text.endswith("\nTraining is possible.")


def test_every_planted_fault_is_reported(scenes):
    images, masks = scenes / "images", scenes / "masks"
    add(scenes, "cut", scene(50), suffix=".jpg")
    content = (images / "cut.jpg").read_bytes()
    (images / "cut.jpg").write_bytes(content[: len(content) // 2])
    (images / "s01.png").write_bytes(b"")
    (images / "s02.png").write_text("no image")
    three = np.repeat(np.array([0, 100, 200], "uint8"), 4000).reshape(100, 120)
    save(masks / "s03.png", three)
    save(masks / "s04.png", np.full((50, 60), 255, "uint8"))
    (images / "s05.png").unlink()
    (images / "s06.png").unlink()
    (images / "s06.png").symlink_to(images / "s06.png")
    found = inspect_dataset(scenes)
    expected = {
        "cut.jpg": "not an image that can be read",
        "s01.png": "an empty file",
        "s02.png": "no known image format",
        "s03.png": "expected a mask of two classes",
        "s04.png": "expected the size of its image s04.png, 120 x 100 pixels. Found 60 x 50",
        "s05.png": "no image 's05.*'",
        "s06.png": "a link that leads nowhere or in a circle",
    }
    for name, text in expected.items():
        assert len(with_text(found.problems, name, text)) == 1, (name, found.problems)
    assert len(found.problems) == 7 and not found.is_trainable and found.hash == ""
    assert str(found).endswith("Training is impossible: 7 problems.")
    assert sum(record.thumb is not None for record in found.records) == 8


def test_warnings_do_not_make_training_impossible(scenes):
    save(scenes / "masks" / "s01.png", np.zeros((100, 120), "uint8"))
    save(scenes / "masks" / "s02.png", np.full((100, 120), 255, "uint8"))
    (scenes / "masks" / "s03.png").unlink()
    disk = np.hypot(*np.mgrid[-50:50, -60:60]) < 30
    path = save(scenes / "masks" / "s03.jpg", disk.astype("uint8") * 255, quality=60)
    greys = np.asarray(Image.open(path))
    ambiguous = ((greys > 15) & (greys < 200)).sum()
    assert ambiguous > 0
    save(scenes / "images" / "s04.png", scene(4, 100, 120)[..., 0])
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(scene(5, 100, 120)).save(scenes / "images" / "s05.png", exif=exif)
    add(scenes, "s12", scene(12, 90, 80))
    found = inspect_dataset(scenes)
    assert found.is_trainable and found.problems == ()
    for text in (
        "1 masks are empty",
        "1 masks are full",
        "1 images have an EXIF orientation",
        f"1 masks have {ambiguous} ambiguous pixels",
        "turned into RGB: 1 PNG L",
        "2 image sizes",
    ):
        assert len(with_text(found.warnings, text)) == 1, (text, found.warnings)
    assert "full masks        1" in table(found)
    assert "80 x 90 to 120 x 100, median 120 x 100, 2 different" in table(found)


def official_split(scenes):
    shutil.copy(scenes / "images" / "s00.png", scenes / "images" / "s11.png")
    changed = np.roll(scene(1, 100, 120), 3, axis=1) * 0.8
    save(scenes / "images" / "s10.png", changed.astype("uint8"))
    save(scenes / "images" / "s03.png", (scene(2, 100, 120) * 0.9).astype("uint8"))
    parts = ["train"] * 8 + ["validation"] * 2 + ["test"] * 2
    return {f"s{number:02d}": (number, part) for number, part in enumerate(parts)}


def test_leaks_across_official_parts_are_named_first(scenes):
    manifest(scenes, official_split(scenes))
    found = inspect_dataset(scenes)
    assert found.is_trainable
    assert [{found.records[n].pair.image.stem for n in same} for same in found.exact] == [
        {"s00", "s11"}
    ]
    near = [{found.records[n].pair.image.stem for n in edge[:2]} for edge in found.near]
    assert near == [{"s01", "s10"}, {"s02", "s03"}]
    assert found.leaks == [found.near[0]]
    first, second, third, fourth = found.warnings[:4]
    assert first.startswith("A leak: 1 near and 1 exact duplicates") and "official" in first
    assert second.startswith("s00.png (train) and s11.png (test): the same file")
    assert third.startswith("s01.png (train) and s10.png (test): a leak")
    assert fourth.startswith("s02.png (train) and s03.png (train): near duplicates, similarity")


def test_manifest_keeps_official_parts(scenes, tmp_path):
    manifest(scenes, official_split(scenes))
    assert write_manifest(inspect_dataset(scenes), tmp_path / "new.csv") == 1
    shutil.copy(tmp_path / "new.csv", scenes / "manifest.csv")
    again = inspect_dataset(scenes)
    assert again.is_trainable and len(again.leaks) == 1
    assert {record.pair.image.stem for record in again.records if record.pair.group == "2"} == {
        "s02",
        "s03",
    }


def test_manifest_mends_a_random_split(scenes, tmp_path):
    official_split(scenes)
    seeds = range(30)
    leaky = [seed for seed in seeds if _torn(scenes, seed)]
    assert leaky
    found = inspect_dataset(scenes, seed=leaky[0])
    assert "--write-manifest" in found.warnings[0]
    assert write_manifest(found, tmp_path / "new.csv") == 3
    with pytest.raises(FileExistsError, match=r"new.csv: there is such a file"):
        write_manifest(found, tmp_path / "new.csv")
    with open(tmp_path / "new.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12 and set(rows[0]) == {"image", "mask", "group"}
    shutil.copy(tmp_path / "new.csv", scenes / "manifest.csv")
    assert not any(_torn(scenes, seed) for seed in seeds)
    assert inspect_dataset(scenes, seed=leaky[0]).leaks == []


def _torn(folder, seed):
    parts = complete_parts(find_pairs(folder).parts, seed)
    where = {pair.image.stem: part for part, pairs in parts.items() for pair in pairs}
    doubles = [("s00", "s11"), ("s01", "s10"), ("s02", "s03")]
    return any(where[first] != where[second] for first, second in doubles)


def test_a_group_in_two_parts_is_a_problem(scenes):
    rows = {f"s{n:02d}": (n, "train" if n < 9 else "test") for n in range(12)}
    manifest(scenes, rows | {"s10": (3, "test")})
    found = inspect_dataset(scenes)
    assert not found.is_trainable
    assert len(with_text(found.problems, "group '3' appears in train and in test")) == 1


def test_near_images_of_one_group_are_counted_only(scenes):
    names = official_split(scenes)
    lines = ["image,mask,group"]
    lines += [f"images/{n}.png,masks/{n}.png,{'p' if n in ('s02', 's03') else n}" for n in names]
    (scenes / "manifest.csv").write_text("\n".join(lines) + "\n")
    found = inspect_dataset(scenes)
    assert "2 pairs" in table(found) and "1 within a group" in table(found)
    assert not with_text(found.warnings, "s02.png", "s03.png")


def test_training_needs_a_lesion_and_enough_images(scenes, tmp_path):
    for file in (scenes / "masks").iterdir():
        save(file, np.zeros((100, 120), "uint8"))
    problems = inspect_dataset(scenes).problems
    assert len(problems) == 1 and "Expected training images with a lesion. Found 8" in problems[0]
    add(tmp_path / "two", "a", scene(0))
    add(tmp_path / "two", "b", scene(1))
    (problem,) = inspect_dataset(tmp_path / "two").problems
    assert problem.startswith("Expected at least 3 groups of images")


def test_empty_folder_and_unknown_name(tmp_path):
    found = inspect_dataset(tmp_path)
    assert not found.is_trainable and found.records == ()
    assert "Training is impossible" in str(found)
    with pytest.raises(ValueError, match="no_such_set"):
        inspect_dataset("no_such_set")
    with pytest.raises(FileNotFoundError, match="kvasir-seg"):
        inspect_dataset("kvasir-seg", tmp_path)


def test_long_lists_are_shortened(scenes):
    for file in (scenes / "images").iterdir():
        file.write_bytes(b"")
    found = inspect_dataset(scenes)
    assert len(found.problems) == 12
    assert str(found).count("an empty file") == 10 and "  ... and 2 more" in str(found)


def test_picture_and_progress(scenes, tmp_path):
    manifest(scenes, official_split(scenes))
    steps = []
    found = inspect_dataset(scenes, progress=lambda items: steps.extend(items) or steps)
    assert len(steps) == 12
    picture(found, tmp_path / "new" / "check.png")
    with Image.open(tmp_path / "new" / "check.png") as drawn:
        assert drawn.width == 1100
    picture(inspect_dataset(_empty(tmp_path)), tmp_path / "empty.png")


def _empty(tmp_path):
    (tmp_path / "nothing").mkdir()
    return tmp_path / "nothing"


def test_kvasir_leaks_are_found_and_named(kvasir):
    found = inspect_dataset(kvasir)
    names = {
        tuple(sorted(found.records[number].pair.image.name for number in near[:2]))
        for near in found.near
    }
    assert found.is_trainable
    # Seen by eye: a frame given twice, one with and without its screen, a camera that moved.
    assert {
        ("t0510.jpg", "t0593.jpg"),
        ("v0061.jpg", "v0069.jpg"),
        ("t0448.jpg", "v0075.jpg"),
    } <= names
    assert 15 <= len(names) <= 21
    assert with_text(found.warnings, "t0510.jpg", "t0593.jpg", "a leak") or not found.leaks


def test_the_seed_does_not_change_what_is_near(scenes):
    official_split(scenes)
    named = []
    for seed in range(3):
        found = inspect_dataset(scenes, seed=seed)
        named.append(
            {
                (*(found.records[number].pair.image.stem for number in near[:2]), near.similarity)
                for near in found.near
            }
        )
    assert named[0] == named[1] == named[2] and len(named[0]) == 2


def test_one_mask_for_every_row_and_images_of_one_colour(scenes):
    (scenes / "manifest.csv").write_text(
        "image,mask\n" + "".join(f"images/s{n:02d}.png,masks/s00.png\n" for n in range(6))
    )
    save(scenes / "images" / "s03.png", np.full((100, 120, 3), (9, 90, 200), "uint8"))
    found = inspect_dataset(scenes)
    assert with_text(found.warnings, "manifest.csv: masks of several images, up to 6")
    (message,) = with_text(found.warnings, "1 images have one colour all over. Look at them.")
    assert message.endswith("The first is s03.png.")
    assert found.is_trainable
