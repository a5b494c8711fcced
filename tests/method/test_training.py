import json
from dataclasses import asdict

import keras
import numpy as np
import pytest
from conftest import save
from tiny import TINY, small_model, weights_of

import ensemble_seg as es
from ensemble_seg.training import KeepState, compile_model

FILES = ["config.json", "history.csv", "model.keras"]


def files_of(folder):
    """What a run leaves, but for the lock, which is empty."""
    return sorted(file.name for file in folder.iterdir() if file.name != ".lock")


def test_a_run_leaves_its_folder_and_nothing_else(disks, tmp_path):
    data, model = es.load_dataset(disks), small_model()
    run = es.train(model, data, TINY, runs_dir=tmp_path / "runs")
    assert run.path == tmp_path / "runs" / "disks" / TINY.label / "main"
    assert files_of(run.path) == FILES
    config = json.loads((run.path / "config.json").read_text("utf-8"))
    assert config["data_hash"] == data.hash
    assert config["pairs"] == {"train": 14, "validation": 2}
    assert config["preset"] == json.loads(json.dumps(asdict(TINY)))
    assert set(config["versions"]) >= {"tensorflow", "keras", "segmentation-models"}
    assert {key: len(values) for key, values in run.history.items()} == dict.fromkeys(
        ("dice", "loss", "val_dice", "val_loss"), 3
    )
    assert not run.model.compiled
    np.testing.assert_array_equal(weights_of(model), weights_of(run.model))
    assert es.load_run(run.path) == run


def test_it_learns(disks, tmp_path):
    preset = TINY.replace(epochs=20, learning_rate=0.05)
    history = es.train(small_model(), es.load_dataset(disks), preset, runs_dir=tmp_path).history
    assert history["loss"][-1] < history["loss"][0]
    assert history["dice"][-1] > 0.8


def test_the_same_seed_twice_gives_the_same_weights(disks, tmp_path):
    data, preset = es.load_dataset(disks), TINY.replace(augment=True)
    runs = [es.train(small_model(), data, preset, runs_dir=tmp_path / n) for n in "ab"]
    np.testing.assert_array_equal(weights_of(runs[0].model), weights_of(runs[1].model))
    assert runs[0].history == runs[1].history


def scripted_dice(monkeypatch, values):
    """Let the validation Dice of the epochs be what a test wants it to be."""
    original = KeepState.on_epoch_end

    def on_epoch_end(self, epoch, logs=None):
        self.seen = [*getattr(self, "seen", []), weights_of(self.model)]
        monkeypatch.setattr(KeepState, "seen", self.seen, raising=False)
        original(self, epoch, {**logs, "val_dice": values[epoch]})

    monkeypatch.setattr(KeepState, "on_epoch_end", on_epoch_end)


@pytest.mark.parametrize(
    ("keep", "values", "kept"),
    [
        ("best", [0.2, 0.7, 0.5], 1),
        ("best", [0.2, 0.5, 0.7], 2),
        ("best", [0.5, 0.5, 0.4], 0),  # the first of equals
        ("best", [0.0, 0.0, 0.0], 0),
        ("last", [0.7, 0.5, 0.2], 2),
    ],
)
def test_best_keeps_the_epoch_with_the_highest_validation_dice(
    disks, tmp_path, monkeypatch, keep, values, kept
):
    scripted_dice(monkeypatch, values)
    model, preset = small_model(), TINY.replace(keep=keep)
    run = es.train(model, es.load_dataset(disks), preset, runs_dir=tmp_path)
    assert run.history["val_dice"] == values
    np.testing.assert_array_equal(weights_of(run.model), KeepState.seen[kept])
    np.testing.assert_array_equal(weights_of(model), KeepState.seen[kept])
    assert files_of(run.path) == FILES


@pytest.mark.parametrize(
    ("decay", "expected"),
    [(False, [0.1] * 8), (True, [0.05 * (1 + np.cos(np.pi * step / 8)) for step in range(8)])],
)
def test_learning_rate_of_each_step(decay, expected):
    preset, model = TINY.replace(learning_rate=0.1, decay=decay), small_model()
    compile_model(model, preset, es.ExponentialLoss(), total_steps=8)
    found = []
    for step in range(8):
        model.optimizer.iterations.assign(step)
        found.append(float(model.optimizer.learning_rate))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_rate_falls_over_all_steps_of_all_epochs(disks, tmp_path):
    preset, model = TINY.replace(decay=True, learning_rate=0.1), small_model()
    es.train(model, es.load_dataset(disks), preset, runs_dir=tmp_path)
    optimizer = model.optimizer
    assert int(optimizer.iterations) == 4 * 3  # 14 images in batches of 4, three times
    assert float(optimizer.learning_rate) == pytest.approx(0, abs=1e-7)
    for step, share in ((0, 1), (6, 0.5), (11, 0.5 * (1 + np.cos(np.pi * 11 / 12)))):
        optimizer.iterations.assign(step)
        assert float(optimizer.learning_rate) == pytest.approx(0.1 * share, rel=1e-4)


def adam(weights, gradients, rates):
    """Adam in float64, as Kingma and Ba write it before section 2.1, epsilon hat."""
    weights = np.asarray(weights, "float64")
    m, v = np.zeros_like(weights), np.zeros_like(weights)
    for t, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        step = rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        weights = weights - step * m / (np.sqrt(v) + 1e-7)
    return weights


@pytest.mark.parametrize("decay", [False, True])
def test_ten_steps_are_those_of_adam(decay):
    rng, model = np.random.default_rng(0), small_model()
    preset = TINY.replace(learning_rate=0.1, decay=decay)
    compile_model(model, preset, es.ExponentialLoss(), total_steps=10)
    weight = model.trainable_variables[0]
    start, gradients = weight.numpy(), rng.normal(size=(10, *weight.shape)).astype("float32")
    for gradient in gradients:
        others = [keras.ops.zeros_like(other) for other in model.trainable_variables[1:]]
        model.optimizer.apply([keras.ops.convert_to_tensor(gradient), *others])
    rates = [0.05 * (1 + np.cos(np.pi * step / 10)) if decay else 0.1 for step in range(10)]
    np.testing.assert_allclose(weight, adam(start, gradients, rates), rtol=1e-4, atol=1e-5)


def test_float16_scales_its_loss():
    """A loss times 1e-7 has gradients that are 0 in float16; scaled by 2^15 they are not."""
    compile_model(bf := small_model(), TINY.replace(precision="mixed_bfloat16"), None, 1)
    assert not isinstance(bf.optimizer, keras.optimizers.LossScaleOptimizer)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = small_model()
    finally:
        keras.config.set_dtype_policy("float32")
    entropy = keras.losses.CategoricalCrossentropy()
    half = TINY.replace(precision="mixed_float16")
    compile_model(model, half, lambda true, pred: 1e-7 * entropy(true, pred), 1)
    before = model.layers[2].get_weights()[0].copy()
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3))
    masks = np.eye(2)[np.random.default_rng(1).integers(0, 2, (2, 32, 32))]
    for _ in range(2):
        assert np.isfinite(model.train_on_batch(images, masks)[0])
    assert not np.array_equal(before, model.layers[2].get_weights()[0])


def test_a_finished_run_is_loaded_and_not_trained_again(disks, tmp_path):
    data = es.load_dataset(disks)
    first = es.train(small_model(), data, TINY, runs_dir=tmp_path)
    stamp = (first.path / "model.keras").stat().st_mtime_ns
    other = small_model(seed=5)
    again = es.train(other, data, TINY, runs_dir=tmp_path)
    assert (again.path / "model.keras").stat().st_mtime_ns == stamp
    np.testing.assert_array_equal(weights_of(other), weights_of(first.model))


def test_a_run_of_other_data_or_settings_is_refused_and_left_alone(disks, tmp_path):
    data = es.load_dataset(disks)
    fields = {key: value for key, value in asdict(TINY).items() if key != "name"}
    mine = es.Preset("mine", **fields)
    run = es.train(small_model(), data, mine, runs_dir=tmp_path)
    content = (run.path / "model.keras").read_bytes()
    with pytest.raises(ValueError, match=f"{run.path}: holds a run with other data. Remove"):
        es.train(small_model(), es.load_dataset(disks, seed=1), mine, runs_dir=tmp_path)
    config = json.loads((run.path / "config.json").read_text("utf-8"))
    config["preset"]["epochs"] = 7
    (run.path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for call in (
        lambda: es.train(small_model(), data, mine, runs_dir=tmp_path),
        lambda: es.load_or_train("main", data, mine, tmp_path),
        lambda: es.check_before_training(data, mine, tmp_path),
    ):
        with pytest.raises(ValueError, match=r"holds a run with epochs=7 \(now 3\)"):
            call()
    assert (run.path / "model.keras").read_bytes() == content


def test_load_or_train_says_what_it_does(disks, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("ensemble_seg.training.unet", lambda preset, name: small_model(preset))
    data, preset = es.load_dataset(disks), TINY.replace(epochs=1)
    trained = es.load_or_train("sampling", data, preset, tmp_path)
    assert "sampling: no finished run in" in capsys.readouterr().out
    assert trained.config["pairs"]["train"] == len(es.sampling_data(data, preset).train) < 14
    loaded = es.load_or_train("sampling", data, preset, tmp_path)
    assert "sampling: loaded from" in capsys.readouterr().out
    np.testing.assert_array_equal(weights_of(trained.model), weights_of(loaded.model))
    with pytest.raises(ValueError, match="Unknown model 'third'. Expected one of main, sampling"):
        es.load_or_train("third", data, preset, tmp_path)


def test_settings_without_effect_share_a_run(disks, tmp_path, monkeypatch, capsys):
    data, preset = es.load_dataset(disks), TINY.replace(epochs=1)
    changes = ({}, {"margin": (5,)}, {"weights": (1.0, 3.0)}, {"seed": 1})
    found = {
        name: len({es.run_path(data, preset.replace(**change), name) for change in changes})
        for name in ("main", "sampling", "ensemble")
    }
    assert found == {"main": 2, "sampling": 3, "ensemble": 4}
    es.train(small_model(), data, preset, runs_dir=tmp_path)
    es.load_or_train("main", data, preset.replace(margin=(5,)), tmp_path)
    assert "main: loaded from" in capsys.readouterr().out
    monkeypatch.setenv("ENSEMBLE_SEG_RUNS_DIR", str(tmp_path))
    assert es.run_path(data, preset, "main").is_relative_to(tmp_path)


EMPTY = np.zeros((40, 48), "uint8")
LARGE = np.full((40, 48), 255, "uint8")
LARGE[:2, :40] = 0  # ratio 80 / 1840


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_bad_files_are_named_before_anything_is_written(disks, tmp_path, part):
    data = es.load_dataset(disks)
    image, mask, _ = getattr(data, part).pairs[0]
    good = mask.read_bytes()

    runs = tmp_path / "runs"

    def refused(message):
        with pytest.raises(ValueError, match=message):
            es.check_before_training(data, TINY, runs)
        with pytest.raises(ValueError, match=message):
            es.train(small_model(), data, TINY, runs_dir=runs)

    save(mask, np.repeat([[7], [90]], [3, 37], axis=0).repeat(48, axis=1).astype("uint8"))
    refused(f"{mask.name}: expected a mask of two values")
    save(mask, np.zeros((48, 40), "uint8"))
    refused(rf"{mask.name}: expected the size of its image .*48 x 40.* Found 40 x 48")
    mask.write_bytes(good)
    image.write_bytes(image.read_bytes()[:1500])
    refused(f"{image.name}: not an image that can be read")
    assert not runs.exists()


def test_two_ways_to_mark_a_lesion_are_refused(disks):
    data = es.load_dataset(disks)
    save(data.train.pairs[3].mask, es.read_mask(data.train.pairs[3].mask))
    with pytest.raises(ValueError, match=r"one value. Found .*1 in .*ensemble-seg import"):
        es.check_before_training(data, TINY)


@pytest.mark.parametrize("part", ["train", "validation"])
def test_a_part_without_any_lesion_is_refused(disks, part):
    data = es.load_dataset(disks)
    for pair in getattr(data, part).pairs:
        save(pair.mask, EMPTY)
    with pytest.raises(ValueError, match=f"disks: expected {part} images with a lesion"):
        es.check_before_training(data, TINY)
    with pytest.raises(ValueError, match=f"disks: expected {part} images with a lesion"):
        es.train(small_model(), data, TINY)


def test_the_main_model_alone_needs_no_crops(disks, tmp_path):
    data = es.load_dataset(disks)
    for pair in data.train.pairs:
        save(pair.mask, LARGE)
    for call in (es.check_before_training, lambda *given: es.load_or_train("sampling", *given)):
        with pytest.raises(ValueError, match="No image of 14 has background / lesion >= 3.0: 14"):
            call(data, TINY)
    es.check_before_training(data, TINY.replace(threshold=0.04))  # 80 / 1840 = 0.0435
    assert es.train(small_model(), data, TINY.replace(epochs=1), runs_dir=tmp_path).history
