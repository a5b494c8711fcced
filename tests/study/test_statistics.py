import numpy as np
import pytest
from scipy import stats

from ensemble_lab.study import statistics
from ensemble_lab.study.statistics import Difference, holm, paired, verdicts, visible


def test_difference_and_interval_by_hand():
    # Differences 0.01, 0.02, 0.06: mean 0.03, variance (0.0004 + 0.0001 + 0.0009) / 2 = 0.0007;
    # error sqrt((1/3 + 1/2) 0.0007) = 0.024152; t of 2 degrees at 97.5 % is 4.302653.
    found = paired([0.81, 0.72, 0.96], [0.80, 0.70, 0.90], ratio=0.5)
    assert found.mean == pytest.approx(0.03)
    assert found.error == pytest.approx(0.0241523, abs=1e-6)
    assert found.low == pytest.approx(0.03 - 4.302653 * 0.0241523, abs=1e-6)
    assert found.high == pytest.approx(0.03 + 4.302653 * 0.0241523, abs=1e-6)


def test_without_overlap_it_is_the_paired_t_test():
    arm, control = np.random.default_rng(0).normal(size=(2, 8))
    found, expected = paired(arm, control, ratio=0), stats.ttest_rel(arm, control)
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert statistics.p_value(abs(found.mean), found) == pytest.approx(expected.pvalue)


def coverage(ratio, seeds=10, studies=4000):
    """How often the interval holds the truth; two seeds share rho of their variance."""
    rng, rho, truth = np.random.default_rng(1), 0.2 / (0.2 + 0.7), 0.013
    shared = rng.normal(size=(studies, 1)) * np.sqrt(rho)
    own = rng.normal(size=(studies, seeds)) * np.sqrt(1 - rho)
    differences = truth + 0.02 * (shared + own)
    held = 0
    for each in differences:
        found = paired(each, np.zeros(seeds), ratio)
        held += found.low <= truth <= found.high
    return held / studies


@pytest.mark.parametrize("seeds", [5, 10])
def test_the_corrected_interval_covers_95_percent(seeds, monkeypatch):
    monkeypatch.setattr(statistics, "visible", lambda error, seeds: 0.0)  # slow, not asked here
    assert 0.93 <= coverage(0.2 / 0.7, seeds) <= 0.97
    assert coverage(0.0, seeds) < 0.90  # the usual one


def test_the_visible_difference_is_found_in_four_of_five_studies():
    rng, seeds, sigma = np.random.default_rng(3), 6, 0.02
    truth = visible(sigma / np.sqrt(seeds), seeds)
    draws = rng.normal(truth, sigma, (20000, seeds))
    # visible() takes the error as known; the test estimates it, which the noncentral t covers.
    found = stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.01)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_false_claim_is_the_published_formula():
    rng = np.random.default_rng(4)
    worse = rng.normal(0.8, 0.1, 40)
    better = worse + rng.normal(0.01, 0.05, 40)
    (one, both), (_, other) = np.cov(better, worse)
    t = np.sqrt(40) * (worse.mean() - better.mean()) / np.sqrt(one + other - 2 * both)
    claim = statistics.probability_of_false_claim
    assert claim(better, worse) == pytest.approx(stats.t.cdf(t, 39))
    assert claim(worse, worse) == 0.5
    assert claim(worse + 0.25, worse) < 1e-300  # better by the same in each case
    assert claim([0.5, 0.75], [0.75, 1.0]) == 1.0


def arms(effect, noise, seeds=10, seed=5):
    rng = np.random.default_rng(seed)
    control = rng.normal(0.80, 0.02, seeds)
    return control + effect + rng.normal(0, noise, seeds), control


def test_a_planted_effect_is_found_and_a_planted_null_is_not():
    assert verdicts([paired(*arms(0.04, 0.01), 0.28)]) == ["supported"]
    assert verdicts([paired(*arms(-0.04, 0.01), 0.28)]) == ["refuted"]
    assert verdicts([paired(*arms(0.0, 0.002), 0.28)]) == ["too small to matter"]
    assert verdicts([paired(*arms(0.0, 0.02), 0.28)]) == ["undecided"]


def test_verdicts_by_the_rule():
    def made(mean, reach, seeds=10):
        error = reach / float(stats.t.ppf(0.975, seeds - 1))
        return Difference(mean, mean - reach, mean + reach, error, 0.0, seeds)

    assert verdicts([made(0.02, 0.015)]) == ["supported"]
    assert verdicts([made(0.008, 0.007)]) == ["undecided"]  # better, but by less than matters
    assert verdicts([made(-0.005, 0.012)]) == ["refuted"]  # no gain of 0.01
    assert verdicts([made(0.02, 0.015, seeds=2)]) == ["undecided"]
    assert verdicts([made(0.0, 0.0)]) == ["too small to matter"]
    # p = 0.014 alone; of eight such claims the smallest adjusted p is 0.11
    assert verdicts([made(0.02, 0.0155)] * 8) == ["undecided"] * 8


def test_verdicts_at_their_limits():
    def made(mean, low, high, error=0.001, seeds=10):
        return Difference(mean, low, high, error, 0.0, seeds)

    assert verdicts([made(0.02, 0.015, 0.025, 0.001, seeds=3)]) == ["supported"]
    assert verdicts([made(0.01, 0.008, 0.012)]) == ["supported"]  # just what matters
    for low, high in ((-0.01, 0.009), (-0.009, 0.01)):  # the ends of the range do not lie in it
        assert verdicts([made(0.0, low, high, 0.1)]) == ["undecided"]


def test_a_p_of_just_5_percent_decides_nothing(monkeypatch):
    def verdict(p_of_none, p_of_gain):
        ps = iter((p_of_none, p_of_gain))
        monkeypatch.setattr(statistics, "p_value", lambda *_: next(ps))
        return verdicts([Difference(0.02, -0.01, 0.05, 0.01, 0.0, 10)])

    assert verdict(0.0499, 1) == ["supported"]
    assert verdict(1, 0.0499) == ["refuted"]
    assert verdict(1 - 0.95, 1 - 0.95) == ["undecided"]


def test_p_values_by_hand():
    def p(distance, error, seeds=10):
        return statistics.p_value(distance, Difference(0, 0, 0, error, 0, seeds))

    assert p(0.01, 0.005) == pytest.approx(0.0765525, abs=1e-6)  # t = 2, 9 degrees, two-sided
    assert p(0.015, 0.005, 3) == pytest.approx(0.0954660, abs=1e-6)  # t = 3, 2 degrees
    assert p(0.0, 0.005) == p(-0.01, 0.005) == p(0.0, 0) == p(-0.01, 0) == 1.0
    assert p(0.01, 0) == 0.0


def test_two_seeds_and_two_cases_are_enough_and_one_is_not():
    # Differences 0.1 and 0.3: variance 0.02, error sqrt(0.02 / 2) = 0.1; t of 1 degree is 12.7062.
    found = paired([0.5, 0.9], [0.4, 0.6], 0)
    assert (found.error, found.high, found.seeds) == pytest.approx((0.1, 0.2 + 1.270620, 2))
    for arm, control in (([0.5], [0.4]), ([[0.5, 0.9]] * 2,) * 2, ([0.1, 0.2], [0.1])):
        with pytest.raises(ValueError, match="argument `arm`"):
            paired(arm, control, 0)
    for ratio in (-1, np.inf):
        with pytest.raises(ValueError, match="argument `ratio`"):
            paired([0.5, 0.9], [0.4, 0.6], ratio)
    claim = statistics.probability_of_false_claim
    # t = -0.2 / 0.1 = -2 with 1 degree: 1/2 - atan(2) / pi.
    assert claim([0.5, 0.9], [0.4, 0.6]) == pytest.approx(0.5 - np.arctan(2) / np.pi)
    assert claim([0.4, 0.6], [0.5, 0.9]) == pytest.approx(0.5 + np.arctan(2) / np.pi)
    for better, worse in (([0.5], [0.4]), ([0.5, 0.6], [0.4]), ([[0.5, 0.6]] * 2,) * 2):
        with pytest.raises(ValueError, match="argument `better`"):
            claim(better, worse)
