"""Measure rows and print a report: python -m benchmarks [ROW ...]."""

import argparse
import datetime
import importlib.metadata
import os
import platform
import sys
import tempfile
from pathlib import Path

from .measuring import report
from .rows import ROWS


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"{', '.join(ROWS)}; all if none")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each (default: 3)")
    parser.add_argument("--out", type=Path, help="write the report to this file, too")
    chosen = parser.parse_args(arguments)
    if unknown := [name for name in chosen.rows if name not in ROWS]:
        parser.error(f"unknown row '{unknown[0]}'. Rows: {', '.join(ROWS)}.")
    found, failed = [], {}
    for name in chosen.rows or ROWS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as scratch:
            try:
                found += ROWS[name](chosen.rounds, Path(scratch))
            except Exception as error:
                failed[name] = f"{type(error).__name__}: {' '.join(str(error).split())}"
    text = f"{circumstances()}\n\n{report(found, failed)}\n"
    print(text)
    if chosen.out:
        chosen.out.write_text(text, encoding="utf-8")
    return int(bool(failed))


def circumstances() -> str:
    """Return the day, the machine and the versions, which the figures depend on."""
    packages = ("tensorflow", "keras", "numpy", "pillow", "onnxruntime", "torch")
    versions = {"Python": platform.python_version()}
    for name in packages:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    day = f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}"
    return f"{day}, {_processor()}, {os.cpu_count()} cores, {platform.system()}. {listed}."


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


if __name__ == "__main__":
    sys.exit(main())
