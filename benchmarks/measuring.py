"""Scripts in processes of their own, measured in turn.

A worker sets itself up, calls `serve`, and then measures one round whenever it is asked: what is
compared runs side by side under the same conditions, and set-up is paid once.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Measured(NamedTuple):
    """What a worker gave: a value for each round, and the most memory that it had."""

    values: list[float]
    megabytes: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.values)


class Row(NamedTuple):
    """A line of the report; each of the ratios is two names of `measured`."""

    title: str
    unit: str
    measured: dict[str, Measured]
    ratios: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


def serve(one_round: Callable[[], float]) -> None:
    """Say that all is ready, then answer each line of standard input with one measurement."""
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # what libraries print goes to standard error
    print("0", file=answers)
    for _ in sys.stdin:
        print(json.dumps([one_round(), peak_megabytes()]), file=answers)


def compare(commands: dict[str, list[str]], rounds: int, scratch: Path) -> dict[str, Measured]:
    """Start a worker for each command, ask them in turn `rounds` times over, and end them.

    Raises:
        RuntimeError: a worker ended early; its log is named.
    """
    answers: dict[str, list] = {name: [] for name in commands}
    with contextlib.ExitStack() as ending:
        workers = {}
        for number, (name, command) in enumerate(commands.items()):
            log = ending.enter_context(open(scratch / f"worker-{number}.log", "w"))
            workers[name] = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment(),
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
            ending.callback(_end, workers[name])
            _answer(workers[name], log.name)
        for _ in range(rounds):
            for number, (name, worker) in enumerate(workers.items()):
                worker.stdin.write("go\n")
                worker.stdin.flush()
                answers[name].append(_answer(worker, scratch / f"worker-{number}.log"))
    return {
        name: Measured([value for value, _ in each], each[-1][1]) for name, each in answers.items()
    }


def environment(**changes: str) -> dict[str, str]:
    """Return this process's environment without settings of ensemble_seg."""
    kept = {key: each for key, each in os.environ.items() if not key.startswith("ENSEMBLE_SEG_")}
    return {**kept, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT), **changes}


def run(*command: str, **changes: str) -> str:
    """Run a command to its end; return what it wrote to standard output."""
    settings = environment(**changes)
    done = subprocess.run(command, cwd=ROOT, env=settings, text=True, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def peak_megabytes() -> float | None:
    """Return the most memory that this process has had, resident; None where /proc is missing."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return None
    lines = status.read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def report(rows: list[Row], skipped: dict[str, str]) -> str:
    """Return a Markdown table of all rows, and why others are missing."""
    lines = ["| row | measured | ratio | memory |", "|---|---|---|---|"]
    for row in rows:
        cells = [row.title, *map("<br>".join, _columns(row))]
        lines.append(f"| {' | '.join(cells)} |")
    notes = [f"* {row.title}: {note}" for row in rows for note in row.notes]
    notes += [f"* {name} was left out: {why}" for name, why in skipped.items()]
    return "\n".join([*lines, "", *notes])


def number(value: float) -> str:
    """Three digits, or all of those before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _columns(row: Row) -> tuple[list[str], list[str], list[str]]:
    measured = [
        f"{name}: {number(each.median)} "
        f"[{number(min(each.values))}, {number(max(each.values))}] {row.unit}"
        for name, each in row.measured.items()
    ]
    pairs = [(row.measured[above], row.measured[below]) for above, below in row.ratios]
    names = [" / ".join(each) for each in row.ratios]
    ratios = [
        f"{name}: {number(above.median / below.median)}x"
        for name, (above, below) in zip(names, pairs, strict=True)
    ]
    memory = [
        f"{name}: {number(above.megabytes / below.megabytes)}x"
        for name, (above, below) in zip(names, pairs, strict=True)
        if above.megabytes and below.megabytes
    ]
    return measured, ratios, memory


def _answer(worker: subprocess.Popen, log: str | Path):
    line = worker.stdout.readline()
    if not line:
        raise RuntimeError(f"{' '.join(worker.args)} ended early; see {log}")
    return json.loads(line)


def _end(worker: subprocess.Popen) -> None:
    worker.stdin.close()
    worker.wait()
