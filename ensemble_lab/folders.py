"""Folders of images: segmented, or cropped around their lesions, as files."""

import csv
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import keras
import numpy as np
from PIL import Image
from tqdm import tqdm

from ensemble_seg.data import Dataset, Split
from ensemble_seg.pairing import PARTS, Pair
from ensemble_seg.predicting import Prediction, overlay, predict_images
from ensemble_seg.reading import SUFFIXES, Box, image_files, read_image, read_mask
from ensemble_seg.runs import replaced
from ensemble_seg.sampling import Counts, crop_split

from .export import Exported, predict_exported
from .zoom import is_zoom, predict_zoom

AT_ONCE, VALUES_AT_ONCE = 8, 48_000_000  # images in a batch, and their values together
KINDS = ("masks", "overlays", "disagreement")


def predict_folder(
    model: keras.Model | Exported, images: str | Path, out: str | Path
) -> tuple[int, list[str]]:
    """Write masks/, overlays/ and disagreement/ for the images of a folder, as PNG of their size.

    Masks are 0 and 255, disagreement maps 0..255 for 0..1.

    Args:
        model: from `unet`, `build_ensemble`, `zoom_ensemble` or `load_exported`.
        images: a folder, not searched below, or one image.
        out: folder to write to, empty or not there yet.

    Returns:
        How many images were segmented, and a message for each that cannot be read.

    Raises:
        OSError, ValueError: `out` holds something; no images there, or two of one stem.
    """
    files, out, bad = input_images(images), Path(out).expanduser(), []
    require_empty(out)
    for kind in KINDS:
        (out / kind).mkdir(parents=True, exist_ok=True)
    if isinstance(model, Exported):
        segment = predict_exported
    else:
        segment = predict_zoom if is_zoom(model) else predict_images
    with ThreadPoolExecutor() as threads:
        for batch, pictures in _batches(tqdm(files, unit=" images", disable=None), bad):
            results = segment(model, pictures)
            list(threads.map(partial(_write_results, out), batch, pictures, results))
    return len(files) - len(bad), bad


def input_images(path: str | Path) -> list[Path]:
    """Return the image that a path names, or those of a folder; errors as `predict_folder`."""
    path = Path(path).expanduser()
    if path.is_file():
        return [path]
    files = image_files(path)
    if not files:
        raise ValueError(f"{path}: expected images ({', '.join(SUFFIXES)}) at its first level.")
    stem, count = Counter(file.stem for file in files).most_common(1)[0]
    if count > 1:
        raise ValueError(
            f"{path}: {count} images '{stem}', and results have no suffix. Rename one."
        )
    return files


def require_empty(folder: Path) -> None:
    """Raise FileExistsError where results would mix with something else."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder}: is not empty. Remove it, or name another folder.")


def write_crops(
    data: Dataset,
    out: str | Path,
    threshold: float = 3.0,
    margin: Sequence[int] = (20, 10),
    each_lesion: bool = False,
) -> Counts:
    """Crop the images of a data set around their lesions; see `crop_split` for the rule.

    Writes images/, masks/ and manifest.csv in a new folder, which appears when it is complete.
    Crops keep their resolution, and the part of their image: no test image is trained on.
    """
    out, folder = Path(out).expanduser(), data.train.folder
    if out.exists():
        raise FileExistsError(f"{out}: exists. Remove it, or name another folder.")
    part_of = {pair: part for part in PARTS for pair in getattr(data, part).pairs}
    crops, counts = crop_split(Split(tuple(part_of), "all", folder), threshold, margin, each_lesion)
    shutil.rmtree(out.with_name(f"partial-{out.name}"), ignore_errors=True)  # of a killed call
    with replaced(out) as made:
        (made / "images").mkdir(parents=True)
        (made / "masks").mkdir()
        with open(made / "manifest.csv", "w", newline="", encoding="utf-8") as file:
            (table := csv.writer(file)).writerow(
                ["image", "mask", "group", "split", "source", *Box._fields]
            )
            for number, (pair, box) in enumerate(crops.windows):
                name = f"{pair.image.stem}_{number:05d}.png"
                names = f"images/{name}", f"masks/{name}"
                _write_crop(pair, box, *(made / each for each in names))
                source = Path(os.path.relpath(pair.image, folder)).as_posix()
                table.writerow([*names, pair.group, part_of[pair], source, *box])
    return counts


def _write_crop(pair: Pair, box: Box, image_file: Path, mask_file: Path) -> None:
    image, mask = read_image(pair.image), read_mask(pair.mask)
    if image.shape[:2] != mask.shape:
        raise ValueError(f"{pair.mask}: expected the size of its image, {image.shape[:2]}.")
    rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
    Image.fromarray(image[rows, columns]).save(image_file)
    Image.fromarray(mask[rows, columns] * np.uint8(255)).save(mask_file)


def _batches(files: Iterable[Path], bad: list[str]) -> Iterator[tuple]:
    """Give files and their images, as many as fit into memory; `bad` gets what cannot be read."""
    batch = []
    for file in files:
        try:
            batch.append((file, read_image(file)))
        except (OSError, ValueError) as error:
            bad.append(str(error))
        if len(batch) == AT_ONCE or sum(image.size for _, image in batch) > VALUES_AT_ONCE:
            yield zip(*batch, strict=True)
            batch = []
    if batch:
        yield zip(*batch, strict=True)


def _write_results(out: Path, file: Path, image: np.ndarray, result: Prediction) -> None:
    maps = result.mask * np.uint8(255), overlay(image, result.mask), result.disagreement * 255
    for kind, values in zip(KINDS, maps, strict=True):
        picture = Image.fromarray(np.round(values).astype("uint8"))
        # Level 6, the usual one, takes longer and saves little.
        picture.save(out / kind / f"{file.stem}.png", compress_level=1)
