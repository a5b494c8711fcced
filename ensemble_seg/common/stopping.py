"""Ctrl-C and SIGTERM end a command with one message."""

import contextlib
import signal
import threading
from collections.abc import Iterator

INTERRUPTED = "Interrupted. Nothing half-written is left; run the same command again."


class TerminatedError(KeyboardInterrupt):
    """SIGTERM: what a cluster or a container sends before it ends a process."""


KINDS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: TerminatedError}
_came: list[type[KeyboardInterrupt]] = []


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt and SIGTERM `TerminatedError` in the main thread.

    A second one is passed over, so that what is half-written is removed and the message appears.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number, frame):
        for kind in KINDS:
            signal.signal(kind, signal.SIG_IGN)
        _came.append(KINDS[number])
        raise KINDS[number]

    before = {number: signal.signal(number, stop) for number in KINDS}
    try:
        yield
    finally:
        _came.clear()
        for number, handler in before.items():
            signal.signal(number, handler)


def raise_again() -> None:
    """Raise what came in within `terminable` and was lost on the way up; else do nothing.

    Python passes over whatever is raised while it removes an object, or in a library's callback.
    """
    if _came:
        raise _came[0]
