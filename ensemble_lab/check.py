"""What a data set holds, what is wrong with it, and what leaks between its parts."""

import csv
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ensemble_seg.pairing import PARTS, Pair, complete_parts, not_read, read_folder
from ensemble_seg.presets import Preset
from ensemble_seg.reading import mask_and_value, picture_size, small_image

from .duplicates import Near, near_duplicates, thumbnail

SIMILAR_PATIENTS = 0.85
COLOURS = ("#0072B2", "#E69F00", "#009E73")


@dataclass
class Row:
    """One pair: its part (and that by manifest.csv) and what its files hold, 0 where unreadable.

    `value` marks the lesion in the mask file.
    """

    pair: Pair
    part: str
    given: str
    height: int = 0
    width: int = 0
    pixels: int = 0
    lesion: int = 0
    value: int = 0
    problems: list[str] = field(default_factory=list)
    thumb: np.ndarray | None = None

    @property
    def share(self) -> float:
        """Lesion pixels, % of the image."""
        return 100 * self.lesion / max(self.pixels, 1)

    def is_kept(self, threshold: float) -> bool:
        """Whether the sampling step keeps it: background / lesion >= threshold."""
        return self.lesion > 0 and (self.pixels - self.lesion) / self.lesion >= threshold


@dataclass(frozen=True)
class Report:
    """What `check_folder` found.

    Attributes:
        folder, split: of the data set, and how it is split, in words.
        threshold: of the sampling step, by the preset.
        rows: one for each pair.
        near: pairs of rows that show the same scene, leaks between two parts first.
        problems, notes: what makes training impossible; what one should know.
    """

    folder: Path
    split: str
    threshold: float
    rows: list[Row]
    near: list[Near]
    problems: list[str]
    notes: list[str]

    @property
    def leaks(self) -> list[Near]:
        """The near duplicates that appear in two parts."""
        rows = self.rows
        return [near for near in self.near if rows[near[0]].part != rows[near[1]].part]

    def kept(self, *parts: str) -> str:
        """Say how many images of these parts the sampling step keeps."""
        read = [row for row in self.rows if row.part in parts and row.pixels]
        return f"{sum(row.is_kept(self.threshold) for row in read)} of {len(read)}"

    def text(self) -> str:
        """Return the facts, the problems and the notes, about one screen."""
        rows, counts = self.rows, Counter(row.part for row in self.rows)
        parts = ", ".join(f"{counts[part]} {part}" for part in PARTS)
        sizes = sorted((r.height * r.width, f"{r.width} x {r.height}") for r in rows if r.width)
        sizes = [text for _, text in sizes] or ["unknown"]
        kept, shares = self.kept("train"), [row.share for row in rows if row.lesion] or [0]
        low, middle, high = (f"{each:.1f} %" for each in np.percentile(shares, (10, 50, 90)))
        facts = {
            "folder": self.folder,
            "pairs": f"{len(rows)}: {parts} ({self.split})",
            "groups": len({row.pair.group for row in rows}),
            "image sizes": " to ".join(dict.fromkeys([sizes[0], sizes[-1]])),
            "lesion fraction": f"{middle}, 10th to 90th percentile {low} to {high} (not empty)",
            f"ratio >= {self.threshold:g}": f"{kept} training images, {self.kept(*PARTS)} in all",
            "empty masks": sum(row.lesion == 0 < row.pixels for row in rows),
            "near duplicates": f"{len(self.near)} pairs, {len(self.leaks)} of them across parts",
        }
        lines = [f"{name:17}{value}" for name, value in facts.items()]
        for title, messages in (("Problems", self.problems), ("Notes", self.notes)):
            if messages:
                lines += ["", f"{title} ({len(messages)})", *(f"  {each}" for each in messages)]
        verdict = "impossible, see the problems" if self.problems else "possible"
        return "\n".join([*lines, "", f"Training is {verdict}."])


def check_folder(folder: str | Path, preset: Preset, seed: int = 0) -> Report:
    """Read every file of a data set in the plain form; report what is there and all that is bad.

    Args:
        folder: as `ensemble_seg.data.find_folder` gives it.
        preset: what is to be trained: its limit and threshold decide whether the masks suffice.
        seed: of the split.

    Raises:
        ValueError: no plain form. Bad files are problems instead.
    """
    folder, given, problems = Path(folder), read_folder(folder), []
    part_of = {pair: part for part, pairs in given.items() for pair in pairs}
    try:
        parts = complete_parts(given, seed)
    except ValueError as error:
        parts, problems = {"train": tuple(part_of)}, [str(error)]
    rows = [Row(pair, part, part_of[pair]) for part, pairs in parts.items() for pair in pairs]
    with ThreadPoolExecutor() as threads:
        read = threads.map(_read, rows)
        list(tqdm(read, "check", len(rows), leave=False, unit=" pairs", disable=None))
    problems += [*(each for row in rows for each in row.problems), *_not_trainable(rows, preset)]
    split = "as given" if set(given) - {"", "train"} else f"at random by group, seed {seed}"
    report = Report(folder, split, preset.threshold, rows, _near(rows), problems, [])
    report.notes.extend([*not_read(folder), *_notes(report)])
    return report


def write_manifest(report: Report, path: str | Path) -> int:
    """Write a manifest that gives near duplicates one group, but in parts that are given.

    A split then keeps them together. Returns how many pairs got another group.
    """
    given = [row.given for row in report.rows]
    before = groups = [row.pair.group for row in report.rows]
    for first, second, _ in report.near:
        if given[first] == given[second]:
            groups = [groups[first] if group == groups[second] else group for group in groups]
    with open(path, "x", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["image", "mask", "group", "split"])
        for row, group in zip(report.rows, groups, strict=True):
            names = [Path(os.path.relpath(p, report.folder)).as_posix() for p in row.pair[:2]]
            table.writerow([*names, group, row.given])
    return sum(old != new for old, new in zip(before, groups, strict=True))


def picture(report: Report, path: str | Path) -> None:
    """Draw how much of each image is lesion, and what the sampling step keeps, as PNG."""
    from matplotlib.figure import Figure  # not pyplot: no window, whatever MPLBACKEND says

    figure = Figure((10, 4.5), layout="constrained")
    axis = figure.add_subplot()
    shares = [[r.share for r in report.rows if r.part == part and r.lesion] for part in PARTS]
    axis.hist(shares, 40, stacked=True, color=COLOURS, label=tuple(PARTS))
    label = f"ratio {report.threshold:g}: sampling keeps what lies left, {report.kept(*PARTS)}"
    axis.axvline(100 / (1 + report.threshold), color="black", linestyle="--", label=label)
    axis.set(title=report.folder.name, xlabel="lesion, % of the image (not empty)", ylabel="images")
    axis.legend()
    figure.savefig(path, dpi=110, format="png")


def _read(row: Row) -> None:
    try:
        row.thumb = thumbnail(small_image(row.pair.image, 128))
        row.height, row.width = picture_size(row.pair.image)
    except (OSError, ValueError) as error:
        row.problems.append(str(error))
    try:
        mask, row.value = mask_and_value(row.pair.mask)
        row.pixels, row.lesion = mask.size, int(np.count_nonzero(mask))
        if row.width and mask.shape != (row.height, row.width):
            sizes = f"{row.width} x {row.height} pixels. Found {mask.shape[1]} x {mask.shape[0]}"
            raise ValueError(f"{row.pair.mask}: expected the size of its image, {sizes}.")
    except (OSError, ValueError) as error:
        row.problems.append(str(error))


def _not_trainable(rows: list[Row], preset: Preset) -> Iterator[str]:
    """Give what makes training impossible though each file can be read."""
    for part in ("train", "validation"):
        used = [row for row in rows if row.part == part][: preset.limit or None]
        used = [row for row in used if row.pixels]
        if used and not any(row.lesion for row in used):
            yield f"Expected {part} images with a lesion, found none in {len(used)} masks."
        elif part == "train" and used and not any(r.is_kept(preset.threshold) for r in used):
            yield f"No training image has background / lesion >= {preset.threshold:g}: lower it."
    marks = {row.value: row.pair.mask.name for row in rows if row.value}
    if len(marks) > 1:
        found = ", ".join(f"{value} in {name}" for value, name in marks.items())
        yield f"Expected masks that mark the lesion with one value. Found {found}."


def _near(rows: list[Row]) -> list[Near]:
    """Find near duplicates; of equal pictures only the first is compared with others.

    Of two groups with several images each (patients) more likeness is asked.
    """
    seen = [n for n, row in enumerate(rows) if row.thumb is not None and row.thumb.any()]
    seen.sort(key=lambda n: rows[n].pair.image)  # so that the split does not change what is found
    first = {rows[n].thumb.tobytes(): n for n in reversed(seen)}
    again = ((first[rows[n].thumb.tobytes()], n) for n in seen)
    near = [Near(one, other, 1.0) for one, other in again if one != other]
    kept = [n for n in seen if first[rows[n].thumb.tobytes()] == n]
    members = Counter(row.pair.group for row in rows)
    for one, other, similarity in near_duplicates(np.array([rows[n].thumb for n in kept])):
        groups = {rows[kept[one]].pair.group, rows[kept[other]].pair.group}
        if similarity >= SIMILAR_PATIENTS or len(groups) == 1 or min(map(members.get, groups)) == 1:
            near.append(Near(kept[one], kept[other], similarity))
    return sorted(near, key=lambda each: rows[each.first].part == rows[each.second].part)


def _notes(report: Report) -> Iterator[str]:
    if np.median([row.share for row in report.rows if row.lesion] or [0]) > 50:
        yield "In most masks more than half is lesion. Look at them: they may be inverted."
    for first, second, similarity in report.leaks[:4]:
        rows = report.rows[first], report.rows[second]
        names = " and ".join(f"{row.pair.image.name} ({row.part})" for row in rows)
        yield f"A leak: {names} show the same, similarity {similarity:.2f}."
    if report.leaks:
        cure = "say so with your scores, or --write-manifest where the parts are not given"
        yield f"Leaks: {len(report.leaks)}. Not all test images are unseen: {cure}."
