"""The published stack's own virtual environment, `.venv-published`."""

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from benchmarks.measuring import ROOT

FOLDER = ROOT / ".venv-published"
PYTHON = FOLDER / "bin" / "python"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
CHECK = """
import ensurepip, sys, venv
if not (3, 9) <= sys.version_info[:2] <= (3, 11):
    sys.exit("is Python %d.%d" % sys.version_info[:2])
print(getattr(sys, "_base_executable", sys.executable))
"""


@functools.cache
def published_python() -> tuple[str | None, str]:
    """Return its interpreter, or None, and why there is none; make the environment if needed.

    The interpreter it is made with is the first that runs of PUBLISHED_PYTHON, python3.11,
    python3.10, python3.9 and python3.
    """
    if stamped():
        return str(PYTHON), ""
    base, why = find_python()
    if base is None:
        return None, why
    print(f"Setting up {FOLDER.name} with {base} (a minute or two) ...", flush=True)
    shutil.rmtree(FOLDER, ignore_errors=True)
    install = [PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    for command in ([base, "-m", "venv", FOLDER], [*install, "-r", REQUIREMENTS]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr or done.stdout).strip() or f"exit status {done.returncode}"
            return None, f"{' '.join(map(str, command[1:4]))} failed: {said.splitlines()[-1]}"
    _STAMP.write_text(REQUIREMENTS.read_text())
    return str(PYTHON), ""


def stamped() -> bool:
    """Whether the environment is there, whole, with the versions wanted."""
    return _STAMP.is_file() and _STAMP.read_text() == REQUIREMENTS.read_text()


def find_python() -> tuple[str | None, str]:
    """Return the first interpreter that fits, or None, and what was tried."""
    tried = []
    for name in filter(None, (os.environ.get("PUBLISHED_PYTHON"), *_NAMES)):
        path = shutil.which(name)
        if path is None:
            tried.append(f"{name} is not there")
            continue
        done = subprocess.run([path, "-c", CHECK], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout.split("\n")[-2], ""
        tried.append(f"{name}: {(done.stderr.strip() or 'does not run').splitlines()[-1]}")
    return None, f"it needs Python 3.9, 3.10 or 3.11, and {'; '.join(tried)}"


def versions(python: str, names: Iterable[str]) -> dict[str, str]:
    """Return Python's version and those of the named packages that are installed."""
    done = subprocess.run(
        [python, "-c", _VERSIONS, *names], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def required() -> list[str]:
    """The names of the published stack's packages."""
    lines = REQUIREMENTS.read_text().splitlines()
    return [line.split("==")[0] for line in lines if "==" in line]


_STAMP = FOLDER / ".ready"
_NAMES = ("python3.11", "python3.10", "python3.9", "python3")
_VERSIONS = """
import importlib.metadata, json, platform, sys
found = {"Python": platform.python_version()}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""
