"""A pair of files cut to a window, at its own size or the network's, and a cache of the latter."""

import hashlib
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ..common.files import content_hash, require_disk, whole
from .images import read_image, small_image
from .lesion_values import LesionValues
from .masks import read_mask, small_mask
from .pairs import Box, Pair

Windows = Sequence[tuple[Pair, Box | None]]
CHANNELS = 4
BLOCK = 1 << 20  # bytes that are hashed at once
CACHE_VERSION = (
    5  # raise it when the same files are read to other pixels, or rows are laid out otherwise
)


def read_window(
    pair: Pair, box: Box | None = None, lesion_values: LesionValues | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Read the image and the mask of a pair at their own size, cut to a box if there is one.

    Returns:
        (H, W, 3) uint8 RGB and (H, W) uint8 of 0 and 1.
    """
    image, mask = read_image(pair.image), read_mask(pair.mask, lesion_values)
    if box is None:
        return image, mask
    top, left, bottom, right = box
    return image[top:bottom, left:right], mask[top:bottom, left:right]


def small_pair(
    pair: Pair, box: Box | None, size: int, lesion_values: LesionValues | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Read a window of a pair at the network's size: see `small_image` and `small_mask`."""
    return small_image(pair.image, size, box), small_mask(pair.mask, size, box, lesion_values)


def cached_reader(
    windows: Windows, size: int, folder: str | Path, lesion_values: LesionValues | None = None
) -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
    """Return what reads a window by its number, from a cache that is written first if need be.

    The cache is one file of (windows, size, size, 4) bytes, image and mask, read through a memory
    map, and their SHA-256. Its name follows from the windows, the size, the lesion's values and the
    content of each file, so that changed data are read anew. It appears whole or not at all; one
    that is damaged is made again.

    Args:
        windows: pairs with their boxes.
        size: side of the resized images, pixels.
        folder: of the caches; made where missing. Old files in it are left alone.
        lesion_values: as in `read_mask`.

    Returns:
        Function of an index: (size, size, 3) uint8 RGB and (size, size) uint8 of 0 and 1.

    Raises:
        OSError: the folder cannot be written to, or the disk is too full.
    """
    path = Path(folder) / f"{_key(windows, size, lesion_values)}.cache"
    shape = (len(windows), size, size, CHANNELS)
    there = path.is_file()
    if not there or not _is_sound(path, math.prod(shape)):
        if there:
            print(f"{path}: damaged or cut off. It is made again.")
        _fill(path, windows, size, lesion_values)
    rows = np.memmap(path, "uint8", "r", shape=shape)

    def read(index: int) -> tuple[np.ndarray, np.ndarray]:
        row = np.asarray(rows[index])
        return row[..., :3], row[..., 3]

    return read


def _fill(path: Path, windows: Windows, size: int, lesion_values: LesionValues | None) -> None:
    def row(window: tuple[Pair, Box | None]) -> bytes:
        return np.dstack(small_pair(*window, size, lesion_values)).tobytes()

    digest = hashlib.sha256()
    kept = "Nothing half-written is left. ENSEMBLE_SEG_CACHE_DIR names its folder."
    with (
        whole(path, kept) as partial,
        open(partial, "xb") as file,
        ThreadPoolExecutor() as threads,
    ):
        require_disk(path.parent, len(windows) * size**2 * CHANNELS, "the cache")
        # Not through the memory map: where the disk fills up, that ends the process.
        for pixels in threads.map(row, windows):
            digest.update(pixels)
            file.write(pixels)
        file.write(digest.digest())


def _is_sound(path: Path, length: int) -> bool:
    """Say whether a cache has so many bytes, and behind them the SHA-256 of these."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for start in range(0, length, BLOCK):
            digest.update(file.read(min(BLOCK, length - start)))
        return file.read() == digest.digest()


def _key(windows: Windows, size: int, lesion_values: LesionValues | None) -> str:
    digest = hashlib.sha256(f"{CACHE_VERSION} {size} {lesion_values}".encode())
    for pair, box in windows:
        digest.update(content_hash(pair.image) + content_hash(pair.mask) + repr(box).encode())
    return digest.hexdigest()[:16]
