import numpy as np
import pytest
from conftest import save
from PIL import Image

import ensemble_seg as es
from ensemble_seg.datasets import all_pairs
from ensemble_seg.reading import checking


def as_jpeg(folder, *names):
    """Save masks as JPEG instead; return how many of their pixels are in 16..199."""
    greys = []
    for name in names:
        grey = es.read_mask(folder / "masks" / f"{name}.png") * 255
        (folder / "masks" / f"{name}.png").unlink()
        path = save(folder / "masks" / f"{name}.jpg", grey, quality=80)
        greys += np.asarray(Image.open(path)).ravel().tolist()
    return sum(15 < grey < 200 for grey in greys)


def test_check_counts_ambiguous_pixels(disks):
    ambiguous = as_jpeg(disks, "disk_02")
    assert ambiguous > 0
    assert es.check_pairs(all_pairs(disks)) == ambiguous


def test_check_names_the_file_that_does_not_fit(disks):
    pairs = all_pairs(disks)
    assert es.check_pairs(pairs) == 0
    save(disks / "masks" / "disk_02.png", np.zeros((10, 12), "uint8"))
    expected = r"expected the size of its image disk_02.png, 48 x 40 pixels. Found 12 x 10"
    with pytest.raises(ValueError, match=expected):
        es.check_pairs(pairs)
    save(disks / "masks" / "disk_02.png", np.full((40, 48), 100, "uint8"))
    with pytest.raises(ValueError, match=r"disk_02.png: expected a mask of two classes"):
        es.check_pairs(pairs)


def test_pairs_are_checked_once_in_blocks(disks, monkeypatch):
    ambiguous = as_jpeg(disks, "disk_02", "disk_19")
    monkeypatch.setattr(checking, "PAIRS_AT_ONCE", 3)
    assert es.check_pairs(all_pairs(disks) * 2) == ambiguous
