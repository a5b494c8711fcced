"""Damage by the hundred: what was tried and what held goes to docs/RELIABILITY.md.

    python tools/soak.py            # half an hour, with nothing else on the machine
    python tools/soak.py --tenth    # a tenth of each

Each part stops at the first thing that does not hold.
"""

import argparse
import csv
import io
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "RELIABILITY.md"
MARKS = "<!-- soak: begin -->\n", "<!-- soak: end -->\n"
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "reading")]
TRAINING = """
import pathlib, sys
sys.path[:0] = sys.argv[4:]
import ensemble_seg as es
from test_training import TINY, small_model
preset = TINY.replace(epochs=int(sys.argv[3]), keep="best", augment=True)
data = es.load_dataset(sys.argv[1])
pathlib.Path(sys.argv[2] + "-begun").touch()
es.train(small_model(preset), data, preset, runs_dir=sys.argv[2])
"""
KEPT_FILES = ["config.json", "history.csv", "model.keras"]
EPOCHS = 30


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenth", action="store_true", help="a tenth of each; no page is written")
    options = parser.parse_args()
    rows = []
    for name, (number, part) in PARTS.items():
        count = max(1, number // 10) if options.tenth else number
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            found = part(count, Path(folder))
        minutes = (time.monotonic() - start) / 60
        rows.append(f"| {name} | {count:,} | {found} | {minutes:.1f} |")
        print(rows[-1], flush=True)
    if not options.tenth:
        write_table(rows)
    return 0


def write_table(rows: list[str]) -> None:
    table = "\n".join(["| what | tried | what held | minutes |", "|---|---|---|---|", *rows, ""])
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(MARKS[0])
    PAGE.write_text(before + MARKS[0] + table + MARKS[1] + rest.split(MARKS[1])[1], "utf-8")


def kills(count: int, folder: Path) -> str:
    """Kill trainings at any moment; a finished one equals one that was left alone."""
    data, rng, done, compared = disks(folder), random.Random(0), 0, 0
    alone = finished(data, folder / "alone")
    seconds = time.time() - (folder / "alone-begun").stat().st_mtime
    while done < count:
        runs = folder / f"runs-{compared}"
        begun, path = folder / f"{runs.name}-begun", runs / alone.relative_to(folder / "alone")
        while not (path / "model.keras").is_file():
            begun.unlink(missing_ok=True)
            job = training(data, runs)
            wait_for(job, begun.is_file)
            time.sleep(rng.uniform(0, 0.9 * seconds))
            if job.poll() is None and done < count:
                job.kill()
                done += 1
            job.wait()
        assert sorted(file.name for file in path.iterdir()) == KEPT_FILES, list(path.iterdir())
        require_same(path, alone)
        compared += 1
    return (
        f"each was resumed until it ended: {compared} trainings in all, weights and history "
        "those of one left alone, nothing left over"
    )


def two_at_once(count: int, folder: Path) -> str:
    """Start two trainings in one folder, 0 to 6 s apart."""
    data, rng, refused = disks(folder), random.Random(1), 0
    alone = finished(data, folder / "alone")
    for number in range(count):
        runs = folder / f"runs-{number}"
        jobs = [training(data, runs, stderr=subprocess.PIPE)]
        time.sleep(rng.uniform(0, 6))
        jobs.append(training(data, runs, stderr=subprocess.PIPE))
        errors = [job.communicate()[1].decode() for job in jobs]
        codes = sorted(job.returncode for job in jobs)
        assert codes in ([0, 0], [0, 1]), errors
        if codes == [0, 1]:
            refused += 1
            assert any("works in this folder" in error for error in errors), errors
        require_same(runs / alone.relative_to(folder / "alone"), alone)
    return f"{refused} refused, the others found it finished; each result is that of one alone"


def files(count: int, folder: Path) -> str:
    """Mangle image and mask files of each kind; each is read, or refused in one line."""
    import test_refusing as kinds

    rng, refused = np.random.default_rng(3), 0
    sound = {name: make() for name, make in kinds.KINDS.items()}
    for number in range(count):
        name = list(sound)[number % len(sound)]
        path = folder / name
        path.write_bytes(kinds.mangled(sound[name], rng) or b"\0")
        said = [kinds.refusal(read, path) for read in kinds.READERS]
        refused += any(said)
    return f"{refused:,} refused by some of six readers, in one line that names the file"


def bits(count: int, folder: Path) -> str:
    """Flip one bit of a PNG mask; it is refused, or read as it was."""
    import test_refusing as kinds

    sound, rng, read = kinds.KINDS["mask.png"](), np.random.default_rng(4), 0
    for _ in range(count):
        flipped = bytearray(sound)
        flipped[int(rng.integers(len(sound)))] ^= 1 << int(rng.integers(8))
        (folder / "mask.png").write_bytes(flipped)
        if not kinds.refusal(kinds.es.read_mask, folder / "mask.png"):
            read += 1
            mask = kinds.es.read_mask(folder / "mask.png")
            assert (mask == (kinds.MASK > 0)).all()
    return f"{count - read:,} refused, {read} read as the mask that was written"


def manifests(count: int, folder: Path) -> str:
    """Mangle a manifest; it gives pairs that are in it, or one line."""
    import ensemble_seg as es

    data, rng, refused = disks(folder), np.random.default_rng(5), 0
    stems = [f"disk_{number:02d}" for number in range(20)]
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["image", "mask", "group", "split"])
    for number, stem in enumerate(stems):
        part = ("train", "validation", "test")[0 if number < 12 else 1 + number // 2 % 2]
        writer.writerow([f"images/{stem}.png", f"masks/{stem}.png", f"p{number // 2}", part])
    sound = table.getvalue().encode()
    (data / "manifest.csv").write_bytes(sound)
    assert len(es.load_dataset(data).test.pairs) == 4
    for _ in range(count):
        (data / "manifest.csv").write_bytes(mangled_text(sound, rng))
        try:
            found = es.load_dataset(data)
        except (ValueError, FileNotFoundError) as error:
            assert "\n" not in str(error) and str(folder) in str(error), repr(error)
            refused += 1
            continue
        for split in (found.train, found.validation, found.test):
            assert all(pair.image.stem == pair.mask.stem for pair in split.pairs)
    return f"{refused} refused in one line, of the others each image has its own mask"


def mangled_text(text: bytes, rng: np.random.Generator) -> bytes:
    """Change a byte, take out, double or swap lines, cut the end off."""
    lines, way = text.splitlines(keepends=True), rng.integers(5)
    first, second = (int(each) for each in rng.integers(len(lines), size=2))
    if way == 0:
        at = int(rng.integers(len(text)))
        return text[:at] + rng.bytes(1) + text[at + 1 :]
    if way == 1:
        del lines[first]
    elif way == 2:
        lines.insert(second, lines[first])
    elif way == 3:
        lines[first], lines[second] = lines[second], lines[first]
    else:
        return text[: int(rng.integers(len(text)))]
    return b"".join(lines)


def tests(*names: str) -> Callable[[int, Path], str]:
    """Return a part that runs test files: those tried and held are what pytest counts."""

    def run(count: int, folder: Path) -> str:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *names]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:]
        return f"`pytest {' '.join(names)}`: {done.stdout.strip().splitlines()[-1]}"

    return run


def mutants(count: int, folder: Path) -> str:
    """Change the method in one place, again and again; its tests notice, or nothing can."""
    command = [sys.executable, str(ROOT / "tools" / "mutants.py"), "--count", str(count)]
    done = subprocess.run([*command, "--seed", "1"], capture_output=True, text=True, check=True)
    killed, tried = (int(cell) for cell in done.stdout.splitlines()[-1].split("|")[2:4])
    survivors = [line for line in done.stdout.splitlines() if "survives" in line]
    print("\n".join(survivors))
    assert killed >= 0.9 * tried
    return f"{killed} noticed by the tests of the file; the others are explained below"


def disks(folder: Path) -> Path:
    from conftest import write_disks

    return write_disks(folder)


def training(data: Path, runs: Path, **options) -> subprocess.Popen:
    folders = map(str, (ROOT, ROOT / "tests"))
    command = [sys.executable, "-c", TRAINING, str(data), str(runs), str(EPOCHS), *folders]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, **{**quiet, **options})


def finished(data: Path, runs: Path) -> Path:
    assert training(data, runs).wait() == 0
    return next(runs.rglob("model.keras")).parent


def wait_for(job: subprocess.Popen, ready: Callable[[], bool]) -> None:
    while job.poll() is None and not ready():
        time.sleep(0.02)


def require_same(path: Path, alone: Path) -> None:
    from ensemble_seg import load_model

    pairs = zip(
        *(load_model(each / "model.keras").get_weights() for each in (path, alone)), strict=True
    )
    assert all(np.array_equal(*pair) for pair in pairs), path
    assert (path / "history.csv").read_bytes() == (alone / "history.csv").read_bytes()


PARTS = {
    "`kill -9` of a training": (100, kills),
    "two trainings in one folder, 0 to 6 s apart": (20, two_at_once),
    "image and mask files with a few bytes changed": (2000, files),
    "PNG masks with one bit flipped": (2000, bits),
    "manifests with a byte or lines changed": (300, manifests),
    "models from elsewhere, hostile ones among them": (1, tests("tests/test_foreign_models.py")),
    "full disks": (1, tests("tests/test_full_disk.py")),
    "damaged run folders": (1, tests("tests/test_damaged_runs.py")),
    "changes of the method, one place at a time": (200, mutants),
}

if __name__ == "__main__":
    sys.exit(main())
