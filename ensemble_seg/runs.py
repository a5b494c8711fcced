"""The run folder: what a training leaves behind, and how it is found again."""

import os
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import keras

from .common.files import file_hash, remove_partial, require_disk, whole
from .common.locks import held, refuse_if_held
from .datasets import Dataset
from .hardware.devices import copy_weights
from .keeping.configs import WITHOUT_EFFECT, read_config, refuse_another, write_config
from .keeping.histories import History, epochs_of, read_history, write_history
from .keeping.loading import KEPT, load_model, save_model
from .keeping.states import State, read_state, state_name, write_state
from .presets import Preset

MONITOR = "val_dice"


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
    history: History

    @cached_property
    def model(self) -> keras.Model:
        """The trained model, read from the run folder once."""
        return load_model(self.path / "model.keras", self.config.get("model_sha256"))


@dataclass(frozen=True)
class RunFolder:
    """The folder of one training, from its first epoch to its last.

    config.json says how it is trained, history.csv holds a row for each epoch, backup/ what is
    needed to go on, and model.keras the result. Each file is there whole or not at all.

    Example:
        >>> folder = RunFolder(Path("nowhere/main"))
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

    @property
    def is_begun(self) -> bool:
        """Whether there is anything of a run."""
        return self.is_finished or bool(self._states()) or (self.path / "config.json").exists()

    def held(self):
        """Hold the folder while a block runs; see `common.locks.held`."""
        return held(self.path)

    def refuse_if_held(self) -> None:
        """Raise RuntimeError where another process trains in the folder."""
        refuse_if_held(self.path)

    def refuse_another(self, config: dict) -> None:
        """Raise ValueError where the folder was begun with other data or other settings."""
        refuse_another(self.path, config)

    def begin(self, config: dict, size: int) -> None:
        """Write config.json, or check the one of an interrupted training; see `refuse_another`.

        Args:
            config: from `run_config`.
            size: of the model's weights, bytes: there must be disk for two states and two models.
        """
        if self.is_begun:
            self.refuse_another(config)
            remove_partial(self.path)
            remove_partial(self.path / "backup")
        there = sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())
        require_disk(self.path, max(8 * size - there, 4 * size), "the state of a training")
        if not self.is_begun:
            write_config(self.path, config)

    def kept(self) -> str:
        """Return a sentence on what is kept of a training that was stopped."""
        if self.is_finished:
            return f"The trained model is in {self.path}."
        states = self._states()
        if not states:
            return "No epoch had ended, so nothing of it is kept."
        done = int(states[-1].name.removeprefix("epoch-").split(".")[0])
        return f"The state after epoch {done} is kept in {self.path}."

    def resume(self, model: keras.Model, preset: Preset) -> tuple[int, History]:
        """Give a compiled model the newest state that is sound, and say which.

        Returns:
            How many epochs are done, and their history.
        """
        state = self._newest_state(preset)
        if state is None:
            shutil.rmtree(self.path / "backup", ignore_errors=True)
            return 0, {}
        model.load_weights(state.path)
        print(f"{self.name}: goes on after epoch {state.done}")
        return state.done, state.history

    def keep(self, model: keras.Model, history: History) -> None:
        """Keep the history and all that is needed to go on after its last epoch.

        The state is one file with weights, epoch and history: they cannot disagree, however the
        training is killed. The state before it stays as well, for the case that one is damaged.
        """
        with whole(self.path / "history.csv", KEPT) as file:
            write_history(file, history)
        done = epochs_of(history)
        name = state_name(done)
        for state in self._states():
            if state.name != state_name(done - 1):
                state.unlink()  # the older one first: there is no room for three asked for
        with whole(self.path / "backup" / name, KEPT) as file:
            write_state(model, file, history)

    def keep_best(self, model: keras.Model) -> None:
        """Keep the model with the best validation score so far."""
        save_model(model, self.path / "backup" / "best.keras")

    def finish(self, model: keras.Model | None = None) -> None:
        """Write the trained model, the best one where None is given, and remove the backup."""
        ready = self.path / "backup" / "best.keras"
        if model is not None:
            ready = self.path / "backup" / "last.keras"
            save_model(model, ready)
        config = {**read_config(self.path), "model_sha256": file_hash(ready)}
        write_config(self.path, config)
        ready.replace(self.path / "model.keras")
        self._clean_up()

    def _clean_up(self) -> None:
        """Remove what a finished run needs no more."""
        shutil.rmtree(self.path / "backup", ignore_errors=True)
        remove_partial(self.path)

    def load(self) -> Run:
        """Return the finished run, and remove what a kill while finishing left.

        Raises:
            FileNotFoundError: no finished run there.
            ValueError: config.json is missing or damaged.
        """
        if not self.is_finished:
            raise FileNotFoundError(f"{self.path}: no finished run (model.keras). Train it first.")
        config = read_config(self.path)
        self._clean_up()
        return Run(self.path, config, self._sound_history(config))

    def _sound_history(self, config: dict) -> History:
        history = read_history(self.path / "history.csv")
        found, expected = epochs_of(history), config["preset"].get("epochs", 0)
        if found != expected:
            print(
                f"{self.path / 'history.csv'}: damaged; {found} of {expected} epochs can be read, "
                "the scores of the others are lost. The trained model is not touched by it."
            )
        return history

    def _newest_state(self, preset: Preset) -> State | None:
        history = read_history(self.path / "history.csv")
        for path in reversed(self._states()):
            try:
                state = read_state(path, preset.epochs, history)
                if preset.keep == "best":
                    self._require_best()
                return state
            except ValueError as error:
                print(f"{path}: not used: {error}. An earlier state is taken, or the beginning.")
        return None

    def _require_best(self) -> None:
        try:
            load_model(self.path / "backup" / "best.keras")
        except (ValueError, OSError) as error:
            raise ValueError(f"best.keras, which belongs to it, cannot be used ({error})") from None

    def _states(self) -> list[Path]:
        return sorted((self.path / "backup").glob("epoch-*.weights.h5"))


class KeepState(keras.callbacks.Callback):
    """After each epoch: keep the best model, the history, and all that is needed to go on.

    What is kept as the best model is `saved` with the weights of the model that is trained, often
    itself.
    """

    def __init__(self, folder: RunFolder, history: History, saved: keras.Model | None):
        super().__init__()
        self.folder, self.history, self.saved = folder, history, saved

    def on_epoch_end(self, epoch, logs=None):
        best = max(self.history.get(MONITOR, []), default=-1.0)
        if self.saved is not None and logs[MONITOR] > best:
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
        ValueError: config.json is missing or damaged.
    """
    return RunFolder(Path(path)).load()
