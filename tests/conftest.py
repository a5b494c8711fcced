"""Data sets and settings that the tests share."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(
    os.environ.get("ENSEMBLE_SEG_DATA_DIR") or ROOT.parent / "shared" / "datasets"
).expanduser()


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    for name in ("PRESET", "DATASET", "DATA_DIR", "RUNS_DIR"):
        monkeypatch.delenv(f"ENSEMBLE_SEG_{name}", raising=False)


@pytest.fixture
def kvasir():
    """The folder of the real data set."""
    folder = SHARED / "Kvasir-SEG"
    if not folder.is_dir():
        pytest.skip("Kvasir-SEG is not there: set ENSEMBLE_SEG_DATA_DIR to its parent folder")
    return folder


@pytest.fixture
def disks(tmp_path):
    return write_disks(tmp_path)


def write_disks(folder):
    """A data set of 20 dark disks on light ground, 40 x 48 pixels; image 7 has no lesion."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:40, :48]
    for number in range(20):
        centre, radius = rng.uniform(12, 28, 2), 0 if number == 7 else rng.uniform(4, 9)
        mask = np.hypot(rows - centre[0], columns - centre[1]) < radius
        image = 200 - 120 * mask[..., None] + rng.normal(0, 4, (40, 48, 3))
        save(folder / "disks" / "images" / f"disk_{number:02d}.png", image.astype("uint8"))
        save(folder / "disks" / "masks" / f"disk_{number:02d}.png", mask.astype("uint8") * 255)
    return folder / "disks"


def save(path, array, **options):
    """Write an array as an image file, its folder too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def require_package(name):
    """Skip a test whose package is missing; it is not imported, for OpenVINO would report home."""
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
