"""Minutes that the three notebooks take with the quick preset, from nothing trained."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measuring import ROOT, at_most


def measure(rounds: int, scratch: Path) -> dict:
    """Run them once, whatever the rounds: it is minutes, not milliseconds."""
    runs = scratch / "runs"
    shutil.rmtree(runs, ignore_errors=True)
    settings = {
        key: value for key, value in os.environ.items() if not key.startswith("ENSEMBLE_SEG_")
    }
    settings |= {"ENSEMBLE_SEG_PRESET": "quick", "ENSEMBLE_SEG_RUNS_DIR": str(runs)}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "tools/notebooks.py", "run"],
        cwd=ROOT,
        env=settings,
        text=True,
        capture_output=True,
        check=False,
    )
    minutes = (time.perf_counter() - start) / 60
    if done.returncode:
        raise RuntimeError(f"tools/notebooks.py run failed:\n{done.stderr[-2000:]}")
    took = [line.split("] ")[1] for line in done.stdout.splitlines() if line.startswith("[")]
    return {
        "row": "three notebooks, quick preset, phantoms, two trainings included",
        "unit": "min",
        "measured": {"ours": [minutes]},
        "goals": [at_most("from start to end", minutes, 3, " min")],
        "notes": [f"One run, as `make notebooks` makes it: {'; '.join(took)}."],
    }
