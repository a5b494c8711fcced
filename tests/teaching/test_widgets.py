import asyncio
import base64
import builtins
import io
import re
import threading

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

import ensemble_seg as es
from ensemble_seg import teaching
from ensemble_seg.teaching import drawing, widgets

ipywidgets = pytest.importorskip("ipywidgets", reason="a part of the extra: notebooks")
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


def size(encoded):
    return Image.open(io.BytesIO(base64.b64decode(encoded))).size


@pytest.mark.parametrize("name", TURNS)
def test_every_widget_once_with_its_defaults(name, shown):
    TURNS[name]()
    ((data, metadata),) = shown
    assert set(data) == {"image/png", "text/plain", WIDGET}
    assert min(size(data["image/png"])) > 100
    assert len(metadata["image/png"]["alt"].split()) > 5
    assert data["text/plain"] == metadata["image/png"]["alt"]


@pytest.mark.parametrize("name", TURNS)
def test_every_control_changes_the_picture(name, shown):
    TURNS[name]()
    panel = ipywidgets.Widget.widgets[shown[0][0][WIDGET]["model_id"]]
    *sliders, picture = panel.children
    for slider in sliders:
        before = picture.value
        assert before
        slider.value = slider.max if slider.value < slider.max else slider.min
        assert picture.value != before, slider.description


def test_sliders_turned_in_threads_are_drawn_one_after_the_other(shown, monkeypatch):
    """As JupyterLab does it: messages of each slider come in a thread of its own."""
    threads = set()

    def draw(**values):
        threads.add(threading.get_ident())
        real(**values)

    real = widgets.draw_imbalance
    monkeypatch.setattr(widgets, "draw_imbalance", draw)

    async def notebook():
        teaching.turn_imbalance()
        panel = ipywidgets.Widget.widgets[shown[0][0][WIDGET]["model_id"]]
        *sliders, picture = panel.children
        before = picture.value
        turns = [asyncio.to_thread(setattr, slider, "value", slider.max) for slider in sliders]
        await asyncio.gather(*turns)
        await asyncio.sleep(0)
        return before, picture.value, [slider.max for slider in sliders]

    before, after, (fraction, scene) = asyncio.run(notebook())
    assert threads == {threading.get_ident()}
    assert after != before
    assert after == widgets._png(real, fraction=fraction, scene=scene)


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
    panel = ipywidgets.Widget.widgets[shown[0][0][WIDGET]["model_id"]]
    assert panel.children[0].max == 1  # of three images


def test_pulls_are_those_of_finite_differences():
    """Cross-entropy pulls with 1 - p, the exponential loss with 1.8 p (1 - p) exp(-p) / 2."""
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
    drawing.draw_where_lesions_lie({"whole images": MASKS})
    shown = plt.gcf().axes[0].images[0].get_array()
    plt.close()
    np.testing.assert_allclose(shown, MASKS.sum(axis=0) / 3)


def test_reliability_has_a_point_for_each_group_of_pixels():
    lesion, truth = np.array([[[0.25, 0.25, 0.95, 0.95]]]), np.array([[[0, 1, 1, 1]]])
    drawing.draw_reliability({"main": lesion}, truth)
    points = plt.gcf().axes[0].lines[1].get_xydata()
    plt.close()
    np.testing.assert_allclose(points, [[0.25, 0.5], [0.95, 1.0]])


def test_the_panel_is_wide_enough_to_read_at_half_size(shown):
    teaching.turn_losses()
    assert size(shown[0][0]["image/png"])[0] >= 600
    assert widgets.DPI >= 72
