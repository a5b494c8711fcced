from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

import ensemble_seg as es
from ensemble_seg import plots

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (3, 32, 32, 3), "uint8")
MASKS = np.zeros((3, 32, 32), "uint8")
MASKS[:2, 8:20, 10:25] = 1
SCORES = {
    "main": es.Scores.from_masks(MASKS, MASKS),
    "sampling": es.Scores.from_masks(MASKS, np.roll(MASKS, 4, axis=1)),
}
HISTORY = {"loss": [2, 1], "dice": [0.1, 0.6], "val_loss": [2, 1.5], "val_dice": [0.2, 0.5]}
MAPS = {"main": RNG.random((3, 32, 32)), "sampling": RNG.random((3, 32, 32))}


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


FIGURES = {
    "architecture": plots.architecture,
    "images": lambda: plots.images(PICTURES, MASKS, list("abc"), columns=2),
    "one image": lambda: plots.images(PICTURES[:1]),
    "fractions": lambda: plots.lesion_fractions({"before": RNG.random(9), "after": RNG.random(9)}),
    "curves": lambda: plots.curves(np.arange(1, 9), {"a": np.arange(1, 9)}, "x", "y", log=True),
    "history": lambda: plots.history({"main": HISTORY, "sampling": HISTORY}),
    "predictions": lambda: plots.predictions(PICTURES, MASKS, {"main": MASKS, "zero": MASKS * 0}),
    "steps": lambda: plots.sampling_steps(PICTURES[0], MASKS[0], 3.0, (5, 2)),
    "sweep": lambda: plots.weight_sweep(np.linspace(0, 1, 5), RNG.random(5), 0.5, 0.502),
    "intervals": lambda: plots.score_intervals(SCORES),
    "differences": lambda: plots.paired_differences(SCORES, "main"),
    "disagreement": lambda: plots.disagreement(PICTURES, MASKS, MAPS),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_drawn(name):
    FIGURES[name]()
    axes = [axis for axis in plt.gcf().axes if axis.get_visible()]
    plt.gcf().canvas.draw()
    assert axes
    for axis in axes:
        assert axis.images or axis.lines or axis.patches or axis.collections


def test_verdict_colours_found_missed_and_false_alarm():
    truth, predicted = np.zeros((9, 9), int), np.zeros((9, 9), int)
    truth[1:6, 1:6] = 1
    predicted[3:8, 1:6] = 1
    shown = plots._verdict(np.zeros((9, 9, 3)), truth, predicted)
    tints = {place: tuple(shown[place]) for place in ((4, 3), (2, 3), (7, 3), (0, 8))}
    assert len(set(tints.values())) == 4
    assert tints[0, 8] == (0, 0, 0)
    assert tuple(shown[4, 1]) == (0x00, 0x9E, 0x73)  # a border in full colour
    np.testing.assert_allclose(tints[4, 3], 0.3 * np.array([0x00, 0x9E, 0x73]), atol=1)


def test_titles_of_differences_say_mean_and_interval():
    plots.paired_differences(SCORES, "main")
    interval = es.paired_difference(SCORES["sampling"], SCORES["main"])
    assert f"{interval.mean:+.3f}" in plt.gcf().axes[0].get_title()


def test_the_architecture_is_a_small_opaque_picture_in_the_package():
    file = Path(plots.__file__).with_name("architecture.png")
    assert file.stat().st_size < 200_000
    picture = Image.open(file)
    assert "transparency" not in picture.info and picture.mode in ("P", "RGB")
    plots.architecture()
    (axis,) = plt.gcf().axes
    shown = np.asarray(axis.images[0].get_array())
    assert shown.shape[:2] == picture.size[::-1]
