"""Which files: pairs of image and mask, their groups and their split."""

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ..common.errors import suggest
from ..common.files import content
from ..presets import Preset
from ..reading.lesion_values import LesionValues, chosen_lesion_values
from ..reading.masks import read_mask, small_mask
from ..reading.pairs import Box, Pair
from .layouts import find_pairs
from .sources import SOURCES
from .splits import PARTS, complete_parts

PHANTOMS = "phantoms"  # come with the module
NAMES = (PHANTOMS, *SOURCES)


@dataclass(frozen=True)
class Split:
    """Part of a data set: pairs of files, in a fixed order.

    Attributes:
        pairs: (image path, mask path, group) of each image.
        name: "train", "validation" or "test".
        folder: what the files' names are relative to.
        boxes: the window of each image that is used; None for whole images.
        lesion_values: the values of the mask files that are lesion; None where nobody chose any.
    """

    pairs: tuple[Pair, ...]
    name: str
    folder: Path
    boxes: tuple[Box, ...] | None = None
    lesion_values: LesionValues | None = None

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def windows(self) -> list[tuple[Pair, Box | None]]:
        """Each pair with its box, or None for a whole image."""
        boxes = self.boxes if self.boxes is not None else [None] * len(self)
        return list(zip(self.pairs, boxes, strict=True))

    @property
    def groups(self) -> list[str]:
        """The group of each pair."""
        return [pair.group for pair in self.pairs]

    def first(self, pairs: int) -> "Split":
        """Return the first pairs of the split."""
        return replace(self, pairs=self.pairs[:pairs], boxes=self.boxes and self.boxes[:pairs])

    def to_tf(self, preset: Preset, training: bool = False, first_epoch: int = 0, cache=None):
        """Return a tf.data.Dataset of (image, one-hot mask).

        Args:
            preset: how; see `ensemble_seg.reading.batches`.
            training: shuffled and augmented, from `first_epoch` to the preset's last epoch.
                Without it: one pass in the order of the pairs, never augmented.
            first_epoch: epochs that were trained before.
            cache: folder for resized files.
        """
        from ..reading.batches import batches, training_batches

        if training:
            return training_batches(self.windows, preset, first_epoch, cache, self.lesion_values)
        return batches(self.windows, preset.size, preset.batch_size, cache, self.lesion_values)

    def masks(self, size: int) -> np.ndarray:
        """Return all masks as (N, size, size) uint8 of 0 and 1, resized as the pipeline does."""
        with ThreadPoolExecutor() as threads:
            masks = threads.map(
                lambda window: small_mask(window[0].mask, size, window[1], self.lesion_values),
                self.windows,
            )
            return np.stack(list(masks))


@dataclass(frozen=True)
class Dataset:
    """A data set in three parts. No group appears in two of them.

    Attributes:
        name: "phantoms", "kvasir-seg", "lgg-mri", "isic-2018", or the name of a folder.
        train, validation, test: the parts.
    """

    name: str
    train: Split
    validation: Split
    test: Split

    def replace(self, **changes) -> "Dataset":
        """Return a copy with other parts."""
        return replace(self, **changes)

    def limit(self, pairs: int) -> "Dataset":
        """Return a copy with at most this many pairs a part; 0 for all."""
        if not pairs:
            return self
        return self.replace(**{part: getattr(self, part).first(pairs) for part in PARTS})

    def without_empty(self) -> "Dataset":
        """Return a copy without the images whose mask has no lesion. Reads all masks."""

        def lesions(split: Split) -> Split:
            pairs = tuple(
                pair for pair in split.pairs if read_mask(pair.mask, split.lesion_values).any()
            )
            if not pairs:
                raise ValueError(f"{self.name}: no image of the {split.name} part has a lesion.")
            return replace(split, pairs=pairs)

        return self.replace(**{part: lesions(getattr(self, part)) for part in PARTS})

    @property
    def lesion_values(self) -> LesionValues | None:
        """The values of the mask files that are lesion; None where nobody chose any."""
        return self.train.lesion_values

    @cached_property
    def hash(self) -> str:
        """SHA-256 over part, relative name, window and bytes of every file, 64 hex digits.

        The lesion's values are part of it where they were chosen.
        """
        digest = hashlib.sha256()
        if self.lesion_values is not None:
            digest.update(repr(("lesion_values", *self.lesion_values)).encode())
        for part in PARTS:
            split = getattr(self, part)
            for pair, box in split.windows:
                names = [Path(os.path.relpath(path, split.folder)).as_posix() for path in pair[:2]]
                digest.update(repr((part, *names, box)).encode())
                digest.update(content(pair.image) + content(pair.mask))
        return digest.hexdigest()


def load_dataset(
    name: str | Path | None = None,
    data_dir: str | Path | None = None,
    seed: int = 0,
    empty: bool = True,
    lesion_values: int | str | Iterable[int] | None = None,
) -> Dataset:
    """Find the files of a data set, pair them and split them.

    Official parts are kept: those of ISIC 2018, of lists such as Kvasir-SEG's train.txt and
    val.txt, of a manifest's column "split". Else the groups are split 70/10/20 at random. Where no
    test part is given the validation part serves as one, and validation images are drawn from the
    training part, an eighth of it.

    Args:
        name: "phantoms", "kvasir-seg", "lgg-mri", "isic-2018", or a folder in one of the layouts of
            `layouts.find_pairs`: images/ and masks/, masks named a7_mask.png beside a7.jpg, or a
            manifest.csv. Where it is None, ENSEMBLE_SEG_DATASET is read; "phantoms" where that
            is unset.
        data_dir: where the named sets lie; ENSEMBLE_SEG_DATA_DIR where it is None. The phantoms
            come with the module.
        seed: of the split.
        empty: keep the images without a lesion; False leaves them out of all parts.
        lesion_values: for masks of more than two values: those that are lesion, (1, 2) or
            "128-255" say, all others being background; of indexed files the indices. Where it is
            None, ENSEMBLE_SEG_LESION_VALUES is read.

    Raises:
        ValueError: an unknown name, no files, partners missing or doubled, a group in two parts.
        FileNotFoundError: the data set is not there.

    Example:
        >>> data = load_dataset("phantoms")
        >>> len(data.train), len(data.validation), len(data.test)
        (168, 24, 48)
    """
    name = str(name or os.environ.get("ENSEMBLE_SEG_DATASET") or "phantoms")
    folder = find_folder(name, data_dir)
    label = name if name in NAMES else folder.resolve().name
    values = chosen_lesion_values(lesion_values)
    parts = complete_parts(given_parts(folder), seed)
    splits = {part: Split(parts[part], part, folder, None, values) for part in PARTS}
    data = Dataset(label, **splits)
    return data if empty else data.without_empty()


def all_pairs(folder: str | Path) -> tuple[Pair, ...]:
    """Return the pairs of all parts of a folder.

    Raises:
        ValueError: as `load_dataset`.
    """
    parts = given_parts(folder)
    return tuple(pair for pairs in parts.values() for pair in pairs)


def given_parts(folder: str | Path) -> dict[str, list[Pair]]:
    """Return the pairs of a folder by the part that they are given to, "" where nobody did.

    Raises:
        ValueError, FileNotFoundError: as `load_dataset`.
    """
    folder = _absolute(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder. Expected that of a data set.")
    parts, problems, _ = find_pairs(folder)
    if problems:
        more = f"({len(problems) - 1} more: python -m ensemble_seg check {folder} lists them.)"
        raise ValueError(f"{problems[0]} {more}" if problems[1:] else problems[0])
    return parts


def find_folder(name: str, data_dir: str | Path | None = None) -> Path:
    """Return the folder of a data set.

    Raises:
        ValueError: neither a known name nor a folder.
        FileNotFoundError: a known name that is not in `data_dir`.
    """
    if name == PHANTOMS and data_dir is None:
        return _packaged(PHANTOMS)
    if name in NAMES:
        data_dir = _absolute(data_dir or os.environ.get("ENSEMBLE_SEG_DATA_DIR") or "data")
        folder = data_dir / (SOURCES[name].folder if name in SOURCES else name)
        if not folder.is_dir():
            raise FileNotFoundError(
                f"Data set '{name}': no folder {folder}. Get it with python -m ensemble_seg "
                f"download {name}, or set ENSEMBLE_SEG_DATA_DIR to the folder that holds "
                f"{folder.name}/."
            )
        return folder
    folder = _absolute(name)
    if folder.is_dir():
        return folder
    if folder.is_file():
        raise ValueError(f"{folder}: expected the folder of a data set, found a file.")
    raise ValueError(
        f"Unknown data set '{name}'.{suggest(name, NAMES)} Expected {', '.join(NAMES)}, or a "
        f"folder with images/ and masks/ in it. There is no folder {folder}."
    )


def _absolute(path: str | Path) -> Path:
    return Path(path).expanduser().absolute()


def _packaged(folder: str) -> Path:
    package = Path(__file__).parent.parent
    installed = package / "data" / folder
    return installed if installed.is_dir() else package.parent / "data" / folder
