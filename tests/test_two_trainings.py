"""One process at a time trains in a run folder; the second is told who is there."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from test_training import small_model, weights_of

import ensemble_seg as es
from ensemble_seg.common import locks
from ensemble_seg.common.files import whole
from ensemble_seg.reading.windows import cached_reader

TINY = es.preset("smoke").replace(size=32, precision="float32", limit=0)
PACKAGE = Path(es.__file__).parent
HOLD = """
import importlib.util, sys, types
sys.modules["package"] = types.ModuleType("package")
sys.modules["package"].__path__ = [sys.argv[1]]  # without TensorFlow: it takes seconds
locks = importlib.import_module("package.locks")
with locks.held(sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds tmp_path / "run" until it is killed."""
    command = [sys.executable, "-c", "import importlib" + HOLD]
    command += [str(PACKAGE / "common"), str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_the_second_is_refused_and_a_killed_holder_does_not_block(holder, tmp_path):
    folder = tmp_path / "run"
    who = f"{folder}: Process {holder.pid} on {socket.gethostname()} \\(since 20.*\\) works in this"
    for call in (locks.refuse_if_held, lambda folder: locks.held(folder).__enter__()):
        with pytest.raises(RuntimeError, match=f"{who} folder. Wait until it has ended, or end it"):
            call(folder)
    holder.kill()
    holder.wait()
    assert (folder / "lock.json").is_file()
    locks.refuse_if_held(folder)
    with locks.held(folder):
        assert json.loads((folder / "lock.json").read_text())["process"] == os.getpid()
    assert list(folder.iterdir()) == []


def test_training_in_a_held_folder_is_refused_before_anything_is_read(disks, tmp_path, monkeypatch):
    data = es.load_dataset(disks)
    folder = es.run_path(data, TINY, "main", tmp_path)
    monkeypatch.setattr("ensemble_seg.training.checked_masks", None)
    with locks.held(folder), pytest.raises(RuntimeError, match=f"Process {os.getpid()} on"):
        es.train(small_model(TINY), data, TINY, runs_dir=tmp_path)
    with locks.held(folder), pytest.raises(RuntimeError, match=f"Process {os.getpid()} on"):
        es.load_or_train("main", data, TINY, tmp_path)


def left(folder, host, age, process=1):
    folder.mkdir(exist_ok=True)
    path = folder / "lock.json"
    path.write_text(json.dumps({"process": process, "host": host, "since": "2024-01-01 00:00:00"}))
    os.utime(path, (time.time() - age,) * 2)


def test_on_a_network_drive_it_says_that_it_cannot_be_told(tmp_path):
    left(tmp_path, "elsewhere", age=100)
    with pytest.raises(
        RuntimeError, match="Process 1 on elsewhere .* cannot be told whether it st"
    ):
        locks.refuse_if_held(tmp_path)
    left(tmp_path, "elsewhere", age=301)
    locks.refuse_if_held(tmp_path)
    with locks.held(tmp_path):
        pass


def test_the_holder_gives_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "BEAT", 0.01)
    with locks.held(tmp_path):
        os.utime(tmp_path / "lock.json", (0, 0))
        for _ in range(1000):
            if (tmp_path / "lock.json").stat().st_mtime > 0:
                break
            time.sleep(0.01)
        assert (tmp_path / "lock.json").stat().st_mtime > 0


@pytest.mark.parametrize(("process", "free"), [(os.getpid(), False), (2**22 + 1, True)])
def test_a_drive_without_locks(tmp_path, monkeypatch, process, free):
    def unsupported(*given):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(locks.fcntl, "flock", unsupported)
    left(tmp_path, socket.gethostname(), 0, process)
    if free:  # no process has that number
        with locks.held(tmp_path):
            pass
    else:
        with pytest.raises(RuntimeError, match="From here it cannot be told"):
            locks.refuse_if_held(tmp_path)


def test_a_file_that_is_no_lock(tmp_path):
    (tmp_path / "lock.json").write_text("[1")
    with locks.held(tmp_path):
        pass


def test_two_processes_train_in_one_folder(disks, tmp_path):
    """One trains, the other is refused or finds it finished: the result is that of one alone."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import ensemble_seg as es\n"
        "from test_two_trainings import TINY, small_model\n"
        "preset = TINY.replace(epochs=8)\n"
        "data = es.load_dataset(sys.argv[2])\n"
        "es.train(small_model(preset), data, preset, runs_dir=sys.argv[3])\n"
    )
    arguments = [str(Path(__file__).parent), str(disks), str(tmp_path / "runs")]
    command = [sys.executable, "-c", script, *arguments]
    jobs = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [job.communicate()[1] for job in jobs]
    codes = sorted(job.returncode for job in jobs)
    assert codes in ([0, 0], [0, 1]), errors
    assert codes == [0, 0] or any("works in this folder" in error for error in errors)
    preset = TINY.replace(epochs=8)
    data = es.load_dataset(disks)
    alone = es.train(small_model(preset), data, preset, runs_dir=tmp_path / "alone")
    both = es.load_run(es.run_path(data, preset, "main", tmp_path / "runs"))
    assert len(both.history["loss"]) == 8
    np.testing.assert_allclose(weights_of(both.model), weights_of(alone.model), atol=1e-6)
    files = sorted(file.name for file in both.path.iterdir())
    assert files == ["config.json", "history.csv", "model.keras"]


def test_two_that_fill_one_cache_do_not_meet(disks, tmp_path):
    """Each writes a file of its own and renames it: who comes second replaces the same bytes."""
    windows = es.load_dataset(disks).train.windows
    first = cached_reader(windows, 32, tmp_path)
    (cache,) = tmp_path.glob("*.cache")
    before = cache.read_bytes()
    with whole(cache) as partial:  # a second process that began before the first had ended
        assert partial != cache
        partial.write_bytes(before)
        image, mask = (each.copy() for each in first(3))
    assert cache.read_bytes() == before
    for read in (first, cached_reader(windows, 32, tmp_path)):
        np.testing.assert_array_equal(read(3)[0], image)
        np.testing.assert_array_equal(read(3)[1], mask)
    assert list(tmp_path.glob("*partial*")) == []


def test_two_that_write_one_folder(tmp_path):
    """The second of two `sample IN OUT` says that OUT is there, and OUT is the first's, whole."""
    out = tmp_path / "crops"
    message = "crops: exists; it was made while this ran."
    with pytest.raises(FileExistsError, match=message), whole(out) as late:
        late.mkdir()
        (late / "a.png").write_text("late")
        with whole(out) as early:
            assert early != late
            early.mkdir()
            (early / "a.png").write_text("early")
    assert (out / "a.png").read_text() == "early"
    assert list(tmp_path.iterdir()) == [out]
