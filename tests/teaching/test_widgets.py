import asyncio
import base64
import builtins
import io
import re
import threading
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

import ensemble_seg as es
from ensemble_lab import teaching
from ensemble_lab.teaching import drawing, widgets

ipywidgets = pytest.importorskip("ipywidgets", reason="a part of the extra: notebooks")
RESULTS = Path(__file__).resolve().parents[2] / "results" / "study"
DRAWN = [es.draw_phantom(np.random.default_rng(n), f, 64) for n, f in enumerate((0.1, 0, 0.3))]
PICTURES, MASKS = (np.stack(each) for each in zip(*DRAWN, strict=True))
MAPS = [np.where(MASKS, 0.8, 0.1), np.where(np.roll(MASKS, 5, axis=1), 0.9, 0.2)]
WIDGET = "application/vnd.jupyter.widget-view+json"


def network(threshold):
    """Lesion where the first colour lies below a threshold."""
    inputs = keras.Input((64, 64, 3))
    lesion = keras.ops.cast(inputs[..., :1] < threshold, "float32")
    return keras.Model(inputs, keras.ops.concatenate([1 - lesion, lesion], axis=-1))


TURNS = {
    "losses": teaching.turn_losses,
    "imbalance": teaching.turn_imbalance,
    "box": lambda: teaching.turn_box(PICTURES, MASKS),
    "vote": lambda: teaching.turn_vote(MAPS, MASKS, PICTURES),
    "zoom": lambda: teaching.turn_zoom(network(120), network(150), PICTURES.astype("float32")),
}


@pytest.fixture
def shown(monkeypatch):
    """The MIME bundles that are displayed, with their metadata."""
    found = []
    monkeypatch.setattr(
        "IPython.display.display", lambda data, metadata, raw: found.append((data, metadata))
    )
    yield found
    assert not plt.get_fignums()  # else the inline backend shows the picture a second time


def controls(shown):
    """The sliders of the panel on show, and its picture."""
    *sliders, picture = ipywidgets.Widget.widgets[shown[0][0][WIDGET]["model_id"]].children
    return sliders, picture


@pytest.mark.parametrize("name", TURNS)
def test_a_widget_shows_a_picture_with_words_and_each_slider_changes_it(name, shown):
    TURNS[name]()
    ((data, metadata),) = shown
    assert set(data) == {"image/png", "text/plain", WIDGET}
    assert Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).width >= 400
    assert data["text/plain"] == metadata["image/png"]["alt"]
    assert len(data["text/plain"].split()) > 5
    sliders, picture = controls(shown)
    for slider in sliders:
        before = picture.value
        slider.value = slider.max if slider.value < slider.max else slider.min
        assert picture.value != before, slider.description


def test_sliders_turned_in_threads_are_drawn_one_after_the_other(shown, monkeypatch):
    """As JupyterLab does it: messages of each slider come in a thread of its own."""
    threads = set()

    def draw(**values):
        threads.add(threading.get_ident())
        drawing.draw_imbalance(**values)

    monkeypatch.setattr(widgets, "draw_imbalance", draw)

    async def notebook():
        teaching.turn_imbalance()
        sliders, picture = controls(shown)
        before = picture.value
        turns = [asyncio.to_thread(setattr, slider, "value", slider.max) for slider in sliders]
        await asyncio.gather(*turns)
        await asyncio.sleep(0)
        return before, picture.value

    before, after = asyncio.run(notebook())
    assert threads == {threading.get_ident()}
    assert after != before


def test_without_ipywidgets_the_still_picture_stands_alone(shown, monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest):
        if name == "ipywidgets":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    teaching.turn_imbalance()
    assert set(shown[0][0]) == {"image/png", "text/plain"}


def test_images_without_a_lesion_have_no_box_and_are_left_out(shown):
    teaching.turn_box(PICTURES, MASKS)
    assert controls(shown)[0][0].max == 1  # of three images


def test_pulls_are_those_of_calculus():
    """Cross-entropy pulls with 1 - p, the exponential loss with 0.9 exp(-p) p (1 - p)."""
    p = drawing.GRID
    losses, pulls = drawing.losses_and_pulls("cross-entropy")
    np.testing.assert_allclose(losses, -np.log(p), rtol=1e-4)
    np.testing.assert_allclose(pulls, 1 - p, rtol=1e-3)
    losses, pulls = drawing.losses_and_pulls("exponential-single-softmax")
    np.testing.assert_allclose(losses, 0.9 + 0.9 * np.exp(-p), rtol=1e-5)
    np.testing.assert_allclose(pulls, 0.9 * np.exp(-p) * p * (1 - p), rtol=1e-3)


def test_the_vote_picture_says_the_dice_of_its_masks():
    drawing.draw_vote([MASKS * 0.8, MASKS * 0.0], MASKS, PICTURES, weight=1.0)
    title = plt.gcf().axes[0].get_title()
    plt.close()
    assert re.search(r"Dice 1\.000$", title)


def test_where_lesions_lie_is_their_mean_over_images():
    teaching.draw_where_lesions_lie({"whole images": MASKS})
    mean = plt.gcf().axes[0].images[0].get_array()
    plt.close()
    np.testing.assert_allclose(mean, MASKS.sum(axis=0) / 3)


def test_reliability_has_a_point_for_each_group_of_pixels():
    lesion, truth = np.array([[[0.25, 0.25, 0.95, 0.95]]]), np.array([[[0, 1, 1, 1]]])
    teaching.draw_reliability({"main": lesion}, truth)
    points = plt.gcf().axes[0].lines[1].get_xydata()
    plt.close()
    np.testing.assert_allclose(points, [[0.25, 0.5], [0.95, 1.0]])


def test_what_is_told_of_the_study_is_what_it_found(monkeypatch, capsys):
    pictures = []
    monkeypatch.setattr("IPython.display.display", pictures.append)
    teaching.draw_study()
    assert pictures[0].data == (RESULTS / "deciding.png").read_bytes()
    report = (RESULTS / "report.md").read_text(encoding="utf-8")
    heads = ["claim", *re.search(r"^\| claim \| (.+?) \|$", report, re.M)[1].split(" | ")]
    rows = [line.strip("| ").split(" | ") for line in report.splitlines()]
    rows = {row[0]: dict(zip(heads, row, strict=True)) for row in rows if len(row) == len(heads)}
    for line in capsys.readouterr().out.splitlines():
        if line[0] != " ":
            claim = line
            continue
        data, numbers, verdict = re.fullmatch(r"  (.+), \d+ seeds: (.+), ([a-z ]+)", line).groups()
        assert rows[claim][data].startswith(numbers)
        assert rows[claim][data].endswith(f"**{verdict}**")
