"""Jobs: in which order, what is done again, and one small study from end to end."""

import argparse
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from study.stub_study import NUMBER, run_stub, stub_arms

import ensemble_seg as es
from ensemble_lab.study import command, jobs
from ensemble_lab.study.jobs import Study, run_arms, run_jobs, write_record
from ensemble_lab.study.plans import ARMS, LOSS, PLANS, Claim, Training, Vote, arms_of
from ensemble_lab.study.report import report
from ensemble_lab.study.results import compare, read_all, read_lines


def text_of(folder):
    every = read_all(folder)
    return report(every, {results.data: compare(results) for results in every})


def options_of(*words):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(list(map(str, words)))


@pytest.fixture(scope="module")
def whole_report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    run_stub(folder)
    return text_of(folder)


def test_everything_is_done_and_what_decides_comes_first(tmp_path, whole_report):
    lines = []
    run_stub(tmp_path, tell=lines.append, executor=ThreadPoolExecutor(1))
    assert len(list((tmp_path / "stub").glob("*-*.json"))) == NUMBER
    assert "Missing" not in whole_report
    assert all(line.startswith("rate-") for line in lines[:3])
    votes = lines[3 + 12 : 3 + 12 + 4]  # after three arms of four seeds; of one seed in one job
    assert {line[:25] for line in votes} == {f"ensemble-0{n}, two-mains-0{n}" for n in range(4)}


def test_what_is_done_is_not_done_again(tmp_path, whole_report):
    run_stub(tmp_path)
    run_stub(tmp_path, run=None)
    (tmp_path / "stub" / "ensemble-02.json").unlink()
    done = []
    run_stub(tmp_path, tell=done.append)
    assert [line.split(" (")[0] for line in done] == ["ensemble-02, two-mains-02"]
    assert text_of(tmp_path) == whole_report


def test_killed_and_continued(tmp_path, whole_report, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    program = [sys.executable, "-m", "study.stub_study", tmp_path, "0.2"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(7):
            assert "of this kind" in process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert 7 <= len(list((tmp_path / "stub").glob("*-*.json"))) < NUMBER
    run_stub(tmp_path)
    assert text_of(tmp_path) == whole_report


def test_a_job_that_fails_ends_the_run_and_what_is_done_stays(tmp_path):
    def fail(study, arms, seed):
        if arms[0].name == "main-second":
            raise ValueError("main-second is broken")
        return stub_arms(study, arms, seed)

    with pytest.raises(ValueError, match="main-second is broken"):
        run_stub(tmp_path, run=fail, executor=ThreadPoolExecutor(1))
    assert (tmp_path / "stub" / "rate-exponential-0.001-1000.json").is_file()
    assert not list((tmp_path / "stub").glob("ensemble-*"))
    run_stub(tmp_path)


def test_a_dask_cluster_leaves_the_same_report(tmp_path, whole_report):
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    options = {"n_workers": 1, "threads_per_worker": 2, "dashboard_address": None}
    with distributed.Client(processes=False, **options) as client:
        run_stub(tmp_path, executor=client.get_executor(pure=False))
    assert text_of(tmp_path) == whole_report


def test_workers_share_out_the_cores(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    with command.processes(2) as pool:
        assert pool.submit(os.getenv, "TF_NUM_INTRAOP_THREADS").result() == "2"


def test_every_plan_names_arms_that_can_be_trained():
    for claims in PLANS.values():
        for arm in arms_of(claims):
            if isinstance(arm, Training):
                es.preset("smoke").replace(loss=arm.loss)
            else:
                assert all(isinstance(ARMS[name], Training) for name in arm.members)
    texts = [claim.text for claim in (*PLANS["all"], *PLANS["check"])]
    assert len(set(texts)) == len(texts)


def test_the_study_leaves_the_public_losses_alone():
    assert set(es.LOSSES) == set(es.presets.LOSS_NAMES)


def test_the_rate_with_the_best_validation_dice_is_taken(tmp_path):
    study = Study(None, es.preset("smoke"), 2, tmp_path, tmp_path)
    for rate, dice in zip(ARMS["main"].rates, ([0.5, 0.6], [0.7, 0.6], [0.2, 0.9]), strict=True):
        found = {"rate": rate.rate, "validation": {"dice": dice}}
        jobs.write_lines(study.file(rate.name, 1000), found)
    chosen = jobs.preset_of(study, ARMS["main-second"], 3)
    assert (chosen.learning_rate, chosen.seed, chosen.limit) == (1e-3, 503, 0)


def test_a_study_from_end_to_end(disks, tmp_path, monkeypatch):
    """Two trainings of two steps and three votes, of one seed."""
    fast = {name: replace(ARMS[name], rate=1e-3) for name in ("main", "sampling")}
    votes = [Vote("tempered", weights=None, how="tempered"), ARMS["ensemble"], ARMS["zoom"]]
    arms = {**fast, **{vote.name: vote for vote in votes}}
    for name, arm in arms.items():
        monkeypatch.setitem(ARMS, name, arm)
    claims = [Claim(name, name, "main") for name in arms if name != "main"]
    data, chosen = es.load_dataset(disks), es.preset("smoke,size=32,margin=4")
    study = Study(data, chosen, 2, tmp_path / "out" / "disks", tmp_path / "work")
    write_record(study, claims, 1)
    with ThreadPoolExecutor(1) as threads:
        run_jobs(study, claims, 1, threads, run_arms, tell=lambda line: None)
    results = {name: read_lines(study.file(name, 0)) for name in arms}
    assert max(study.file(name, 0).stat().st_size for name in arms) < 3000
    assert results["main"]["rate"] == 1e-3
    assert results["main"]["preset"] == "smoke,size=32,margin=4,limit=0"
    for result in results.values():
        assert result["data_hash"] == data.hash
        assert result["test"]["cases"] == results["main"]["test"]["cases"]
        assert len(result["test"]["dice"]) == result["split"]["test"] == 4
        assert all(0 <= dice <= 1 for dice in result["test"]["dice"])
        shares = [share for share, *_ in result["calibration"]["bins"]]
        assert sum(shares) == pytest.approx(1, abs=1e-3)
    assert len(results["tempered"]["temperatures"]) == 2
    assert np.sum(results["tempered"]["weights"]) == pytest.approx(1)
    assert "Missing" not in text_of(tmp_path / "out")


def test_a_training_that_chooses_a_rate_does_not_see_test_images(disks, tmp_path, monkeypatch):
    seen = []

    def predict(model, split):
        seen.append(split.name)
        return np.full((len(split), 64, 64, 2), 0.5, "float32")

    monkeypatch.setattr(jobs, "train", lambda *_: SimpleNamespace(model=None))
    monkeypatch.setattr(jobs, "unet", lambda *_: None)
    monkeypatch.setattr(jobs, "predict_split", predict)
    study = Study(es.load_dataset(disks), es.preset("smoke"), 1, tmp_path / "out", tmp_path)
    for arm, seed in ((ARMS["main"].rates[0], 1000), (ARMS["worse"], 0)):
        run_arms(study, [arm], seed)
        assert seen == (["validation"] if seed else ["validation", "validation", "test"])
        assert ("test" in read_lines(study.file(arm.name, seed))) == (seed == 0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", 0], "argument `seeds`"),
        (["--steps", 1], "argument `steps`"),
        (["--preset", "quik"], "Did you mean 'quick'"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(disks, tmp_path, words, message):
    with pytest.raises(ValueError, match=message):
        command.run(options_of(disks, "--out", tmp_path / "out", *words))
    assert not (tmp_path / "out").exists()


def test_other_settings_in_the_same_folder_are_refused(disks, tmp_path):
    study = Study(es.load_dataset(disks), es.preset("smoke"), 250, tmp_path / "out", tmp_path)
    write_record(study, [LOSS], 2)
    write_record(study, PLANS["sampling"], 3)
    write_record(study, [LOSS], 1)
    record = read_lines(tmp_path / "out" / "study.json")
    assert {claim["text"]: claim["seeds"] for claim in record["claims"]}[LOSS.text] == 2
    assert len(record["claims"]) == 3
    assert record["cases"][7] == "disk_07.png" and len(record["cases"]) == 20
    with pytest.raises(ValueError, match=r"study.json: holds a study with steps=250"):
        write_record(replace(study, steps=400), [LOSS], 2)
