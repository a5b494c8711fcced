"""The run folder: what a training leaves behind, and how it is found again.

config.json says how a model is trained, history.csv has a row for each epoch, epoch-NNNN.weights.h5
(with best.keras, until the end) is what is needed to go on, model.keras the result. Each is there
whole or not at all. .lock keeps other processes out.
"""

import contextlib
import csv
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import filelock
import keras

from .data import Dataset
from .network import precision_policy
from .presets import Preset

WITHOUT_EFFECT = {"main": ("threshold", "margin", "weights"), "sampling": ("weights",)}
PACKAGES = ("tensorflow", "keras", "segmentation-models", "numpy", "scikit-image")


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

    @cached_property
    def model(self) -> keras.Model:
        """The trained model, read from the run folder once."""
        return load_model(self.path / "model.keras")


def run_path(data: Dataset, preset: Preset, name: str, runs_dir: str | Path | None = None) -> Path:
    """Return the run folder: runs_dir / data set / preset / name.

    Settings that a run does not depend on are left out of the preset's label, so that the main
    model is trained once for all margins, say.
    """
    runs_dir = runs_dir or os.environ.get("ENSEMBLE_SEG_RUNS_DIR") or "runs"
    without = {field: getattr(preset.base, field) for field in WITHOUT_EFFECT.get(name, ())}
    return Path(runs_dir).expanduser() / data.name / preset.replace(**without).label / name


def load_run(path: str | Path) -> Run:
    """Return the finished run of a folder; FileNotFoundError where there is none."""
    path = Path(path).expanduser()
    if not (path / "model.keras").is_file():
        raise FileNotFoundError(f"{path}: no finished run (model.keras). Train it first.")
    config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    return Run(path, config, read_history(path / "history.csv"))


def save_model(model: keras.Model, path: str | Path) -> None:
    """Save a model without optimiser and loss, so that it loads without custom objects."""
    with replaced(path) as partial:
        keras.Model(model.input, model.output, name=model.name).save(partial)


def load_model(path: str | Path) -> keras.Model:
    """Load an uncompiled model, a U-Net or an ensemble, in Keras' safe mode."""
    return keras.saving.load_model(Path(path).expanduser(), compile=False)


@contextlib.contextmanager
def replaced(path: str | Path) -> Iterator[Path]:
    """Give a name beside `path`; what is written there becomes `path` when the block has ended.

    So a kill at any moment leaves the old file or the new one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"partial-{path.name}")
    yield partial
    partial.replace(path)


def states(folder: Path) -> list[Path]:
    """Return what an unfinished training can go on from, the newest last."""
    return sorted(folder.glob("epoch-*.weights.h5"))


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep other processes out of a run folder."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(folder / ".lock", timeout=0):
            yield
    except filelock.Timeout:
        raise RuntimeError(
            f"{folder}: another process trains in it. Wait for it, or set ENSEMBLE_SEG_RUNS_DIR."
        ) from None


def run_config(data: Dataset, preset: Preset, name: str) -> dict:
    """Return what config.json says of a run: settings, versions, data hash, git hash."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    git = None
    if shutil.which("git") and (Path(__file__).parents[1] / ".git").exists():
        git = subprocess.run(command, capture_output=True, text=True).stdout.strip() or None
    return {
        "name": name,
        "data": data.name,
        "data_hash": data.hash,
        "pairs": {"train": len(data.train), "validation": len(data.validation)},
        "preset": asdict(preset),
        "label": preset.label,
        "precision": precision_policy(preset.precision),
        "python": platform.python_version(),
        "versions": {package: importlib.metadata.version(package) for package in PACKAGES},
        "git": git,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def refuse_another(folder: Path, config: dict) -> None:
    """Raise ValueError where a folder was begun with other data or other settings."""
    path = folder / "config.json"
    if not path.is_file():
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    what = [] if found["data_hash"] == config["data_hash"] else ["other data"]
    wanted = json.loads(json.dumps(config["preset"]))  # tuples to lists
    what += [
        f"{field}={found['preset'].get(field)} (now {value})"
        for field, value in wanted.items()
        if field not in WITHOUT_EFFECT.get(config["name"], ())
        and found["preset"].get(field) != value
    ]
    if what:
        raise ValueError(
            f"{folder}: holds a run with {', '.join(what)}. Remove the folder, or set "
            "ENSEMBLE_SEG_RUNS_DIR."
        )


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with replaced(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="")


def write_history(path: Path, history: dict[str, list[float]]) -> None:
    """Write a row for each epoch, counted from 1."""
    rows = zip(*history.values(), strict=True)
    lines = [["epoch", *history], *([number, *row] for number, row in enumerate(rows, start=1))]
    write_text(path, "".join(",".join(map(str, line)) + "\n" for line in lines))


def read_history(path: Path) -> dict[str, list[float]]:
    """Return the columns of history.csv but for the epoch."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {key: [float(row[key]) for row in rows] for key in rows[0] if key != "epoch"}
