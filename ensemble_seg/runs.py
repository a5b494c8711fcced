"""The run folder: what a training leaves behind, and how it is found again."""

import csv
import errno
import importlib.metadata
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import keras

from .datasets import Dataset
from .presets import Preset

UNUSED = {"main": ("threshold", "margin", "weights"), "sampling": ("weights",)}


@dataclass(frozen=True)
class Run:
    """A finished training.

    Attributes:
        path: its folder.
        config: how it was made: preset, versions, data hash, git hash.
        history: a value for each epoch under "loss", "dice", "val_loss" and "val_dice".
    """

    path: Path
    config: dict
    history: dict[str, list[float]]

    @property
    def model(self) -> keras.Model:
        """The trained model, loaded from the run folder."""
        return keras.saving.load_model(self.path / "model.keras", compile=False)


def run_path(data: Dataset, preset: Preset, name: str, runs_dir: str | Path | None = None) -> Path:
    """Return the run folder: runs_dir / data set / preset / name.

    Settings that a run does not depend on are left out of the preset's label, so that the main
    model is trained once for all margins, say.
    """
    runs_dir = runs_dir or os.environ.get("ENSEMBLE_SEG_RUNS_DIR") or "runs"
    unused = {field: getattr(preset.base, field) for field in UNUSED.get(name, ())}
    return Path(runs_dir) / data.name / preset.replace(**unused).label / name


def is_finished(path: str | Path) -> bool:
    """Say whether a run folder holds a finished run."""
    return (Path(path) / "model.keras").is_file()


def load_run(path: str | Path) -> Run:
    """Return the finished run of a folder.

    Raises:
        FileNotFoundError: no finished run there.
    """
    path = Path(path)
    if not is_finished(path):
        raise FileNotFoundError(f"{path}: no finished run (model.keras). Train it first.")
    return Run(path, json.loads((path / "config.json").read_text()), read_history(path))


def write_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file of another name beside `path`, and rename it when it is whole.

    Raises:
        OSError: the folder cannot be written to, or the disk is full.
    """
    partial = path.with_name(f"partial-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(partial)
        partial.replace(path)
    except OSError as error:
        if error.errno == errno.ENOSPC or "errno = 28" in str(error):
            raise OSError(
                f"{path}: the disk is full. Free some space and run the same command again: it "
                "goes on from the last file that is whole."
            ) from error
        raise OSError(
            f"{path}: cannot be written ({error.strerror or error}). Change the permissions, or "
            "name another folder."
        ) from error


def save_model(model: keras.Model, path: Path) -> None:
    """Save a model without optimiser and loss, so that it loads without custom objects."""
    bare = keras.Model(model.input, model.output, name=model.name)
    write_file(path, bare.save)


def read_history(path: Path) -> dict[str, list[float]]:
    """Return the columns of a run's history.csv but for the epoch."""
    with open(path / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    keys = [key for key in rows[0] if key != "epoch"]
    return {key: [float(row[key]) for row in rows] for key in keys}


def refuse_another_run(path: Path, config: dict) -> None:
    """Raise ValueError where a run folder was begun with other data or other settings."""
    found = json.loads((path / "config.json").read_text())
    remedy = "Remove the folder, or set ENSEMBLE_SEG_RUNS_DIR."
    if found["data_hash"] != config["data_hash"]:
        raise ValueError(
            f"{path}: holds a run on other data (hash {found['data_hash'][:12]}, this data "
            f"{config['data_hash'][:12]}). {remedy}"
        )
    before = asdict(Preset(**found["preset"]))  # a setting that is newer than the run: its default
    for field, value in config["preset"].items():
        if field not in UNUSED.get(config["name"], ()) and before[field] != value:
            raise ValueError(
                f"{path}: holds a run with other settings ({field}={before[field]}, now {value}). "
                f"{remedy}"
            )


def run_config(data: Dataset, preset: Preset, name: str, model: keras.Model | None = None) -> dict:
    """Return what config.json says of a run: settings, versions, data hash, git hash."""
    packages = ("tensorflow", "keras", "segmentation-models", "numpy", "scikit-image")
    return {
        "name": name,
        "data": data.name,
        "data_hash": data.hash,
        "pairs": {"train": len(data.train), "validation": len(data.validation)},
        "preset": asdict(preset),
        "label": preset.label,
        "precision": model.layers[-2].dtype_policy.name if model else None,
        "python": platform.python_version(),
        "versions": {package: _version(package) for package in packages},
        "git": _git_hash(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git_hash() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
