"""Files as a study leaves them, with effects that are known."""

import numpy as np

from ensemble_lab.study.results import write_lines

CASES = 60


def write_record(folder, claims, seeds):
    record = {"data": folder.name, "data_hash": "ab" * 32, "preset": "quick", "steps": 300}
    keys = ("text", "arm", "control", "seeds")
    record["claims"] = [dict(zip(keys, (*claim, seeds), strict=True)) for claim in claims]
    record["cases"] = [f"case_{number:02d}.png" for number in range(CASES)]
    write_lines(folder / "study.json", record)


def write_study(folder, effects, claims, seeds=10, noise=0.004):
    """Write study.json and a file for each arm and seed; effects are added to a Dice of 0.8."""
    write_record(folder, claims, seeds)
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        cases = np.sort(rng.permutation(CASES)[:12])
        level = rng.normal(0.8, 0.02) + rng.normal(0, 0.05, 12)
        for number, (arm, effect) in enumerate(effects.items()):
            own = np.random.default_rng((seed, number))
            dice = level + effect + own.normal(0, noise) + own.normal(0, 0.01, 12)
            write_job(folder, arm, seed, cases.tolist(), dice.clip(0, 1))
    return folder


def write_job(folder, arm, seed, cases, dice):
    bins = [[0.1, 0.05 + 0.1 * n, min(1.0, 0.02 + 0.1 * n)] for n in range(10)]
    calibration = {"brier": 0.04, "ece": 0.03, "sure": 0.9, "bins": bins, "temperature": 2.0}
    calibration["tempered"] = {"brier": 0.03, "ece": 0.01, "sure": 0.5}
    result = {
        "arm": {"name": arm}, "seed": seed, "data_hash": "ab" * 32, "seconds": 60.0, "rate": 0.001,
        "split": {"train": 42, "validation": 6, "test": 12}, "calibration": calibration,
        "test": {"cases": cases, "dice": np.round(dice, 4).tolist()},
    }  # fmt: skip
    write_lines(folder / f"{arm}-{seed:02d}.json", result)
