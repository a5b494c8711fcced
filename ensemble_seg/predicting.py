"""Masks for images of any size, given back at their own size."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from PIL import Image

from .common.errors import invalid
from .common.files import file_hash
from .common.results import require_own, results_folder
from .datasets import Split
from .datasets.inputs import data_root, input_images
from .ensembling import ensemble_members
from .evaluation import Scores, bootstrap_mean, predict_split, score, surface_scores
from .reading.images import read_image, resize_image, small_image
from .reading.windows import read_window
from .zooming import is_zoom, zoomed

CONTOUR = (230, 159, 0)
BAND = 64  # rows of a map enlarged at once: they stay in the processor's cache
TRIAL_SIZE = 32


class Prediction(NamedTuple):
    """Result for one image of H x W pixels.

    Attributes:
        probability: (H, W) float32, of the lesion class.
        mask: (H, W) uint8 of 0 and 1.
        disagreement: (H, W) float32 in 0..1, the widest difference between two members of the
            ensemble; 0 everywhere for a single model.
    """

    probability: np.ndarray
    mask: np.ndarray
    disagreement: np.ndarray


def predict_image(model: keras.Model, image: np.ndarray) -> Prediction:
    """Predict the lesion of one image of any size.

    The image is resized to the network's input, where the members of an ensemble vote, and the
    lesion's probability back to the image (bilinear). The mask is where it exceeds a half. For a
    zoom ensemble the box is cut out of the image at its own size, so that a small lesion keeps
    its pixels.

    Args:
        model: from `unet`, `build_ensemble` or `zoom_ensemble`.
        image: (H, W, 3) uint8 RGB.

    Raises:
        ValueError: another shape.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] != 3 or not image.size:
        raise invalid(
            "image",
            "an array (H, W, 3), RGB 0..255",
            found=f"shape {image.shape}",
            hint="ensemble_seg.read_image reads image files.",
        )
    if is_zoom(model):
        probability, disagreement = zoomed(model, image)
        return Prediction(probability, (probability > 0.5).astype("uint8"), disagreement)
    batch = resize_image(image, model.input_shape[1])[None].astype("float32")
    members, vote = ensemble_members(model)
    maps = [member(batch) for member in members]
    lesion = np.stack([np.array(each)[0, ..., 1] for each in (vote(maps), *maps)])
    return _enlarged(lesion, image.shape[:2])


def evaluate(model: keras.Model, split: Split, own_size: bool = False) -> Scores:
    """Score a model on the images of a split.

    Args:
        model: from images to softmax maps of two classes; see `unet` and `build_ensemble`.
        split: data.test, say.
        own_size: score at the size of each image, as `predict_image` gives the mask, against the
            mask file as it is; one image after the other. Without it: at the size of the network's
            input, the truth resized to the nearest pixel.

    Returns:
        Scores of the arg-max masks.
    """
    if not own_size:
        return score(predict_split(model, split), split)
    pairs = [Scores.from_masks([truth], [mask]) for truth, mask in own_size_masks(model, split)]
    counts = np.concatenate([scores.counts for scores in pairs])
    return Scores(counts, tuple(pair.image.stem for pair in split.pairs), tuple(split.groups))


def own_size_masks(model: keras.Model, split: Split) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give truth and prediction of each image of a split, (H, W) of 0 and 1, at its own size."""
    for pair, box in split.windows:
        image, truth = read_window(pair, box, split.lesion_values)
        yield truth, predict_image(model, image).mask


def border_table(models: Mapping[str, keras.Model], split: Split, tolerance: float = 2.0) -> str:
    """Return a Markdown table of ISIC's score and of distances between borders, at own size.

    Args:
        models: by name.
        split: data.test, say.
        tolerance: of the normalised surface distance, pixels.

    Raises:
        ImportError: surface-distance is not installed; see `evaluation.surface_scores`.
    """
    head = f"ISIC score [95 %] | HD95, pixels [95 %] | NSD at {tolerance:g} pixels [95 %]"
    lines = [f"| model | {head} |", "|---|---|---|---|"]
    for name, model in models.items():
        rows = []
        for truth, mask in own_size_masks(model, split):
            isic = Scores.from_masks([truth], [mask]).isic()[0]
            rows.append((isic, *surface_scores(truth, mask, tolerance)))
        means = (
            bootstrap_mean(np.array(column), split.groups) for column in zip(*rows, strict=True)
        )
        lines.append(f"| {name} | {' | '.join(map(str, means))} |")
    return "\n".join(lines)


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


def predict_folder(
    model: keras.Model,
    folder: str | Path,
    out: str | Path,
    progress: Callable = iter,
    model_files: Sequence[Path] = (),
) -> int:
    """Write masks/, overlays/ and disagreement/ for every image of a folder, as PNG.

    Masks are 0 and 255, disagreement maps 0..255 for 0..1. All have the size of their image.
    predictions.json beside them lists what was written and by which model. All images are read
    before the first is segmented, and results appear when all are there; they replace those of an
    earlier call, and nothing else.

    Args:
        model: from `unet` or `build_ensemble`.
        folder: images, not searched below, or one image. Masks beside them are left out, as
            `datasets.inputs.input_images` tells; what is not read is printed.
        out: folder to write to; made where missing.
        progress: wraps the list of files, tqdm say.
        model_files: what the model was read from, for predictions.json.

    Returns:
        The number of images.

    Raises:
        FileNotFoundError: there is no such folder.
        FileExistsError: `out` holds anything that an earlier call has not written.
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
    about = {
        "made by": "python -m ensemble_seg predict",
        "model": model.name,
        "model files": {str(file): file_hash(file) for file in model_files},
        "images": str(folder),
    }
    with results_folder(out, about) as results:
        for file in progress(files):
            _write_results(model, file, results)
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


def _write_results(model: keras.Model, file: Path, out: Path) -> None:
    image = read_image(file)
    result = predict_image(model, image)
    pictures = {
        "masks": result.mask * np.uint8(255),
        "overlays": overlay(image, result.mask),
        "disagreement": np.round(result.disagreement * 255).astype("uint8"),
    }
    for kind, picture in pictures.items():
        (out / kind).mkdir(exist_ok=True)
        # Level 6, the usual one, takes far longer and saves little.
        Image.fromarray(picture).save(out / kind / f"{file.stem}.png", compress_level=1)


def _enlarged(lesion: np.ndarray, shape: tuple[int, int]) -> Prediction:
    """Enlarge maps of the lesion (1 + M, h, w), the vote and what M members gave, to an image."""
    result = Prediction(
        np.empty(shape, "float32"), np.empty(shape, "uint8"), np.empty(shape, "float32")
    )
    maps = _interpolated(lesion, 2, *_sources(shape[1], lesion.shape[2]))
    rows = _sources(shape[0], lesion.shape[1])
    for start in range(0, shape[0], BAND):
        band = slice(start, start + BAND)
        part = _interpolated(maps, 1, *(each[band] for each in rows))
        result.probability[band] = part[0]
        result.mask[band] = part[0] > 0.5
        result.disagreement[band] = np.ptp(part[1:], axis=0)
    return result


def _sources(length: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the two of `size` pixels that each of `length` lies between, and how far along."""
    place = ((np.arange(length) + 0.5) * size / length - 0.5).clip(0, size - 1)
    before = place.astype("int64")
    return before, np.minimum(before + 1, size - 1), (place - before).astype("float32")


def _interpolated(
    maps: np.ndarray, axis: int, before: np.ndarray, after: np.ndarray, share: np.ndarray
) -> np.ndarray:
    share = share.reshape([-1 if number == axis else 1 for number in range(maps.ndim)])
    low, high = maps.take(before, axis), maps.take(after, axis)
    high -= low
    high *= share
    return np.add(low, high, out=low)
