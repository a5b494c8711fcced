import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import editions
import nbformat
import pytest
import stored
from IPython.core.inputtransformer2 import TransformerManager

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
FILES = ("01_main_model.ipynb", "02_sampling_model.ipynb", "03_ensemble.ipynb")
CHECKED = "# NBVAL_CHECK_OUTPUT"
MACHINE_PATH = re.compile(r"(?<![\w.~/])/(home|root|tmp|work|Users|mnt|opt)/\w+")


@pytest.fixture(params=FILES)
def notebook(request):
    return nbformat.read(FOLDER / request.param, as_version=4)


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def imported(source: str) -> set[str]:
    statements = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import)]
    return {alias.name for statement in statements for alias in statement.names}


def test_the_three_notebooks_and_nothing_else():
    assert sorted(file.name for file in FOLDER.glob("*.ipynb")) == list(FILES)


def test_format_and_kernel(notebook):
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"


def images(notebook) -> list:
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    return [output for output in outputs if "image/png" in output.get("data", {})]


def said(cell) -> str:
    """All text that a cell has stored."""
    data = [output.get("data", {}) for output in cell.outputs]
    texts = [str(value) for each in data for key, value in each.items() if key[:5] == "text/"]
    return "\n".join([*texts, *(str(output.get("text", "")) for output in cell.outputs)])


def test_outputs_are_those_of_the_code(notebook):
    """Whoever changes a code cell runs make refresh."""
    for number, cell in enumerate(code_cells(notebook), 1):
        assert cell.metadata.get("source_hash") == stored.source_hash(cell.source), cell.source
        assert cell.execution_count == number


def test_facts_have_outputs_to_compare_with(notebook):
    checked = [cell for cell in code_cells(notebook) if CHECKED in cell.source.splitlines()]
    assert len(checked) >= 3
    assert all(cell.outputs for cell in checked)


def test_no_error_warning_progress_bar_or_path_is_stored(notebook):
    for cell in code_cells(notebook):
        kinds = {output.output_type for output in cell.outputs}
        assert kinds <= {"stream", "display_data", "execute_result"}
        assert all(output.get("name", "stdout") == "stdout" for output in cell.outputs)
        text = said(cell)
        assert not re.search(r"Warning:|WARNING|Traceback|\d%\||\bit/s|\r|\x1b", text), text
        assert not MACHINE_PATH.search(text), text


def test_every_figure_is_there_for_who_only_looks(request, notebook):
    assert len(images(notebook)) >= 9
    assert (FOLDER / request.node.callspec.params["notebook"]).stat().st_size < 1_000_000
    for output in images(notebook):
        assert len(output.metadata["image/png"]["alt"].split()) >= 5
        assert set(output.data) == {"image/png", "text/plain"}  # a widget would show nothing
    assert "widgets" not in notebook.metadata


def test_all_outputs_are_of_one_preset():
    presets = {nbformat.read(FOLDER / file, 4).metadata["outputs_made_with"] for file in FILES}
    assert len(presets) == 1


def test_amount_of_code_and_prose(notebook):
    code = code_cells(notebook)
    prose = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    assert 20 <= len(code) <= 40  # five of them exercises, and one or two pictures to turn
    assert len(prose) >= 0.6 * len(code)
    for cell in code:
        assert len(cell.source.splitlines()) <= 25, cell.source


def test_cells_are_plain_python_but_for_the_install_cell(notebook):
    for cell in code_cells(notebook)[1:]:
        ast.parse(cell.source)


def test_the_import_of_tensorflow_stands_alone(notebook):
    sources = [cell.source for cell in code_cells(notebook)[1:]]
    importing = [source for source in sources if "ensemble_seg" in imported(source)]
    assert len(importing) == 1
    assert all(isinstance(line, ast.Import | ast.ImportFrom) for line in ast.parse(*importing).body)


def test_the_install_cell_does_nothing_outside_colab(notebook, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError(f"called outside Colab with {args}")

    class Shell:
        def __getattr__(self, name):
            return refuse

    for module, name in ((subprocess, "run"), (subprocess, "Popen"), (os, "system")):
        monkeypatch.setattr(module, name, refuse)
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    source = code_cells(notebook)[0].source
    assert "google.colab" in source
    assert "REPOSITORY = " in source
    exec(TransformerManager().transform_cell(source), {"get_ipython": Shell})


def test_badge_opens_this_notebook(request, notebook):
    file = request.node.callspec.params["notebook"]
    assert f"/ensemble_seg/blob/main/notebooks/{file}" in notebook.cells[0].source


def test_the_score_tables_as_published_with_eight_views_and_with_the_zoom():
    tagged = [
        file
        for file in FILES
        for cell in nbformat.read(FOLDER / file, as_version=4).cells
        if "score-table" in cell.metadata.get("tags", [])
    ]
    assert tagged == [FILES[-1]] * 3


@pytest.fixture
def name(request):
    return Path(request.node.callspec.params["notebook"]).stem


def test_five_exercises_spread_over_the_notebook_each_asked_for_above(notebook):
    numbers = [n for n, cell in enumerate(notebook.cells) if "exercise" in tags(cell)]
    assert len(numbers) == 5 == len(editions.exercises(notebook))
    for number in numbers:
        assert "Exercise" in notebook.cells[number - 1].source
        assert "..." in notebook.cells[number].source
    assert numbers[0] < len(notebook.cells) / 3 and numbers[-1] > 2 * len(notebook.cells) / 3


def tags(cell) -> list:
    return cell.metadata.get("tags", [])


def test_the_teachers_edition_differs_in_the_gaps_alone(notebook, name):
    before = [cell.source for cell in notebook.cells]
    editions.fill(notebook, name)
    pairs = zip(before, notebook.cells, strict=True)
    changed = [cell for old, cell in pairs if old != cell.source]
    assert len(changed) == 6  # five exercises and the quiz
    for cell in changed:
        if cell.cell_type == "code":
            assert "exercise" in tags(cell) and "..." not in cell.source
        else:
            assert len(re.findall(r"^\d\. ", cell.source, re.M)) == 6  # questions and answers
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


def test_a_solution_that_does_not_fit_is_refused(notebook, name, monkeypatch):
    cells = editions.solutions(name)
    first = next(iter(cells))
    wrong = {**cells, first: "print()"}
    monkeypatch.setattr(editions, "solutions", lambda name: dict(wrong))
    with pytest.raises(ValueError, match=f"{first}: differs from the stub"):
        editions.fill(notebook, name)


def test_no_solution_stands_in_the_students_edition(notebook, name):
    text = "\n".join(cell.source for cell in notebook.cells)
    for source in editions.solutions(name).values():
        gaps = [line.strip() for line in source.splitlines() if "np." in line and "return" in line]
        assert not [line for line in gaps if line in text]


@pytest.mark.slow
@pytest.mark.parametrize("filled", [False, True])
def test_both_editions_run_and_every_check_says_so(tmp_path, monkeypatch, filled):
    """Two to three minutes: the models are trained once, with the smoke preset."""
    import notebooks

    monkeypatch.setenv("ENSEMBLE_SEG_PRESET", "smoke")
    monkeypatch.setenv("ENSEMBLE_SEG_RUNS_DIR", str(tmp_path))
    if filled:
        notebooks.fill_all(tmp_path / "teacher")
    folder = tmp_path / "teacher" if filled else FOLDER
    for file in FILES:
        ran, problem = notebooks.execute(folder / file)
        assert problem is None, problem
        for key, cell in editions.exercises(ran).items():
            expected = f"{key}: right." if filled else f"{key}: not filled in yet"
            assert expected in said(cell)
