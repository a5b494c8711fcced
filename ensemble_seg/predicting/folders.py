"""Masks, overlays and maps of disagreement for the images of a folder, as files."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ..common.files import file_hash
from ..common.results import require_own, results_folder
from ..datasets.inputs import data_root, input_images
from ..reading.images import picture_size, read_image, small_image
from .engines import ENGINE_OF, KERAS, exported_segmenter
from .segmenter import Prediction, Segmenter, in_batches

if TYPE_CHECKING:
    import keras

CONTOUR = (230, 159, 0)
TRIAL_SIZE = 32


def predict_folder(
    model: "keras.Model | str | Path",
    folder: str | Path,
    out: str | Path,
    progress: Callable = iter,
    model_files: Sequence[Path] = (),
    engine: str = KERAS,
) -> int:
    """Write masks/, overlays/ and disagreement/ for every image of a folder, as PNG.

    Masks are 0 and 255, disagreement maps 0..255 for 0..1. All have the size of their image.
    predictions.json beside them lists what was written and by which model. All images are read
    before the first is segmented, and results appear when all are there; they replace those of an
    earlier call, and nothing else.

    Args:
        model: from `unet`, `build_ensemble` or `zoom_ensemble`; or a network that was exported, as
            the path of its .onnx or .xml file, which needs no TensorFlow.
        folder: images, not searched below, or one image. Masks beside them are left out, as
            `datasets.inputs.input_images` tells; what is not read is printed.
        out: folder to write to; made where missing.
        progress: wraps the list of files, tqdm say.
        model_files: what the model was read from, for predictions.json and other engines.
        engine: what computes the networks: "keras", "onnx" or "openvino"; the others need
            `model_files`, beside which they are exported once.

    Returns:
        The number of images.

    Raises:
        FileNotFoundError: there is no such folder.
        FileExistsError: `out` holds anything that an earlier call has not written.
        RuntimeError: the package of the engine is missing.
        ValueError: no images in the folder, two of one stem, or one that cannot be read; `out` in
            the data set that the images belong to.
    """
    folder, out = (Path(path).expanduser().absolute() for path in (folder, out))
    files, notes = input_images(folder)
    _require_apart(out, folder)
    require_own(out)
    _require_readable(files)
    for note in notes:
        print(note)
    if isinstance(model, str | Path):
        path = Path(model)
        segment = exported_segmenter(path)
        name, engine, model_files = path.stem, ENGINE_OF[path.suffix], (path,)
    else:
        from .networks import segmenter  # not above: it imports Keras

        segment, name = segmenter(model, len(files), engine, model_files), model.name
    about = {
        "made by": "python -m ensemble_seg predict",
        "model": name,
        "engine": engine,
        "model files": {str(file): file_hash(file) for file in model_files},
        "images": str(folder),
    }
    with results_folder(out, about) as results, ThreadPoolExecutor() as threads:
        done = _segment_files(segment, files, results, threads)
        for _ in progress(files):
            next(done)
        next(done, None)
    return len(files)


def _require_apart(out: Path, images: Path) -> None:
    root = data_root(images)
    if out.resolve().is_relative_to(root.resolve()):
        raise ValueError(
            f"{out}: in the folder of the images ({root}), where results could be taken for its "
            f"masks. Name a folder outside it, with --out {root.parent / 'predictions'} say."
        )


def _require_readable(files: Sequence[Path]) -> None:
    with ThreadPoolExecutor() as threads:
        for _ in threads.map(lambda file: small_image(file, TRIAL_SIZE), files):
            pass


def _segment_files(
    segment: Segmenter, files: Sequence[Path], out: Path, threads: ThreadPoolExecutor
) -> Iterator[Path]:
    """Give each file that is segmented; the last ones are written when all are given."""
    for kind in ("masks", "overlays", "disagreement"):
        (out / kind).mkdir(exist_ok=True)
    written: list[Future] = []
    for batch, images in _read_ahead(files, threads):
        results = segment(images)
        _wait_for(written)
        written = [
            threads.submit(_write_results, image, result, file.stem, out)
            for image, result, file in zip(images, results, batch, strict=True)
        ]
        yield from batch
    _wait_for(written)


def _read_ahead(
    files: Sequence[Path], threads: ThreadPoolExecutor
) -> Iterator[tuple[list[Path], list[np.ndarray]]]:
    """Give files and images batch by batch, while the next batch is being read."""
    ahead = None
    for batch in in_batches(files, lambda file: math.prod(picture_size(file))):
        coming = batch, [threads.submit(read_image, file) for file in batch]
        if ahead is not None:
            yield ahead[0], _wait_for(ahead[1])
        ahead = coming
    if ahead is not None:
        yield ahead[0], _wait_for(ahead[1])


def _wait_for(futures: Iterable[Future]) -> list:
    return [future.result() for future in futures]


def _write_results(image: np.ndarray, result: Prediction, stem: str, out: Path) -> None:
    pictures = {
        "masks": result.mask * np.uint8(255),
        "overlays": overlay(image, result.mask),
        "disagreement": np.round(result.disagreement * 255).astype("uint8"),
    }
    for kind, picture in pictures.items():
        # Level 6, the usual one, takes far longer and saves little.
        Image.fromarray(picture).save(out / kind / f"{stem}.png", compress_level=1)


def overlay(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Draw the contour of a mask (H, W) on an image (H, W, 3) uint8, in orange."""
    drawn, mask = image.copy(), mask.astype(bool)
    edge = np.zeros_like(mask)
    across, down = mask[:, 1:] != mask[:, :-1], mask[1:] != mask[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    drawn[edge] = CONTOUR
    return drawn
