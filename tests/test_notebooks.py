import ast
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
FILES = ("01_main_model.ipynb", "02_sampling_model.ipynb", "03_ensemble.ipynb")
CHECKED = "# NBVAL_CHECK_OUTPUT"


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


def test_outputs_are_stored_where_they_are_checked_and_nowhere_else(notebook):
    checked = [cell for cell in code_cells(notebook) if CHECKED in cell.source.splitlines()]
    assert len(checked) >= 3
    for cell in code_cells(notebook):
        stored = bool(cell.outputs), cell.execution_count is not None  # nbval compares with both
        assert stored == (cell in checked, cell in checked), cell.source


def test_amount_of_code_and_prose(notebook):
    code = code_cells(notebook)
    prose = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    assert 20 <= len(code) <= 35
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
