"""Whether the same weights make the same masks in bfloat16 as in float32.

Its script: python -m benchmarks.rows.precision float32|mixed_bfloat16 FOLDER
"""

import json
import sys
from pathlib import Path

import numpy as np

from benchmarks.machine import commit
from benchmarks.measuring import at_most, once

FLOAT32, BFLOAT16 = "float32", "mixed_bfloat16"
PRESET = "quick,epochs=3"
FRESH = 240  # phantoms, drawn for this


def measure(rounds: int, scratch: Path) -> dict:
    folder = scratch / (commit() or "unknown")
    changed = {
        f"weights trained in {precision}": [trained(precision, folder)]
        for precision in (FLOAT32, BFLOAT16)
    }
    worst = max(max(shares) for shares in changed.values())
    return {
        "row": "pixels that change class when the same weights predict in the other precision",
        "unit": "%",
        "measured": changed,
        "goals": [at_most("worst of all models", worst, 0.1, " %")],
        "notes": [
            f"Main model, preset {PRESET}; all pixels of {FRESH} phantoms drawn with another seed "
            "than those of the training, at the network's size."
        ],
    }


def trained(precision: str, folder: Path) -> float:
    """Return what `script` measures; a training that was interrupted goes on."""
    command = [sys.executable, "-m", "benchmarks.rows.precision", precision, str(folder / "runs")]
    return once(command)["changed"]


def script(precision: str, runs_dir: str) -> None:
    """Train the main model; print the share of pixels that change."""
    import ensemble_seg as es

    preset = es.preset(PRESET).replace(precision=precision)
    model = es.load_or_train("main", es.load_dataset("phantoms"), preset, runs_dir).model
    other = es.unet(preset.replace(precision=BFLOAT16 if precision == FLOAT32 else FLOAT32))
    other.set_weights(model.get_weights())
    split = fresh_phantoms(Path(runs_dir).parent / "fresh")
    maps, maps_of_other = (es.predict_split(each, split) for each in (model, other))
    changed = 100 * np.mean(maps.argmax(axis=-1) != maps_of_other.argmax(axis=-1))
    print(json.dumps({"changed": float(changed)}))


def fresh_phantoms(folder: Path):
    from ensemble_seg.datasets import Split, all_pairs
    from ensemble_seg.datasets.phantoms import write_phantoms

    if not folder.is_dir():
        write_phantoms(folder, FRESH, seed=1)
    return Split(all_pairs(folder), "fresh", folder)


if __name__ == "__main__":
    script(*sys.argv[1:])
