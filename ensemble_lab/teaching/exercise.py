"""What an exercise is made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        hint: the message where no misconception fits.
        truth: from a case, and what the notebook hands over, to the true value.
        wrong: for each message the value that the misconception gives, made as `truth` is.
        cases: arguments that an answer which is a function is tried on.
        tolerance: relative, between the true value and an answer.
        seal: instead of `truth`, the salted hash of a number that must not be seen.
        look: a further look at an answer that is a function; a message or None.
    """

    hint: str
    truth: Callable[..., Any] | None = None
    wrong: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    cases: tuple = ((),)
    tolerance: float = 2e-3
    seal: str | None = None
    look: Callable[[Callable], str | None] | None = None
