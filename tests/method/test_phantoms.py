import csv

import numpy as np
import pytest
from conftest import ROOT

import ensemble_seg as es
from ensemble_seg.phantoms import lesion_fractions

COMMITTED = ROOT / "data" / "phantoms"


@pytest.mark.parametrize("fraction", [0.003, 0.01, 0.1, 0.33, 0.7])
def test_the_dial_sets_the_lesion_fraction(fraction):
    for seed in range(5):
        image, mask = es.draw_phantom(np.random.default_rng(seed), fraction)
        assert image.shape == (128, 128, 3)
        assert image.dtype == mask.dtype == np.uint8
        assert set(np.unique(mask)) == {0, 1}
        assert mask.mean() == pytest.approx(fraction, rel=0.02)


@pytest.mark.parametrize("fraction", [0.9, -0.1, 0.001])
def test_bad_fraction(fraction):
    with pytest.raises(ValueError, match=f"`fraction`. Expected 0, or .*fraction={fraction}"):
        es.draw_phantom(np.random.default_rng(0), fraction)


def test_fractions_are_spread_as_in_kvasir_seg():
    fractions = lesion_fractions(2400, np.random.default_rng(1))
    lesions = fractions[fractions > 0]
    assert len(fractions) - len(lesions) == 60
    spread = np.percentile(lesions, [10, 50, 90])
    np.testing.assert_allclose(spread, [0.033, 0.114, 0.319], rtol=0.05)
    assert np.mean(lesions > 0.25) == pytest.approx(0.19, abs=0.01)


def test_the_committed_set():
    rows = list(csv.DictReader((COMMITTED / "manifest.csv").read_text("utf-8").splitlines()))
    masks = [es.read_mask(COMMITTED / row["mask"]) for row in rows]
    assert len(rows) == 240
    assert len({row["group"] for row in rows}) == 120
    means = [mask.mean() for mask in masks]
    np.testing.assert_allclose(means, [float(row["fraction"]) for row in rows], atol=1e-4)
    assert sum(mask.mean() == 0 for mask in masks) == 6
    assert sum(file.stat().st_size for file in COMMITTED.rglob("*.*")) < 5e6


def test_a_picture_does_not_depend_on_how_many_are_drawn(tmp_path):
    few = es.write_phantoms(tmp_path / "few", count=2)
    more = es.write_phantoms(tmp_path / "more", count=3)
    for file in sorted((few / "images").iterdir()):
        assert file.read_bytes() == (more / "images" / file.name).read_bytes()
    other = es.write_phantoms(tmp_path / "other", count=2, seed=1)
    name = "images/phantom_000.jpg"
    assert (few / name).read_bytes() != (other / name).read_bytes()


def test_nothing_is_overwritten_and_nothing_half_written(tmp_path, monkeypatch):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "note.txt").write_text("keep me")
    with pytest.raises(FileExistsError, match="not empty. Remove it"):
        es.write_phantoms(tmp_path / "set", count=2)

    def fail(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("ensemble_seg.phantoms._photograph", fail)
    with pytest.raises(KeyboardInterrupt):
        es.write_phantoms(tmp_path / "new", count=2)
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "set" / "note.txt").read_text() == "keep me"
