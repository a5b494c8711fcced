from itertools import combinations

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from ensemble_lab import duplicates
from ensemble_lab.duplicates import near_duplicates, thumbnail
from ensemble_seg.reading import small_image


def scene(seed, height=200, width=240):
    noise = np.random.default_rng(seed).normal(size=(height, width, 3))
    smooth = gaussian_filter(noise, (6, 6, 0))
    return (130 + 30 * smooth / smooth.std()).clip(40, 255).astype("uint8")


def edges(thumbs):
    return {near[:2] for near in near_duplicates(np.stack(thumbs))}


def read(path):
    return thumbnail(small_image(path, 128))


@pytest.mark.parametrize("change", ["jpeg", "darker", "shifted", "framed", "smaller"])
def test_a_changed_copy_is_near(tmp_path, change):
    image = scene(1)
    frame = np.zeros((260, 300, 3), "uint8")
    frame[30:230, 40:280] = image
    other = {
        "darker": (image * 0.7).astype("uint8"),
        "shifted": np.roll(image, (3, -4), (0, 1)),
        "framed": frame,
        "smaller": np.asarray(Image.fromarray(image).resize((120, 100))),
    }.get(change, image)
    Image.fromarray(image).save(tmp_path / "first.png")
    second = tmp_path / ("second.jpg" if change == "jpeg" else "second.png")
    Image.fromarray(other).save(second, quality=60)
    assert edges([read(tmp_path / "first.png"), read(second)]) == {(0, 1)}


def test_planted_copies_among_120_scenes_match_brute_force():
    thumbs = [thumbnail(scene(seed, 160, 160)) for seed in range(120)]
    rng = np.random.default_rng(0)
    planted = {(4, 110), (17, 18), (60, 119)}
    for source, copy in planted:
        noisy = thumbs[source].astype(int) + rng.integers(-6, 7, (64, 64))
        thumbs[copy] = noisy.clip(31, 255).astype("uint8")
    rows = np.reshape(thumbs, (120, -1)).astype(float)
    brute = {
        (a, b) for a, b in combinations(range(120), 2) if np.corrcoef(rows[a], rows[b])[0, 1] > 0.9
    }
    assert brute == planted
    assert edges(thumbs) == planted


def test_blocks_do_not_change_what_is_found(monkeypatch):
    thumbs = [thumbnail(scene(seed % 20, 160, 160)) for seed in range(45)]
    alike = {(a, b) for a, b in combinations(range(45), 2) if a % 20 == b % 20}
    assert edges(thumbs) == alike
    monkeypatch.setattr(duplicates, "IMAGES_AT_ONCE", 7)
    assert edges(thumbs) == alike


@pytest.mark.parametrize("value", [0, 20, 128, 255])
def test_plain_images_are_not_near(value):
    plain = np.full((128, 128, 3), value, "uint8")
    assert edges([thumbnail(plain)] * 5) == set()


@pytest.mark.parametrize("number", [0, 1, 2])
def test_few_images(number):
    assert near_duplicates(np.zeros((number, 64, 64), "uint8")) == []


def test_a_common_frame_and_a_round_shade_do_not_make_images_near():
    rows, columns = np.mgrid[-1:1:160j, -1:1:160j]
    radius = np.hypot(rows, columns)
    light = ((1 - 0.5 * radius) * (radius < 0.95))[..., None]
    thumbs = [thumbnail((scene(seed, 160, 160) * light).astype("uint8")) for seed in range(40)]
    assert edges(thumbs) == set()


def test_frames_of_one_scene_in_kvasir(kvasir):
    """Pairs seen by eye: a repeated frame, a screen shot and its cut-out, a camera that moved."""
    alike = ["t0510", "t0593", "v0061", "v0069", "t0033", "t0453"]
    others = ["t0001", "t0729", "t0357", "t0632"]
    thumbs = [read(kvasir / "images" / f"{name}.jpg") for name in alike + others]
    assert edges(thumbs) == {(0, 1), (2, 3), (4, 5)}
