"""Resized images and masks kept in one file, so that large files are decoded once."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from .pairing import Box, Pair
from .windows import small_image, small_mask

Windows = Sequence[tuple[Pair, Box | None]]


def read_row(pair: Pair, box: Box | None, size: int) -> np.ndarray:
    """Read a window of a pair at the network's size.

    Returns:
        (size, size, 4) uint8: red, green, blue 0..255, and the mask 0 or 1.
    """
    image, mask = small_image(pair.image, size, box), small_mask(pair.mask, size, box)
    return np.dstack([image, mask])


def cached_rows(windows: Windows, size: int, folder: str | Path) -> np.ndarray:
    """Return the rows of all windows from a file in a folder, which is made where it is missing.

    The file's name follows from the windows, the size, and the length and time of each file, so
    that changed data are read anew. It is written under another name and renamed when whole.

    Args:
        windows: pairs with their boxes.
        size: side of the resized images, pixels.
        folder: of the caches; made where missing. Old files in it are left alone.

    Returns:
        (N, size, size, 4) uint8, mapped from disk: memory is used for what is being read only.

    Raises:
        OSError: the folder cannot be written to, or the disk is full.
    """
    path = Path(folder) / f"{_key(windows, size)}.npy"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"partial-{path.name}")
        shape = (len(windows), size, size, 4)
        rows = np.lib.format.open_memmap(partial, "w+", "uint8", shape)

        def fill(index: int) -> None:
            rows[index] = read_row(*windows[index], size)

        with ThreadPoolExecutor() as threads:
            list(threads.map(fill, range(len(windows))))
        rows.flush()
        partial.replace(path)
    return np.load(path, mmap_mode="r")


def _key(windows: Windows, size: int) -> str:
    digest = hashlib.sha256(str(size).encode())
    for pair, box in windows:
        for file in pair[:2]:
            status = file.stat()
            state = (str(file.resolve()), status.st_size, status.st_mtime_ns, box)
            digest.update(repr(state).encode())
    return digest.hexdigest()[:16]
