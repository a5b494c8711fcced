"""Each solution is called right by its check; what the notebook hands over is made up."""

from types import SimpleNamespace

import editions
import numpy as np
import pytest

import ensemble_seg as es
from ensemble_seg import teaching

RNG = np.random.default_rng(0)
MASKS = RNG.integers(0, 2, (9, 32, 32))
SPLIT = SimpleNamespace(masks=lambda size: MASKS)
SCORES = {name: es.Scores.from_masks(MASKS, RNG.integers(0, 2, MASKS.shape)) for name in "ab"}
STAND_INS = {
    "01_main_model": {"small_scores": SCORES["a"], "es": es},
    "02_sampling_model": {
        "crops": SPLIT,
        "data": SimpleNamespace(train=SPLIT),
        "preset": es.preset("smoke").replace(size=32),
        "scores": {"main": SCORES["a"], "sampling": SCORES["b"]},
        "es": es,
    },
    "03_ensemble": {
        "wrong": RNG.random((9, 9)) < 0.3,
        "doubtful": RNG.random((9, 9)) < 0.3,
        "difference": es.paired_difference(SCORES["b"], SCORES["a"]),
    },
}


@pytest.mark.parametrize("name", STAND_INS)
def test_every_solution_is_right(name, capsys):
    cells = editions.solutions(name)
    assert "Answers to the quiz" in cells.pop("[markdown]")
    for key, source in cells.items():
        exec(source, {"np": np, "teaching": teaching, **STAND_INS[name]})
        assert capsys.readouterr().out.splitlines()[-1] == f"{key}: right."
