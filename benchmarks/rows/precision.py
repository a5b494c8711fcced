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
SEEDS = (0, 1, 2)


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
    from scipy import stats

    from ensemble_seg.evaluation import bootstrap_mean

    dice = {name: np.array([run["dice"] for run in runs]) for name, runs in found.items()}
    difference = dice[BFLOAT16] - dice[FLOAT32]
    images = bootstrap_mean(difference.mean(axis=0), found[FLOAT32][0]["groups"])
    by_seed = difference.mean(axis=1)
    reach = stats.t.ppf(0.975, len(SEEDS) - 1) * stdev(by_seed) / len(SEEDS) ** 0.5
    per_seed = {name: values.mean(axis=1).tolist() for name, values in dice.items()}
    spread = ", ".join(f"{stdev(values):.4f} in {name}" for name, values in per_seed.items())
    return {
        "row": f"quick preset on phantoms, main model, {len(SEEDS)} seeds: lesion Dice per image",
        "unit": "",
        "measured": per_seed,
        "goals": [at_least("upper end of the 95 % interval of the difference", images.high, 0, "")],
        "notes": [
            f"Mean Dice of {difference.shape[1]} test phantoms, a figure for each seed; "
            f"mixed_bfloat16 less float32: {images.mean:+.4f} [{images.low:+.4f}, "
            f"{images.high:+.4f}]. Differences are paired by image and seed and averaged over the "
            "seeds, then images are resampled.",
            f"By seed: {', '.join(f'{each:+.4f}' for each in by_seed)}; over these, Student's 95 % "
            f"interval is {mean(by_seed) - reach:+.4f} to {mean(by_seed) + reach:+.4f}. "
            f"Standard deviation over seeds: {spread}.",
        ],
    }


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
        "notes": ["All pixels of the test phantoms at the network's size, a figure for each seed."],
    }


def script(precision: str, seed: str, runs_dir: str) -> None:
    """Train the main model; print its Dice per image and the share of pixels that change."""
    import ensemble_seg as es

    preset = es.preset("quick").replace(precision=precision, seed=int(seed))
    data = es.load_dataset("phantoms")
    model = es.load_or_train("main", data, preset, runs_dir).model
    other = es.unet(preset.replace(precision=BFLOAT16 if precision == FLOAT32 else FLOAT32))
    other.set_weights(model.get_weights())
    maps, maps_of_other = (es.predict_split(each, data.test) for each in (model, other))
    changed = 100 * np.mean(maps.argmax(axis=-1) != maps_of_other.argmax(axis=-1))
    dice = es.evaluation.score(maps, data.test).per_image["dice"]
    result = {"dice": dice.tolist(), "groups": data.test.groups, "changed": float(changed)}
    print(json.dumps(result))


if __name__ == "__main__":
    script(*sys.argv[1:])
