"""Random masks in every format and mode: read right or refused, none wrong.

What is right is known from how the mask was drawn. Its classes 0, 1, .. get a code each. Two
classes are right where one code is nothing (0, black) and the lesion is the other; three or four
classes can be read in no way that is right.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import ensemble_seg as es

SUFFIXES = {
    "1": ("png", "tif", "bmp"),
    "L": ("png", "tif", "bmp"),
    "P": ("png", "tif", "bmp"),
    "RGB": ("png", "tif", "bmp"),
    "RGBA": ("png", "tif"),
    "I;16": ("png", "tif"),
}
BYTE = st.one_of(st.sampled_from([0, 1, 2, 127, 128, 200, 254, 255]), st.integers(0, 255))
WORD = st.one_of(st.sampled_from([0, 1, 255, 256, 300, 65280, 65535]), st.integers(0, 65535))
CODES = {
    "1": st.sampled_from([0, 1]),
    "L": BYTE,
    "P": st.tuples(st.integers(0, 5), st.tuples(BYTE, BYTE, BYTE)),
    "RGB": st.one_of(st.tuples(BYTE, BYTE, BYTE), BYTE.map(lambda grey: (grey,) * 3)),
    "RGBA": st.one_of(
        st.tuples(BYTE, BYTE, BYTE, BYTE),
        st.tuples(BYTE, st.sampled_from([0, 255])).map(lambda c: (c[0], c[0], c[0], c[1])),
    ),
    "I;16": WORD,
}
# What two classes may be, and must not be refused then.
PLAIN = {
    "1": [{0, 1}],
    "L": [{0, 1}, {0, 255}],
    "I;16": [{0, 1}, {0, 255}, {0, 65535}],
    "RGB": [{(0, 0, 0), (1, 1, 1)}, {(0, 0, 0), (255, 255, 255)}],
    "RGBA": [
        {(0, 0, 0, 255), (1, 1, 1, 255)},
        {(0, 0, 0, 255), (255, 255, 255, 255)},
        {(0, 0, 0, 0), (255, 255, 255, 255)},
    ],
}
BLACK, WHITE = (0, 0, 0), (255, 255, 255)


@st.composite
def masks(draw):
    """Draw (mode, suffix, codes, classes): a code for each class, and the class of each pixel."""
    mode = draw(st.sampled_from(list(SUFFIXES)))
    count = 2 if mode == "1" else draw(st.integers(2, 4))
    if mode in PLAIN and count == 2 and draw(st.booleans()):
        codes = draw(st.permutations(sorted(draw(st.sampled_from(PLAIN[mode])))))
    else:
        index = (lambda code: code[0]) if mode == "P" else (lambda code: code)
        codes = draw(st.lists(CODES[mode], min_size=count, max_size=count, unique_by=index))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shares = rng.dirichlet([draw(st.sampled_from([0.2, 5.0]))] * count)
    classes = rng.choice(count, (13, 17), p=shares)
    classes.ravel()[rng.choice(classes.size, count, replace=False)] = np.arange(count)
    return mode, draw(st.sampled_from(SUFFIXES[mode])), list(codes), classes


def written(path, mode, codes, classes):
    if mode == "P":
        picture = Image.new("P", classes.shape[::-1])
        palette = np.zeros((256, 3), "uint8")
        for index, colour in codes:
            palette[index] = colour
        picture.putpalette(palette.ravel().tolist())
        picture.putdata([codes[each][0] for each in classes.ravel()])
    else:
        kind = {"1": bool, "I;16": "uint16"}.get(mode, "uint8")
        picture = Image.fromarray(np.array(codes, kind)[classes])
    assert picture.mode == mode
    picture.save(path)


def right(mode, codes, classes):
    """Return the mask that is right, or None where every reading would be wrong."""
    visible = [code[1] if mode == "P" else code for code in codes]
    if mode == "RGBA":
        visible = [code[:3] for code in codes]
    nothing = [code in (0, BLACK) for code in visible]
    if len(codes) > 2 or sum(nothing) != 1:
        return None
    return (classes == nothing.index(False)).astype("uint8")


def is_plain(mode, codes):
    if mode == "P":
        return {colour for _, colour in codes} == {BLACK, WHITE}
    return set(codes) in PLAIN[mode]


COUNTED = {"read": 0, "refused": 0}


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(masks())
def check_one(folder, drawn):
    mode, suffix, codes, classes = drawn
    path = folder / f"m.{suffix}"
    written(path, mode, codes, classes)
    expected = right(mode, codes, classes)
    try:
        found = es.read_mask(path)
    except ValueError as error:
        assert str(error).startswith(f"{path}: expected"), error
        assert len(codes) > 2 or not is_plain(mode, codes), error
        COUNTED["refused"] += 1
        return
    assert expected is not None, f"read, though {codes} cannot be"
    np.testing.assert_array_equal(found, expected)
    COUNTED["read"] += 1


def test_random_masks_are_read_right_or_refused(tmp_path):
    COUNTED.update(read=0, refused=0)
    check_one(tmp_path)
    assert COUNTED["read"] >= 30 and COUNTED["refused"] >= 60, COUNTED


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(masks(), st.data())
def check_chosen(folder, drawn, data):
    mode, suffix, codes, classes = drawn
    if mode not in ("L", "I;16"):
        return
    path = folder / f"m.{suffix}"
    written(path, mode, codes, classes)
    chosen = data.draw(st.sets(st.sampled_from(codes), min_size=1))
    expected = np.isin(np.array(codes)[classes], list(chosen))
    np.testing.assert_array_equal(es.read_mask(path, tuple(sorted(chosen))), expected)


def test_chosen_values_of_random_masks(tmp_path):
    check_chosen(tmp_path)


@pytest.mark.parametrize("mode", SUFFIXES)
def test_one_class_alone_is_empty_full_or_refused(tmp_path, mode):
    classes = np.zeros((5, 6), int)
    full = {"1": 1, "L": 255, "I;16": 65535, "P": (3, WHITE), "RGB": WHITE, "RGBA": (*WHITE, 255)}
    none = {"1": 0, "L": 0, "I;16": 0, "P": (3, BLACK), "RGB": BLACK, "RGBA": (*BLACK, 255)}
    grey = {"L": 7, "I;16": 256, "P": (1, (7, 7, 7)), "RGB": (7, 7, 7), "RGBA": (*WHITE, 0)}
    for suffix in SUFFIXES[mode]:
        for codes, mean in ((full, 1), (none, 0)):
            written(tmp_path / f"m.{suffix}", mode, [codes[mode]], classes)
            assert es.read_mask(tmp_path / f"m.{suffix}").mean() == mean
        if mode != "1":
            written(tmp_path / f"m.{suffix}", mode, [grey[mode]], classes)
            with pytest.raises(ValueError, match=r"m\.\w+: expected"):
                es.read_mask(tmp_path / f"m.{suffix}")
