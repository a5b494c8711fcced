"""Checks an answer on the spot: right, not yet and why, or not filled in."""

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ensemble_seg.presets import suggest

from . import ensemble_exercises, main_exercises, sampling_exercises
from .exercise import Exercise

EXERCISES = {
    **main_exercises.EXERCISES,
    **sampling_exercises.EXERCISES,
    **ensemble_exercises.EXERCISES,
}


class Verdict(NamedTuple):
    """What a check found: `right` is None where nothing is filled in yet."""

    right: bool | None
    text: str


def check(name: str, answer: Any, **given) -> None:
    """Print what `judge` says."""
    print(judge(name, answer, **given).text)


def judge(name: str, answer: Any, **given) -> Verdict:
    """Compare an answer with the true value, and with what typical misconceptions would give.

    Args:
        name: of the exercise, a key of `EXERCISES`.
        answer: a value, several, or a function, which is tried on a few cases. `...` and None
            count as not filled in.
        given: what the true value depends on, from the notebook.

    Raises:
        ValueError: no such exercise.

    Example:
        >>> judge("ratio", lambda mask: (mask == 0).sum() / mask.sum()).text
        'ratio: right.'
        >>> print(judge("ratio", lambda mask: mask.sum() / (mask == 0).sum()).text)
        ratio: not yet. True value 9, your value 0.1111.
        Upside down: this is lesion / background. The ratio has to grow as the lesion shrinks.
        >>> judge("ratio", ...).right is None
        True
    """
    if name not in EXERCISES:
        raise ValueError(f"Unknown exercise '{name}'.{suggest(name, EXERCISES)}")
    exercise = EXERCISES[name]
    try:
        yours = [answer(*case) if callable(answer) else answer for case in exercise.cases]
        message = exercise.look(answer) if exercise.look and not _missing(yours) else None
    except Exception as error:
        text = f"{name}: not yet. Your code stops with {type(error).__name__}: {error}"
        return Verdict(False, text)
    if _missing(yours):
        return Verdict(None, f"{name}: not filled in yet. Replace the dots and run the cell again.")
    if message:
        return Verdict(False, f"{name}: not yet.\n{message}")
    if exercise.seal:
        return _sealed(name, exercise, yours[0])
    return _open(name, exercise, yours, given)


def seal(name: str, value: float) -> str:
    """Return a hash of a number to two decimals, salted with the exercise it answers.

    Example:
        >>> seal("any", 0.5) == seal("any", 0.501) != seal("other", 0.5)
        True
    """
    return hashlib.sha256(f"{name}: {float(value) + 0.0:.2f}".encode()).hexdigest()[:16]


def _open(name: str, exercise: Exercise, yours: list, given: dict) -> Verdict:
    def pairs(rule: Callable) -> list[tuple]:
        values = [rule(*case, **given) for case in exercise.cases]
        return list(zip(values, yours, strict=True))

    def fits(rule: Callable) -> bool:
        return all(_same(*pair, exercise.tolerance) for pair in pairs(rule))

    if fits(exercise.truth):
        return Verdict(True, f"{name}: right.")
    true, mine = next(p for p in pairs(exercise.truth) if not _same(*p, exercise.tolerance))
    message = next((text for text, rule in exercise.wrong.items() if fits(rule)), exercise.hint)
    found = f"True value {_shown(true)}, your value {_shown(mine)}."
    return Verdict(False, f"{name}: not yet. {found}\n{message}")


def _sealed(name: str, exercise: Exercise, yours: Any) -> Verdict:
    """Judge a number without showing the true one."""
    try:
        if seal(name, yours) == exercise.seal:
            return Verdict(True, f"{name}: right.")
    except (TypeError, ValueError):
        return Verdict(False, f"{name}: not yet. Expected one number, received {yours!r}.")
    fitting = (text for text, rule in exercise.wrong.items() if _same(rule(), yours, 0.006))
    return Verdict(False, f"{name}: not yet.\n{next(fitting, exercise.hint)}")


def _missing(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_missing, value))
    return value is None or value is ...


def _same(true: Any, mine: Any, tolerance: float) -> bool:
    if isinstance(true, str) or isinstance(mine, str):
        return isinstance(true, str) and isinstance(mine, str) and true == mine
    try:
        true, mine = np.ravel(np.asarray(true, float)), np.ravel(np.asarray(mine, float))
    except (TypeError, ValueError):
        return False
    return true.shape == mine.shape and np.allclose(mine, true, rtol=tolerance, atol=1e-6)


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return repr(value)
    try:
        numbers = [f"{number:.4g}" for number in np.ravel(np.asarray(value, float))[:6]]
    except (TypeError, ValueError):
        return repr(value)[:60]
    return f"({', '.join(numbers)})" if np.ndim(value) else numbers[0]
