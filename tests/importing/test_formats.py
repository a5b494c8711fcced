"""Annotation files, volumes, the command, and that OUT is whole or absent."""

import argparse
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from ensemble_lab.importing import import_source
from ensemble_lab.importing.command import add_arguments, run

from .conftest import lesion, picture, save

SQUARE = [[5, 5], [15, 5], [15, 15], [5, 15]]
FLAT = [number for point in SQUARE for number in point]


def coco(folder, names=("lesion", "tool"), where="annotations/instances.json"):
    """Write COCO: two squares an image; the second category is RLE."""
    rle = {"size": [40, 48], "counts": [50, 5, 40 * 48 - 55]}
    for n in range(4):
        save(picture(n), folder.root / f"images/{n}.jpg")
    folder.text(where, json.dumps({
        "images": [{"id": i, "file_name": f"{i}.jpg", "height": 40, "width": 48} for i in range(4)],
        "categories": [{"id": k, "name": name} for k, name in enumerate(names)],
        "annotations": [
            {"image_id": i, "category_id": k % len(names),
             "segmentation": rle if k else [FLAT]}
            for i in range(4) for k in (0, 1)
        ],
    }))  # fmt: skip


def test_coco(folder):
    pytest.importorskip("pycocotools")
    coco(folder)
    assert "--category" in folder.refused()
    folder.read(category="lesion")
    assert folder.masks()[0][10, 10] == 255
    assert (folder.masks()[0] > 0).mean() == pytest.approx(100 / 1920, abs=0.02)


def test_coco_file_and_rle(folder):
    pytest.importorskip("pycocotools")
    coco(folder, names=("lesion",))
    import_source(folder.root / "annotations/instances.json", folder.out)
    assert folder.masks()[0][10:15, 1].all()  # runs go down the columns


def labelme(folder, labels, **more):
    for n in range(4):
        save(picture(n), folder.root / f"{n}.jpg")
        shapes = [
            {"label": label, "points": SQUARE, "shape_type": "polygon", **more} for label in labels
        ]
        content = {"shapes": shapes, "imagePath": f"{n}.jpg", "imageHeight": 40, "imageWidth": 48}
        folder.text(f"{n}.json", json.dumps(content))


def test_labelme(folder):
    labelme(folder, ["a", "b"])
    assert "--category" in folder.refused()
    folder.read(category="a")
    assert folder.masks()[0][5:16, 5:16].all()
    assert folder.masks()[0].sum() == 121 * 255


def test_yolo(folder):
    for n in range(4):
        save(picture(n), folder.root / f"train/images/{n}.jpg")
        points = "0.25 0.25 0.5 0.25 0.5 0.5 0.25 0.5"
        folder.text(f"train/labels/{n}.txt", f"0 {points}\n" if n else "")
    folder.text("data.yaml", "names: ['polyp']\n")
    report = folder.read()
    assert (report.images, report.empty, report.parts) == (4, 1, {"train": 4})
    assert folder.masks()[1][15, 18] == 255
    folder.text("train/labels/0.txt", "0 0.5 0.5 0.1 0.1\n").out = folder.root.parent / "other"
    with pytest.raises(ValueError, match="polygons"):
        folder.read()


def test_annotations_and_masks(folder):
    labelme(folder, ["lesion"])
    for n in range(4):
        save(lesion(n) * 255, folder.root / f"masks/{n}.png")
    message = folder.refused()
    assert "--masks masks" in message
    assert folder.read(masks="masks").images == 4


def volume(path, values, spacing=(1, 1, 2)):
    """Write a volume (Z, H, W)."""
    itk = pytest.importorskip("SimpleITK")
    image = itk.GetImageFromArray(values)
    image.SetSpacing(spacing)
    path.parent.mkdir(parents=True, exist_ok=True)
    itk.WriteImage(image, str(path))


VOLUMES = [
    ("imagesTr/{}_0000.nii.gz", "labelsTr/{}.nii.gz"),
    ("{}_image.nrrd", "{}_label.nrrd"),
    ("{0}/imaging.mha", "{0}/segmentation.mha"),
]


@pytest.mark.parametrize("names", VOLUMES)
def test_volumes(folder, names):
    for n in range(3):
        values = (
            np.stack([picture(30 * n + z)[..., 0] for z in range(12)]).astype("int16") * 3 - 100
        )
        mask = np.zeros(values.shape, "uint8")
        mask[4:6, 5:15, 5:15] = 1
        volume(folder.root / names[0].format(f"v{n}"), values)
        volume(folder.root / names[1].format(f"v{n}"), mask)
    report = folder.read(every=10)
    assert (report.images, report.empty, report.groups) == (12, 6, 3)
    assert "--range" in report.text()


def test_a_volume_on_another_grid(folder):
    volume(folder.root / "a_image.nrrd", np.zeros((5, 20, 20), "int16"))
    volume(folder.root / "a_label.nrrd", np.eye(20, dtype="uint8")[None].repeat(5, 0), (1, 1, 3))
    assert "grid" in folder.refused()


def test_out_is_whole_or_absent(folder, monkeypatch):
    folder.pair("images/a.png", "masks/a.png").pair("images/b.png", "masks/b.png")
    before = sorted((p, p.stat().st_mtime_ns) for p in folder.root.rglob("*"))
    folder.read()
    written = {"images", "masks", "manifest.csv", "contact_sheet.png", "report.txt"}
    assert {path.name for path in folder.out.iterdir()} == written
    with pytest.raises(FileExistsError):
        folder.read()
    assert sorted((p, p.stat().st_mtime_ns) for p in folder.root.rglob("*")) == before
    with pytest.raises(ValueError, match="lies in the source"):
        import_source(folder.root, folder.root / "new")


def test_dry_run(folder):
    folder.pair("images/a.png", "masks/a.png").pair("images/b.png", "masks/b.png").read(
        dry_run=True
    )
    names = {path.name for path in folder.out.parent.iterdir()}
    assert names == {"source", "out.contact_sheet.png", "out.report.txt"}
    assert Image.open(folder.out.parent / "out.contact_sheet.png").width > 400


def test_the_command(folder, capsys):
    folder.pair("images/a.png", "masks/a.png", value=1).pair("images/b.png", "masks/b.png", value=2)
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    run(
        parser.parse_args([str(folder.root), str(folder.out), "--lesion", "1-2", "--group", "none"])
    )
    assert "Lesion       1-2" in capsys.readouterr().out


def test_help_starts_without_numpy():
    code = "import ensemble_lab.importing.command, sys; print('numpy' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
        == "False\n"
    )
