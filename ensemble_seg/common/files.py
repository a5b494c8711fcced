"""Files that are there whole or not at all, and what to say where the disk is full."""

import contextlib
import errno
import glob
import hashlib
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

PARTIAL = "partial-"
ABANDONED = 3600  # seconds
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
_HASHES: dict[str, tuple[tuple[int, ...], bytes]] = {}


@contextlib.contextmanager
def whole(path: str | Path, kept: str = "Nothing half-written is left.") -> Iterator[Path]:
    """Give a name beside `path`; what is written there becomes `path` when the block has ended.

    A file replaces an older one. A folder must not be there yet. Where the block fails, nothing is
    left of what it wrote, and `path` is as it was. What a killed process left of the same `path` is
    removed when nothing of it has changed for an hour.

    Args:
        path: file or folder to make, with the folders above it.
        kept: a sentence for the error of a full disk: what is left behind.

    Raises:
        OSError: the disk is full, or the folder cannot be written to.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with whole(Path(folder) / "note.txt") as partial:
        ...         _ = partial.write_text("done")
        ...     [file.name for file in Path(folder).iterdir()]
        ['note.txt']
    """
    path = Path(path)
    partial = path.with_name(f"{PARTIAL}{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        with clear_disk_errors(path, kept):
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(path)
            yield partial
            if partial.is_dir() and path.exists():
                raise FileExistsError(
                    f"{path}: exists; it was made while this ran. Remove it or name another folder."
                )
            partial.replace(path)
    finally:
        _remove(partial)


def remove_partial(folder: Path) -> None:
    """Remove what `whole` had begun in a folder when its process was killed."""
    for partial in folder.glob(f"{PARTIAL}*"):
        _remove(partial)


def require_disk(folder: Path, size: int, purpose: str) -> None:
    """Raise OSError where the disk of a folder has less than `size` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise OSError(
            f"{folder}: {purpose} needs {readable(size)} of free disk, found {readable(free)}. "
            "Free some space, or name another folder."
        )


def require_writable(folder: Path) -> None:
    """Raise OSError where nothing can be written to a folder, or where it cannot be made."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    with (
        clear_disk_errors(folder, "Nothing was written."),
        tempfile.NamedTemporaryFile(dir=there, prefix=PARTIAL) as file,
    ):
        file.write(b"0")


@contextlib.contextmanager
def clear_disk_errors(path: Path, kept: str) -> Iterator[None]:
    """Turn what goes wrong while writing to `path` into one OSError that says what to do.

    Args:
        path: what to name in the error.
        kept: a sentence on what is left behind when the disk is full.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:  # HDF5 has the number in its text only
        number = getattr(error, "errno", None)
        if number in FULL_DISK or any(f"errno = {full}," in str(error) for full in FULL_DISK):
            raise OSError(
                f"{path}: no space left on the disk. {kept} Free some space and run the same "
                "command again, or name another folder."
            ) from error
        if number is None:
            raise
        raise OSError(
            f"{path}: cannot be written ({error.strerror}). Change the permissions, or name "
            "another folder."
        ) from error


def readable(size: int) -> str:
    """Return a number of bytes as people read it.

    Example:
        >>> readable(512), readable(46_227_172), readable(11_165_358_566)
        ('512 B', '46.2 MB', '11.2 GB')
    """
    if size < 1000:
        return f"{size} B"
    value = size / 1000
    for unit in ("kB", "MB"):
        if value < 999.95:
            return f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def content(path: str | Path) -> bytes:
    """Return the bytes of a file, and remember their SHA-256 for `content_hash`."""
    state = file_state(path)
    found = Path(path).read_bytes()
    _HASHES[str(path)] = (state, hashlib.sha256(found).digest())
    return found


def content_hash(path: str | Path) -> bytes:
    """Return the SHA-256 of a file's bytes, 32 bytes; a file is not read again until it changes."""
    if _HASHES.get(str(path), (None,))[0] != file_state(path):
        content(path)
    return _HASHES[str(path)][1]


def file_state(path: str | Path) -> tuple[int, ...]:
    """Return what changes with a file: also the time of the last change, which no copy sets."""
    status = Path(path).stat()
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def file_hash(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, 64 hex digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _remove_abandoned(path: Path) -> None:
    for left in path.parent.glob(f"{PARTIAL}????????-{glob.escape(path.name)}"):
        with contextlib.suppress(OSError):  # another process may be removing it
            newest = max(each.stat().st_mtime for each in (left, *left.rglob("*")))
            if time.time() - newest > ABANDONED:
                _remove(left)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        path.unlink()
