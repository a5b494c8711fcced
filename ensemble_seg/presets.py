"""What to run: named settings for a whole experiment, and variants of them."""

import dataclasses
import difflib
import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """Settings of one experiment.

    Attributes:
        name: the preset this one is, or is a variant of.
        size: side of the square network input, pixels, a multiple of 32.
        backbone: encoder name known to segmentation_models.
        encoder_weights: "imagenet", or None for a random start.
        encoder_freeze: keep the encoder's convolutions as they are.
        batch_size: images a step.
        epochs: passes over the training set.
        optimizer: "adam", as published, or "muon" (`ensemble_seg.optimizers.Muon`), which takes
            longer for a step and learns more in it.
        learning_rate: of the optimizer.
        warmup: epochs in which the learning rate rises from 0; 0 starts with the whole of it.
        decay: let the learning rate then fall to 0 along a cosine, instead of keeping it.
        weight_decay: share of each weight that a step takes away, as a multiple of the learning
            rate (as in AdamW); 0 takes none.
        loss: a key of `ensemble_seg.LOSSES`.
        threshold: the sampling model takes images with background / lesion >= threshold.
        margin: context around a lesion box, pixels, tried from first to last on each side.
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
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    warmup: int = 0
    decay: bool = False
    weight_decay: float = 0.0
    loss: str = "exponential"
    threshold: float = 3.0
    margin: tuple[int, ...] = (20, 10)
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
        if self.size < 32 or self.size % 32:
            lower = max(32, self.size // 32 * 32)
            raise _invalid("size", "a multiple of 32", self.size, f" Nearest: {_near(lower)}.")
        for field in ("batch_size", "epochs"):
            if getattr(self, field) < 1:
                raise _invalid(field, "an integer of at least 1", getattr(self, field))
        if not 0 <= self.warmup < self.epochs:
            raise _invalid("warmup", f"0 or fewer than {self.epochs} epochs", self.warmup)
        if self.limit < 0:
            raise _invalid("limit", "the number of pairs of a split, or 0 for all", self.limit)
        if self.learning_rate <= 0:
            raise _invalid("learning_rate", "a positive number", self.learning_rate)
        if self.weight_decay < 0:
            raise _invalid("weight_decay", "a number of at least 0", self.weight_decay)
        if self.warp < 0 or (self.warp and not self.augment):
            hint = " It is a part of the augmentation: augment=True." if self.warp > 0 else ""
            raise _invalid("warp", "a number of at least 0, and 0 without augment", self.warp, hint)
        if self.threshold < 0:
            raise _invalid("threshold", "a ratio of at least 0", self.threshold)
        if any(pixels != int(pixels) or pixels < 0 for pixels in self.margin):
            raise _invalid("margin", "non-negative whole pixels", self.margin)
        if min(self.weights, default=0) < 0 or not sum(self.weights) > 0:
            raise _invalid("weights", "numbers of at least 0, not all 0", self.weights)
        for field, choices in _CHOICES.items():
            if getattr(self, field) not in choices:
                raise _invalid(
                    field, f"one of {', '.join(map(repr, choices))}", getattr(self, field)
                )

    def replace(self, **changes) -> "Preset":
        """Return a variant; its `label` lists what differs from the preset it came from."""
        unknown = [field for field in changes if field not in _FIELDS]
        if unknown:
            raise ValueError(
                f"Unknown preset field '{unknown[0]}'.{_suggest(unknown[0], _FIELDS)} "
                f"Fields: {', '.join(_FIELDS)}."
            )
        return dataclasses.replace(self, **changes)

    @property
    def label(self) -> str:
        """Name and changes, such as "quick,epochs=40": a folder name that `preset` reads back."""
        changes = [
            f"{field}={_to_text(value)}"
            for field, value in dataclasses.asdict(self).items()
            if value != getattr(self.base, field)
        ]
        return ",".join([self.name, *changes])

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
            f"Unknown preset '{name}'.{_suggest(name, PRESETS)} Presets: {', '.join(PRESETS)}."
        )
    base = PRESETS[name]
    return base.replace(**dict(_from_text(base, change) for change in changes))


_FIELDS = [field.name for field in dataclasses.fields(Preset) if field.name != "name"]
_CHOICES = {
    "encoder_weights": ("imagenet", None),
    "keep": ("best", "last"),
    "optimizer": ("adam", "muon"),
    "precision": ("auto", "float32", "mixed_bfloat16", "mixed_float16"),
}


def _near(lower: int) -> str:
    return f"{lower} or {lower + 32}"


def _invalid(field: str, expected: str, value, hint: str = "") -> ValueError:
    return ValueError(
        f"Invalid value for argument `{field}`. Expected {expected}. Received: {field}={value!r}."
        + hint
    )


def _suggest(word: str, known) -> str:
    nearest = difflib.get_close_matches(word, list(known), n=1, cutoff=0.4)
    return f" Did you mean '{nearest[0]}'?" if nearest else ""


def _to_text(value) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _from_text(base: Preset, change: str) -> tuple[str, object]:
    field, _, text = change.partition("=")
    if field not in _FIELDS:
        raise ValueError(
            f"Unknown preset field '{field}'.{_suggest(field, _FIELDS)} "
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
        raise _invalid(field, f"a value of type {kind.__name__}", text) from None


PRESETS = {
    "smoke": Preset(
        "smoke", size=64, backbone="resnet18", encoder_weights=None, batch_size=4, epochs=1,
        limit=12,
    ),
    "quick": Preset(
        "quick", size=128, backbone="resnet18", encoder_weights=None, epochs=15, keep="best",
        precision="float32",  # fast enough; bfloat16 may cost some Dice: benchmarks, row precision
    ),
    "paper": Preset("paper"),
}  # fmt: skip
