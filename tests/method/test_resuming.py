"""Whatever stops a training, the next call ends with the weights of an undisturbed one."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import write_disks
from tiny import RESUMED as PRESET
from tiny import small_model, weights_of

import ensemble_seg as es
from ensemble_seg.training import KeepState

BEST = PRESET.replace(epochs=2, keep="best")
TESTS = Path(__file__).resolve().parents[1]


class StoppedError(BaseException):
    """Stands for a kill: nothing in the training may catch it and tidy up."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return es.load_dataset(write_disks(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    """Runs that nothing stopped, by preset."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return {
        preset: es.train(small_model(), data, preset, runs_dir=folder) for preset in (PRESET, BEST)
    }


def assert_same_end(data, preset, runs, undisturbed):
    """Train on, and compare with what came of a training that nothing stopped."""
    run = es.train(small_model(), data, preset, runs_dir=runs)
    np.testing.assert_array_equal(weights_of(run.model), weights_of(undisturbed[preset].model))
    assert run.history == undisturbed[preset].history
    left = {file.name for file in run.path.iterdir()} - {".lock"}
    assert left == {"config.json", "history.csv", "model.keras"}


# Of the renames: config.json; best.keras, history.csv and state of two epochs (no best.keras where
# the second is no better); model.keras. A kill leaves the file whole or half, and not yet renamed.
@pytest.mark.parametrize(
    ("rename", "half"),
    [(1, True), (2, True), (3, True), (4, False), (4, True), (7, False)],
)
def test_stopped_before_a_rename(data, tmp_path, monkeypatch, undisturbed, rename, half):
    renamed, original = [], Path.replace

    def replace(path, target):
        renamed.append(Path(target).name)
        if len(renamed) == rename:
            if half and path.name.startswith("partial-"):
                path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            raise StoppedError
        return original(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        with pytest.raises(StoppedError):
            es.train(small_model(), data, BEST, runs_dir=tmp_path)
    assert (
        renamed[:4]
        == ["config.json", "best.keras", "history.csv", "epoch-0001.weights.h5"][:rename]
    )
    assert_same_end(data, BEST, tmp_path, undisturbed)


def test_stopped_before_the_older_state_is_removed(data, tmp_path, monkeypatch, undisturbed):
    def unlink(path, **given):
        raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", unlink)
        with pytest.raises(StoppedError):
            es.train(small_model(), data, PRESET, runs_dir=tmp_path)
    states = [file.name for file in tmp_path.rglob("epoch-*")]
    assert sorted(states) == ["epoch-0001.weights.h5", "epoch-0002.weights.h5"]
    assert_same_end(data, PRESET, tmp_path, undisturbed)


def test_stopped_again_and_again(data, tmp_path, monkeypatch, capsys, undisturbed):
    """In the midst of each of three epochs."""

    def stop_in(epochs):
        def on_train_batch_end(self, batch, logs=None):
            if len(self.history.get("loss", [])) == epochs and batch == 1:
                raise StoppedError

        return on_train_batch_end

    for epochs in range(3):
        with monkeypatch.context() as patch:
            patch.setattr(KeepState, "on_train_batch_end", stop_in(epochs))
            with pytest.raises(StoppedError):
                es.train(small_model(), data, PRESET, runs_dir=tmp_path)
        capsys.readouterr()
    assert_same_end(data, PRESET, tmp_path, undisturbed)
    assert "main: goes on after epoch 2" in capsys.readouterr().out


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import ensemble_seg as es
from ensemble_seg.training import KeepState
from tiny import RESUMED as PRESET, small_model

original, moment = Path.replace, sys.argv[4]

def kill():
    os.kill(os.getpid(), signal.SIGKILL)

def replace(path, target):
    if moment in Path(target).name:
        kill()
    return original(path, target)

def on_test_batch_end(self, batch, logs=None):
    if moment == "midst" and list(self.folder.glob("epoch-0001*")):
        kill()

Path.replace, KeepState.on_test_batch_end = replace, on_test_batch_end
es.train(small_model(), es.load_dataset(sys.argv[2]), PRESET, runs_dir=sys.argv[3])
"""


def test_kill_9_in_other_processes(data, tmp_path, undisturbed):
    """In the midst of the second epoch, and while its state is written."""
    jobs = {}
    for moment in ("midst", "epoch-0002"):
        arguments = [str(TESTS), str(data.train.folder), str(tmp_path / moment), moment]
        command = [sys.executable, "-c", KILLED, *arguments]
        jobs[moment] = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    for moment, job in jobs.items():
        _, error = job.communicate()
        assert job.returncode == -9, (moment, error.decode()[-2000:])
        (state,) = (tmp_path / moment).rglob("epoch-*")
        assert state.name == "epoch-0001.weights.h5"
        assert_same_end(data, PRESET, tmp_path / moment, undisturbed)


HOLD = """
import sys, filelock
with filelock.FileLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_and_a_killed_one_does_not_block(data, tmp_path, undisturbed):
    folder = es.run_path(data, PRESET, "main", tmp_path)
    folder.mkdir(parents=True)
    command = [sys.executable, "-c", HOLD, str(folder / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(RuntimeError) as caught:
            es.train(small_model(), data, PRESET, runs_dir=tmp_path)
        holder.kill()
    assert str(caught.value) == (
        f"{folder}: another process trains in it. Wait for it, or set ENSEMBLE_SEG_RUNS_DIR."
    )
    assert_same_end(data, PRESET, tmp_path, undisturbed)


def to_nan(model):
    model.set_weights([np.full(weight.shape, np.nan) for weight in model.get_weights()])


def test_a_loss_that_is_not_finite_stops_the_training(data, tmp_path, monkeypatch, undisturbed):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            to_nan(self.model)

    with monkeypatch.context() as patch:
        patch.setattr(KeepState, "on_epoch_begin", on_epoch_begin)
        with pytest.raises(
            RuntimeError, match=r"loss is not finite.* lower learning_rate .now 0.0"
        ):
            es.train(small_model(), data, PRESET, runs_dir=tmp_path)
    assert_same_end(data, PRESET, tmp_path, undisturbed)


def test_weights_that_broke_in_the_last_step_are_not_kept(data, tmp_path, monkeypatch, undisturbed):
    """The loss of a step is that before its update: only the validation sees what came of it."""

    def on_test_begin(self, logs=None):
        to_nan(self.model)

    with monkeypatch.context() as patch:
        patch.setattr(KeepState, "on_test_begin", on_test_begin)
        with pytest.raises(RuntimeError, match="loss is not finite"):
            es.train(small_model(), data, PRESET, runs_dir=tmp_path)
    assert not list(tmp_path.rglob("*.keras")) and not list(tmp_path.rglob("epoch-*"))
    assert_same_end(data, PRESET, tmp_path, undisturbed)
