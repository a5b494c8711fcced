"""The notebooks: run or open them, store their outputs, fill them in, write the address."""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import editions
import nbformat
import stored
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbconvert import HTMLExporter

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "notebooks").glob("*.ipynb"))
ADDRESS = re.compile(r"(github(?:\.com)?/)[\w.-]+/ensemble_seg(?![\w-])")
REPOSITORY = re.compile(r'^Repository = "https://github\.com/([\w.-]+/ensemble_seg)"$', re.M)
COLOURS = re.compile(r"\x1b\[[\d;]*m")


def main() -> None:
    commands = {each.__name__: each for each in (run, refresh, fill, lab, address)}
    parser = argparse.ArgumentParser(prog="tools/notebooks.py", description=__doc__)
    parser.add_argument("command", choices=commands)
    parser.add_argument("folder", nargs="?", type=Path, help="where run and fill write")
    options = parser.parse_args()
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")  # this Python's kernel
    command = commands[options.command]
    command(options.folder) if options.folder else command()


def run(out: Path | None = None) -> None:
    """Execute all notebooks, keep .ipynb and .html copies, print the score tables."""
    tables = []
    for file, notebook in executed():
        copy = (out or Path(os.environ["ENSEMBLE_SEG_RUNS_DIR"], "notebooks")) / file.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        stored.still(notebook)
        nbformat.write(notebook, copy)
        html, _ = HTMLExporter().from_notebook_node(notebook, {"metadata": {"name": file.stem}})
        copy.with_suffix(".html").write_text(html, encoding="utf-8")
        tagged = [cell for cell in notebook.cells if "score-table" in cell.metadata.get("tags", [])]
        tables += ["".join(o.get("text", "") for o in cell.outputs).strip() for cell in tagged]
    print(f"\nExecuted copies (.ipynb and .html): {copy.parent}", *tables, sep="\n\n")


def refresh() -> None:
    """Run each notebook and store its outputs in it, or, if one fails, leave all as they are."""
    preset, finished = os.environ.get("ENSEMBLE_SEG_PRESET") or "quick", {}
    with tempfile.TemporaryDirectory() as runs:
        os.environ["ENSEMBLE_SEG_RUNS_DIR"] = runs
        for file, ran in executed():
            finished[file] = nbformat.read(file, as_version=4)
            stored.store(finished[file], ran, preset, {runs: "runs", str(ROOT): "."})
    for file, notebook in finished.items():
        nbformat.write(notebook, file)


def executed() -> Iterator[tuple]:
    """Run the notebooks, yield each with its outputs; one that fails ends the program."""
    set_folders()
    for number, file in enumerate(FILES, 1):
        print(f"[{number}/{len(FILES)}] {file.name} ... ", end="", flush=True)
        start, notebook = time.monotonic(), nbformat.read(file, as_version=4)
        resources = {"metadata": {"path": ROOT / "notebooks"}}
        client = NotebookClient(notebook, timeout=None, kernel_name="python3", resources=resources)
        try:
            client.execute(stderr=subprocess.DEVNULL)  # TensorFlow's first lines
        except (CellExecutionError, DeadKernelError, AssertionError) as error:
            text = COLOURS.sub("", str(error)).strip() or "interrupted"  # asserts on Ctrl-C
            sys.exit("\n".join(["failed", *text.splitlines()[-15:]]))
        print(f"{time.monotonic() - start:.0f} s", flush=True)
        yield file, notebook


def fill(out: Path = ROOT / "runs" / "teacher") -> None:
    """Write the notebooks with the solutions in their gaps."""
    out.mkdir(parents=True, exist_ok=True)
    for file in FILES:
        notebook = nbformat.read(file, as_version=4)
        editions.fill(notebook, file.stem)
        nbformat.write(notebook, out / file.name)
    print(f"The teacher's edition: {out}")


def set_folders() -> None:
    """Make the folders absolute: a notebook runs in notebooks/, the user does not."""
    os.environ.setdefault("ENSEMBLE_SEG_RUNS_DIR", str(ROOT / "runs"))
    os.environ.setdefault("ENSEMBLE_SEG_DATA_DIR", str(ROOT / "data"))
    for name in ("RUNS_DIR", "DATA_DIR", "DATASET"):
        path = Path(os.environ.get(f"ENSEMBLE_SEG_{name}", "")).expanduser()
        if path.name and (name != "DATASET" or path.is_dir()):  # a data set may be a name
            os.environ[f"ENSEMBLE_SEG_{name}"] = str(path.resolve())


def lab() -> None:
    set_folders()
    os.chdir(ROOT / "notebooks")
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab"])


def address() -> None:
    """Write pyproject's Repository into README and notebooks."""
    repository = REPOSITORY.search((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[1]
    for file in (ROOT / "README.md", *FILES):
        text = file.read_text(encoding="utf-8")
        file.write_text(ADDRESS.sub(rf"\g<1>{repository}", text), encoding="utf-8")


if __name__ == "__main__":
    main()
