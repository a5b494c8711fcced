"""Virtual environments of their own for what we are compared with."""

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import ROOT


@dataclass(frozen=True)
class Environment:
    """`.venv-NAME`, made when it is first needed from `benchmarks/NAME/requirements.txt`.

    It is made with the first interpreter that fits of that in the variable NAME_PYTHON,
    those on the path named python3.X, newest first, and python3.

    Attributes:
        name: of the environment and of its folder beside this file.
        oldest, newest: Python 3.X that its packages run on.
    """

    name: str
    oldest: int
    newest: int

    @property
    def folder(self) -> Path:
        return ROOT / f".venv-{self.name}"

    @property
    def requirements(self) -> Path:
        return ROOT / "benchmarks" / self.name / "requirements.txt"

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @functools.cache  # noqa: B019 (there are two)
    def ready(self) -> tuple[str | None, str]:
        """Return its interpreter, or None, and why there is none; make it if needed."""
        if self.is_ready():
            return str(self.python), ""
        base, why = self.find_python()
        if base is None:
            return None, why
        print(f"Setting up {self.folder.name} with {base} (some minutes) ...", flush=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        install = ["sh", ROOT / "tools" / "install.sh", self.python]
        # Of an index that cannot be reached pip asks for each package, and waits before it retries.
        env = {**os.environ, "PIP_RETRIES": "1"}
        for command in ([base, "-m", "venv", self.folder], [*install, "-r", self.requirements]):
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
            if done.returncode:
                said = (done.stderr or done.stdout).strip() or f"exit status {done.returncode}"
                return None, f"{' '.join(map(str, command[1:4]))} failed: {said.splitlines()[-1]}"
        self._stamp.write_text(self.requirements.read_text())
        return str(self.python), ""

    def is_ready(self) -> bool:
        """Whether the environment is there, whole, with the versions wanted."""
        return self._stamp.is_file() and self._stamp.read_text() == self.requirements.read_text()

    def find_python(self) -> tuple[str | None, str]:
        """Return the first interpreter that fits, or None, and what was tried."""
        given = os.environ.get(f"{self.name.upper()}_PYTHON")
        numbered = (f"python3.{minor}" for minor in range(self.newest, self.oldest - 1, -1))
        tried = []
        for name in filter(None, (given, *numbered, "python3")):
            path = shutil.which(name)
            if path is None:
                tried.append(f"{name} is not there")
                continue
            command = [path, "-c", _CHECK, str(self.oldest), str(self.newest)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return done.stdout.split("\n")[-2], ""
            tried.append(f"{name}: {(done.stderr.strip() or 'does not run').splitlines()[-1]}")
        wanted = f"Python 3.{self.oldest} to 3.{self.newest}"
        return None, f"it needs {wanted}, and {'; '.join(tried)}"

    def versions(self) -> dict[str, str]:
        """Return Python's version and those of the packages that are asked for."""
        lines = self.requirements.read_text().splitlines()
        names = [line.split("==")[0] for line in lines if "==" in line]
        return versions(str(self.python), names)

    @property
    def _stamp(self) -> Path:
        return self.folder / ".ready"


def versions(python: str, names: Iterable[str]) -> dict[str, str]:
    """Return Python's version and those of the named packages that are installed."""
    done = subprocess.run(
        [python, "-c", _VERSIONS, *names], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


PUBLISHED_STACK = Environment("published", 9, 11)
PEER_STACK = Environment("peer", 10, 13)
_CHECK = """
import ensurepip, sys, venv
if not int(sys.argv[1]) <= sys.version_info[1] <= int(sys.argv[2]):
    sys.exit("is Python %d.%d" % sys.version_info[:2])
print(getattr(sys, "_base_executable", sys.executable))
"""
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
