"""What to run: named settings for a whole experiment, and variants of them."""

import dataclasses
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .common.errors import checked_weights, invalid, suggest
from .common.files import file_hash


@dataclass(frozen=True)
class Preset:
    """Settings of one experiment.

    Attributes:
        name: the preset this one is, or is a variant of.
        size: side of the square network input, pixels, a multiple of 32.
        backbone: encoder name known to segmentation_models, or "efficientnetlite0".
        encoder_weights: "imagenet", None for a random start, or a file of the encoder's weights
            (`.weights.h5` or `.keras`). Those of efficientnetlite0 come with the module.
        encoder_freeze: keep the encoder's convolutions as they are.
        batch_size: images a step.
        epochs: passes over the training set.
        learning_rate: of Adam.
        warmup: epochs in which the learning rate rises from 0; 0 starts with the whole of it.
        decay: let the learning rate then fall to 0 along a cosine, instead of keeping it.
        weight_decay: share of each weight that a step takes away, as a multiple of the learning
            rate (as in AdamW); 0 takes none.
        loss: a key of `ensemble_seg.LOSSES`.
        threshold: the sampling model takes images with background / lesion >= threshold.
        margin: context around a lesion box, pixels, tried from first to last on each side.
        shift: share of its sides by which a crop moves at random; 0, as published, keeps the
            lesion in the middle.
        weights: of main and sampling model in the ensemble.
        augment: random flips, quarter turns, brightness and contrast while training.
        warp: with `augment`, also turn by any angle and zoom each side by a factor of up to 1 +
            warp, in or out; 0 does not.
        keep: "best" keeps the weights with the highest validation Dice, "last" the last ones.
        limit: use at most this many pairs of each split; 0 for all.
        precision: "auto", "float32", "mixed_bfloat16" or "mixed_float16".
        seed: of weights, order and augmentation.

    Raises:
        ValueError: a value out of range; the message names the argument.

    Example:
        >>> preset("smoke").replace(epochs=3).label
        'smoke,epochs=3'
    """

    name: str
    size: int = 256
    backbone: str = "resnet101"
    encoder_weights: str | None = "imagenet"
    encoder_freeze: bool = False
    batch_size: int = 8
    epochs: int = 50
    learning_rate: float = 1e-3
    warmup: int = 0
    decay: bool = False
    weight_decay: float = 0.0
    loss: str = "exponential"
    threshold: float = 3.0
    margin: tuple[int, ...] = (20, 10)
    shift: float = 0.0
    weights: tuple[float, ...] = (1.01, 1.0)
    augment: bool = False
    warp: float = 0.0
    keep: str = "last"
    limit: int = 0
    precision: str = "auto"
    seed: int = 0

    def __post_init__(self):
        for field in ("margin", "weights"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        if isinstance(self.encoder_weights, os.PathLike):
            object.__setattr__(self, "encoder_weights", os.fspath(self.encoder_weights))
        for field, (expected, fits) in _RULES.items():
            if not fits(getattr(self, field)):
                raise invalid(field, expected, getattr(self, field))
        if self.size < 32 or self.size % 32:
            lower = max(32, self.size // 32 * 32)
            hint = f"Nearest: {lower} or {lower + 32}."
            raise invalid("size", "a multiple of 32", self.size, hint)
        if self.warmup >= self.epochs:
            raise invalid("warmup", f"0 or fewer than {self.epochs} epochs", self.warmup)
        if self.warp and not self.augment:
            hint = "It is a part of the augmentation: augment=True."
            raise invalid("warp", "a number of at least 0, and 0 without augment", self.warp, hint)
        if len(checked_weights(self.weights)) != 2:
            raise invalid("weights", "two numbers, of main and sampling model", self.weights)

    def replace(self, **changes) -> "Preset":
        """Return a variant; its `label` lists what differs from the preset it came from."""
        unknown = [field for field in changes if field not in _FIELDS]
        if unknown:
            raise ValueError(
                f"Unknown preset field '{unknown[0]}'.{suggest(unknown[0], _FIELDS)} "
                f"Fields: {', '.join(_FIELDS)}."
            )
        return dataclasses.replace(self, **changes)

    @property
    def label(self) -> str:
        """Name and changes, such as "quick,epochs=40": a folder name that `preset` reads back.

        A file of encoder weights stands there by its stem and the first digits of its hash.
        """
        values = dataclasses.asdict(self)
        if self.encoder_file:
            stem = re.sub(r"[^\w.-]", "_", self.encoder_file.name.split(".")[0])
            values["encoder_weights"] = f"{stem}-{file_hash(self.encoder_file)[:8]}"
        changes = [
            f"{field}={_to_text(value)}"
            for field, value in values.items()
            if value != getattr(self.base, field)
        ]
        return ",".join([self.name, *changes])

    @property
    def encoder_file(self) -> Path | None:
        """The file of the encoder's weights; None where they are "imagenet" or random."""
        return None if self.encoder_weights in ("imagenet", None) else Path(self.encoder_weights)

    @property
    def base(self) -> "Preset":
        """The preset this one is a variant of."""
        return PRESETS.get(self.name, Preset(self.name))


def preset(label: str | None = None) -> Preset:
    """Return the preset of that name, with any changes given after it.

    Args:
        label: "smoke", "quick" or "paper", and changes: "quick,epochs=40,augment=True". Without
            it the environment variable ENSEMBLE_SEG_PRESET is read; "quick" where that is unset.

    Raises:
        ValueError: an unknown preset (the nearest is named), field or value.

    Example:
        >>> preset("quick,margin=8x4").margin
        (8, 4)
    """
    label = label or os.environ.get("ENSEMBLE_SEG_PRESET") or "quick"
    name, *changes = [part.strip() for part in label.split(",")]
    if name not in PRESETS:
        raise ValueError(
            f"Unknown preset '{name}'.{suggest(name, PRESETS)} Presets: {', '.join(PRESETS)}."
        )
    base = PRESETS[name]
    return base.replace(**dict(_from_text(base, change) for change in changes))


_FIELDS = [field.name for field in dataclasses.fields(Preset) if field.name != "name"]


def _one_of(*choices) -> tuple[str, Callable]:
    return f"one of {', '.join(map(repr, choices))}", lambda value: value in choices


_COUNT = "an integer of at least 1", lambda value: value >= 1
_SHARE = "a number of at least 0", lambda value: 0 <= value < math.inf
_RULES = {
    "batch_size": _COUNT,
    "epochs": _COUNT,
    "warmup": ("0 or a number of epochs", lambda value: value >= 0),
    "limit": ("the number of pairs of a split, or 0 for all", lambda value: value >= 0),
    "learning_rate": ("a positive number", lambda value: 0 < value < math.inf),
    "weight_decay": _SHARE,
    "warp": _SHARE,
    "threshold": ("a ratio of at least 0", lambda value: 0 <= value < math.inf),
    "shift": ("a share from 0 to 1", lambda value: 0 <= value <= 1),
    "margin": (
        "non-negative whole pixels",
        lambda value: all(pixels == int(pixels) >= 0 for pixels in value),
    ),
    "encoder_weights": (
        "'imagenet', None, or a file (.weights.h5, .keras) that is there",
        lambda value: (
            value in ("imagenet", None)
            or (str(value).endswith((".weights.h5", ".keras")) and Path(value).is_file())
        ),
    ),
    "keep": _one_of("best", "last"),
    "precision": _one_of("auto", "float32", "mixed_bfloat16", "mixed_float16"),
}


def _to_text(value) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _from_text(base: Preset, change: str) -> tuple[str, object]:
    field, _, text = change.partition("=")
    if field not in _FIELDS:
        raise ValueError(
            f"Unknown preset field '{field}'.{suggest(field, _FIELDS)} "
            f"Write changes as field=value; fields: {', '.join(_FIELDS)}."
        )
    kind = type(getattr(PRESETS["paper"], field))
    try:
        if field == "encoder_weights" and text.lower() == "none":
            return field, None
        if kind is bool:
            return field, {"true": True, "false": False}[text.lower()]
        if kind is tuple:
            item = type(getattr(base, field)[0])
            return field, tuple(item(part) for part in text.split("x"))
        return field, kind(text)
    except (ValueError, KeyError):
        raise invalid(field, f"a value of type {kind.__name__}", text) from None


PRESETS = {
    "smoke": Preset(
        "smoke", size=64, backbone="resnet18", encoder_weights=None, batch_size=4, epochs=1,
        limit=12,
    ),
    "quick": Preset(
        "quick", size=128, backbone="efficientnetlite0", epochs=12, decay=True, augment=True,
        keep="best",
        precision="float32",  # fast enough; bfloat16 may cost some Dice: benchmarks, row precision
    ),
    "paper": Preset("paper"),
}  # fmt: skip
