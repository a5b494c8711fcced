"""Files that cannot be read: refused in one line that begins with their name."""

import functools
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path

from PIL import Image, UnidentifiedImageError

LONGEST = 200  # characters of what a decoder says
# Such images are refused below, and not decoded with a warning.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def names_its_file(read: Callable) -> Callable:
    """Decorate a function of a path: whatever it raises names the file, in one line.

    Decoders raise many kinds of errors on a damaged file, few of which say where it is.

    Example:
        >>> @names_its_file
        ... def read(path):
        ...     raise TypeError("Missing dimensions")
        >>> read("a.tif")
        Traceback (most recent call last):
        ValueError: a.tif: not an image that can be read (Missing dimensions). Replace ...
    """

    @functools.wraps(read)
    def named(path, *arguments, **options):
        path = Path(path)
        try:
            return read(path, *arguments, **options)
        except MemoryError:
            raise
        except Exception as error:
            if str(error).startswith(f"{path}: "):
                raise
            raise unreadable(path, error) from error

    return named


def unreadable(path: str | Path, reason: object) -> ValueError:
    """Return the error for a file whose content cannot be read."""
    text = str(reason) or type(reason).__name__
    if isinstance(reason, UnidentifiedImageError):
        text = "its content is of no known image format"
    elif isinstance(reason, Image.DecompressionBombError):
        text = f"it has far more pixels than the {Image.MAX_IMAGE_PIXELS:,} that are decoded"
    elif "truncated" in text.lower() or "incomplete checksum" in text:
        text = "it breaks off"
    text = textwrap.shorten(text.partition(". ")[0], LONGEST)
    return ValueError(
        f"{path}: not an image that can be read ({text}). Replace the file or leave it out."
    )


def require_pixels(path: str | Path, width: int, height: int) -> None:
    """Raise ValueError for an image of more pixels than Pillow holds to be harmless.

    The limit is PIL.Image.MAX_IMAGE_PIXELS, 89,478,485 where nobody changed it.

    Args:
        path: named in the error.
        width, height: as the header has them, before anything is decoded.
    """
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        raise ValueError(
            f"{path}: {width:,} x {height:,} pixels, more than the {limit:,} that are decoded. "
            "Save it smaller, or cut it into tiles."
        )
