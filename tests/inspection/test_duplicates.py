import hashlib
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from ensemble_seg.common.files import file_hash
from ensemble_seg.inspection import duplicates
from ensemble_seg.inspection.duplicates import (
    group_duplicates,
    near_duplicates,
    same_files,
    thumbnail,
)
from ensemble_seg.reading.images import small_image
from ensemble_seg.reading.pairs import Pair


def scene(seed, height=200, width=240):
    noise = np.random.default_rng(seed).normal(size=(height, width, 3))
    smooth = gaussian_filter(noise, (6, 6, 0))
    return (130 + 30 * smooth / smooth.std()).clip(40, 255).astype("uint8")


def thumb(path):
    return thumbnail(small_image(path, 128))


def saved(path, array, **options):
    Image.fromarray(array).save(path, **options)
    return path


def pairs(text):
    return [Pair(Path(f"{name}.png"), Path(f"{name}m.png"), name) for name in text]


def test_same_files_are_found_by_their_bytes(tmp_path):
    for name, content in {"a": b"one", "b": b"two", "c": b"one"}.items():
        (tmp_path / name).write_bytes(content)
    hashes = [file_hash(tmp_path / name) for name in "abc"]
    assert hashes[1] == hashlib.sha256(b"two").hexdigest()
    assert same_files(hashes) == [(0, 2)]


@pytest.mark.parametrize("change", ["jpeg", "darker", "shifted", "framed", "smaller"])
def test_a_changed_copy_is_near(tmp_path, change):
    image = scene(1)
    frame = np.zeros((260, 300, 3), "uint8")
    frame[30:230, 40:280] = image
    other = {
        "jpeg": image,
        "darker": (image * 0.7).astype("uint8"),
        "shifted": np.roll(image, (3, -4), (0, 1)),
        "framed": frame,
        "smaller": np.asarray(Image.fromarray(image).resize((120, 100))),
    }[change]
    first = saved(tmp_path / "a.png", image)
    options = {"quality": 60} if change == "jpeg" else {}
    second = saved(tmp_path / ("b.jpg" if options else "b.png"), other, **options)
    found = near_duplicates(np.stack([thumb(first), thumb(second)]))
    assert [near[:2] for near in found] == [(0, 1)]


def test_planted_copies_among_300_scenes_match_brute_force(tmp_path):
    thumbs = [thumbnail(scene(seed, 160, 160)) for seed in range(300)]
    rng = np.random.default_rng(0)
    planted = {(4, 250), (17, 18), (120, 299)}
    for source, copy in planted:
        noisy = thumbs[source].astype(int) + rng.integers(-6, 7, (64, 64))
        thumbs[copy] = noisy.clip(31, 255).astype("uint8")
    rows = np.reshape(thumbs, (300, -1)).astype(float)
    brute = {
        (a, b) for a, b in combinations(range(300), 2) if np.corrcoef(rows[a], rows[b])[0, 1] > 0.9
    }
    assert brute == planted
    assert {near[:2] for near in near_duplicates(np.stack(thumbs))} == planted


def test_blocks_do_not_change_what_is_found(monkeypatch):
    thumbs = np.stack([thumbnail(scene(seed % 20, 160, 160)) for seed in range(45)])
    whole = near_duplicates(thumbs)
    assert {near[:2] for near in whole} == {
        (a, b) for a, b in combinations(range(45), 2) if a % 20 == b % 20
    }
    monkeypatch.setattr(duplicates, "IMAGES_AT_ONCE", 7)
    blocks = near_duplicates(thumbs)
    assert {near[:2] for near in blocks} == {near[:2] for near in whole}


@pytest.mark.parametrize("value", [0, 20, 128, 255])
def test_plain_images_are_not_near(value):
    plain = np.full((128, 128, 3), value, "uint8")
    assert near_duplicates(np.stack([thumbnail(plain)] * 5)) == []


@pytest.mark.parametrize("number", [0, 1, 2])
def test_few_images(number):
    thumbs = np.zeros((number, 64, 64), "uint8")
    assert near_duplicates(thumbs) == []


def test_a_common_frame_and_a_round_shade_do_not_make_images_near():
    rows, columns = np.mgrid[-1:1:160j, -1:1:160j]
    circle = np.hypot(rows, columns) < 0.95
    shade = 1 - 0.5 * np.hypot(rows, columns)
    thumbs = [
        thumbnail(((scene(seed, 160, 160) * shade[..., None]) * circle[..., None]).astype("uint8"))
        for seed in range(40)
    ]
    assert near_duplicates(np.stack(thumbs)) == []


def test_joined_pairs_share_a_group():
    joined = group_duplicates(pairs("abcdef"), [(0, 3, 0.9), (3, 4, 0.8), (1, 2, 0.7)])
    assert [pair.group for pair in joined] == ["a", "b", "b", "a", "a", "f"]
    assert [pair.image for pair in joined] == [pair.image for pair in pairs("abcdef")]


def test_whole_groups_are_joined():
    patients = [pair.in_group(group) for pair, group in zip(pairs("abcd"), "ppqr", strict=True)]
    assert [pair.group for pair in group_duplicates(patients, [(1, 2)])] == ["p", "p", "p", "r"]
    assert group_duplicates(patients, []) == patients


def test_frames_of_one_scene_in_kvasir(kvasir):
    """Pairs seen by eye: a repeated frame, a screen shot and its cut-out, a camera that moved."""
    alike = [("t0510", "t0593"), ("v0061", "v0069"), ("t0033", "t0453")]
    others = ["t0001", "t0729", "t0357", "t0632"]
    names = [name for pair in alike for name in pair] + others
    files = [kvasir / "images" / f"{name}.jpg" for name in names]
    found = near_duplicates(np.stack([thumb(file) for file in files]))
    assert {near[:2] for near in found} == {(0, 1), (2, 3), (4, 5)}
