"""A pair of files cut to a window, at its own size or the network's, and a cache of the latter."""

import hashlib
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ..common.files import require_disk, whole
from .images import read_image, small_image
from .lesion_values import LesionValues
from .masks import read_mask, small_mask
from .pairs import Box, Pair

Windows = Sequence[tuple[Pair, Box | None]]
CHANNELS = 4
CACHE_VERSION = (
    4  # raise it when the same files are read to other pixels, or rows are laid out otherwise
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

    The cache is one .npy file of (windows, size, size, 4) bytes, image and mask, read through a
    memory map. Its name follows from the windows, the size, the lesion's values, and the length and
    time of each file, so that changed data are read anew. It appears whole or not at all.

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
    path = Path(folder) / f"{_key(windows, size, lesion_values)}.npy"
    if not path.is_file():
        _fill(path, windows, size, lesion_values)
    rows = np.load(path, mmap_mode="r")

    def read(index: int) -> tuple[np.ndarray, np.ndarray]:
        row = np.asarray(rows[index])
        return row[..., :3], row[..., 3]

    return read


def _fill(path: Path, windows: Windows, size: int, lesion_values: LesionValues | None) -> None:
    shape = (len(windows), size, size, CHANNELS)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}

    def row(window: tuple[Pair, Box | None]) -> bytes:
        return np.dstack(small_pair(*window, size, lesion_values)).tobytes()

    with whole(path) as partial, open(partial, "xb") as file, ThreadPoolExecutor() as threads:
        require_disk(path.parent, math.prod(shape), "the cache")
        np.lib.format.write_array_header_2_0(file, header)
        # Not through the memory map: where the disk fills up, that ends the process.
        file.writelines(threads.map(row, windows))


def _key(windows: Windows, size: int, lesion_values: LesionValues | None) -> str:
    digest = hashlib.sha256(f"{CACHE_VERSION} {size} {lesion_values}".encode())
    for pair, box in windows:
        for file in pair[:2]:
            status = file.stat()
            state = (str(file.absolute()), status.st_size, status.st_mtime_ns, box)
            digest.update(repr(state).encode())
    return digest.hexdigest()[:16]
