"""Each right answer is called right, and each typical wrong one gets the message that names it."""

import re
from types import SimpleNamespace

import editions
import numpy as np
import pytest

import ensemble_seg as es
from ensemble_lab import teaching
from ensemble_lab.teaching import checks
from ensemble_lab.teaching.checks import judge

# Values worked out on paper or with other tools; nothing here calls the rules under test.
COUNTS = np.array([[8, 2, 6, 84], [1, 3, 0, 96]])  # Dice 16/24 and 2/5; pooled 18/29
FIRST, SECOND = np.array([0.9, 0.5, 0.7, 0.3]), np.array([0.7, 0.6, 0.5, 0.1])
# differences 0.2, -0.1, 0.2, 0.2: mean 0.125, variance 0.0325 - 0.015625 = 0.016875
HALF = 1.96 * 0.016875**0.5 / 2
CROPS = np.zeros((4, 4, 4), int)
CROPS[:3, 2, 2] = 1
CROPS[0] = 1
WHOLE = np.zeros((2, 4, 4), int)
WHOLE[1, 2, 2] = 1
MASKS = [np.repeat([1, 0], [lesion, 100 - lesion]).reshape(10, 10) for lesion in (20, 39, 45, 80)]
WRONG = np.array([[True, True, True, True, False, False, False, False, False, False]])
DOUBTFUL = np.array([[True, False, False, False, True, True, False, False, False, False]])
UNCLEAR, CLEAR = es.Interval(0.02, -0.01, 0.05), es.Interval(-0.02, -0.05, -0.01)
GIVEN = {
    "two-dices": {"counts": COUNTS},
    "centre": {"crops": CROPS, "whole": WHOLE},
    "paired": {"first": FIRST, "second": SECOND},
    "threshold": {"masks": MASKS},
    "caught": {"wrong": WRONG, "doubtful": DOUBTFUL},
    "verdict": {"difference": UNCLEAR},
}


def ends(mask):
    rows, columns = np.nonzero(mask)
    return rows.min(), columns.min(), rows.max(), columns.max()


RIGHT = {
    "ratio": lambda mask: (mask.size - mask.sum()) / mask.sum(),
    # for two classes the formula is 0.9 (1 + exp(-p of the true class))
    "pixel-loss": lambda y, p: 0.9 * (1 + np.exp(-p[y.argmax()])),
    "second-softmax": 0.7311,
    "slope": lambda p: (0.9 * np.exp(-p - 1e-6) - 0.9 * np.exp(-p + 1e-6)) / 2e-6,
    "two-dices": ((16 / 24 + 2 / 5) / 2, 18 / 29),
    "box": lambda mask: np.add(ends(mask), (0, 0, 1, 1)),
    "box-start": 5,
    "centre": 3 / 4,
    "paired": (0.125, HALF),
    "threshold": (1.5, 2),  # 20 and 39 of 100 pixels: ratios 4 and 1.56; 45: 1.22
    "vote": lambda main, sampling, a, b: np.average([main, sampling], weights=[a, b]),
    "choose": lambda grid, validation, test: grid[list(validation).index(max(validation))],
    "best-of-many": lambda dice: float(np.mean([max(row) for row in dice])) - 0.8,
    "caught": 1 / 4,
    "verdict": "not told apart",
}
WRONG_ANSWERS = [
    ("ratio", lambda mask: mask.size / mask.sum(), "lesion is counted as background"),
    ("ratio", lambda mask: mask.sum() / (mask == 0).sum(), "Upside down"),
    ("ratio", lambda mask: mask.mean(), "divided by all pixels.*background"),
    ("ratio", lambda mask: 1 - mask.mean(), "share of the background"),
    ("pixel-loss", lambda y, p: 1.8 * (1 + np.exp(-p[y.argmax()])), "takes their mean"),
    ("pixel-loss", lambda y, p: np.mean(0.8 * np.exp(-y * p)), "second term is missing"),
    ("pixel-loss", lambda y, p: 1 + np.exp(-p[y.argmax()]), "factor 0.8 is missing"),
    ("pixel-loss", lambda y, p: 0.8 * (1 + np.exp(-p[y.argmax()])), "first term alone"),
    ("pixel-loss", lambda y, p: 0.8 * np.exp(-p[y.argmax()]) + 1, "channel of the true class"),
    ("pixel-loss", lambda y, p: -np.log(p[y.argmax()]), "cross-entropy"),
    ("second-softmax", 1, "exponentials first"),
    ("second-softmax", 0.5, "two equal numbers"),
    ("second-softmax", 0.269, "background gets"),
    ("second-softmax", 0.881, "-1 and 1"),
    ("second-softmax", 0.6, "power of each number"),
    ("slope", lambda p: 0.9 * np.exp(-p), "sign is lost"),
    ("slope", lambda p: -np.exp(-p), "factor 0.9 is lost"),
    ("slope", lambda p: -0.9 - 0.9 * np.exp(-p), "constant"),
    ("slope", lambda p: 0.9 + 0.9 * np.exp(-p), "not its slope"),
    ("slope", lambda p: -0.9 * p * np.exp(-p), "no power"),
    ("slope", lambda p: -0.9 * np.exp(-p) * p * (1 - p), "logit"),
    ("two-dices", (18 / 29, 8 / 15), "wrong way round"),
    ("two-dices", ((8 / 16 + 1 / 4) / 2, 9 / 20), "This is IoU"),
    ("two-dices", ((8 / 24 + 1 / 5) / 2, 9 / 29), "above the line as well"),
    ("two-dices", (0.945, 0.945), "accuracy"),
    ("box", ends, "loses a row"),
    (
        "box",
        lambda mask: np.add(ends(mask), (0, 0, 1, 1))[[1, 0, 3, 2]],
        "You put columns before rows",
    ),
    ("box", lambda mask: (*ends(mask)[:2], *np.ptp(np.nonzero(mask), axis=1) + 1), "height and"),
    ("box", lambda mask: np.add(ends(mask), 1), "moved the first edges"),
    ("box-start", 0, "three rungs"),
    ("box-start", -5, "outside the image"),
    ("box-start", 15, "last resort"),
    ("box-start", 10, "This is the margin"),
    ("centre", 18 / 64, "took all pixels"),
    ("centre", 1 / 2, "whole images"),
    ("centre", 1.0, "took one crop"),
    ("paired", (-0.125, HALF), "wrong way round"),
    ("paired", (0.125, 1.96 * ((0.05 + 0.051875) / 4) ** 0.5), "subtract image by image first"),
    ("paired", (0.125, 2 * HALF), "single images scatter"),
    ("paired", (0.125, HALF / 1.96), "one standard error"),
    ("threshold", (0.4, 3), "share of the image"),
    ("threshold", (2.5, 1), "no background"),
    ("threshold", (2 / 3, 3), "Upside down"),
    ("threshold", (3, 1), "published threshold"),
    ("vote", lambda main, sampling, a, b: a * main + b * sampling, "may exceed 1"),
    ("vote", lambda main, sampling, a, b: np.average([main, sampling], weights=[b, a]), "other"),
    ("vote", lambda main, sampling, a, b: (main + sampling) / 2, "not used"),
    ("vote", lambda main, sampling, a, b: (a * main + b * sampling) / 2, "add up to 2"),
    ("choose", lambda grid, validation, test: grid[test.argmax()], "looked at the test images"),
    ("choose", lambda g, validation, test: g[(validation + test).argmax()], "looked at the test"),
    ("choose", lambda grid, validation, test: validation.argmax(), "place in the list"),
    ("choose", lambda grid, validation, test: validation.max(), "not the weight"),
    ("choose", lambda grid, validation, test: grid[validation.argmin()], "worst weight"),
    ("best-of-many", lambda dice: dice.max() - 0.8, "best of each trial"),
    ("best-of-many", lambda dice: dice.mean() - 0.8, "honest choice"),
    ("best-of-many", lambda dice: dice.max(axis=0).mean() - 0.8, "A row is a trial"),
    ("best-of-many", lambda dice: dice.max(axis=1).mean(), "By how much"),
    ("caught", 1 / 3, "precision"),
    ("caught", 1 / 10, "divided by all pixels"),
    ("caught", 3 / 10, "warning at all"),
    ("caught", 3 / 4, "without a warning"),
    ("verdict", "better", "holds 0"),
    ("verdict", "maybe", "One of"),
]


def test_every_exercise_is_tested():
    assert set(RIGHT) == set(checks.EXERCISES) == {name for name, *_ in WRONG_ANSWERS}


@pytest.mark.parametrize("name", RIGHT)
def test_the_right_answer_is_right(name):
    assert judge(name, RIGHT[name], **GIVEN.get(name, {})) == (True, f"{name}: right.")


@pytest.mark.parametrize(("name", "answer", "message"), WRONG_ANSWERS)
def test_a_wrong_answer_gets_the_message_that_names_the_misconception(name, answer, message):
    verdict = judge(name, answer, **GIVEN.get(name, {}))
    assert verdict.right is False
    assert re.search(message, verdict.text, re.S), verdict.text


@pytest.mark.parametrize(
    ("verdict", "message"), [("better", "other way"), ("not told apart", "can")]
)
def test_a_clear_difference_is_to_be_called_so(verdict, message):
    assert judge("verdict", "worse", difference=CLEAR).right
    assert message in judge("verdict", verdict, difference=CLEAR).text


def test_true_and_own_value_are_shown_of_the_case_that_differs(capsys):
    teaching.check("vote", lambda main, sampling, a, b: (main + sampling) / 2)
    assert "True value 0.7, your value 0.6." in capsys.readouterr().out


@pytest.mark.parametrize("name", ["second-softmax", "box-start"])
def test_a_sealed_answer_is_not_shown(name):
    assert checks.EXERCISES[name].truth is None
    assert "True value" not in judge(name, 12345).text


@pytest.mark.parametrize("name", checks.EXERCISES)
def test_nothing_filled_in_is_no_mistake(name):
    count = max(len(case) for case in checks.EXERCISES[name].cases)
    stub = (lambda *arguments: ...) if count else ...
    for empty in (stub, None, (..., ...)):
        verdict = judge(name, empty, **GIVEN.get(name, {}))
        assert verdict.right is None and "not filled in yet" in verdict.text


@pytest.mark.parametrize("answer", ["text", [1, 2, 3], {"a": 1}, np.zeros((2, 2)), object()])
@pytest.mark.parametrize("name", ["ratio", "centre", "box-start", "two-dices"])
def test_an_answer_of_another_kind_is_wrong_and_stops_nothing(name, answer):
    assert judge(name, answer, **GIVEN.get(name, {})).right is False


def test_code_that_stops_is_told_with_its_error():
    text = judge("ratio", lambda mask: unknown / 2).text  # noqa: F821
    assert "stops with NameError" in text and "unknown" in text


def test_an_unknown_exercise_is_an_error():
    with pytest.raises(ValueError, match="Unknown exercise 'ratios'.*ratio"):
        judge("ratios", 1)


RNG = np.random.default_rng(0)
DRAWN = RNG.integers(0, 2, (9, 32, 32))
SPLIT = SimpleNamespace(masks=lambda size: DRAWN)
SCORES = {name: es.Scores.from_masks(DRAWN, RNG.integers(0, 2, DRAWN.shape)) for name in "ab"}
HANDED_OVER = {  # by the notebook
    "01_main_model": {"small_scores": SCORES["a"]},
    "02_sampling_model": {
        "crops": SPLIT,
        "data": SimpleNamespace(train=SPLIT),
        "preset": es.preset("smoke").replace(size=32),
        "scores": {"main": SCORES["a"], "sampling": SCORES["b"]},
    },
    "03_ensemble": {
        "wrong": RNG.random((9, 9)) < 0.3,
        "doubtful": RNG.random((9, 9)) < 0.3,
        "difference": es.paired_difference(SCORES["b"], SCORES["a"]),
    },
}


@pytest.mark.parametrize("name", HANDED_OVER)
def test_every_solution_is_right(name, capsys):
    cells = editions.solutions(name)
    assert "Answers to the quiz" in cells.pop("[markdown]")
    for key, source in cells.items():
        exec(source, {"es": es, "np": np, "teaching": teaching, **HANDED_OVER[name]})
        assert capsys.readouterr().out.splitlines()[-1] == f"{key}: right."
