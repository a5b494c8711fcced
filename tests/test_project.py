import re
import subprocess
import sys
from pathlib import Path

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
TESTED_ELSEWHERE = {
    "__main__": "main",
    "callbacks": "training",
    "crops": "sampling",
    "exporting": "main",
    "extracting": "downloading",
    "inspection_plots": "inspecting",
    "kaggle": "downloading",
    "pairing": "datasets",
    "runs": "training",
    "sources": "downloading",
    "transferring": "downloading",
}
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
        files += [file for file in (ROOT / folder).glob("*.*") if file.is_file()]
    found = {file.name: MACHINE_PATH.search(file.read_text(encoding="utf-8")) for file in files}
    assert not {name: match[0] for name, match in found.items() if match}


def test_every_module_has_a_test():
    modules = {file.stem for file in (ROOT / "ensemble_seg").glob("*.py")} - {"__init__"}
    tests = {file.stem.removeprefix("test_") for file in (ROOT / "tests").glob("test_*.py")}
    assert {TESTED_ELSEWHERE.get(module, module) for module in modules} <= tests


def test_public_names_are_there_and_sorted():
    assert es.__all__ == sorted(es.__all__, key=lambda name: (not name.isupper(), name))
    assert all(hasattr(es, name) for name in es.__all__)


def test_names_that_the_pages_use_are_public():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("data/*.md"), *ROOT.glob("notebooks/*.ipynb")]
    used = {name for page in pages for name in re.findall(r"\bes\.(\w+)", page.read_text("utf-8"))}
    assert used <= {*es.__all__, "__version__"}
