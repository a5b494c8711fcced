"""Ctrl-C and SIGTERM end a command with one message."""

import contextlib
import signal
import threading
from collections.abc import Iterator


class TerminatedError(KeyboardInterrupt):
    """SIGTERM: what a cluster or a container sends before it ends a process."""


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM raise `TerminatedError` while the block runs in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number, frame):
        raise TerminatedError

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
