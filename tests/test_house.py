"""How the house is built: who imports whom, and how large each part may be."""

import ast
import graphlib
import re
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import ROOT

import ensemble_seg as es

METHOD, BENCH = "ensemble_seg", "ensemble_lab"
# The budgets: lines of Python in all, and in one file. "first": what the first design said.
LINES = {
    METHOD: 3100,  # first 2,400
    BENCH: 3340,  # without importing; first 3,300
    "ensemble_lab/importing": 2300,  # first 900
    "tests": 6500,
    "benchmarks": 900,
    "tools": 450,
}
LONGEST_FILE = {METHOD: 260, BENCH: 300}
LONGEST_CHAIN = {METHOD: 5, BENCH: 9}  # arrows; that of the bench (first 8) goes on into the method
FILES_OF_TRAINING = 11  # itself and all that it imports; first 10
PAGES, WORDS = 10, 9500  # without generated tables


def lines_of(folder):
    """Lines of each file of Python in a folder; `importing` has a budget of its own."""
    files = [file for file in (ROOT / folder).rglob("*.py") if "__pycache__" not in file.parts]
    if folder == BENCH:
        files = [file for file in files if ROOT / BENCH / "importing" not in file.parents]
    return {file.relative_to(ROOT): len(file.read_text("utf-8").splitlines()) for file in files}


def sources():
    """The name and the file of each module of both packages."""
    for package in (METHOD, BENCH):
        for file in sorted((ROOT / package).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts).removesuffix(".__init__"), file


def imports_of(name, file, known):
    """Each (module, name) that a file imports from the two packages, wherever it stands in it."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(base if node.level else []), *filter(None, [node.module])])
            # from . import x, or from .x import name
            found = [
                (f"{base}.{alias.name}", "")
                if f"{base}.{alias.name}" in known
                else (base, alias.name)
                for alias in node.names
            ]
        else:
            continue
        yield from (each for each in found if each[0].split(".")[0] in (METHOD, BENCH))


@cache
def imports():
    modules = dict(sources())
    return {name: list(imports_of(name, file, modules)) for name, file in modules.items()}


def graph():
    """The modules that each module imports; the list of public names in __init__ is no part."""
    return {
        name: {module for module, _ in found} - {METHOD, name}
        for name, found in imports().items()
        if name != METHOD
    }


def reached(module, arrows):
    """A module and all that it imports, directly or not."""
    seen, left = set(), [module]
    while left:
        seen.add(module := left.pop())
        left += arrows.get(module, set()) - seen
    return seen


@cache
def chain(module):
    """The longest chain of imports that begins in a module."""
    return max(([module, *chain(other)] for other in graph()[module]), key=len, default=[module])


def test_the_reader_of_imports_finds_all_kinds(tmp_path):
    file = tmp_path / "d.py"
    file.write_text(
        "import ensemble_seg.data\nfrom ensemble_seg import losses\nfrom . import b\n"
        "from .b import _x\nfrom ..zoom import c\nimport numpy\n"
        "def late():\n    from ensemble_lab.views import d\n",
        encoding="utf-8",
    )
    known = {"ensemble_seg.data", "ensemble_seg.losses", "ensemble_lab.study.b"}
    assert sorted(imports_of("ensemble_lab.study.d", file, known)) == [
        ("ensemble_lab.study.b", ""),
        ("ensemble_lab.study.b", "_x"),
        ("ensemble_lab.views", "d"),
        ("ensemble_lab.zoom", "c"),
        ("ensemble_seg.data", ""),
        ("ensemble_seg.losses", ""),
    ]
    assert "ensemble_seg.reading" in graph()["ensemble_seg.batches"]


def test_the_method_never_imports_the_bench():
    for name, found in imports().items():
        if name.split(".")[0] == METHOD:
            assert not [module for module, _ in found if module.split(".")[0] == BENCH], name


def test_there_is_no_circle():
    graphlib.TopologicalSorter(graph()).prepare()  # which raises CycleError


def test_no_private_name_is_imported():
    private = re.compile(r"_(?!_)")
    found = {
        name: [each for each in names if private.match(each[1]) or "._" in each[0]]
        for name, names in imports().items()
    }
    assert not {name: names for name, names in found.items() if names}


def test_the_method_is_flat_and_the_init_of_the_bench_empty():
    assert not [file for file in (ROOT / METHOD).rglob("*.py") if file.parent != ROOT / METHOD]
    assert (ROOT / BENCH / "__init__.py").read_text("utf-8") == ""


@pytest.mark.parametrize("folder", LINES)
def test_lines(folder):
    lines = lines_of(folder)
    longest = sorted(lines.items(), key=lambda item: -item[1])[:5]
    assert sum(lines.values()) <= LINES[folder], f"the longest: {longest}"


@pytest.mark.parametrize("folder", LONGEST_FILE)
def test_lines_of_a_file(folder):
    files = lines_of(folder)
    assert not {str(file): lines for file, lines in files.items() if lines > LONGEST_FILE[folder]}


@pytest.mark.parametrize("package", LONGEST_CHAIN)
def test_longest_chain_of_imports(package):
    chains = [chain(name) for name in graph() if name.split(".")[0] == package]
    longest = max(chains, key=len)
    assert all(after in graph()[before] for before, after in pairwise(longest))
    assert len(longest) - 1 <= LONGEST_CHAIN[package], " -> ".join(longest)


def test_who_opens_training_opens_few_files():
    files = reached("ensemble_seg.training", graph())
    assert len(files) <= FILES_OF_TRAINING, sorted(files)


def pages():
    folders = ("docs", "data", "results")
    return [ROOT / "README.md", *(file for each in folders for file in (ROOT / each).glob("*.md"))]


def words(page):
    """Words of a page, without tables, code and comments."""
    text = re.sub(r"```.*?```|<!--.*?-->", "", page.read_text("utf-8"), flags=re.S)
    return sum(len(line.split()) for line in text.splitlines() if not line.startswith("|"))


def test_pages():
    counted = {str(page.relative_to(ROOT)): words(page) for page in pages()}
    assert len(counted) <= PAGES
    assert sum(counted.values()) <= WORDS, counted


def test_public_names_are_there_and_those_of_the_pages_among_them():
    assert all(hasattr(es, name) for name in es.__all__)
    used = {
        name
        for page in [*pages(), *ROOT.glob("notebooks/*.ipynb")]
        for name in re.findall(r"\bes\.([a-zA-Z]\w*)", page.read_text("utf-8"))
    }
    assert used <= {*es.__all__, "__version__"}
    assert not [name for name in es.__all__ if name.startswith("_")]


def test_no_path_of_one_machine():
    machine = re.compile(r"(?<![\w.~/])/(home|root|tmp|work|Users|mnt|opt)/\w+")
    files = [*pages(), *ROOT.glob("notebooks/*.ipynb"), *(file for _, file in sources())]
    files += Path(ROOT / "tools").glob("*.*")
    found = {str(file): machine.search(file.read_text("utf-8")) for file in files}
    assert not {name: match[0] for name, match in found.items() if match}
