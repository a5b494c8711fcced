"""The forest plot of the claims and the reliability diagram."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from ..common.files import whole
from ..plots import BLACK, BLUE, CYCLE, GREEN, ORANGE, PINK, RED, SKY, plain
from .results import Results, Row
from .statistics import MATTERS, REFUTED, SUPPORTED, TOO_SMALL

MARKERS = {SUPPORTED: "^", REFUTED: "v", TOO_SMALL: "s"}  # o: undecided
SHOWN = {"main": BLUE, "sampling": ORANGE, "ensemble": GREEN, "two-mains": PINK}
SHOWN |= {"ensemble-tempered": SKY, "cross-entropy": RED}
STEP = 0.11  # inches between the data sets of one claim


def forest(compared: Mapping[str, Sequence[Row]], path: str | Path | None = None) -> None:
    """Draw each claim's difference with its interval, where it was run, a colour a data set.

    Args:
        compared: for each data set its rows.
        path: of the PNG file; None to leave the figure open, as a notebook shows it.
    """
    run = [row for rows in compared.values() for row in rows if row.difference]
    texts = list(dict.fromkeys(row.text for row in run))
    height = STEP * (len(compared) + 1)
    figure, axis = plt.subplots(figsize=(9, 1.6 + height * len(texts)))
    for number in range(0, len(texts), 2):
        axis.axhspan(
            (number - 0.5) * height, (number + 0.5) * height, color=BLACK, alpha=0.04, lw=0
        )
    axis.axvspan(-MATTERS, MATTERS, color=BLACK, alpha=0.1, lw=0, label=f"less than {MATTERS}")
    axis.axvline(0, color=BLACK, linewidth=1)
    for number, (data, rows) in enumerate(compared.items()):
        colour = CYCLE[number % len(CYCLE)]
        axis.plot([], [], "-", color=colour, linewidth=3, label=data)
        for row in rows:
            if row.difference:
                y = texts.index(row.text) * height + STEP * (number - (len(compared) - 1) / 2)
                axis.plot(row.difference[1:3], [y, y], color=colour, linewidth=2)
                marker = MARKERS.get(row.verdict, "o")
                axis.plot(row.difference.mean, y, marker, color=colour, markeredgecolor=BLACK)
    axis.set_yticks(np.arange(len(texts)) * height, texts)
    axis.set_ylim((len(texts) - 0.5) * height, -0.5 * height)
    axis.set_xlabel("Dice per image, arm - control: better to the right. 95 % over seeds and cases")
    for label, marker in {**MARKERS, "undecided": "o"}.items():
        axis.plot([], [], marker, color="white", markeredgecolor=BLACK, label=label)
    figure.legend(loc="upper center", bbox_to_anchor=(0.5, 0.01), ncols=5, fontsize=8)
    plain(axis)
    axis.grid(visible=False, axis="y")
    figure.tight_layout()
    if path:
        _save(figure, path)


def reliability(every: Sequence[Results], path: str | Path) -> None:
    """Draw the share of lesion against the probability given, a panel for each data set.

    Args:
        every: the studies; bins are averaged over the seeds of an arm.
        path: of the PNG file.
    """
    columns = min(4, len(every))
    rows = -(-len(every) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(3.2 * columns, 3.2 * rows + 0.6), squeeze=False
    )
    for axis, results in zip(axes.flat, every, strict=False):
        axis.plot([0, 1], [0, 1], color=BLACK, linewidth=1, linestyle=":")
        for arm, colour in SHOWN.items():
            if results.arms.get(arm):
                axis.plot(*_curve(results.arms[arm]), "o-", color=colour, label=arm, markersize=3)
        axis.set(title=results.data, xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axis.set(xlabel="probability of lesion", ylabel="share of lesion")
        plain(axis)
    for axis in axes.flat[len(every) :]:
        axis.set_visible(False)
    handles = {
        label: handle
        for axis in axes.flat
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="lower center", ncols=6, frameon=False)
    figure.tight_layout(rect=(0, 0.08 / rows, 1, 1))
    _save(figure, path)


def _curve(seeds: Mapping[int, dict]) -> tuple[np.ndarray, np.ndarray]:
    bins = np.array([each["calibration"]["bins"] for each in seeds.values()])
    share = bins[..., 0].sum(axis=0)
    used = share > 0
    means = (bins[..., :1] * bins[..., 1:]).sum(axis=0)[used] / share[used, None]
    return means[:, 0], means[:, 1]


def _save(figure, path: str | Path) -> None:
    with whole(path) as partial:
        figure.savefig(partial, dpi=130, bbox_inches="tight", format="png")
    plt.close(figure)
