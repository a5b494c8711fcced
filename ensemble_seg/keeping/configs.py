"""config.json: what a run was made with, and whether a folder belongs to what is asked for."""

import importlib.metadata
import json
import platform
import time
from dataclasses import asdict, fields
from pathlib import Path

import keras

from ..common.environment import git_hash
from ..common.files import file_hash, whole
from ..datasets import Dataset
from ..presets import Preset

NAME = "config.json"
WITHOUT_EFFECT = {"main": ("threshold", "margin", "shift", "weights"), "sampling": ("weights",)}
REMOVED = {"optimizer": "adam"}  # settings of earlier versions, with the value that is left
REMEDY = "Remove the folder, or set ENSEMBLE_SEG_RUNS_DIR."


def run_config(data: Dataset, preset: Preset, name: str, model: keras.Model | None = None) -> dict:
    """Return what config.json says of a run: settings, versions, data hash, git hash."""
    packages = ("tensorflow", "keras", "segmentation-models", "numpy", "scikit-image")
    return {
        "name": name,
        "data": data.name,
        "data_hash": data.hash,
        "pairs": {"train": len(data.train), "validation": len(data.validation)},
        "preset": asdict(preset),
        "encoder_weights_sha256": preset.encoder_file and file_hash(preset.encoder_file),
        "label": preset.label,
        "precision": model.layers[-2].dtype_policy.name if model else None,
        "python": platform.python_version(),
        "versions": {package: _version(package) for package in packages},
        "git": git_hash(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def write_config(folder: Path, config: dict) -> None:
    """Write config.json of a run folder."""
    with whole(folder / NAME) as file:
        file.write_text(json.dumps(config, indent=2))


def read_config(folder: Path) -> dict:
    """Return config.json of a run folder.

    Raises:
        ValueError: it is missing, damaged, or has no settings or data hash in it.
    """
    path = folder / NAME
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _unusable(path, "is missing") from None
    except OSError as error:
        raise _unusable(path, f"could not be read ({error.strerror})") from error
    except (ValueError, RecursionError):
        raise _unusable(path, "is damaged: expected JSON") from None
    if not isinstance(found, dict):
        raise _unusable(path, f"expected an object, found {json.dumps(found)[:40]}")
    for field, kind in (("data_hash", str), ("preset", dict)):
        if not isinstance(found.get(field), kind):
            what = f"{field}={found[field]!r}" if field in found else f"no {field}"
            raise _unusable(path, f"expected {field} of type {kind.__name__}, found {what}")
    return found


def refuse_another(folder: Path, config: dict) -> None:
    """Raise ValueError where a folder was begun with other data or other settings."""
    found = read_config(folder)
    if found["data_hash"] != config["data_hash"]:
        hashes = f"(hash {found['data_hash'][:12]}, this data {config['data_hash'][:12]})"
        raise _holds(folder, f"on other data {hashes}")
    for field, value in found["preset"].items():
        if field not in config["preset"] and (field, value) not in REMOVED.items():
            no_longer = "no longer has" if field in REMOVED else "does not know"
            raise _holds(folder, f"with {field}={value}, which this version {no_longer}")
    before = settings_of(found, folder)
    for field, value in settings_of(config, folder).items():
        if field not in WITHOUT_EFFECT.get(config["name"], ()) and before[field] != value:
            raise _holds(folder, f"with other settings ({field}={before[field]}, now {value})")


def settings_of(config: dict, folder: Path = Path()) -> dict:
    """Return the settings a run was made with; one that is newer than the run has its default.

    A file of encoder weights, which may be gone by now, is replaced by its hash.

    Raises:
        ValueError: a setting that is of another type or out of range.
    """
    known = {field.name for field in fields(Preset)}
    given = {key: value for key, value in config["preset"].items() if key in known}
    defaults = asdict(Preset("paper"))
    for field, value in given.items():
        if not _alike(value, defaults[field], field):
            expected = type(defaults[field]).__name__
            what = f"expected {field} of type {expected}, found {value!r}"
            raise _unusable(folder / NAME, what)
    weights = given.pop("encoder_weights", defaults["encoder_weights"])
    weights = config.get("encoder_weights_sha256") or weights
    try:
        return {**asdict(Preset(**{"name": "", **given})), "encoder_weights": weights}
    except (ValueError, TypeError) as error:
        raise _unusable(folder / NAME, f"has a setting out of range: {error}") from error


def _alike(value, default, field: str) -> bool:
    if field == "encoder_weights" and value is None:
        return True
    if isinstance(default, tuple):
        return isinstance(value, list | tuple) and all(map(_is_number, value))
    if isinstance(default, bool | str):
        return isinstance(value, type(default))
    return _is_number(value) and (isinstance(default, float) or isinstance(value, int))


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _holds(folder: Path, what: str) -> ValueError:
    return ValueError(f"{folder}: holds a run {what}. {REMEDY}")


def _unusable(path: Path, what: str) -> ValueError:
    return ValueError(
        f"{path}: {what}. So it cannot be told what this run was made with, and whether it belongs "
        "to these data and settings. Put the file back from a copy, or remove the folder and train "
        "again."
    )


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
