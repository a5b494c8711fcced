"""Softmax maps of an ensemble of two ResNet-101 U-Nets.

Its worker: python -m benchmarks.rows.inference
"""

import sys
import time
from pathlib import Path

from benchmarks.environments import PUBLISHED_STACK
from benchmarks.measuring import at_least, compare, ratio, serve
from benchmarks.workloads import IMAGES, SIZE, forward_flops, random_images

OURS, PUBLISHED = "ours", "published"


def measure(rounds: int, scratch: Path) -> dict:
    python, why = PUBLISHED_STACK.ready()
    commands = {OURS: [sys.executable, "-m", "benchmarks.rows.inference"]}
    if python:
        commands[PUBLISHED] = [python, "-m", "benchmarks.published.worker", "inference"]
    images, about = compare(commands, rounds, scratch)
    notes = [f"{IMAGES} random images a round, after a warm-up; ours in precision auto."]
    goals = []
    if python:
        goals = [at_least("ours / published", ratio(images, OURS, PUBLISHED), 5)]
        ours, published = (about[name]["gflop"] for name in (OURS, PUBLISHED))
        notes.append(
            f"The published ensemble, `predict` in one batch, takes {published:.1f} GFLOP an "
            f"image, ours {ours:.1f}."
        )
    else:
        notes.append(f"Published stack: {why}.")
    return {
        "row": f"inference, ensemble of two ResNet-101 U-Nets, {SIZE}x{SIZE}",
        "unit": "images/s",
        "measured": images,
        "goals": goals,
        "notes": notes,
    }


def worker() -> None:
    from benchmarks.ours import ensemble, predict

    model, images = ensemble(), random_images(IMAGES)
    predict(model, images)

    def one_round() -> float:
        start = time.perf_counter()
        predict(model, images)
        return IMAGES / (time.perf_counter() - start)

    serve(one_round, gflop=forward_flops(model) / 1e9)


if __name__ == "__main__":
    worker()
