"""Pictures with something to turn. Where widgets do not run, a still picture stands there."""

import asyncio
import base64
import contextlib
import io
from collections.abc import Callable, Sequence

import keras
import matplotlib.pyplot as plt
import numpy as np

from .drawing import draw_box, draw_imbalance, draw_losses, draw_vote, draw_zoom

DPI = 80


def turn(draw: Callable, alt: str, *fixed, **controls: tuple) -> None:
    """Show the picture that `draw` makes, with a control for each of its numbers.

    Both go out as one output: whoever knows widgets shows the controls, all others (GitHub, a page
    made from the notebook) the still picture.

    Args:
        draw: leaves a figure behind; called with `fixed` and a keyword for each control.
        alt: what the picture shows, for those who do not see it.
        controls: first and last value, step, and the value to begin with.
    """
    from IPython.display import display

    start = {name: control[-1] for name, control in controls.items()}
    still = _png(draw, *fixed, **start)
    bundle = {"image/png": base64.b64encode(still).decode(), "text/plain": alt}
    with contextlib.suppress(ImportError):  # without ipywidgets the still picture stands alone
        bundle = {**_panel(draw, still, fixed, controls), **bundle}
    display(bundle, metadata={"image/png": {"alt": alt}}, raw=True)


def turn_losses() -> None:
    """Turn the probability; see `draw_losses`."""
    turn(draw_losses, "Loss and pull of all losses over p", p=(0.02, 0.98, 0.02, 0.1))


def turn_imbalance() -> None:
    """Turn how much of the picture is lesion; see `draw_imbalance`."""
    alt = "A drawn lesion, its share and ratio, and accuracy and Dice of a model that finds nothing"
    turn(draw_imbalance, alt, fraction=(0.01, 0.6, 0.01, 0.05), scene=(0, 20, 1, 3))


def turn_box(images: Sequence[np.ndarray], masks: Sequence[np.ndarray], number: int = 0) -> None:
    """Turn image, threshold and margin; see `draw_box`. Images without a lesion are left out."""
    pairs = [pair for pair in zip(images, masks, strict=True) if pair[1].any()]
    images, masks = zip(*pairs, strict=True)
    controls = {"number": (0, len(images) - 1, 1, number), "threshold": (0.5, 20, 0.5, 3.0)}
    alt = "Lesion, edges, margin and crop of one image"
    turn(draw_box, alt, images, masks, **controls, margin=(0, 60, 2, 20))


def turn_vote(maps: Sequence[np.ndarray], truth: np.ndarray, pictures: np.ndarray) -> None:
    """Turn weight and cut-off; see `draw_vote`."""
    controls = {"weight": (0, 1, 0.05, 0.5), "cut_off": (0.05, 0.95, 0.05, 0.5)}
    alt = "Dice of the vote over the weight of the main model, and one decision"
    number = (0, len(truth) - 1, 1, 0)
    turn(draw_vote, alt, maps, truth, pictures, **controls, number=number)


def turn_zoom(
    main: keras.Model, sampling: keras.Model, images: np.ndarray, number: int = 0, margin: int = 16
) -> None:
    """Turn image, margin and the sampling model's share; see `draw_zoom`."""
    controls = {"number": (0, len(images) - 1, 1, int(number)), "margin": (0, 40, 2, margin)}
    alt = "An image, the main model's box and map, the crop, the sampling model's map, the vote"
    turn(draw_zoom, alt, main, sampling, images, **controls, share=(0, 1, 0.05, 0.5))


def _png(draw: Callable, *fixed, **values) -> bytes:
    draw(*fixed, **values)
    figure, file = plt.gcf(), io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI, bbox_inches="tight", facecolor="white")
    plt.close(figure)
    return file.getvalue()


def _panel(draw: Callable, still: bytes, fixed: tuple, controls: dict) -> dict:
    """Return the MIME bundle of the controls above a picture that follows them."""
    import ipywidgets

    sliders = {}
    for name, (low, high, step, value) in controls.items():
        whole = all(isinstance(each, int) for each in (low, high, step))
        kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
        label = name.replace("_", "-")
        sliders[name] = kind(value, min=low, max=high, step=step, description=label)
        sliders[name].continuous_update = False
    picture = ipywidgets.Image(value=still, format="png")

    loop = None
    with contextlib.suppress(RuntimeError):
        loop = asyncio.get_running_loop()  # in which a notebook runs its cells, one by one

    def redraw() -> None:
        values = {name: slider.value for name, slider in sliders.items()}
        picture.value = _png(draw, *fixed, **values)

    def turned(_) -> None:
        # JupyterLab may call this in a thread of each slider's own, and pyplot knows one figure.
        loop.call_soon_threadsafe(redraw) if loop else redraw()

    for slider in sliders.values():
        slider.observe(turned, "value")
    return ipywidgets.VBox([*sliders.values(), picture])._repr_mimebundle_()
