"""Every figure of the notebooks. Colours are those of Okabe and Ito, told apart by everybody."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Patch, Rectangle
from skimage.segmentation import find_boundaries

from .evaluation import Scores, bootstrap_mean
from .sampling import imbalance_ratio, lesion_box

ORANGE, SKY, GREEN, GREY = "#E69F00", "#56B4E9", "#009E73", "#555555"
BLUE, RED, PINK, BLACK = "#0072B2", "#D55E00", "#CC79A7", "#000000"
CYCLE = (BLUE, ORANGE, GREEN, PINK, RED, SKY, BLACK)
HIT, FALSE_ALARM, MISS = GREEN, ORANGE, BLUE
TINT = 0.3


def architecture() -> None:
    """Show the method: one model learns from images, one from crops; both vote on new images."""
    _, axis = plt.subplots(figsize=(12, 5.3), facecolor="white")
    axis.set_position((0, 0, 1, 1))
    axis.imshow(plt.imread(Path(__file__).with_name("architecture.png")))
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
    for (label, values), colour in zip(fractions.items(), cycle(CYCLE), strict=False):
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
    for (name, values), colour in zip(runs.items(), cycle(CYCLE), strict=False):
        epochs = np.arange(1, len(values["loss"]) + 1)
        for axis, key in zip(axes, ("loss", "dice"), strict=True):
            style = {"color": colour, "markersize": 4}
            axis.plot(epochs, values[key], "--", **style, label=f"{name}, training")
            axis.plot(epochs, values[f"val_{key}"], "o-", **style, label=f"{name}, validation")
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
    """Show images (N, H, W, 3) as columns, and below each a row for each model's mask (N, H, W).

    Green: lesion found. Orange: healthy tissue taken for lesion. Blue: lesion missed.
    """
    rows, columns = len(predicted) + 1, len(pictures)
    _, axes = plt.subplots(rows, columns, figsize=(1.7 * columns, 1.85 * rows), squeeze=False)
    for column, picture in enumerate(pictures):
        axes[0, column].imshow(_uint8(picture))
        for axis, (name, masks) in zip(axes[1:, column], predicted.items(), strict=True):
            axis.imshow(_verdict(picture, truth[column], masks[column]))
            outline(axis, truth[column], "white", 1)
            if titles is not None:
                axis.set_title(titles[name][column], fontsize=9)
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
    crop = image[box.top : box.bottom, box.left : box.right]
    titles = (
        f"1. ratio {ratio:.1f}, {'kept' if ratio >= threshold else 'dropped'} (>= {threshold:g})",
        "2. edges of the lesion",
        "3. margin for context",
        f"4. crop, {crop.shape[1]} x {crop.shape[0]} px",
    )
    _, axes = plt.subplots(1, 4, figsize=(12, 3.2))
    for axis, shown, title in zip(axes, (image, 255 * mask, image, crop), titles, strict=True):
        axis.imshow(_uint8(shown), cmap="gray", vmin=0, vmax=255)
        axis.set_title(title)
    outline(axes[0], mask, ORANGE)
    _rectangle(axes[1], tight, SKY)
    _rectangle(axes[2], tight, SKY)
    _rectangle(axes[2], box, ORANGE)
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
    for row, result in enumerate(scores.values()):
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
