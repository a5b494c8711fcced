"""Soft voting: the weighted average of softmax maps."""

import itertools
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from .evaluation import Scores
from .presets import checked_weights, invalid


@keras.saving.register_keras_serializable(package="ensemble_seg")
class WeightedAverage(keras.layers.Layer):
    """Average softmax maps with weights, normalised so that the result is a probability again.

    Called with a list of tensors of one shape, one for each weight; gives float32 of that shape.
    Weights are numbers of at least 0, not all 0. The published 1.01 and 1 are a plain average in
    which ties go to the first model.

    Example:
        >>> maps = [np.array([[0.2, 0.8]]), np.array([[0.6, 0.4]])]
        >>> WeightedAverage([3, 1])(maps).numpy().round(3).tolist()
        [[0.30000001192092896, 0.699999988079071]]
    """

    def __init__(self, weights: Sequence[float], **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.weights_given = checked_weights(weights)  # Keras has a property `weights`

    def build(self, input_shape):
        if len(input_shape) != len(self.weights_given):
            expected = f"one for each of the {len(input_shape)} inputs"
            raise invalid("weights", expected, self.weights_given)
        if len({tuple(shape) for shape in input_shape}) > 1:
            raise ValueError(f"Expected inputs of one shape. Received: {input_shape}.")

    def call(self, inputs):
        total = sum(self.weights_given)
        return sum(
            ops.multiply(probabilities, weight / total)
            for probabilities, weight in zip(inputs, self.weights_given, strict=True)
        )

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self) -> dict:
        return {**super().get_config(), "weights": self.weights_given}


def build_ensemble(
    models: Sequence[keras.Model],
    weights: Sequence[float] = (1.01, 1.0),
    name: str = "ensemble",
) -> keras.Model:
    """Join models into one that gives the weighted average of their softmax maps.

    The members share their weights with the models passed in. Saved, the ensemble is one file;
    it loads with `keras.saving.load_model` wherever ensemble_seg is imported.

    Example:
        >>> from ensemble_seg import preset, unet
        >>> main, sampling = (unet(preset("smoke").replace(seed=seed)) for seed in (0, 1))
        >>> build_ensemble([main, sampling]).output.shape
        (None, 64, 64, 2)
    """
    models, weights = list(models), checked_weights(weights)
    if not models or len(models) != len(weights):
        raise invalid("weights", f"one for each of the {len(models)} models", weights)
    shapes = [(model.input_shape[1:], model.output_shape[1:]) for model in models]
    if len(set(shapes)) > 1:
        raise invalid("models", "models of one input and output shape", found=str(shapes))
    image = keras.Input(models[0].input_shape[1:], name="image")
    members = [
        keras.Model(model.input, model.output, name=f"member_{number}_{model.name}")
        for number, model in enumerate(models)
    ]
    average = WeightedAverage(weights, name="weighted_average")
    return keras.Model(image, average([member(image) for member in members]), name=name)


def ensemble_members(model: keras.Model) -> tuple[list[keras.Model], WeightedAverage]:
    """Return an ensemble's models and the layer in which they vote; any other model is its own."""
    votes = [layer for layer in model.layers if isinstance(layer, WeightedAverage)]
    if not votes:
        return [model], WeightedAverage([1.0])
    return [layer for layer in model.layers if isinstance(layer, keras.Model)], votes[0]


def average_probabilities(probabilities: Sequence, weights: Sequence[float]) -> np.ndarray:
    """Weighted average of arrays of one shape in NumPy; weights as in `WeightedAverage`.

    Example:
        >>> average_probabilities([[0.0, 1.0], [1.0, 1.0]], [1, 3]).tolist()
        [0.75, 1.0]
    """
    weights = checked_weights(weights)
    if len(probabilities) != len(weights):
        raise invalid("weights", f"one for each of the {len(probabilities)} models", weights)
    return np.average(probabilities, axis=0, weights=weights)


def fit_weights(
    probabilities: Sequence[np.ndarray], masks: np.ndarray, steps: int = 20
) -> tuple[float, ...]:
    """Choose weights by mean lesion Dice per image, on validation data and never on test data.

    All weights that are multiples of 1 / steps and add up to 1 are tried: 21 for two models.
    Among equals the one nearest to a plain average is taken.

    For each model `probabilities` holds (N, H, W, 2) softmax maps, or (N, H, W) of the lesion
    class; `masks` (N, H, W) of 0 and 1 are the truth.

    Example:
        >>> truth = np.array([[[0, 1], [0, 1]]])
        >>> fit_weights([truth * 0.8, (1 - truth) * 0.7], truth)
        (0.65, 0.35)
    """
    lesion = np.stack([_lesion_channel(maps, np.shape(masks)) for maps in probabilities])
    truth = np.asarray(masks).astype(bool)

    def score(weights: tuple[float, ...]) -> float:
        predicted = np.tensordot(weights, lesion, axes=1) > 0.5
        return float(Scores.from_masks(truth, predicted).per_image["dice"].mean())

    parts = itertools.product(range(steps + 1), repeat=len(lesion) - 1)
    grid = [(*part, steps - sum(part)) for part in parts if sum(part) <= steps]
    grid = [tuple(part / steps for part in parts) for parts in grid]
    return max(sorted(grid, key=np.var), key=score)


def _lesion_channel(maps: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    maps = np.asarray(maps)
    if maps.shape == (*shape, 2):
        return maps[..., 1]
    if maps.shape == shape:
        return maps
    expected = f"arrays of shape {(*shape, 2)} or {shape}, as `masks` has"
    raise invalid("probabilities", expected, found=str(maps.shape))
