"""Networks that another runtime computes: exported once, beside the model's file."""

from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np

from ..common.errors import invalid
from ..common.files import file_hash
from ..exporting import FORMATS, export_model, opened

KERAS = "keras"
ENGINES = (KERAS, "onnx", "openvino")


def require_engine(engine: str, files: Sequence[Path]) -> None:
    """Raise ValueError for an unknown engine, or one that needs the models' files and has none."""
    if engine not in ENGINES:
        raise invalid("engine", f"one of {', '.join(ENGINES)}", engine)
    if engine != KERAS and not files:
        raise invalid("engine", "keras for a model without a file", engine, "Save it first.")


def exported_networks(
    engine: str, members: Sequence[keras.Model], files: Sequence[Path]
) -> list[Callable[[np.ndarray], np.ndarray]]:
    """Return functions from a batch of images to softmax maps; what is missing is exported.

    An exported file lies beside its model, with the hash of that in its name.

    Args:
        engine: "onnx" or "openvino".
        members: the networks.
        files: of the models: one for each member, or the one of the whole ensemble.

    Raises:
        RuntimeError: a package is missing, or its probabilities differ from Keras'.
    """
    found = []
    each = files if len(files) == len(members) else [files[0]] * len(members)
    for number, (member, model) in enumerate(zip(members, each, strict=True)):
        name = f"{model.stem}-{file_hash(model)[:12]}-{number}{FORMATS[engine][0]}"
        file = model.with_name(name)
        if not file.is_file():
            print(f"{engine}: the network is exported once, to {file}")
            export_model(member, file, engine)
        found.append(opened(file, engine))
    return found
