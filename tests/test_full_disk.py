"""A disk that fills up: one message that names the file, exit code 1, and nothing half-written."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from conftest import save, write_disks

import ensemble_seg as es
from ensemble_seg.__main__ import main
from ensemble_seg.keeping.states import write_state
from ensemble_seg.reading.windows import cached_reader

SIZE = 2_000_000
WAY_ON = "Free some space and run the same command again, or name another folder."


@pytest.fixture
def disk(tmp_path):
    """A disk of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here (tmpfs, by root)")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def model(size):
    """37,000 weights, so that a state has more than is held back until the file is closed."""
    image = keras.Input((size, size, 3))
    x = keras.layers.Conv2D(64, 3, padding="same", strides=2, activation="relu")(image)
    x = keras.layers.Conv2DTranspose(64, 3, padding="same", strides=2, activation="relu")(x)
    return keras.Model(image, keras.layers.Conv2D(2, 1, activation="softmax")(x))


def free(disk):
    status = os.statvfs(disk)
    return status.f_bavail * status.f_frsize


def fill(disk, left):
    (disk / "filler").write_bytes(bytes(free(disk) - left))


def require_only_the_filler(disk, left):
    assert [path.name for path in disk.iterdir() if not is_empty(path)] == ["filler"]
    assert free(disk) >= left - 16_384  # folders


def is_empty(path):
    return path.is_dir() and not any(map(Path.is_file, path.rglob("*")))


def deep(folder):
    for number in range(9):
        grey = np.random.default_rng(number).integers(0, 60_000, (90, 90), "uint16")
        save(folder / "deep" / f"{number}.png", grey)
    return folder / "deep"


COMMANDS = {
    "phantoms": lambda disks, out: ["phantoms", out, "--count", "20"],
    "sample": lambda disks, out: ["sample", disks, out],
    "convert": lambda disks, out: ["convert", deep(disks.parent), out],
    "manifest": lambda disks, out: ["check", disks, "--write-manifest", out],
    "picture": lambda disks, out: ["check", disks, "--picture", out],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(disks, disk, capsys, command):
    left = 0 if command == "manifest" else 20_480
    fill(disk, left)
    arguments = COMMANDS[command](disks, disk / "out")
    assert main([str(argument) for argument in arguments]) == 1
    error = capsys.readouterr().err
    message = f"{disk / 'out'}: no space left on the disk. Nothing half-written is left. {WAY_ON}"
    assert error.splitlines()[-1].endswith(f"ensemble_seg: {message}")  # a bar may stand before
    assert "Traceback" not in error
    require_only_the_filler(disk, left)


@pytest.mark.parametrize("earlier", [False, True])
def test_predicted_masks(disks, disk, earlier):
    network, out = model(32), disk / "out"
    if earlier:
        es.predict_folder(network, disks / "images", out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    fill(disk, 20_480)
    with pytest.raises(
        OSError, match=f"^{re.escape(str(out))}: no space left on the disk. Nothing"
    ):
        es.predict_folder(network, disks / "images", out)
    (disk / "filler").unlink()
    assert {path: path.read_bytes() for path in disk.rglob("*") if path.is_file()} == before


def test_the_cache(disks, disk, monkeypatch):
    train = es.load_dataset(disks).train
    with pytest.raises(OSError, match="the cache needs .* of free disk, found 2.0 MB. Free some"):
        cached_reader(train.windows, 400, disk)
    fill(disk, 20_480)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**9))
    message = (
        "^.*[.]cache: no space left on the disk. Nothing half-written is left. "
        f"ENSEMBLE_SEG_CACHE_DIR names its folder. {WAY_ON}"
    )
    with pytest.raises(OSError, match=message):
        cached_reader(train.windows, 400, disk)
    require_only_the_filler(disk, 20_480)


def test_a_state_gives_its_room_back_at_once(disk):
    layers = [keras.Input((64,)), *(keras.layers.Dense(256) for _ in range(12))]
    with pytest.raises((OSError, RuntimeError), match="errno = 28"):
        write_state(keras.Sequential(layers), disk / "a.weights.h5", {"loss": [1.0]})
    assert free(disk) > SIZE - 100_000


def test_a_training(tmp_path, disk):
    """In a process of its own: HDF5 crashes at the end of one that could not close a file."""
    disks = write_disks(tmp_path)
    script = (
        "import sys, pathlib, shutil; sys.path.insert(0, sys.argv.pop(1))\n"
        "import test_full_disk\n"
        "from ensemble_seg import __main__, runs, training\n"
        "disk = pathlib.Path(sys.argv.pop(1))\n"
        "def fill(self, epoch, logs=None):\n"
        "    if epoch == 1:\n"
        "        test_full_disk.fill(disk, 200_000)\n"
        "runs.KeepState.on_epoch_begin = fill\n"
        "training.unet = lambda preset, name: test_full_disk.model(preset.size)\n"
        "sys.exit(__main__.main(sys.argv[1:]))\n"
    )
    options = ["--dataset", str(disks), "--preset", "smoke,size=32,epochs=9,limit=0"]
    here = [sys.executable, "-c", script, str(Path(__file__).parent), str(disk)]
    done = subprocess.run(
        [*here, "train", *options, "--runs-dir", str(disk / "runs")], capture_output=True, text=True
    )
    assert done.returncode == 1, done.stderr
    (folder,) = disk.glob("runs/disks/*/main")
    message = (
        f"ensemble_seg: {folder / 'backup' / 'epoch-0002.weights.h5'}: no space left on the disk. "
        "What was trained so far is kept, and the same command goes on from there. " + WAY_ON
    )
    assert done.stderr.splitlines()[-1] == message
    assert "Traceback" not in done.stderr
    states = sorted(path.name for path in (folder / "backup").iterdir())
    assert states == ["epoch-0001.weights.h5"]
