"""The pictures that the notebooks let a student turn, each a plain function of plain numbers."""

from collections.abc import Mapping, Sequence
from functools import cache

import keras
import matplotlib.pyplot as plt
import numpy as np

from ..datasets.phantoms import draw_phantom
from ..evaluation import Scores
from ..losses import LOSSES, loss_by_name
from ..plots import (
    BLACK,
    BLUE,
    CYCLE,
    GREEN,
    GREY,
    ORANGE,
    bare,
    outline,
    plain,
    sampling_steps,
    zoom_steps,
)  # fmt: skip
from ..sampling import imbalance_ratio
from ..study.calibration import reliability
from ..zooming import LesionBox, PasteAndVote, ZoomIn

GRID = np.linspace(0.02, 0.98, 49)
WEIGHTS = np.linspace(0, 1, 21)
STYLES = ("-", "--", "-.", ":")


def draw_losses(p: float = 0.1) -> None:
    """Show what each loss costs, and how hard it pulls, where every true class has probability p.

    The image has 100 pixels, 10 of them lesion. The pull is the slope for the logit of one lesion
    pixel, times 100; what cannot be told from 0 is drawn at the lower border.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6))
    for number, name in enumerate(sorted(LOSSES, key=_as_in_the_notebook)):
        colour, style = CYCLE[number % len(CYCLE)], STYLES[number % len(STYLES)]
        curves = losses_and_pulls(name)
        at = [np.interp(p, GRID, values) for values in curves]
        label = f"{name}: {at[0]:.2f}, {at[1]:.3f}"
        for axis, values, here in zip(axes, curves, at, strict=True):
            axis.plot(GRID, values, style, color=colour, linewidth=2, label=label)
            axis.plot(p, here, "o", color=colour)
    for axis, title in zip(axes, ("loss of the image", "pull on a lesion pixel"), strict=True):
        axis.axvline(p, color=GREY, linewidth=1)
        axis.set(xlabel="probability of the true class", title=title)
        plain(axis)
    axes[0].set_ylim(0, 4)
    axes[1].set(yscale="log", ylim=(1e-3, 3))
    plt.tight_layout()
    handles, labels = axes[0].get_legend_handles_labels()
    title = f"at p = {p:.2f}: loss, pull"
    figure.legend(
        handles, labels, title=title, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2
    )


def _as_in_the_notebook(name: str) -> int:
    """Those that the notebook draws first have the colours that they have there."""
    first = ("exponential", "exponential-single-softmax", "cross-entropy", "dice")
    return first.index(name) if name in first else len(first)


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
    outline(left, mask, ORANGE)
    bare([left])
    left.set_title(f"lesion {mask.mean():.1%}, ratio {imbalance_ratio(mask):.1f}")
    bars = {"pixels right": 1 - mask.mean(), "lesion Dice": 0.0}
    right.barh(list(bars), list(bars.values()), color=(BLUE, ORANGE))
    for row, value in enumerate(bars.values()):
        right.text(value + 0.01, row, f"{value:.1%}" if value else "0", va="center")
    right.set(xlim=(0, 1.15), title="a model that calls everything healthy")
    right.invert_yaxis()
    plain(right)
    plt.tight_layout()


def draw_box(
    images: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    number: int = 0,
    threshold: float = 3.0,
    margin: int = 20,
) -> None:
    """Show the sampling method on one of the images; the second rung is half of the margin."""
    sampling_steps(images[number], masks[number], threshold, (margin, margin // 2))


def draw_vote(
    maps: Sequence[np.ndarray],
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
    left.plot(WEIGHTS, [dice(each) for each in WEIGHTS], color=BLUE)
    left.plot(weight, dice(weight), "o", color=ORANGE, markeredgecolor=BLACK, markersize=9)
    left.set(xlabel="weight of the main model", ylabel="mean Dice of these images", ylim=(0, 1))
    left.set_title(f"weight {weight:.2f}, cut-off {cut_off:.2f}: Dice {dice(weight):.3f}")
    plain(left)
    right.imshow(np.clip(pictures[number], 0, 255).astype("uint8"))
    outline(right, truth[number], "white")
    outline(right, voted(weight)[number], ORANGE)
    right.set_title("white: truth, orange: vote", fontsize=9)
    bare([right])
    plt.tight_layout()


def draw_zoom(
    main: keras.Model,
    sampling: keras.Model,
    images: np.ndarray,
    number: int = 0,
    margin: int = 16,
    share: float = 0.5,
) -> None:
    """Show one image on its way through a zoom ensemble; see `ensemble_seg.zoom_ensemble`.

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
    bare(axes[0])
    plt.colorbar(shown, ax=axes, fraction=0.03, label="share of the images that are lesion here")


def draw_reliability(maps: Mapping[str, np.ndarray], truth: np.ndarray) -> None:
    """Show whether probabilities mean what they say: share of lesion over probability given.

    Args:
        maps: for each model (N, H, W) probabilities of the lesion.
        truth: (N, H, W) of 0 and 1.
    """
    _, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8))
    left.plot([0, 1], [0, 1], ":", color=BLACK, linewidth=1, label="means what it says")
    styles = zip(("o-", "s--", "^-."), (BLUE, ORANGE, GREEN), strict=True)
    for (name, lesion), (style, colour) in zip(maps.items(), styles, strict=False):
        share, mean, true = np.array(reliability(lesion, truth)).T
        used = share > 0
        left.plot(mean[used], true[used], style, color=colour, label=name, markersize=5)
        middles = (np.arange(len(share)) + 0.5) / len(share)
        right.plot(middles[used], share[used], style, color=colour, markersize=5)
    left.set(
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
        aspect="equal",
        ylabel="share that is lesion in truth",
    )
    right.set(yscale="log", ylabel="share of all pixels", xlim=(-0.02, 1.02))
    left.legend()
    for axis in (left, right):
        axis.set_xlabel("probability of lesion")
        plain(axis)
    plt.tight_layout()
