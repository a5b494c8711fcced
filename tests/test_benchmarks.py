"""The machinery of `make benchmark`. What it measures is not measured here."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import ensemble_seg as es
from benchmarks import __main__ as driver
from benchmarks import environments, machine, reporting
from benchmarks.drawing import draw_pairs, ellipses
from benchmarks.environments import PUBLISHED_STACK, Environment
from benchmarks.measuring import at_least, at_most, compare, ratio
from benchmarks.rows import evaluation, first_step, peer, sampling
from benchmarks.spending import megabytes
from benchmarks.workloads import forward_flops, random_images, random_masks
from ensemble_seg.datasets import all_pairs

COUNTING = """
from benchmarks.measuring import serve
numbers = iter([{numbers}])
def one_round():
    print("noise between")
    return next(numbers)
serve(one_round, version="7")
"""


def counting(*numbers: float) -> list[str]:
    """A worker that answers with these numbers."""
    code = COUNTING.format(numbers=", ".join(map(str, numbers))).replace(
        'print("noise before")', ""
    )
    return [sys.executable, "-c", code]


def test_workers_answer_in_turn(tmp_path):
    commands = {"a": counting(1.5, 2, 3), "b": counting(10, 20, 30)}
    results, about = compare(commands, 3, tmp_path)
    assert results == {"a": [1.5, 2, 3], "b": [10, 20, 30]}
    assert about == {"a": {"version": "7"}, "b": {"version": "7"}}
    assert "noise between" in (tmp_path / "worker-0.log").read_text()
    assert ratio(results, "b", "a") == 10


def test_a_worker_that_ends_early_is_named(tmp_path):
    with pytest.raises(RuntimeError, match=r"ended early; see .*worker-0\.log"):
        compare({"a": [sys.executable, "-c", "raise SystemExit('broken')"]}, 1, tmp_path)
    assert "broken" in (tmp_path / "worker-0.log").read_text()


def test_goals():
    assert at_least("a / b", 7, 7)["met"] and not at_least("a / b", 6.99, 7)["met"]
    assert at_most("a / b", 0.5, 0.5)["met"] and not at_most("a / b", 0.51, 0.5)["met"]
    assert at_most("time", 3, 7, " min")["goal"] == "at most 7 min"
    assert json.dumps(at_least("a / b", np.float32(0.5), 7)).endswith('"met": false}')


def row(name: str, **changes) -> dict:
    line = {
        "row": f"Row {name}",
        "unit": "images/s",
        "measured": {"ours": [8.0, 10.0, 9.0], "reference": [1.5, 1.25, 1234.0]},
        "goals": [at_least("ours / reference", 6.0, 7), at_most("time", 3.0, 4, " s")],
        "notes": ["First note.", "Second note."],
    }
    about = {"commit": "abc1234", "rounds": 3, "memory": "24 GiB"}
    return {"name": name, "lines": [line], "about": about, **changes}


def test_report(tmp_path):
    failed = row("second", error="ValueError: a | b\nnext line")
    del failed["lines"]
    profile = row("third", about={"commit": "def5678", "rounds": 3, "memory": "24 GiB"})
    profile["lines"] = [{"row": "Profile", "table": "| op | share |\n|---|---|\n| conv | 80 % |"}]
    reporting.write_report([row("first"), failed, profile], tmp_path / "REPORT.md")
    text = (tmp_path / "REPORT.md").read_text()
    assert (
        "| Row first | ours: 9 [8, 10] images/s<br>reference: 1.5 [1.25, 1,234] images/s "
        "| ours / reference: 6x<br>time: 3 s | at least 7x<br>at most 4 s | **missed**<br>met |"
    ) in text
    assert "| second | failed: ValueError: a \\| b next line |  |  | failed |" in text
    assert "### Row first\n\n* First note.\n* Second note.\n" in text
    assert "### Profile\n\n| op | share |\n|---|---|\n| conv | 80 % |\n" in text
    assert "| commit (first, second) | abc1234 |\n| commit (third) | def5678 |" in text
    assert "| memory | 24 GiB |" in text
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")


def test_report_without_goals_has_no_figure(tmp_path):
    without = row("first")
    without["lines"][0]["goals"] = []
    reporting.write_report([without], tmp_path / "REPORT.md")
    assert "report.png" not in (tmp_path / "REPORT.md").read_text()
    assert not (tmp_path / "report.png").exists()


@pytest.mark.parametrize(
    ("goal", "distance"),
    [
        (at_least("a", 14, 7), 2),
        (at_least("a", 3.5, 7), 0.5),
        (at_most("a", 1, 4), 4),
        (at_most("a", 0, 4), 1000),
    ],
)
def test_distance_from_goal(goal, distance):
    assert reporting.distance_from_goal(goal) == pytest.approx(distance)


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Rows "training" and "memory" in a folder of their own; the names of those measured."""
    calls = []

    def good(rounds, scratch):
        assert scratch.is_dir()
        calls.append("training")
        return row("training")["lines"][0]

    def bad(rounds, scratch):
        calls.append("memory")
        raise OSError("no space")

    monkeypatch.setattr(driver, "FOLDER", tmp_path / "runs")
    monkeypatch.setattr(driver, "REPORT", tmp_path / "REPORT.md")
    monkeypatch.setattr(driver, "load_rows", lambda: {"memory": bad, "training": good})
    monkeypatch.setattr(driver, "commit", lambda: "abc1234")
    monkeypatch.setattr(driver, "about", lambda: {"memory": "24 GiB"})
    return calls


def test_a_row_that_fails_is_reported_and_the_others_are_kept(measured, tmp_path, capsys):
    assert driver.main([]) == 1
    text = (tmp_path / "REPORT.md").read_text()
    assert "| memory | failed: OSError: no space |" in text
    assert "| Row training | ours: 9 [8, 10]" in text
    assert text.index("Row training") < text.index("memory | failed")  # the order of the table
    assert not list((tmp_path / "runs").glob("*.partial"))


def test_rows_measured_at_this_commit_are_not_repeated(measured, monkeypatch, capsys):
    driver.main(["training"])
    driver.main(["training"])
    assert measured == ["training"]
    assert "training: measured before" in capsys.readouterr().out
    driver.main(["training", "--rounds", "3"])
    monkeypatch.setattr(driver, "commit", lambda: "def5678")
    driver.main(["training", "--rounds", "3"])
    assert measured == ["training"] * 3
    driver.main(["memory"])
    driver.main(["memory"])  # failed, so it is tried again
    assert measured[3:] == ["memory"] * 2


def test_report_alone_measures_nothing(measured, tmp_path):
    assert driver.main(["training"]) == 0
    (tmp_path / "REPORT.md").unlink()
    assert driver.main(["--report"]) == 0
    assert measured == ["training"]
    stored = json.loads((tmp_path / "runs" / "training.json").read_text())
    assert stored["about"] == {"commit": "abc1234", "rounds": 2, "memory": "24 GiB"}
    assert stored["lines"] == row("training")["lines"]
    assert "| Row training |" in (tmp_path / "REPORT.md").read_text()


def test_unknown_row(measured, capsys):
    with pytest.raises(SystemExit):
        driver.main(["trainig"])
    assert "Unknown row 'trainig'. Rows: memory, training." in capsys.readouterr().err


def test_rows_that_are_there_can_be_loaded():
    assert set(driver.load_rows()) <= set(driver.ORDER)
    assert all(callable(measure) for measure in driver.load_rows().values())


def test_forward_flops_by_hand():
    keras = pytest.importorskip("keras")
    inner = keras.Sequential([keras.Input((8, 8, 4)), keras.layers.Conv2D(5, 1)])
    image = keras.Input((16, 16, 3))
    features = keras.layers.Conv2D(4, 3, strides=2, padding="same", name="first")(image)
    model = keras.Model(image, inner(keras.layers.ReLU()(features)))
    assert forward_flops(model) == 2 * (3 * 3 * 3 * 4 * 8 * 8 + 4 * 5 * 8 * 8)


def test_random_inputs_are_what_training_takes():
    images, masks = random_images(2), random_masks(2)
    assert images.shape == (2, 256, 256, 3) and masks.shape == (2, 256, 256, 2)
    assert images.dtype == masks.dtype == "float32"
    assert images.min() == 0 and images.max() == 255
    assert (masks.sum(-1) == 1).all()


def test_commit_names_changes_but_not_those_of_the_report(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    assert machine.commit() == ""
    machine._git("init", "-q")
    (tmp_path / "benchmarks").mkdir()
    for name in ("a.py", "benchmarks/REPORT.md"):
        (tmp_path / name).write_text("1")
    machine._git("add", ".")
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    machine._git(*identity, "commit", "-q", "-m", "first")
    head = machine._git("rev-parse", "--short", "HEAD")
    (tmp_path / "benchmarks" / "REPORT.md").write_text("2")
    assert machine.commit() == head
    (tmp_path / "a.py").write_text("2")
    changed = machine.commit()
    assert changed.startswith(f"{head} with changes ")
    (tmp_path / "new.py").write_text("3")
    assert machine.commit() not in (head, changed)


def test_no_python_for_the_published_stack_says_why(monkeypatch, tmp_path):
    script = tmp_path / "python3.10"
    script.write_text("#!/bin/sh\necho 'is Python 3.14' >&2\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("PUBLISHED_PYTHON", raising=False)
    path, why = PUBLISHED_STACK.find_python()
    assert path is None
    assert "python3.11 is not there; python3.10: is Python 3.14; python3.9 is not there" in why


def test_an_environment_that_cannot_be_made_says_why(monkeypatch, tmp_path):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho first >&2\necho no room >&2\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    monkeypatch.setattr(Environment, "find_python", lambda _: (str(script), ""))
    made = Environment("other", 9, 11).ready()
    assert made == (None, f"-m venv {tmp_path / '.venv-other'} failed: no room")


def test_a_commit_that_is_not_in_the_history(tmp_path):
    assert not first_step.extract("0000000", tmp_path / "before")


def test_versions_of_an_environment():
    found = environments.versions(sys.executable, ["numpy", "no-such-package-here"])
    assert found["numpy"] == np.__version__ and list(found) == ["Python", "numpy"]


def test_a_goal_of_zero_is_not_drawn(tmp_path):
    difference = row("first")
    difference["lines"][0]["goals"] = [at_least("difference", -0.5, 0, "")]
    reporting.write_report([difference], tmp_path / "REPORT.md")
    assert "| difference: -0.5 | at least 0 | **missed** |" in (tmp_path / "REPORT.md").read_text()
    assert not (tmp_path / "report.png").exists()


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
def test_memory_is_that_above_what_was_in_use_before():
    np.ones(30_000_000)
    assert 70 < megabytes(lambda: np.ones(10_000_000)) < 90
    assert megabytes(lambda: None) < 5


def test_ellipses_and_pairs_of_files_are_drawn(tmp_path):
    masks = ellipses(5, 64)
    assert (masks.shape, masks.dtype, masks.max()) == ((5, 64, 64), np.uint8, 1)
    assert masks.any(axis=(1, 2)).all()
    assert draw_pairs(tmp_path, (30, 40), 7, 4.0, ".png", distinct=3) > 0
    pairs = all_pairs(tmp_path)
    assert [es.read_image(pair.image).shape for pair in pairs] == [(30, 40, 3)] * 7
    assert len({pair.mask.resolve() for pair in pairs}) == 3
    assert es.check_pairs(pairs) == 0


def test_the_loop_as_published_finds_our_boxes():
    masks = ellipses(20, 128)
    assert sampling.loop(masks * 255) == sampling.ours(masks)


def test_the_loop_over_scikit_learn_finds_our_scores():
    masks = ellipses(6, 32)
    shifted = np.roll(masks, 2, axis=1)
    scores = es.Scores.from_masks(masks, shifted)
    np.testing.assert_allclose(evaluation.loop(masks, shifted), scores.per_image["iou"])


def test_who_does_not_train_has_no_row_of_training():
    found = {"ours": [(1.0, 2.0), (3.0, 4.0)], "exported": [(None, 5.0), (None, 6.0)]}
    training, inference = peer._by_task(found).values()
    assert training == {"ours": [1.0, 3.0]}
    assert inference == {"ours": [2.0, 4.0], "exported": [5.0, 6.0]}
