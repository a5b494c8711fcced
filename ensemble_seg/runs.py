"""The run folder: what a training leaves behind, and how it is found again."""

import csv
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path

import keras

from .common.files import file_hash, remove_partial, whole
from .datasets import Dataset
from .hardware.devices import copy_weights
from .presets import Preset

MONITOR = "val_dice"
WITHOUT_EFFECT = {"main": ("threshold", "margin", "shift", "weights"), "sampling": ("weights",)}
REMOVED = {"optimizer": "adam"}  # settings of earlier versions, with the value that is left
KEPT = "What was trained so far is kept, and the same command goes on from there."


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
        return keras.saving.load_model(self.path / "model.keras", compile=False)


@dataclass(frozen=True)
class RunFolder:
    """The folder of one training, from its first epoch to its last.

    config.json says how it is trained, history.csv holds a row for each epoch, backup/ what is
    needed to go on, and model.keras the result. Each file is there whole or not at all.

    Example:
        >>> folder = RunFolder(Path("runs/phantoms/quick/main"))
        >>> folder.name, folder.is_finished
        ('main', False)
    """

    path: Path

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.name

    @property
    def is_finished(self) -> bool:
        """Whether the trained model is there."""
        return (self.path / "model.keras").is_file()

    def begin(self, config: dict) -> None:
        """Write config.json, or check the one of an interrupted training; see `refuse_another`."""
        if (self.path / "config.json").is_file():
            self.refuse_another(config)
            remove_partial(self.path)
            remove_partial(self.path / "backup")
            return
        with whole(self.path / "config.json") as file:
            file.write_text(json.dumps(config, indent=2))

    def refuse_another(self, config: dict) -> None:
        """Raise ValueError where the folder was begun with other data or other settings."""
        found = json.loads((self.path / "config.json").read_text())
        if found["data_hash"] != config["data_hash"]:
            raise self._holds(
                f"on other data (hash {found['data_hash'][:12]}, this data "
                f"{config['data_hash'][:12]})"
            )
        for field, left in REMOVED.items():
            if found["preset"].get(field, left) != left:
                chosen = found["preset"][field]
                raise self._holds(f"with {field}={chosen}, which this version no longer has")
        before = settings_of(found)
        for field, value in settings_of(config).items():
            if field not in WITHOUT_EFFECT.get(config["name"], ()) and before[field] != value:
                raise self._holds(f"with other settings ({field}={before[field]}, now {value})")

    def resume(self, model: keras.Model) -> tuple[int, dict[str, list[float]]]:
        """Give a compiled model the state of the last epoch.

        Returns:
            How many epochs are done, and their history.
        """
        states = self._states()
        if not states:
            return 0, {}
        done = int(states[-1].name.split(".")[0].removeprefix("epoch-"))
        model.load_weights(states[-1])
        print(f"{self.name}: goes on after epoch {done}")
        return done, {key: values[:done] for key, values in self.history().items()}

    def keep(self, model: keras.Model, history: dict[str, list[float]]) -> None:
        """Keep the history and all that is needed to go on after its last epoch.

        The state is one file whose name carries the epoch: weights and epoch cannot disagree,
        however the training is killed.
        """
        with whole(self.path / "history.csv", KEPT) as file:
            _write_history(file, history)
        old = self._states()
        name = f"epoch-{len(history[MONITOR]):04d}.weights.h5"
        with whole(self.path / "backup" / name, KEPT) as file:
            model.save_weights(file, overwrite=True)
        for state in old:
            state.unlink()

    def keep_best(self, model: keras.Model) -> None:
        """Keep the model with the best validation score so far."""
        save_model(model, self.path / "backup" / "best.keras")

    def finish(self, model: keras.Model | None = None) -> None:
        """Write the trained model, the best one where None is given, and remove the backup."""
        if model is None:
            (self.path / "backup" / "best.keras").replace(self.path / "model.keras")
        else:
            save_model(model, self.path / "model.keras")
        shutil.rmtree(self.path / "backup")

    def load(self) -> Run:
        """Return the finished run.

        Raises:
            FileNotFoundError: no finished run there.
        """
        if not self.is_finished:
            raise FileNotFoundError(f"{self.path}: no finished run (model.keras). Train it first.")
        config = json.loads((self.path / "config.json").read_text())
        return Run(self.path, config, self.history())

    def history(self) -> dict[str, list[float]]:
        """Return the columns of history.csv but for the epoch."""
        with open(self.path / "history.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        keys = [key for key in rows[0] if key != "epoch"]
        return {key: [float(row[key]) for row in rows] for key in keys}

    def _states(self) -> list[Path]:
        return sorted((self.path / "backup").glob("epoch-*.weights.h5"))

    def _holds(self, what: str) -> ValueError:
        remedy = "Remove the folder, or set ENSEMBLE_SEG_RUNS_DIR."
        return ValueError(f"{self.path}: holds a run {what}. {remedy}")


class KeepState(keras.callbacks.Callback):
    """After each epoch: keep the best model, the history, and all that is needed to go on.

    What is kept as the best model is `saved` with the weights of the model that is trained, often
    itself.
    """

    def __init__(self, folder: RunFolder, history: dict[str, list[float]], saved: keras.Model):
        super().__init__()
        self.folder, self.history, self.saved = folder, history, saved

    def on_epoch_end(self, epoch, logs=None):
        best = max(self.history.get(MONITOR, []), default=-1.0)
        if logs[MONITOR] > best:
            copy_weights(self.model, self.saved)
            self.folder.keep_best(self.saved)
        for key, value in logs.items():
            self.history.setdefault(key, []).append(float(value))
        self.folder.keep(self.model, self.history)


def run_path(data: Dataset, preset: Preset, name: str, runs_dir: str | Path | None = None) -> Path:
    """Return the run folder: runs_dir / data set / preset / name.

    Settings that a run does not depend on are left out of the preset's label, so that the main
    model is trained once for all margins, say.
    """
    runs_dir = runs_dir or os.environ.get("ENSEMBLE_SEG_RUNS_DIR") or "runs"
    without = {field: getattr(preset.base, field) for field in WITHOUT_EFFECT.get(name, ())}
    return Path(runs_dir).expanduser() / data.name / preset.replace(**without).label / name


def load_run(path: str | Path) -> Run:
    """Return the finished run of a folder.

    Raises:
        FileNotFoundError: no finished run there.
    """
    return RunFolder(Path(path)).load()


def save_model(model: keras.Model, path: str | Path) -> None:
    """Save a model without optimiser and loss, so that it loads without custom objects."""
    bare = keras.Model(model.input, model.output, name=model.name)
    with whole(path, KEPT) as file:
        bare.save(file)


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
        "git": _git_hash(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def settings_of(config: dict) -> dict:
    """Return the settings a run was made with; one that is newer than the run has its default.

    A file of encoder weights, which may be gone by now, is replaced by its hash.
    """
    known = {field.name for field in fields(Preset)}
    given = {key: value for key, value in config["preset"].items() if key in known}
    encoder = config.get("encoder_weights_sha256") or given.get(
        "encoder_weights", Preset.encoder_weights
    )
    return {**asdict(Preset(**{**given, "encoder_weights": None})), "encoder_weights": encoder}


def _write_history(file: Path, history: dict[str, list[float]]) -> None:
    rows = zip(*history.values(), strict=True)
    lines = [["epoch", *history], *([number, *row] for number, row in enumerate(rows, start=1))]
    with open(file, "w", newline="") as stream:
        csv.writer(stream).writerows(lines)


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
