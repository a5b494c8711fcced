"""Which files: pairs of image and mask, their groups and their split."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .pairing import Box, Pair, find_pairs
from .presets import Preset, _suggest

FOLDERS = {"phantoms": "phantoms", "kvasir-seg": "Kvasir-SEG"}
LATER = ("lgg-mri", "isic-2018")
PARTS = {"train": 0.7, "validation": 0.1, "test": 0.2}


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

    def first(self, pairs: int) -> "Split":
        """Return the first pairs of the split."""
        return replace(self, pairs=self.pairs[:pairs], boxes=self.boxes and self.boxes[:pairs])

    def to_tf(self, preset: Preset, **options):
        """Return a tf.data.Dataset of (image, one-hot mask); see `pipeline.batches`."""
        from .pipeline import batches

        return batches(self.windows, preset, **options)

    def masks(self, size: int) -> np.ndarray:
        """Return all masks as (N, size, size) uint8 of 0 and 1, resized as the pipeline does."""
        from .pipeline import read_masks

        return read_masks(self.windows, size)


@dataclass(frozen=True)
class Dataset:
    """A data set in three parts. No group stands in two of them.

    Attributes:
        name: "phantoms", "kvasir-seg", or the name of a folder.
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

    @property
    def hash(self) -> str:
        """SHA-256 over part, relative name, window and bytes of every file, 64 hex digits."""
        digest = hashlib.sha256()
        for part in PARTS:
            split = getattr(self, part)
            for pair, box in split.windows:
                names = [path.relative_to(split.folder).as_posix() for path in pair[:2]]
                digest.update(repr((part, *names, box)).encode())
                digest.update(pair.image.read_bytes() + pair.mask.read_bytes())
        return digest.hexdigest()


def load_dataset(
    name: str | Path | None = None, data_dir: str | Path | None = None, seed: int = 0
) -> Dataset:
    """Find the files of a data set, pair them by stem and split them 70/10/20.

    Args:
        name: "phantoms", "kvasir-seg", or a folder with images/ and masks/ in it. A manifest.csv
            there with columns image, mask and group says what belongs together. Where it is None,
            ENSEMBLE_SEG_DATASET is read; "phantoms" where that is unset.
        data_dir: where the named sets lie; ENSEMBLE_SEG_DATA_DIR where it is None. The phantoms
            come with the module.
        seed: of the split.

    Raises:
        ValueError: an unknown name, an empty folder, or partners that are missing or doubled.
        FileNotFoundError: the data set is not there.

    Example:
        >>> data = load_dataset("phantoms")
        >>> len(data.train), len(data.validation), len(data.test)
        (168, 24, 48)
    """
    name = str(name or os.environ.get("ENSEMBLE_SEG_DATASET") or "phantoms")
    folder = _find_folder(name, data_dir)
    pairs = find_pairs(folder)
    label = name if name in FOLDERS else folder.resolve().name
    parts = split_by_group(pairs, seed)
    return Dataset(label, **{part: Split(parts[part], part, folder) for part in PARTS})


def split_by_group(pairs: Iterable[Pair], seed: int = 0) -> dict[str, tuple[Pair, ...]]:
    """Split pairs 70/10/20 at random, each group whole in one part.

    Groups are dealt in random order: one to each part, then to the part that lacks most of its
    share of the pairs.

    Raises:
        ValueError: fewer than three groups.
    """
    members = defaultdict(list)
    for pair in pairs:
        members[pair.group].append(pair)
    if len(members) < len(PARTS):
        raise ValueError(
            f"Expected at least {len(PARTS)} groups of images for train, validation and test. "
            f"Received: {len(members)}. Add images, or groups in manifest.csv."
        )
    total = sum(map(len, members.values()))
    parts = {part: [] for part in PARTS}
    order = np.random.default_rng(seed).permutation(sorted(members))
    for part, group in zip(PARTS, order, strict=False):
        parts[part] += members[group]
    for group in order[len(PARTS) :]:
        lacking = max(PARTS, key=lambda part: PARTS[part] - len(parts[part]) / total)
        parts[lacking] += members[group]
    return {part: tuple(pairs) for part, pairs in parts.items()}


def _find_folder(name: str, data_dir: str | Path | None) -> Path:
    if name == "phantoms" and data_dir is None:
        return _packaged("phantoms")
    if name in FOLDERS:
        data_dir = Path(data_dir or os.environ.get("ENSEMBLE_SEG_DATA_DIR") or "data")
        folder = data_dir / FOLDERS[name]
        if not folder.is_dir():
            raise FileNotFoundError(
                f"Data set '{name}': no folder {folder}. Set ENSEMBLE_SEG_DATA_DIR or `data_dir` "
                f"to the folder that holds {FOLDERS[name]}/; data/README.md says where to get it."
            )
        return folder
    if Path(name).is_dir():
        return Path(name)
    if name in LATER:
        raise ValueError(
            f"Data set '{name}' cannot be loaded by name yet. data/README.md says how to use it as "
            "a folder of your own."
        )
    raise ValueError(
        f"Unknown data set '{name}'.{_suggest(name, FOLDERS)} "
        f"Expected {', '.join(FOLDERS)}, or a folder with images/ and masks/ in it."
    )


def _packaged(folder: str) -> Path:
    package = Path(__file__).parent
    installed = package / "data" / folder
    return installed if installed.is_dir() else package.parent / "data" / folder
