import json

import numpy as np
import pytest
from PIL import Image
from planted import write_job, write_study
from scipy import stats

from ensemble_seg.__main__ import main
from ensemble_seg.study.plans import BEATS_CROSS_ENTROPY, BEATS_TWO
from ensemble_seg.study.results import compare, read_results

CLAIMS = [
    (BEATS_CROSS_ENTROPY.text, "main", "cross-entropy"),
    (BEATS_TWO.text, "ensemble", "two-mains"),
    ("planted null", "main", "main-second"),
    ("not run", "main", "zoom"),
]
EFFECTS = {"main": 0.0, "cross-entropy": -0.05, "ensemble": -0.05, "two-mains": 0.01}
EFFECTS |= {"main-second": 0.0}


@pytest.fixture
def study(tmp_path):
    return write_study(tmp_path / "wards", EFFECTS, CLAIMS)


def test_planted_effects_are_found_and_a_planted_null_is_not(study):
    verdicts = {row.text: row.verdict for row in compare(read_results(study))}
    assert verdicts == {
        BEATS_CROSS_ENTROPY.text: "supported",
        BEATS_TWO.text: "refuted",
        "planted null": "too small to matter",
        "not run": "not run yet",
    }


def test_the_difference_is_that_of_the_seeds_means(study):
    def means(arm):
        files = [json.loads((study / f"{arm}-{seed:02d}.json").read_text()) for seed in range(10)]
        return np.array([np.mean(each["test"]["dice"]) for each in files])

    differences = means("main") - means("cross-entropy")
    row = compare(read_results(study))[0]
    reach = stats.t.ppf(0.975, 9) * np.sqrt((0.1 + 12 / 42) * differences.var(ddof=1))
    assert row.difference.mean == pytest.approx(differences.mean())
    assert row.difference.high == pytest.approx(differences.mean() + reach)


def test_false_claim_is_none_where_the_test_images_differ(study):
    write_job(study, "cross-entropy", 3, list(range(12)), np.full(12, 0.7))
    rows = compare(read_results(study))
    assert rows[0].false_claim is None
    assert rows[1].false_claim == pytest.approx(0, abs=1e-6)


def test_report_says_it_in_words_and_what_is_missing(study, tmp_path, capsys):
    (study / "ensemble-04.json").unlink()
    assert main(["study", "wards", "--out", str(tmp_path), "--report"]) == 0
    said = capsys.readouterr().out
    assert "Does this method pay on wards? (60 images" in said
    assert "beat cross-entropy? Yes. main - cross-entropy: +0.0" in said
    assert "So it does not pay: a second main model is as good or better." in said
    assert "Missing: 11 jobs (ensemble-04, zoom-00" in said
    text = (tmp_path / "report.md").read_text()
    assert "interval covers both the seeds" in text
    assert "| ensemble | 9 | 0.001 |" in text
    for name in ("forest.png", "reliability.png"):
        assert Image.open(tmp_path / name).width > 500


def test_report_of_all_data_sets(study, tmp_path, capsys):
    write_study(tmp_path / "phantoms", EFFECTS, CLAIMS[:2], seeds=5)
    assert main(["study", "--out", str(tmp_path), "--report"]) == 0
    assert "| claim | phantoms | wards |" in (tmp_path / "report.md").read_text()
    said = capsys.readouterr().out
    assert said.index("pay on phantoms?") < said.index("pay on wards?")


def test_one_seed_has_no_verdict(tmp_path):
    folder = write_study(tmp_path / "one", EFFECTS, CLAIMS, seeds=1)
    assert {row.verdict for row in compare(read_results(folder))} == {"not run yet"}


def test_a_report_without_a_study_is_refused(tmp_path, capsys):
    assert main(["study", "--out", str(tmp_path), "--report"]) == 1
    assert "no study in it. Run one first" in capsys.readouterr().err


def test_files_of_other_data_are_refused(study, tmp_path):
    path = study / "main-02.json"
    path.write_text(path.read_text().replace("ab" * 32, "cd" * 32))
    with pytest.raises(ValueError, match=r"main-02.json: of other data"):
        read_results(study)


def test_the_notebook_shows_the_claims_that_decide(study, tmp_path, capsys):
    import matplotlib.pyplot as plt

    from ensemble_seg.teaching import draw_study

    draw_study(tmp_path)
    text = capsys.readouterr().out
    assert f"{BEATS_TWO.text}\n  wards, 10 seeds: -0.06" in text
    assert text.count("refuted") == text.count("supported") == 1
    assert "planted null" not in text
    labels = [label.get_text() for label in plt.gca().get_yticklabels()]
    assert labels == [BEATS_CROSS_ENTROPY.text, BEATS_TWO.text]
    plt.close("all")
    draw_study(tmp_path / "nowhere")
    assert "in the repository" in capsys.readouterr().out
    assert not plt.get_fignums()
