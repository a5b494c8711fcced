"""A command answers --help before TensorFlow is imported, and hides what that logs."""

import contextlib
import importlib
import os
import re
import signal
import sys
from types import ModuleType

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
# What is logged on every start, as TensorFlow 2.16 to 2.21 write it: what is normal, and three
# errors that are none: of plugins registered twice, of no GPU, of an operation with another kernel.
NOISE = re.compile(
    rb"WARNING: All log messages before absl"
    rb"|(\d{4}-\d\d-\d\d [\d:.]+: [IW]|[IW]\d{4}) "
    rb"|.*(Unable to register cu|failed call to cuInit: .*303|oneDNN supports DT_INT32 only)"
)


def reads_arguments() -> bool:
    """Whether python -m ensemble_seg has just begun: its arguments are read before all else."""
    return sys.argv[:1] == ["-m"] and "ensemble_seg" in sys.orig_argv


def import_whole(package: str, verbose: bool) -> None:
    """Import the public names of the package, which `reads_arguments` left out.

    Args:
        package: its name.
        verbose: show all that TensorFlow logs, as TF_CPP_MIN_LOG_LEVEL=0 does.
    """
    if hasattr(sys.modules[package], "unet"):
        return
    if verbose:
        os.environ[LEVEL] = "0"
    if os.environ.get(LEVEL) != "0" and hasattr(os, "fork") and sys.stderr is not None:
        hide_noise()
    import_keras()
    importlib.reload(sys.modules[package])


def import_keras() -> None:
    """Import Keras in two thirds of the time: without scikit-learn, matplotlib and IPython.

    Keras looks for them at its start, and from 3.16 on for scipy.signal, for wrappers, pictures and
    sounds that no command uses.
    """
    with contextlib.suppress(ImportError, ValueError):  # which common.environment says
        import_without("keras", "sklearn", "matplotlib", "IPython", "scipy.signal")


def import_without(package: str, *others: str) -> ModuleType:
    """Import a package as where others, which it can do without, are not installed.

    The others can be imported later as ever.
    """
    hidden = [name for name in others if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # None: not to be had
    try:
        return importlib.import_module(package)
    finally:
        for name in hidden:
            del sys.modules[name]


def hide_noise() -> None:
    """Let a process of its own sort the lines that libraries write, past sys.stderr, from now on.

    TensorFlow 2.21 writes many whatever its log level. What a library says before it ends this
    process is not lost so.
    """
    shown = os.dup(2)
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(writing)
        _sort(reading, shown)
    os.dup2(writing, 2)
    os.close(writing)
    os.close(reading)
    encoding = sys.stderr.encoding  # whole lines at once: the other process writes in between
    sys.stderr = os.fdopen(shown, "w", 1, encoding, "backslashreplace")


def _sort(reading: int, shown: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # it ends with the other process
    with open(reading, "rb") as lines, open(shown, "wb", buffering=0) as out:
        for line in lines:
            if not NOISE.match(line):
                out.write(line)
    os._exit(0)
