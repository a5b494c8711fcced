"""Where the time of a training step goes, by kind of operation.

Its scripts: python -m benchmarks.rows.profile keras|ours FOLDER
"""

import collections
import itertools
import json
import sys
import time
from pathlib import Path

from benchmarks.measuring import once
from benchmarks.workloads import BATCH, SIZE, endless_batch

STEPS = 2
LAYERS = {"keras": "Keras' own layers and Adam", "ours": "ours"}
KINDS = {
    "convolution, gradient of its filters": ("Conv2DBackpropFilter",),
    "convolution, gradient of its input": ("Conv2DBackpropInput",),
    "convolution, forward": ("Conv2D",),
    "batch normalisation (its kernel)": ("FusedBatchNorm",),
    "update of the weights (its kernel)": ("ResourceApplyAdam",),
    "products, sums, means, squares, tiles": (
        *("Mul", "Sub", "Add", "Sum", "Mean", "Square", "Tile", "Sqrt", "Rsqrt", "RealDiv", "Div"),
        *("Assign", "BiasAdd", "Neg", "Reciprocal"),
    ),
    "casts": ("Cast",),
    "ReLU and its gradient": ("Relu",),
    "joining, cutting and padding": ("Concat", "Slice", "Pad", "StridedSlice", "Reshape"),
}
REST = "all else"


def measure(rounds: int, scratch: Path) -> dict:
    script = [sys.executable, "-m", "benchmarks.rows.profile"]
    found = {name: once([*script, name, str(scratch / name)]) for name in LAYERS}
    return {
        "row": f"profile of a training step, ResNet-101 U-Net, {SIZE}x{SIZE}, batch {BATCH}",
        "unit": "s",
        "measured": {LAYERS[name]: each["seconds"] for name, each in found.items()},
        "goals": [],
        "notes": [
            f"Precision auto is {found['ours']['policy']} here. A step is timed without the "
            "profiler; the table is TensorFlow's profile of the next steps, seconds a step. "
            "Operations run side by side on the cores, and slow each other then, so that their "
            "seconds add up to more than the step's.",
        ],
        "table": table({LAYERS[name]: each["kinds"] for name, each in found.items()}),
    }


def table(found: dict[str, dict[str, float]]) -> str:
    """Return a Markdown table: seconds and share of each kind, by column."""
    totals = {name: sum(kinds.values()) for name, kinds in found.items()}
    lines = [f"| kind of operation | {' | '.join(found)} |", "|---|" + "---|" * len(found)]
    for kind in (*KINDS, REST):
        cells = (
            f"{kinds.get(kind, 0):.3f} s, {kinds.get(kind, 0) / totals[name]:.0%}"
            for name, kinds in found.items()
        )
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    sums = (f"{total:.3f} s" for total in totals.values())
    return "\n".join([*lines, f"| together | {' | '.join(sums)} |"])


def kind_of(operation: str) -> str:
    """Return the kind of a TensorFlow operation such as _MklNativeConv2DBackpropFilter."""
    plain = operation.replace("_MklNative", "").replace("_Mkl", "").lstrip("_")
    for fused in ("PadWith", "Fused"):
        if plain.startswith(fused + "Conv2D"):
            plain = plain.removeprefix(fused)
    kinds = (kind for kind, starts in KINDS.items() if plain.startswith(starts))
    return next(kinds, REST)


def profiled(folder: Path) -> dict[str, float]:
    """Add up the seconds of each kind of operation in TensorFlow's profile of a folder."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace.FromString(next(folder.rglob("*.xplane.pb")).read_bytes())
    seconds = collections.Counter()
    for plane in (plane for plane in space.planes if plane.name == "/host:CPU"):
        for event in itertools.chain.from_iterable(line.events for line in plane.lines):
            name, _, operation = plane.event_metadata[event.metadata_id].name.rpartition(":")
            if name and "/" in name and operation.isidentifier():
                seconds[kind_of(operation)] += event.duration_ps / 1e12
    return dict(seconds)


def main(layers: str, folder: str) -> None:
    import tensorflow as tf

    from benchmarks.ours import PRESET, compiled
    from ensemble_seg.hardware.precision import precision_policy

    model = compiled(PRESET)
    if layers == "keras":
        model = as_keras_writes_it(model)
    model.make_train_function()
    batches, seconds = iter(endless_batch()), []
    for _ in range(2 + STEPS):
        start = time.perf_counter()
        model.train_function(batches)
        seconds.append(time.perf_counter() - start)
    tf.profiler.experimental.start(folder)
    for _ in range(STEPS):
        model.train_function(batches)
    tf.profiler.experimental.stop()
    kinds = {kind: total / STEPS for kind, total in profiled(Path(folder)).items()}
    policy = precision_policy(PRESET.precision)
    print(json.dumps({"seconds": seconds[2:], "kinds": kinds, "policy": policy}))


def as_keras_writes_it(model):
    """Return the model with Keras' own batch normalisation, compiled with Keras' own Adam."""
    import keras

    from ensemble_seg.hardware.normalization import FusedBatchNormalization
    from ensemble_seg.losses import loss_by_name

    def plain(layer):
        kind = type(layer)
        if kind is FusedBatchNormalization:
            kind = keras.layers.BatchNormalization
        return kind.from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=plain, recursive=True)
    copy.compile(keras.optimizers.Adam(1e-3), loss_by_name("exponential"), jit_compile=False)
    return copy


if __name__ == "__main__":
    main(*sys.argv[1:])
