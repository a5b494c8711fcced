"""A sampled data set as files, as the authors' own repository writes it."""

import csv
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from .common.files import whole
from .datasets import Split, all_pairs
from .reading.checking import check_pairs
from .reading.lesion_values import chosen_lesion_values
from .reading.pairs import Box
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
    source and window of each. The folder appears whole or not at all.

    Args:
        folder: data set in one of the layouts of `layouts.find_pairs`.
        out: folder to make.
        threshold, each_lesion, margin: as in `crop_split`.
        lesion_values: as in `load_dataset`.

    Raises:
        FileExistsError: `out` exists.
        ValueError: bad files, or nothing is left to crop.
    """
    folder, out = Path(folder), Path(out)
    if out.exists():
        raise FileExistsError(f"{out}: exists. Remove it or name another folder.")
    pairs = all_pairs(folder)
    values = chosen_lesion_values(lesion_values)
    check_pairs(pairs, values)
    whole_images = Split(pairs, "all", folder, None, values)
    split, counts = crop_split(whole_images, threshold, margin, each_lesion)
    with whole(out) as partial:
        _write(split, folder, partial)
    return counts


def _write(crops: Split, folder: Path, out: Path) -> None:
    for kind in ("images", "masks"):
        (out / kind).mkdir(parents=True)
    with open(out / "manifest.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["image", "mask", "group", "source", *Box._fields])
        for number, (pair, box) in enumerate(crops.windows):
            name = f"{pair.image.stem}_{number:05d}.png"
            image, mask = read_window(pair, box, crops.lesion_values)
            Image.fromarray(image).save(out / "images" / name)
            Image.fromarray(mask * 255).save(out / "masks" / name)
            source = pair.image.relative_to(folder).as_posix()
            table.writerow([f"images/{name}", f"masks/{name}", pair.group, source, *box])
