"""What every source gives, and the choices of whoever imports."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass
class Item:
    """One image with its mask files (or functions that draw one, bool), and what its place says."""

    name: str  # of the files that are written
    path: Path
    masks: list[Path | Callable[[], np.ndarray]]
    folder: tuple[str, ...] = ()  # those above that are neither a part nor a word for images
    split: str = ""
    group: str = ""
    picture: Callable[[], np.ndarray] | None = None  # where the file alone is not the image


@dataclass
class Source:
    """What a source was taken for, its items, what was not read, and what should be known."""

    kind: str
    items: list[Item]
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class Options:
    """The choices; those of words take one or several.

    Attributes:
        lesion: values of masks that are lesion: 1, "1-255", "250,50,83" (a colour).
        group: a table's column, a regular expression of names, "folder" or "none".
        masks, images: folders or patterns of names that say which files are which.
        category: of annotations, by name.
        no_mask_is_healthy, no_mask_is_left_out: what an image without a mask is.
        ignore_parts: training, validation and test of the source do not count.
        copies_apart: copies of an image do not share a group.
        every: of slices without a lesion every n-th is taken.
        range_: lowest and highest value of images of more than 8 bits.
        upright: of images with an EXIF orientation: masks were drawn on the upright picture.
        odd_masks: "keep" or "leave-out" those that are unlike the others.
    """

    lesion: tuple = ()
    group: str | None = None
    masks: tuple = ()
    images: tuple = ()
    category: tuple = ()
    no_mask_is_healthy: bool = False
    no_mask_is_left_out: bool = False
    ignore_parts: bool = False
    copies_apart: bool = False
    every: int = 10
    range_: tuple[float, float] | None = None
    upright: bool | None = None
    odd_masks: str = ""

    def __post_init__(self) -> None:
        """Turn one word into a tuple of one."""
        for name in ("lesion", "masks", "images", "category"):
            value = getattr(self, name)
            words = (value,) if isinstance(value, (str, int, Path)) else value or ()
            setattr(self, name, tuple(map(str, words)))


def some(names, number: int = 4) -> str:
    """Return the first names of many, for a message."""
    names = [str(name) for name in names]
    return ", ".join(names[:number]) + (f" and {len(names) - number} more" * (len(names) > number))


def check_without(without: list, where: str, options: Options) -> None:
    """Refuse images without a mask where nobody said what they are."""
    if without and not (options.no_mask_is_healthy or options.no_mask_is_left_out):
        raise ValueError(
            f"{where}; no mask for {len(without)} images: {some(without)}. Healthy: "
            "--no-mask-is-healthy. Not annotated: --no-mask-is-left-out."
        )
