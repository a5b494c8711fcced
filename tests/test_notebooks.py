import re
import subprocess
import sys

import editions
import nbformat
import pytest
import stored

import notebooks

MACHINE_PATH = re.compile(r"(?<![\w.~/])/(home|root|tmp|work|Users|mnt|opt)/\w+")


@pytest.fixture(params=notebooks.FILES, ids=lambda file: file.stem)
def file(request):
    return request.param


@pytest.fixture
def notebook(file):
    return nbformat.read(file, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def said(cell):
    """All text that a cell has stored."""
    data = [output.get("data", {}) for output in cell.outputs]
    texts = [str(value) for each in data for key, value in each.items() if key[:5] == "text/"]
    return "\n".join([*texts, *(str(output.get("text", "")) for output in cell.outputs)])


def test_stored_outputs_are_those_of_the_code(notebook):
    """Whoever changes a code cell runs make refresh."""
    nbformat.validate(notebook)
    for number, cell in enumerate(code_cells(notebook), 1):
        assert cell.metadata.get("source_hash") == stored.source_hash(cell.source), cell.source
        assert cell.execution_count == number


def test_no_error_warning_progress_bar_or_path_is_stored(notebook):
    for cell in code_cells(notebook):
        assert {output.output_type for output in cell.outputs} <= {"stream", "display_data"}
        assert all(output.get("name", "stdout") == "stdout" for output in cell.outputs)
        text = said(cell)
        assert not re.search(r"Warning:|WARNING|Traceback|\d%\||\bit/s|\r|\x1b", text), text
        assert not MACHINE_PATH.search(text), text


def test_every_figure_is_there_for_who_only_looks(file, notebook):
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    figures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(figures) >= 9
    assert file.stat().st_size < 1_000_000
    for output in figures:
        assert len(output.metadata["image/png"]["alt"].split()) >= 5
        assert set(output.data) == {"image/png", "text/plain"}  # a widget would show nothing


@pytest.mark.parametrize("colab", [False, True])
def test_the_first_code_cell_installs_the_module_in_colab_alone(notebook, monkeypatch, colab):
    commands = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: commands.append(command))
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    if colab:
        monkeypatch.setitem(sys.modules, "google.colab", None)
    exec(code_cells(notebook)[0].source, {})
    pyproject = (notebooks.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    address = f"git+https://github.com/{notebooks.REPOSITORY.search(pyproject)[1]}"
    assert [command[-1] for command in commands] == [address] * colab


def test_readme_and_notebooks_name_the_address_of_pyproject():
    files = [notebooks.ROOT / "pyproject.toml", notebooks.ROOT / "README.md", *notebooks.FILES]
    texts = [each.read_text(encoding="utf-8") for each in files]
    assert len({found[0].split("/", 1)[1] for found in map(notebooks.ADDRESS.search, texts)}) == 1
    found = {match[0].split("/")[1] for text in texts for match in notebooks.ADDRESS.finditer(text)}
    assert len(found) == 1  # one owner


def test_the_teachers_edition_differs_in_the_gaps_alone(file, notebook):
    before = [cell.source for cell in notebook.cells]
    assert len(editions.exercises(notebook)) == 5
    editions.fill(notebook, file.stem)
    pairs = zip(before, notebook.cells, strict=True)
    changed = [cell for old, cell in pairs if old != cell.source]
    assert len(changed) == 6  # five exercises and the quiz
    assert not any("..." in cell.source for cell in changed if cell.cell_type == "code")
    assert not any(cell.get("outputs") for cell in notebook.cells)


@pytest.mark.parametrize(
    ("stub", "solution", "fitting"),
    [
        ("x = ...  # a hint\ny = x", "x = 3\ny = x", True),
        ("x = ...\ny = x", "x = (\n    3\n)\ny = x", True),
        ("x = ...\ny = x", "x = 3\ny = 2 * x", False),
        ("def f(a):\n    return ...", "def f(a, b):\n    return a", False),
        ("x = ...", "x = ...", False),
        ("a = ...\nb = ...", "a = 1\nb = 2", True),
        ("a = ...\nb = ...", "a = 1\nc = 2", False),
    ],
)
def test_stub_and_solution(stub, solution, fitting):
    assert editions.fits(stub, solution) == fitting


def test_a_solution_that_does_not_fit_is_refused(file, notebook, monkeypatch):
    cells = editions.solutions(file.stem)
    first = next(iter(cells))
    monkeypatch.setattr(editions, "solutions", lambda name: {**cells, first: "print()"})
    with pytest.raises(ValueError, match=f"{first}: differs from the stub"):
        editions.fill(notebook, file.stem)
