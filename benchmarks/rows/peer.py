"""The same U-Nets in segmentation_models.pytorch: training and inference.

Its workers: python -m benchmarks.rows.peer BACKBONE float32|bfloat16 keras
             python -m benchmarks.rows.peer BACKBONE float32|bfloat16 openvino FILE.xml
Its script: python -m benchmarks.rows.peer BACKBONE bfloat16 export FILE.xml
"""

import shutil
import sys
import time
from pathlib import Path

from benchmarks.environments import PEER_STACK
from benchmarks.measuring import at_least, compare, once, ratio, serve
from benchmarks.workloads import (
    BATCH,
    PEER_STEPS,
    endless_batch,
    forward_flops,
    random_images,
)

NETWORKS = {"ResNet-101": ("resnet101", 256), "Lite0": ("efficientnetlite0", 128)}
PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
COMPILED_TOO = "Lite0", "float32"  # on two cores, compiling a ResNet-101 takes many minutes
OURS, OPENVINO = "ours", "ours, exported to OpenVINO"
EAGER, COMPILED = "PyTorch", "PyTorch, torch.compile"
GOALS = {"training": (OURS, 1.25), "inference": (OPENVINO, 1.5)}


def measure(rounds: int, scratch: Path) -> list[dict]:
    found = []
    for name, (backbone, _) in NETWORKS.items():
        network = str(scratch / f"{backbone}.xml")
        script = [sys.executable, "-m", "benchmarks.rows.peer", backbone, "bfloat16"]
        once([*script, "export", network])
        for precision in PRECISIONS:
            found += lines(name, precision, network, rounds, scratch / f"{name}-{precision}")
    return found


def lines(name: str, precision: str, network: str, rounds: int, scratch: Path) -> list[dict]:
    backbone, size = NETWORKS[name]
    python, why = PEER_STACK.ready()
    ours = [sys.executable, "-m", "benchmarks.rows.peer", backbone, precision]
    commands = {OURS: [*ours, "keras"], OPENVINO: [*ours, "openvino", network]}
    peer = [str(python), "-m", "benchmarks.peer.worker", backbone, precision]
    if python:
        commands[EAGER] = [*peer, "eager"]
    if python and (name, precision) == COMPILED_TOO and shutil.which("g++"):
        commands[COMPILED] = [*peer, "compiled"]
    results, about = compare(commands, rounds, scratch)
    notes = [_size(each, about[each]) for each in (OURS, EAGER) if each in about]
    if not python:
        notes.append(f"PyTorch: {why}.")
    elif (name, precision) == COMPILED_TOO and COMPILED not in commands:
        notes.append("torch.compile needs g++, which is not there.")
    return [
        _line(what, f"{name} U-Net, {size}x{size}, batch {BATCH}, {precision}", images, notes)
        for what, images in _by_task(results).items()
    ]


def _by_task(results: dict[str, list]) -> dict[str, dict[str, list[float]]]:
    return {
        what: {
            name: [each[number] for each in rates]
            for name, rates in results.items()
            if rates[0][number] is not None
        }
        for number, what in enumerate(GOALS)
    }


def _line(what: str, network: str, images: dict[str, list[float]], notes: list[str]) -> dict:
    best, goal = GOALS[what]
    others = [name for name in (EAGER, COMPILED) if name in images]
    return {
        "row": f"{what} beside segmentation_models.pytorch, {network}",
        "unit": "images/s",
        "measured": images,
        "goals": [at_least(f"{best} / {each}", ratio(images, best, each), goal) for each in others],
        "notes": notes,
    }


def _size(name: str, about: dict) -> str:
    return f"{name}: {about['weights'] / 1e6:.2f} M weights, {about['gflop']:.2f} GFLOP an image."


def keras_worker(backbone: str, precision: str) -> None:
    from benchmarks.ours import PRESET, compiled, predict

    size, steps = dict(NETWORKS.values())[backbone], PEER_STEPS[backbone]
    preset = PRESET.replace(backbone=backbone, size=size, precision=PRECISIONS[precision])
    model, batches = compiled(preset), endless_batch(size)
    images = random_images(BATCH, size).repeat(steps, axis=0)

    def train(steps: int) -> float:
        return _rate(lambda: model.fit(batches, steps_per_epoch=steps, verbose=0), steps)

    def infer() -> float:
        return _rate(lambda: predict(model, images), steps)

    train(2), infer()
    trained = sum(weight.shape.num_elements() for weight in model.trainable_variables)
    serve(lambda: (train(steps), infer()), weights=trained, gflop=forward_flops(model) / 1e9)


def export_script(backbone: str, precision: str, path: str) -> None:
    """Write the network for OpenVINO."""
    import ensemble_seg as es
    from benchmarks.ours import PRESET
    from ensemble_seg.exporting import export_model

    size = dict(NETWORKS.values())[backbone]
    preset = PRESET.replace(backbone=backbone, size=size, precision=PRECISIONS[precision])
    model = es.unet(preset)
    # Random weights of a ResNet-101 make logits of a million, whose rounding decides classes.
    head = next(each for each in model.trainable_variables if each.path == "final_conv/kernel")
    head.assign(head * 1e-6)
    export_model(model, path, "openvino")
    print("{}")


def openvino_worker(backbone: str, precision: str, path: str) -> None:
    """Inference alone, as `predict --engine openvino` computes in that precision."""
    from ensemble_seg.predicting.engines import opened

    network = opened(Path(path), "openvino", exact=precision == "float32")
    images, steps = random_images(BATCH, dict(NETWORKS.values())[backbone]), PEER_STEPS[backbone]

    def infer() -> float:
        return _rate(lambda: [network.run(images) for _ in range(steps)], steps)

    infer()
    serve(lambda: (None, infer()))


def _rate(call, batches: int) -> float:
    start = time.perf_counter()
    call()
    return batches * BATCH / (time.perf_counter() - start)


if __name__ == "__main__":
    modes = {"keras": keras_worker, "export": export_script, "openvino": openvino_worker}
    modes[sys.argv[3]](*sys.argv[1:3], *sys.argv[4:])
