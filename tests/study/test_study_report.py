import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import stats
from study.planted import write_job, write_study

from ensemble_lab.study.command import add_arguments, run
from ensemble_lab.study.plans import LOSS, VOTE
from ensemble_lab.study.report import write_report
from ensemble_lab.study.results import compare, read_all

STORED = Path(__file__).parents[2] / "results" / "study"

CLAIMS = [
    (LOSS.text, "main", "cross-entropy"),
    (VOTE.text, "ensemble", "two-mains"),
    ("planted null", "main", "main-second"),
    ("not run", "main", "zoom"),
]
EFFECTS = {"main": 0.0, "cross-entropy": -0.05, "ensemble": -0.05, "two-mains": 0.01}
EFFECTS |= {"main-second": 0.0}


@pytest.fixture
def study(tmp_path):
    return write_study(tmp_path / "wards", EFFECTS, CLAIMS)


def test_planted_effects_are_found_and_a_planted_null_is_not(study):
    verdicts = {row.text: row.verdict for row in compare(*read_all(study.parent))}
    assert verdicts == {
        LOSS.text: "supported",
        VOTE.text: "refuted",
        "planted null": "too small to matter",
        "not run": "not run yet",
    }


def test_the_difference_is_that_of_the_seeds_means(study):
    def means(arm):
        files = [json.loads((study / f"{arm}-{seed:02d}.json").read_text()) for seed in range(10)]
        return np.array([np.mean(each["test"]["dice"]) for each in files])

    differences = means("main") - means("cross-entropy")
    row = compare(*read_all(study.parent))[0]
    reach = stats.t.ppf(0.975, 9) * np.sqrt((0.1 + 12 / 42) * differences.var(ddof=1))
    assert row.difference.mean == pytest.approx(differences.mean())
    assert row.difference.high == pytest.approx(differences.mean() + reach)


def test_false_claim_is_none_where_the_test_images_differ(study):
    write_job(study, "cross-entropy", 3, list(range(12)), np.full(12, 0.7))
    rows = compare(*read_all(study.parent))
    assert rows[0].false_claim is None
    assert rows[1].false_claim == pytest.approx(0, abs=1e-6)


def test_report_says_what_was_found_and_what_is_missing(study, tmp_path, capsys):
    (study / "ensemble-04.json").unlink()
    write_study(tmp_path / "phantoms", EFFECTS, CLAIMS[:2], seeds=5)
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    run(parser.parse_args(["wards", "--out", str(tmp_path), "--report"]))
    said = capsys.readouterr().out
    assert said.startswith("| claim | wards |")
    assert f"| {LOSS.text} | +0.0" in said and said.count("**refuted**") == 1
    assert "Missing: 11 jobs (ensemble-04, zoom-00" in said
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "interval covers both the seeds" in text
    assert "| claim | phantoms | wards |" in text
    assert "| ensemble | 9 | 0.001 |" in text
    for name in ("deciding.png", "forest.png", "reliability.png"):
        assert Image.open(tmp_path / name).width > 500


def test_the_committed_report_is_what_its_files_say(tmp_path):
    shutil.copytree(STORED, tmp_path / "study")
    write_report(tmp_path / "study")
    found, stored = (
        (folder / "report.md").read_text(encoding="utf-8")
        for folder in (tmp_path / "study", STORED)
    )
    assert found == stored


def test_a_report_without_a_study_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no study in it. Run one first"):
        write_report(tmp_path)


def test_files_of_other_data_are_refused(study, tmp_path):
    path = study / "main-02.json"
    path.write_text(path.read_text().replace("ab" * 32, "cd" * 32))
    with pytest.raises(ValueError, match=r"main-02.json: of other data"):
        read_all(tmp_path)
