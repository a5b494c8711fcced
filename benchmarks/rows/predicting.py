"""`predict` from the command to the last file, for one image and for a folder, and `--help`.

Its script, which saves the ensemble: python -m benchmarks.rows.predicting FILE
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.drawing import draw_pairs
from benchmarks.measuring import ROOT, at_least, at_most, once, ratio
from benchmarks.rows.first_step import extract

BEFORE = "13d2061"  # the last commit before prediction was worked on
HEIGHT, WIDTH, IMAGES, DISTINCT = 800, 1000, 200, 20
KERAS, OPENVINO, REFERENCE = "ours", "ours, exported to OpenVINO", f"ours at {BEFORE}"
ENGINES = {KERAS: "keras", OPENVINO: "openvino"}


def measure(rounds: int, scratch: Path) -> list[dict]:
    shutil.rmtree(scratch, ignore_errors=True)
    draw_pairs(scratch / "pairs", (HEIGHT, WIDTH), IMAGES, 4.0, ".png", DISTINCT)
    folder, alone, out = scratch / "pairs" / "images", scratch / "one", scratch / "out"
    alone.mkdir()
    shutil.copy(folder / "000000.jpg", alone)
    commands = prepared(scratch)
    predict(*commands[OPENVINO], alone, out)  # exports the networks
    one, many = timed(commands, alone, out, rounds), timed(commands, folder, out, 1)
    notes = [
        "Fresh processes, an ensemble of two networks of the quick preset, not trained. Exporting "
        "it, once, is not counted.",
    ]
    if REFERENCE not in commands:
        notes.append(f"Commit {BEFORE} is not in this clone's history: no reference.")
    drawn = f"One run of each; three PNG files an image; {DISTINCT} images are different ones."
    return [
        {**line("one image", one, halved(one)), "notes": notes},
        {**line(f"{IMAGES} images", many, times_faster(many)), "notes": [drawn]},
        help_row(rounds),
    ]


def prepared(scratch: Path) -> dict[str, tuple[Path, list[str]]]:
    """Save an ensemble; return for each command the code it runs and its options."""
    model = str(scratch / "model.keras")
    once([sys.executable, "-m", "benchmarks.rows.predicting", model])
    commands = {
        name: (ROOT, ["--model", model, "--engine", engine]) for name, engine in ENGINES.items()
    }
    if extract(BEFORE, scratch / "before"):
        commands[REFERENCE] = scratch / "before", ["--model", model]
    return commands


def timed(commands: dict, images: Path, out: Path, rounds: int) -> dict[str, list[float]]:
    """Predict a folder with each command in turn, `rounds` times over."""
    found = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            found[name].append(predict(*command, images, out))
    return found


def halved(found: dict[str, list[float]]) -> list[dict]:
    names = ENGINES if REFERENCE in found else ()
    return [at_most(f"{name} / {REFERENCE}", ratio(found, name, REFERENCE), 0.5) for name in names]


def times_faster(found: dict[str, list[float]]) -> list[dict]:
    names = ENGINES if REFERENCE in found else ()
    return [at_least(f"{REFERENCE} / {name}", ratio(found, REFERENCE, name), 4) for name in names]


def line(what: str, measured: dict[str, list[float]], goals: list[dict]) -> dict:
    row = f"predict, from the command to the last file, {what} of {WIDTH}x{HEIGHT}"
    return {"row": row, "unit": "s", "measured": measured, "goals": goals}


def help_row(rounds: int) -> dict:
    seconds = [run(ROOT, "--help") for _ in range(rounds)]
    return {
        "row": "python -m ensemble_seg --help",
        "unit": "s",
        "measured": {"ours": seconds},
        "goals": [at_most("ours", sorted(seconds)[len(seconds) // 2], 0.3, " s")],
        "notes": ["Fresh processes, with the files in the page cache."],
    }


def predict(code: Path, options: list[str], images: Path, out: Path) -> float:
    """Return the seconds of one command."""
    shutil.rmtree(out, ignore_errors=True)
    return run(code, "predict", str(images), "--out", str(out), *options)


def run(code: Path, *arguments: str) -> float:
    command = [sys.executable, "-m", "ensemble_seg", *arguments]
    env = {**os.environ, "PYTHONPATH": str(code)}
    start = time.perf_counter()
    done = subprocess.run(command, cwd=code, env=env, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return seconds


def script(path: str) -> None:
    import ensemble_seg as es

    preset = es.preset("quick").replace(precision="float32")
    pair = [es.unet(preset.replace(seed=seed)) for seed in (0, 1)]
    es.save_model(es.build_ensemble(pair), path)
    print("{}")


if __name__ == "__main__":
    script(*sys.argv[1:])
