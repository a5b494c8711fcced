"""One way to say what is wrong with an argument."""

import difflib
from collections.abc import Iterable, Sequence

import numpy as np


def invalid(
    argument: str, expected: str, value: object = None, hint: str = "", found: str | None = None
) -> ValueError:
    """Return the error for an argument that cannot be used; the caller raises it.

    Args:
        argument: its name.
        expected: what it should have been, without a full stop.
        value: what it was. Where that is long or says nothing, `found` describes it.
        hint: what to do, a sentence.
        found: a description that takes the place of the value.

    Example:
        >>> raise invalid("margin", "non-negative pixels", -3)
        Traceback (most recent call last):
        ValueError: Invalid value for argument `margin`. Expected non-negative pixels. Received: ...
    """
    received = f"{argument}={value!r}" if found is None else found
    text = f"Invalid value for argument `{argument}`. Expected {expected}. Received: {received}."
    return ValueError(f"{text} {hint}".rstrip())


def suggest(word: str, known: Iterable[str]) -> str:
    """Return " Did you mean ...?" with the known word that is nearest, "" where none is near.

    Example:
        >>> suggest("kvasir", ["kvasir-seg", "lgg-mri"])
        " Did you mean 'kvasir-seg'?"
    """
    nearest = difflib.get_close_matches(word, list(known), n=1, cutoff=0.4)
    return f" Did you mean '{nearest[0]}'?" if nearest else ""


def checked_weights(weights: Sequence[float], argument: str = "weights") -> tuple[float, ...]:
    """Return weights as a tuple of floats.

    Raises:
        ValueError: none, negative ones, not finite ones, or nothing but zeros.

    Example:
        >>> checked_weights([1.01, 1])
        (1.01, 1.0)
    """
    try:
        values = np.asarray(weights, dtype="float64")
        fits = values.ndim == 1 and values.size > 0 and bool(np.isfinite(values).all())
        fits = fits and bool((values >= 0).all()) and values.sum() > 0
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise invalid(argument, "numbers of at least 0, not all 0", weights)
    return tuple(values.tolist())


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, TensorFlow or JAX says that memory does not suffice.

    Example:
        >>> is_out_of_memory(MemoryError()), is_out_of_memory(ValueError("no"))
        (True, False)
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"MemoryError", "ResourceExhaustedError"}) or any(
        mark in str(error) for mark in ("RESOURCE_EXHAUSTED", "std::bad_alloc")
    )
