"""Soft voting: the weighted average of softmax maps."""

import itertools
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from .common.errors import checked_weights, invalid
from .evaluation import Scores

# Swap rows and columns, flip top and bottom, flip left and right: the symmetries of a square.
VIEWS = tuple(itertools.product((False, True), repeat=3))


@keras.saving.register_keras_serializable(package="ensemble_seg")
class WeightedAverage(keras.layers.Layer):
    """Average softmax maps with weights, normalised so that the result is a probability again.

    Args:
        weights: one number of at least 0 for each input, not all 0. 1.01 and 1 as published: a
            plain average in which ties go to the first model.

    Call arguments:
        inputs: list of tensors of one shape, one for each weight.

    Returns:
        float32 tensor of that shape.

    Raises:
        ValueError: weights that are negative, not finite or all 0, or not one for each input.

    Example:
        >>> maps = [np.array([[0.2, 0.8]]), np.array([[0.6, 0.4]])]
        >>> WeightedAverage([3, 1])(maps).numpy().round(3).tolist()
        [[0.30000001192092896, 0.699999988079071]]
    """

    def __init__(self, weights: Sequence[float], **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.weights_given = checked_weights(weights)

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

    Args:
        models: at least one, all with the same input and output shape.
        weights: one for each model; see `WeightedAverage`.
        name: of the ensemble.

    Returns:
        Uncompiled keras.Model from images to softmax maps (B, H, W, 2).

    Raises:
        ValueError: no models, other shapes, or weights that do not fit.

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
    """Return the models an ensemble was built from and the layer in which they vote.

    A model that is no ensemble is its own only member.
    """
    votes = [layer for layer in model.layers if isinstance(layer, WeightedAverage)]
    if not votes:
        return [model], WeightedAverage([1.0])
    return [layer for layer in model.layers if isinstance(layer, keras.Model)], votes[0]


def eight_views(model: keras.Model) -> keras.Model:
    """Let a model vote with itself on the flips and quarter turns of each image.

    Known as test-time augmentation. A lesion turned by 90 degrees is the same lesion, but a
    network sees it anew, and errors that depend on the orientation may average out. The result
    shares its weights with the model, takes eight times as long, and can be saved, scored or made a
    member of an ensemble as any other. The published method does without.

    Args:
        model: from square images (B, S, S, 3) to softmax maps (B, S, S, 2); see `unet`. Of an
            ensemble each member gets its eight views before they vote.

    Returns:
        Uncompiled keras.Model from images to softmax maps, float32, of the same shapes.

    Raises:
        ValueError: images that are not square, or maps of another size than the images.

    Example:
        >>> from ensemble_seg import preset, unet
        >>> eight_views(unet(preset("smoke"))).output.shape
        (None, 64, 64, 2)
    """
    members, vote = ensemble_members(model)
    if members != [model]:
        return build_ensemble([eight_views(member) for member in members], vote.weights_given)
    shape, maps = model.input_shape[1:], model.output_shape[1:]
    if shape[0] != shape[1] or maps[:2] != shape[:2]:
        found = f"a model from {shape} to {maps}"
        raise invalid("model", "one from square images to maps of their size", found=found)
    image = keras.Input(shape, name="image")
    member = keras.Model(model.input, model.output, name=model.name)
    average = AverageViews(name="average_views")(member(Views(name="views")(image)))
    return keras.Model(image, average, name=f"{model.name}_8_views")


@keras.saving.register_keras_serializable(package="ensemble_seg")
class Views(keras.layers.Layer):
    """Stack the eight views of square images: (B, S, S, C) to (8 B, S, S, C), view by view.

    Example:
        >>> Views()(keras.ops.ones((2, 4, 4, 3))).shape.as_list()
        [16, 4, 4, 3]
    """

    def call(self, images):
        return ops.concatenate([_flipped(_swapped(images, view), view) for view in VIEWS])

    def compute_output_shape(self, input_shape):
        batch, *rest = input_shape
        return (batch and batch * len(VIEWS), *rest)


@keras.saving.register_keras_serializable(package="ensemble_seg")
class AverageViews(keras.layers.Layer):
    """Turn the maps of `Views` back and average them: (8 B, S, S, C) to (B, S, S, C).

    Example:
        >>> AverageViews()(Views()(keras.ops.ones((2, 4, 4, 3)))).shape.as_list()
        [2, 4, 4, 3]
    """

    def call(self, maps):
        each = ops.reshape(maps, (len(VIEWS), -1, *maps.shape[1:]))
        back = [_swapped(_flipped(each[n], view), view) for n, view in enumerate(VIEWS)]
        return sum(back) / len(VIEWS)

    def compute_output_shape(self, input_shape):
        batch, *rest = input_shape
        return (batch and batch // len(VIEWS), *rest)


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

    Args:
        probabilities: for each model (N, H, W, 2) softmax maps, or (N, H, W) of the lesion class.
        masks: (N, H, W) of 0 and 1, the truth.
        steps: fineness of the grid.

    Returns:
        One weight for each model; they add up to 1.

    Raises:
        ValueError: shapes that do not fit.

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

    def unevenness(weights: tuple[float, ...]) -> float:
        return float(np.var(weights))

    grid = sorted(_simplex(len(lesion), steps), key=unevenness)
    return max(grid, key=score)


def _simplex(models: int, steps: int) -> list[tuple[float, ...]]:
    parts = itertools.product(range(steps + 1), repeat=models - 1)
    grid = [(*part, steps - sum(part)) for part in parts if sum(part) <= steps]
    return [tuple(part / steps for part in parts) for parts in grid]


def _lesion_channel(maps: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    maps = np.asarray(maps)
    if maps.shape == (*shape, 2):
        return maps[..., 1]
    if maps.shape == shape:
        return maps
    expected = f"arrays of shape {(*shape, 2)} or {shape}, as `masks` has"
    raise invalid("probabilities", expected, found=str(maps.shape))


def _swapped(maps, view: tuple[bool, bool, bool]):
    return ops.transpose(maps, (0, 2, 1, 3)) if view[0] else maps


def _flipped(maps, view: tuple[bool, bool, bool]):
    for axis, flip in zip((1, 2), view[1:], strict=True):
        maps = ops.flip(maps, axis) if flip else maps
    return maps
