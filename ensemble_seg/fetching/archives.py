"""Zip archives: checked, and extracted whole or not at all."""

import contextlib
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from tqdm import tqdm

from ..common.files import clear_disk_errors, require_disk


def extract(archive: str | Path, root: str, target: str | Path, partial: str | Path) -> None:
    """Extract one folder of a zip archive, whole or not at all.

    The files go to `partial`, which becomes `target` when all of them are there and their CRCs
    are right. Hidden files (.DS_Store) are left out.

    Args:
        archive: the zip file.
        root: the folder in it that is wanted. All else is left out.
        target: what that folder becomes. It must not exist.
        partial: a folder to make on the same disk; gone afterwards, whatever happens.

    Raises:
        ValueError: a damaged archive, one without that folder, or one with a symbolic link or a
            member that points out of it. Nothing is written but for a damage found on the way.
        OSError: not enough disk, or a folder that cannot be written.
    """
    archive, target, partial = Path(archive), Path(target), Path(partial)
    with _sound(archive), zipfile.ZipFile(archive) as zipped:
        members = _wanted(zipped, root, archive)
        size = sum(info.file_size for info in members.values())
        require_disk(partial.parent, size, f"extracting {archive.name}")
        try:
            with clear_disk_errors(partial.parent, "Nothing half-extracted is left."):
                _write(zipped, members, partial, archive.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def _sound(archive: Path) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ValueError(
            f"{archive}: expected a zip archive, found a file that cannot be extracted ({error}). "
            "Nothing half-extracted is left. Get the archive again."
        ) from error


def _wanted(
    zipped: zipfile.ZipFile, root: str, archive: Path
) -> dict[PurePosixPath, zipfile.ZipInfo]:
    for info in zipped.infolist():
        _refuse_unsafe(info, archive)
    files = {PurePosixPath(info.filename): info for info in zipped.infolist() if not info.is_dir()}
    wanted = {
        path.relative_to(root): info
        for path, info in files.items()
        if path.parts[:1] == (root,) and len(path.parts) > 1 and not path.name.startswith(".")
    }
    if not wanted:
        names = sorted({f"'{path.parts[0]}'" for path in files if path.parts})
        found = ", ".join(names[:5]) or "nothing"
        raise ValueError(
            f"{archive}: expected a folder '{root}' in the archive, found {found}. Nothing was "
            "extracted. Get the archive again."
        )
    return wanted


def _refuse_unsafe(info: zipfile.ZipInfo, archive: Path) -> None:
    name = info.orig_filename
    problem = None
    if stat.S_ISLNK(info.external_attr >> 16):
        problem = "is a symbolic link"
    elif name.startswith("/") or "\\" in name or PureWindowsPath(name).drive:
        problem = "has an absolute path, a drive or a backslash"
    elif ".." in PurePosixPath(name).parts:
        problem = "points out of its folder"
    if problem:
        raise ValueError(
            f"{archive}: expected plain files below one folder, but member '{name}' {problem}. "
            "Nothing was extracted. Get the archive again from its publisher."
        )


def _write(
    zipped: zipfile.ZipFile,
    members: dict[PurePosixPath, zipfile.ZipInfo],
    partial: Path,
    name: str,
) -> None:
    size = sum(info.file_size for info in members.values())
    with tqdm(total=size, unit="B", unit_scale=True, desc=f"extracting {name}") as bar:
        for member, info in members.items():
            path = partial / member
            path.parent.mkdir(parents=True, exist_ok=True)
            with zipped.open(info) as source, open(path, "wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
            bar.update(info.file_size)
