"""What is measured of this project, each in a process of its own.

python -m benchmarks.ours training|inference LABEL             the network of a preset
python -m benchmarks.ours network LABEL FILE | exported FILE   the same with ONNX Runtime
python -m benchmarks.ours first_pass|loop|tf FOLDER            files to batches
python -m benchmarks.ours save FILE                            an ensemble for `predict`
python -m benchmarks.ours precision LABEL FOLDER               prints a share of pixels
"""

import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import ensemble_seg as es

from .measuring import serve

BATCH, STEPS = 8, 3
SIZE = 256  # of files to batches
FRESH = 240  # phantoms, drawn to compare precisions on


def seconds(function: Callable, *arguments) -> float:
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def batch_of(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random images (8, size, size, 3) 0..255 and one-hot masks, float32."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (BATCH, size, size, 3)).astype("float32")
    return images, np.eye(2, dtype="float32")[rng.integers(0, 2, (BATCH, size, size))]


def training(label: str) -> None:
    """Serve the images a second of training steps on one batch."""
    from ensemble_seg.losses import loss_by_name
    from ensemble_seg.training import compile_model

    preset = es.preset(label)
    model = es.unet(preset)
    compile_model(model, preset, loss_by_name(preset.loss), total_steps=1000)
    images, masks = batch_of(preset.size)

    def steps(count: int) -> None:
        for _ in range(count):
            model.train_on_batch(images, masks)

    steps(2)
    serve(lambda: STEPS * BATCH / seconds(steps, STEPS))


def inference(label: str) -> None:
    """Serve the images a second of Keras' predictions."""
    preset = es.preset(label)
    _serve_predictions(es.unet(preset).predict_on_batch, preset.size)


def network(label: str, path: str) -> None:
    """Write the same network for ONNX Runtime, before the measurement."""
    from ensemble_lab.export import export_model

    export_model(es.unet(es.preset(label)), path)


def exported(path: str) -> None:
    """Serve those of ONNX Runtime."""
    from ensemble_lab.export import load_exported

    model = load_exported(path)
    _serve_predictions(model.predict, model.input_shape[1])


def _serve_predictions(predict: Callable, size: int) -> None:
    images, _ = batch_of(size)

    def batches(count: int) -> None:
        for _ in range(count):
            predict(images)

    batches(2)
    serve(lambda: 2 * STEPS * BATCH / seconds(batches, 2 * STEPS))


def draw_pairs(folder: Path, shape: tuple[int, int], pairs: int, distinct: int) -> None:
    """Write phantoms as JPEG images of a height and width, with PNG masks, then links to them."""
    from PIL import Image

    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for each in range(pairs):
        files = folder / "images" / f"{each:04d}.jpg", folder / "masks" / f"{each:04d}.png"
        if each >= distinct:
            for file in files:
                file.symlink_to(f"{each % distinct:04d}{file.suffix}")
            continue
        rng = np.random.default_rng(each)
        image, mask = es.draw_phantom(rng)[:2]
        large = Image.fromarray(image).resize(shape[::-1], Image.Resampling.BICUBIC)
        noisy = np.asarray(large) + rng.normal(0, 3, (*shape, 1)).astype("float32")
        Image.fromarray(noisy.clip(0, 255).astype("uint8")).save(files[0], quality=90)
        grey = Image.fromarray(mask * np.uint8(255))
        grey.resize(shape[::-1], Image.Resampling.NEAREST).save(files[1])


def first_pass(folder: Path) -> None:
    """Go through all batches of an epoch."""
    split = es.load_dataset(str(folder)).train
    for _ in split.to_tf(es.preset("paper").replace(epochs=1), training=True):
        pass


def loop(folder: Path) -> None:
    """Read all files one by one with Pillow, as a first notebook would."""
    from PIL import Image

    for pair in es.load_dataset(str(folder)).train.pairs:
        image, mask = Image.open(pair.image), Image.open(pair.mask)
        np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR)).astype("float32")
        small = np.asarray(mask.resize((SIZE, SIZE), Image.Resampling.NEAREST))
        np.eye(2, dtype="float32")[(small > 127).astype(int)]


def tf_reader(folder: Path) -> None:
    """Go through the batches of a tf.data.Dataset as TensorFlow's guides build one."""
    import tensorflow as tf

    def read(image, mask):
        image = tf.io.decode_jpeg(tf.io.read_file(image), 3)
        mask = tf.io.decode_png(tf.io.read_file(mask), 1)
        mask = tf.image.resize(mask, (SIZE, SIZE), "nearest")[..., 0]
        image = tf.image.resize(image, (SIZE, SIZE), antialias=True)
        return image, tf.one_hot(tf.cast(mask > 127, "int32"), 2)

    pairs = es.load_dataset(str(folder)).train.pairs
    files = [str(pair.image) for pair in pairs], [str(pair.mask) for pair in pairs]
    dataset = tf.data.Dataset.from_tensor_slices(files).map(read, tf.data.AUTOTUNE)
    for _ in dataset.batch(BATCH).prefetch(tf.data.AUTOTUNE):
        pass


READERS = {"first_pass": first_pass, "loop": loop, "tf": tf_reader}


def files(reader: str, folder: Path) -> None:
    """Serve the pairs a second of a reader."""
    read, pairs = READERS[reader], len(es.load_dataset(str(folder)).train)
    read(folder)
    serve(lambda: pairs / seconds(read, folder))


def save(path: str) -> None:
    """Save an ensemble of two networks of the quick preset, not trained."""
    preset = es.preset("quick,precision=float32")
    pair = [es.unet(preset.replace(seed=seed)) for seed in (0, 1)]
    es.save_model(es.build_ensemble(pair), path)


def precision(label: str, folder: Path) -> None:
    """Train the main model; print the share of pixels that change class in the other precision."""
    preset = es.preset(label)
    model = es.load_or_train("main", es.load_dataset("phantoms"), preset, folder / "runs").model
    other = "float32" if preset.precision != "float32" else "mixed_bfloat16"
    twin = es.unet(preset.replace(precision=other))
    twin.set_weights(model.get_weights())
    rng = np.random.default_rng(1)
    pictures = (es.draw_phantom(rng)[0] for _ in range(FRESH))
    images = np.stack([_small(picture, preset.size) for picture in pictures])
    maps = [each.predict(images, batch_size=BATCH, verbose=0) for each in (model, twin)]
    share = np.mean(maps[0].argmax(axis=-1) != maps[1].argmax(axis=-1))
    assert math.isfinite(share)
    print(share)


def _small(picture: np.ndarray, size: int) -> np.ndarray:
    from ensemble_seg.reading import resize_image

    return resize_image(picture, size).astype("float32")


TASKS = {each.__name__: each for each in (training, inference, network, exported, save)}

if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what in READERS:
        files(what, Path(rest[0]))
    elif what == "precision":
        precision(rest[0], Path(rest[1]))
    else:
        TASKS[what](*rest)
