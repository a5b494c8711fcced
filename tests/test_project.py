"""What pyproject, requirements and the wheel say of one another."""

import re
import sys

import pytest
import yaml
from conftest import ROOT
from packaging.requirements import Requirement

import ensemble_seg as es

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
README = (ROOT / "README.md").read_text("utf-8")
PYTHONS = [row.split()[-1] for row in PROJECT["classifiers"] if "Python :: 3" in row]


def at(python):
    return {"python_version": python, "python_full_version": f"{python}.0"}


def known_good(python):
    """Return the versions of requirements.txt for a Python version."""
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    fitting = [pin for pin in pins if not pin.marker or pin.marker.evaluate(at(python))]
    versions = {pin.name: str(pin.specifier).removeprefix("==") for pin in fitting}
    assert len(versions) == len(fitting), "a package is pinned twice"
    return versions


def test_environment_is_requirements_at_python_3_12():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    assert environment["dependencies"][:2] == ["python=3.12", "pip"]
    *pins, package = environment["dependencies"][2]["pip"]
    assert pins == [f"{name}=={version}" for name, version in known_good("3.12").items()]
    assert package == "-e ."


@pytest.mark.parametrize("python", PYTHONS)
def test_known_good_versions_are_allowed_by_pyproject(python):
    versions = known_good(python)
    extras = PROJECT["optional-dependencies"]
    tested = re.findall(r"\w+", extras["test"][0].partition("[")[2])
    lines = [line for extra in ("test", *tested) for line in extras[extra]]
    for line in (*PROJECT["dependencies"], *lines):
        needed = Requirement(line)
        if needed.name != PROJECT["name"]:
            assert needed.name in versions, f"{line} has no known-good version"
            assert needed.specifier.contains(versions[needed.name]), line


def test_every_import_is_a_dependency():
    """Of the method: whatever it imports is installed with it."""
    names = {re.split(r"[^\w-]", line)[0].lower() for line in PROJECT["dependencies"]}
    modules = {"skimage": "scikit-image", "PIL": "pillow", "segmentation_models": None}
    known = {*sys.stdlib_module_names, "efficientnet"}  # comes with segmentation-models
    for file in (ROOT / "ensemble_seg").glob("*.py"):
        text = file.read_text("utf-8")
        for module in re.findall(r"^ *(?:import|from) (\w+)", text, re.M):
            name = modules.get(module, module) or "segmentation-models"
            assert name in names or module in known, f"{file.name}: {module}"


def test_one_version_and_one_address():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert PROJECT["version"] == es.__version__ == str(citation["version"])
    for page in (ROOT / "README.md", *ROOT.glob("notebooks/*.ipynb")):
        found = re.findall(r"https://github\.com/[\w-]+/ensemble_seg", page.read_text("utf-8"))
        assert {*found} <= {PROJECT["urls"]["Repository"]}, page.name


def test_the_readme_leads_to_notebooks_and_pages():
    for file in ROOT.glob("notebooks/*.ipynb"):
        assert f"notebooks/{file.name}" in README
    for target in re.findall(r"\]\(([^)#:]+)(?:#[\w-]*)?\)", README):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_what_is_packed(kind):
    builders = pytest.importorskip(f"hatchling.builders.{kind}")
    builder = getattr(builders, f"{kind.capitalize()}Builder")(str(ROOT))
    files = {file.distribution_path for file in builder.recurse_included_files()}
    phantoms = "ensemble_seg/data/phantoms" if kind == "wheel" else "data/phantoms"
    for name in ("presets.py", "efficientnet_lite0.npz", "efficientnet_lite0.LICENSE"):
        assert f"ensemble_seg/{name}" in files
    assert {"ensemble_seg/architecture.png", "ensemble_lab/cli.py"} <= files
    assert sum(file.startswith(f"{phantoms}/") for file in files) == 481
    assert not [file for file in files if file.startswith(("tests/", "runs/", "notebooks/"))]
