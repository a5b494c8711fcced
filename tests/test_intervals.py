import numpy as np

from ensemble_seg.evaluation import bootstrap_mean


def test_interval_of_the_mean_covers_it_about_95_times_in_100():
    rng, covered = np.random.default_rng(0), 0
    for trial in range(300):
        values = rng.beta(4, 1, 60)
        interval = bootstrap_mean(values, list(map(str, range(60))), seed=trial, resamples=500)
        covered += interval.low <= 0.8 <= interval.high
    assert 0.90 <= covered / 300 <= 0.98


def test_interval_agrees_with_scipy():
    from scipy.stats import bootstrap

    values = np.random.default_rng(0).beta(4, 1, 80)
    ours = bootstrap_mean(values, list(map(str, range(80))))
    theirs = bootstrap((values,), np.mean, method="percentile", random_state=0)
    np.testing.assert_allclose(ours[1:], theirs.confidence_interval, atol=0.004)


def test_resamples_do_not_depend_on_how_many_are_drawn_at_once(monkeypatch):
    values, groups = np.random.default_rng(0).random(30), [str(n % 7) for n in range(30)]
    members = [values[n::7] for n in range(7)]
    means = [
        np.concatenate([members[n] for n in drawn]).mean()
        for drawn in np.random.default_rng(3).integers(7, size=(1050, 7))
    ]
    expected = np.percentile(means, [2.5, 97.5])
    for block in (1, 100, 100_000):
        monkeypatch.setattr("ensemble_seg.evaluation.DRAWN_AT_ONCE", block)
        found = bootstrap_mean(values, groups, 3, 1050)
        np.testing.assert_allclose(found[1:], expected, rtol=1e-12)


def test_intervals_resample_groups():
    values = np.repeat(np.random.default_rng(0).random(20), 10)
    alone = bootstrap_mean(values, list(map(str, range(200))))
    grouped = bootstrap_mean(values, [str(n // 10) for n in range(200)])
    assert grouped.mean == alone.mean
    assert (grouped.high - grouped.low) > 2.5 * (alone.high - alone.low)
