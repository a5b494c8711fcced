"""From the start of a process to the end of its first training step.

Its scripts: python -m benchmarks.rows.first_step now
             python -m benchmarks.rows.first_step before FOLDER
"""

import itertools
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from benchmarks.environments import PUBLISHED_STACK
from benchmarks.measuring import ROOT, at_most, once, ratio
from benchmarks.workloads import BATCH, SIZE, endless_batch

BEFORE = "7fc55d4"  # the last commit before start-up was worked on
ROUNDS = 1
OURS, REFERENCE, PUBLISHED = "ours", f"ours at {BEFORE}", "published, encoder frozen"
STAGES = ("import TensorFlow", "import ensemble_seg", "build", "trace and compile", "one step")


def measure(rounds: int, scratch: Path) -> dict:
    script = [sys.executable, "-m", "benchmarks.rows.first_step"]
    commands, notes = {OURS: [*script, "now"]}, []
    if extract(BEFORE, scratch / "before"):
        commands[REFERENCE] = [*script, "before", str(scratch / "before")]
    else:
        notes.append(f"Commit {BEFORE} is not in this clone's history: no reference.")
    python, why = PUBLISHED_STACK.ready()
    if python:
        commands[PUBLISHED] = [python, "-m", "benchmarks.published.worker", "first_step"]
    else:
        notes.append(f"Published stack: {why}.")
    seconds, stages = _measure(commands, min(rounds, ROUNDS))
    for name, rows in stages.items():
        parts = (f"{stage} {median(row[stage] for row in rows):.1f} s" for stage in STAGES)
        notes.append(f"{name}: {', '.join(parts)}.")
    goals = []
    if REFERENCE in seconds:
        goals = [at_most(f"ours / {REFERENCE}", ratio(seconds, OURS, REFERENCE), 0.5)]
    return {
        "row": f"start of the process to the end of the first training step, ResNet-101, "
        f"{SIZE}x{SIZE}, batch {BATCH}",
        "unit": "s",
        "measured": seconds,
        "goals": goals,
        "notes": [
            "Each figure is a fresh process. `trace and compile` is the first step less a "
            "second one, `one step`.",
            *notes,
        ],
    }


def extract(commit: str, folder: Path) -> bool:
    """Write the files of a commit to a folder; False where the history does not have it."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = subprocess.run(
        ["git", "archive", commit, "ensemble_seg"], cwd=ROOT, capture_output=True, check=False
    )
    if archive.returncode:
        return False
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    return True


def _measure(
    commands: dict[str, list[str]], rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[dict]]]:
    seconds, stages = {name: [] for name in commands}, {}
    for _ in range(rounds):
        for name, command in commands.items():
            start = time.time()
            said = once(command)
            seconds[name].append(said["end"] - start)
            if "stages" in said:
                stages.setdefault(name, []).append(said["stages"])
    return seconds, stages


def script(which: str, folder: str = "") -> None:
    """Train two steps, print when the first ended and how long each stage took."""
    times = [time.time()]
    sys.path[:0] = [folder] if folder else []
    import tensorflow  # noqa: F401

    times.append(time.time())
    import ensemble_seg as es

    times.append(time.time())
    if folder and Path(folder) not in Path(es.__file__).parents:
        raise RuntimeError(f"Expected ensemble_seg of {folder}. Received: {es.__file__}.")
    model = _compiled_before(es) if which == "before" else _compiled_now()
    times.append(time.time())
    batches = endless_batch()
    for _ in range(2):
        model.fit(batches, steps_per_epoch=1, verbose=0)
        times.append(time.time())
    spent = [end - start for start, end in itertools.pairwise(times)]
    spent[3] -= spent[4]
    print(json.dumps({"end": times[4], "stages": dict(zip(STAGES, spent, strict=True))}))


def _compiled_now():
    from benchmarks.ours import PRESET, compiled

    return compiled(PRESET)


def _compiled_before(es):
    """What that commit's `train` did."""
    import keras

    from ensemble_seg.losses import loss_by_name
    from ensemble_seg.training import lesion_dice

    preset = es.preset("paper").replace(encoder_weights=None)
    model = es.unet(preset)
    dice = keras.metrics.MeanMetricWrapper(lesion_dice, name="dice")
    optimizer, loss = keras.optimizers.Adam(preset.learning_rate), loss_by_name(preset.loss)
    model.compile(optimizer, loss, metrics=[dice], jit_compile=False)
    return model


if __name__ == "__main__":
    script(*sys.argv[1:])
