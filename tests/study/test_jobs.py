import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

import ensemble_seg as es
from ensemble_seg.__main__ import main
from ensemble_seg.study.jobs import Study, all_jobs, read_result, run_job
from ensemble_seg.study.parts import split_of_seed, training_windows
from ensemble_seg.study.plans import (
    ENSEMBLE,
    MAIN,
    NAMES,
    SAMPLING,
    Plan,
    Training,
    Vote,
    has_groups,
    plan_for,
)
from ensemble_seg.study.running import run_jobs

PRESET = es.preset("smoke,size=32,margin=4")


def as_plan(*arms):
    return Plan(arms, ())


def windows(disks, kind, count=60):
    data = split_of_seed(es.load_dataset(disks), 0)
    return data.train, training_windows(data.train, kind, count, PRESET)


@pytest.mark.parametrize("kind", ["whole", "lesion", "random", "wide", "third", "third-shifted"])
def test_every_arm_sees_as_many_windows(disks, kind):
    train, found = windows(disks, kind)
    assert len(found) == 60
    assert set(found.pairs) <= set(train.pairs)
    if kind == "whole":
        counts = [found.pairs.count(pair) for pair in train.pairs]
        assert max(counts) - min(counts) <= 1


def test_random_crops_have_the_sizes_of_lesion_crops_and_other_places(disks):
    def size(box):
        return box.bottom - box.top, box.right - box.left

    _, lesion = windows(disks, "lesion")
    _, random = windows(disks, "random")
    assert list(map(size, lesion.boxes)) == list(map(size, random.boxes))
    assert lesion.boxes != random.boxes
    for box in random.boxes:
        assert box.top >= 0 and box.left >= 0 and box.bottom <= 40 and box.right <= 48


def test_a_third_are_crops_and_shifted_ones_move_a_little(disks):
    _, centred = windows(disks, "third")
    _, shifted = windows(disks, "third-shifted")
    assert [box is None for box in centred.boxes] == [True] * 40 + [False] * 20
    moved = 0
    for before, after in zip(centred.boxes[40:], shifted.boxes[40:], strict=True):
        assert abs(after.top - before.top) <= 0.25 * (before.bottom - before.top)
        moved += after != before
    assert moved > 10


def test_a_split_by_image_breaks_groups_up():
    data = es.load_dataset("phantoms")
    by_image = split_of_seed(data, 0, "image")
    patients = {pair.image.stem: pair.group for pair in (*data.train.pairs, *data.test.pairs)}

    def shared(parts):
        sides = [
            {patients.get(pair.image.stem) for pair in getattr(parts, part).pairs}
            for part in ("train", "test")
        ]
        return set.intersection(*sides) - {None}

    assert not shared(split_of_seed(data, 0))
    assert shared(by_image)


def test_seeds_move_the_split():
    data = es.load_dataset("phantoms")
    assert set(split_of_seed(data, 0).test.pairs) != set(split_of_seed(data, 5).test.pairs)


def test_every_plan_names_its_arms_and_losses():
    data = es.load_dataset("phantoms")
    assert has_groups(data)
    for name in NAMES:
        plan = plan_for(name, data)
        names = [arm.name for arm in plan.arms]
        assert len(set(names)) == len(names)
        assert {side for claim in plan.claims for side in (claim.arm, claim.control)} <= set(names)
        for arm in plan.arms:
            if isinstance(arm, Vote):
                assert set(arm.members) <= set(names)
            else:
                assert arm.loss in es.LOSSES


def test_what_decides_is_trained_first(tmp_path):
    study = Study("phantoms", None, "smoke", 4, str(tmp_path), str(tmp_path / "work"))
    jobs = all_jobs(study, plan_for("all", es.load_dataset("phantoms")), 2)
    trained = [job.arm.name for job in jobs if job.cost and job.seed == 1]
    decide = ["main", "cross-entropy", "sampling", "random-crops", "main-second"]
    assert trained[:5] == decide
    names = [job.name for job in jobs]
    assert len(names) == len(set(names))
    for job in jobs:
        if job.cost:
            assert all(names.index(need) < names.index(job.name) for need in job.needs)


def test_the_rate_with_the_best_validation_dice_is_taken(tmp_path):
    study = Study("phantoms", None, "smoke", 4, str(tmp_path), str(tmp_path / "work"))
    *rates, job = all_jobs(study, as_plan(MAIN), 1)
    assert [rate.arm.rate for rate in rates] == [3e-4, 1e-3, 3e-3]
    assert set(job.needs) == {rate.name for rate in rates}
    for rate, dice in zip(rates, ([0.5, 0.6], [0.7, 0.6], [0.2, 0.9]), strict=True):
        rate.path.write_text(json.dumps({"rate": rate.arm.rate, "validation": {"dice": dice}}))
    from ensemble_seg.study.jobs import _best_rate

    assert _best_rate(job) == 1e-3


def test_trainings_and_votes_leave_their_scores_and_no_models(disks, tmp_path):
    arms = [replace(MAIN, rate=1e-3), replace(SAMPLING, rate=1e-3), ENSEMBLE]
    arms += [Vote("views", ("main",), (1.0,), "views")]
    arms += [Vote("tempered", ("main", "sampling"), None, "tempered")]
    study = Study(str(disks), None, PRESET.label, 2, str(tmp_path / "out"), str(tmp_path / "work"))
    jobs = all_jobs(study, as_plan(*arms), 1)
    with ThreadPoolExecutor(1) as threads:
        assert run_jobs(jobs, threads, tell=lambda line: None) == []
    assert not list((tmp_path / "work").iterdir())
    results = {job.arm.name: read_result(job.path) for job in jobs}
    assert max(job.path.stat().st_size for job in jobs) < 3000
    assert results["main"]["steps"] == 2
    assert results["main"]["rate"] == 1e-3
    for result in results.values():
        assert result["test"]["cases"] == results["main"]["test"]["cases"]
        assert len(result["test"]["dice"]) == result["split"]["test"] == 4
        assert all(0 <= dice <= 1 for dice in result["test"]["dice"])
        assert result["data_hash"] == es.load_dataset(disks).hash
        assert sum(share for share, *_ in result["calibration"]["bins"]) == pytest.approx(
            1, abs=1e-3
        )
    assert len(results["tempered"]["temperatures"]) == 2
    assert np.sum(results["tempered"]["weights"]) == pytest.approx(1)


def test_a_training_that_chooses_a_rate_does_not_see_test_images(disks, tmp_path):
    study = Study(str(disks), None, PRESET.label, 1, str(tmp_path / "out"), str(tmp_path / "work"))
    job = all_jobs(study, as_plan(Training("dice", "dice")), 1)[0]
    run_job(job)
    result = read_result(job.path)
    assert "test" not in result and "calibration" not in result
    assert len(result["validation"]["dice"]) == result["split"]["validation"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--plan", "losses"], "Did you mean 'loss'?"),
        (["--seeds", "0"], "argument `seeds`"),
        (["--steps", "1"], "argument `steps`"),
        (["--plan", "imbalance"], "which the plan imbalance draws itself"),
        (["--dask", "tcp://127.0.0.1:1", "--plan", "nothing"], "argument `plan`"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(disks, tmp_path, capsys, options, message):
    places = ["--out", str(tmp_path / "out"), "--work-dir", str(tmp_path / "work")]
    assert main(["study", str(disks), *places, *options]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_workers_get_whole_paths_since_they_may_start_elsewhere(disks, tmp_path, monkeypatch):
    from ensemble_seg.study.studies import Asked, studies

    monkeypatch.chdir(disks.parent)
    monkeypatch.setenv("ENSEMBLE_SEG_DATA_DIR", "sets")
    ((study, _),) = studies(Asked(disks.name, ("loss",)))
    assert study.data == str(disks)
    assert study.data_dir == str(disks.parent / "sets")
    assert study.out == str(disks.parent / "results" / "study" / disks.name)
    assert study.work == str(disks.parent / "runs" / "study" / disks.name)
    ((study, _),) = studies(Asked("phantoms", ("loss",)))
    assert (study.data, study.data_dir) == ("phantoms", None)


def test_other_settings_in_the_same_folder_are_refused(disks, tmp_path):
    from ensemble_seg.study.studies import Asked, _prepared, studies

    asked = Asked(str(disks), ("loss",), 2, out=str(tmp_path / "out"), work=str(tmp_path / "work"))
    ((study, plan),) = studies(asked)
    _prepared(study, plan, 2)
    _prepared(study, plan, 3)
    record = json.loads((tmp_path / "out" / "disks" / "study.json").read_text())
    assert {claim["seeds"] for claim in record["claims"]} == {3}
    assert len(record["cases"]) == 20
    with pytest.raises(ValueError, match=r"holds a study with steps=250, now steps=400"):
        _prepared(replace(study, steps=400), plan, 2)
