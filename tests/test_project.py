import ast
import graphlib
import inspect
import re
import subprocess
import sys
import types
from pathlib import Path

import keras
import numpy as np
import prose
import pytest
import yaml
from packaging.requirements import Requirement

import ensemble_seg as es

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGE = ROOT / "ensemble_seg"
TESTED_ELSEWHERE = {
    "__main__": "test_main",
    "commands": "test_main",
    "runs": "test_training",
    "common/environment": "test_stops",
    "common/errors": "test_presets",
    "common/locks": "test_two_trainings",
    "common/stopping": "test_stops",
    "encoders/weights": "encoders/test_efficientnet_lite",
    "teaching/study": "study/test_study_report",
    "inspection/picture": "inspection/test_inspecting",
    "datasets/columns": "test_foreign_files",
    "datasets/inputs": "test_foreign_files",
    "datasets/lists": "datasets/test_layouts",
    "datasets/manifests": "datasets/test_layouts",
    "datasets/pairing": "datasets/test_layouts",
    "datasets/sources": "fetching/test_downloads",
    "datasets/unread": "test_foreign_files",
    "fetching/archives": "fetching/test_downloads",
    "fetching/transfers": "fetching/test_downloads",
    "hardware/precision": "test_models",
    "inspection/readiness": "test_before_training",
    "inspection/records": "inspection/test_inspecting",
    "inspection/report": "inspection/test_inspecting",
    "reading/classes": "reading/test_encodings",
    "reading/converting": "reading/test_encodings",
    "reading/lesion_values": "reading/test_encodings",
    "reading/masks": "reading/test_images",
    "keeping/conditions": "test_damaged_runs",
    "keeping/configs": "test_damaged_runs",
    "keeping/histories": "test_damaged_runs",
    "keeping/loading": "test_foreign_models",
    "keeping/states": "test_damaged_runs",
    "keeping/stops": "test_stops",
    "reading/pairs": "datasets/test_dataset",
    "predicting/engines": "test_engines",
    "predicting/folders": "test_predicting",
    "predicting/networks": "test_predicting",
    "predicting/scoring": "test_predicting",
    "predicting/segmenter": "test_predicting",
    "study/figures": "study/test_study_report",
    "study/jobs": "study/test_running",
    "study/parts": "study/test_running",
    "study/plans": "study/test_running",
    "study/report": "study/test_study_report",
    "study/results": "study/test_study_report",
    "study/studies": "study/test_running",
    "reading/stored": "reading/test_encodings",
    "teaching/checks": "teaching/test_exercises",
    "teaching/drawing": "teaching/test_widgets",
    "teaching/ensemble_exercises": "teaching/test_exercises",
    "teaching/exercise": "teaching/test_exercises",
    "teaching/main_exercises": "teaching/test_exercises",
    "teaching/sampling_exercises": "teaching/test_exercises",
}
ROOMS = {
    "common", "datasets", "encoders", "fetching", "hardware", "inspection", "keeping",
    "predicting", "reading", "study", "teaching",
}  # fmt: skip
# What a room may import from, itself apart: arrows point one way.
MAY_SEE = {
    "common": set(),
    "encoders": {"common", "hardware"},
    "keeping": {"common", "datasets", "presets"},
    "hardware": {"common"},
    "reading": {"common", "presets"},
    "datasets": {"common", "presets", "reading"},
    "fetching": {"common", "datasets"},
    "predicting": {
        "common", "datasets", "ensembling", "evaluation", "exporting", "reading", "zooming",
    },
    "inspection": {
        "common", "datasets", "encoders", "hardware", "keeping", "plots", "presets", "reading",
        "sampling",
    },
}  # fmt: skip
# Every public name of the flat module but Muon's: notebooks and courses use them.
EARLIER = """
LOSSES Box Counts Dataset ExponentialLoss Interval Pair Preset Run Scores Split WeightedAverage
average_probabilities build_ensemble check_pairs crop_split download draw_phantom eight_views
evaluate exponential_loss fit_weights imbalance_ratio inspect_dataset k_folds lesion_box
lesion_boxes lesion_crops load_dataset load_or_train load_run loss_by_name paired_difference plots
precision_policy predict_folder predict_image predict_split preset read_image read_mask run_path
sampled save_model score score_table train unet write_phantoms
"""
MACHINE_PATH = re.compile(r"(?<![\w.~/])/(home|root|tmp|work|Users|mnt|opt)/\w+")


def known_good(python: str) -> dict[str, str]:
    """Return the versions of requirements.txt for a Python version."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    fitting = [pin for pin in pins if not pin.marker or pin.marker.evaluate(at(python))]
    versions = {pin.name: str(pin.specifier).removeprefix("==") for pin in fitting}
    assert len(versions) == len(fitting), "a package is pinned twice"
    return versions


def at(python: str) -> dict[str, str]:
    return {"python_version": python, "python_full_version": f"{python}.0"}


def test_environment_is_requirements_at_python_3_12():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["dependencies"][:2] == ["python=3.12", "pip"]
    *pins, package = environment["dependencies"][2]["pip"]
    assert pins == [f"{name}=={version}" for name, version in known_good("3.12").items()]
    assert package == "-e ."


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_known_good_versions_are_allowed_by_pyproject(python):
    versions = known_good(python)
    extras = PROJECT["optional-dependencies"]
    for line in (*PROJECT["dependencies"], *extras["notebooks"], *extras["test"]):
        needed = Requirement(line)
        if not needed.marker or needed.marker.evaluate(at(python)):
            assert needed.specifier.contains(versions[needed.name]), line


def test_the_matrix_begins_at_the_oldest_versions_of_pyproject(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import matrix

    needed = {Requirement(line).name: Requirement(line) for line in PROJECT["dependencies"]}
    pythons = [row.split()[-1] for row in PROJECT["classifiers"] if "Python :: 3" in row]
    assert list(matrix.OLDEST) == pythons
    assert needed["tensorflow"].specifier == f">={min(matrix.OLDEST.values())}"
    assert needed["keras"].specifier == f">={matrix.OLDEST_KERAS}"


def test_one_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert PROJECT["version"] == es.__version__ == str(citation["version"])


def test_one_address():
    command = [sys.executable, ROOT / "tools" / "notebooks.py", "address", "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_path_of_one_machine():
    files = [ROOT / "README.md", ROOT / "data" / "README.md"]
    for folder in ("ensemble_seg", "notebooks", "tools"):
        files += [file for file in (ROOT / folder).rglob("*.*") if file.suffix in (".py", ".ipynb")]
    found = {file.name: MACHINE_PATH.search(file.read_text(encoding="utf-8")) for file in files}
    assert not {name: match[0] for name, match in found.items() if match}


def test_every_module_has_a_test():
    for file in PACKAGE.rglob("*.py"):
        module = file.relative_to(PACKAGE).with_suffix("")
        test = TESTED_ELSEWHERE.get(module.as_posix(), module.with_name(f"test_{module.name}"))
        if file.name != "__init__.py":
            assert (ROOT / "tests" / f"{test}.py").is_file(), f"{module}: no tests/{test}.py"


def test_who_opens_the_module_sees_the_method():
    entries = [path for path in PACKAGE.iterdir() if path.name != "__pycache__"]
    assert len([path for path in entries if path.is_file()]) <= 14
    assert {path.name for path in entries if path.is_dir()} == ROOMS


def imports() -> dict[str, set[str]]:
    """Return the modules of the package that each module imports, wherever in the file."""
    files = [file for file in PACKAGE.rglob("*.py") if file != PACKAGE / "__init__.py"]
    paths = {file: file.relative_to(PACKAGE).with_suffix("").parts for file in files}
    names = {".".join(parts).removesuffix(".__init__"): file for file, parts in paths.items()}
    return {name: set(imported(paths[file][:-1], file, names)) for name, file in names.items()}


def imported(package, file, names):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            base = ".".join(part for part in base if part)
            for alias in node.names:
                inner = f"{base}.{alias.name}".strip(".")
                yield inner if inner in names else base


def test_imports_point_one_way():
    graph = imports()
    assert "reading.masks" in graph["reading.windows"]
    for module, others in graph.items():
        room = module.split(".")[0]
        if room in MAY_SEE:
            seen = {other.split(".")[0] for other in others} - {room}
            assert seen <= MAY_SEE[room], f"{module} imports {sorted(seen)}"
    graphlib.TopologicalSorter(graph).prepare()  # which raises CycleError


def test_nothing_imports_what_is_for_the_notebooks_alone():
    for module, others in imports().items():
        if not module.startswith("teaching"):
            assert not [other for other in others if other.startswith("teaching")], module


def test_private_names_stay_in_their_file():
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                private = [alias.name for alias in node.names if alias.name.startswith("_")]
                assert not private, f"{file}: imports {private}"


def test_no_public_name_was_lost():
    assert set(EARLIER.split()) <= set(es.__all__)


def test_public_names_are_there_and_sorted():
    assert es.__all__ == sorted(es.__all__, key=lambda name: (not name.isupper(), name))
    assert all(hasattr(es, name) for name in es.__all__)


def test_names_that_the_pages_use_are_public():
    pages = [*PAGES, *ROOT.glob("notebooks/*.ipynb")]
    used = {name for page in pages for name in re.findall(r"\bes\.(\w+)", page.read_text("utf-8"))}
    assert used <= {*es.__all__, "__version__"}


PAGES = prose.files(".md")
NOTEBOOKS = prose.files(".ipynb")


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=lambda page: page.name)
def test_links_of_the_pages_lead_somewhere(page):
    text = page.read_text("utf-8") if page.suffix == ".md" else prose.prose(page)
    assert prose.broken_links(page, text) == []


def test_a_link_to_no_file_or_no_heading_is_found():
    page = ROOT / "README.md"
    right = "[a](docs/README.md) [b](#scores) [c](https://no.where) [d](docs/SCORES.md)"
    assert prose.broken_links(page, right) == []
    assert len(prose.broken_links(page, "[a](docs/NONE.md) [b](#none) [c](docs/README.md#x)")) == 3


def test_misspelled_words_are_found():
    pytest.importorskip("codespell_lib")
    page = ROOT / "README.md"
    assert prose.misspelled({page: "A letter recieved in Buda."}) == [
        "README.md:1: recieved ==> received"
    ]
    assert prose.misspelled({page: "A letter received, in other colours."}) == []


def test_the_python_of_the_readme_runs(monkeypatch, capsys):
    """All of it but the two trainings, whose networks are replaced by one layer."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    assert len(code.strip().splitlines()) <= 10
    trained = []

    def stand_in(*arguments):
        given = inspect.signature(load_or_train).bind(*arguments).arguments
        trained.append(given["name"])
        inputs = keras.Input((128, 128, 3))
        outputs = keras.layers.Conv2D(2, 1, activation="softmax")(inputs)
        return types.SimpleNamespace(model=keras.Model(inputs, outputs))

    load_or_train = es.load_or_train
    monkeypatch.setattr(es, "load_or_train", stand_in)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert trained == ["main", "sampling"]
    assert re.fullmatch(r"0\.\d{3} \[0\.\d{3}, 0\.\d{3}\]\n", capsys.readouterr().out)
    assert names["mask"].shape == es.read_mask(names["data"].test.pairs[0].mask).shape
    assert set(np.unique(names["mask"])) <= {0, 1}


def test_the_findings_of_the_readme_are_those_of_the_report():
    report = (ROOT / "results" / "study" / "report.md").read_text("utf-8")
    rows = report.split("\n\n")[2].splitlines()[2:]
    assert len(rows) == 3
    for page in (ROOT / "README.md", ROOT / "results" / "README.md"):
        assert "\n".join(rows) in page.read_text("utf-8"), (
            f"{page}: python -m ensemble_seg study --report"
        )
