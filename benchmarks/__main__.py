"""Measure rows and write benchmarks/REPORT.md: python -m benchmarks [row ...]."""

import argparse
import importlib
import json
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from .machine import about, commit
from .measuring import ROOT
from .reporting import write_report

FOLDER = ROOT / "runs" / "benchmark"
REPORT = ROOT / "benchmarks" / "REPORT.md"
ORDER = (
    "training",
    "peer",
    "encoder",
    "first_step",
    "inference",
    "predicting",
    "predict_large",
    "files",
    "sampling",
    "evaluation",
    "memory",
    "notebooks",
    "importing",
    "profile",
    "precision",
)


def main(arguments: list[str] | None = None) -> int:
    rows = load_rows()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=f"Measure rows and write {REPORT.name}. A row that was measured at this commit "
        f"is not repeated; remove its file in {FOLDER} to measure it again.",
    )
    parser.add_argument("rows", nargs="*", metavar="row", help=f"of {', '.join(rows)}; or all")
    parser.add_argument("--rounds", type=int, default=2, help="measurements of each (default: 2)")
    parser.add_argument("--report", action="store_true", help="only write the report again")
    chosen = parser.parse_args(arguments)
    if unknown := [name for name in chosen.rows if name not in rows]:
        parser.error(f"Unknown row '{unknown[0]}'. Rows: {', '.join(rows)}.")
    for name in () if chosen.report else chosen.rows or rows:
        if is_done(name, chosen.rounds):
            print(f"{name}: measured before", flush=True)
        else:
            run_row(name, rows[name], chosen.rounds)
    stored = [row for row in map(load_row, ORDER) if row]
    write_report(stored, REPORT)
    print(f"Written: {REPORT}")
    return int(any("error" in row for row in stored))


def load_rows() -> dict[str, Callable[[int, Path], dict | list[dict]]]:
    """Return the `measure` of each row that is there, in the order of the table."""
    folder = Path(__file__).parent / "rows"
    there = [name for name in ORDER if (folder / f"{name}.py").is_file()]
    return {name: importlib.import_module(f"benchmarks.rows.{name}").measure for name in there}


def run_row(name: str, measure: Callable, rounds: int) -> None:
    """Measure a row and store it; where it raises, store that and go on."""
    print(f"{name} ...", flush=True)
    scratch, start, measured_at = FOLDER / name, time.time(), commit()
    scratch.mkdir(parents=True, exist_ok=True)
    row: dict = {"name": name}
    try:
        lines = measure(rounds, scratch)
        row["lines"] = lines if isinstance(lines, list) else [lines]
    except Exception as error:
        traceback.print_exc()
        row["error"] = f"{type(error).__name__}: {error}"
    row["about"] = {"commit": measured_at, "rounds": rounds, **about()}
    partial = FOLDER / f"{name}.json.partial"
    partial.write_text(json.dumps(row, indent=1))
    partial.replace(FOLDER / f"{name}.json")
    outcome = "failed" if "error" in row else "done"
    print(f"{name}: {outcome}, {time.time() - start:.0f} s", flush=True)


def is_done(name: str, rounds: int) -> bool:
    """Whether the row was measured at this very commit, as many times."""
    row, now = load_row(name), commit()
    if not row or "error" in row or not now:
        return False
    return (row["about"]["commit"], row["about"]["rounds"]) == (now, rounds)


def load_row(name: str) -> dict | None:
    file = FOLDER / f"{name}.json"
    return json.loads(file.read_text()) if file.is_file() else None


if __name__ == "__main__":
    sys.exit(main())
