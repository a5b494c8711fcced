"""Model files: written whole, read in safe mode, and refused with one message."""

import zipfile
from pathlib import Path

import keras
import numpy as np

from ..common.files import file_hash, whole

KEPT = "What was trained so far is kept, and the same command goes on from there."
MEMBERS = {"config.json", "model.weights.h5"}
ON_DAMAGE = "Put the file back from a copy, or remove it and train again."
ON_KIND = "Name a .keras file that ensemble_seg has trained, or save yours with Keras 3."
TOLERANCE = 1e-2  # of the sum of two probabilities of 16 bits


def save_model(model: keras.Model, path: str | Path) -> None:
    """Save a model without optimiser and loss, so that it loads without custom objects."""
    bare = keras.Model(model.input, model.output, name=model.name)
    with whole(path, KEPT) as file:
        bare.save(file)


def load_model(path: str | Path, sha256: str | None = None) -> keras.Model:
    """Load a segmentation model in Keras' safe mode, and make sure that it is one.

    Args:
        path: .keras file of a U-Net, an ensemble, or a model of one's own that does the same.
        sha256: of the file, where it is known.

    Returns:
        Uncompiled keras.Model from images (B, S, S, 3), RGB 0..255, to softmax maps (B, S, S, 2),
        channel 1 the lesion.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a damaged file, another format, a layer that is not known or not safe, or a
            model of other inputs or outputs. The message says which.

    Example:
        >>> import tempfile
        >>> from ensemble_seg import preset, unet
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_model(unet(preset("smoke")), Path(folder) / "model.keras")
        ...     load_model(Path(folder) / "model.keras").output_shape
        (None, 64, 64, 2)
    """
    path = Path(path)
    require_whole_file(path, sha256)
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises whatever its parts raise on a foreign file
        raise _explained(path, error) from error
    _require_segmentation(model, path)
    return model


def require_whole_file(path: Path, sha256: str | None = None) -> None:
    """Raise ValueError for a damaged model file, or one of another kind; see `load_model`."""
    if path.is_dir():
        raise ValueError(f"{path}: expected a model file, found a folder. {ON_KIND}")
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such model. Train it first (python -m ensemble_seg train), or name one "
            "with --model."
        )
    start = path.open("rb").read(8)
    if start.startswith(b"\x89HDF"):
        raise ValueError(
            f"{path}: expected a model of Keras 3 (.keras), found HDF5, the format of Keras 2 or "
            "of weights alone. Load it where it was made, with its own code, and save it as .keras."
        )
    if not start.startswith(b"PK"):
        raise ValueError(f"{path}: no Keras model: its content is of another kind. {ON_KIND}")
    try:
        with zipfile.ZipFile(path) as file:
            missing = sorted(MEMBERS - set(file.namelist()))
            broken = file.testzip()
    except Exception as error:  # zipfile raises many kinds on a damaged file
        raise ValueError(
            f"{path}: damaged or cut off: it is not a whole file. The trained model is lost. "
            f"{ON_DAMAGE}"
        ) from error
    if missing:
        raise ValueError(f"{path}: no Keras model: {', '.join(missing)} is not in it. {ON_KIND}")
    if broken:
        raise ValueError(
            f"{path}: damaged: the checksum of {broken} in it does not fit. The trained model is "
            f"lost. {ON_DAMAGE}"
        )
    if sha256 is not None and file_hash(path) != sha256:
        raise ValueError(
            f"{path}: damaged: its SHA-256 is not the one in config.json. The trained model is "
            f"lost. {ON_DAMAGE}"
        )


def _explained(path: Path, error: Exception) -> ValueError:
    text = " ".join(str(error).split())
    for mark in ("Could not locate class '", "Unable to locate class '", "Unknown layer: '"):
        if mark in text:
            layer = text.split(mark)[1].split("'")[0]
            return ValueError(
                f"{path}: has a layer '{layer}', which neither Keras nor ensemble_seg knows. In "
                "Python, register its class with keras.saving.register_keras_serializable before "
                "loading, or save a model without it."
            )
    if "Lambda" in text or "unsafe" in text:
        return ValueError(
            f"{path}: has a Lambda layer or other Python code in it, which is not run. Save a "
            "model of registered layers."
        )
    if isinstance(error, MemoryError):
        return ValueError(f"{path}: there is not enough memory to load it.")
    return ValueError(
        f"{path}: cannot be loaded as a model of Keras {keras.__version__}: "
        f"{type(error).__name__}: {text[:200]}"
    )


def _require_segmentation(model: keras.Model, path: Path) -> None:
    """Raise ValueError unless a model gives two probabilities for each pixel of RGB images."""
    shapes = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    given, maps = (tuple(shape) if isinstance(shape, tuple) else shape for shape in shapes)
    side = given[1] if isinstance(given, tuple) and len(given) == 4 else None
    remedy = "Build one that gives them, say with keras.Model around yours, and save it."
    if not isinstance(side, int) or given[1:] != (side, side, 3):
        raise ValueError(
            f"{path}: expected one input of square RGB images of a fixed size, (None, S, S, 3). "
            f"Found {given}. {remedy}"
        )
    if maps is None or tuple(maps[1:]) != (side, side, 2):
        raise ValueError(
            f"{path}: expected one output of two softmax channels, background and lesion, "
            f"(None, {side}, {side}, 2). Found {maps}. {remedy}"
        )
    image = np.random.default_rng(0).uniform(0, 255, (1, side, side, 3)).astype("float32")
    found = np.asarray(keras.ops.convert_to_numpy(model(image, training=False)), "float64")
    if not np.isfinite(found).all():
        raise ValueError(
            f"{path}: gives values that are not finite (NaN), so its training has failed. Train "
            "again with a lower learning_rate, precision=float32 or another loss."
        )
    if found.min() < 0 or abs(found.sum(axis=-1) - 1).max() > TOLERANCE:
        raise ValueError(
            f"{path}: expected probabilities that add up to 1 at each pixel. Found values from "
            f"{found.min():.3g} to {found.max():.3g}. Let it end in a softmax, and save it."
        )
