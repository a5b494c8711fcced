"""Draw the method into ensemble_seg/architecture.png.

The pictures are phantoms. The softmax maps are schematic: blurred truth, nothing is trained. The
mask is their vote.
"""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyBboxPatch, Rectangle
from PIL import Image
from skimage.filters import gaussian

from ensemble_seg.phantoms import draw_phantom
from ensemble_seg.plots import BLACK, BLUE, GREY, ORANGE, SKY, bare, outline
from ensemble_seg.sampling import lesion_box

PATH = Path(__file__).resolve().parents[1] / "ensemble_seg" / "architecture.png"


def main() -> None:
    _, axis = plt.subplots(figsize=(12, 5.3), facecolor="white")
    axis.set_position((0, 0, 1, 1))
    for left, right, name in ((0.1, 10.05, "training"), (10.25, 23.9, "prediction")):
        _panel(axis, ((left + right) / 2, 5), (right - left, 10.2), "#F2F2F2", "#F2F2F2")
        axis.text(left + 0.3, 9.6, name, va="center", fontsize=15, weight="bold", color=GREY)
    _draw_training(axis)
    for y, name, colour in ((8, "main model", BLUE), (2, "sampling model", ORANGE)):
        _model(axis, (12.3, y), name, colour)
    _draw_prediction(axis)
    note = "Pictures: drawn phantoms.\nThe softmax maps are schematic."
    axis.text(23.6, 0.75, note, ha="right", va="center", fontsize=10, color=GREY)
    axis.set(xlim=(0, 24), ylim=(-0.3, 10.3), aspect="equal")
    axis.axis("off")
    plt.savefig(PATH, dpi=100)
    Image.open(PATH).convert("RGB").save(PATH, optimize=True)


def _draw_training(axis) -> None:
    (picture, mask), (other, _) = (draw_phantom(np.random.default_rng(n), 0.08) for n in (26, 24))
    tight, box = lesion_box(mask, 0), lesion_box(mask)
    shown = _picture(axis, (1.9, 5), picture, BLACK)
    outline(shown, mask, SKY)
    axis.text(3.3, 5, "images\nand masks", va="center", fontsize=12)
    for y, colour in ((8, BLUE), (2, ORANGE)):
        _arrow(axis, [(1.9, 5 + np.sign(y - 5) * 1.25), (1.9, y), (4.2, y)], colour)
        _arrow(axis, [(9.5, y), (10.4, y)], colour)
    _picture(axis, (5.4, 8), picture, BLUE)
    _picture(axis, (8.3, 8), other, BLUE)
    axis.text(6.85, 9.4, "whole images", ha="center", va="center", fontsize=12)
    axis.text(2.1, 3.1, "background\n/ lesion \u2265 3", va="center", fontsize=11)
    shown = _picture(axis, (5.4, 2), picture, ORANGE, "box + margin")
    _rectangle(shown, tight, SKY)
    _rectangle(shown, box, ORANGE)
    _arrow(axis, [(6.6, 2), (7.1, 2)], ORANGE)
    _picture(axis, (8.3, 2), picture[box.top : box.bottom, box.left : box.right], ORANGE, "crop")


def _draw_prediction(axis) -> None:
    picture, mask = draw_phantom(np.random.default_rng(32), 0.08)
    rows, columns = np.indices(mask.shape)
    doubt = 0.8 * np.exp(-((rows - 29) ** 2 + (columns - 46) ** 2) / 200)  # at the reddish spot
    sure, blurred = (gaussian(mask.astype(float), width) for width in (3, 6))
    maps = {8: sure, 2: np.maximum(blurred, doubt)}
    vote = np.average(list(maps.values()), axis=0, weights=(1.01, 1)) > 0.5
    _picture(axis, (12.3, 5), picture, BLACK)
    axis.text(13.7, 5, "new image", va="center", fontsize=12)
    for y, colour, weight in ((8, BLUE, "1.01"), (2, ORANGE, "1")):
        side = np.sign(y - 5)
        _arrow(axis, [(12.3, 5 + 1.2 * side), (12.3, 5 + 1.75 * side)], BLACK)
        _arrow(axis, [(14.1, y), (15.4, y)], colour)
        _picture(axis, (16.6, y), maps[y], colour, "softmax map")
        _arrow(axis, [(17.75, y), (18.8, y), (18.8, 5 + side)], colour)
        axis.text(19, 5 + 1.8 * side, f"\u00d7 {weight}", va="center", fontsize=12)
    _panel(axis, (18.8, 5), (2.6, 1.8), "white", BLACK)
    axis.text(18.8, 5, "weighted\naverage", ha="center", va="center", fontsize=13, weight="bold")
    _arrow(axis, [(20.2, 5), (21.5, 5)], BLACK)
    axis.text(20.8, 5.4, "argmax", ha="center", va="center", fontsize=12)
    _picture(axis, (22.7, 5), vote, BLACK, "mask")


def _rectangle(axis, box, colour: str) -> None:
    size = (box.right - box.left, box.bottom - box.top)
    corner = (box.left - 0.5, box.top - 0.5)
    axis.add_patch(Rectangle(corner, *size, fill=False, edgecolor=colour, linewidth=2.5))


def _picture(axis, centre, picture: np.ndarray, colour: str, title: str = ""):
    """Draw a picture (H, W) or (H, W, 3) of side 2.2 in a frame; return axes in its pixels."""
    (x, y), half = centre, 1.1
    inner = axis.inset_axes((x - half, y - half, 2 * half, 2 * half), transform=axis.transData)
    inner.imshow(picture, cmap="cividis", aspect="auto")
    inner.spines[:].set(color=colour, linewidth=2.5)
    bare([inner])
    axis.text(x, y + (1.4 if y >= 5 else -1.4), title, ha="center", va="center", fontsize=12)
    return inner


def _model(axis, centre, name: str, colour: str) -> None:
    """Draw a U-Net: a box with its name, and the heights of its layers."""
    x, y = centre
    _panel(axis, centre, (3.6, 2.4), "white", colour)
    axis.text(x, y + 0.8, name, ha="center", va="center", fontsize=13, weight="bold")
    for step, height in enumerate((0.9, 0.65, 0.4, 0.2, 0.4, 0.65, 0.9), start=-3):
        left, top = x + 0.3 * step - 0.09, y - height / 2
        axis.add_patch(Rectangle((left, top), 0.18, height, color=colour))
    axis.text(x, y - 0.85, "exponential loss", ha="center", va="center", fontsize=12)


def _panel(axis, centre, size, face: str, edge: str) -> None:
    corner = np.subtract(centre, np.divide(size, 2))
    style = "round,pad=0,rounding_size=0.25"
    colours = {"facecolor": face, "edgecolor": edge}
    axis.add_patch(FancyBboxPatch(corner, *size, style, **colours, linewidth=2.5))


def _arrow(axis, points: Sequence[tuple[float, float]], colour: str) -> None:
    """Draw a line through `points` with a head at the last."""
    axis.plot(*zip(*points[:-1], strict=True), color=colour, linewidth=2.5, solid_joinstyle="round")
    head = {"arrowstyle": "-|>,head_width=0.35,head_length=0.6", "color": colour, "linewidth": 2.5}
    axis.annotate("", points[-1], points[-2], arrowprops={**head, "shrinkA": 0, "shrinkB": 0})


if __name__ == "__main__":
    main()
