"""The notebooks: run them, open them, write the repository's address into them."""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import editions
import stored

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
ADDRESS = re.compile(
    r"(github\.com/|colab\.research\.google\.com/github/)[\w.-]+/ensemble_seg(?![\w-])"
)
COLOURS = re.compile(r"\x1b\[[\d;]*m")


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/notebooks.py", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="execute all notebooks, keep .ipynb and .html copies")
    run.add_argument("--out", type=Path, help="where (runs/notebooks/DATA SET/PRESET)")
    run.set_defaults(command=lambda options: run_all(options.out))
    refresh = commands.add_parser("refresh", help="run all, store every output in the notebooks")
    refresh.add_argument("--preset", default="quick", help="to run them with (quick)")
    refresh.set_defaults(command=lambda options: refresh_all(options.preset))
    fill = commands.add_parser("fill", help="write the teacher's edition: exercises filled in")
    fill.add_argument("out", type=Path, help="a folder")
    fill.set_defaults(command=lambda options: fill_all(options.out))
    lab = commands.add_parser("lab", help="open JupyterLab")
    lab.set_defaults(command=lambda options: open_lab())
    address = commands.add_parser("address", help="write pyproject's Repository where it is used")
    address.add_argument("--check", action="store_true", help="write nothing, only compare")
    address.set_defaults(command=lambda options: write_address(options.check))
    options = parser.parse_args()
    return options.command(options)


def run_all(out: Path | None) -> int:
    set_folders()
    files = sorted(NOTEBOOKS.glob("*.ipynb"))
    if not files:
        print(f"{NOTEBOOKS}: no notebooks to run.", file=sys.stderr)
        return 1
    out = (out or copies_folder()).resolve()
    for number, file in enumerate(files, 1):
        print(f"[{number}/{len(files)}] {file.name} ... ", end="", flush=True)
        start = time.monotonic()
        notebook, problem = execute(file)
        print("failed" if problem else f"{time.monotonic() - start:.0f} s", flush=True)
        for section, seconds in stored.section_times(notebook).items():
            print(f"      {seconds:4.0f} s  {section}")
        write_copies(notebook, out / file.name)
        if problem:
            print(f"{file.name}, {problem}\nWhat ran: {out / file.name}", file=sys.stderr)
            return 1
    print(f"\nExecuted copies (.ipynb and .html): {out}\n\n{score_tables(notebook)}")
    return 0


def refresh_all(preset: str) -> int:
    """Run each notebook and store its outputs in it, or, if one fails, leave all as they are."""
    import nbformat

    finished = {}
    with tempfile.TemporaryDirectory() as folder:
        runs = os.environ.setdefault("ENSEMBLE_SEG_RUNS_DIR", folder)
        set_folders()
        os.environ["ENSEMBLE_SEG_PRESET"] = preset
        for file in sorted(NOTEBOOKS.glob("*.ipynb")):
            print(f"{file.name} ... ", end="", flush=True)
            ran, problem = execute(file)
            if problem:
                print(f"failed\n{file.name}, {problem}", file=sys.stderr)
                return 1
            finished[file] = nbformat.read(file, as_version=4)
            stored.store(finished[file], ran, preset, {runs: "runs", str(ROOT): "."})
            print("done")
    for file, notebook in finished.items():
        nbformat.write(notebook, file)
        print(f"{file.name}: {file.stat().st_size / 1e6:.2f} MB")
    return 0


def fill_all(out: Path) -> int:
    """Write the notebooks with the solutions in their gaps."""
    import nbformat

    out.mkdir(parents=True, exist_ok=True)
    for file in sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = nbformat.read(file, as_version=4)
        editions.fill(notebook, file.stem)
        nbformat.write(notebook, out / file.name)
    print(f"The teacher's edition: {out}")
    return 0


def set_folders() -> None:
    """Make the folders absolute: a notebook runs in notebooks/, the user does not."""
    for name, default in (("RUNS_DIR", "runs"), ("DATA_DIR", "data")):
        given = os.environ.get(f"ENSEMBLE_SEG_{name}")
        os.environ[f"ENSEMBLE_SEG_{name}"] = str(Path(given).resolve() if given else ROOT / default)
    if os.environ.get("ENSEMBLE_SEG_CACHE_DIR"):
        cache = Path(os.environ["ENSEMBLE_SEG_CACHE_DIR"])
        os.environ["ENSEMBLE_SEG_CACHE_DIR"] = str(cache.resolve())
    dataset = os.environ.get("ENSEMBLE_SEG_DATASET", "")
    if dataset not in ("", "phantoms") and Path(dataset).is_dir():
        os.environ["ENSEMBLE_SEG_DATASET"] = str(Path(dataset).resolve())


def copies_folder() -> Path:
    """Return a folder named after data set and preset, in the runs folder."""
    dataset = os.environ.get("ENSEMBLE_SEG_DATASET") or "phantoms"
    preset = re.sub(r"[^\w.,=-]", "", os.environ.get("ENSEMBLE_SEG_PRESET") or "quick")
    return Path(os.environ["ENSEMBLE_SEG_RUNS_DIR"], "notebooks", Path(dataset).name, preset)


def execute(file: Path) -> tuple:
    """Run a notebook; return it with its outputs, and what went wrong or None."""
    import nbformat
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    class ThisPython(KernelSpecManager):
        """Whatever kernels the user has installed, this interpreter is the one."""

        def get_kernel_spec(self, kernel_name):
            return KernelSpec(**get_kernel_dict(["--log-level=CRITICAL"]))

    notebook = nbformat.read(file, as_version=4)
    client = NotebookClient(
        notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": NOTEBOOKS}}
    )
    client.create_kernel_manager().kernel_spec_manager = ThisPython()
    started = []
    client.on_cell_execute = lambda cell, cell_index: started.append(cell_index)
    try:
        client.execute(stderr=subprocess.DEVNULL)  # what TensorFlow prints before Python hears it
    except (CellExecutionError, DeadKernelError, AssertionError) as error:
        text = COLOURS.sub("", str(error).strip()) or "interrupted"  # nbclient asserts on Ctrl-C
        lines = text.splitlines()[-15:]
        return notebook, "\n".join([f"code cell [{len(started)}]:", *lines])
    return notebook, None


def write_copies(notebook, path: Path) -> None:
    """Write a notebook as .ipynb and .html, a progress bar as its last line."""
    import nbformat
    from nbconvert import HTMLExporter
    from nbconvert.preprocessors import CoalesceStreamsPreprocessor

    notebook, _ = CoalesceStreamsPreprocessor(enabled=True).preprocess(notebook, {})
    stored.still(notebook)
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    resources = {"metadata": {"name": path.stem}}
    html, _ = HTMLExporter().from_notebook_node(notebook, resources)
    path.with_suffix(".html").write_text(html, encoding="utf-8")


def score_tables(notebook) -> str:
    tables = [
        "".join(output.get("text", "") for output in cell.outputs).strip()
        for cell in notebook.cells
        if "score-table" in cell.metadata.get("tags", [])
    ]
    return "\n\n".join(tables) or "(no cell tagged score-table)"


def open_lab() -> int:
    set_folders()
    os.chdir(NOTEBOOKS)
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab"])


def write_address(check: bool) -> int:
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(
        r'^Repository = "https://github.com/([\w.-]+/ensemble_seg)"$', pyproject, re.M
    )
    if not found:
        print('pyproject.toml: expected Repository = "https://github.com/OWNER/ensemble_seg".')
        return 1
    differing = []
    for file in (ROOT / "README.md", *sorted(NOTEBOOKS.glob("*.ipynb"))):
        text = file.read_text(encoding="utf-8")
        written = ADDRESS.sub(rf"\g<1>{found[1]}", text)
        if written != text:
            differing.append(file.name)
            if not check:
                file.write_text(written, encoding="utf-8")
    if differing and check:
        print(f"{', '.join(differing)}: another address than pyproject.toml. Run: make address")
    return int(check and bool(differing))


if __name__ == "__main__":
    sys.exit(main())
