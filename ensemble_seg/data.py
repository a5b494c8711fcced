"""A data set: training, validation and test images, as files and as batches."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from .batches import batches, training_batches
from .pairing import PARTS, Pair, complete_parts, not_read, read_folder
from .presets import Preset, suggest
from .reading import Box, mask_and_value, picture_size, read_mask, small_image, small_mask

FOLDERS = {"kvasir-seg": "Kvasir-SEG", "lgg-mri": "lgg-mri", "isic-2018": "isic-2018"}
TRIAL_SIZE = 32  # pixels at which an image is decoded to see whether it can be
NAMES = ("phantoms", *FOLDERS)  # the phantoms come with the module


@dataclass(frozen=True)
class Split:
    """Part of a data set: pairs of files, in a fixed order.

    Attributes:
        pairs: (image path, mask path, group) of each image.
        name: "train", "validation" or "test".
        folder: what the files' names are relative to.
        boxes: the window of each image that is used; None for whole images.
    """

    pairs: tuple[Pair, ...]
    name: str
    folder: Path
    boxes: tuple[Box, ...] | None = None

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

    @property
    def names(self) -> list[str]:
        """What to call each image: its stem, or its path in the folder where stems repeat."""
        stems = [pair.image.stem for pair in self.pairs]
        images = {pair.image for pair in self.pairs}
        if len(set(stems)) == len(images):
            return stems
        return [_relative(pair.image, self.folder) for pair in self.pairs]

    def first(self, pairs: int) -> "Split":
        """Return the first pairs of the split."""
        return replace(self, pairs=self.pairs[:pairs], boxes=self.boxes and self.boxes[:pairs])

    def to_tf(self, preset: Preset, training: bool = False, first_epoch: int = 0):
        """Return a tf.data.Dataset of (images, one-hot masks); see `batches`.

        Args:
            preset: its size and batch_size are used; when training, epochs, augment and seed too.
            training: shuffled and augmented, from `first_epoch` to the preset's last epoch.
                Without it: one pass in the order of the pairs, never augmented.
            first_epoch: epochs that were trained before.
        """
        if training:
            return training_batches(self.windows, preset, first_epoch)
        return batches(self.windows, preset.size, preset.batch_size)

    def masks(self, size: int) -> np.ndarray:
        """Return all masks as (N, size, size) uint8 of 0 and 1, resized as the pipeline does."""

        def mask(window: tuple[Pair, Box | None]) -> np.ndarray:
            return small_mask(window[0].mask, size, window[1])

        with ThreadPoolExecutor() as threads:
            return np.stack(list(threads.map(mask, self.windows)))


@dataclass(frozen=True)
class Dataset:
    """A data set in three parts. No group appears in two of them.

    Attributes:
        name: "phantoms", "kvasir-seg", "lgg-mri", "isic-2018", or the name of a folder.
        train, validation, test: the parts.
        notes: at most one: other entries of the folder, or columns, where no group is given.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    notes: tuple[str, ...] = ()

    def replace(self, **changes) -> "Dataset":
        """Return a copy with other parts."""
        return replace(self, **changes)

    def limit(self, pairs: int) -> "Dataset":
        """Return a copy with at most this many pairs a part; 0 for all."""
        if not pairs:
            return self
        return self.replace(**{part: getattr(self, part).first(pairs) for part in PARTS})

    @cached_property
    def hash(self) -> str:
        """SHA-256 over part, relative name, window and bytes of every file, 64 hex digits."""
        digest = hashlib.sha256()
        for part in PARTS:
            split = getattr(self, part)
            for pair, box in split.windows:
                names = [_relative(path, split.folder) for path in pair[:2]]
                digest.update(repr((part, *names, box)).encode())
                digest.update(pair.image.read_bytes() + pair.mask.read_bytes())
        return digest.hexdigest()


def load_dataset(
    name: str | Path | None = None,
    data_dir: str | Path | None = None,
    seed: int = 0,
    empty: bool = True,
) -> Dataset:
    """Find the files of a data set in the plain form, pair them and split them.

    Parts that manifest.csv gives are kept. Where it gives none, or training images only, the
    groups are split 70/10/20 at random. Where no
    test part is given the validation part serves as one, and validation images are drawn from the
    training part, an eighth of it.

    Args:
        name: "phantoms", "kvasir-seg", "lgg-mri", "isic-2018", or a folder that holds images/ and
            masks/ with files of equal stems, or a manifest.csv with the columns image, mask and,
            if you like, group and split. Where it is None, ENSEMBLE_SEG_DATASET is read;
            "phantoms" where that is unset.
        data_dir: where the named sets lie; ENSEMBLE_SEG_DATA_DIR, or "data", where it is None.
        seed: of the split.
        empty: keep the images without a lesion; False leaves them out of all parts.

    Raises:
        ValueError: an unknown name, another form, partners missing or doubled, a group in two
            parts.
        FileNotFoundError: the data set is not there.

    Example:
        >>> data = load_dataset("phantoms")
        >>> len(data.train), len(data.validation), len(data.test)
        (168, 24, 48)
    """
    name = str(name or os.environ.get("ENSEMBLE_SEG_DATASET") or "phantoms")
    folder = find_folder(name, data_dir)
    given = read_folder(folder)
    if not empty:
        given = {
            part: [pair for pair in pairs if read_mask(pair.mask).any()]
            for part, pairs in given.items()
        }
    parts = complete_parts(given, seed)
    label = name if name in NAMES else folder.resolve().name
    splits = {part: Split(parts[part], part, folder) for part in PARTS}
    return Dataset(label, **splits, notes=not_read(folder))


def find_folder(name: str, data_dir: str | Path | None = None) -> Path:
    """Return the folder of a data set.

    Raises:
        ValueError: neither a known name nor a folder.
        FileNotFoundError: a known name that is not in `data_dir`.
    """
    if name == "phantoms" and data_dir is None:
        installed = Path(__file__).parent / "data" / "phantoms"
        return installed if installed.is_dir() else Path(__file__).parents[1] / "data" / "phantoms"
    if name in NAMES:
        where = data_dir or os.environ.get("ENSEMBLE_SEG_DATA_DIR") or "data"
        folder = Path(where).expanduser().absolute() / FOLDERS.get(name, name)
        if not folder.is_dir():
            raise FileNotFoundError(
                f"Data set '{name}': no folder {folder}. Get it with ensemble-seg download {name}, "
                f"or set ENSEMBLE_SEG_DATA_DIR to the folder that holds {folder.name}/."
            )
        return folder
    folder = Path(name).expanduser().absolute()
    if not folder.is_dir():
        raise ValueError(
            f"Unknown data set '{name}'.{suggest(name, NAMES)} Expected {', '.join(NAMES)}, or a "
            f"folder with images/ and masks/ in it. There is no folder {folder}."
        )
    return folder


def require_lesions(data: Dataset) -> None:
    """Read every file; raise ValueError at the first that cannot be trained on.

    A mask has the size of its image, all masks mark the lesion with one value, and there are
    lesions to train on and to validate with.
    """
    marks: dict[int, Path] = {}
    for part in PARTS:
        split = getattr(data, part)
        with ThreadPoolExecutor() as threads:
            values = list(threads.map(_lesion_value, split.pairs))
        if part != "test" and not any(values):
            raise ValueError(f"{data.name}: expected {part} images with a lesion, found none.")
        marks |= {
            value: pair.mask for value, pair in zip(values, split.pairs, strict=True) if value
        }
    if len(marks) > 1:
        found = ", ".join(f"{value} in {mask}" for value, mask in marks.items())
        raise ValueError(
            f"{data.name}: expected masks that mark the lesion with one value. Found {found}. "
            "ensemble-seg import FOLDER OUT --lesion VALUES says which are meant."
        )


def _lesion_value(pair: Pair) -> int:
    small_image(pair.image, TRIAL_SIZE)
    mask, value = mask_and_value(pair.mask)
    size = picture_size(pair.image)
    if mask.shape != size:
        raise ValueError(
            f"{pair.mask}: expected the size of its image {pair.image.name}, {size[1]} x {size[0]} "
            f"pixels (as its EXIF turns it). Found {mask.shape[1]} x {mask.shape[0]}."
        )
    return value


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()
