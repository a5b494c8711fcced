"""NaN, Ctrl-C, SIGTERM, memory and settings of Keras: one message, and what is kept."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import write_disks
from test_training import small_model, weights_of

import ensemble_seg as es
from ensemble_seg.__main__ import main
from ensemble_seg.common.stopping import terminable, uninterrupted
from ensemble_seg.hardware.precision import dtype_policy
from ensemble_seg.keeping.states import write_state
from ensemble_seg.runs import KeepState, RunFolder
from ensemble_seg.training import compile_model

TINY = es.preset("smoke").replace(size=32, epochs=4, precision="float32", limit=0)


def poisoned(monkeypatch, epoch, poison):
    """Let something happen to a training before an epoch."""

    def act(self, number, logs=None):
        if number == epoch:
            poison(self.model)

    monkeypatch.setattr(KeepState, "on_epoch_begin", act, raising=False)


def to_nan(model):
    model.set_weights([np.full(weight.shape, np.nan) for weight in model.get_weights()])


def test_a_loss_that_is_not_finite_stops_the_training(disks, tmp_path, monkeypatch):
    data = es.load_dataset(disks)
    whole = es.train(small_model(TINY), data, TINY, runs_dir=tmp_path / "whole")
    with monkeypatch.context() as patch:
        poisoned(patch, 2, to_nan)
        with pytest.raises(RuntimeError) as caught:
            es.train(small_model(TINY), data, TINY, runs_dir=tmp_path / "runs")
    folder = es.run_path(data, TINY, "main", tmp_path / "runs")
    assert str(caught.value) == (
        "Training stopped at epoch 3, step 1: the loss is not finite (nan). The state after epoch "
        f"2 is kept in {folder}. Choose a lower learning_rate (now 0.001), another loss (now "
        "exponential); with a changed setting a new run begins."
    )
    again = es.train(small_model(TINY), data, TINY, runs_dir=tmp_path / "runs")
    np.testing.assert_array_equal(weights_of(again.model), weights_of(whole.model))


def test_a_validation_loss_that_is_not_finite_stops_it_before_the_state_is_kept(
    disks, tmp_path, monkeypatch
):
    """As after a last step that went wrong, or where batch normalisation has lost its mean."""
    data = es.load_dataset(disks)
    last = -(-len(data.train) // TINY.batch_size) - 1

    def act(self, batch, logs=None):
        if batch == last:
            to_nan(self.model)

    monkeypatch.setattr(KeepState, "on_train_batch_end", act, raising=False)
    with pytest.raises(RuntimeError, match="the end of epoch 1: val_loss is not finite .nan.. No "):
        es.train(small_model(TINY), data, TINY, runs_dir=tmp_path)
    folder = es.run_path(data, TINY, "main", tmp_path)
    assert [file.name for file in folder.iterdir()] == ["config.json"]


def test_the_train_command_ends_with_1(disks, tmp_path, monkeypatch, capsys):
    poisoned(monkeypatch, 0, to_nan)
    monkeypatch.setattr("ensemble_seg.training.unet", lambda preset, name: small_model(preset))
    command = ["train", "--dataset", str(disks), "--preset", "smoke,size=32,loss=cross-entropy"]
    assert main([*command, "--runs-dir", str(tmp_path / "runs")]) == 1
    error = capsys.readouterr().err
    message = (
        "ensemble_seg: Training stopped at epoch 1, step 1: the loss is not finite (nan). No epoch "
        "had ended, so nothing of it is kept. Choose a lower learning_rate (now 0.001), "
        "precision=float32, or another loss (now cross-entropy); with a changed setting a new run "
        "begins.\n"
    )
    assert message in error
    assert "Traceback" not in error


def test_float16_scales_its_loss():
    """A loss times 1e-7 has gradients that are 0 in float16; scaled by 2^15 they are not."""
    for precision, scaled in (("mixed_float16", True), ("mixed_bfloat16", False)):
        preset = TINY.replace(precision=precision)
        with dtype_policy(precision):
            model = small_model(preset)
        compile_model(model, preset, es.ExponentialLoss(), total_steps=1)
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer) == scaled
    loss = keras.losses.CategoricalCrossentropy()
    preset = TINY.replace(precision="mixed_float16")
    with dtype_policy("mixed_float16"):
        model = small_model(preset)
    compile_model(model, preset, lambda true, pred: 1e-7 * loss(true, pred), total_steps=1)
    before = model.layers[2].get_weights()[0].copy()
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3))
    masks = np.eye(2)[np.random.default_rng(1).integers(0, 2, (2, 32, 32))]
    for _ in range(2):
        assert np.isfinite(model.train_on_batch(images, masks)[0])
    assert not np.array_equal(before, model.layers[2].get_weights()[0])


@pytest.mark.parametrize(
    "error", [MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")]
)
def test_out_of_memory_while_training(disks, tmp_path, monkeypatch, error):
    def fail(model):
        raise error

    poisoned(monkeypatch, 1, fail)
    data = es.load_dataset(disks)
    with pytest.raises(RuntimeError) as caught:
        es.train(small_model(TINY), data, TINY, runs_dir=tmp_path)
    assert str(caught.value) == (
        "The training of main ran out of memory. The state after epoch 1 is kept in "
        f"{es.run_path(data, TINY, 'main', tmp_path)}. Choose a lower batch_size (now 4) or size "
        "(now 32); with a changed setting a new run begins. Or free memory, and the same command "
        "goes on."
    )


@pytest.mark.parametrize(
    "error", [MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")]
)
def test_out_of_memory_elsewhere(disks, monkeypatch, capsys, error):
    def fail(*given, **named):
        raise error

    monkeypatch.setattr("ensemble_seg.inspection.inspecting.inspect_dataset", fail)
    assert main(["check", str(disks)]) == 1
    assert capsys.readouterr().err == (
        "ensemble_seg: out of memory. Close other programs, or use a machine with more of it.\n"
    )


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_ends_a_command_with_what_is_kept(tmp_path, name, code):
    """In a process of its own, as a user's: with threads of TensorFlow, and a real signal."""
    disks = write_disks(tmp_path)
    script = (
        "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "from ensemble_seg import __main__, training\n"
        "from test_training import small_model\n"
        "training.unet = lambda preset, name: small_model(preset)\n"
        "__main__.run()\n"
    )
    label = "smoke,size=32,epochs=5000,limit=0"
    options = ["--dataset", str(disks), "--preset", label, "--runs-dir", str(tmp_path / "runs")]
    command = [sys.executable, "-c", script, str(Path(__file__).parent), "train", *options]
    job = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while job.poll() is None and not list(tmp_path.glob("runs/disks/*/main/backup/epoch-*")):
        time.sleep(0.1)
    try:
        os.kill(job.pid, getattr(signal, name))
        error = job.communicate(timeout=300)[1]
    finally:
        job.kill()
    assert job.returncode == code, error
    assert "Traceback" not in error
    (folder,) = tmp_path.glob("runs/disks/*/main")
    message = (
        "ensemble_seg: The training of main was interrupted. The state after epoch [0-9]+ is kept "
        f"in {re.escape(str(folder))}. The same command goes on.\n"
    )
    assert re.search(message, error), error
    assert not list(folder.rglob("partial-*"))
    assert not (folder / "lock.json").exists()


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_while_tensorflow_is_imported(disks, name, code):
    command = [sys.executable, "-X", "importtime", "-m", "ensemble_seg", "check", str(disks)]
    job = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        next(line for line in job.stderr if line.endswith("| keras.src.utils\n") or "h5py" in line)
        os.kill(job.pid, getattr(signal, name))
        error = job.communicate(timeout=300)[1]
    finally:
        job.kill()
    assert job.returncode == code
    message = "Interrupted. Nothing half-written is left; run the same command again."
    assert f"\nensemble_seg: {message}\n" in error
    assert "Traceback" not in error


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_is_lost_on_its_way_up_stops_the_training_all_the_same(
    disks, tmp_path, capsys, monkeypatch, kind
):
    class Removed:
        def __del__(self):
            signal.raise_signal(kind)

    def lose(model):
        del model.lost  # here Python passes over what is raised

    def network(preset, name):
        model = small_model(preset)
        model.lost = Removed()
        return model

    monkeypatch.setattr("ensemble_seg.training.unet", network)
    monkeypatch.setattr("sys.unraisablehook", lambda passed_over: None)
    poisoned(monkeypatch, 1, lose)
    places = ["--dataset", str(disks), "--runs-dir", str(tmp_path)]
    options = [*places, "--preset", "smoke,size=32,epochs=3,limit=0"]
    assert main(["train", *options]) == {signal.SIGINT: 130, signal.SIGTERM: 143}[kind]
    error = capsys.readouterr().err
    assert "The training of main was interrupted. The state after epoch 1 is kept in" in error


def test_a_second_signal_does_not_disturb_what_is_put_in_order():
    before = signal.getsignal(signal.SIGINT)
    done = []
    with pytest.raises(KeyboardInterrupt), terminable():
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            done.append(True)
    assert done
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("within", [contextlib.nullcontext, terminable])
def test_a_signal_waits_until_it_can_be_answered(within):
    """With Python's own handler of SIGINT, as in a notebook, and with that of a command."""
    before, steps = signal.getsignal(signal.SIGINT), []
    with pytest.raises(KeyboardInterrupt), within(), uninterrupted() as answer:
        answer()
        signal.raise_signal(signal.SIGINT)
        steps.append("a state is written whole")
        answer()
        steps.append("not reached")
    assert steps == ["a state is written whole"]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_signal_that_is_not_answered_is_raised_at_the_end():
    steps = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        signal.raise_signal(signal.SIGINT)
        steps.append("the rest of the block")
    assert steps == ["the rest of the block"]


def test_a_second_signal_does_not_wait():
    steps = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        signal.raise_signal(signal.SIGINT)
        steps.append("waits")
        signal.raise_signal(signal.SIGINT)
        steps.append("not reached")
    assert steps == ["waits"]


def test_signals_are_left_alone_where_nothing_in_python_answers_them():
    found = []
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with uninterrupted():
            found += [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)]
        with ThreadPoolExecutor() as pool:  # not the main thread: only that one gets signals
            assert pool.submit(lambda: uninterrupted().__enter__()()).result() is None
    finally:
        signal.signal(signal.SIGINT, before)
    assert found == [signal.SIG_IGN, signal.SIG_DFL]


def test_a_signal_while_a_state_is_written_does_not_disturb_it(disks, tmp_path, monkeypatch):
    written = []

    def write(model, file, history):
        signal.raise_signal(signal.SIGINT)
        write_state(model, file, history)
        written.append(file.is_file())

    monkeypatch.setattr("ensemble_seg.runs.write_state", write)
    data = es.load_dataset(disks)
    with pytest.raises(KeyboardInterrupt, match="The state after epoch 1 is kept in") as caught:
        es.train(small_model(TINY), data, TINY, runs_dir=tmp_path)
    assert str(caught.value).endswith("The same command goes on.")
    assert written == [True]


def test_a_signal_while_the_model_is_written_says_that_it_is_there(disks, tmp_path, monkeypatch):
    def finish(folder, model=None):
        signal.raise_signal(signal.SIGINT)
        finish_as_ever(folder, model)

    finish_as_ever = RunFolder.finish
    monkeypatch.setattr(RunFolder, "finish", finish)
    data = es.load_dataset(disks)
    with pytest.raises(KeyboardInterrupt, match="The trained model is in"):
        es.train(small_model(TINY), data, TINY, runs_dir=tmp_path)
    monkeypatch.undo()
    es.train(small_model(TINY), data, TINY, runs_dir=tmp_path)


def test_a_command_that_keeps_nothing_says_so(disks, monkeypatch, capsys):
    def stop(*given, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr("ensemble_seg.inspection.inspecting.inspect_dataset", stop)
    assert main(["check", str(disks)]) == 130
    assert capsys.readouterr().err.strip() == (
        "ensemble_seg: Interrupted. Nothing half-written is left; run the same command again."
    )


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"TF_USE_LEGACY_KERAS": "1"}, "TF_USE_LEGACY_KERAS asks TensorFlow for Keras 2. Expected"),
        ({"KERAS_BACKEND": "torch"}, "KERAS_BACKEND=torch"),
        ({"KERAS_BACKEND": "tensorfow"}, "KERAS_BACKEND=tensorfow"),
        ({"KERAS_HOME": "first"}, "image_data_format in Keras' settings"),
    ],
)
def test_settings_of_keras_that_cannot_be_used(tmp_path, variables, message):
    (tmp_path / "first").mkdir()
    text = '{"image_data_format": "channels_first", "backend": "tensorflow", "floatx": "float32"}'
    (tmp_path / "first" / "keras.json").write_text(text)
    if "KERAS_HOME" in variables:
        variables = {"KERAS_HOME": str(tmp_path / "first")}
    done = subprocess.run(
        [sys.executable, "-m", "ensemble_seg", "check"],
        capture_output=True, text=True, env={**os.environ, **variables},
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    (line,) = [line for line in done.stderr.splitlines() if "ensemble_seg" in line]
    assert message in line
    assert "start Python again" in line
