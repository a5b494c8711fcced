"""The doctor command, on a whole machine, a broken one, and with runs in every condition."""

import json
import os
import subprocess
import sys
import types
from contextlib import contextmanager

import pytest
import requests

from ensemble_seg.__main__ import main
from ensemble_seg.common.locks import held
from ensemble_seg.hardware.precision import precision_policy
from ensemble_seg.inspection.doctor import doctor_report


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    """Servers answer as their names say; the home folder is one of the test's."""

    @contextmanager
    def get(url, **options):
        if "kaggle" in url:
            raise requests.ConnectionError(f"anna:secret@proxy {url}")
        yield types.SimpleNamespace(ok="simula" not in url, status_code=503)

    monkeypatch.setattr(requests, "get", get)
    monkeypatch.setenv("HOME", str(tmp_path / "anna"))
    (tmp_path / "anna").mkdir()
    monkeypatch.chdir(tmp_path)


def unfinished(folder, epochs=15):
    folder.mkdir(parents=True)
    config = {"data_hash": "0", "preset": {"name": "quick", "epochs": epochs}}
    (folder / "config.json").write_text(json.dumps(config))


def test_the_rows_of_a_whole_machine(tmp_path, monkeypatch, capsys):
    runs = tmp_path / "anna" / "runs"
    unfinished(runs / "polyps" / "quick" / "main")
    unfinished(runs / "polyps" / "quick" / "sampling")
    (runs / "polyps" / "smoke" / "main" / "backup").mkdir(parents=True)
    (runs / "polyps" / "smoke" / "main" / "config.json").write_text("{}")
    (tmp_path / "data" / "Kvasir-SEG").mkdir(parents=True)
    monkeypatch.setenv("ENSEMBLE_SEG_CACHE_DIR", str(tmp_path / "anna" / "kept"))
    monkeypatch.setenv("HTTPS_PROXY", "http://anna:secret@proxy:80")
    with held(runs / "polyps" / "quick" / "main"):
        assert main(["doctor", "--runs-dir", "~/runs"]) == 0
    text = capsys.readouterr().out
    rows = text.splitlines()
    assert len(rows) < 40
    assert max(map(len, rows)) <= 120
    assert "anna" not in text and "secret" not in text
    for start in ("ensemble_seg      0.", "python            3.", "backend           tensorflow"):
        assert any(row.startswith(start) for row in rows)
    for part in (
        f"precision auto    {precision_policy()}: ",
        " free in ~/kept (not made yet)",
        "kvasir-seg: in data/Kvasir-SEG",
        "isic-2018: not in data; isic-archive.s3.amazonaws.com answers",
        "lgg-mri: not in data; www.kaggle.com cannot be reached (ConnectionError) (needs a login)",
        "3: 0 finished, 1 damaged, 1 held, 1 unfinished, in ~/runs",
        "damaged: polyps/smoke/main: config.json: expected data_hash of type str, found no data_ha",
        "held: polyps/quick/main: another process works in it",
        "unfinished: polyps/quick/sampling: none of 15 epochs has ended",
        "HTTPS_PROXY is set",
        "ENSEMBLE_SEG_CACHE_DIR=~/kept",
    ):
        assert part in text, part


def test_what_a_server_or_a_mirror_answers(tmp_path, monkeypatch):
    assert "kvasir-seg: not in data; datasets.simula.no answers 503" in doctor_report()
    monkeypatch.setenv("ENSEMBLE_SEG_MIRROR", "https://anna:secret@mirror.org/sets")
    text = doctor_report()
    assert "lgg-mri: not in data; mirror.org answers" in text
    assert "ENSEMBLE_SEG_MIRROR=https://mirror.org/sets" in text
    (tmp_path / "kvasir-seg.zip").write_bytes(b"")
    monkeypatch.setenv("ENSEMBLE_SEG_MIRROR", str(tmp_path))
    text = doctor_report()
    assert "kvasir-seg: not in data; ENSEMBLE_SEG_MIRROR has it" in text
    assert "lgg-mri: not in data; ENSEMBLE_SEG_MIRROR lacks lgg-mri-segmentation.zip" in text


def test_many_runs_fit_on_the_screen(tmp_path, monkeypatch):
    for number in range(30):
        unfinished(tmp_path / "runs" / "polyps" / f"quick,epochs={number}" / "main", number or 1)
        monkeypatch.setenv(f"ENSEMBLE_SEG_{number}", "x" * 500)
    text = doctor_report()
    assert len(text.splitlines()) < 40
    assert "23 more" in text


def test_a_machine_on_which_nothing_else_works():
    """The backend is not there, nor a network; a folder of runs that is a file."""
    env = {**os.environ, "KERAS_BACKEND": "torch", "HTTPS_PROXY": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "ensemble_seg", "doctor", "--runs-dir", sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert "cannot be told: Keras cannot be imported with KERAS_BACKEND=torch" in done.stdout
    assert "github.com" not in done.stdout or "github.com cannot be reached" in done.stdout
    assert "KERAS_BACKEND=torch" in done.stdout
