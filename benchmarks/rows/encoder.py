"""Training steps of the small networks: Lite0 beside ResNet-18.

Its workers: python -m benchmarks.rows.encoder BACKBONE float32|mixed_bfloat16
"""

import sys
import time
from pathlib import Path
from statistics import median

from benchmarks.measuring import at_least, compare, ratio, serve
from benchmarks.workloads import BATCH, endless_batch

SIZE, STEPS = 128, 5
BACKBONES = {"Lite0": "efficientnetlite0", "ResNet-18": "resnet18"}
PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def measure(rounds: int, scratch: Path) -> list[dict]:
    return [row(short, rounds, scratch / short) for short in PRECISIONS]


def row(short: str, rounds: int, scratch: Path) -> dict:
    worker = [sys.executable, "-m", "benchmarks.rows.encoder"]
    commands = {
        network: [*worker, backbone, PRECISIONS[short]] for network, backbone in BACKBONES.items()
    }
    results, about = compare(commands, rounds, scratch)
    images = {name: [each[0] for each in values] for name, values in results.items()}
    busy = {name: median(each[1] for each in values) for name, values in results.items()}
    return {
        "row": f"training, small U-Nets, {SIZE}x{SIZE}, batch {BATCH}, {short}",
        "unit": "images/s",
        "measured": images,
        "goals": [at_least("Lite0 / ResNet-18", ratio(images, *BACKBONES), 1)],
        "notes": [
            f"`fit` on one random batch, {STEPS} steps a round, after a warm-up, random weights.",
            "Weights: "
            + ", ".join(f"{name} {about[name]['weights'] / 1e6:.1f} M" for name in BACKBONES)
            + ".",
            "Processor seconds a step, which other work on the machine hardly changes: "
            + ", ".join(f"{name} {seconds:.3f}" for name, seconds in busy.items())
            + ".",
        ],
    }


def worker(backbone: str, precision: str) -> None:
    import ensemble_seg as es
    from benchmarks.ours import compiled

    preset = es.preset("quick").replace(
        size=SIZE, batch_size=BATCH, backbone=backbone, encoder_weights=None, precision=precision
    )
    model, batches = compiled(preset), endless_batch(SIZE)
    model.fit(batches, steps_per_epoch=2, verbose=0)

    def one_round() -> tuple[float, float]:
        start, busy = time.perf_counter(), time.process_time()
        model.fit(batches, steps_per_epoch=STEPS, verbose=0)
        images = STEPS * BATCH / (time.perf_counter() - start)
        return images, (time.process_time() - busy) / STEPS

    serve(one_round, weights=model.count_params())


if __name__ == "__main__":
    worker(*sys.argv[1:])
