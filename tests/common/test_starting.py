"""What a command imports and prints before its work begins, in processes as users start them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ensemble_seg.common import starting

COMMAND = [sys.executable, "-m", "ensemble_seg"]
SCRIPT = """
import os, sys
sys.path.insert(0, sys.argv[1])
import starting
starting.hide_noise()
for line in LINES: os.write(2, line.encode() + b"\\n")
print("of Python", file=sys.stderr)
os.abort()
"""
NORMAL = [
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "I0000 00:00:1795664209.451594   20305 port.cc:153] oneDNN custom operations are on.",
    "W0000 00:00:1795664209.451594   20305 gpu_device.cc:2431] Cannot dlopen some libraries.",
    "2024-11-05 10:20:30.123456: I tensorflow/core/util/port.cc:113] oneDNN operations are on.",
    "E0000 00:00:1795664571.679561   21792 cuda_platform.cc:52] failed call to cuInit: INTERNAL: "
    "CUDA error: Failed call to cuInit: UNKNOWN ERROR (303)",
]
SERIOUS = [
    "E0000 00:00:1795664571.679561   21792 cuda_platform.cc:52] failed call to cuInit: INTERNAL: "
    "CUDA error: Failed call to cuInit: CUDA_ERROR_NO_DEVICE",
    "2024-11-05 10:20:30.123456: E tensorflow/core/framework/node.cc:5] no such kernel",
    "F0000 00:00:1795664571.679561   21792 cpu.cc:9] The processor has no AVX.",
    "It says so",
]


def run(*command, **variables):
    env = {key: value for key, value in os.environ.items() if key != starting.LEVEL}
    return subprocess.run(
        command, capture_output=True, text=True, env={**env, **variables}, timeout=300
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--help"], 0), (["train", "--help"], 0), (["fly"], 2), (["train", "--speed", "9"], 2)],
)
def test_usage_imports_nothing_that_takes_long(arguments, code):
    done = run(sys.executable, "-X", "importtime", *COMMAND[1:], *arguments)
    assert done.returncode == code
    assert "usage: python -m ensemble_seg" in done.stdout + done.stderr
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "ensemble_seg.commands" in imported
    assert not imported & {"tensorflow", "keras", "numpy", "scipy", "PIL"}


def test_a_command_prints_what_it_says_alone():
    done = run(*COMMAND, "predict", ".", "--model", "nowhere.keras")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("ensemble_seg: nowhere.keras: no such model.")
    assert done.stderr.count("\n") == 1


def test_a_command_imports_what_it_needs_alone():
    command = [sys.executable, "-X", "importtime", *COMMAND[1:], "predict", ".", "--model", "none"]
    done = run(*command)
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines() if "|" in line}
    assert {"keras.src", "ensemble_seg.predicting"} <= imported
    assert not imported & {"sklearn.base", "matplotlib.figure", "scipy.stats", "IPython.core"}


def test_what_was_hidden_from_keras_can_be_imported_later():
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import starting; starting.import_keras()\n"
        "assert 'keras' in sys.modules and 'sklearn' not in sys.modules\n"
        "import sklearn.model_selection, matplotlib.pyplot\n"
    )
    done = run(sys.executable, "-c", script, str(Path(starting.__file__).parent))
    assert done.returncode == 0, done.stderr


def test_verbose_shows_all_of_it(monkeypatch):
    """What TensorFlow logs depends on the machine: that it is asked for all is what counts."""
    monkeypatch.setitem(os.environ, starting.LEVEL, "2")
    monkeypatch.setitem(sys.modules, "not_whole", type(sys)("not_whole"))
    monkeypatch.setattr(starting.importlib, "reload", lambda module: None)
    monkeypatch.setattr(starting, "hide_noise", lambda: pytest.fail("hidden"))
    starting.import_whole("not_whole", verbose=True)
    assert os.environ[starting.LEVEL] == "0"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system: nothing is hidden")
def test_errors_are_shown_also_the_last_ones_of_a_process_that_aborts():
    script = SCRIPT.replace("LINES", repr([*NORMAL, *SERIOUS]))
    done = run(sys.executable, "-c", script, str(Path(starting.__file__).parent))
    assert done.returncode == -signal.SIGABRT
    assert sorted(done.stderr.splitlines()) == sorted([*SERIOUS, "of Python"])
