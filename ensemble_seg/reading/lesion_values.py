"""Which values of a mask file are lesion, where the file has more than two."""

import os
import re
from collections.abc import Iterable

from ..common.errors import invalid

LesionValues = tuple[int, ...]
SETTING = "ENSEMBLE_SEG_LESION_VALUES"
HIGHEST = 65535


def chosen_lesion_values(values: int | str | Iterable | None = None) -> LesionValues | None:
    """Return the values that mean lesion, sorted; None where nobody chose any.

    Args:
        values: whole numbers 0..65535 as they stand in the mask files, of an indexed file its
            indices; or text such as "1 2" or "128-255". Where it is None,
            ENSEMBLE_SEG_LESION_VALUES is read.

    Raises:
        ValueError: anything else.

    Example:
        >>> chosen_lesion_values((2, 1)), chosen_lesion_values("4 128-130")
        ((1, 2), (4, 128, 129, 130))
    """
    if values is None:
        values = os.environ.get(SETTING) or None
    if values is None:
        return None
    words = values.replace(",", " ").split() if isinstance(values, str) else values
    numbers: set[int] = set()
    for word in words if isinstance(words, Iterable) else [words]:
        ends = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", str(word).strip())
        low, high = (int(ends[1]), int(ends[2] or ends[1])) if ends else (1, 0)
        if not low <= high <= HIGHEST:
            raise _refused(values)
        numbers.update(range(low, high + 1))
    if not numbers:
        raise _refused(values)
    return tuple(sorted(numbers))


def _refused(values: object) -> ValueError:
    expected = f'whole numbers 0..{HIGHEST} that are lesion, such as (1, 2), "1 2" or "128-255"'
    return invalid("lesion_values", expected, values)
