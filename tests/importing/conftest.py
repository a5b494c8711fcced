"""Small sources of every kind, drawn at random, and a shortcut to import them."""

import csv

import numpy as np
import pytest
from PIL import Image

from ensemble_lab.importing import import_source


def picture(seed, h=40, w=48):
    """A random texture (H, W, 3) uint8."""
    small = np.random.default_rng(seed).integers(0, 255, (h // 8 + 1, w // 8 + 1, 3), "uint8")
    return np.asarray(Image.fromarray(small).resize((w, h), Image.Resampling.BICUBIC))


def lesion(seed, h=40, w=48):
    """A rectangle (H, W) uint8 of 0 and 1."""
    y, x = np.random.default_rng(1000 + seed).integers(4, (h - 16, w - 16))
    mask = np.zeros((h, w), "uint8")
    mask[y : y + 8, x : x + 10] = 1
    return mask


def save(array, path, **options):
    """Write an array as an image file; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(array)).save(path, **options)


class Folder:
    """A source in the making."""

    def __init__(self, root):
        self.root, self.out, self.count = root / "source", root / "out", 0
        self.root.mkdir()

    def pair(self, image, *masks, value=255, seed=None, **options):
        """Write an image and its masks under these names."""
        self.count += 1
        seed = self.count if seed is None else seed
        save(picture(seed), self.root / image, **options)
        for number, mask in enumerate(masks):
            save(np.roll(lesion(seed), 12 * number, 1) * value, self.root / mask)
        return self

    def text(self, name, content):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return self

    def read(self, **options):
        return import_source(self.root, self.out, **options)

    def refused(self, **options):
        """Import, and return the message of the refusal; nothing may be left behind."""
        with pytest.raises(ValueError) as error:
            self.read(**options)
        assert [path.name for path in self.out.parent.iterdir()] == ["source"]
        return str(error.value)

    def rows(self):
        with (self.out / "manifest.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def masks(self):
        return [np.asarray(Image.open(self.out / row["mask"])) for row in self.rows()]

    def groups(self):
        names = [row["group"] for row in self.rows()]
        return sorted(names.count(name) for name in set(names))


@pytest.fixture
def folder(tmp_path):
    """An empty source."""
    return Folder(tmp_path)
