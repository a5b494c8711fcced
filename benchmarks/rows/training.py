"""Training of the paper's network, in images a second and as a share of the machine's conv rate.

Its workers: python -m benchmarks.rows.training auto|float32 all|frozen
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.environments import PUBLISHED_STACK
from benchmarks.measuring import at_least, compare, ratio, serve
from benchmarks.workloads import BATCH, SIZE, endless_batch, forward_flops

STEPS = 2
CONVOLUTIONS = {64: 256, 32: 128, 16: 256}  # side: channels
PUBLISHED, FROZEN = "published, all weights", "published, encoder frozen"
AUTO, FLOAT32 = "ours, all weights", "ours, all weights, float32"
OURS_FROZEN = "ours, encoder frozen"


def measure(rounds: int, scratch: Path) -> list[dict]:
    python, why = PUBLISHED_STACK.ready()
    all_weights, about = compare(_commands(python, "all"), rounds, scratch / "all")
    frozen, _ = compare(_commands(python, "frozen"), rounds, scratch / "frozen")
    results = {**all_weights, **frozen}
    ours = (AUTO, FLOAT32, OURS_FROZEN)
    images = {
        name: [each[0] for each in values] if name in ours else values
        for name, values in results.items()
    }
    gflop = about[AUTO]["gflop"]
    notes = [
        f"`fit` on one random batch again and again, after a warm-up; ours {STEPS} steps a round, "
        f"published 1. Precision auto is {about[AUTO]['policy']} here.",
        f"A forward pass of ours takes {gflop:.1f} GFLOP an image, counted from its convolutions.",
    ]
    notes += _notes_on_published(images, about) if python else [f"Published stack: {why}."]
    return [
        {
            "row": f"training, ResNet-101 U-Net, {SIZE}x{SIZE}, batch {BATCH}",
            "unit": "images/s",
            "measured": images,
            "goals": _goals(images) if python else [],
            "notes": notes,
        },
        _share_of_conv_rate(results, gflop),
    ]


def _commands(python: str | None, weights: str) -> dict[str, list[str]]:
    ours = [sys.executable, "-m", "benchmarks.rows.training"]
    if weights == "all":
        commands = {AUTO: [*ours, "auto", weights], FLOAT32: [*ours, "float32", weights]}
    else:
        commands = {OURS_FROZEN: [*ours, "auto", weights]}
    if python:
        name = PUBLISHED if weights == "all" else FROZEN
        commands[name] = [python, "-m", "benchmarks.published.worker", "training", weights]
    return commands


def _goals(images: dict[str, list[float]]) -> list[dict]:
    return [
        at_least("ours / published, all weights", ratio(images, AUTO, PUBLISHED), 7),
        at_least("ours / published, encoder frozen", ratio(images, OURS_FROZEN, FROZEN), 4),
    ]


def _notes_on_published(images: dict[str, list[float]], about: dict[str, dict]) -> list[str]:
    published = about[PUBLISHED]
    return [
        f"The published network takes {published['gflop']:.1f} GFLOP: a wider decoder, up to the "
        "full resolution.",
        f"Ours with all weights trained / published with the encoder frozen: "
        f"{ratio(images, AUTO, FROZEN):.2f}x; ours in float32 / published, all weights: "
        f"{ratio(images, FLOAT32, PUBLISHED):.2f}x.",
        "Batches come from a tf.data.Dataset without tuning. A published `fit` of one step took "
        f"{BATCH / median(images[PUBLISHED]):.1f} s on it and {published['arrays']:.1f} s on "
        "arrays, as in the notebooks: at the end of an epoch tf.data often waits until its tuning "
        "thread wakes up. That wait is left out, in the published stack's favour.",
    ]


def _share_of_conv_rate(results: dict[str, list], gflop: float) -> dict:
    names = {"precision auto": AUTO, "float32": FLOAT32}
    shares = {
        short: [100 * images * 3 * gflop / rate for images, rate in results[name]]
        for short, name in names.items()
    }
    rates = {short: median(rate for _, rate in results[name]) for short, name in names.items()}
    sides = ", ".join(f"{each} channels at {side}x{side}" for side, each in CONVOLUTIONS.items())
    return {
        "row": "training, share of the machine's own convolution rate",
        "unit": "%",
        "measured": shares,
        "goals": [at_least(short, median(values), 65, " %") for short, values in shares.items()],
        "notes": [
            "All weights trained: three forward passes' operations a step, over the rate of "
            f"tf.nn.conv2d, 3x3, batch {BATCH}, in the same process and precision after each round "
            f"(the best of {sides}): "
            + ", ".join(f"{rate:.0f} GFLOP/s in {short}" for short, rate in rates.items())
            + "."
        ],
    }


def worker(precision: str, weights: str) -> None:
    from benchmarks.ours import PRESET, compiled
    from ensemble_seg.hardware.precision import precision_policy

    preset = PRESET.replace(precision=precision, encoder_freeze=weights == "frozen")
    policy = precision_policy(precision)
    model, batches = compiled(preset), endless_batch()
    conv_rate = conv_meter(policy.removeprefix("mixed_"))
    model.fit(batches, steps_per_epoch=1, verbose=0)

    def one_round() -> tuple[float, float]:
        start = time.perf_counter()
        model.fit(batches, steps_per_epoch=STEPS, verbose=0)
        images = STEPS * BATCH / (time.perf_counter() - start)
        return images, conv_rate()

    serve(one_round, gflop=forward_flops(model) / 1e9, policy=policy)


def conv_meter(dtype: str) -> Callable[[], float]:
    """Return a function that measures the best rate of a 3x3 convolution, in GFLOP/s."""
    import tensorflow as tf

    convolve = tf.function(lambda x, kernel: tf.nn.conv2d(x, kernel, 1, "SAME"))
    cases = [
        [tf.cast(tf.random.normal(shape), dtype) for shape in ((BATCH, s, s, c), (3, 3, c, c))]
        for s, c in CONVOLUTIONS.items()
    ]
    flops = [2 * 9 * c * c * s * s * BATCH for s, c in CONVOLUTIONS.items()]

    def rate(case: list, flop: int) -> float:
        calls = max(3, round(1e11 / flop))
        convolve(*case)
        start = time.perf_counter()
        for _ in range(calls):
            convolve(*case)
        return calls * flop / (time.perf_counter() - start) / 1e9

    return lambda: max(map(rate, cases, flops))


if __name__ == "__main__":
    worker(*sys.argv[1:])
