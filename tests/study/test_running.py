import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from stub_study import stub_jobs, stub_run

from ensemble_seg.study import running
from ensemble_seg.study.report import report
from ensemble_seg.study.results import compare, read_all
from ensemble_seg.study.running import run_jobs, share

HERE = Path(__file__).parent


def run_here(folder, shard=(0, 1), run=stub_run, lines=None):
    jobs = stub_jobs(folder / "out", folder / "work")
    tell = (lambda line: None) if lines is None else lines.append
    with ThreadPoolExecutor(2) as threads:
        return run_jobs(jobs, threads, shard, run, tell)


def text_of(folder):
    every = read_all(folder / "out")
    return report(every, {results.data: compare(results) for results in every})


@pytest.fixture(scope="module")
def whole_report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert run_here(folder) == []
    return text_of(folder)


def test_everything_is_done_and_no_model_is_kept(tmp_path, whole_report):
    lines = []
    run_here(tmp_path, lines=lines)
    # three rates of the published loss, four trainings and two votes of four seeds
    assert len(lines) == len(list((tmp_path / "out" / "stub").glob("*-*.json"))) == 3 + 6 * 4
    assert "h left" in lines[-1]
    assert not list((tmp_path / "work").iterdir())
    assert "Missing" not in whole_report


def test_what_is_done_is_not_done_again(tmp_path):
    run_here(tmp_path)
    run_here(tmp_path, run=None)
    (tmp_path / "out" / "stub" / "ensemble-02.json").unlink()
    done = []
    run_here(tmp_path, run=lambda job: (done.append(job.name), stub_run(job))[1])
    assert done[-1] == "ensemble-02"
    assert set(done) == {"main-02", "sampling-02", "ensemble-02"}  # their maps were removed


def test_with_as_many_at_once_as_threads_the_order_of_the_list_is_kept(tmp_path):
    jobs, done = stub_jobs(tmp_path / "out", tmp_path / "work"), []
    with ThreadPoolExecutor(1) as threads:
        run_jobs(
            jobs, threads, run=lambda job: (done.append(job.name), stub_run(job))[1], at_once=1
        )
    votes = [job.name for job in jobs if job.needs and not job.cost]
    trainings = [job.name for job in jobs if job.cost]
    assert [name for name in done if name in trainings] == trainings
    # votes stand first in the list: each is done as soon as its members are
    assert jobs[0].name == votes[0] == "ensemble-00"
    assert done.index("ensemble-00") == done.index("sampling-00") + 1


def test_two_shards_leave_the_same_report(tmp_path, whole_report):
    waiting = run_here(tmp_path, (0, 2)) + run_here(tmp_path, (1, 2))
    assert waiting  # the rates of the other shard were not there yet
    assert run_here(tmp_path, (0, 2)) == run_here(tmp_path, (1, 2)) == []
    assert text_of(tmp_path) == whole_report


def test_shards_share_out_all_jobs_and_keep_votes_with_their_members(tmp_path):
    jobs = stub_jobs(tmp_path / "out", tmp_path / "work")
    shards = [share(jobs, (number, 3)) for number in range(3)]
    assert sorted(job.name for each in shards for job in each) == sorted(job.name for job in jobs)
    for each in shards:
        names = {job.name for job in each}
        assert all(set(job.needs) <= names for job in each if job.arm.name == "ensemble")
    with pytest.raises(ValueError, match="argument `shard`"):
        share(jobs, (3, 3))


def test_killed_twice_and_continued(tmp_path, whole_report):
    command = [sys.executable, HERE / "stub_study.py", tmp_path / "out", tmp_path / "work"]
    for lines in (2, 7):
        with subprocess.Popen([*command, "0.2"], stdout=subprocess.PIPE, text=True) as process:
            for _ in range(lines):
                assert "h left" in process.stdout.readline()
            process.send_signal(signal.SIGKILL)
    done = len(list((tmp_path / "out" / "stub").glob("*-*.json")))
    assert 9 <= done < 27
    run_here(tmp_path)
    assert text_of(tmp_path) == whole_report


def test_a_job_that_fails_ends_the_run_and_what_is_done_stays(tmp_path):
    def fail(job):
        if job.name == "third-01":
            raise ValueError("third-01 is broken")
        return stub_run(job)

    with pytest.raises(ValueError, match="third-01 is broken"):
        run_here(tmp_path, run=fail)
    assert (tmp_path / "out" / "stub" / "main-03.json").is_file()
    run_here(tmp_path)


def test_processes_share_out_the_cores_and_leave_the_settings_alone(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with running.processes(2) as pool:
        names = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")
        assert [pool.submit(os.getenv, name).result() for name in names] == ["2", "3"]
    assert "TF_NUM_INTRAOP_THREADS" not in os.environ


def test_an_interruption_does_not_wait_for_what_runs():
    with pytest.raises(KeyboardInterrupt), running.processes(1) as pool:
        pool.submit(os.getpid).result()
        endless = pool.submit(time.sleep, 10_000)
        while not endless.running():
            time.sleep(0.01)
        raise KeyboardInterrupt
    assert not multiprocessing.active_children()


def test_workers_leave_ctrl_c_to_their_parent():
    with running.processes(1) as pool:
        worker = pool.submit(os.getpid).result()
        os.kill(worker, signal.SIGINT)
        assert pool.submit(os.getpid).result() == worker


def test_dask_with_a_killed_worker_leaves_the_same_report(tmp_path, whole_report, monkeypatch):
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    monkeypatch.setenv("PYTHONPATH", str(HERE), prepend=":")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(processes=True, **options) as cluster,
        distributed.Client(cluster) as client,
    ):
        process, *_ = client.run(os.getpid).values()
        killed = []

        def tell(line):
            if not killed:
                os.kill(process, signal.SIGKILL)
                killed.append(line)

        with running.dask_cluster(cluster.scheduler_address) as executor:
            jobs = stub_jobs(tmp_path / "out", tmp_path / "work")
            run_jobs(jobs, executor, (0, 1), stub_run, tell)
    assert killed
    assert text_of(tmp_path) == whole_report


def test_dask_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(ValueError, match="needs Dask, which is not there"),
        running.dask_cluster("tcp://127.0.0.1:1"),
    ):
        pass
