"""The state after an epoch: weights, optimiser and history in one file, with a checksum."""

import json
import os
import zlib
from pathlib import Path
from typing import NamedTuple

import h5py
import keras
import numpy as np

from .histories import History, epochs_of, first_epochs

SUFFIX = ".weights.h5"
NOTE = "ensemble_seg"  # where epoch, history and checksum stand, as JSON; Keras passes it over


class State(NamedTuple):
    """A state that can be gone on from: its file, the epochs that are done, and their history."""

    path: Path
    done: int
    history: History


def state_name(done: int) -> str:
    """Return the file name of the state after so many epochs."""
    return f"epoch-{done:04d}{SUFFIX}"


def write_state(model: keras.Model, file: Path, history: History) -> None:
    """Write all that is needed to go on after the last epoch of a history."""
    try:
        model.save_weights(file, overwrite=True)
        with h5py.File(file, "r+") as stored:
            note = {"epoch": epochs_of(history), "history": history}
            note["crc32"] = _checksum(stored, note)
            stored[NOTE] = json.dumps(note)
    except Exception:
        # On a full disk HDF5 cannot close the file either, and crashes as the process ends.
        if file.exists():
            os.truncate(file, 0)
        raise


def read_state(path: Path, epochs: int, history: History) -> State:
    """Check a state file and return what it holds; its weights are not read yet.

    Args:
        path: epoch-0003.weights.h5, say.
        epochs: of the whole training.
        history: of history.csv. A state of an earlier version has none of its own.

    Raises:
        ValueError: saying what is wrong with it, without its name.
    """
    number = path.name.removeprefix("epoch-").removesuffix(SUFFIX)
    done = int(number) if number.isdecimal() else 0
    try:
        with h5py.File(path) as stored:
            note = json.loads(stored[NOTE][()]) if NOTE in stored else None
            damaged = note is not None and note["crc32"] != _checksum(stored, note)
    except Exception as error:  # h5py raises whatever its library finds in a damaged file
        raise ValueError("it is damaged") from error
    if damaged:
        raise ValueError("it is damaged")
    if note:
        history = note["history"]
    if not 1 <= done <= epochs:
        raise ValueError(f"the training has the epochs 1 to {epochs}")
    if note and note["epoch"] != done:
        raise ValueError(f"it is the state after epoch {note['epoch']}")
    if epochs_of(history) < done:
        raise ValueError(f"history.csv has {epochs_of(history)} of its {done} epochs")
    return State(path, done, first_epochs(history, done))


def _checksum(stored: h5py.File, note: dict) -> int:
    """Return the CRC-32 over epoch, history, and the names, shapes and values of all arrays."""
    arrays: list[h5py.Dataset] = []
    stored.visititems(lambda _, item: arrays.append(item) if hasattr(item, "dtype") else None)
    total = zlib.crc32(json.dumps([note["epoch"], note["history"]]).encode())
    for array in arrays:
        if array.name == f"/{NOTE}":
            continue
        values = array[()]
        about = repr((array.name, np.shape(values), str(array.dtype)))
        total = zlib.crc32(np.asarray(values).tobytes(), zlib.crc32(about.encode(), total))
    return total
