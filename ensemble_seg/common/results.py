"""A folder of results that knows what was written into it, and replaces nothing else."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from .files import PARTIAL, clear_disk_errors, file_hash, remove_partial, whole

RECORD = "predictions.json"  # lists the files, with their SHA-256


@contextlib.contextmanager
def results_folder(out: str | Path, about: dict) -> Iterator[Path]:
    """Give a folder to write files to, which take the place of earlier results when all are there.

    What is written below it goes to `out`, beside a record of it. Files that were not written this
    way, or were changed since, are never replaced; files at the top of `out` are left alone.

    Args:
        out: made where missing.
        about: what the record says beside the files.

    Raises:
        FileExistsError: `out` holds something else; see `require_own`.
        OSError: the disk is full, or the folder cannot be written to.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as above:
        ...     for name in ("a", "b"):
        ...         with results_folder(Path(above) / "out", {}) as folder:
        ...             _ = (folder / name).write_text(name)
        ...     sorted(path.name for path in (Path(above) / "out").iterdir())
        ['b', 'predictions.json']
    """
    out = Path(out)
    earlier = require_own(out)
    if not out.exists():
        with whole(out) as partial:
            partial.mkdir()
            yield partial
            _write_record(partial, about)
        return
    remove_partial(out)
    partial = out / f"{PARTIAL}results"
    try:
        with clear_disk_errors(out, "Nothing half-written is left."):
            partial.mkdir()
            yield partial
            _write_record(partial, about)
            _exchange(out, earlier, partial)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def require_own(out: Path) -> list[str]:
    """Return the names of the results in a folder, none where it is empty or missing.

    Raises:
        FileExistsError: there is something else in it, or a result was changed since.
    """
    if not out.exists():
        return []
    if not out.is_dir():
        raise FileExistsError(f"{out}: expected a folder to write to, found a file.")
    if not any(path for path in out.iterdir() if not path.name.startswith(PARTIAL)):
        return []
    files = _recorded(out / RECORD)
    if files is None:
        raise FileExistsError(
            f"{out}: not empty, and not made by this command ({RECORD} is missing or damaged). "
            "Nothing in it is replaced: name another folder to write to."
        )
    found = {path.relative_to(out).as_posix(): path for path in out.glob("*/**/*")}
    for name, path in sorted(found.items()):
        if path.is_file() and not name.startswith(PARTIAL) and files.get(name) != file_hash(path):
            what = "was changed since it was written" if name in files else "is no earlier result"
            raise FileExistsError(
                f"{path}: {what}, so the folder is left as it is. Name another folder to write to, "
                "or move the file elsewhere."
            )
    return list(files)


def _recorded(record: Path) -> dict[str, str] | None:
    """Return the hash of each file of a record; None where there is no sound one."""
    try:
        files = json.loads(record.read_text(encoding="utf-8"))["files"]
        inside = all(".." not in PurePosixPath(name).parts for name in files)
        inside = inside and not any(PurePosixPath(name).is_absolute() for name in files)
        return dict(files) if inside else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _write_record(folder: Path, about: dict) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    hashes = {path.relative_to(folder).as_posix(): file_hash(path) for path in files}
    text = json.dumps({**about, "files": hashes}, indent=2, ensure_ascii=False)
    (folder / RECORD).write_text(text + "\n", encoding="utf-8")


def _exchange(out: Path, earlier: list[str], partial: Path) -> None:
    """Replace earlier results; whenever this is cut off, the record covers all that is there."""
    for name in earlier:
        (out / name).unlink(missing_ok=True)
    (partial / RECORD).replace(out / RECORD)
    for path in sorted(partial.rglob("*")):
        if path.is_file():
            target = out / path.relative_to(partial)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
