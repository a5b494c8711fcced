"""What the check found: a record for each pair, and all of them together."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

import numpy as np

from ..reading.pairs import Pair
from .duplicates import Near

RATIO = 3.0


@dataclass
class Record:
    """What is known about one pair; fields stay empty where its files cannot be read.

    Attributes:
        part, official: where it stands, and where its publisher put it ("" for nowhere).
        size, kind, turned: (height, width), "JPEG RGB" say, and if EXIF turns the image.
        plain: the image has one colour.
        copies: channels that equal the second (FLAIR in LGG): "first", "third".
        values: of the mask: "0/1", "0/255", "0/#800000", "greys", "only 0" or "as chosen".
        marks: what marks the lesion, as `MaskFile.lesion`.
        corners: all four corners of the mask are lesion.
        ambiguous, lesion, pixels: pixels of the mask, as `MaskFile.ambiguous`, lesion, and all.
    """

    pair: Pair
    part: str
    official: str
    size: tuple[int, int] | None = None
    kind: str = ""
    turned: bool = False
    plain: bool = False
    copies: tuple[str, ...] = ()
    values: str = ""
    marks: str = ""
    corners: bool = False
    ambiguous: int = 0
    lesion: int = 0
    pixels: int = 0
    hash: str = ""
    thumb: np.ndarray | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def fraction(self) -> float:
        """Lesion pixels / all pixels; NaN where the mask cannot be read."""
        return self.lesion / self.pixels if self.pixels else float("nan")

    @property
    def kept(self) -> bool:
        """Background / lesion is at least 3, so the sampling model trains on it."""
        return self.lesion > 0 and self.pixels - self.lesion >= RATIO * self.lesion


@dataclass(frozen=True)
class Inspection:
    """The result of `inspect_dataset`. `str` gives the table.

    Attributes:
        name, folder, split: of the data set, and how it was split, in words.
        exact: numbers of records whose image files are the same, byte for byte.
        near: pairs of records that show the same scene, across parts first, then by similarity.
        hash: of the files, as `Dataset.hash`; "" where training is impossible.
        problems, warnings: what makes training impossible, and what one should know.
        text: all of that as a table.
    """

    name: str
    folder: Path
    split: str
    records: tuple[Record, ...]
    exact: tuple[tuple[int, ...], ...]
    near: tuple[Near, ...]
    hash: str
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    text: str = ""

    @property
    def is_trainable(self) -> bool:
        """No problem, whatever the warnings."""
        return not self.problems

    @property
    def leaks(self) -> list[Near]:
        """The near duplicates that appear in two parts."""
        return [near for near in self.near if not self.same(near, "part")]

    def fractions(self, part: str = "") -> np.ndarray:
        """Return the lesion fractions of the readable masks of a part, or of all."""
        return np.array([r.fraction for r in self.records if r.pixels and part in ("", r.part)])

    def same(self, which: Sequence, what: str) -> bool:
        """Whether an entry of `exact` or `near` has one "part", "official" or "pair.group"."""
        numbers = which[:2] if isinstance(which, Near) else which
        return len({attrgetter(what)(self.records[number]) for number in numbers}) == 1

    def __str__(self) -> str:
        return self.text
