"""Every figure of the notebooks. Colours are those of Okabe and Ito, told apart by everybody."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyBboxPatch, Patch, Rectangle
from skimage.filters import gaussian
from skimage.segmentation import find_boundaries

from .datasets.phantoms import draw_phantom
from .evaluation import Scores, bootstrap_mean
from .reading.pairs import Box
from .sampling import imbalance_ratio, lesion_box

ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, RED, PINK, BLACK = "#0072B2", "#D55E00", "#CC79A7", "#000000"
CYCLE = (BLUE, ORANGE, GREEN, PINK, RED, SKY, BLACK)
GREY, PALE = "#555555", "#F2F2F2"
HIT, FALSE_ALARM, MISS = GREEN, ORANGE, BLUE
TINT = 0.3


def architecture() -> None:
    """Draw the method: one model learns from images, one from crops, and both vote on new images.

    The pictures are phantoms. The softmax maps are schematic: blurred truth, nothing is trained.
    The mask is their vote.

    Example:
        >>> architecture()
        >>> plt.close()
    """
    _, axis = plt.subplots(figsize=(12, 5.3), facecolor="white")
    axis.set_position((0, 0, 1, 1))
    for left, right, name in ((0.1, 10.05, "training"), (10.25, 23.9, "prediction")):
        _panel(axis, ((left + right) / 2, 5), (right - left, 10.2), PALE, PALE)
        axis.text(left + 0.3, 9.6, name, va="center", fontsize=15, weight="bold", color=GREY)
    _draw_training(axis)
    for y, name, colour in ((8, "main model", BLUE), (2, "sampling model", ORANGE)):
        _model(axis, (12.3, y), name, colour)
    _draw_prediction(axis)
    note = "Pictures: drawn phantoms.\nThe softmax maps are schematic."
    axis.text(23.6, 0.75, note, ha="right", va="center", fontsize=10, color=GREY)
    axis.set(xlim=(0, 24), ylim=(-0.3, 10.3), aspect="equal")
    axis.axis("off")


def images(
    pictures: Sequence[np.ndarray],
    masks: Sequence[np.ndarray] | None = None,
    titles: Sequence[str] | None = None,
    columns: int = 6,
) -> None:
    """Show images (H, W, 3) in a grid, with the contours of their masks (H, W) if given."""
    axes = _grid(len(pictures), columns)
    for number, axis in enumerate(axes):
        axis.imshow(_uint8(pictures[number]))
        if masks is not None:
            outline(axis, masks[number], ORANGE)
        if titles is not None:
            axis.set_title(titles[number], fontsize=9)


def lesion_fractions(fractions: Mapping[str, np.ndarray], threshold: float = 3.0) -> None:
    """Show how much of each image is lesion, with the share that `threshold` lets through."""
    _, axis = plt.subplots(figsize=(7, 3))
    bins = np.linspace(0, 100, 41)
    for (label, values), colour in zip(fractions.items(), CYCLE, strict=False):
        axis.hist(100 * np.asarray(values), bins, color=colour, alpha=0.6, label=label)
    limit = 100 / (1 + threshold)
    axis.axvline(limit, color=BLACK, linestyle="--")
    axis.text(limit + 1, 0.9 * axis.get_ylim()[1], f"ratio {threshold:g} = {limit:.0f} % lesion")
    axis.set(xlabel="lesion pixels, % of the image", ylabel="images")
    axis.legend(loc="center right")
    plain(axis)


def curves(
    x: np.ndarray,
    lines: Mapping[str, np.ndarray],
    xlabel: str,
    ylabel: str,
    log: bool = False,
) -> None:
    """Draw one line for each entry over the same x; `log` for a logarithmic y axis."""
    _, axis = plt.subplots(figsize=(7, 3.4))
    styles = ("-", "--", "-.", ":")
    for number, (label, values) in enumerate(lines.items()):
        colour, style = CYCLE[number % len(CYCLE)], styles[number % len(styles)]
        axis.plot(x, values, style, color=colour, label=label, linewidth=2)
    axis.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    axis.legend()
    plain(axis)


def history(runs: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    """Show loss and lesion Dice over epochs: training dashed, validation solid, for each run."""
    _, axes = plt.subplots(1, 2, figsize=(10, 3.2))
    for (name, values), colour in zip(runs.items(), CYCLE, strict=False):
        epochs = np.arange(1, len(values["loss"]) + 1)
        for axis, key in zip(axes, ("loss", "dice"), strict=True):
            axis.plot(epochs, values[key], "--", color=colour, label=f"{name}, training")
            axis.plot(
                epochs, values[f"val_{key}"], "o-", color=colour, markersize=4,
                label=f"{name}, validation",
            )  # fmt: skip
    axes[0].set(xlabel="epoch", ylabel="loss")
    axes[1].set(xlabel="epoch", ylabel="lesion Dice, mean over images", ylim=(0, 1))
    axes[1].legend(fontsize=8)
    for axis in axes:
        plain(axis)
    plt.tight_layout()


def predictions(
    pictures: np.ndarray,
    truth: np.ndarray,
    predicted: Mapping[str, np.ndarray],
    titles: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Show images as columns, the image first, then a row for each model.

    Green: lesion found. Orange: healthy tissue taken for lesion. Blue: lesion missed.

    Args:
        pictures: (N, H, W, 3), RGB 0..255.
        truth: (N, H, W) of 0 and 1.
        predicted: for each model (N, H, W) of 0 and 1.
        titles: for each model a title for each image.
    """
    rows, columns = len(predicted) + 1, len(pictures)
    _, axes = plt.subplots(rows, columns, figsize=(1.7 * columns, 1.85 * rows), squeeze=False)
    for column in range(columns):
        axes[0, column].imshow(_uint8(pictures[column]))
        for row, (name, masks) in enumerate(predicted.items(), start=1):
            axes[row, column].imshow(_verdict(pictures[column], truth[column], masks[column]))
            outline(axes[row, column], truth[column], "white", 1)
            if titles is not None:
                axes[row, column].set_title(titles[name][column], fontsize=9)
    for row, name in enumerate(("image", *predicted)):
        axes[row, 0].set_ylabel(name)
    bare(axes.flat)
    labels = {"lesion found": HIT, "false alarm": FALSE_ALARM, "missed": MISS}
    handles = [Patch(color=colour, label=label) for label, colour in labels.items()]
    plt.tight_layout()
    plt.gcf().legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.01), ncols=3)


def sampling_steps(
    image: np.ndarray, mask: np.ndarray, threshold: float, margin: tuple[int, ...]
) -> None:
    """Show the sampling method on one image: lesion, ratio, edges, margin, crop."""
    tight, box = lesion_box(mask, 0), lesion_box(mask, margin)
    ratio = imbalance_ratio(mask)
    _, axes = plt.subplots(1, 4, figsize=(12, 3.2))
    verdict = "kept" if ratio >= threshold else "dropped"
    axes[0].imshow(_uint8(image))
    outline(axes[0], mask, ORANGE)
    axes[0].set_title(f"1. ratio {ratio:.1f}, {verdict} (>= {threshold:g})")
    axes[1].imshow(mask, cmap="gray", vmin=0, vmax=1)
    _rectangle(axes[1], tight, SKY)
    axes[1].set_title("2. edges of the lesion")
    axes[2].imshow(_uint8(image))
    _rectangle(axes[2], tight, SKY)
    _rectangle(axes[2], box, ORANGE)
    axes[2].set_title("3. margin for context")
    axes[3].imshow(_uint8(image[box.top : box.bottom, box.left : box.right]))
    axes[3].set_title(f"4. crop, {box.right - box.left} x {box.bottom - box.top} px")
    bare(axes)
    plt.tight_layout()


def zoom_steps(
    image: np.ndarray,
    box: np.ndarray,
    crop: np.ndarray,
    before: np.ndarray,
    near: np.ndarray,
    after: np.ndarray,
) -> None:
    """Show the zoom ensemble on one image: main model, box, crop, sampling model, vote.

    Args:
        image, crop: (S, S, 3), RGB 0..255.
        before, near, after: (S, S) probabilities of the lesion: the main model's, the sampling
            model's of the crop, and the vote.
        box: top, left, bottom, right in pixels.
    """
    _, axes = plt.subplots(1, 5, figsize=(13, 3))
    shown = {
        "image and box": _uint8(image),
        "main model": before,
        "the box, enlarged": _uint8(crop),
        "sampling model": near,
        "put back and averaged": after,
    }
    for axis, (title, values) in zip(axes, shown.items(), strict=True):
        axis.imshow(values, cmap="cividis", vmin=0, vmax=1)
        axis.set_title(title, fontsize=10)
    for axis in (axes[0], axes[1], axes[4]):
        _rectangle(axis, Box(*map(float, box)), ORANGE)
    bare(axes)
    plt.tight_layout()


def weight_sweep(weights: np.ndarray, dice: np.ndarray, chosen: float, published: float) -> None:
    """Show validation Dice over the weight of the main model, with the two weights marked."""
    _, axis = plt.subplots(figsize=(7, 3.2))
    axis.plot(weights, dice, "o-", color=BLUE, markersize=4)
    axis.axvline(published, color=ORANGE, linestyle="--", label="published, 1.01 : 1")
    axis.axvline(chosen, color=GREEN, linestyle=":", linewidth=2.5, label="best on validation")
    axis.set(xlabel="weight of the main model", ylabel="mean lesion Dice, validation images")
    axis.legend()
    plain(axis)


def score_intervals(scores: Mapping[str, Scores], metric: str = "dice") -> None:
    """Show each model's mean over images with its 95 % interval, above all single images."""
    _, axis = plt.subplots(figsize=(8, 0.7 * len(scores) + 1))
    jitter = np.random.default_rng(0)
    for row, (_name, result) in enumerate(scores.items()):
        values, interval = result.per_image[metric], result.summary()[metric]
        offsets = row + jitter.uniform(-0.25, 0.25, len(values))
        axis.plot(values, offsets, ".", color=SKY, markersize=4, alpha=0.7)
        axis.plot([interval.low, interval.high], [row, row], color=BLACK, linewidth=3)
        axis.plot(interval.mean, row, "D", color=ORANGE, markeredgecolor=BLACK)
    axis.set_yticks(range(len(scores)), list(scores))
    axis.set(xlabel=f"lesion {metric} per image", xlim=(-0.02, 1.02))
    axis.invert_yaxis()
    plain(axis)


def paired_differences(scores: Mapping[str, Scores], reference: str, metric: str = "dice") -> None:
    """Show each model minus the reference, image by image, with mean and 95 % interval."""
    others = [name for name in scores if name != reference]
    _, axes = plt.subplots(1, len(others), figsize=(4.2 * len(others), 3), squeeze=False)
    for axis, name in zip(axes[0], others, strict=True):
        difference = scores[name].per_image[metric] - scores[reference].per_image[metric]
        mean, low, high = bootstrap_mean(difference, scores[name].groups)
        ordered = np.sort(difference)
        axis.bar(range(len(ordered)), ordered, color=np.where(ordered < 0, ORANGE, BLUE), width=1)
        axis.axhspan(low, high, color=GREEN, alpha=0.3)
        axis.axhline(mean, color=GREEN, linewidth=2)
        axis.set_title(f"{name} - {reference}: {mean:+.4f} [{low:+.4f}, {high:+.4f}]", fontsize=9)
        axis.set_xlabel("images, sorted")
        plain(axis)
    axes[0, 0].set_ylabel(f"difference in {metric.capitalize()}")
    plt.tight_layout()


def disagreement(pictures: np.ndarray, truth: np.ndarray, lesion: Mapping[str, np.ndarray]) -> None:
    """Show lesion probabilities (N, H, W) of two models and where they differ, a row an image."""
    (first, second), rows = list(lesion), len(pictures)
    _, axes = plt.subplots(rows, 4, figsize=(9.5, 2.3 * rows), squeeze=False)
    for row in range(rows):
        maps = [lesion[first][row], lesion[second][row]]
        axes[row, 0].imshow(_uint8(pictures[row]))
        for axis, values in zip(axes[row, 1:], [*maps, np.abs(maps[0] - maps[1])], strict=True):
            shown = axis.imshow(values, cmap="cividis", vmin=0, vmax=1)
        for axis in axes[row]:
            outline(axis, truth[row], ORANGE)
    for axis, title in zip(axes[0], ("image", first, second, "disagreement"), strict=True):
        axis.set_title(title)
    bare(axes.flat)
    plt.colorbar(shown, ax=axes, fraction=0.02, label="probability of lesion, or difference")


def _grid(number: int, columns: int) -> list:
    columns = min(columns, number)
    rows = -(-number // columns)
    _, axes = plt.subplots(rows, columns, figsize=(1.8 * columns, 1.95 * rows), squeeze=False)
    bare(axes.flat)
    for axis in axes.flat[number:]:
        axis.set_visible(False)
    plt.tight_layout(pad=0.4)
    return list(axes.flat[:number])


def _verdict(image: np.ndarray, truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return the image with a border, and a tint that hides no tissue, for each part."""
    shown = np.array(_uint8(image), "float32")
    truth, predicted = truth.astype(bool), predicted.astype(bool)
    parts = {HIT: truth & predicted, FALSE_ALARM: ~truth & predicted, MISS: truth & ~predicted}
    for colour, part in parts.items():
        tint = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
        shown[part] = (1 - TINT) * shown[part] + TINT * tint
        shown[find_boundaries(part, mode="inner")] = tint
    return shown.astype("uint8")


def _rectangle(axis, box, colour: str) -> None:
    corner = (box.left - 0.5, box.top - 0.5)
    size = (box.right - box.left, box.bottom - box.top)
    axis.add_patch(Rectangle(corner, *size, fill=False, edgecolor=colour, linewidth=2.5))


def _uint8(image: np.ndarray) -> np.ndarray:
    return np.clip(np.round(np.asarray(image)), 0, 255).astype("uint8")


def outline(axis, mask: np.ndarray, colour: str, width: float = 1.5) -> None:
    """Draw the border of a mask (H, W) into axes that show a picture."""
    if np.any(mask) and not np.all(mask):
        axis.contour(mask, [0.5], colors=[colour], linewidths=width)


def bare(axes) -> None:
    """Take the ticks off axes that show pictures."""
    for axis in axes:
        axis.set(xticks=[], yticks=[])


def plain(axis) -> None:
    """Leave an axis its left and lower line, with a light grid."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.3)


def _draw_training(axis) -> None:
    (picture, mask), (other, _) = (draw_phantom(np.random.default_rng(n), 0.08) for n in (26, 24))
    tight, box = lesion_box(mask, 0), lesion_box(mask)
    shown = _picture(axis, (1.9, 5), picture, BLACK)
    outline(shown, mask, SKY)
    axis.text(3.3, 5, "images\nand masks", va="center", fontsize=12)
    _arrow(axis, [(1.9, 6.25), (1.9, 8), (4.2, 8)], BLUE)
    _picture(axis, (5.4, 8), picture, BLUE)
    _picture(axis, (8.3, 8), other, BLUE)
    axis.text(6.85, 9.4, "whole images", ha="center", va="center", fontsize=12)
    _arrow(axis, [(1.9, 3.75), (1.9, 2), (4.2, 2)], ORANGE)
    axis.text(2.1, 3.1, "background\n/ lesion \u2265 3", va="center", fontsize=11)
    shown = _picture(axis, (5.4, 2), picture, ORANGE, "box + margin")
    _rectangle(shown, tight, SKY)
    _rectangle(shown, box, ORANGE)
    _arrow(axis, [(6.6, 2), (7.1, 2)], ORANGE)
    crop = picture[box.top : box.bottom, box.left : box.right]
    _picture(axis, (8.3, 2), crop, ORANGE, "crop")
    _arrow(axis, [(9.5, 8), (10.4, 8)], BLUE)
    _arrow(axis, [(9.5, 2), (10.4, 2)], ORANGE)


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


def _picture(axis, centre, picture: np.ndarray, colour: str, title: str = ""):
    """Draw a picture (H, W) or (H, W, 3) of side 2.2 in a frame; return axes in its pixels."""
    (x, y), half = centre, 1.1
    inner = axis.inset_axes((x - half, y - half, 2 * half, 2 * half), transform=axis.transData)
    inner.imshow(_uint8(picture) if picture.ndim == 3 else picture, cmap="cividis", aspect="auto")
    inner.spines[:].set(color=colour, linewidth=2.5)
    bare([inner])
    above = 1 if y >= 5 else -1
    axis.text(x, y + 1.4 * above, title, ha="center", va="center", fontsize=12)
    return inner


def _model(axis, centre, name: str, colour: str) -> None:
    """Draw a U-Net: a box with its name, and the heights of its layers."""
    x, y = centre
    _panel(axis, centre, (3.6, 2.4), "white", colour)
    axis.text(x, y + 0.8, name, ha="center", va="center", fontsize=13, weight="bold")
    for step, height in enumerate((0.9, 0.65, 0.4, 0.2, 0.4, 0.65, 0.9), start=-3):
        corner = (x + 0.3 * step - 0.09, y - height / 2)
        axis.add_patch(Rectangle(corner, 0.18, height, color=colour))
    axis.text(x, y - 0.85, "exponential loss", ha="center", va="center", fontsize=12)


def _panel(axis, centre, size, face: str, edge: str) -> None:
    corner = np.subtract(centre, np.divide(size, 2))
    style = "round,pad=0,rounding_size=0.25"
    shape = FancyBboxPatch(corner, *size, style, facecolor=face, edgecolor=edge, linewidth=2.5)
    axis.add_patch(shape)


def _arrow(axis, points: Sequence[tuple[float, float]], colour: str) -> None:
    """Draw a line through `points` with a head at the last."""
    axis.plot(*zip(*points[:-1], strict=True), color=colour, linewidth=2.5, solid_joinstyle="round")
    head = {"arrowstyle": "-|>,head_width=0.35,head_length=0.6", "color": colour, "linewidth": 2.5}
    axis.annotate("", points[-1], points[-2], arrowprops={**head, "shrinkA": 0, "shrinkB": 0})
