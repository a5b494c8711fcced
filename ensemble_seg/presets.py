"""What to run: named settings for a whole experiment, and variants of them."""

import dataclasses
import difflib
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

LOSS_NAMES = (
    "exponential",
    "exponential-single-softmax",
    "exponential-asymmetric",
    "cross-entropy",
    "dice",
    "focal",
    "cross-entropy-dice",
    "tversky",
)
BACKBONES = (
    "efficientnetlite0",
    *(f"efficientnetb{number}" for number in range(8)),
    "mobilenetv2",
    *(f"resnet{layers}" for layers in (18, 34, 50, 101, 152)),
    *("vgg16", "vgg19"),
)


@dataclass(frozen=True)
class Preset:
    """Settings of one experiment; each is checked, and ValueError names the one that is wrong.

    Example:
        >>> preset("smoke").replace(epochs=3).label
        'smoke,epochs=3'
    """

    name: str  # of the preset that this one is, or is a variant of
    size: int = 256  # side of the square network input, pixels, a multiple of 32
    backbone: str = "resnet101"  # the encoder, one of BACKBONES
    encoder_weights: str | None = "imagenet"  # None for a random start
    encoder_freeze: bool = False  # keep the encoder's convolutions as they are
    batch_size: int = 8  # images a step
    epochs: int = 50  # passes over the training set
    learning_rate: float = 1e-3  # of Adam
    decay: bool = False  # let the learning rate fall to 0 along a cosine, instead of keeping it
    loss: str = "exponential"  # one of LOSS_NAMES
    threshold: float = 3.0  # the sampling model takes images with background / lesion >= threshold
    margin: tuple[int, ...] = (20, 10)  # around a lesion box, pixels of the file, largest first
    weights: tuple[float, ...] = (1.01, 1.0)  # of main and sampling model in the ensemble
    augment: bool = False  # random flips, quarter turns, brightness and contrast while training
    keep: str = "last"  # weights of the "last" epoch, or of that with the "best" validation Dice
    limit: int = 0  # use at most this many pairs of each split; 0 for all
    precision: str = "auto"  # or "float32", "mixed_bfloat16", "mixed_float16"
    seed: int = 0  # of weights, order and augmentation

    def __post_init__(self):
        for field in _DEFAULTS:
            if isinstance(value := getattr(self, field), np.generic):  # JSON knows no NumPy numbers
                object.__setattr__(self, field, value.item())
        for field, least in _LEAST.items():
            value = getattr(self, field)
            if not (_whole(value) and value >= least):
                raise invalid(field, f"an integer of at least {least}", value)
        if self.size % 32:
            lower = max(32, self.size // 32 * 32)
            hint = f"Nearest: {lower} or {lower + 32}."
            raise invalid("size", "a multiple of 32", self.size, hint)
        if not (_number(self.learning_rate) and self.learning_rate > 0):
            raise invalid("learning_rate", "a positive number", self.learning_rate)
        if not (_number(self.threshold) and self.threshold >= 0):
            raise invalid("threshold", "a ratio of at least 0", self.threshold)
        for field in ("encoder_freeze", "decay", "augment"):
            if not isinstance(getattr(self, field), bool):
                raise invalid(field, "True or False", getattr(self, field))
        for field, names in _NAMES.items():
            value = getattr(self, field)
            if value not in names:
                hint = suggest(str(value), [name for name in names if name]).strip()
                raise invalid(field, f"one of {', '.join(map(repr, names))}", value, hint)
        weights = checked_weights(self.weights)
        if len(weights) != 2:
            raise invalid("weights", "two numbers, of main and sampling model", self.weights)
        # One form each: the label, and with it the run folder, must not depend on 2 or 2.0.
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "margin", checked_margin(self.margin))
        object.__setattr__(self, "threshold", float(self.threshold))
        object.__setattr__(self, "learning_rate", float(self.learning_rate))

    def replace(self, **changes) -> "Preset":
        """Return a variant; its `label` lists what differs from the preset it came from."""
        for field in changes:
            if field not in _DEFAULTS:
                raise ValueError(
                    f"Unknown preset field '{field}'.{suggest(field, _DEFAULTS)} "
                    f"Write changes as field=value; fields: {', '.join(_DEFAULTS)}."
                )
        return dataclasses.replace(self, **changes)

    @property
    def label(self) -> str:
        """Name and changes, such as "quick,epochs=40": a folder name that `preset` reads back."""
        parts = [self.name]
        for field in _DEFAULTS:
            value = getattr(self, field)
            if value != getattr(self.base, field):
                text = "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
                parts.append(f"{field}={text}")
        return ",".join(parts)

    @property
    def base(self) -> "Preset":
        """The preset this one is a variant of."""
        return PRESETS.get(self.name, Preset(self.name))


def preset(label: str | None = None) -> Preset:
    """Return the preset of that name, with any changes given after it.

    The names are smoke, quick and paper. Without a label the environment variable
    ENSEMBLE_SEG_PRESET is read; where that is unset, it is quick.

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
    return PRESETS[name].replace(**dict(_from_text(change) for change in changes))


def invalid(
    argument: str, expected: str, value: object = None, hint: str = "", found: str | None = None
) -> ValueError:
    """Return the error for an argument: what was expected, what came (`found` describes it)."""
    received = f"{argument}={value!r}" if found is None else found
    text = f"Invalid value for argument `{argument}`. Expected {expected}. Received: {received}."
    return ValueError(f"{text} {hint}".rstrip())


def suggest(word: str, known: Iterable[str]) -> str:
    """Return " Did you mean ...?" with the known word that is nearest, "" where none is near."""
    nearest = difflib.get_close_matches(word, list(known), n=1, cutoff=0.4)
    return f" Did you mean '{nearest[0]}'?" if nearest else ""


def checked_weights(weights: Sequence[float], argument: str = "weights") -> tuple[float, ...]:
    """Return weights as a tuple of floats; ValueError for negative ones or nothing but zeros."""
    try:
        values = np.asarray(weights, dtype="float64")
        fits = values.ndim == 1 and bool(np.isfinite(values).all() and (values >= 0).all())
    except (TypeError, ValueError):
        fits = False
    if not (fits and values.sum() > 0):
        raise invalid(argument, "numbers of at least 0, not all 0", weights)
    return tuple(values.tolist())


def checked_margin(margin: int | Iterable[int]) -> tuple[int, ...]:
    """Return margins, or one, as a tuple of pixels; ValueError for anything but integers >= 0."""
    margins = tuple(margin) if isinstance(margin, Iterable) else (margin,)
    if not all(_whole(pixels) and pixels >= 0 for pixels in margins):
        raise invalid("margin", "non-negative whole pixels, largest first", margin)
    return tuple(int(pixels) for pixels in margins)


def _whole(value) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _number(value) -> bool:
    return _whole(value) or (isinstance(value, float | np.floating) and math.isfinite(value))


_LEAST = {"size": 1, "batch_size": 1, "epochs": 1, "limit": 0, "seed": 0}
_NAMES = {
    "backbone": BACKBONES,
    "encoder_weights": ("imagenet", None),
    "loss": LOSS_NAMES,
    "keep": ("best", "last"),
    "precision": ("auto", "float32", "mixed_bfloat16", "mixed_float16"),
}
_DEFAULTS = {field.name: field.default for field in dataclasses.fields(Preset)[1:]}


def _from_text(change: str) -> tuple[str, object]:
    field, _, text = change.partition("=")
    default = _DEFAULTS.get(field, "")
    kind = type(default)
    try:
        if field == "encoder_weights" and text.lower() == "none":
            return field, None
        if kind is bool:
            return field, {"true": True, "false": False}[text.lower()]
        if kind is tuple:
            return field, tuple(type(default[0])(part) for part in text.split("x"))
        return field, kind(text)
    except (ValueError, KeyError):
        expected = {tuple: "numbers joined by x, such as 8x4", bool: "true or false"}
        raise invalid(field, expected.get(kind, f"a value of type {kind.__name__}"), text) from None


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
