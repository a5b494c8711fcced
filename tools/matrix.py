"""Run the tests with every supported Python, and the oldest and newest TensorFlow and Keras.

python tools/matrix.py makes an environment for each in .venv-matrix/, runs pytest in it and prints
a table. What cannot be had here is said, and counts as not run.
"""

import argparse
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".venv-matrix"
# The first TensorFlow that pyproject.toml allows and that a Python has wheels of.
OLDEST = {"3.10": "2.16", "3.11": "2.16", "3.12": "2.16", "3.13": "2.20"}
OLDEST_KERAS = "3.12"
PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"


class Environment(NamedTuple):
    """A Python, what is asked for beside the package, and what then takes the place of Keras."""

    name: str
    python: str
    asked: tuple[str, ...] = ()
    keras: str = ""


ENVIRONMENTS = (
    *(
        Environment(f"{python}-oldest", python, (f"tensorflow=={tf}.*", f"keras=={OLDEST_KERAS}.*"))
        for python, tf in OLDEST.items()
    ),
    *(Environment(f"{python}-newest", python) for python in OLDEST),
    Environment("3.12-next-keras", "3.12", keras="keras-nightly"),
)


def main() -> int:
    """Return 1 where a test failed or nothing could be run, else 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=[each.name for each in ENVIRONMENTS])
    parser.add_argument("--no-tests", action="store_true", help="make the environments, no more")
    options = parser.parse_args()
    chosen = [each for each in ENVIRONMENTS if each.name in (options.only or each.name)]
    rows = [(each.name, *_result(each, not options.no_tests)) for each in chosen]
    print("\n| environment | TensorFlow, Keras | result |\n|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    results = [result.split(":")[0] for *_, result in rows]
    print(", ".join(f"{results.count(kind)} {kind}" for kind in (PASSED, FAILED, NOT_RUN)))
    nothing = set(results) == {NOT_RUN} and not options.no_tests
    return int(FAILED in results or nothing)


def _result(environment: Environment, tests: bool) -> tuple[str, str]:
    """Return the versions that were found, and how the tests ended."""
    folder = HOME / environment.name
    print(f"{environment.name} ...", flush=True)
    try:
        python = _made(folder, environment)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        return "-", f"{NOT_RUN}: {' '.join(said.split())[-150:]}"
    ask = "import keras, tensorflow; print(tensorflow.__version__, keras.__version__, sep=', ')"
    found = subprocess.run([python, "-c", ask], capture_output=True, text=True)
    if found.returncode:
        return "-", f"{FAILED}: {' '.join(found.stderr.split())[-150:]}"
    if not tests:
        return found.stdout.strip(), f"{NOT_RUN}: --no-tests"
    settings = {k: v for k, v in os.environ.items() if not k.startswith("ENSEMBLE_SEG_")}
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True)
    (folder / "pytest.txt").write_text(done.stdout + done.stderr)
    last = (done.stdout.strip().splitlines() or ["nothing was printed"])[-1].strip("= ")
    return found.stdout.strip(), f"{FAILED if done.returncode else PASSED}: {last}"


def _made(folder: Path, environment: Environment) -> Path:
    """Make an environment from nothing and return its Python."""
    shutil.rmtree(folder, ignore_errors=True)
    uv, python = _uv(), folder / "bin" / "python"
    _run([uv, "venv", "-q", "--python", environment.python, folder])
    install = [uv, "pip", "install", "-q", "--compile-bytecode", "--python", python]
    _run([*install, "-e", f"{ROOT}[test,notebooks]", *environment.asked])
    if environment.keras:
        _run([uv, "pip", "uninstall", "-q", "--python", python, "keras"])
        _run([*install, "--prerelease", "allow", environment.keras])
    return python


def _uv() -> Path | str:
    """Return uv, which also brings interpreters that are missing; install it where it is not."""
    found = shutil.which("uv")
    if found:
        return found
    own = HOME / "uv"
    if not (own / "bin" / "uv").exists():
        venv.create(own, with_pip=True)
        _run([own / "bin" / "python", "-m", "pip", "install", "-q", "uv"])
    return own / "bin" / "uv"


def _run(command: list) -> None:
    subprocess.run(list(map(str, command)), cwd=ROOT, check=True, capture_output=True, text=True)


if __name__ == "__main__":
    sys.exit(main())
