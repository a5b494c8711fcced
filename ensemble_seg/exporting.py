"""What others go on with: lesion crops as files, and models for other runtimes."""

import contextlib
import csv
import gc
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from .common.errors import invalid
from .common.files import PARTIAL, clear_disk_errors, whole
from .datasets import Split, load_dataset
from .datasets.dataset import given_parts
from .datasets.splits import complete_parts
from .ensembling import ensemble_members
from .hardware.precision import computes_in_bfloat16, in_float32
from .predicting.engines import (
    FORMATS,
    OPENVINO_READS_ONNX,
    PRECISION,
    import_openvino,
    is_installed,
    opened,
)
from .reading.checking import check_pairs
from .reading.images import read_image, resize_image
from .reading.lesion_values import chosen_lesion_values
from .reading.pairs import Box, Pair
from .reading.windows import read_window
from .sampling import Counts, crop_split


def write_crops(
    folder: str | Path,
    out: str | Path,
    threshold: float = 3.0,
    each_lesion: bool = False,
    margin: tuple[int, ...] = (20, 10),
    lesion_values: int | str | Iterable[int] | None = None,
) -> Counts:
    """Crop a data set around its lesions and write images/, masks/ and manifest.csv.

    Crops keep their resolution. Images and masks (0 and 255) are PNG; the manifest has group,
    split, source and window of each. The split is that of `load_dataset`, so that no image is a
    test image here and cropped into the training part there; a set too small for a split has none.
    The folder appears whole or not at all.

    Args:
        folder: data set in one of the layouts of `layouts.find_pairs`.
        out: folder to make.
        threshold, each_lesion, margin: as in `crop_split`.
        lesion_values: as in `load_dataset`.

    Raises:
        FileExistsError: `out` exists.
        ValueError: bad files, or nothing is left to crop.
    """
    folder, out = Path(folder).expanduser().absolute(), Path(out).expanduser().absolute()
    if out.exists():
        raise FileExistsError(f"{out}: exists. Remove it or name another folder.")
    given = given_parts(folder)
    pairs = tuple(pair for part in given.values() for pair in part)
    values = chosen_lesion_values(lesion_values)
    check_pairs(pairs, values)
    whole_images = Split(pairs, "all", folder, None, values)
    split, counts = crop_split(whole_images, threshold, margin, each_lesion)
    with whole(out) as partial:
        _write(split, _part_of_each(given), folder, partial)
    return counts


def _part_of_each(given: dict[str, list[Pair]]) -> dict[Pair, str]:
    """Return the part of each pair as `load_dataset` makes it, "" where there can be none."""
    try:
        parts = complete_parts(given)
    except ValueError:
        if not set(given) <= {"", "train"}:
            raise
        parts = {"": [pair for pairs in given.values() for pair in pairs]}
    return {pair: part for part, pairs in parts.items() for pair in pairs}


def _write(crops: Split, part_of: dict[Pair, str], folder: Path, out: Path) -> None:
    for kind in ("images", "masks"):
        (out / kind).mkdir(parents=True)
    with open(out / "manifest.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["image", "mask", "group", "split", "source", *Box._fields])
        for number, (pair, box) in enumerate(crops.windows):
            name = f"{pair.image.stem}_{number:05d}.png"
            image, mask = read_window(pair, box, crops.lesion_values)
            Image.fromarray(image).save(out / "images" / name)
            Image.fromarray(mask * 255).save(out / "masks" / name)
            inside = pair.image.is_relative_to(folder)
            source = (pair.image.relative_to(folder) if inside else pair.image).as_posix()
            files = f"images/{name}", f"masks/{name}"
            table.writerow([*files, pair.group, part_of[pair], source, *box])


AGREEMENT = 1e-4  # of two probabilities


def export_model(
    model: keras.Model, path: str | Path, format: str = "onnx"
) -> tuple[Path, float | None]:
    """Write a model for another runtime, in float32, and compare it with Keras.

    Keras' own `Model.export` does the work. Input of the written network: RGB images 0..255,
    (B, S, S, 3) float32; output: softmax maps (B, S, S, 2), and for an ensemble, in another output,
    the lesion's probability by each of its M members, (B, M, S, S); LiteRT has the first alone.
    OpenVINO is told whether the model was trained in bfloat16: then `predict` computes in it too,
    on processors that have it.
    What `predict_image` does around it (resizing; the box of a zoom ensemble cut out of the image
    at its own size) is not in the file.

    Args:
        model: a U-Net, an ensemble or a zoom ensemble.
        path: file to write; its ending becomes that of the format. OpenVINO writes its weights
            beside it, as .bin.
        format: "onnx", "openvino" or "litert".

    Returns:
        The file, and the largest difference from Keras' probabilities on three phantoms; None
        where the package that runs the format is missing.

    Raises:
        ValueError: an unknown format, or a model that it cannot hold.
        RuntimeError: a package is missing, or the written network gives other probabilities. No
            file is left.
    """
    if format not in FORMATS:
        raise invalid("format", f"one of {', '.join(FORMATS)}", format)
    ending, writers, runtime = FORMATS[format]
    if missing := [name for name in writers if not is_installed(name)]:
        raise RuntimeError(
            f"format {format}: {' and '.join(missing)} is not installed. "
            f"Run: pip install {' '.join(dict.fromkeys([*writers, runtime]))}"
        )
    precision = "bf16" if computes_in_bfloat16(model) else "f32"
    path, model, difference = Path(path).with_suffix(ending), in_float32(model), None
    images = _three_phantoms(model.input_shape[1])
    expected = keras.ops.convert_to_numpy(model(images, training=False))
    with clear_disk_errors(path, "Nothing was written."):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=PARTIAL) as folder:
            written = Path(folder) / path.name
            network = model if format == "litert" else _with_members(model)
            _write_network(network, written, format, precision)
            if is_installed(runtime):
                difference = _difference(written, format, images, expected)
            for file in sorted(written.parent.iterdir()):  # .bin before .xml
                file.replace(path.with_suffix(file.suffix))
    return path, difference


def _with_members(model: keras.Model) -> keras.Model:
    """Return an ensemble that gives its members' maps of the lesion, too."""
    members, vote = ensemble_members(model)
    if members == [model]:
        return model
    image = keras.Input(model.input_shape[1:], name="image")
    maps = [member(image) for member in members]
    lesion = keras.ops.stack([each[..., 1] for each in maps], axis=1)
    whole = keras.Model(image, [vote(maps), lesion], name=model.name)
    whole(np.zeros((1, *model.input_shape[1:]), "float32"))  # Keras exports what was called once
    return whole


def _write_network(model: keras.Model, path: Path, format: str, precision: str) -> None:
    try:
        with warnings.catch_warnings(), _garbage_collected_often():
            warnings.simplefilter("ignore", FutureWarning)  # tf2onnx of numpy
            if format == "openvino":
                _write_openvino(model, path, precision)
            else:
                model.export(str(path), format=format, verbose=False)
    except OSError:
        raise
    except Exception as error:  # each converter raises its own kinds
        text = " ".join(str(error).split())[:300]
        raise ValueError(
            f"{path.name}: Keras {keras.__version__} could not write this model as {format}: "
            f"{type(error).__name__}: {text}"
        ) from error


@contextlib.contextmanager
def _garbage_collected_often() -> Iterator[None]:
    """Collect what tf2onnx leaves: thirty copies of the network, 12 GB of a ResNet-101."""
    thresholds = gc.get_threshold()
    gc.freeze()  # what is there already needs no look
    gc.collect()
    gc.set_threshold(700, 2, 2)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def _write_openvino(model: keras.Model, path: Path, precision: str) -> None:
    openvino, format = import_openvino(), "onnx" if OPENVINO_READS_ONNX else "openvino"
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        first = (Path(folder) / path.name).with_suffix(FORMATS[format][0])
        model.export(str(first), format=format, verbose=False)
        network = openvino.Core().read_model(first)
        network.set_rt_info(precision, PRECISION)
        openvino.save_model(network, path, compress_to_fp16=False)
        del network  # Windows cannot remove a file that is mapped


def _three_phantoms(size: int) -> np.ndarray:
    pairs = load_dataset("phantoms").validation.pairs[:3]
    images = [resize_image(read_image(pair.image), size) for pair in pairs]
    return np.stack(images).astype("float32")


def _difference(path: Path, format: str, images: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference from the expected probabilities; raise where it is large."""
    found = opened(path, format, exact=True).run(images)[0]
    difference = float(np.abs(found - expected).max())
    if not difference <= AGREEMENT:
        raise RuntimeError(
            f"{path.name}: its probabilities differ from Keras' by up to {difference:.2g}, more "
            f"than {AGREEMENT:g}. It was not kept; try another version of {FORMATS[format][2]}."
        )
    return difference
