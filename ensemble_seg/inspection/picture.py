"""The picture of an inspection of a data set."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from ..common.files import whole
from ..datasets.splits import PARTS
from ..plots import BLACK, BLUE, GREEN, ORANGE, bare, plain
from ..reading.images import small_image
from .records import Inspection

COLOURS = dict(zip(PARTS, (BLUE, ORANGE, GREEN), strict=True))


def picture(found: Inspection, path: str | Path) -> None:
    """Write a histogram of the lesion fractions and, if there are any, the worst leaks as PNG."""
    leaks = found.leaks[:4]
    figure = plt.figure(figsize=(10, 4 + 2.9 * -(-len(leaks) // 2)), layout="constrained")
    heights = [4] + [2.9] * -(-len(leaks) // 2)
    grid = figure.add_gridspec(len(heights), 4, height_ratios=heights)
    _histogram(figure.add_subplot(grid[0, :]), found)
    for number, near in enumerate(leaks):
        for side in (0, 1):
            record = found.records[near[side]]
            axis = figure.add_subplot(grid[1 + number // 2, 2 * (number % 2) + side])
            axis.imshow(small_image(record.pair.image, 256))
            axis.set_title(f"{_short_name(record.pair.image.name)}\n{record.part}", fontsize=9)
            axis.set_xlabel("" if side else f"leak {number + 1}, similarity {near.similarity:.2f}")
            bare([axis])
    try:
        with whole(path) as partial:
            figure.savefig(partial, dpi=110, format="png")
    finally:
        plt.close(figure)


def _histogram(axis, found: Inspection) -> None:
    highest = 100 * found.fractions().max(initial=0)
    bins = np.linspace(0, max(40, 10 * np.ceil(highest / 10)), 41)
    values = {part: 100 * found.fractions(part) for part in PARTS}
    filled = {part: share[share > 0] for part, share in values.items()}
    axis.hist(
        list(filled.values()),
        bins,
        stacked=True,
        color=[COLOURS[part] for part in filled],
        label=[f"{part}, {len(share)} images with a lesion" for part, share in filled.items()],
    )
    share = 100 * np.mean([record.kept for record in found.records]) if found.records else 0
    axis.axvline(25, color=BLACK, linestyle="--")
    axis.annotate(
        f" ratio 3 (25 % lesion): the sampling\n model sees what lies left, {share:.0f} % of all",
        (25, 0.97),
        xycoords=("data", "axes fraction"),
        va="top",
    )
    empty = sum(int((share == 0).sum()) for share in values.values())
    title = f"{found.name}: how much of each image is lesion (stacked by part)"
    axis.set_title(f"{title}\n{empty} empty masks are not drawn" if empty else title)
    axis.set(xlabel="lesion pixels, % of the image", ylabel="images", xlim=(0, bins[-1]))
    axis.legend(loc="center right")
    plain(axis)


def _short_name(name: str, length: int = 30) -> str:
    return name if len(name) <= length else f"{name[: length // 2]}...{name[-length // 2 + 3 :]}"
