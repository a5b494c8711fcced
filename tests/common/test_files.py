import errno
import hashlib
import os
import time
from pathlib import Path

import pytest

from ensemble_seg.common.files import (
    clear_disk_errors,
    content,
    content_hash,
    remove_partial,
    require_disk,
    whole,
)


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("before")
    with pytest.raises(KeyError), whole(target) as partial:
        partial.write_text("half")
        raise KeyError
    assert target.read_text() == "before"
    with whole(target) as partial:
        partial.write_text("after")
        assert target.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"]
    assert target.read_text() == "after"


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(KeyError), whole(tmp_path / "deep" / "set") as partial:
        (partial / "images").mkdir(parents=True)
        raise KeyError
    assert list((tmp_path / "deep").iterdir()) == []
    with whole(tmp_path / "deep" / "set") as partial:
        (partial / "images").mkdir(parents=True)
    assert (tmp_path / "deep" / "set" / "images").is_dir()


def test_two_writers_of_one_file_do_not_share_a_name(tmp_path):
    with whole(tmp_path / "file.txt") as one, whole(tmp_path / "file.txt") as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "file.txt").read_text() == "one"


def test_what_a_killed_process_left_of_a_file_is_removed_after_an_hour(tmp_path):
    hour_ago = time.time() - 3601
    for name, age in (("partial-12345678-a[1].csv", hour_ago), ("partial-87654321-a[1].csv", None)):
        (tmp_path / name).write_text("half")
        if age:
            os.utime(tmp_path / name, (age, age))
    (tmp_path / "partial-12345678-set").mkdir()
    (tmp_path / "partial-12345678-set" / "image.png").touch()  # just now
    os.utime(tmp_path / "partial-12345678-set", (hour_ago, hour_ago))
    with whole(tmp_path / "a[1].csv") as file:
        file.write_text("whole")
    with whole(tmp_path / "set") as folder:
        folder.mkdir()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a[1].csv", "partial-12345678-set", "partial-87654321-a[1].csv", "set",
    ]  # fmt: skip


def test_the_hash_of_a_file_is_that_of_its_content_now(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert content(path) == b"abc"
    # FIPS 180-2, B.1 and the empty message.
    assert content_hash(path).hex().startswith("ba7816bf8f01cfea414140de5dae2223b00361a396177a9c")
    before = path.stat()
    path.write_bytes(b"abd")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert content_hash(path) == hashlib.sha256(b"abd").digest()


def test_a_file_is_read_once_for_its_hash(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    content(path)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("read again"))
    assert content_hash(path).hex().startswith("ba7816bf")


def test_what_a_killed_writer_left_is_removed(tmp_path):
    (tmp_path / "partial-1234-model.keras").write_text("half")
    (tmp_path / "partial-1234-set" / "images").mkdir(parents=True)
    (tmp_path / "model.keras").write_text("whole")
    remove_partial(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.keras"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "no space left on the disk. All is kep"),
        (
            OSError("Can't write data (errno = 28, error message = ...)"),
            "no space left on the disk",
        ),
        (
            RuntimeError("flush failed (errno = 28, error message = ...)"),
            "no space left on the disk",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied"),
            r"cannot be written \(Perm",
        ),
        (OSError("already explained"), "^already explained$"),
    ],
)
def test_a_disk_that_does_not_do_its_part_is_one_message(tmp_path, error, message):
    with pytest.raises(OSError, match=message), clear_disk_errors(tmp_path, "All is kept."):
        raise error


def test_too_little_disk_is_noticed_before(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 3000}))
    require_disk(tmp_path, 3000, "the cache")
    with pytest.raises(OSError, match=r"the cache needs 3.0 kB of free disk, found"):
        require_disk(tmp_path, 3001, "the cache")
