"""Images per second on JAX, from arrays in memory: training, and inference of the ensemble.

    python -m benchmarks.jax_throughput
    python -m benchmarks.jax_throughput --backbone resnet18 --size 64 --batch 2 --steps 2 --rounds 1

Needs no TensorFlow, and is meant for a GPU: `pip install "jax[cuda13]" segmentation-models==1.0.1
keras scikit-learn matplotlib pooch tqdm`. The arrays wait in the host's memory, so copying them to
the device counts; compilation, in the round before the first, does not.
"""

import argparse
import os
import statistics
import sys
import time

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np

import ensemble_seg as es
from ensemble_seg.training import lesion_dice


class Clock(keras.callbacks.Callback):
    """Notes the seconds of each epoch; the metrics of its last step are known at its end."""

    def __init__(self):
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.start)


def main() -> None:
    options = parser().parse_args()
    print(f"JAX {jax.__version__}, Keras {keras.__version__}, {jax.devices()[0].device_kind}")
    for precision in options.precision:
        for batch in options.batch:
            preset = es.preset("paper").replace(
                encoder_weights=None,
                backbone=options.backbone,
                size=options.size,
                batch_size=batch,
                precision=precision,
            )
            print(f"{preset.backbone}, {preset.size} x {preset.size}, batch {batch}, {precision}")
            measure(preset, options.steps, options.rounds)
    print(f"TensorFlow imported: {'yes' if 'tensorflow' in sys.modules else 'no'}")


def measure(preset: es.Preset, steps: int, rounds: int) -> None:
    """Train one model and let it vote with its twin; print images per second, and scores."""
    images, masks = squares(preset.batch_size * steps, preset.size)
    model, twin = es.unet(preset, "main"), es.unet(preset, "twin")
    model.compile(
        keras.optimizers.Adam(preset.learning_rate),
        es.loss_by_name(preset.loss),
        metrics=[keras.metrics.MeanMetricWrapper(lesion_dice, name="dice")],
        jit_compile=True,
    )
    ensemble = es.build_ensemble([model, twin], preset.weights)
    ensemble.compile(jit_compile=True)
    with_batches = {"batch_size": preset.batch_size, "verbose": 0}

    clock = Clock()
    fitted = model.fit(
        images, masks, shuffle=False, epochs=rounds + 1, callbacks=[clock], **with_batches
    )
    report("training", clock.seconds, len(images))
    twin.set_weights(model.get_weights())
    seconds = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        maps = ensemble.predict(images, **with_batches)
        seconds.append(time.perf_counter() - start)
    report("ensemble inference", seconds, len(images))
    scores = es.Scores.from_masks(masks.argmax(axis=-1), maps.argmax(axis=-1))
    print(
        f"  it learns: on these very images a loss of {fitted.history['loss'][-1]:.4f}, "
        f"Dice {fitted.history['dice'][-1]:.3f}, of the ensemble "
        f"{scores.per_image['dice'].mean():.3f}"
    )


def squares(number: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw noise with one bright square each; return images 0..255 and their one-hot masks."""
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 128, (number, size, size, 3)).astype("float32")
    masks = np.zeros((number, size, size), int)
    corners = rng.integers(0, size // 2, (number, 2))
    for image, mask, (top, left) in zip(images, masks, corners, strict=True):
        window = slice(top, top + size // 3), slice(left, left + size // 3)
        image[window] += 100
        mask[window] = 1
    return images, np.eye(2, dtype="float32")[masks]


def report(what: str, seconds: list[float], images: int) -> None:
    """Print images per second of rounds; the first one compiled and does not count."""
    first, *rest = seconds
    rates = [images / second for second in rest]
    print(
        f"  {what}: {statistics.median(rates):.1f} images/s ({min(rates):.1f} to "
        f"{max(rates):.1f}, rounds: {len(rates)}, images a round: {images}, first: {first:.0f} s)"
    )


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="resnet101", help="(%(default)s)")
    parser.add_argument("--size", type=int, default=256, help="side of the images (%(default)s)")
    parser.add_argument("--batch", type=int, nargs="+", default=[8, 32], help="(8 32)")
    parser.add_argument(
        "--precision", nargs="+", default=["float32", "mixed_bfloat16"], help="(both)"
    )
    parser.add_argument("--steps", type=int, default=20, help="batches a round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(%(default)s)")
    return parser


if __name__ == "__main__":
    main()
