"""Every figure of the notebooks. Colours are those of Okabe and Ito, told apart by everybody."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyBboxPatch, Patch, Rectangle
from skimage.filters import gaussian
from skimage.segmentation import find_boundaries

from .datasets import all_pairs, find_folder
from .evaluation import Scores, bootstrap_mean
from .reading.images import read_image
from .reading.masks import read_mask
from .reading.pairs import Box
from .sampling import imbalance_ratio, lesion_box

ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, RED, PINK, BLACK = "#0072B2", "#D55E00", "#CC79A7", "#000000"
CYCLE = (BLUE, ORANGE, GREEN, PINK, RED, SKY, BLACK)
HIT, FALSE_ALARM, MISS = GREEN, ORANGE, BLUE


def architecture() -> None:
    """Draw the method from data to mask: two models, one trained on images, one on crops, vote.

    The pictures are phantoms. The softmax maps are schematic: blurred truth, nothing is trained.

    Example:
        >>> architecture()
        >>> plt.close()
    """
    pairs = {pair.image.stem: pair for pair in all_pairs(find_folder("phantoms"))}
    seen, new = pairs["phantom_199"], pairs["phantom_136"]
    picture, mask, truth = read_image(seen.image), read_mask(seen.mask), read_mask(new.mask)
    box = lesion_box(mask)
    _, axis = plt.subplots(figsize=(12, 5.2), facecolor="white")
    axis.set(xlim=(0, 24), ylim=(-0.3, 10), aspect="equal")
    axis.axis("off")
    _thumbnail(axis, (0.1, 3.7), 2.6, picture, "training images", BLACK, mask)
    for x, text in ((6.0, "training"), (15.6, "prediction")):
        axis.text(x, 4.9, text, ha="center", va="center", fontsize=14, color="#666666")
    _step(axis, (3.5, 8.2), (3.2, 1.4), "whole images", BLUE)
    _step(axis, (3.5, 1.4), (3.2, 1.4), "sampling:\nratio, box, margin", GREEN)
    crop = picture[box.top : box.bottom, box.left : box.right]
    _thumbnail(axis, (7.4, 7.2), 2.1, picture, "", BLUE)
    _thumbnail(axis, (7.4, 0.4), 2.1, crop, "", GREEN)
    _thumbnail(axis, (11.0, 3.9), 2.2, read_image(new.image), "", BLACK)
    axis.text(10.8, 5.0, "a new\nimage", ha="right", va="center", fontsize=11)
    for middle, colour, model in ((8.2, BLUE, "main model"), (1.4, GREEN, "sampling model")):
        up = 1 if middle > 5 else -1
        text = f"{model}\nU-Net, ResNet-101,\nexponential loss"
        _step(axis, (10.3, middle), (3.6, 2.2), text, colour)
        lesion = gaussian(np.roll(truth.astype(float), 5 * up, axis=1), 5)
        _thumbnail(axis, (15.2, middle - 1.05), 2.1, lesion, "softmax map", colour)
        _arrow(axis, (1.4, 7.3 if up > 0 else 3.5), (3.4, middle), colour)
        for start, end in ((6.8, 7.3), (9.6, 10.2), (14.0, 15.1)):
            _arrow(axis, (start, middle), (end, middle), colour)
        _arrow(axis, (12.1, 5.0 + 1.2 * up), (12.1, 4.8 + 2.2 * up), BLACK)
        _arrow(axis, (17.4, middle), (19.2, 4.9 + 1.1 * up), colour)
    _step(axis, (17.9, 4.9), (2.7, 2.0), "weighted\naverage\n1.01 : 1", BLACK)
    _arrow(axis, (20.7, 4.9), (21.4, 4.9), BLACK)
    _thumbnail(axis, (21.5, 3.7), 2.3, truth, "mask", BLACK)
    plt.tight_layout(pad=0.2)


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
            _contour(axis, masks[number], ORANGE)
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
    _contour(axes[0], mask, ORANGE)
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
    _, axes = plt.subplots(1, len(others), figsize=(4 * len(others), 3), sharey=True, squeeze=False)
    for axis, name in zip(axes[0], others, strict=True):
        difference = scores[name].per_image[metric] - scores[reference].per_image[metric]
        mean, low, high = bootstrap_mean(difference, scores[name].groups)
        ordered = np.sort(difference)
        axis.bar(range(len(ordered)), ordered, color=np.where(ordered < 0, ORANGE, BLUE), width=1)
        axis.axhspan(low, high, color=GREEN, alpha=0.3)
        axis.axhline(mean, color=GREEN, linewidth=2)
        axis.set_title(f"{name} - {reference}: {mean:+.3f} [{low:+.3f}, {high:+.3f}]", fontsize=9)
        axis.set_xlabel("images, sorted")
        plain(axis)
    axes[0, 0].set_ylabel(f"difference in {metric}")
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
            _contour(axis, truth[row], ORANGE)
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
    shown = np.array(_uint8(image), "float32")
    truth, predicted = truth.astype(bool), predicted.astype(bool)
    parts = {HIT: truth & predicted, FALSE_ALARM: ~truth & predicted, MISS: truth & ~predicted}
    for colour, part in parts.items():
        tint = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
        shown[part] = 0.45 * shown[part] + 0.55 * tint
    shown[find_boundaries(truth, mode="inner")] = 255
    return shown.astype("uint8")


def _contour(axis, mask: np.ndarray, colour: str) -> None:
    if np.any(mask) and not np.all(mask):
        axis.contour(mask, [0.5], colors=[colour], linewidths=1.5)


def _rectangle(axis, box, colour: str) -> None:
    corner = (box.left - 0.5, box.top - 0.5)
    size = (box.right - box.left, box.bottom - box.top)
    axis.add_patch(Rectangle(corner, *size, fill=False, edgecolor=colour, linewidth=2.5))


def _uint8(image: np.ndarray) -> np.ndarray:
    return np.clip(np.round(np.asarray(image)), 0, 255).astype("uint8")


def bare(axes) -> None:
    """Take the ticks off axes that show pictures."""
    for axis in axes:
        axis.set(xticks=[], yticks=[])


def plain(axis) -> None:
    """Leave an axis its left and lower line, with a light grid."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.3)


def _thumbnail(axis, corner, side: float, picture: np.ndarray, title: str, colour: str, mask=None):
    """Draw a picture (H, W) or (H, W, 3) with a frame, its lower left corner at `corner`."""
    x, y = corner
    shown = _uint8(picture) if picture.ndim == 3 else picture
    axis.imshow(shown, cmap="cividis", extent=(x, x + side, y, y + side), aspect="auto")
    if mask is not None:
        steps = (np.arange(len(mask)) + 0.5) * side / len(mask)
        axis.contour(x + steps, y + steps, mask[::-1], [0.5], colors=[ORANGE], linewidths=2)
    axis.add_patch(Rectangle(corner, side, side, fill=False, edgecolor=colour, linewidth=2.5))
    axis.text(x + side / 2, y + side + 0.2, title, ha="center", fontsize=11)
    axis.set(xlim=(0, 24), ylim=(-0.3, 10), aspect="equal")


def _step(axis, place, size, text: str, colour: str) -> None:
    """Draw a box of that size with text in it, the middle of its left side at `place`."""
    (x, y), (width, height) = place, size
    style = "round,pad=0,rounding_size=0.3"
    shape = FancyBboxPatch((x, y - height / 2), width, height, style, facecolor="white")
    shape.set(edgecolor=colour, linewidth=2.5)
    axis.add_patch(shape)
    axis.text(x + width / 2, y, text, ha="center", va="center", fontsize=11)


def _arrow(axis, start, end, colour: str) -> None:
    style = {"arrowstyle": "-|>,head_width=0.35,head_length=0.6", "color": colour, "linewidth": 2}
    axis.annotate("", end, start, arrowprops={**style, "shrinkA": 0, "shrinkB": 0})
