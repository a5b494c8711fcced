"""An encoder's weights from a file of one's own."""

from collections import Counter
from pathlib import Path
from types import ModuleType

import h5py
import keras


def load_encoder(network: keras.Model, backbone: str, path: str | Path, sm: ModuleType) -> None:
    """Give the encoder of a U-Net the weights of a file.

    Args:
        network: U-Net of segmentation_models.
        backbone: its encoder.
        path: `.weights.h5` or `.keras` of the same encoder, as `save_weights` or `save` of
            Keras write it, or a `.keras` file of a U-Net or classifier that begins with it.
        sm: segmentation_models.

    Raises:
        ValueError: another kind of file, or weights that do not fit: the first is named.
    """
    encoder = sm.Backbones.get_backbone(
        backbone,
        input_shape=network.input_shape[1:],
        weights=None,
        include_top=False,
        backend=sm._KERAS_BACKEND,
        layers=sm._KERAS_LAYERS,
        models=sm._KERAS_MODELS,
        utils=sm._KERAS_UTILS,
    )
    if Path(path).suffix == ".keras":
        _from_model(encoder, backbone, path)
    else:
        _from_weights(encoder, backbone, path)
    for layer in encoder.layers:
        if layer.weights:
            network.get_layer(layer.name).set_weights(layer.get_weights())


def _from_model(encoder: keras.Model, backbone: str, path: str | Path) -> None:
    found = {layer.name: layer for layer in _layers(keras.saving.load_model(path, compile=False))}
    for layer in encoder.layers:
        if not layer.weights:
            continue
        shapes = [tuple(weight.shape) for weight in layer.weights]
        other = found.get(layer.name)
        theirs = None if other is None else [tuple(weight.shape) for weight in other.weights]
        if shapes != theirs:
            text = "no such layer" if other is None else f"weights of shapes {theirs}"
            raise _does_not_fit(path, backbone, f"'{layer.name}': expected {shapes}, found {text}")
        layer.set_weights(other.get_weights())


def _from_weights(encoder: keras.Model, backbone: str, path: str | Path) -> None:
    # Keras goes on without an error where a file lacks weights, so they are counted first.
    needed = Counter(tuple(weight.shape) for weight in encoder.weights)
    try:
        found = Counter(_shapes(path))
        missing = next(iter(needed - found), None)
        if missing is None and found == needed:
            return encoder.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        raise _does_not_fit(path, backbone, " ".join(str(error).split())[:300]) from error
    shape = missing or next(iter(found - needed))
    what = f"expected {needed[shape]} weights of shape {shape}, found {found[shape]}"
    raise _does_not_fit(path, backbone, what)


def _shapes(path: str | Path) -> list[tuple[int, ...]]:
    """Return the shapes of the weights in a .weights.h5 file."""
    shapes = []

    def note(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and "/vars/" in f"/{name}":
            shapes.append(item.shape)

    with h5py.File(path) as file:
        file.visititems(note)
    return shapes


def _layers(model: keras.Model):
    for layer in model.layers:
        yield from _layers(layer) if isinstance(layer, keras.Model) else [layer]


def _does_not_fit(path: str | Path, backbone: str, what: str) -> ValueError:
    return ValueError(
        f"{path}: expected the weights of the encoder {backbone}. The first that does not fit is "
        f"{what}. Name the backbone that the file is of, or another file."
    )
