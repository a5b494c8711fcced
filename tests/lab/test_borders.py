import numpy as np
import pytest
from conftest import save

import ensemble_seg as es
from ensemble_lab import borders
from ensemble_lab.borders import border_table, isic_scores, surface_scores
from ensemble_seg.pairing import all_pairs


@pytest.mark.parametrize(("side", "far"), [(3, False), (4, True)])
def test_five_percent_of_a_border_may_be_far_away(side, far):
    """A false lesion of 3 x 3 pixels is 4.3 % of the predicted border, one of 4 x 4 is 5.8 %."""
    truth = np.zeros((100, 100), "uint8")
    truth[10:70, 10:70] = 1
    predicted = truth.copy()
    predicted[85 : 85 + side, 85 : 85 + side] = 1
    hd95, _ = surface_scores(truth, predicted)
    assert hd95 > 20 if far else hd95 == 0


def test_isic_sets_what_lies_below_065_to_nothing():
    scores = es.Scores(np.array([[65, 35, 0, 0], [64, 36, 0, 0], [0, 0, 0, 9]]), tuple("abc"), ())
    assert isic_scores(scores).tolist() == [0.65, 0.0, 1.0]


def test_borders_three_pixels_apart_above_and_below():
    truth = np.zeros((64, 64), "uint8")
    truth[10:30, 10:30] = 1
    hd95, nsd = surface_scores(truth, np.roll(truth, 3, axis=0), tolerance=2)
    assert hd95 == pytest.approx(3)
    # Of each border two sides of four agree, and about two pixels at each corner of the others.
    assert nsd == pytest.approx(0.55, abs=0.01)
    assert surface_scores(truth, np.roll(truth, 2, axis=0)) == (2, 1)  # within 2 pixels
    assert surface_scores(truth, np.roll(truth, 4, axis=1))[0] == pytest.approx(4)


def test_where_a_mask_is_empty():
    nothing, one = np.zeros((3, 4), "uint8"), np.zeros((3, 4), "uint8")
    one[0, 0] = 1
    assert surface_scores(nothing, one) == surface_scores(one, nothing) == (5, 0)
    assert surface_scores(one, one) == surface_scores(nothing, nothing) == (0, 1)


@pytest.fixture
def split(tmp_path):
    """Two images with a square of 20 x 20 pixels, one as it is and one moved by 3."""
    for number in (0, 3):
        mask = np.zeros((64, 64), "uint8")
        mask[10:30, 10:30] = 255
        save(tmp_path / "masks" / f"{number}.png", mask)
        image = np.roll(mask, number, axis=0)
        save(tmp_path / "images" / f"{number}.png", np.stack([image] * 3, axis=-1))
    return es.Split(all_pairs(tmp_path), "test", tmp_path)


@pytest.mark.parametrize("zooms", [False, True])
def test_a_row_for_each_model_at_the_size_of_the_images(split, monkeypatch, zooms):
    def bright(image):
        mask = (image[..., 0] > 127).astype("uint8")
        return es.predicting.Prediction(mask.astype("float32"), mask, np.zeros(mask.shape))

    monkeypatch.setattr(borders, "is_zoom", lambda model: zooms)
    monkeypatch.setattr(borders, "predict_zoom", lambda model, images: list(map(bright, images)))
    monkeypatch.setattr(
        borders,
        "own_size_masks",
        lambda model, split: (
            (es.read_mask(pair.mask), bright(es.read_image(pair.image)).mask)
            for pair in split.pairs
        ),
    )
    lines = border_table({"one": object(), "two": object()}, split).splitlines()
    assert lines[0].startswith("| model | ISIC score [95 %] | HD95, pixels [95 %] | NSD at 2 ")
    # IoU 1 and 17 / 23; distances 0 and 3; shares 1 and 0.55
    assert lines[2].startswith("| one | 0.870 [0.739, 1.000] | 1.500 [0.000, 3.000] | 0.77")
    assert [line.split(" ")[1] for line in lines[2:]] == ["one", "two"]
