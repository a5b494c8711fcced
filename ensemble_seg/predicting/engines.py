"""Networks that another runtime computes: exported once, beside the model's file."""

from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np

from ..common.errors import invalid
from ..common.files import file_hash
from ..exporting import FORMATS, export_model, is_installed, opened

ENGINES = ("keras", "onnx", "openvino")
PAYS_FROM = 1000  # images, where a network must be exported first


def chosen_engine(engine: str | None, files: Sequence[Path], members: int, images: int) -> str:
    """Return which engine computes the networks.

    Args:
        engine: one of `ENGINES`; None for OpenVINO where it is installed and it pays: there are
            `PAYS_FROM` images, or the networks were exported before. Else Keras.
        files: of the models, as for `network_files`.
        members: number of networks.
        images: number of images.

    Raises:
        ValueError: another engine.
    """
    if engine is None:
        pays = is_installed("openvino") and files
        pays = pays and (images >= PAYS_FROM or all(_there("openvino", files, members)))
        return "openvino" if pays else "keras"
    if engine not in ENGINES:
        raise invalid("engine", f"one of {', '.join(ENGINES)}", engine)
    if engine != "keras" and not files:
        raise invalid("engine", "keras for a model without a file", engine, "Save it first.")
    return engine


def network_files(engine: str, files: Sequence[Path], members: int) -> list[Path]:
    """Return the exported file of each network: beside its model, with the hash in its name.

    Args:
        engine: "onnx" or "openvino".
        files: of the models: one for each member, or the one of the whole ensemble.
        members: number of networks.
    """
    each = files if len(files) == members else [files[0]] * members
    hashes = {file: file_hash(file)[:12] for file in each}
    ending = FORMATS[engine][0]
    return [
        file.with_name(f"{file.stem}-{hashes[file]}-{number}{ending}")
        for number, file in enumerate(each)
    ]


def networks(
    engine: str, members: Sequence[keras.Model], files: Sequence[Path]
) -> list[Callable[[np.ndarray], np.ndarray]]:
    """Return functions from a batch of images to softmax maps; what is missing is exported.

    Raises:
        RuntimeError: a package is missing, or its probabilities differ from Keras'.
    """
    found = []
    for member, file in zip(members, network_files(engine, files, len(members)), strict=True):
        if not file.is_file():
            print(f"{engine}: the network is exported once, to {file}")
            export_model(member, file, engine)
        found.append(opened(file, engine))
    return found


def _there(engine: str, files: Sequence[Path], members: int) -> list[bool]:
    return [file.is_file() for file in network_files(engine, files, members)]
