"""A model that votes with itself on eight views of each image (test-time augmentation)."""

import itertools

import keras
from keras import ops

from ensemble_seg.ensembling import build_ensemble, ensemble_members
from ensemble_seg.presets import invalid

# Swap rows and columns, flip top and bottom, flip left and right: the symmetries of a square.
VIEWS = tuple(itertools.product((False, True), repeat=3))


def eight_views(model: keras.Model) -> keras.Model:
    """Let a model vote with itself on the flips and quarter turns of each image.

    A lesion turned by 90 degrees is the same lesion, but a network sees it anew, and errors that
    depend on the orientation may average out. The result shares its weights with the model, takes
    eight times as long, and is saved, scored or made a member of an ensemble as any other. The
    published method does without.

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
    """Stack the eight views of square images: (B, S, S, C) to (8 B, S, S, C), view by view."""

    def call(self, images):
        return ops.concatenate([_flipped(_swapped(images, view), view) for view in VIEWS])

    def compute_output_shape(self, input_shape):
        batch, *rest = input_shape
        return (batch and batch * len(VIEWS), *rest)


@keras.saving.register_keras_serializable(package="ensemble_seg")
class AverageViews(keras.layers.Layer):
    """Turn the maps of `Views` back and average them: (8 B, S, S, C) to (B, S, S, C)."""

    def call(self, maps):
        each = ops.reshape(maps, (len(VIEWS), -1, *maps.shape[1:]))
        back = [_swapped(_flipped(each[n], view), view) for n, view in enumerate(VIEWS)]
        return sum(back) / len(VIEWS)

    def compute_output_shape(self, input_shape):
        batch, *rest = input_shape
        return (batch and batch // len(VIEWS), *rest)


def _swapped(maps, view: tuple[bool, bool, bool]):
    return ops.transpose(maps, (0, 2, 1, 3)) if view[0] else maps


def _flipped(maps, view: tuple[bool, bool, bool]):
    for axis, flip in zip((1, 2), view[1:], strict=True):
        maps = ops.flip(maps, axis) if flip else maps
    return maps
