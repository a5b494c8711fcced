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
    folder, model = scratch / "pairs", scratch / "model.keras"
    shutil.rmtree(scratch, ignore_errors=True)
    draw_pairs(folder, (HEIGHT, WIDTH), IMAGES, 4.0, ".png", DISTINCT)
    images, alone = folder / "images", scratch / "one"
    alone.mkdir()
    shutil.copy(images / "000000.jpg", alone)
    once([sys.executable, "-m", "benchmarks.rows.predicting", str(model)])
    commands = {
        name: (ROOT, ["--model", str(model), "--engine", engine])
        for name, engine in ENGINES.items()
    }
    notes = [
        "Fresh processes, an ensemble of two networks of the quick preset, not trained. Exporting "
        "it, once, is not counted."
    ]
    if extract(BEFORE, scratch / "before"):
        commands[REFERENCE] = scratch / "before", ["--model", str(model)]
    else:
        notes.append(f"Commit {BEFORE} is not in this clone's history: no reference.")
    predict(*commands[OPENVINO], alone, scratch / "out")
    one, folders = ({name: [] for name in commands} for _ in range(2))
    for _ in range(rounds):
        for name, command in commands.items():
            one[name].append(predict(*command, alone, scratch / "out"))
    for name, command in commands.items():
        folders[name].append(predict(*command, images, scratch / "out"))
    of_one = [
        at_most(f"{name} / {REFERENCE}", ratio(one, name, REFERENCE), 0.5)
        for name in ENGINES
        if REFERENCE in one
    ]
    of_many = [
        at_least(f"{REFERENCE} / {name}", ratio(folders, REFERENCE, name), 4)
        for name in ENGINES
        if REFERENCE in folders
    ]
    size = f"{WIDTH}x{HEIGHT}"
    return [
        {
            "row": f"predict, from the command to the last file, one image of {size}",
            "unit": "s",
            "measured": one,
            "goals": of_one,
            "notes": notes,
        },
        {
            "row": f"predict, from the command to the last file, {IMAGES} images of {size}",
            "unit": "s",
            "measured": folders,
            "goals": of_many,
            "notes": [
                f"One run of each; three PNG files an image. {DISTINCT} of the images are "
                "different ones."
            ],
        },
        help_row(rounds),
    ]


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
