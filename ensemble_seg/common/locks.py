"""One process at a time in a folder, with a word on who is in it."""

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from .files import clear_disk_errors

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

NAME = "lock.json"
BEAT = 30.0  # seconds between the signs of life that a holder gives on a network drive
DEAD = 10 * BEAT  # a holder on another machine that is silent for so long is taken for dead


@contextlib.contextmanager
def held(folder: str | Path) -> Iterator[None]:
    """Hold a folder while the block runs; refuse where another process holds it.

    The lock ends with its process, however that ends: what a killed one left does not count. On a
    network drive, where a lock may not be seen from other machines, the holder also gives a sign of
    life every 30 s; a file of another machine that is silent for 300 s does not count either.

    Args:
        folder: made where missing. A file lock.json stands in it meanwhile.

    Raises:
        RuntimeError: another process holds the folder; its number and machine are named.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, held(folder):
        ...     [file.name for file in Path(folder).iterdir()]
        ['lock.json']
    """
    path = Path(folder) / NAME
    with clear_disk_errors(path, "Nothing was written."):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = _taken(path)
    over = threading.Event()
    beat = threading.Thread(target=_beat, args=(path, over), daemon=True)
    try:
        beat.start()
        yield
    finally:
        over.set()
        beat.join()
        if fcntl is None:  # Windows removes no file that is open
            os.close(file)
        with contextlib.suppress(OSError):  # else removed while locked: nobody has taken it over
            path.unlink()
        if fcntl is not None:
            os.close(file)


def refuse_if_held(folder: str | Path) -> None:
    """Raise RuntimeError where another process holds a folder; see `held`. Writes nothing."""
    path = Path(folder) / NAME
    if path.is_file():
        file = os.open(path, os.O_RDWR)
        try:
            _require_free(path, file)
        finally:
            os.close(file)


def _taken(path: Path) -> int:
    """Return the open lock file, locked and with this process' name in it."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _require_free(path, file)
            if _is_at(path, file):
                since = time.strftime("%Y-%m-%d %H:%M:%S")
                me = {"process": os.getpid(), "host": socket.gethostname(), "since": since}
                os.ftruncate(file, 0)
                os.lseek(file, 0, os.SEEK_SET)
                os.write(file, json.dumps(me).encode())
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)  # its holder removed it between the two calls


def _require_free(path: Path, file: int) -> None:
    age = time.time() - os.fstat(file).st_mtime
    holder = _holder(file)
    locked = _lock(file)
    if locked is False:
        raise _refusal(path, holder, "Wait until it has ended, or end it")
    here = not holder or holder["host"] == socket.gethostname()
    dead = _has_ended(holder) if locked is None and here else here
    if not dead and age < DEAD:
        raise _refusal(
            path,
            holder,
            f"From here it cannot be told whether it still runs; its last sign of life is {age:.0f}"
            f" s old. If it has ended, remove {path} or wait {DEAD:.0f} s",
        )


def _lock(file: int) -> bool | None:
    """Lock a file: True, False where another has it, None where the drive or system cannot."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _holder(file: int) -> dict:
    try:
        os.lseek(file, 0, os.SEEK_SET)
        found = json.loads(os.read(file, 1000))
        return {key: found[key] for key in ("process", "host", "since")}
    except (ValueError, KeyError, TypeError):
        return {}


def _has_ended(holder: dict) -> bool:
    if not holder or os.name != "posix":
        return not holder
    try:
        os.kill(int(holder["process"]), 0)
    except (ProcessLookupError, ValueError):
        return True
    except OSError:
        return False
    return False


def _is_at(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _refusal(path: Path, holder: dict, remedy: str) -> RuntimeError:
    who = "Another process"
    if holder:
        who = f"Process {holder['process']} on {holder['host']} (since {holder['since']})"
    return RuntimeError(
        f"{path.parent}: {who} works in this folder. {remedy}, then run the same command again."
    )


def _beat(path: Path, over: threading.Event) -> None:
    while not over.wait(BEAT):
        with contextlib.suppress(OSError):
            os.utime(path)
