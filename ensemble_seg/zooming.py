"""The sampling model used where it was trained: on the box where the main model sees a lesion."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from .common.errors import checked_weights
from .datasets import Split
from .ensembling import build_ensemble
from .evaluation import predict_split, score
from .sampling import checked_margin

MARGINS = (4, 8, 12, 16, 24)  # pixels of the input
SHARES = (0.25, 0.5, 0.75, 1.0)  # of the sampling model inside the box
IMAGES_AT_ONCE = 8


def zoom_ensemble(
    main: keras.Model,
    sampling: keras.Model,
    weights: Sequence[float] = (1.01, 1.0),
    margin: int | Sequence[int] = (20, 10),
    name: str = "zoom_ensemble",
) -> keras.Model:
    """Let the sampling model look where the main model found a lesion, then let both vote.

    The box around all that the main model takes for lesion, with a margin, is cut out of the image
    and enlarged; the sampling model, which was trained on such crops, segments it; its map is put
    back and averaged with the main model's. Outside the box, and where nothing was found, the main
    model's map stays. Not part of the published method, which shows both models the whole image.

    Args:
        main, sampling: from square images (B, S, S, 3) to softmax maps (B, S, S, 2).
        weights: of main and sampling model inside the box; see `WeightedAverage`.
        margin: context around the box, pixels of the input, as in `lesion_box`.
        name: of the ensemble.

    Returns:
        Uncompiled keras.Model from images to softmax maps; saved it is one file.

    Raises:
        ValueError: models of other shapes, weights or a margin that do not fit.

    Example:
        >>> from ensemble_seg import preset, unet
        >>> main, sampling = (unet(preset("smoke").replace(seed=seed)) for seed in (0, 1))
        >>> zoom_ensemble(main, sampling).output.shape
        (None, 64, 64, 2)
    """
    build_ensemble([main, sampling], weights)  # which checks them
    image = keras.Input(main.input_shape[1:], name="image")
    members = [
        keras.Model(model.input, model.output, name=f"member_{number}_{model.name}")
        for number, model in enumerate((main, sampling))
    ]
    whole = members[0](image)
    box = LesionBox(margin, name="lesion_box")(whole)
    near = members[1](ZoomIn(name="zoom_in")([image, box]))
    voted = PasteAndVote(weights, name="paste_and_vote")([whole, near, box])
    return keras.Model(image, voted, name=name)


def fit_zoom(
    main: keras.Model,
    sampling: keras.Model,
    split: Split,
    margins: Sequence[int] = MARGINS,
    shares: Sequence[float] = SHARES,
) -> tuple[tuple[float, float], int]:
    """Choose weights and margin of a zoom ensemble by mean lesion Dice, on validation data only.

    Each margin is tried with each share of the sampling model in the vote.

    Args:
        main, sampling: as in `zoom_ensemble`.
        split: data.validation. Never the test images.
        margins: pixels of the input.
        shares: weights of the sampling model; that of the main model is what is left of 1.

    Returns:
        Weights and margin for `zoom_ensemble`; of equal ones the first.
    """
    from .reading.batches import batches  # not above: it imports TensorFlow

    maps = predict_split(main, split)
    stream = batches(split.windows, main.input_shape[1], lesion_values=split.lesion_values)
    images = np.concatenate([batch for batch, _ in stream])
    dice = {}
    for margin in margins:
        box = LesionBox(margin)(maps)
        near = sampling.predict(_in_parts(ZoomIn(), images, box), verbose=0)
        for share in shares:
            voted = _in_parts(PasteAndVote((1 - share, share)), maps, near, box)
            dice[(1 - share, share), margin] = score(voted, split).per_image["dice"].mean()
    return max(dice, key=dice.get)


def is_zoom(model: keras.Model) -> bool:
    """Say whether a model is one of `zoom_ensemble`."""
    return any(isinstance(layer, PasteAndVote) for layer in model.layers)


def zoom_members(model: keras.Model) -> tuple[list[keras.Model], "LesionBox", "PasteAndVote"]:
    """Return the models of a zoom ensemble, and its layers that find the box and vote."""
    members = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    find, vote = (
        next(layer for layer in model.layers if isinstance(layer, kind))
        for kind in (LesionBox, PasteAndVote)
    )
    return members, find, vote


@keras.saving.register_keras_serializable(package="ensemble_seg")
class LesionBox(keras.layers.Layer):
    """Find the box around the lesion of softmax maps: (B, S, S, 2) to (B, 4) float32.

    top, left, bottom, right in pixels, half open, with a margin as in `sampling.lesion_box`. Where
    there is no lesion all four are 0.

    Example:
        >>> lesion = keras.ops.pad(keras.ops.ones((1, 2)), ((3, 4), (2, 4)))
        >>> maps = keras.ops.stack([0.5 - lesion, lesion], axis=-1)[None]
        >>> LesionBox(margin=1)(maps).numpy().tolist()
        [[2.0, 1.0, 5.0, 5.0]]
    """

    def __init__(self, margin: int | Sequence[int] = (20, 10), **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.margin = checked_margin(margin)

    def call(self, maps):
        lesion = maps[..., 1] > maps[..., 0]
        top, bottom = self._ends(ops.any(lesion, axis=2))
        left, right = self._ends(ops.any(lesion, axis=1))
        box = ops.stack([top, left, bottom, right], axis=-1)
        return ops.where(ops.any(lesion, axis=(1, 2))[:, None], box, 0.0)

    def _ends(self, found):
        """Return where the lines (B, S) with a lesion begin and end, with the margin."""
        size = found.shape[1]
        numbers = ops.arange(size, dtype="float32")
        first = ops.min(ops.where(found, numbers, float(size)), axis=1)
        last = ops.max(ops.where(found, numbers + 1.0, 0.0), axis=1)
        before = after = ops.zeros_like(first)
        for pixels in reversed(self.margin):  # the first that fits is taken
            before = ops.where(first >= pixels, float(pixels), before)
            after = ops.where(size - last >= pixels, float(pixels), after)
        return first - before, last + after

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 4)

    def get_config(self) -> dict:
        return {**super().get_config(), "margin": self.margin}


@keras.saving.register_keras_serializable(package="ensemble_seg")
class ZoomIn(keras.layers.Layer):
    """Cut its box out of each square image and enlarge it to the size of the image, bilinear.

    Inputs are images (B, S, S, C) and boxes (B, 4) as of `LesionBox`; of an empty box the whole
    image comes out. Resampling is a product with a matrix on each side, which every backend and
    every export knows.

    Example:
        >>> image = keras.ops.reshape(keras.ops.arange(16.0), (1, 4, 4, 1))
        >>> ZoomIn()([image, keras.ops.array([[0.0, 0.0, 2.0, 2.0]])])[0, 0, :, 0].numpy().tolist()
        [0.0, 0.25, 0.75, 1.0]
    """

    def __init__(self, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def call(self, inputs):
        images, box = inputs
        size = images.shape[1]
        box = _whole_if_empty(box, size)
        steps = (ops.arange(size, dtype="float32") + 0.5) / size
        matrices = []
        for low, high in ((box[:, 0, None], box[:, 2, None]), (box[:, 1, None], box[:, 3, None])):
            source = ops.clip(low + steps * (high - low), low + 0.5, high - 0.5)
            matrices.append(_triangles(source, size, 1.0))
        return _resampled(images, *matrices)

    def compute_output_shape(self, input_shape):
        return input_shape[0]


@keras.saving.register_keras_serializable(package="ensemble_seg")
class PasteAndVote(keras.layers.Layer):
    """Put the maps of boxes back into the maps of whole images and average the two there.

    Inputs are maps of whole images (B, S, S, C), maps of what `ZoomIn` gave (B, S, S, C), reduced
    with anti-aliasing, and the boxes (B, 4). Outside its box a whole image keeps its map.

    Args:
        weights: of the whole image's map and of the box's.
    """

    def __init__(self, weights: Sequence[float] = (1.01, 1.0), **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.weights_given = checked_weights(weights)

    def call(self, inputs):
        whole, near, box = inputs
        size = whole.shape[1]
        numbers = ops.arange(size, dtype="float32")
        (top, left, bottom, right) = (box[:, side, None] for side in range(4))
        rows = ops.logical_and(numbers >= top, numbers < bottom)
        columns = ops.logical_and(numbers >= left, numbers < right)
        inside = ops.logical_and(rows[:, :, None], columns[:, None, :])[..., None]
        box = _whole_if_empty(box, size)
        matrices = []
        for low, high in ((box[:, 0, None], box[:, 2, None]), (box[:, 1, None], box[:, 3, None])):
            scale = size / (high - low)
            place = ops.clip((numbers + 0.5 - low) * scale, 0.0, float(size))
            matrices.append(_triangles(place, size, scale[:, :, None]))
        first, second = self.weights_given
        share = second / (first + second)
        return ops.where(inside, whole + share * (_resampled(near, *matrices) - whole), whole)

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self) -> dict:
        return {**super().get_config(), "weights": self.weights_given}


def _whole_if_empty(box, size: int):
    whole = ops.convert_to_tensor([[0.0, 0.0, float(size), float(size)]])
    return ops.where(box[:, 2:3] > box[:, 0:1], box, whole)


def _triangles(places, size: int, width):
    """Return (B, N, size): how much each of `size` pixels counts at N places; rows add up to 1."""
    centres = ops.arange(size, dtype="float32") + 0.5
    weights = ops.maximum(0.0, 1.0 - ops.abs(places[:, :, None] - centres) / width)
    return weights / ops.sum(weights, axis=-1, keepdims=True)


def _resampled(maps, rows, columns):
    return ops.einsum("bij,bjkc,blk->bilc", rows, ops.cast(maps, "float32"), columns)


def _in_parts(layer: keras.layers.Layer, *arrays) -> np.ndarray:
    """Call a layer on a few images at a time: its matrices take memory."""
    starts = range(0, len(arrays[0]), IMAGES_AT_ONCE)
    parts = [[array[start : start + IMAGES_AT_ONCE] for array in arrays] for start in starts]
    return np.concatenate([ops.convert_to_numpy(layer(part)) for part in parts])
