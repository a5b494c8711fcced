"""What happens after each epoch of a training: its state is kept, and its progress shown."""

import csv
import sys
from pathlib import Path

import keras
from tqdm import tqdm

from .distributing import copy_weights
from .runs import save_model, write_file

MONITOR = "val_dice"


class KeepState(keras.callbacks.Callback):
    """After each epoch: keep the best model, the history, and all that is needed to go on.

    What is kept is `saved` with the weights of the model that is trained, often itself.
    The state is one file whose name carries the epoch, renamed when it is whole: weights and
    epoch cannot disagree, however the training is killed.
    """

    def __init__(self, path: Path, history: dict[str, list[float]], saved: keras.Model):
        super().__init__()
        self.path, self.values, self.saved = path, history, saved

    def on_epoch_end(self, epoch, logs=None):
        best = max(self.values.get(MONITOR, []), default=-1.0)
        if logs[MONITOR] > best:
            copy_weights(self.model, self.saved)
            save_model(self.saved, self.path / "backup" / "best.keras")
        for key, value in logs.items():
            self.values.setdefault(key, []).append(float(value))
        write_file(self.path / "history.csv", self._write_history)
        old = saved_states(self.path)
        state = self.path / "backup" / f"epoch-{epoch + 1:04d}.weights.h5"
        write_file(state, lambda file: self.model.save_weights(file, overwrite=True))
        for file in old:
            file.unlink()

    def _write_history(self, file: Path) -> None:
        keys = list(self.values)
        rows = zip(*(self.values[key] for key in keys), strict=True)
        lines = [["epoch", *keys], *([n + 1, *row] for n, row in enumerate(rows))]
        with open(file, "w", newline="") as stream:
            csv.writer(stream).writerows(lines)


class ProgressBar(keras.callbacks.Callback):
    """One bar for the whole training, with loss and validation Dice of the last epoch."""

    def __init__(self, name: str, done: int, epochs: int):
        super().__init__()
        self.bar = tqdm(
            desc=name, total=epochs, initial=done, unit="epoch", file=sys.stdout, leave=True
        )

    def on_epoch_end(self, epoch, logs=None):
        shown = {key: f"{logs[key]:.3f}" for key in ("loss", MONITOR)}
        self.bar.set_postfix(shown, refresh=False)
        self.bar.update(1)

    def on_train_end(self, logs=None):
        self.bar.close()


def saved_states(path: Path) -> list[Path]:
    """Return the states that `KeepState` left in a run folder, the latest last."""
    return sorted((path / "backup").glob("epoch-*.weights.h5"))
