"""What a call costs: seconds, and memory of this process (Linux)."""

import re
import time
from collections.abc import Callable
from pathlib import Path

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def seconds(function: Callable, *arguments) -> float:
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def megabytes(function: Callable, *arguments) -> float:
    """Return by how much memory in use rises at most during a call, above what it was before."""
    RESET.write_text("5")  # the peak so far is forgotten
    before = _status("VmRSS")
    function(*arguments)
    return _status("VmHWM") - before


def peak_megabytes() -> float:
    """Return the most memory this process had in use so far."""
    return _status("VmHWM")


def _status(field: str) -> float:
    return int(re.search(rf"{field}:\s+(\d+) kB", STATUS.read_text())[1]) / 1024
