"""history.csv: a row for each epoch."""

import csv
from pathlib import Path

KEYS = ("dice", "loss", "val_dice", "val_loss")

History = dict[str, list[float]]


def write_history(file: Path, history: History) -> None:
    """Write a history as CSV, the epochs counted from 1."""
    rows = zip(*history.values(), strict=True)
    lines = [["epoch", *history], *([number, *row] for number, row in enumerate(rows, start=1))]
    with open(file, "w", newline="") as stream:
        csv.writer(stream).writerows(lines)


def read_history(path: Path) -> History:
    """Return the columns of history.csv but for the epoch, as far as the file is sound.

    Epochs from the first row on that is cut off or holds no number are left out. Of a file that is
    missing or of another kind nothing is left.

    Example:
        >>> read_history(Path("nowhere.csv"))
        {'dice': [], 'loss': [], 'val_dice': [], 'val_loss': []}
    """
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            lines = stream.read().splitlines(keepends=True)
    except (OSError, ValueError):
        lines = []
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
    names, *rows = csv.reader(lines) if lines else [[]]
    if set(names) != {"epoch", *KEYS}:
        return {key: [] for key in KEYS}
    history: History = {name: [] for name in names if name != "epoch"}
    for number, row in enumerate(rows, start=1):
        values = _numbers(row)
        if len(values) != len(names) or values[names.index("epoch")] != number:
            break
        for name, value in zip(names, values, strict=True):
            if name != "epoch":
                history[name].append(value)
    return history


def epochs_of(history: History) -> int:
    """Return how many epochs a history holds."""
    return min(map(len, history.values()), default=0)


def first_epochs(history: History, number: int) -> History:
    """Return a history of the first epochs."""
    return {key: values[:number] for key, values in history.items()}


def _numbers(row: list[str]) -> list[float]:
    try:
        return [float(value) for value in row]
    except ValueError:
        return []
