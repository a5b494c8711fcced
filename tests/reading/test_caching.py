import os
import random
import shutil
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from conftest import save

import ensemble_seg as es
from ensemble_seg.reading import batches
from ensemble_seg.reading import windows as reading_windows
from ensemble_seg.reading.pairs import Box, Pair
from ensemble_seg.reading.windows import cached_reader, small_pair

SMOKE = es.preset("smoke").replace(size=32, epochs=2, augment=True)


def collect(dataset):
    return [(image.tobytes(), mask.tobytes()) for image, mask in dataset.as_numpy_iterator()]


def cached_rows(windows, size, folder):
    """Images and masks of all windows, out of the cache."""
    read = cached_reader(windows, size, folder)
    return tuple(map(np.stack, zip(*(read(index) for index in range(len(windows))), strict=True)))


def greys(windows, size, folder):
    return cached_rows(windows, size, folder)[0][:, 0, 0, 0].tolist()


def files(folder):
    return sorted(file for file in folder.glob("**/*") if file.is_file())


@pytest.fixture
def pairs(tmp_path):
    """12 images of one grey each, 1..12, with a lesion in the left half."""
    mask = np.zeros((8, 8), "uint8")
    mask[:, :4] = 255
    return [
        Pair(
            save(tmp_path / "set" / f"{grey}.png", np.full((8, 8, 3), grey, "uint8")),
            save(tmp_path / "set" / f"{grey}_mask.png", mask),
            str(grey),
        )
        for grey in range(1, 13)
    ]


def test_rows_lie_in_the_order_of_the_windows(pairs, tmp_path, monkeypatch):
    def slow(*arguments):
        time.sleep(random.uniform(0, 0.01))
        return small_pair(*arguments)

    monkeypatch.setattr(reading_windows, "small_pair", slow)
    windows = [(pair, None) for pair in reversed(pairs)]
    images, masks = cached_rows(windows, 4, tmp_path / "cache")
    assert (images.shape, images.dtype) == ((12, 4, 4, 3), np.uint8)
    assert (images == np.arange(12, 0, -1)[:, None, None, None]).all()
    np.testing.assert_array_equal(masks, np.tile([1, 1, 0, 0], (12, 4, 1)))
    assert masks.dtype == np.uint8
    assert len(files(tmp_path / "cache")) == 1


@pytest.mark.parametrize("training", [False, True])
def test_batches_are_the_same_with_and_without_a_cache(disks, tmp_path, training):
    train = es.load_dataset(disks).train
    plain = collect(train.to_tf(SMOKE, training=training))
    kept = collect(train.to_tf(SMOKE, training=training, cache=tmp_path / "cache"))
    assert plain == kept
    assert kept == collect(train.to_tf(SMOKE, training=training, cache=tmp_path / "cache"))


def test_with_a_cache_a_resumed_stream_is_the_rest_of_the_whole_one(disks, tmp_path):
    train = es.load_dataset(disks).train
    whole = collect(train.to_tf(SMOKE, training=True))
    rest = train.to_tf(SMOKE, training=True, first_epoch=1, cache=tmp_path / "cache")
    assert whole[4:] == collect(rest)


@pytest.mark.parametrize("block", [1 << 20, 100])
def test_the_file_is_written_once_and_images_are_not_opened_again(
    pairs, tmp_path, monkeypatch, block
):
    monkeypatch.setattr(reading_windows, "BLOCK", block)  # 3,072 bytes: one block, or 31
    windows = [(pair, None) for pair in pairs]
    cached_rows(windows, 8, tmp_path / "cache")
    (file,) = files(tmp_path / "cache")
    before = file.stat()
    monkeypatch.setattr(reading_windows, "small_pair", lambda *_: pytest.fail("read again"))
    assert greys(windows, 8, tmp_path / "cache") == list(range(1, 13))
    after = file.stat()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)


def test_the_setting_names_the_folder(disks, tmp_path, monkeypatch):
    test = es.load_dataset(disks).test
    plain = collect(test.to_tf(SMOKE))
    assert not (tmp_path / "cache").exists()
    monkeypatch.setenv("ENSEMBLE_SEG_CACHE_DIR", str(tmp_path / "cache" / "deep"))
    assert collect(test.to_tf(SMOKE)) == plain
    assert len(files(tmp_path / "cache" / "deep")) == 1


def test_what_changes_the_rows_makes_another_file(pairs, tmp_path):
    folder = tmp_path / "cache"
    windows = [(pair, None) for pair in pairs]
    cached_rows(windows, 8, folder)
    cached_rows(windows, 9, folder)
    cached_rows(windows[:11], 8, folder)
    cached_rows(windows[::-1], 8, folder)
    _, masks = cached_rows([(pair, Box(0, 0, 8, 4)) for pair in pairs], 8, folder)
    assert masks.all()
    assert len(files(folder)) == 5


@pytest.mark.parametrize("number", [0, 1], ids=["image", "mask"])
def test_changed_files_are_read_anew(pairs, tmp_path, number):
    windows = [(pair, None) for pair in pairs]
    cached_rows(windows, 8, tmp_path / "cache")
    file = pairs[2][number]
    before = file.stat()
    save(file, np.full((8, 8, 3), 77, "uint8") if number == 0 else np.ones((8, 8), "uint8"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    images, masks = cached_rows(windows, 8, tmp_path / "cache")
    assert images[2, 0, 0, 0] == (3 if number else 77)
    assert masks[2].mean() == (1 if number else 0.5)


@pytest.mark.parametrize("number", [0, 1], ids=["image", "mask"])
def test_files_of_the_same_length_and_time_are_read_anew(pairs, tmp_path, number):
    """A corrected label set that was copied over the first one with its times."""
    windows, file = [(pair, None) for pair in pairs], pairs[2][number]
    bitmap = file.with_suffix(".bmp")
    windows[2] = (Pair(*(bitmap if path == file else path for path in pairs[2][:2]), "3"), None)
    save(bitmap, np.zeros((8, 8, 3), "uint8"))
    before = bitmap.stat()
    cached_rows(windows, 8, tmp_path / "cache")
    save(bitmap, np.full((8, 8, 3), 255, "uint8"))
    os.utime(bitmap, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert bitmap.stat().st_size == before.st_size
    images, masks = cached_rows(windows, 8, tmp_path / "cache")
    assert images[2].mean() == (3 if number else 255)
    assert masks[2].mean() == (1 if number else 0.5)


def test_files_that_were_moved_need_no_new_cache(pairs, tmp_path):
    cached_rows([(pair, None) for pair in pairs], 8, tmp_path / "cache")
    shutil.move(tmp_path / "set", tmp_path / "elsewhere")
    moved = [Pair(*(tmp_path / "elsewhere" / p.name for p in pair[:2]), "") for pair in pairs]
    assert greys([(pair, None) for pair in moved], 8, tmp_path / "cache") == list(range(1, 13))
    assert len(files(tmp_path / "cache")) == 1


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-40])


def flip(path):
    found = bytearray(path.read_bytes())
    found[1234] ^= 4
    path.write_bytes(found)


@pytest.mark.parametrize(
    "damage",
    [cut_off, flip, lambda path: path.write_bytes(b""), lambda path: path.open("ab").write(b"x")],
)
def test_a_damaged_cache_is_made_again(pairs, tmp_path, capsys, damage):
    windows, folder = [(pair, None) for pair in pairs], tmp_path / "cache"
    cached_rows(windows, 8, folder)
    (file,) = files(folder)
    sound = file.read_bytes()
    damage(file)
    assert greys(windows, 8, folder) == list(range(1, 13))
    assert capsys.readouterr().out == f"{file}: damaged or cut off. It is made again.\n"
    assert file.read_bytes() == sound
    greys(windows, 8, folder)
    assert capsys.readouterr().out == ""


def test_what_a_killed_writer_left_is_not_read(pairs, tmp_path, monkeypatch):
    windows, folder = [(pair, None) for pair in pairs], tmp_path / "cache"

    def killed(pair, box, size, lesion_values):
        if pair.group == "7":
            raise KeyboardInterrupt
        return small_pair(pair, box, size)

    with monkeypatch.context() as patch:
        patch.setattr(reading_windows, "small_pair", killed)
        with pytest.raises(KeyboardInterrupt):
            cached_rows(windows, 8, folder)
    assert greys(windows, 8, folder) == list(range(1, 13))
    (file,) = files(folder)
    file.rename(folder / f"partial-{file.name}")
    (folder / f"partial-{file.name}").write_bytes(b"half a file")
    assert greys(windows, 8, folder) == list(range(1, 13))


def test_an_unreadable_image_is_named_and_leaves_nothing(pairs, tmp_path):
    pairs[5].image.write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"6.png: not an image that can be read"):
        cached_rows([(pair, None) for pair in pairs], 8, tmp_path / "cache")
    assert files(tmp_path / "cache") == []


def test_a_disk_that_is_too_small_is_noticed_before(pairs, tmp_path, monkeypatch):
    usage = SimpleNamespace(total=10**9, used=10**9 - 3000, free=3000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    windows = [(pair, None) for pair in pairs]
    with pytest.raises(OSError, match=r"needs .* of free disk, found 3.0 kB"):
        cached_rows(windows, 8, tmp_path / "cache")
    assert files(tmp_path / "cache") == []
    assert greys(windows, 4, tmp_path / "cache") == list(range(1, 13))


def test_two_writers_at_once_do_not_disturb_each_other(pairs, tmp_path, monkeypatch):
    windows, folder = [(pair, None) for pair in pairs], tmp_path / "cache"
    both_write = threading.Barrier(2)
    second_is_done = threading.Event()
    seen, results, errors = set(), {}, []
    lock = threading.Lock()

    def row(pair, box, size, lesion_values):
        with lock:
            first = pair.group not in seen
            seen.add(pair.group)
        if pair.group == "1":
            both_write.wait(10)
            if first:
                second_is_done.wait(10)
        return small_pair(pair, box, size)

    def writer(name):
        try:
            results[name] = greys(windows, 8, folder)
        except Exception as error:
            errors.append(error)
        second_is_done.set()

    monkeypatch.setattr(reading_windows, "small_pair", row)
    writers = [threading.Thread(target=writer, args=(name,)) for name in "ab"]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    assert errors == []
    assert results == {"a": list(range(1, 13)), "b": list(range(1, 13))}
    assert len(files(folder)) == 1


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("threads", [1, 8])
def test_batches_do_not_depend_on_threads(disks, tmp_path, monkeypatch, cached, threads):
    train = es.load_dataset(disks).train
    expected = collect(train.to_tf(SMOKE, training=True))

    def slow(*arguments):
        time.sleep(random.choice([0, 0, 0, 0.02]))
        return small_pair(*arguments)

    monkeypatch.setattr(batches, "small_pair", slow)
    monkeypatch.setattr(reading_windows, "small_pair", slow)
    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    cache = tmp_path / "cache" if cached else None
    stream = train.to_tf(SMOKE, training=True, cache=cache).with_options(options)
    assert collect(stream) == expected
