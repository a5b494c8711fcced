"""Scripts in processes of their own, measured in alternation.

A worker sets itself up, calls `serve`, and then measures one round whenever it is asked: what is
compared runs side by side under the same conditions, and set-up is paid once. Standard library
only, for the other environments import this file too.
"""

import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def serve(one_round: Callable[[], float], **about) -> None:
    """Say that all is ready, then answer each line of standard input with one measurement."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    print(json.dumps(about), file=answers)
    for _ in sys.stdin:
        print(json.dumps(one_round()), file=answers)


class Worker:
    """A script that calls `serve`, in a process of its own.

    Attributes:
        about: what the script said of itself (versions, say) when it was ready.
    """

    def __init__(self, command: list[str], log: Path, **env: str):
        log.parent.mkdir(parents=True, exist_ok=True)
        self.command, self.log = command, log
        settings = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT), **env}
        with open(log, "w") as stream:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=settings,
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
            )
        self.about = self._answer()

    def measure(self) -> float:
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(self.command)} ended early; see {self.log}")
        return json.loads(line)


def alternate(workers: dict[str, Worker], rounds: int) -> dict[str, list[float]]:
    """Ask each worker in turn, `rounds` times over."""
    results = {name: [] for name in workers}
    for _ in range(rounds):
        for name, worker in workers.items():
            results[name].append(worker.measure())
    return results


def compare(
    commands: dict[str, list[str]], rounds: int, scratch: Path
) -> tuple[dict[str, list], dict[str, dict]]:
    """Start a Worker for each command, alternate between them and end them.

    Returns:
        What each measured, and what each said of itself.
    """
    with contextlib.ExitStack() as ending:
        workers = {}
        for number, (name, command) in enumerate(commands.items()):
            workers[name] = Worker(command, scratch / f"worker-{number}.log")
            ending.callback(workers[name].close)
        about = {name: worker.about for name, worker in workers.items()}
        return alternate(workers, rounds), about


def once(command: list[str], **env: str) -> dict:
    """Run a script that prints one line of JSON last; return it."""
    settings = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT), **env}
    done = subprocess.run(
        command, cwd=ROOT, env=settings, text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def peak_megabytes() -> float:
    """Return the most memory this process has had, resident.

    From /proc where there is one: what getrusage says begins, on Linux, with the parent's.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def ratio(results: dict[str, list[float]], above: str, below: str) -> float:
    """Median of one over the median of the other."""
    return statistics.median(results[above]) / statistics.median(results[below])


def at_least(what: str, value: float, goal: float, unit: str = "x") -> dict:
    return _goal(what, value, goal, "at least", unit, value >= goal)


def at_most(what: str, value: float, goal: float, unit: str = "x") -> dict:
    return _goal(what, value, goal, "at most", unit, value <= goal)


def _goal(what: str, value: float, limit: float, sense: str, unit: str, met: bool) -> dict:
    goal = f"{sense} {limit:g}{unit}"
    value, met = float(value), bool(met)  # of NumPy's kinds JSON knows none
    return {"what": what, "value": value, "goal": goal, "limit": limit, "unit": unit, "met": met}
