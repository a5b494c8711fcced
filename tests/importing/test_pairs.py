"""Which file belongs to which, whatever they are called and wherever they lie."""

import numpy as np
import pytest

from .conftest import lesion, save

WAYS = {
    "equal": ("images/{}.png", "masks/{}.png"),
    "ending": ("images/{}.jpg", "masks/{}_segmentation.png"),
    "beginning": ("images/{}.png", "masks/mask_{}.png"),
    "both": ("images/img_{}.png", "masks/mask_{}.png"),
    "image has more": ("imagesTr/{}_0000.png", "labelsTr/{}.png"),
    "no word": ("photos/{}.png", "polyps/{}.png"),
    "unknown ending": ("images/{}.png", "manual/{}_expert1.png"),
    "beside": ("{}.png", "{}_mask.png"),
    "beside in front": ("{}.png", "mask-{}.png"),
    "beside both": ("img_{}.png", "mask_{}.png"),
    "same stem": ("{}.jpg", "{}.png"),
    "anno": ("{}.bmp", "{}_anno.bmp"),
    "nested": ("images/{}.png", "masks/0/{}.png"),
    "folder an image": ("{0}/image.png", "{0}/mask.png"),
    "folder with folders": ("{0}/images/{0}.png", "{0}/masks/x1.png"),
    "kind last": ("data/{0}/{0}_Dermoscopic_Image/{0}.bmp", "data/{0}/{0}_lesion/{0}_lesion.bmp"),
    "voc": ("JPEGImages/{}.jpg", "SegmentationClassPNG/{}.png"),
    "isic": ("ISIC18_1-2_Train_Input/{}.jpg", "ISIC18_1_Train_GroundTruth/{}_segmentation.png"),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_names(folder, way):
    names = ["a", "b7", "c", "日本", "é"]
    for name in names:
        folder.pair(*(pattern.format(name) for pattern in WAYS[way]))
    folder.read()
    assert len(folder.rows()) == 5
    for mask in folder.masks():
        assert sorted(np.unique(mask)) == [0, 255]
    found = {row["source"]: mask for row, mask in zip(folder.rows(), folder.masks(), strict=True)}
    for number, name in enumerate(names, 1):
        assert np.array_equal(found[WAYS[way][0].format(name)] > 0, lesion(number) > 0)


def test_several_masks_are_united(folder):
    for n in range(5):
        more = ["benign/b ({})_mask_1.png"] * (n in (1, 3))
        folder.pair(*(p.format(n) for p in ("benign/b ({}).png", "benign/b ({})_mask.png", *more)))
    report = folder.read()
    assert report.images == 5
    assert "2 images have several masks" in report.text()


def test_instances_of_an_image(folder):
    for n in range(4):
        masks = [f"im{n}/masks/{n}{k}ab.png" for k in range(n % 3 + 1)]
        folder.pair(f"im{n}/images/im{n}.png", *masks)
    assert folder.read().images == 4


def test_two_opinions_are_refused(folder):
    for n in range(4):
        folder.pair(f"images/{n}.png", f"masks/{n}_1.png", f"masks/{n}_2.png")
    assert "--masks '*_1'" in folder.refused()
    assert folder.read(masks="*_1").images == 4


def test_two_folders_of_masks(folder):
    for n in range(20, 24):
        names = (
            f"images/{n}_training.tif",
            f"1st_manual/{n}_manual1.gif",
            f"mask/{n}_training_mask.gif",
        )
        folder.pair(*names)
    message = folder.refused()
    assert "--masks mask" in message
    assert "--masks 1st_manual" in message
    report = folder.read(masks="1st_manual")
    assert (report.images, len(report.left_out)) == (4, 1)
    assert np.array_equal(folder.masks()[0] > 0, lesion(1) > 0)


def test_what_is_no_mask_is_left_out(folder):
    for n in "abc":
        folder.pair(f"images/{n}.png", f"masks/{n}.png", f"images/{n}_superpixels.png")
    assert folder.read().images == 3


@pytest.mark.parametrize("step", [-1, 1, -7])
@pytest.mark.parametrize("names", ["{}", "img_{:03}"])
def test_shifted_numbers(folder, step, names):
    for n in range(20, 30):
        folder.pair(f"images/{names.format(n)}.png", f"masks/{names.format(n + step)}.png")
    message = folder.refused()
    assert f"numbered {abs(step)} {'lower' if step < 0 else 'higher'}" in message
    assert "remove" not in message


def test_without_a_mask(folder):
    for n in "abcdef":
        folder.pair(f"images/{n}.png", *([f"masks/{n}.png"] if n < "e" else []))
    assert "--no-mask-is-healthy" in folder.refused()
    report = folder.read(no_mask_is_healthy=True)
    assert (report.images, report.empty) == (6, 2)


def test_without_an_image(folder):
    for n in "abcd":
        folder.pair(f"images/{n}.png", f"masks/{n}.png")
    save(lesion(1) * 255, folder.root / "masks/lone.png")
    assert "masks/lone.png" in folder.refused()
    for path in (folder.root / "masks").iterdir():
        path.unlink()
    assert "datumaro" in folder.refused()


def test_parts_of_folders_and_lists(folder):
    for n in range(6):
        folder.pair(f"images/{n}.png", f"masks/{n}.png")
    folder.text("train.txt", "0\n1\n2.png\n3").text("val.txt", "images/4.png").text("test.txt", "5")
    assert folder.read().parts == {"train": 4, "validation": 1, "test": 1}


def test_equal_names_in_two_folders(folder):
    for part in ("train", "test"):
        for n in range(3):
            folder.pair(f"{part}/images/{n}.png", f"{part}/masks/{n}.png")
    assert folder.read().parts == {"train": 3, "test": 3}
    assert len({row["image"] for row in folder.rows()}) == 6


def test_a_manifest_says_it(folder):
    for n in range(4):
        folder.pair(f"x/{n}.png", f"y/{n + 1}.png")
    rows = "".join(f"x/{n}.png,y/{n + 1}.png,p{n // 2}\n" for n in range(4))
    folder.text("manifest.csv", "image,mask,patient\n" + rows)
    folder.read()
    assert folder.groups() == [2, 2]


def test_an_archive_in_itself_counts_once(folder):
    for n in range(3):
        folder.pair(f"images/{n}.png", f"masks/{n}.png", seed=n)
        folder.pair(f"again/images/{n}.png", f"again/masks/{n}.png", seed=n)
    assert folder.read().images == 3


def test_sizes_differ(folder):
    folder.pair("images/0.png", "masks/0.png").pair("images/1.png", "masks/1.png")
    save(lesion(1).T * 255, folder.root / "masks/1.png")
    assert "90" in folder.refused()


def test_two_kinds_of_images(folder):
    for n in range(3):
        for kind in ("t1", "t2"):
            folder.pair(f"B{n}/B{n}_{kind}.png", f"B{n}/B{n}_seg.png", seed=n)
    assert "--images" in folder.refused()
    assert folder.read(images="*_t1").images == 3


def test_masks_that_are_not_chosen_are_no_images(folder):
    for n in range(3):
        folder.pair(f"im{n}L.jpg", f"im{n}L_1stHO.png", f"im{n}L_2ndHO.png")
    assert "*_2ndHO" in folder.refused()
    assert folder.read(masks="*_1stHO.png").images == 3
