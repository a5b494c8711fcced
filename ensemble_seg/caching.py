"""Resized images and masks kept in one file, so that large files are decoded once."""

import hashlib
import shutil
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from .pairing import Box, Pair
from .windows import small_pair

Windows = Sequence[tuple[Pair, Box | None]]
CHANNELS = 4
RULE = 2  # raise it when the same files are read to other pixels, or rows are laid out otherwise


def cached_reader(
    windows: Windows, size: int, folder: str | Path
) -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
    """Return what reads a window by its number, from a cache that is written first if need be.

    The cache is one file, for each window an image of (size, size, 3) bytes and a mask of (size,
    size). Its name follows from the windows, the size, and the length and time of each file, so
    that changed data are read anew. It is written under another name and renamed when whole.

    Args:
        windows: pairs with their boxes.
        size: side of the resized images, pixels.
        folder: of the caches; made where missing. Old files in it are left alone.

    Returns:
        Function of an index: (size, size, 3) uint8 RGB and (size, size) uint8 of 0 and 1.

    Raises:
        OSError: the folder cannot be written to, or the disk is too full.
    """
    path = Path(folder) / f"{_key(windows, size)}.rows"
    row_bytes = size * size * CHANNELS
    if not path.is_file():
        _fill(path, windows, size)

    def read(index: int) -> tuple[np.ndarray, np.ndarray]:
        row = np.fromfile(path, "uint8", row_bytes, offset=int(index) * row_bytes)
        image, mask = np.split(row, [3 * size * size])
        return image.reshape(size, size, 3), mask.reshape(size, size)

    return read


def _fill(path: Path, windows: Windows, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    row_bytes = size * size * CHANNELS
    _require_space(path.parent, row_bytes * len(windows))
    partial = path.with_name(f"partial-{uuid.uuid4().hex}-{path.name}")

    def row(window: tuple[Pair, Box | None]) -> bytes:
        return b"".join(pixels.tobytes() for pixels in small_pair(*window, size))

    try:
        with open(partial, "xb") as file, ThreadPoolExecutor() as threads:
            file.writelines(threads.map(row, windows))
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _require_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            f"{folder}: expected {needed / 1e6:.0f} MB of free disk space for the cache. Found "
            f"{free / 1e6:.0f} MB. Name another folder, or go on without a cache."
        )


def _key(windows: Windows, size: int) -> str:
    digest = hashlib.sha256(f"{RULE} {size}".encode())
    for pair, box in windows:
        for file in pair[:2]:
            status = file.stat()
            state = (str(file.absolute()), status.st_size, status.st_mtime_ns, box)
            digest.update(repr(state).encode())
    return digest.hexdigest()[:16]
