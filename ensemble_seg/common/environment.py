"""What the package runs in: its commit, and settings of Keras with which nothing can work."""

import os
import subprocess
from pathlib import Path

BACKENDS = ("tensorflow", "jax")


def require_environment() -> None:
    """Raise ImportError for a backend, an image format or a Keras that cannot be used.

    It has the package's name, by which python -m ensemble_seg knows that its message says all.
    """
    if os.environ.get("TF_USE_LEGACY_KERAS", "").lower() in ("1", "true"):
        raise _refused(
            "TF_USE_LEGACY_KERAS asks TensorFlow for Keras 2. Expected Keras 3. Unset it"
        )
    try:
        import keras
    except (ImportError, ValueError) as error:  # the backend is not installed, or unknown
        raise _refused(
            f"Keras cannot be imported with {_named_backend()} ({error}). Expected one of "
            f"{', '.join(BACKENDS)}, installed. Set one of them"
        ) from error
    if keras.backend.backend() not in BACKENDS:
        raise _refused(f"{_named_backend()} is not one of {', '.join(BACKENDS)}. Set one of them")
    if keras.config.image_data_format() != "channels_last":
        raise _refused(
            "image_data_format in Keras' settings, ~/.keras/keras.json, is "
            f"{keras.config.image_data_format()}. Expected channels_last. Change it there"
        )


def git_hash() -> str | None:
    """Return the commit that the package lies in; None outside a repository."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _named_backend() -> str:
    chosen = os.environ.get("KERAS_BACKEND")
    return f"KERAS_BACKEND={chosen}" if chosen else "the backend in ~/.keras/keras.json"


def _refused(what: str) -> ImportError:
    return ImportError(f"{what}, and start Python again.", name="ensemble_seg")
