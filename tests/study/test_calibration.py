import numpy as np
import pytest

from ensemble_lab.study.calibration import calibration, fit_temperature, tempered


def sure_maps(temperature, seed=0):
    """Maps whose log-odds are `temperature` times too large."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 2, (4, 64, 64))
    truth = (rng.random(odds.shape) < 1 / (1 + np.exp(-odds))).astype(int)
    return 1 / (1 + np.exp(-odds * temperature)), truth


def test_calibration_by_hand():
    lesion, truth = np.array([[[0.05, 0.05], [0.8, 1.0]]]), np.array([[[0, 1], [1, 1]]])
    found = calibration(lesion, truth)
    assert found["brier"] == pytest.approx((0.0025 + 0.9025 + 0.04 + 0) / 4, abs=1e-5)
    assert found["bins"][0] == [0.5, 0.05, 0.5]
    assert found["bins"][9] == [0.25, 1.0, 1.0]
    assert found["ece"] == pytest.approx(0.5 * 0.45 + 0.25 * 0.2)
    assert found["sure"] == 0.25


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_temperature_is_found_again(temperature):
    assert fit_temperature(*sure_maps(temperature)) == pytest.approx(temperature, rel=0.06)


def test_one_temperature_makes_sure_maps_honest():
    validation, (lesion, truth) = sure_maps(5.0, seed=0), sure_maps(5.0, seed=1)
    assert calibration(lesion, truth)["ece"] > 0.1
    after = tempered(lesion, fit_temperature(*validation))
    assert calibration(after, truth)["ece"] < 0.02
    assert tempered(np.array([0.0, 0.5, 1.0], "float32"), 3.0)[1] == 0.5  # no infinite odds
