import json

import pytest

from ensemble_seg.common.results import results_folder


def write(out, **files):
    with results_folder(out, {"by": "test"}) as folder:
        for name, text in files.items():
            (folder / "masks").mkdir(exist_ok=True)
            (folder / "masks" / name).write_text(text)


def found(out):
    return {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}


def test_the_record_lists_what_was_written(tmp_path):
    write(tmp_path / "out", a="one")
    record = json.loads((tmp_path / "out" / "predictions.json").read_text())
    digest = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"  # sha256sum
    assert record == {"by": "test", "files": {"masks/a": digest}}


@pytest.mark.parametrize("empty", [True, False])
def test_a_failure_leaves_all_as_it_was(tmp_path, empty):
    out = tmp_path / "out"
    if not empty:
        write(out, a="one", b="two")
    with pytest.raises(KeyboardInterrupt), results_folder(out, {}) as folder:
        (folder / "masks").mkdir()
        (folder / "masks" / "a").write_text("new")
        raise KeyboardInterrupt
    assert sorted(found(tmp_path)) == (
        [] if empty else ["out/masks/a", "out/masks/b", "out/predictions.json"]
    )
    assert empty or (out / "masks" / "a").read_text() == "one"


def test_what_a_killed_process_left_is_removed(tmp_path):
    out = tmp_path / "out"
    (out / "partial-results" / "masks").mkdir(parents=True)
    (out / "partial-results" / "masks" / "a").write_text("half")
    write(out, b="two")
    assert sorted(found(out)) == ["masks/b", "predictions.json"]


def test_killed_between_record_and_files(tmp_path):
    out = tmp_path / "out"
    write(out, a="one", b="two")
    (out / "masks" / "b").unlink()
    write(out, c="three")
    assert sorted(found(out)) == ["masks/c", "predictions.json"]


@pytest.mark.parametrize("text", ["", "[]", '{"files": {"../x": "0"}}', '{"files": {"/x": "0"}}'])
def test_a_record_that_cannot_be_trusted(tmp_path, text):
    (tmp_path / "x").write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "predictions.json").write_text(text)
    with pytest.raises(FileExistsError, match="missing or damaged"):
        write(tmp_path / "out", a="one")
    assert (tmp_path / "x").read_text() == "mine"


def test_files_of_others_among_the_results_are_kept_and_refused(tmp_path):
    out = tmp_path / "out"
    write(out, a="one")
    (out / "masks" / "mine").write_text("mine")
    with pytest.raises(FileExistsError, match=r"masks/mine: is no earlier result"):
        write(out, mine="new")
    assert (out / "masks" / "mine").read_text() == "mine"


def test_a_file_instead_of_a_folder(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(FileExistsError, match="expected a folder to write to, found a file"):
        write(tmp_path / "out", a="one")
