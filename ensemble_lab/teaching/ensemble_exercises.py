"""The exercises of notebook 3, ensemble: what is right, and what misconceptions give."""

from collections.abc import Callable

import numpy as np

from .exercise import Exercise

EXERCISES: dict[str, Exercise] = {}
EXERCISES["vote"] = Exercise(
    "Each probability times its weight, both added, divided by the sum of the weights.",
    lambda p, q, a, b: (a * p + b * q) / (a + b),
    {
        "Divide by the sum of the weights: without it this is no probability, it may exceed 1.": (
            lambda p, q, a, b: a * p + b * q
        ),
        "The weights went to the other model each.": lambda p, q, a, b: (b * p + a * q) / (a + b),
        "This is the plain average: the weights are not used.": lambda p, q, a, b: (p + q) / 2,
        "Dividing by 2 is right only if the weights add up to 2.": (
            lambda p, q, a, b: (a * p + b * q) / 2
        ),
    },
    cases=((0.8, 0.4, 3.0, 1.0), (0.2, 0.9, 1.01, 1.0)),
)
GRID = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
DICE = np.array([0.70, 0.72, 0.81, 0.84, 0.79])
TEST = np.array([0.74, 0.88, 0.80, 0.77, 0.75])


def _peeks(choose: Callable) -> str | None:
    """Change the test scores: whoever chooses without them chooses the same."""
    first, *others = (choose(GRID, DICE, test) for test in (TEST, TEST[::-1], -100 * TEST))
    if all(other == first for other in others):
        return None
    return (
        "We changed the test scores, and your choice changed with them: it looked at the test "
        "images. Their score is then no longer honest, for among many tries one is lucky."
    )


EXERCISES["choose"] = Exercise(
    "np.argmax says where the largest value stands.",
    lambda grid, dice, _: grid[np.argmax(dice)],
    {
        "This is the place in the list, not the weight that stands there.": (
            lambda grid, dice, _: np.argmax(dice)
        ),
        "This is the best Dice, not the weight that reached it.": lambda grid, dice, _: np.max(
            dice
        ),
        "This is the worst weight: Dice is to be large.": lambda grid, dice, _: grid[dice.argmin()],
    },
    cases=((GRID, DICE, TEST), (GRID, DICE[::-1], TEST)),
    look=_peeks,
)
EXERCISES["best-of-many"] = Exercise(
    "For each trial (a row) the best model, then the mean over the trials, less the true 0.8.",
    lambda dice: dice.max(axis=1).mean() - 0.8,
    {
        "You took the best of all trials. Take the best of each trial, then their mean.": (
            lambda dice: dice.max() - 0.8
        ),
        "This is the mean of all models: an honest choice gets that, a hunt for the best does "
        "not.": lambda dice: dice.mean() - 0.8,
        "You took the best trial of each model. A row is a trial: axis=1.": (
            lambda dice: dice.max(axis=0).mean() - 0.8
        ),
        "This is how good the best one looks. By how much is that too good?": (
            lambda dice: dice.max(axis=1).mean()
        ),
    },
    cases=((np.array([[0.79, 0.82, 0.80], [0.81, 0.78, 0.84]]),),),
)


def _share(part, whole) -> float:
    return part.sum() / max(whole.sum(), 1)


EXERCISES["caught"] = Exercise(
    "Above the line: pixels both wrong and doubtful. Below it: all that are wrong.",
    lambda wrong, doubtful: _share(wrong & doubtful, wrong),
    {
        "This is how often a warning is justified: its precision. Asked is its recall, the share "
        "of the errors that it catches.": lambda wrong, doubtful: _share(
            wrong & doubtful, doubtful
        ),
        "You divided by all pixels. Divide by the errors.": (
            lambda wrong, doubtful: (wrong & doubtful).mean()
        ),
        "This is how often there is a warning at all.": lambda wrong, doubtful: doubtful.mean(),
        "These are the errors without a warning: the rest.": (
            lambda wrong, doubtful: _share(wrong & ~doubtful, wrong)
        ),
    },
)


def _verdict(difference) -> str:
    return "better" if difference[1] > 0 else "worse" if difference[2] < 0 else "not told apart"


EXERCISES["verdict"] = Exercise(
    'One of "better", "worse" and "not told apart": look at both ends of the interval.',
    _verdict,
    {
        "You judged by the mean alone, but the interval holds 0: these images cannot tell.": (
            lambda difference: "better" if difference[0] > 0 else "worse"
        ),
        "The interval lies on one side of 0: these images can tell.": (
            lambda difference: "not told apart"
        ),
        "The other way round: above 0 the first of the two is better.": (
            lambda difference: "worse" if difference[0] > 0 else "better"
        ),
    },
)
