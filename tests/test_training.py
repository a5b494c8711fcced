import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import save

import ensemble_seg as es
from ensemble_seg.keeping.configs import run_config
from ensemble_seg.runs import RunFolder
from ensemble_seg.training import compile_model, lesion_dice

TINY = es.preset("smoke").replace(size=32, epochs=3, precision="float32", limit=0)
FIELDS = {key: value for key, value in asdict(TINY).items() if key != "name"}


def small_model(preset, seed=0):
    keras.utils.set_random_seed(seed)
    image = keras.Input((preset.size, preset.size, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    x = keras.layers.BatchNormalization()(x)
    return keras.Model(image, keras.layers.Conv2D(2, 1, activation="softmax")(x))


def weights_of(model):
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


def test_a_run_leaves_its_folder_and_nothing_else(disks, tmp_path):
    data = es.load_dataset(disks)
    run = es.train(small_model(TINY), data, TINY, runs_dir=tmp_path / "runs")
    assert run.path == tmp_path / "runs" / "disks" / TINY.label / "main"
    files = sorted(file.name for file in run.path.iterdir())
    assert files == ["config.json", "history.csv", "model.keras"]
    config = json.loads((run.path / "config.json").read_text())
    assert config["data_hash"] == data.hash
    assert config["preset"]["epochs"] == 3
    assert set(config["versions"]) >= {"tensorflow", "keras", "segmentation-models"}
    assert {key: len(values) for key, values in run.history.items()} == dict.fromkeys(
        ("dice", "loss", "val_dice", "val_loss"), 3
    )
    assert not keras.saving.load_model(run.path / "model.keras").compiled


def test_the_same_seed_twice_gives_the_same_weights(disks, tmp_path):
    data, preset = es.load_dataset(disks), TINY.replace(augment=True)
    runs = [es.train(small_model(preset), data, preset, runs_dir=tmp_path / n) for n in "ab"]
    np.testing.assert_array_equal(weights_of(runs[0].model), weights_of(runs[1].model))
    assert runs[0].history == runs[1].history


def test_best_keeps_the_epoch_with_the_highest_validation_dice(disks, tmp_path):
    data = es.load_dataset(disks)
    preset = TINY.replace(epochs=6, keep="best", learning_rate=0.05)
    run = es.train(small_model(preset), data, preset, runs_dir=tmp_path)
    scores = es.evaluate(run.model, data.validation).per_image["dice"]
    assert scores.mean() == pytest.approx(max(run.history["val_dice"]), abs=1e-5)


def test_last_keeps_the_last_epoch(disks, tmp_path):
    data, model = es.load_dataset(disks), small_model(TINY)
    run = es.train(model, data, TINY, runs_dir=tmp_path)
    scores = es.evaluate(run.model, data.validation).per_image["dice"]
    assert scores.mean() == pytest.approx(run.history["val_dice"][-1], abs=1e-5)
    np.testing.assert_array_equal(weights_of(model), weights_of(run.model))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [0.1] * 8),
        ({"warmup": 2}, [0, 0.025, 0.05, 0.075, 0.1, 0.1, 0.1, 0.1]),
        ({"decay": True}, [0.05 * (1 + np.cos(np.pi * step / 8)) for step in range(8)]),
        (
            {"warmup": 2, "decay": True},
            [0, 0.025, 0.05, 0.075, 0.1, 0.0853553, 0.05, 0.0146447],
        ),
    ],
)
def test_learning_rate_of_each_step(changes, expected):
    preset = TINY.replace(epochs=4, learning_rate=0.1, **changes)
    model = small_model(preset)
    compile_model(model, preset, es.ExponentialLoss(), total_steps=8)
    found = []
    for step in range(8):
        model.optimizer.iterations.assign(step)
        found.append(float(model.optimizer.learning_rate))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_weight_decay_of_the_preset_shrinks_weights_without_a_gradient():
    preset = TINY.replace(learning_rate=0.1, weight_decay=2.0)
    model = small_model(preset)
    compile_model(model, preset, es.ExponentialLoss(), total_steps=1)
    before = [np.array(weight) for weight in model.trainable_variables]
    model.optimizer.apply([keras.ops.zeros_like(weight) for weight in model.trainable_variables])
    for weight, old in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_allclose(weight, 0.8 * old, rtol=1e-6)


class StopError(Exception):
    pass


@pytest.mark.parametrize("changes", [{"keep": "best"}, {"keep": "last"}])
def test_an_interrupted_run_ends_like_one_that_was_not(disks, tmp_path, monkeypatch, changes):
    data, preset = es.load_dataset(disks), TINY.replace(epochs=4, warmup=1, decay=True, **changes)
    whole = es.train(small_model(preset), data, preset, runs_dir=tmp_path / "whole")

    def stop(self, epoch, logs=None):
        if epoch == 2:
            raise StopError

    with monkeypatch.context() as patch:
        patch.setattr("ensemble_seg.runs.KeepState.on_epoch_begin", stop, raising=False)
        with pytest.raises(StopError):
            es.train(small_model(preset), data, preset, runs_dir=tmp_path / "stopped")
    resumed = es.train(small_model(preset, 9), data, preset, runs_dir=tmp_path / "stopped")
    np.testing.assert_array_equal(weights_of(resumed.model), weights_of(whole.model))
    assert resumed.history == whole.history
    assert not (resumed.path / "backup").exists()


def test_killed_in_the_middle_and_resumed_in_new_processes(disks, tmp_path):
    script = tmp_path / "job.py"
    script.write_text(
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import ensemble_seg as es\n"
        "from test_training import TINY, small_model\n"
        "preset = TINY.replace(epochs=40)\n"
        "data = es.load_dataset(sys.argv[2])\n"
        "es.train(small_model(preset), data, preset, runs_dir=sys.argv[3])\n"
    )
    here = Path(__file__).parent
    command = [sys.executable, *map(str, (script, here, disks, tmp_path / "runs"))]
    path = tmp_path / "runs" / "disks" / TINY.replace(epochs=40).label / "main"
    job = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while job.poll() is None and not list((path / "backup").glob("epoch-*")):
        time.sleep(0.05)
    job.kill()
    job.wait()
    assert not (path / "model.keras").exists()
    subprocess.run(command, check=True, capture_output=True)
    history = es.load_run(path).history
    assert len(history["loss"]) == 40
    assert sorted(file.name for file in path.iterdir()) == [
        "config.json", "history.csv", "model.keras",
    ]  # fmt: skip


def test_a_finished_run_is_loaded_and_not_trained_again(disks, tmp_path):
    data = es.load_dataset(disks)
    first = es.train(small_model(TINY), data, TINY, runs_dir=tmp_path)
    stamp = (first.path / "model.keras").stat().st_mtime_ns
    other = small_model(TINY, seed=5)
    again = es.train(other, data, TINY, runs_dir=tmp_path)
    assert (again.path / "model.keras").stat().st_mtime_ns == stamp
    np.testing.assert_array_equal(weights_of(other), weights_of(first.model))


def test_a_run_on_other_data_is_refused(disks, tmp_path):
    data = es.load_dataset(disks)
    run = es.train(small_model(TINY), data, TINY, runs_dir=tmp_path)
    before = (run.path / "model.keras").read_bytes()
    with pytest.raises(ValueError, match="holds a run on other data"):
        es.train(small_model(TINY), es.load_dataset(disks, seed=1), TINY, runs_dir=tmp_path)
    assert (run.path / "model.keras").read_bytes() == before


def test_a_run_with_other_settings_is_refused(disks, tmp_path):
    data, mine = es.load_dataset(disks), es.Preset("mine", **FIELDS)
    run = es.train(small_model(TINY), data, mine, runs_dir=tmp_path)
    config = json.loads((run.path / "config.json").read_text())
    config["preset"]["epochs"] = 7
    (run.path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"other settings \(epochs=7, now 3\)"):
        es.train(small_model(TINY), data, mine, runs_dir=tmp_path)
    assert es.Preset("mine", **{**FIELDS, "seed": 9}).label != mine.label


def test_a_run_from_before_a_setting_was_added_is_known_again(disks, tmp_path):
    data = es.load_dataset(disks)
    run = es.train(small_model(TINY), data, TINY, runs_dir=tmp_path)
    config = json.loads((run.path / "config.json").read_text())
    del config["preset"]["warp"]
    (run.path / "config.json").write_text(json.dumps(config))
    es.train(small_model(TINY), data, TINY, runs_dir=tmp_path)
    other = run_config(data, TINY.replace(augment=True, warp=0.1), "main")
    with pytest.raises(ValueError, match=r"other settings \(augment=False, now True\)"):
        RunFolder(run.path).refuse_another(other)


def test_a_run_with_a_setting_that_is_gone(disks, tmp_path):
    data = es.load_dataset(disks)
    run = es.train(small_model(TINY), data, TINY, runs_dir=tmp_path)
    config = json.loads((run.path / "config.json").read_text())
    config["preset"]["optimizer"] = "adam"  # as earlier versions wrote it
    (run.path / "config.json").write_text(json.dumps(config))
    es.train(small_model(TINY), data, TINY, runs_dir=tmp_path)
    config["preset"]["optimizer"] = "muon"
    (run.path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="optimizer=muon, which this version no longer has"):
        es.train(small_model(TINY), data, TINY, runs_dir=tmp_path)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_bad_files_are_named_before_anything_is_written(disks, tmp_path, part):
    data = es.load_dataset(disks)
    image, mask, _ = getattr(data, part).pairs[0]
    save(mask, np.full((40, 48), 90, "uint8"))
    with pytest.raises(ValueError, match="expected a mask of two classes"):
        es.train(small_model(TINY), data, TINY, runs_dir=tmp_path / "runs")
    save(mask, np.zeros((40, 48), "uint8"))
    image.write_bytes(image.read_bytes()[:1500])
    with pytest.raises(ValueError, match="not an image that can be read"):
        es.train(small_model(TINY), data, TINY, runs_dir=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_load_or_train_says_what_it_does(disks, tmp_path, capsys):
    data, preset = es.load_dataset(disks), TINY.replace(epochs=1)
    trained = es.load_or_train("sampling", data, preset, tmp_path)
    assert "sampling: no finished run in" in capsys.readouterr().out
    assert trained.config["pairs"]["train"] == len(es.sampled(data, preset).train)
    loaded = es.load_or_train("sampling", data, preset, tmp_path)
    assert "sampling: loaded from" in capsys.readouterr().out
    np.testing.assert_array_equal(weights_of(trained.model), weights_of(loaded.model))
    with pytest.raises(ValueError, match="Unknown model 'third'. Expected one of main, sampling"):
        es.load_or_train("third", data, preset, tmp_path)


def test_runs_dir_comes_from_the_environment(disks, tmp_path, monkeypatch):
    monkeypatch.setenv("ENSEMBLE_SEG_RUNS_DIR", str(tmp_path / "elsewhere"))
    run = es.train(small_model(TINY), es.load_dataset(disks), TINY)
    assert run.path.is_relative_to(tmp_path / "elsewhere")


def test_runs_are_shared_where_settings_do_not_matter(disks, tmp_path, capsys):
    data, preset = es.load_dataset(disks), TINY.replace(epochs=1)
    paths = {
        name: {
            es.run_path(data, preset.replace(**change), name)
            for change in ({}, {"margin": (5,)}, {"weights": (1.0, 3.0)}, {"seed": 1})
        }
        for name in ("main", "sampling", "ensemble")
    }
    assert {name: len(found) for name, found in paths.items()} == {
        "main": 2, "sampling": 3, "ensemble": 4,
    }  # fmt: skip
    es.load_or_train("main", data, preset, tmp_path)
    es.load_or_train("main", data, preset.replace(margin=(5,)), tmp_path)
    assert "main: loaded from" in capsys.readouterr().out


def test_load_run_needs_a_finished_run(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no finished run \(model.keras\). Train it"):
        es.load_run(tmp_path)


def test_a_model_is_read_from_its_folder_once(disks, tmp_path, monkeypatch):
    es.train(small_model(TINY), es.load_dataset(disks), TINY, runs_dir=tmp_path)
    run = es.load_run(next(tmp_path.glob("*/*/main")))
    model = run.model
    monkeypatch.setattr("keras.saving.load_model", lambda *_, **__: pytest.fail("read again"))
    assert run.model is model


def test_dice_metric_counts_images_and_empty_masks():
    truth = np.zeros((3, 4, 4), int)
    truth[0, :2] = truth[1, 0] = 1
    predicted = np.zeros((3, 4, 4), int)
    predicted[0, :2] = predicted[1, 0, :2] = 1
    dice = lesion_dice(np.eye(2)[truth], np.eye(2)[predicted])
    np.testing.assert_allclose(dice, [1, 2 * 2 / 6, 1], rtol=1e-6)
