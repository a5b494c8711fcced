"""The sampling model used where it was trained: on the box where the main model sees a lesion."""

import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops
from PIL import Image

from ensemble_seg.batches import batches
from ensemble_seg.data import Split
from ensemble_seg.ensembling import build_ensemble
from ensemble_seg.evaluation import predict_split, score
from ensemble_seg.predicting import Prediction, enlarged
from ensemble_seg.presets import checked_weights
from ensemble_seg.reading import Box, resize_image
from ensemble_seg.sampling import checked_margin

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
    margins: Sequence[int] = (4, 8, 12, 16, 24),
    shares: Sequence[float] = (0.25, 0.5, 0.75, 1.0),
) -> tuple[tuple[float, float], int]:
    """Choose weights and margin of a zoom ensemble by mean lesion Dice, on validation data only.

    Args:
        main, sampling: as in `zoom_ensemble`.
        split: data.validation. Never the test images.
        margins: pixels of the input; each is tried with each share.
        shares: weights of the sampling model; that of the main model is what is left of 1.

    Returns:
        Weights and margin for `zoom_ensemble`; of equal ones the first.
    """
    maps = predict_split(main, split)
    images = np.concatenate([batch for batch, _ in batches(split.windows, main.input_shape[1])])
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
    kinds = {type(layer): layer for layer in model.layers}
    return members, kinds[LesionBox], kinds[PasteAndVote]


def predict_zoom(model: keras.Model, images: Sequence[np.ndarray]) -> list[Prediction]:
    """Segment images at their own size: the box is cut out of the image itself, not of a small one.

    Args:
        model: from `zoom_ensemble`.
        images: (H, W, 3) uint8 RGB each; their sizes may differ. They are one batch.

    Returns:
        As `predict_images`; the models disagree inside the box alone.
    """
    (main, sampling), find, vote = zoom_members(model)
    size, found = model.input_shape[1], []
    small = np.stack([resize_image(image, size) for image in images]).astype("float32")
    maps = main.predict_on_batch(small)
    for image, whole, box in zip(images, maps, np.array(find(maps)), strict=True):
        result = enlarged(whole[None, ..., 1], image.shape[:2])
        top, left, bottom, right = box / size * (*image.shape[:2], *image.shape[:2])
        if bottom > top:
            box = Box(int(top), int(left), math.ceil(bottom), math.ceil(right))
            crop = resize_image(image, size, box)[None].astype("float32")
            _vote_inside(result, sampling.predict_on_batch(crop)[0, ..., 1], box, vote)
        found.append(result)
    return found


def zoom_steps(image: np.ndarray, box: np.ndarray, crop: np.ndarray, *maps: np.ndarray) -> None:
    """Show the zoom ensemble on one image (S, S, 3), with its box and the crop (S, S, 3).

    Maps are (S, S) probabilities of the lesion: by the main model, by the sampling model of the
    crop, and by the vote.
    """
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(1, 5, figsize=(13, 3))
    titles = "image and box|main model|the box, enlarged|sampling model|put back and averaged"
    image, crop = (np.clip(np.round(each), 0, 255).astype("uint8") for each in (image, crop))
    shown = (image, maps[0], crop, *maps[1:])
    for axis, title, values in zip(axes, titles.split("|"), shown, strict=True):
        axis.imshow(values, cmap="cividis", vmin=0, vmax=1)
        axis.set_title(title, fontsize=10)
        axis.set(xticks=[], yticks=[])
    top, left, bottom, right = map(float, box)
    for axis in (axes[0], axes[1], axes[4]):
        frame = plt.Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False)
        frame.set(edgecolor="#E69F00", linewidth=2.5)
        axis.add_patch(frame)
    plt.tight_layout()


@keras.saving.register_keras_serializable(package="ensemble_seg")
class LesionBox(keras.layers.Layer):
    """Find the box around the lesion of softmax maps: (B, S, S, 2) to (B, 4) float32.

    top, left, bottom, right in pixels, half open, with a margin as in `sampling.lesion_box`. Where
    there is no lesion all four are 0.
    """

    def __init__(self, margin: int | Sequence[int] = (20, 10), **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
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

    def get_config(self) -> dict:
        return {**super().get_config(), "margin": self.margin}


@keras.saving.register_keras_serializable(package="ensemble_seg")
class ZoomIn(keras.layers.Layer):
    """Cut its box out of each square image and enlarge it to the size of the image, bilinear.

    Inputs are images (B, S, S, C) and boxes (B, 4) as of `LesionBox`; of an empty box the whole
    image comes out. A product with a matrix on each side, which every export format knows.
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})

    def call(self, inputs):
        images, box = inputs
        size = images.shape[1]
        steps = (ops.arange(size, dtype="float32") + 0.5) / size
        places = [
            ops.clip(low + steps * (high - low), low + 0.5, high - 0.5)
            for low, high in _sides(box, size)
        ]
        return _resampled(images, *((place, 1.0) for place in places))


@keras.saving.register_keras_serializable(package="ensemble_seg")
class PasteAndVote(keras.layers.Layer):
    """Put the maps of boxes back into the maps of whole images and average the two there.

    Inputs are maps of whole images (B, S, S, C), maps of what `ZoomIn` gave (B, S, S, C), reduced
    with anti-aliasing, and the boxes (B, 4). Weights are of the whole image's map and the box's.
    """

    def __init__(self, weights: Sequence[float] = (1.01, 1.0), **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.weights_given = checked_weights(weights)

    def call(self, inputs):
        whole, near, box = inputs
        size = whole.shape[1]
        numbers = ops.arange(size, dtype="float32")
        top, left, bottom, right = (box[:, side, None] for side in range(4))
        rows = ops.logical_and(numbers >= top, numbers < bottom)
        columns = ops.logical_and(numbers >= left, numbers < right)
        inside = ops.logical_and(rows[:, :, None], columns[:, None, :])[..., None]
        places = []
        for low, high in _sides(box, size):
            scale = size / (high - low)
            place = ops.clip((numbers + 0.5 - low) * scale, 0.0, float(size))
            places.append((place, scale[:, :, None]))
        first, second = self.weights_given
        share = second / (first + second)
        return ops.where(inside, whole + share * (_resampled(near, *places) - whole), whole)

    def get_config(self) -> dict:
        return {**super().get_config(), "weights": self.weights_given}


def _sides(box, size: int) -> tuple:
    """Return top and bottom, left and right of boxes, (B, 1) each; of an empty one the image's."""
    whole = ops.convert_to_tensor([[0.0, 0.0, float(size), float(size)]])
    box = ops.where(box[:, 2:3] > box[:, 0:1], box, whole)
    return (box[:, 0, None], box[:, 2, None]), (box[:, 1, None], box[:, 3, None])


def _resampled(maps, *sides):
    """Average the pixels of maps around places (B, N), by triangles of a width, on both sides."""
    centres, matrices = ops.arange(maps.shape[1], dtype="float32") + 0.5, []
    for places, width in sides:
        weights = ops.maximum(0.0, 1.0 - ops.abs(places[:, :, None] - centres) / width)
        matrices.append(weights / ops.sum(weights, axis=-1, keepdims=True))
    rows, columns = matrices
    return ops.einsum("bij,bjkc,blk->bilc", rows, ops.cast(maps, "float32"), columns)


def _in_parts(layer: keras.layers.Layer, *arrays) -> np.ndarray:
    """Call a layer on a few images at a time: its matrices take memory."""
    starts = range(0, len(arrays[0]), IMAGES_AT_ONCE)
    parts = [[array[start : start + IMAGES_AT_ONCE] for array in arrays] for start in starts]
    return np.concatenate([ops.convert_to_numpy(layer(part)) for part in parts])


def _vote_inside(result: Prediction, near: np.ndarray, box: Box, vote: PasteAndVote) -> None:
    """Average a map with what another model sees in a box of it."""
    inside = slice(box.top, box.bottom), slice(box.left, box.right)
    whole = result.probability[inside]
    picture = Image.fromarray(near).resize(whole.shape[::-1], Image.Resampling.BILINEAR)
    result.disagreement[inside] = np.abs(picture - whole)
    whole[:] = np.average([whole, picture], axis=0, weights=vote.weights_given)
    result.mask[inside] = whole > 0.5
