"""An encoder's weights from a file of one's own."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import keras
import numpy as np

FIRST_OF_DECODER = ("center_block1_conv", "decoder_stage0_upsampling")


def load_encoder(network: keras.Model, backbone: str, path: str | Path) -> None:
    """Give the encoder of a U-Net the weights of a file.

    Args:
        network: U-Net of segmentation_models.
        backbone: the name of its encoder.
        path: `.weights.h5` or `.keras` of the same encoder, as `save_weights` or `save` of
            Keras write it, or a `.keras` file of a U-Net or classifier that begins with it.

    Raises:
        ValueError: another kind of file, or weights that do not fit: the first is named. The
            network is then as it was.
    """
    encoder = _encoder_of(network)
    layers = [layer for layer in encoder.layers if layer.weights]
    try:
        read = _from_model if Path(path).suffix == ".keras" else _from_file
        found, left = read(path, encoder)
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: cannot be read as weights of Keras ({error}).") from error
    for layer, arrays in zip(layers, [*found, *[[]] * len(layers)], strict=False):
        for number, weight in enumerate(layer.weights):
            shape = arrays[number].shape if number < len(arrays) else "nothing"
            if shape != tuple(weight.shape):
                raise ValueError(
                    f"{path}: expected the weights of the encoder {backbone}. The first that does "
                    f"not fit is {layer.name}/{weight.name}: expected {tuple(weight.shape)}, found "
                    f"{shape}. Name the backbone that the file is of, or another file."
                )
    if left:
        raise ValueError(f"{path}: has more layers than the encoder {backbone}: {', '.join(left)}.")
    for layer, arrays in zip(layers, found, strict=False):
        layer.set_weights(arrays)


def _encoder_of(network: keras.Model) -> keras.Model:
    names = {layer.name for layer in network.layers}
    first = next(name for name in FIRST_OF_DECODER if name in names)
    return keras.Model(network.input, network.get_layer(first).input)


def _from_model(path: str | Path, _) -> tuple[list[list[np.ndarray]], list[str]]:
    """Return the weights of each layer of a model, in order; more may follow the encoder's."""
    layers = _layers(keras.saving.load_model(path, compile=False))
    found = [each for each in layers if each.weights and each.name != "preprocessing"]
    return [layer.get_weights() for layer in found], []


def _layers(model: keras.Model) -> Iterator[keras.Layer]:
    for layer in model.layers:
        yield from _layers(layer) if isinstance(layer, keras.Model) else [layer]


def _from_file(path: str | Path, encoder: keras.Model) -> tuple[list[list[np.ndarray]], list[str]]:
    """Return the weights of each layer of an encoder, [] where there are none; and what is left.

    Keras numbers the layers of each class in such a file. Which is which is seen from a file of
    the encoder itself.
    """
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "own.weights.h5"
        encoder.save_weights(own)
        places = {name: place for place, (name, _) in _groups(own).items()}
    groups = _groups(path)
    found = [
        groups.pop(places[layer.name], ("", []))[1] for layer in encoder.layers if layer.weights
    ]
    return found, [name for name, arrays in groups.values() if arrays]


def _groups(path: str | Path) -> dict[str, tuple[str, list[np.ndarray]]]:
    """Return name and weights of each layer in a .weights.h5 file, by its place in there."""
    groups = {}

    def note(place: str, item: object) -> None:
        if isinstance(item, h5py.Group) and place.endswith("vars"):
            arrays = [np.asarray(item[number]) for number in sorted(item, key=int)]
            # The fused layer has the same weights.
            place = place.replace("fused_batch_normalization", "batch_normalization")
            groups[place] = (item.attrs.get("name", place), arrays)

    with h5py.File(path) as file:
        file.visititems(note)
    return groups
