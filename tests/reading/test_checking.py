import numpy as np
import pytest
from conftest import save

import ensemble_seg as es
from ensemble_seg.datasets import all_pairs
from ensemble_seg.reading import checking


def test_check_counts_ambiguous_pixels(disks):
    grey = es.read_mask(disks / "masks" / "disk_02.png") * 255
    grey[0, :3] = (15, 16, 199)
    save(disks / "masks" / "disk_02.png", grey)
    assert es.check_pairs(all_pairs(disks)) == 2


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
    grey = es.read_mask(disks / "masks" / "disk_02.png") * 255
    grey[0, :3] = (15, 16, 199)
    save(disks / "masks" / "disk_02.png", grey)
    save(disks / "masks" / "disk_19.png", grey)
    monkeypatch.setattr(checking, "PAIRS_AT_ONCE", 3)
    assert es.check_pairs(all_pairs(disks) * 2) == 4
