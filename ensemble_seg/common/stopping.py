"""Ctrl-C and SIGTERM end a command with one message."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

INTERRUPTED = "Interrupted. Nothing half-written is left; run the same command again."


class TerminatedError(KeyboardInterrupt):
    """SIGTERM: what a cluster or a container sends before it ends a process."""


KINDS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: TerminatedError}


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
        raise KINDS[number]

    before = {number: signal.signal(number, stop) for number in KINDS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def uninterrupted() -> Iterator[Callable[[], None]]:
    """Let a signal wait for the next call of what this gives, or for the end of the block.

    An exception that comes up in the middle of an operation can end the process in TensorFlow
    (which crashes where it comes while a number becomes a tensor), become another one (where a ZIP
    archive is written), or get lost (where an object is removed). A second signal does not wait.
    """
    before = {number: signal.getsignal(number) for number in KINDS}
    before = {number: handler for number, handler in before.items() if callable(handler)}
    if threading.current_thread() is not threading.main_thread():
        before = {}
    came = []

    def wait(number, frame):
        came.append(number)
        signal.signal(number, before[number])

    def answer():
        while came:
            number = came.pop()
            before[number](number, None)

    for number in before:
        signal.signal(number, wait)
    try:
        yield answer
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is wait:
                signal.signal(number, handler)
    answer()
