"""An image file, its mask file, and the window of them that is used."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Box(NamedTuple):
    """Half-open window of an image in pixels: rows top..bottom-1, columns left..right-1."""

    top: int
    left: int
    bottom: int
    right: int


class Pair(tuple):
    """An image file, its mask file, and the group (the patient, say) it belongs to.

    A tuple (Path, Path, str) that holds its paths as text: a third of the memory, so that a set of
    100,000 pairs weighs little.

    Example:
        >>> image, mask, group = pair = Pair("images/a7.jpg", "masks/a7.png", "a7")
        >>> image.stem, pair.mask.name, pair.group
        ('a7', 'a7.png', 'a7')
    """

    __slots__ = ()

    def __new__(cls, image: str | Path, mask: str | Path, group: str) -> "Pair":
        return super().__new__(cls, (str(image), str(mask), group))

    def __iter__(self) -> Iterator:
        return iter((self.image, self.mask, self.group))

    def __getitem__(self, index: int | slice) -> "Path | str | tuple":
        return (*self,)[index]

    @property
    def image(self) -> Path:
        return Path(super().__getitem__(0))

    @property
    def mask(self) -> Path:
        return Path(super().__getitem__(1))

    @property
    def group(self) -> str:
        return super().__getitem__(2)

    @property
    def names(self) -> tuple[str, str]:
        """Both paths as text, which costs less than a Path where there are a million."""
        return super().__getitem__(slice(2))

    def in_group(self, group: str) -> "Pair":
        """Return the same files in another group."""
        return Pair(*self[:2], group)

    def __getnewargs__(self) -> tuple:
        return (*self,)

    def __repr__(self) -> str:
        return f"Pair{(*map(str, self),)}"
