"""Seconds that `import ensemble_seg` takes beyond `import tensorflow`, in fresh processes."""

import statistics
import sys
from pathlib import Path

from benchmarks.measuring import at_most, once

SCRIPT = """
import json, time
begin = time.perf_counter()
import tensorflow
middle = time.perf_counter()
import ensemble_seg
print(json.dumps([middle - begin, time.perf_counter() - middle]))
"""
TENSORFLOW, OURS = "import tensorflow", "import ensemble_seg after it"


def measure(rounds: int, scratch: Path) -> dict:
    once([sys.executable, "-c", SCRIPT])  # puts the files into the page cache
    tensorflow, ours = zip(
        *(once([sys.executable, "-c", SCRIPT]) for _ in range(rounds)), strict=True
    )
    return {
        "row": "import ensemble_seg beyond importing TensorFlow",
        "unit": "s",
        "measured": {OURS: list(ours), TENSORFLOW: list(tensorflow)},
        "goals": [at_most("beyond TensorFlow", statistics.median(ours), 0.5, " s")],
        "notes": [
            "Both in one fresh process a round, with the files in the page cache. TensorFlow "
            "imports Keras, and Keras matplotlib, SciPy and scikit-learn where they are there."
        ],
    }
