"""Data sets from their publishers: fetched, verified and extracted, with one command."""

import contextlib
import os
import re
import shutil
import tempfile
from pathlib import Path

import requests

from ..common.errors import suggest
from ..common.files import clear_disk_errors, readable, require_disk
from ..datasets.sources import SOURCES, Archive
from .archives import extract
from .transfers import MIRROR, TIMEOUT, Resumable, by_hand, clear_network_errors

UNPACKED = 1.1


def download(name: str, data_dir: str | Path | None = None) -> Path:
    """Fetch a data set, verify it and extract it; return its folder.

    What is there already is not fetched again, and an interrupted download goes on where it
    stopped. An archive that lies in `data_dir` under its own name is used and kept. Otherwise
    ENSEMBLE_SEG_MIRROR is asked, a folder or an http address that has the archives; then the
    publisher. An archive that was fetched is removed once it is extracted.

    Args:
        name: "kvasir-seg", "isic-2018" (13.8 GB) or "lgg-mri" (has to be fetched by hand).
        data_dir: where the set's folder goes. Where it is None, ENSEMBLE_SEG_DATA_DIR is read;
            "data" where that is unset.

    Raises:
        ValueError: an unknown name, or an archive that is not what was expected.
        OSError: not enough disk, or a folder that cannot be written.
        RuntimeError: the server or the network did not do its part, or Kaggle requires a login.

    Example:
        >>> download("kvasir")
        Traceback (most recent call last):
        ValueError: Unknown data set 'kvasir'. Did you mean 'kvasir-seg'? Expected kvasir-seg, ...
    """
    if name not in SOURCES:
        raise ValueError(
            f"Unknown data set '{name}'.{suggest(name, SOURCES)} Expected {', '.join(SOURCES)}."
        )
    source, data_dir = SOURCES[name], Path(data_dir or os.getenv("ENSEMBLE_SEG_DATA_DIR") or "data")
    missing = [archive for archive in source.archives if not (data_dir / archive.target).is_dir()]
    if not missing:
        print(f"{name}: already in {data_dir / source.folder}")
        return data_dir / source.folder
    origins = {archive: _origin(archive, name, data_dir) for archive in missing}
    _prepare(data_dir, missing)
    _announce(name, origins, data_dir)
    for archive, origin in origins.items():
        _install(archive, origin, data_dir)
    return data_dir / source.folder


def _origin(archive: Archive, name: str, data_dir: Path) -> Path | str:
    """Return where an archive is taken from: a file that is here, or an address."""
    names = [archive.name, "archive.zip"] if archive.kaggle else [archive.name]
    for path in (data_dir / name for name in names):
        if path.is_file():
            return path
    mirror = os.environ.get(MIRROR)
    if mirror and mirror.startswith(("http://", "https://")):
        return f"{mirror.rstrip('/')}/{archive.name}"
    if mirror:
        path = Path(mirror) / archive.name
        if not path.is_file():
            raise FileNotFoundError(
                f"{MIRROR}={mirror}: expected {archive.name} in that folder, found no such file. "
                f"Put it there, or unset {MIRROR} to ask the publisher."
            )
        return path
    if archive.kaggle:
        raise _needs_login(archive, name, data_dir)
    return archive.url


def _needs_login(archive: Archive, name: str, data_dir: Path) -> RuntimeError:
    return RuntimeError(
        f"{archive.name}: Kaggle requires a login. Log in at {archive.url}, press Download, put "
        f"the file at {data_dir / archive.name} (or {data_dir / 'archive.zip'}) and run: python -m "
        f"ensemble_seg download {name} --data-dir {data_dir}. With Kaggle's own client and a "
        f"token: kaggle datasets download {archive.kaggle} -p {data_dir}, then the same command."
    )


def _prepare(data_dir: Path, archives: list[Archive]) -> None:
    """Make the data folder and clear away what an interrupted run has left there."""
    with clear_disk_errors(data_dir, "Nothing was fetched."):
        data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data_dir):
            pass
    for archive in archives:
        partial = _partial(archive, data_dir)
        if partial.is_dir():
            shutil.rmtree(partial)
            print(f"{partial}: removed; an extraction was interrupted there")
    for orphan in (data_dir / ".download").glob("tmp*"):
        orphan.unlink()


def _announce(name: str, origins: dict[Archive, Path | str], data_dir: Path) -> None:
    """Print what will be fetched and on which terms; refuse where the disk is too small."""
    sizes = {archive: _size(archive, origin, data_dir) for archive, origin in origins.items()}
    known = None not in sizes.values()
    total = f", {readable(sum(sizes.values()))}" if known else ""
    print(f"{name}: {len(origins)} archive{'s' * (len(origins) > 1)}{total}")
    for archive, origin in origins.items():
        size = "of unknown size" if sizes[archive] is None else readable(sizes[archive])
        note = "" if archive.sha256 else ", no checksum is published"
        print(f"  {archive.name}, {size}, from {origin}{note}")
    print(f"Terms: {SOURCES[name].terms}\nCite: {SOURCES[name].cite}")
    fetched = [archive for archive, origin in origins.items() if not isinstance(origin, Path)]
    unpacked = sum(int(UNPACKED * (sizes[archive] or 0)) for archive in fetched)
    missing = [(sizes[archive] or 0) - _arrived(archive, data_dir) for archive in fetched]
    needed = unpacked + max([0, *missing])
    free = shutil.disk_usage(data_dir).free
    about = f", about {readable(needed)} needed" if needed else ""
    print(f"Disk: {readable(free)} free in {data_dir}{about}")
    require_disk(data_dir, needed, f"{name}, archive and unpacked,")


def _size(archive: Archive, origin: Path | str, data_dir: Path) -> int | None:
    if isinstance(origin, Path):
        return origin.stat().st_size
    whole = data_dir / ".download" / archive.name
    if whole.is_file():
        return whole.stat().st_size
    if archive.bytes:
        return archive.bytes
    with clear_network_errors(origin, archive, data_dir / archive.name):
        response = requests.head(
            origin,
            headers={"Accept-Encoding": "identity"},
            allow_redirects=True,
            timeout=TIMEOUT,
        )
    size = response.headers.get("Content-Length", "")
    return int(size) if response.ok and size.isdigit() else None


def _arrived(archive: Archive, data_dir: Path) -> int:
    whole = data_dir / ".download" / archive.name
    return whole.stat().st_size if whole.is_file() else _resumable(archive, data_dir).arrived


def _install(archive: Archive, origin: Path | str, data_dir: Path) -> None:
    """Fetch one archive where it is not here, verify it, extract it; remove what was fetched."""
    folder = data_dir / ".download"
    if isinstance(origin, Path):
        path = origin
        _verify(path, archive)
    else:
        path = _retrieve(archive, origin, data_dir)
    if not archive.sha256:
        print(f"{archive.name}: sha256 {_sha256(path)}, not compared")
    try:
        extract(path, archive.root, data_dir / archive.target, _partial(archive, data_dir))
    except ValueError:
        _discard(path, folder)
        raise
    _discard(path, folder)


def _discard(path: Path, folder: Path) -> None:
    """Remove an archive if it was fetched, and the folders that this leaves empty."""
    if folder not in path.parents:
        return
    path.unlink()
    for parent in (path.parent, folder):
        with contextlib.suppress(OSError):
            parent.rmdir()


def _partial(archive: Archive, data_dir: Path) -> Path:
    return data_dir / f".partial-{Path(archive.target).name}"


def _resumable(archive: Archive, data_dir: Path) -> Resumable:
    part = data_dir / ".download" / f"{archive.name}.part"
    return Resumable(archive, part, data_dir / archive.name)


def _sha256(path: Path) -> str:
    import pooch  # not above: in Jupyter its import warns of a progress bar that nothing here uses

    return pooch.file_hash(str(path))


def _verify(path: Path, archive: Archive) -> None:
    found = _sha256(path) if archive.sha256 else None
    if found != archive.sha256:
        raise ValueError(
            f"{path}: expected sha256 {archive.sha256}, found {found}. It is damaged or another "
            "file. Replace it by a fresh download, or remove it."
        )


def _retrieve(archive: Archive, url: str, data_dir: Path) -> Path:
    import pooch

    fetch, folder = _resumable(archive, data_dir), data_dir / ".download"
    pooch.get_logger().setLevel("WARNING")
    try:
        with clear_disk_errors(fetch.part, "What has arrived is kept."):
            folder.mkdir(exist_ok=True)
            pooch.retrieve(url, archive.sha256, archive.name, folder, downloader=fetch)
    except ValueError as error:
        fetch.forget()
        hashes = re.findall(r"\b[0-9a-f]{64}\b", str(error))
        found = next((text for text in hashes if text != archive.sha256), "another")
        raise ValueError(
            f"{archive.name}: expected sha256 {archive.sha256}, found {found} in what {url} gave. "
            "The file was removed. Run the same command again; if that does not help, the "
            f"publisher has changed it. {by_hand('Find it', archive, fetch.place)}"
        ) from error
    fetch.forget()
    return folder / archive.name
