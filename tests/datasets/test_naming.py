import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensemble_seg.datasets.naming import PLAIN, Affix, affixes, affixes_in_one_folder, folded

TOKENS = st.sampled_from(["a", "b", "1", "10", "_", "-", " ", "_mask", "mask_", "-1", "img_", "gt"])
NAMES = st.sets(st.lists(TOKENS, min_size=1, max_size=4).map("".join), min_size=1, max_size=8)
AROUND = st.sampled_from(["", "_mask", "-seg", " label", "_segmentation", "_gt", "_Mask", "-1"])


@given(NAMES, AROUND, st.sampled_from(["", "mask_", "gt-", "Label "]))
def test_where_all_are_paired_all_are_paired_right(names, ending, prefix):
    masks = {Affix(prefix, ending).full(name): name for name in names}
    found = affixes(names, masks)
    shared = [found[0].shared(name) for name in names] if found else [None]
    if None in shared or any(found[1].full(each) not in masks for each in shared):
        return  # which is refused: an image or a mask is left over
    for name, each in zip(names, shared, strict=True):
        assert masks[found[1].full(each)] == name


@pytest.mark.parametrize(
    ("images", "masks", "expected"),
    [
        (["1", "10", "100"], ["1_mask", "10_mask", "100_mask"], ("", "", "", "_mask")),
        (["1", "10", "100"], ["1", "10", "100"], ("", "", "", "")),
        (["x"], ["x_lesion"], ("", "", "", "_lesion")),
        (["case_1_img", "case_2_img"], ["case_1_seg", "case_2_seg"], ("", "_img", "", "_seg")),
        (["volume-0", "volume-1"], ["seg-0", "seg-1"], ("volume-", "", "seg-", "")),
        (["a", "b"], ["a_ground_truth", "b_ground_truth"], ("", "", "", "_ground_truth")),
    ],
)
def test_two_folders(images, masks, expected):
    one, other = affixes(images, masks)
    assert (*one, *other) == expected


@pytest.mark.parametrize(
    ("images", "masks"),
    [(["x"], ["y"]), (["1", "2", "3"], ["10", "20", "30"]), (["img_1"], ["mask_2"])],
)
def test_what_does_not_go_together(images, masks):
    assert affixes(images, masks) is None


def test_numbers_behind_the_word_are_another_mask():
    ways = affixes_in_one_folder(["b (1)", "b (1)_mask", "b (1)_mask_1"])
    assert ways == [(PLAIN, Affix("", "_mask"))]
    assert affixes_in_one_folder(["a", "a_1", "b", "b_1"]) == []


def test_a_name_is_more_than_its_affix():
    assert Affix("", "_mask").shared("_mask") is None
    assert Affix("ab", "bc").shared("abc") is None


def test_folding_is_stable():
    for name in ("I\u0307", "\u00c4", "A\u0308", "\ufb01", "\u1e9e"):
        assert folded(folded(name)) == folded(name)
    assert folded("\u00c4") == folded("a\u0308")
