"""Whether bfloat16 costs quality: Dice after training, and masks of the same weights.

Its script: python -m benchmarks.rows.precision float32|mixed_bfloat16 SEED FOLDER
"""

import json
import sys
from pathlib import Path
from statistics import mean, stdev

import numpy as np

from benchmarks.machine import commit
from benchmarks.measuring import at_least, at_most, once

FLOAT32, BFLOAT16 = "float32", "mixed_bfloat16"
SEEDS = range(10)
FRESH = 480  # phantoms to score: the 48 test phantoms tell models apart too badly


def measure(rounds: int, scratch: Path) -> list[dict]:
    folder = scratch / (commit() or "unknown")
    found = {
        precision: [trained(precision, seed, folder) for seed in SEEDS]
        for precision in (FLOAT32, BFLOAT16)
    }
    return [after_training(found), same_weights(found)]


def trained(precision: str, seed: int, folder: Path) -> dict:
    """Return what `script` measures; it is kept, and a training that was interrupted goes on."""
    file = folder / f"{precision}-{seed}.json"
    if not file.is_file():
        command = [sys.executable, "-m", "benchmarks.rows.precision", precision, str(seed)]
        result = once([*command, str(folder / "runs")])
        partial = file.with_suffix(".partial")
        partial.write_text(json.dumps(result))
        partial.replace(file)
    return json.loads(file.read_text())


def after_training(found: dict[str, list[dict]]) -> dict:
    dice = {name: [run["dice"] for run in runs] for name, runs in found.items()}
    differences = np.subtract(dice[BFLOAT16], dice[FLOAT32])
    low, high = student_interval(differences)
    spread = ", ".join(f"{stdev(values):.4f} in {name}" for name, values in dice.items())
    return {
        "row": f"quick preset on phantoms, main model, {len(SEEDS)} seeds: lesion Dice per image",
        "unit": "",
        "measured": dice,
        "goals": [at_least("upper end of the 95 % interval of the difference", high, 0, "")],
        "notes": [
            f"Mean Dice per image of {FRESH} phantoms drawn for this with another seed, a figure "
            "for each seed of the training, which both precisions share. mixed_bfloat16 less "
            f"float32: {mean(differences):+.4f} [{low:+.4f}, {high:+.4f}], Student's 95 % interval "
            "over the seeds.",
            f"By seed: {', '.join(f'{each:+.4f}' for each in differences)}. Standard deviation "
            f"over seeds: {spread}.",
        ],
    }


def student_interval(values: np.ndarray) -> tuple[float, float]:
    from scipy import stats

    reach = stats.t.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return mean(values) - reach, mean(values) + reach


def same_weights(found: dict[str, list[dict]]) -> dict:
    changed = {
        f"weights trained in {name}": [run["changed"] for run in runs]
        for name, runs in found.items()
    }
    worst = max(max(shares) for shares in changed.values())
    return {
        "row": "pixels that change class when the same weights predict in the other precision",
        "unit": "%",
        "measured": changed,
        "goals": [at_most("worst of all models", worst, 0.1, " %")],
        "notes": ["All pixels of those phantoms at the network's size, a figure for each seed."],
    }


def script(precision: str, seed: str, runs_dir: str) -> None:
    """Train the main model; print its mean Dice and the share of pixels that change."""
    import ensemble_seg as es

    preset = es.preset("quick").replace(precision=precision, seed=int(seed))
    model = es.load_or_train("main", es.load_dataset("phantoms"), preset, runs_dir).model
    other = es.unet(preset.replace(precision=BFLOAT16 if precision == FLOAT32 else FLOAT32))
    other.set_weights(model.get_weights())
    split = fresh_phantoms(Path(runs_dir).parent / "fresh")
    maps, maps_of_other = (es.predict_split(each, split) for each in (model, other))
    changed = 100 * np.mean(maps.argmax(axis=-1) != maps_of_other.argmax(axis=-1))
    dice = es.evaluation.score(maps, split).per_image["dice"]
    print(json.dumps({"dice": float(dice.mean()), "changed": float(changed)}))


def fresh_phantoms(folder: Path):
    from ensemble_seg.datasets import Split, all_pairs
    from ensemble_seg.datasets.phantoms import write_phantoms

    if not folder.is_dir():
        write_phantoms(folder, FRESH, seed=1)
    return Split(all_pairs(folder), "fresh", folder)


if __name__ == "__main__":
    script(*sys.argv[1:])
