"""What a call costs: seconds, and memory of this process."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measuring import peak_megabytes


def seconds(function: Callable, *arguments) -> float:
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def megabytes(function: Callable, *arguments) -> float:
    """Return by how much memory in use rises at most during a call.

    Above what it was before, on Linux; elsewhere above the highest it ever was.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = peak_megabytes()
    function(*arguments)
    return peak_megabytes() - before
