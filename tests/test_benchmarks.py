"""The machinery of the benchmarks. What they measure is not measured here."""

import sys

import numpy as np
import pytest

from benchmarks import __main__ as driver
from benchmarks import ours
from benchmarks.measuring import Measured, Row, compare, peak_megabytes, report

COUNTING = """
from benchmarks.measuring import serve
numbers = iter([{numbers}])
def one_round():
    print("noise between")
    return next(numbers)
serve(one_round)
"""


def counting(*numbers):
    """A worker that answers with these numbers."""
    return [sys.executable, "-c", COUNTING.format(numbers=", ".join(map(str, numbers)))]


def test_workers_answer_in_turn(tmp_path):
    found = compare({"a": counting(1.5, 2, 3), "b": counting(10, 20, 30)}, 3, tmp_path)
    assert {name: each.values for name, each in found.items()} == {
        "a": [1.5, 2, 3],
        "b": [10, 20, 30],
    }
    assert found["b"].median == 20
    assert "noise between" in (tmp_path / "worker-0.log").read_text(encoding="utf-8")
    assert found["a"].megabytes is None or 1 < found["a"].megabytes < peak_megabytes()


def test_a_worker_that_ends_early_is_named(tmp_path):
    with pytest.raises(RuntimeError, match=r"ended early; see .*worker-0\.log"):
        compare({"a": [sys.executable, "-c", "raise SystemExit('broken')"]}, 1, tmp_path)
    assert "broken" in (tmp_path / "worker-0.log").read_text(encoding="utf-8")


ROW = Row(
    "training",
    "images/s",
    {"ours": Measured([8.0, 10.0, 9.0], 500), "other": Measured([1.5, 1234.0, 3.0], 2000)},
    (("ours", "other"),),
    ("A note.",),
)


def test_a_report_has_medians_ranges_and_ratios():
    text = report([ROW], {"files": "OSError: no space"})
    assert (
        "| training | ours: 9 [8, 10] images/s<br>other: 3 [1.5, 1,234] images/s "
        "| ours / other: 3x | ours / other: 0.25x |"
    ) in text
    assert "* training: A note.\n* files was left out: OSError: no space" in text


def test_a_row_that_fails_leaves_the_others(monkeypatch, tmp_path, capsys):
    rows = {"training": lambda rounds, scratch: [ROW], "files": lambda rounds, scratch: 1 / 0}
    monkeypatch.setattr(driver, "ROWS", rows)
    assert driver.main(["--out", str(tmp_path / "report.md")]) == 1
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "ours: 9 [8, 10]" in text and "files was left out: ZeroDivisionError" in text
    assert driver.main(["training"]) == 0
    with pytest.raises(SystemExit):
        driver.main(["trainig"])
    assert "unknown row 'trainig'. Rows: training, files." in capsys.readouterr().err


def test_files_are_drawn_and_read_by_all_readers(tmp_path):
    ours.draw_pairs(tmp_path / "pairs", (30, 40), 12, 3)
    for read in ours.READERS.values():
        read(tmp_path / "pairs")
    images, masks = ours.batch_of(16)
    assert images.shape == (8, 16, 16, 3) and (masks.sum(-1) == 1).all()
    assert images.dtype == masks.dtype == np.float32
