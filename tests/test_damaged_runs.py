"""Run folders that something else has damaged: healed, done without, or one message."""

import hashlib
import json
import shutil

import h5py
import numpy as np
import pytest
from conftest import write_disks
from test_training import StopError, small_model, weights_of

import ensemble_seg as es
from ensemble_seg.keeping.conditions import condition, run_folders
from ensemble_seg.keeping.histories import read_history
from ensemble_seg.runs import KeepState

TINY = es.preset("smoke").replace(size=32, epochs=4, precision="float32", limit=0)
COLUMNS = ("dice", "loss", "val_dice", "val_loss")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished run, and for each `keep` one that was interrupted after epoch 3 of 4."""
    folder = tmp_path_factory.mktemp("made")
    disks = write_disks(folder)
    data = es.load_dataset(disks)
    for keep in ("last", "best"):
        preset = TINY.replace(keep=keep)
        es.train(small_model(preset), data, preset, runs_dir=folder / f"whole-{keep}")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(KeepState, "on_epoch_begin", stop_in_the_fourth, raising=False)
            with pytest.raises(StopError):
                es.train(small_model(preset), data, preset, runs_dir=folder / f"stopped-{keep}")
    return folder


def stop_in_the_fourth(self, epoch, logs=None):
    if epoch == 3:
        raise StopError


class Case:
    """One copy of the runs, so that a test may damage it."""

    def __init__(self, made, folder, keep="last"):
        self.preset, self.folder = TINY.replace(keep=keep), folder
        shutil.copytree(made, folder, dirs_exist_ok=True)
        self.data = es.load_dataset(made / "disks")
        label = self.preset.label
        self.whole = folder / f"whole-{keep}" / "disks" / label / "main"
        self.stopped = folder / f"stopped-{keep}" / "disks" / label / "main"

    def resume(self, seed=9):
        """Go on; the new model's own weights count only where it begins again."""
        runs = self.stopped.parents[2]
        return es.train(small_model(self.preset, seed), self.data, self.preset, runs_dir=runs)

    def require_equal(self, run):
        whole = es.load_run(self.whole)
        np.testing.assert_array_equal(weights_of(run.model), weights_of(whole.model))
        assert run.history == whole.history
        files = sorted(file.name for file in run.path.iterdir())
        assert files == ["config.json", "history.csv", "model.keras"]


@pytest.fixture
def case(made, tmp_path):
    return Case(made, tmp_path)


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place if place >= 0 else len(content) + place] ^= 16
    path.write_bytes(content)


def test_two_states_are_kept_and_each_says_what_it_is(case):
    states = sorted(file.name for file in (case.stopped / "backup").iterdir())
    assert states == ["epoch-0002.weights.h5", "epoch-0003.weights.h5"]
    history = read_history(case.stopped / "history.csv")
    with h5py.File(case.stopped / "backup" / states[1]) as file:
        note = json.loads(file["ensemble_seg"][()])
    assert note["epoch"] == 3
    assert note["history"] == history
    case.require_equal(case.resume())


@pytest.mark.parametrize(
    "content",
    [None, b"", b"epoch,dice,loss,val_dice,val_loss\r\n", b"\xff\x00\xfe", b"a,b\n1,2\n"],
    ids=["missing", "empty", "header only", "no text", "another table"],
)
def test_an_interrupted_run_takes_its_history_from_the_state(case, content):
    path = case.stopped / "history.csv"
    path.unlink() if content is None else path.write_bytes(content)
    case.require_equal(case.resume())


@pytest.mark.parametrize(
    ("spoil", "left"),
    [
        (lambda text: text[:-4], 3),
        (lambda text: text[: text.index("\n") + 9], 0),
        (lambda text: "", 0),
        (lambda text: text.splitlines(keepends=True)[0], 0),
        (lambda text: text.replace("\n3,", "\nx,"), 2),
        (lambda text: text.replace("\n2,", "\n7,"), 1),
    ],
)
def test_a_finished_run_does_without_what_history_has_lost(case, capsys, spoil, left):
    path = case.whole / "history.csv"
    text = path.read_bytes().decode()
    before = es.load_run(case.whole).history
    path.write_bytes(spoil(text).encode())
    capsys.readouterr()
    run = es.load_run(case.whole)
    assert run.history == {key: before[key][:left] for key in COLUMNS}
    expected = (
        f"{path}: damaged; {left} of 4 epochs can be read, the scores of the others are lost. "
        "The trained model is not touched by it.\n"
    )
    assert capsys.readouterr().out == expected
    assert run.model.input_shape == (None, 32, 32, 3)


UNUSABLE = (
    "So it cannot be told what this run was made with, and whether it belongs to these data and "
    "settings. Put the file back from a copy, or remove the folder and train again."
)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "is missing."),
        ("", "is damaged: expected JSON."),
        ('{"name": "ma', "is damaged: expected JSON."),
        ("\udcff", "is damaged: expected JSON."),
        ("[" * 100_000, "is damaged: expected JSON."),
        ("{}", "expected data_hash of type str, found no data_hash."),
        ("[]", "expected an object, found []."),
        ("null", "expected an object, found null."),
        ('{"data_hash": 7}', "expected data_hash of type str, found data_hash=7."),
        ('{"data_hash": "7"}', "expected preset of type dict, found no preset."),
        (
            '{"data_hash": "7", "preset": [1]}',
            "expected preset of type dict, found preset=[1].",
        ),
    ],
)
@pytest.mark.parametrize("state", ["whole", "stopped"])
def test_a_damaged_config_is_one_message(case, state, content, what):
    path = getattr(case, state) / "config.json"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
    expected = f"{path}: {what} {UNUSABLE}"
    before = sorted(file.name for file in path.parent.rglob("*"))
    with pytest.raises(ValueError) as caught:
        es.train(small_model(TINY), case.data, TINY, runs_dir=path.parents[3])
    assert str(caught.value) == expected
    if state == "whole":
        with pytest.raises(ValueError) as caught:
            es.load_run(path.parent)
        assert str(caught.value) == expected
    assert sorted(file.name for file in path.parent.rglob("*")) == before


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("epochs", "4", "config.json: expected epochs of type int, found '4'."),
        ("epochs", True, "config.json: expected epochs of type int, found True."),
        ("batch_size", None, "config.json: expected batch_size of type int, found None."),
        ("learning_rate", [1], "config.json: expected learning_rate of type float, found [1]."),
        ("augment", 1, "config.json: expected augment of type bool, found 1."),
        ("margin", "20", "config.json: expected margin of type tuple, found '20'."),
        ("margin", [20, "x"], "config.json: expected margin of type tuple, found [20, 'x']."),
        ("size", 33, "has a setting out of range: Invalid value for argument `size`"),
        ("epochs", 5, "holds a run with other settings (epochs=5, now 4)"),
        ("focus", 2, "holds a run with focus=2, which this version does not know. Remove"),
        ("optimizer", "muon", "with optimizer=muon, which this version no longer has"),
    ],
)
def test_a_setting_that_cannot_be(case, field, value, message):
    for folder in (case.whole, case.stopped):
        config = json.loads((folder / "config.json").read_text())
        config["preset"][field] = value
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(ValueError) as caught:
            es.train(small_model(TINY), case.data, TINY, runs_dir=folder.parents[2])
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


def test_the_checksum_of_the_model_stands_in_its_config(case):
    digest = hashlib.sha256((case.whole / "model.keras").read_bytes()).hexdigest()
    assert json.loads((case.whole / "config.json").read_text())["model_sha256"] == digest


@pytest.mark.parametrize("place", [4, 60, 5000, -3000, -40, -3])
def test_a_flipped_bit_in_a_model(case, place):
    flip(case.whole / "model.keras", place)
    with pytest.raises(ValueError) as caught:
        _ = es.load_run(case.whole).model
    assert str(caught.value).startswith(f"{case.whole / 'model.keras'}: damaged")
    assert "Put the file back from a copy, or remove it and train again." in str(caught.value)


@pytest.mark.parametrize("share", [0, 0.5, 0.999])
def test_a_truncated_model(case, share):
    path = case.whole / "model.keras"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ValueError) as caught:
        _ = es.load_run(case.whole).model
    assert str(path) in str(caught.value)
    assert "File not found" not in str(caught.value)
    path.unlink()  # as the message says
    run = es.train(small_model(TINY), case.data, TINY, runs_dir=case.whole.parents[2])
    assert run.model.input_shape == (None, 32, 32, 3)


def cut_off(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_weight(path):
    """Change one bit of a weight, which HDF5 does not notice."""
    with h5py.File(path, "r+") as file:
        names = []
        file.visititems(lambda name, item: names.append(name) if hasattr(item, "dtype") else None)
        name = next(name for name in names if file[name].size > 50)
        values = file[name][()]
        values.view("uint32").ravel()[7] ^= 1 << 12
        file[name][...] = values


@pytest.mark.parametrize("keep", ["last", "best"])
@pytest.mark.parametrize("spoil", [cut_off, flip_weight])
def test_where_the_last_state_is_broken_the_one_before_is_taken(
    made, tmp_path, capsys, keep, spoil
):
    case = Case(made, tmp_path, keep)
    path = case.stopped / "backup" / "epoch-0003.weights.h5"
    spoil(path)
    run = case.resume()
    printed = capsys.readouterr().out
    assert f"{path}: not used: it is damaged. An earlier state is taken" in printed
    assert "goes on after epoch 2" in printed
    case.require_equal(run)


def test_where_all_states_are_broken_it_begins_again(case, capsys):
    for path in (case.stopped / "backup").iterdir():
        path.write_bytes(b"")
    case.require_equal(case.resume(seed=0))
    assert "goes on" not in capsys.readouterr().out


def test_without_the_best_model_it_begins_again(made, tmp_path, capsys):
    case = Case(made, tmp_path, "best")
    cut_off(case.stopped / "backup" / "best.keras")
    case.require_equal(case.resume(seed=0))
    assert "best.keras, which belongs to it, cannot be used" in capsys.readouterr().out


@pytest.mark.parametrize("number", [99, 4, 0, 1])
def test_a_state_is_believed_only_what_it_holds(case, capsys, number):
    backup = case.stopped / "backup"
    (backup / "epoch-0003.weights.h5").rename(backup / f"epoch-{number:04d}.weights.h5")
    run = case.resume()
    case.require_equal(run)
    printed = capsys.readouterr().out
    assert "goes on after epoch 2" in printed
    assert number < 2 or f"epoch-{number:04d}.weights.h5: not used: " in printed


def without_note(path):
    """Make a state what earlier versions wrote: without epoch, history and checksum."""
    with h5py.File(path, "r+") as file:
        del file["ensemble_seg"]


@pytest.mark.parametrize("rename", [None, 99])
def test_a_state_of_an_earlier_version(case, capsys, rename):
    backup = case.stopped / "backup"
    (backup / "epoch-0002.weights.h5").unlink()
    path = backup / "epoch-0003.weights.h5"
    without_note(path)
    if rename:
        path.rename(backup / "epoch-0099.weights.h5")
    case.require_equal(case.resume(seed=0 if rename else 9))
    assert ("goes on after epoch 3" in capsys.readouterr().out) == (rename is None)


@pytest.mark.parametrize("command", ["load_or_train", "train", "load_run"])
def test_what_a_kill_while_finishing_leaves_is_removed(case, command):
    shutil.copytree(case.stopped / "backup", case.whole / "backup")
    (case.whole / "partial-12345678-model.keras").write_bytes(b"half")
    runs = case.whole.parents[2]
    run = {
        "load_or_train": lambda: es.load_or_train("main", case.data, TINY, runs),
        "train": lambda: es.train(small_model(TINY), case.data, TINY, runs_dir=runs),
        "load_run": lambda: es.load_run(case.whole),
    }[command]()
    files = sorted(file.name for file in case.whole.iterdir())
    assert files == ["config.json", "history.csv", "model.keras"]
    case.require_equal(run)


def test_conditions_are_told_and_nothing_is_changed(made, tmp_path):
    case = Case(made, tmp_path / "runs")
    assert {case.whole, case.stopped} < set(run_folders(tmp_path / "runs"))
    assert condition(case.whole) == ("finished", "4 epochs")
    assert condition(case.stopped) == ("unfinished", "3 of 4 epochs")
    for folder, name, text in (
        (case.stopped, "backup/epoch-0003.weights.h5", "backup/epoch-0003.weights.h5: it is damag"),
        (case.whole, "history.csv", "history.csv: 3 of 4 epochs can be read"),
        (case.whole, "model.keras", "model.keras: damaged"),
        (case.whole, "config.json", "config.json: is damaged: expected JSON"),
    ):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-9])
        before = sorted(path.stat().st_mtime_ns for path in folder.rglob("*"))
        kind, found = condition(folder)
        assert kind == "damaged"
        assert found.startswith(text)
        assert sorted(path.stat().st_mtime_ns for path in folder.rglob("*")) == before
