"""Every kind of bad input, with the exact message: data/BAD_INPUT.md is made from this file.

python tests/test_bad_input.py writes that page again.
"""

import errno
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import save
from PIL import Image
from test_downloads import FAULTS

import ensemble_seg as es
from ensemble_seg.common.files import whole
from ensemble_seg.datasets import all_pairs
from ensemble_seg.runs import KEPT

PAGE = Path(__file__).resolve().parents[1] / "data" / "BAD_INPUT.md"
PREPARE = {}
ERRORS, READ = {}, {}
RGB = np.random.default_rng(0).integers(0, 256, (40, 48, 3), "uint8")
LESION = np.zeros((40, 48), "uint8")
LESION[10:30, 12:30] = 1
ADVICE = "Replace the file or leave it out."
TWO_CLASSES = (
    "expected a mask of two classes, with values 0 and 1 or 0 and 255 (greys near them in JPEG "
    "only). Found"
)
CHOOSE = "Or choose which values are lesion: --lesion-values {}, say (lesion_values in Python)."
ONE_MASK = "Save one mask for the lesion class, background 0 and lesion 255."


def refused(kind, message):
    """Register what must end with this message; {folder} is the data set."""

    def register(spoil):
        PREPARE[kind], ERRORS[kind] = spoil, message
        return spoil

    return register


def accepted(kind, rule):
    """Register what is read, by which rule; the function asserts that it is."""

    def register(spoil):
        PREPARE[kind], READ[kind] = spoil, rule
        return spoil

    return register


@pytest.mark.parametrize("kind", ERRORS)
def test_one_message(kind, disks, monkeypatch):
    with pytest.raises((ValueError, OSError)) as caught:
        PREPARE[kind](disks, monkeypatch)
        es.load_dataset(disks)
        es.check_pairs(all_pairs(disks))
    assert str(caught.value) == ERRORS[kind].format(folder=disks)


@pytest.mark.parametrize("kind", READ)
def test_read_by_rule(kind, disks, monkeypatch):
    PREPARE[kind](disks, monkeypatch)
    es.load_dataset(disks)
    es.check_pairs(all_pairs(disks))


def test_there_are_enough_and_the_page_is_up_to_date():
    assert len(ERRORS) + len(READ) + len(FAULTS) >= 30
    assert PAGE.read_text(encoding="utf-8") == page()


def image(folder, array=RGB, name="disk_03.png", **options):
    (folder / "images" / "disk_03.png").unlink()
    return save(folder / "images" / name, array, **options)


def mask(folder, array, name="disk_03.png", **options):
    (folder / "masks" / "disk_03.png").unlink()
    return save(folder / "masks" / name, np.asarray(array, "uint8"), **options)


def cut(path, share):
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


# Files that break off or are something else


@refused(
    "truncated JPEG",
    f"{{folder}}/images/disk_03.jpg: not an image that can be read (it breaks off). {ADVICE}",
)
def _(folder, patch):
    path = image(folder, np.kron(RGB, np.ones((20, 20, 1), "uint8")), "disk_03.jpg")
    path.write_bytes(path.read_bytes()[:50_000])


@refused(
    "truncated PNG",
    f"{{folder}}/images/disk_03.png: not an image that can be read (it breaks off). {ADVICE}",
)
def _(folder, patch):
    cut(image(folder), 0.5)


@refused(
    "truncated TIFF",
    f"{{folder}}/images/disk_03.tif: not an image that can be read (it breaks off). {ADVICE}",
)
def _(folder, patch):
    cut(image(folder, name="disk_03.tif"), 0.5)


@refused(
    "file of 0 bytes",
    "{folder}/images/disk_03.png: an empty file (0 bytes). Replace it or leave it out.",
)
def _(folder, patch):
    image(folder).write_bytes(b"")


@refused(
    "text named .jpg",
    "{folder}/images/disk_03.jpg: not an image that can be read (its content is of no known image "
    f"format). {ADVICE}",
)
def _(folder, patch):
    image(folder, name="disk_03.jpg").write_text("not an image")


@refused(
    "link to itself",
    "{folder}/images/disk_03.png: a link that leads nowhere or in a circle.",
)
def _(folder, patch):
    path = folder / "images" / "disk_03.png"
    path.unlink()
    path.symlink_to(path)


@refused(
    "animated GIF under another suffix",
    "{folder}/images/disk_03.png: expected one image, found 2 in the file (GIF). Save the one that "
    "is meant as PNG.",
)
def _(folder, patch):
    more = [Image.fromarray(255 - RGB)]
    image(folder, format="GIF", save_all=True, append_images=more)


@refused(
    "TIFF of several pages",
    "{folder}/images/disk_03.tif: expected one image, found 2 in the file (TIFF). Save the one "
    "that is meant as PNG.",
)
def _(folder, patch):
    more = [Image.fromarray(255 - RGB)]
    image(folder, name="disk_03.tif", save_all=True, append_images=more)


@refused(
    "float TIFF with NaN",
    "{folder}/images/disk_03.tif: expected whole numbers 0..65535, found float32 with 2 NaN. Save "
    "the image with 8 or 16 bits a channel.",
)
def _(folder, patch):
    values = LESION.astype("float32")
    values[0, :2] = np.nan
    image(folder, values, "disk_03.tif")


@refused(
    "DICOM without pydicom",
    "{folder}/images/disk_03.dcm: reading DICOM needs pydicom, which is not installed. Run pip "
    "install pydicom, or save the image as PNG.",
)
def _(folder, patch):
    (folder / "images" / "disk_03.png").rename(folder / "images" / "disk_03.dcm")
    patch.setitem(sys.modules, "pydicom", None)


# Kinds of images


@accepted("RGBA image", "alpha is dropped")
def _(folder, patch):
    path = image(folder, np.dstack([RGB, RGB[..., 0]]))
    np.testing.assert_array_equal(es.read_image(path), RGB)


@accepted("grey image", "three equal channels")
def _(folder, patch):
    path = image(folder, RGB[..., 0])
    np.testing.assert_array_equal(es.read_image(path), np.stack([RGB[..., 0]] * 3, axis=-1))


@accepted("palette image", "its colours")
def _(folder, patch):
    path = image(folder)
    picture = Image.fromarray(LESION).convert("P")
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.save(path)
    assert es.read_image(path)[0, 0].tolist() == [10, 20, 30]
    assert es.read_image(path)[10, 12].tolist() == [200, 100, 50]


@accepted("CMYK JPEG", "turned into RGB")
def _(folder, patch):
    path = image(folder, name="disk_03.jpg")
    Image.new("CMYK", (48, 40), (0, 255, 255, 0)).save(path)
    np.testing.assert_allclose(es.read_image(path)[20, 20], [255, 0, 0], atol=6)


@accepted("16-bit image", "the upper 8 bits, where the values fill a quarter of the 16")
def _(folder, patch):
    path = image(folder, RGB[..., 0].astype("uint16") * 256 + 99)
    np.testing.assert_array_equal(es.read_image(path)[..., 1], RGB[..., 0])


@accepted("image with an EXIF orientation, mask upright", "turned upright")
def _(folder, patch):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = image(folder, np.rot90(RGB), exif=exif)
    np.testing.assert_array_equal(es.read_image(path), RGB)


@refused(
    "image with an EXIF orientation, mask as stored",
    "{folder}/masks/disk_03.png: expected the size of its image disk_03.png, 40 x 48 pixels. Found "
    "48 x 40 pixels. The image is turned by its EXIF orientation 6: the mask must be turned as "
    "well.",
)
def _(folder, patch):
    exif = Image.Exif()
    exif[0x0112] = 6
    image(folder, exif=exif)


# Kinds of masks


@accepted("mask of 0 and 1", "as it is")
def _(folder, patch):
    for path in (folder / "masks").iterdir():
        save(path, np.asarray(Image.open(path)) // 255)
    np.testing.assert_array_equal(es.read_mask(mask(folder, LESION)), LESION)


@accepted("mask of 0 and 255", "255 is lesion")
def _(folder, patch):
    np.testing.assert_array_equal(es.read_mask(mask(folder, LESION * 255)), LESION)


@refused(
    "mask of 0, 254 and 255",
    f"{{folder}}/masks/disk_03.png: {TWO_CLASSES} 3 values, most often 0, 255, 254. {ONE_MASK} "
    f"{CHOOSE.format(255)}",
)
def _(folder, patch):
    values = LESION * 255
    values[15, 15] = 254
    mask(folder, values)


@accepted("JPEG mask with greys", "lesion above 127; pixels in 16..199 are counted")
def _(folder, patch):
    path = mask(folder, LESION * 255, "disk_03.jpg", quality=90)
    assert len(np.unique(np.asarray(Image.open(path)))) > 2
    assert (es.read_mask(path) != LESION).mean() < 0.01


@accepted("16-bit mask of 0 and 65535", "65535 is lesion")
def _(folder, patch):
    path = folder / "masks" / "disk_03.png"
    Image.fromarray(LESION.astype("uint16") * 65535).save(path)
    np.testing.assert_array_equal(es.read_mask(path), LESION)


@accepted("mask that is 255 everywhere", "all lesion; the sampling method leaves it out")
def _(folder, patch):
    full = es.read_mask(mask(folder, np.full((40, 48), 255)))
    assert full.all()
    assert es.imbalance_ratio(full) == 0


@accepted("mask that is 0 everywhere", "no lesion; the sampling method leaves it out")
def _(folder, patch):
    assert es.imbalance_ratio(es.read_mask(mask(folder, np.zeros((40, 48))))) == np.inf


@refused(
    "mask of three classes",
    f"{{folder}}/masks/disk_03.png: {TWO_CLASSES} 3 values, most often 0, 1, 2. {ONE_MASK} "
    f"{CHOOSE.format(1)}",
)
def _(folder, patch):
    values = LESION.copy()
    values[12, 12] = 2
    mask(folder, values)


@refused(
    "mask with a third grey",
    f"{{folder}}/masks/disk_03.png: {TWO_CLASSES} 3 values, most often 0, 255, 128. {ONE_MASK} "
    f"{CHOOSE.format(255)}",
)
def _(folder, patch):
    values = LESION * 255
    values[0, 0] = 128
    mask(folder, values)


@refused(
    "mask with colours",
    f"{{folder}}/masks/disk_03.png: expected a grey mask, found colours. {ONE_MASK}",
)
def _(folder, patch):
    mask(folder, LESION[..., None] * np.array([255, 0, 0]))


@refused(
    "mask larger than its image",
    "{folder}/masks/disk_03.png: expected the size of its image disk_03.png, 48 x 40 pixels. Found "
    "96 x 80 pixels.",
)
def _(folder, patch):
    mask(folder, np.kron(LESION, np.ones((2, 2))) * 255)


# Partners, groups, splits


@refused(
    "image without a mask",
    "{folder}/images/disk_03.png: no mask 'disk_03.*' in {folder}/masks. Add it, or remove the "
    "file.",
)
def _(folder, patch):
    (folder / "masks" / "disk_03.png").unlink()


@refused(
    "mask without an image, three times",
    "{folder}/masks/disk_03.png: no image 'disk_03.*' in {folder}/images. Add it, or remove the "
    "file. (2 more: python -m ensemble_seg check {folder} lists them.)",
)
def _(folder, patch):
    for number in (3, 4, 5):
        (folder / "images" / f"disk_{number:02d}.png").unlink()


@refused(
    "two files of one stem",
    "{folder}/images/disk_03.png: has the stem of disk_03.bmp, so it is not clear which one is "
    "meant. Keep one of them.",
)
def _(folder, patch):
    save(folder / "images" / "disk_03.bmp", RGB)


@refused(
    "empty folder",
    "{folder}/images: expected image files (.jpg, .jpeg, .jfif, .png, .tif, .tiff, .bmp, .gif, "
    ".webp, .dcm), found none. A data set has two folders, images/ and masks/, with files of the "
    "same stem.",
)
def _(folder, patch):
    for kind in ("images", "masks"):
        for file in (folder / kind).iterdir():
            file.unlink()
    (folder / "masks").rmdir()
    save(folder / "masks" / "disk_03.png", LESION)


def manifest(folder, rows, columns="image,mask,group,split"):
    (folder / "manifest.csv").write_text("\n".join([columns, *rows]), encoding="utf-8")


def row(number, group="", split="", image=None):
    name = f"disk_{number:02d}.png"
    return f"images/{image or name},masks/{name},{group},{split}"


@refused(
    "manifest without its columns",
    "{folder}/manifest.csv: expected rows with columns image and mask, and if you like group and "
    "split. Found 1 rows with columns image, truth.",
)
def _(folder, patch):
    manifest(folder, ["images/disk_00.png,masks/disk_00.png"], "image,truth")


@refused(
    "manifest that names a missing file",
    "{folder}/manifest.csv, line 3: no image file 'images/gone.png'.",
)
def _(folder, patch):
    manifest(folder, [row(0), row(1, image="gone.png")])


@refused(
    "manifest with a split in some rows",
    "{folder}/manifest.csv: 1 of 3 rows have no split. Give one to each row, or to none.",
)
def _(folder, patch):
    manifest(folder, [row(0, split="train"), row(1, split="test"), row(2)])


@refused(
    "manifest with an unknown split",
    "{folder}/manifest.csv, line 2: expected a split of train, training, validation, valid, val, "
    "test, testing, found 'holdout'.",
)
def _(folder, patch):
    manifest(folder, [row(0, split="holdout")])


@refused(
    "the same image in two splits",
    "{folder}/manifest.csv: image 'images/disk_00.png' appears in 2 rows. Keep one. (1 more: "
    "python -m ensemble_seg check {folder} lists them.)",
)
def _(folder, patch):
    manifest(folder, [row(0, split="train"), row(0, split="test"), row(1, split="val")])


@refused(
    "one group in two splits",
    "{folder}/images/disk_01.png: its group 'patient 7' appears in train and in test, so the test "
    "would not be on unseen cases. Keep each group in one part.",
)
def _(folder, patch):
    manifest(
        folder, [row(0, "patient 7", "train"), row(1, "patient 7", "test"), row(2, "b", "val")]
    )


@refused(
    "list with an unknown image",
    "{folder}/test.txt: no image 'disk_99'.",
)
def _(folder, patch):
    stems = [f"disk_{number:02d}" for number in range(20)]
    (folder / "train.txt").write_text("\n".join(stems[:15]))
    (folder / "test.txt").write_text("\n".join([*stems[15:], "disk_99"]))


@refused(
    "lists that leave images out",
    "{folder}: 18 of 20 images appear in none of train.txt, test.txt: disk_02.png, disk_03.png, "
    "disk_04.png ... Add or remove them.",
)
def _(folder, patch):
    (folder / "train.txt").write_text("disk_00\n")
    (folder / "test.txt").write_text("disk_01\n")


@refused(
    "too few groups to split",
    "Expected at least 3 groups of images for train, validation and test. Received: 2. Add images, "
    "or groups in manifest.csv.",
)
def _(folder, patch):
    manifest(folder, [row(n, f"patient {n % 2}") for n in range(20)])


# Folders and disks


@accepted("names with blanks, umlauts and other scripts", "as any other")
def _(folder, patch):
    for kind in ("images", "masks"):
        file = folder / kind / "disk_03.png"
        file.rename(file.with_name("Läsion Nr. 3 – 病变.png"))
    assert "Läsion Nr. 3 – 病变" in {pair.group for pair in all_pairs(folder)}


@accepted("10,000 files in a folder", "listed once, in order")
def _(folder, patch):
    for kind in ("images", "masks"):
        for number in range(20, 10_000):
            (folder / kind / f"disk_{number:05d}.png").symlink_to(folder / kind / "disk_00.png")
    assert len(all_pairs(folder)) == 10_000
    for kind in ("images", "masks"):
        for number in range(100, 10_000):
            (folder / kind / f"disk_{number:05d}.png").unlink()


@refused(
    "run folder that cannot be written",
    "{folder}/images/disk_00.png/run/config.json: cannot be written (Not a directory). Change the "
    "permissions, or name another folder.",
)
def _(folder, patch):
    with whole(folder / "images" / "disk_00.png" / "run" / "config.json") as file:
        file.touch()


@refused(
    "disk full while a run is written",
    "{folder}/run/history.csv: no space left on the disk. What was trained so far is kept, and the "
    "same command goes on from there. Free some space and run the same command again, or name "
    "another folder.",
)
def _(folder, patch):
    with whole(folder / "run" / "history.csv", KEPT) as file:
        file.touch()
        raise OSError(errno.ENOSPC, "No space left on device")


@refused(
    "disk too small for the cache",
    "{folder}: the cache needs 111.0 MB of free disk, found 1.0 MB. Free some space, or name "
    "another folder.",
)
def _(folder, patch):
    patch.setattr("shutil.disk_usage", lambda path: type("Disk", (), {"free": 1_000_000}))
    preset = es.preset("quick").replace(size=1408)
    es.load_dataset(folder).train.to_tf(preset, cache=folder)


def page() -> str:
    """Return data/BAD_INPUT.md."""
    parts = [
        "# Bad input",
        "Made by `python tests/test_bad_input.py`; the tests provoke each case and compare the "
        "whole message. `{folder}` stands for a data folder, other words in braces for what "
        "differs from run to run. A command prints the message and ends with exit code 1; nothing "
        "is trained or half written before.",
        "## Refused, with this message",
        table("what is wrong", "message", ERRORS),
        "## Read, by this rule",
        table("what is unusual", "how it is read", READ),
        "## Downloads and archives",
        table("what goes wrong", "message", {kind: timeless(text) for kind, text in FAULTS}),
    ]
    return "\n\n".join(parts) + "\n"


def timeless(message: str) -> str:
    """Return a message without what depends on the test's own archives and server."""
    message = re.sub(r"https?://127.0.0.1:{port}", "https://SERVER", message)
    message = re.sub(r"[0-9a-f]{64}", "{found}", message.replace("127.0.0.1", "SERVER"))
    return re.sub(r"(expected a file of|has one of|ended after) \d+", r"\1 {size}", message)


def table(first: str, second: str, rows: dict[str, str]) -> str:
    """Return a Markdown table."""
    lines = [f"| {first} | {second} |", "|---|---|"]
    escaped = (
        (kind, text.replace("|", "\\|").replace("\n", "<br>")) for kind, text in rows.items()
    )
    return "\n".join([*lines, *(f"| {kind} | {text} |" for kind, text in escaped)])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
