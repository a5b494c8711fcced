"""What can be known before the first epoch is told before the first epoch, by check and train."""

import numpy as np
import pytest
from conftest import save
from PIL import Image

import ensemble_seg as es
from ensemble_seg.__main__ import main

EMPTY = np.zeros((40, 48), "uint8")
LARGE = np.full((40, 48), 255, "uint8")  # with the two rows below: ratio 80 / 1840
LARGE[:2, :40] = 0
DOT = EMPTY.copy()
DOT[0, 1] = 255  # not read at size 32: no row or column of the small mask comes from there
PRESET = "smoke,size=32,limit=0"


def write(folder, part, mask):
    """Replace all masks of a part of the split that `load_dataset` draws."""
    for pair in getattr(es.load_dataset(folder), part).pairs:
        save(pair.mask, mask)


CASES = {
    "validation part without any lesion": (
        "validation",
        EMPTY,
        "Expected validation images with a lesion. Found 2 readable validation masks, all without "
        "one. Without one the score of each epoch is 0 or 1 whatever is learned, and no best epoch "
        "can be chosen. Move images with a lesion there, or draw another split.",
    ),
    "all training masks empty": (
        "train",
        EMPTY,
        "Expected training images with a lesion. Found 14 readable training masks, all without "
        "one. Add lesions, or check that 255 (or 1) is lesion in the masks.",
    ),
    "no training image that the sampling step keeps": (
        "train",
        LARGE,
        "No image of 14 has background / lesion >= 3.0: 14 below it, 0 without a lesion. Lower "
        "`threshold`.",
    ),
    "lesions too small for the network": (
        "train",
        DOT,
        "Expected training images with a lesion. All 14 lesions are so small that none is left at "
        "size=32. Choose a larger size, or cut the images to windows.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_check_and_train_refuse_with_one_message(disks, tmp_path, capsys, case):
    part, mask, message = CASES[case]
    write(disks, part, mask)
    runs = tmp_path / "runs"
    options = ["--preset", PRESET]
    assert main(["check", str(disks), *options]) == 1
    printed = capsys.readouterr()
    assert f"  {message}\n" in printed.out
    assert "Training is impossible: 1 problem" in printed.out
    assert main(["train", "--dataset", str(disks), "--runs-dir", str(runs), *options]) == 1
    printed = capsys.readouterr()
    assert printed.err == f"ensemble_seg: disks: {message}\n"
    assert printed.out == ""
    assert not runs.exists()


def test_the_main_model_alone_needs_no_crops(disks):
    write(disks, "train", LARGE)
    preset = es.preset("smoke,size=32,limit=0")
    data = es.load_dataset(disks)
    with pytest.raises(ValueError, match="No image of 14 has background / lesion >= 3.0: 14 below"):
        es.check_before_training(data, preset)
    with pytest.raises(ValueError, match="No image of 14 has background / lesion >= 3.0: 14 below"):
        es.load_or_train("sampling", data, preset)
    es.check_before_training(data, preset.replace(threshold=0.04))  # 80 / 1840 = 0.0435


def test_the_limit_of_the_preset_counts(disks):
    data = es.load_dataset(disks)
    save(data.validation.pairs[0].mask, EMPTY)
    preset = es.preset("smoke,size=32,limit=1")
    with pytest.raises(ValueError, match=r"Found 1 readable validation masks \(the first 1: limit"):
        es.check_before_training(data, preset)
    es.check_before_training(data, preset.replace(limit=2))


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("smoke,weights=1", "`weights`. Expected two numbers, of main and sampling model."),
        ("smoke,learning_rate=nan", "`learning_rate`. Expected a positive number. Received"),
        ("smoke,learning_rate=inf", "`learning_rate`. Expected a positive number. Received"),
        ("smoke,loss=l1", "Unknown loss 'l1'"),
        ("smoke,backbone=senet154", "Backbone 'senet154' is left out: it takes a minute to build"),
        ("smoke,backbone=inceptionv3", "'inceptionv3' needs a size of at least 96, not 64."),
    ],
)
def test_settings(disks, tmp_path, capsys, label, message):
    command = ["train", "--dataset", str(disks), "--preset", label, "--runs-dir", str(tmp_path)]
    assert main(command) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [disks]


def test_a_part_without_images(disks):
    data = es.load_dataset(disks)
    with pytest.raises(ValueError, match="disks: expected images in the validation part, found no"):
        es.check_before_training(data.replace(validation=data.validation.first(0)), es.preset())


def test_crops_that_cannot_be_shared_out(disks):
    """Devices share the first batch: 14 images go into two, 13 crops (one mask is empty) do not."""
    data = es.load_dataset(disks)
    empty = sum(not np.asarray(Image.open(pair.mask)).any() for pair in data.train.pairs)
    assert empty == 1
    preset = es.preset("smoke,size=32,limit=0,batch_size=14,threshold=0.1")
    with pytest.raises(ValueError, match="batches of 13 images"):
        es.check_before_training(data, preset, devices=["CPU:0", "CPU:1"])


def test_a_runs_folder_that_is_a_file(disks, tmp_path):
    (tmp_path / "runs").write_text("mine")
    data, preset = es.load_dataset(disks), es.preset("smoke,size=32")
    with pytest.raises(OSError, match="runs/disks/.*cannot be written .Not a directory.") as caught:
        es.check_before_training(data, preset, tmp_path / "runs")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "runs").read_text() == "mine"


def test_no_room_for_the_state(disks, tmp_path, monkeypatch):
    """A model with 1 MB of weights: two states of three each, and two models, take 8 MB."""
    from test_training import small_model

    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("ensemble_seg.common.files.shutil.disk_usage", lambda folder: usage)
    data, preset = es.load_dataset(disks), es.preset("smoke,size=32")
    model = small_model(preset)
    needed = 8 * 4 * sum(int(np.prod(weight.shape)) for weight in model.weights)
    with pytest.raises(OSError, match=f"the state of a training needs {needed / 1000:.1f} kB of"):
        es.train(model, data, preset, runs_dir=tmp_path)


def test_the_folder_of_the_sampling_model_is_looked_at_before_the_main_model_trains(
    disks, tmp_path
):
    data, preset = es.load_dataset(disks), es.preset("smoke,size=32,limit=0")
    folder = es.run_path(data, preset, "sampling", tmp_path)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"data_hash": "0123456789abcdef", "preset": {}}')
    with pytest.raises(ValueError, match=r"holds a run on other data \(hash 0123456789ab, this"):
        es.check_before_training(data, preset, tmp_path)


def test_files_are_read_once_for_both_models(disks, monkeypatch):
    from ensemble_seg.reading import checking

    calls = []
    read = checking.read_mask_file
    monkeypatch.setattr(
        checking, "read_mask_file", lambda *given: calls.append(given[0].name) or read(*given)
    )
    data, preset = es.load_dataset(disks), es.preset("smoke,size=32,limit=0")
    es.check_before_training(data, preset)
    es.check_pairs(data.train.pairs)
    assert len(calls) == len(set(calls)) == 20
    save(data.train.pairs[0].mask, EMPTY)
    es.check_pairs(data.train.pairs)
    assert len(calls) == 21
