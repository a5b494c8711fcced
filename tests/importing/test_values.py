"""Which values are lesion; ways to store images and masks."""

import numpy as np
import pytest
from PIL import Image

from .conftest import lesion, picture, save


def masks(folder, make, suffix="png", count=6, **options):
    """Write pairs whose masks are make(0/1 array, number)."""
    for n in range(count):
        save(picture(n), folder.root / f"images/{n}.png")
        save(make(lesion(n), n), folder.root / f"masks/{n}.{suffix}", **options)


STORED = {
    "one": (lambda m, n: m, "png"),
    "other value": (lambda m, n: m * 38, "png"),
    "higher of two": (lambda m, n: m * 5 + 3, "png"),
    "16 bits": (lambda m, n: m.astype("uint16") * 65535, "png"),
    "one bit": (lambda m, n: m > 0, "png"),
    "float": (lambda m, n: m.astype("float32"), "tif"),
    "jpeg": (lambda m, n: m * 255, "jpg"),
    "gif": (lambda m, n: m * 255, "gif"),
    "bmp": (lambda m, n: m * 255, "bmp"),
    "webp": (lambda m, n: np.stack([m * 255] * 3, -1), "webp"),
    "red": (lambda m, n: m[..., None] * np.array([255, 0, 0], "uint8"), "png"),
    "alpha": (lambda m, n: np.stack([m * 255, m * 0, m * 0, m * 255], -1), "png"),
    "cut out": (lambda m, n: np.stack([m * 0 + 255] * 3 + [m * 255], -1), "png"),
}


@pytest.mark.parametrize("kind", STORED)
def test_two_values(folder, kind):
    make, suffix = STORED[kind]
    masks(folder, make, suffix, **({"lossless": True} if suffix == "webp" else {}))
    folder.read()
    for n, mask in enumerate(folder.masks()):
        assert np.array_equal(mask, lesion(n) * 255)


def test_palette(folder):
    for n in range(4):
        save(picture(n), folder.root / f"images/{n}.png")
        mask = Image.fromarray(lesion(n) * (1 + n % 2), "P")
        mask.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
        (folder.root / "masks").mkdir(exist_ok=True)
        mask.save(folder.root / f"masks/{n}.png")
    message = folder.refused()
    assert "128,0,0" in message
    assert "Indices" in message
    folder.read(lesion="1")
    assert [bool(mask.any()) for mask in folder.masks()] == [True, False, True, False]


def test_label_map_names_colours(folder):
    masks(folder, lambda m, n: m[..., None] * np.array([[250, 50, 83], [0, 9, 9]][n % 2], "uint8"))
    folder.text("labelmap.txt", "# label:color_rgb:parts:actions\ntumour:250,50,83::\n")
    assert "250,50,83 (tumour)" in folder.refused()
    report = folder.read(lesion="250,50,83")
    assert report.empty == 3


def test_instances_are_named(folder):
    def make(mask, n):
        columns = np.arange(48)
        stripes = (columns // 6).clip(0, n + 1) * (columns % 6 == 3)
        return np.tile(stripes.astype("uint8"), (40, 1))

    masks(folder, make)
    assert "--lesion 1-255" in folder.refused()


def test_smooth_edges(folder):
    masks(folder, lambda m, n: np.linspace(0, 255, 48, dtype="uint8") * np.ones((40, 1), "uint8"))
    assert "--lesion 128-255" in folder.refused()


def test_inverted(folder):
    masks(folder, lambda m, n: 255 - m * 255)
    message = folder.refused()
    assert "Inverted?" in message
    assert "--lesion 0" in message
    folder.read(lesion="0")
    assert np.array_equal(folder.masks()[2], lesion(2) * 255)


def test_a_few_are_odd(folder):
    def make(mask, n):
        ring = mask * 0
        ring[[5, 30], 5:40] = ring[5:31, [5, 39]] = 255
        return {0: 255 - mask * 255, 1: mask * 0 + 255, 2: ring}.get(n, mask * 255)

    masks(folder, make, count=9)
    message = folder.refused()
    for text in ("0.png (inverted)", "1.png (full)", "2.png (an outline only)"):
        assert text in message
    assert folder.read(odd_masks="leave-out").images == 6


def test_16_bit_images_have_one_scale(folder):
    for n in range(4):
        save(picture(n)[..., 0].astype("uint16") * (n + 1) + 100, folder.root / f"images/{n}.tif")
        save(lesion(n) * 255, folder.root / f"masks/{n}.png")
    report = folder.read(range_=(100, 1120))
    found = [np.asarray(Image.open(folder.out / row["image"])).max() for row in folder.rows()]
    assert found == sorted(found)
    assert report.images == 4


@pytest.mark.parametrize("mode", ["RGBA", "CMYK", "P", "1", "LA", "L"])
def test_images_of_all_modes(folder, mode):
    suffix = "jpg" if mode == "CMYK" else "png"
    for n in range(3):
        (folder.root / "images").mkdir(exist_ok=True)
        Image.fromarray(picture(n)).convert(mode).save(folder.root / f"images/{n}.{suffix}")
        save(lesion(n) * 255, folder.root / f"masks/{n}.png")
    folder.read()
    assert Image.open(folder.out / folder.rows()[0]["image"]).mode in ("L", "RGB")


def test_bytes_are_copied(folder):
    folder.pair("images/a.jpg", "masks/a.png").pair("images/b.png", "masks/b.png").read()
    for name in ("a.jpg", "b.png"):
        assert (folder.out / "images" / name).read_bytes() == (
            folder.root / "images" / name
        ).read_bytes()


def test_several_pages_are_refused(folder):
    folder.pair("images/a.png", "masks/a.png").pair("images/b.png", "masks/b.png")
    pages = [Image.fromarray(lesion(n) * 255) for n in range(3)]
    (folder.root / "masks/a.png").unlink()
    pages[0].save(folder.root / "masks/a.tif", save_all=True, append_images=pages[1:])
    assert "3 in the file" in folder.refused()


@pytest.mark.parametrize("upright", [True, False])
@pytest.mark.parametrize("square", [True, False])
def test_exif(folder, upright, square):
    height = 48 if square else 40
    for n in range(6):
        exif = Image.Exif()
        exif[0x0112] = (1, 6, 8, 3)[n % 4]
        save(picture(n, height), folder.root / f"images/{n}.jpg", exif=exif, quality=95)
        mask = np.zeros((height, 48), "uint8")
        mask[2:9, 3:20] = 255
        if upright:
            mask = np.rot90(mask, (0, 3, 1, 2)[n % 4])
        save(mask, folder.root / f"masks/{n}.png")
    if square:
        assert "--masks-as-stored" in folder.refused()
    folder.read(upright=upright if square else None)
    for n, mask in enumerate(folder.masks()):
        stored = np.zeros((height, 48), "uint8")
        stored[2:9, 3:20] = 255
        assert np.array_equal(mask, np.rot90(stored, (0, 3, 1, 2)[n % 4]))
