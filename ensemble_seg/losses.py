"""The pixel-wise exponential loss, and the losses it is compared with."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import ops

from .presets import checked_weights, invalid

TOLERANCE = 1e-3


@keras.saving.register_keras_serializable(package="ensemble_seg")
class ExponentialLoss(keras.losses.Loss):
    """Pixel-wise exponential loss of Roshan et al. (2024), averaged over all pixels.

    For one-hot masks of two classes and alpha 0.8 it equals `0.9 * (1 + exp(-p_true))`, where
    `p_true` is the probability given to the true class. As published, softmax is applied to the
    network's softmax output once more, so that `p_true` lies in [0.2689, 0.7311].

    Called with `y_true` and `y_pred` (B, H, W, C): one-hot masks and the network's softmax output.

    Args:
        alpha: factor of the first term of every class; of two classes it only scales the loss.
        double_softmax: apply softmax to `y_pred` first, as published.
        class_weights: how often a pixel counts, by its true class: the truly asymmetric form.

    Raises:
        ValueError: shapes that differ, masks whose channels do not add up to 1, or, without the
            second softmax, predictions that do not. Inside a compiled graph no value is checked.

    Example:
        >>> y_true = np.array([[[[0.0, 1.0]]]])
        >>> y_pred = np.array([[[[0.2, 0.8]]]])
        >>> float(ExponentialLoss(double_softmax=False)(y_true, y_pred))  # 0.9 * (1 + exp(-0.8))
        1.30439...

    Source: doi 10.1016/j.compbiomed.2024.108305
    """

    def __init__(
        self,
        alpha: float = 0.8,
        double_softmax: bool = True,
        class_weights: Sequence[float] | None = None,
        reduction: str = "sum_over_batch_size",
        name: str = "exponential_loss",
        dtype=None,
    ):
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        if not (isinstance(alpha, int | float) and 0 <= alpha < float("inf")):
            raise invalid("alpha", "a number of at least 0", alpha)
        self.alpha = float(alpha)
        self.double_softmax = double_softmax
        self.class_weights = class_weights
        if class_weights is not None:
            self.class_weights = checked_weights(class_weights, "class_weights")

    def call(self, y_true, y_pred):
        return exponential_loss(y_true, y_pred, self.alpha, self.double_softmax, self.class_weights)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "dtype": self.dtype,
            "alpha": self.alpha,
            "double_softmax": self.double_softmax,
            "class_weights": self.class_weights,
        }


def exponential_loss(
    y_true,
    y_pred,
    alpha: float = 0.8,
    double_softmax: bool = True,
    class_weights: Sequence[float] | None = None,
):
    """Exponential loss of each pixel, (..., C) to (...); the arguments are those of the class.

    The mean over classes of `alpha * exp(-y * p) + exp(-(1 - y) * (1 - p))`.

    Example:
        >>> y_true, y_pred = np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]])
        >>> exponential_loss(y_true, y_pred).shape
        TensorShape([1])
    """
    _check_shapes(y_true, y_pred)
    _check_simplex(y_true, "y_true", "one-hot masks, whose channels add up to 1 at every pixel")
    if not double_softmax:
        _check_simplex(y_pred, "y_pred", "probabilities, whose channels add up to 1")
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    p = ops.softmax(y_pred, axis=-1) if double_softmax else y_pred
    terms = alpha * ops.exp(-y_true * p) + ops.exp(-(1.0 - y_true) * (1.0 - p))
    loss = ops.mean(terms, axis=-1)
    if class_weights is None:
        return loss
    weights = checked_weights(class_weights, "class_weights")
    if len(weights) != y_pred.shape[-1]:
        expected = f"one weight for each of the {y_pred.shape[-1]} classes"
        raise invalid("class_weights", expected, class_weights)
    return loss * ops.sum(y_true * ops.convert_to_tensor(weights, y_pred.dtype), axis=-1)


@keras.saving.register_keras_serializable(package="ensemble_seg")
class CrossEntropyDice(keras.losses.Loss):
    """Mean cross-entropy of an image plus its Dice loss, the mean of both classes.

    Example:
        >>> y_true, y_pred = np.array([[[[0.0, 1.0]]]]), np.array([[[[0.5, 0.5]]]])
        >>> round(float(CrossEntropyDice()(y_true, y_pred)), 3)  # log 2 + (1 + 1/3) / 2
        1.36
    """

    def call(self, y_true, y_pred):
        entropy = keras.losses.categorical_crossentropy(y_true, y_pred)
        dice = keras.losses.dice(y_true, y_pred, axis=(1, 2))
        return ops.mean(entropy, axis=(1, 2)) + ops.mean(dice, axis=-1)


@keras.saving.register_keras_serializable(package="ensemble_seg")
class Tversky(keras.losses.Loss):
    """Tversky loss of each class of an image, averaged: missed pixels count 0.7, false alarms 0.3.

    In Keras' own `alpha` weighs the missed pixels up to 3.15, and the false alarms from then on.
    Source: Salehi et al., "Tversky loss function for image segmentation", MLMI 2017.

    Example:
        >>> y_true, y_pred = np.array([[[[0.0, 1.0]]]]), np.array([[[[0.2, 0.8]]]])
        >>> round(float(Tversky()(y_true, y_pred)), 3)  # (1 + 1 - 0.8 / (0.8 + 0.7 * 0.2)) / 2
        0.574
    """

    def call(self, y_true, y_pred):
        hits, missed, false_alarms = (
            ops.sum(each, axis=(1, 2))
            for each in (y_true * y_pred, y_true * (1 - y_pred), (1 - y_true) * y_pred)
        )
        whole = hits + 0.7 * missed + 0.3 * false_alarms + keras.config.epsilon()
        return ops.mean(1 - hits / whole, axis=-1)


LOSSES: dict[str, Callable[[], keras.losses.Loss]] = {
    "exponential": ExponentialLoss,
    "exponential-single-softmax": lambda: ExponentialLoss(double_softmax=False),
    "exponential-asymmetric": lambda: ExponentialLoss(
        class_weights=(1.0, 3.0)
    ),  # lesion pixels thrice
    "cross-entropy": keras.losses.CategoricalCrossentropy,
    "dice": lambda: keras.losses.Dice(axis=(1, 2)),
    "focal": keras.losses.CategoricalFocalCrossentropy,
    "cross-entropy-dice": lambda: CrossEntropyDice(name="cross_entropy_dice"),
    "tversky": lambda: Tversky(name="tversky"),
}


def loss_by_name(name: str) -> keras.losses.Loss:
    """Return a new loss of the table `LOSSES`; Dice and Tversky are means over images and classes.

    Example:
        >>> loss_by_name("dice").name
        'dice'
    """
    if name not in LOSSES:
        raise ValueError(f"Unknown loss '{name}'. Losses: {', '.join(LOSSES)}.")
    return LOSSES[name]()


def _check_shapes(y_true, y_pred) -> None:
    true, pred = tuple(np.shape(y_true)), tuple(np.shape(y_pred))
    fits = len(true) == len(pred) and len(pred) >= 2 and pred[-1] is not None and pred[-1] >= 2
    fits = fits and all(a == b or a is None or b is None for a, b in zip(true, pred, strict=True))
    if not fits:
        raise invalid(
            "y_true",
            "a one-hot mask of the shape of `y_pred`, (B, H, W, C) with C >= 2",
            found=f"y_true of shape {true}, y_pred of shape {pred}",
            hint="One-hot an integer mask with keras.utils.to_categorical(mask, 2).",
        )


def _check_simplex(values, name: str, expected: str) -> None:
    try:
        values = np.asarray(values, dtype="float64")
    except (NotImplementedError, TypeError, RuntimeError):
        return  # inside a graph there are no values yet
    off = np.abs(values.sum(axis=-1) - 1.0).max(initial=0.0)
    if not (off <= TOLERANCE and values.min(initial=0.0) >= -TOLERANCE):
        span = f"values from {values.min():.4g} to {values.max():.4g}"
        raise invalid(name, expected, found=f"{span}, with sums up to {off:.4g} away from 1")
