"""The pictures that the notebooks let a student turn, each a plain function of plain numbers."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np

from ensemble_seg import plots
from ensemble_seg.evaluation import Scores
from ensemble_seg.losses import LOSSES, loss_by_name
from ensemble_seg.phantoms import draw_phantom
from ensemble_seg.sampling import imbalance_ratio

from ..study.calibration import reliability
from ..zoom import LesionBox, PasteAndVote, ZoomIn, zoom_steps

Arrays = Sequence[np.ndarray]
HERE = Path(__file__).parent
GRID = np.linspace(0.02, 0.98, 49)
WEIGHTS = np.linspace(0, 1, 21)
STYLES = ("-", "--", "-.", ":")
# in the colours of notebook 1
SHOWN_FIRST = ("exponential", "exponential-single-softmax", "cross-entropy", "dice")


def draw_losses(p: float = 0.1) -> None:
    """Show what each loss costs, and how hard it pulls, where every true class has probability p.

    The image has 100 pixels, 10 of them lesion. The pull is the slope for the logit of one lesion
    pixel, times 100; what cannot be told from 0 is drawn at the lower border.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6))
    names = [*SHOWN_FIRST, *(name for name in LOSSES if name not in SHOWN_FIRST)]
    for number, name in enumerate(names):
        colour, style = plots.CYCLE[number % len(plots.CYCLE)], STYLES[number % len(STYLES)]
        curves = losses_and_pulls(name)
        at = [np.interp(p, GRID, values) for values in curves]
        label = f"{name}: {at[0]:.2f}, {at[1]:.3f}"
        for axis, values, here in zip(axes, curves, at, strict=True):
            axis.plot(GRID, values, style, color=colour, linewidth=2, label=label)
            axis.plot(p, here, "o", color=colour)
    for axis, title in zip(axes, ("loss of the image", "pull on a lesion pixel"), strict=True):
        axis.axvline(p, color=plots.GREY, linewidth=1)
        axis.set(xlabel="probability of the true class", title=title)
        plots.plain(axis)
    axes[0].set_ylim(0, 4)
    axes[1].set(yscale="log", ylim=(1e-3, 3))
    plt.tight_layout()
    figure.legend(
        *axes[0].get_legend_handles_labels(), title=f"at p = {p:.2f}: loss, pull",
        loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2,
    )  # fmt: skip


@cache
def losses_and_pulls(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return loss and pull on a lesion pixel over `GRID`, as `draw_losses` draws them."""
    import tensorflow as tf  # not above: the module runs without it

    y_true = np.repeat(np.eye(2)[[1, 0]], [10, 90], axis=0).reshape(1, 10, 10, 2)
    y_true = np.repeat(y_true, len(GRID), axis=0).astype("float32")
    half = (np.log(GRID / (1 - GRID)) / 2).reshape(-1, 1, 1, 1)
    logits = tf.Variable(np.where(y_true > 0, half, -half).astype("float32"))
    with tf.GradientTape() as tape:
        each = loss_by_name(name).call(y_true, tf.nn.softmax(logits))
        losses = tf.reduce_mean(tf.reshape(each, (len(GRID), -1)), axis=1)
    pulls = np.abs(tape.gradient(losses, logits).numpy()[:, 0, 0, 1])
    return losses.numpy(), np.maximum(100 * pulls, 1e-3)


def draw_imbalance(fraction: float = 0.05, scene: int = 3) -> None:
    """Show a phantom with that much lesion, and what a model gets that finds nothing."""
    image, mask = draw_phantom(np.random.default_rng(scene), fraction)
    _, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), width_ratios=(1, 1.4))
    left.imshow(image)
    plots.outline(left, mask, plots.ORANGE)
    plots.bare([left])
    left.set_title(f"lesion {mask.mean():.1%}, ratio {imbalance_ratio(mask):.1f}")
    bars = {"pixels right": 1 - mask.mean(), "lesion Dice": 0.0}
    right.barh(list(bars), list(bars.values()), color=(plots.BLUE, plots.ORANGE))
    for row, value in enumerate(bars.values()):
        right.text(value + 0.01, row, f"{value:.1%}" if value else "0", va="center")
    right.set(xlim=(0, 1.15), title="a model that calls everything healthy")
    right.invert_yaxis()
    plots.plain(right)
    plt.tight_layout()


def draw_box(images: Arrays, masks: Arrays, number: int, threshold: float, margin: int) -> None:
    """Show the sampling method on one of the images; the second rung is half of the margin."""
    plots.sampling_steps(images[number], masks[number], threshold, (margin, margin // 2))


def draw_vote(
    maps: Arrays,
    truth: np.ndarray,
    pictures: np.ndarray,
    weight: float = 0.5,
    cut_off: float = 0.5,
    number: int = 0,
) -> None:
    """Show the Dice of a vote over the weight of the main model, and one of its decisions.

    Args:
        maps: of main and sampling model, (N, H, W) probabilities of the lesion.
        truth, pictures: (N, H, W) of 0 and 1, (N, H, W, 3) RGB 0..255.
        weight: of the main model; the sampling model has the rest.
        cut_off: a pixel above it is called lesion.
        number: of the picture that is shown.
    """

    def voted(weight: float) -> np.ndarray:
        return weight * maps[0] + (1 - weight) * maps[1] > cut_off

    def dice(weight: float) -> float:
        return Scores.from_masks(truth, voted(weight)).per_image["dice"].mean()

    _, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), width_ratios=(1.7, 1))
    left.plot(WEIGHTS, [dice(each) for each in WEIGHTS], color=plots.BLUE)
    marker = {"color": plots.ORANGE, "markeredgecolor": plots.BLACK, "markersize": 9}
    left.plot(weight, dice(weight), "o", **marker)
    left.set(xlabel="weight of the main model", ylabel="mean Dice of these images", ylim=(0, 1))
    left.set_title(f"weight {weight:.2f}, cut-off {cut_off:.2f}: Dice {dice(weight):.3f}")
    plots.plain(left)
    right.imshow(np.clip(pictures[number], 0, 255).astype("uint8"))
    plots.outline(right, truth[number], "white")
    plots.outline(right, voted(weight)[number], plots.ORANGE)
    right.set_title("white: truth, orange: vote", fontsize=9)
    plots.bare([right])
    plt.tight_layout()


def draw_zoom(
    main: keras.Model,
    sampling: keras.Model,
    images: np.ndarray,
    number: int = 0,
    margin: int = 16,
    share: float = 0.5,
) -> None:
    """Show one image on its way through a zoom ensemble; see `ensemble_lab.zoom`.

    Args:
        main, sampling: the two models.
        images: (N, S, S, 3), RGB 0..255.
        number: of the image.
        margin: around the main model's box, pixels.
        share: of the sampling model in the vote inside the box.
    """
    image = images[[number]]
    before = main.predict(image, verbose=0)
    box = LesionBox(margin)(before)
    crop = ZoomIn()([image, box])
    near = sampling.predict(np.asarray(crop), verbose=0)
    after = PasteAndVote((1 - share, share))([before, near, box])
    maps = [np.asarray(each)[0, ..., 1] for each in (before, near, after)]
    zoom_steps(image[0], np.asarray(box)[0], np.asarray(crop)[0], *maps)


def draw_where_lesions_lie(masks: Mapping[str, np.ndarray]) -> None:
    """Show for each place how often it is lesion: masks (N, H, W) of 0 and 1, a panel a name."""
    _, axes = plt.subplots(1, len(masks), figsize=(3.6 * len(masks) + 1, 3.4), squeeze=False)
    for axis, (name, each) in zip(axes[0], masks.items(), strict=True):
        shown = axis.imshow(each.mean(axis=0), cmap="cividis", vmin=0, vmax=1)
        axis.set_title(f"{name} ({len(each)})")
    plots.bare(axes[0])
    plt.colorbar(shown, ax=axes, fraction=0.03, label="share of the images that are lesion here")


def draw_reliability(maps: Mapping[str, np.ndarray], truth: np.ndarray) -> None:
    """Show whether probabilities mean what they say: share of lesion over probability given.

    Args:
        maps: for each model (N, H, W) probabilities of the lesion.
        truth: (N, H, W) of 0 and 1.
    """
    _, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8))
    left.plot([0, 1], [0, 1], ":", color=plots.BLACK, linewidth=1, label="means what it says")
    styles = zip(("o-", "s--", "^-."), (plots.BLUE, plots.ORANGE, plots.GREEN), strict=True)
    for (name, lesion), (style, colour) in zip(maps.items(), styles, strict=False):
        share, mean, true = np.array(reliability(lesion, truth)).T
        used = share > 0
        left.plot(mean[used], true[used], style, color=colour, label=name, markersize=5)
        middles = (np.arange(len(share)) + 0.5) / len(share)
        right.plot(middles[used], share[used], style, color=colour, markersize=5)
    left.set(ylim=(-0.02, 1.02), aspect="equal", ylabel="share that is lesion in truth")
    right.set(yscale="log", ylabel="share of all pixels")
    left.legend()
    for axis in (left, right):
        axis.set(xlim=(-0.02, 1.02), xlabel="probability of lesion")
        plots.plain(axis)
    plt.tight_layout()


def draw_study() -> None:
    """Show the study's verdicts on the claims that decide: study.png and study.txt beside this."""
    from IPython.display import Image, display

    print((HERE / "study.txt").read_text(encoding="utf-8"), end="")
    display(Image(filename=HERE / "study.png"))
