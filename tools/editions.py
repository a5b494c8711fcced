"""The teacher's edition: exercise cells with their gaps filled in, and answers to the quiz."""

import re
from pathlib import Path

SOLUTIONS = Path(__file__).resolve().parents[1] / "solutions"
GAP = re.compile(r"\.\.\.[^\n]*")  # the dots, and the hint behind them
CELL = re.compile(r"^# %% (\S+)\n(.*?)(?=^# %% |\Z)", re.M | re.S)


def exercises(notebook) -> dict:
    """Return the exercise cells by name: what stands in `teaching.check("NAME", ...)`."""
    cells = [cell for cell in notebook.cells if "exercise" in cell.metadata.get("tags", [])]
    return {re.search(r'teaching\.check\("([\w-]+)"', cell.source)[1]: cell for cell in cells}


def solutions(name: str) -> dict[str, str]:
    """Return the filled-in cells of a notebook, and the answers to its quiz as `[markdown]`."""
    text = (SOLUTIONS / f"{name}.py").read_text(encoding="utf-8")
    return {key: source.strip() for key, source in CELL.findall(text)}


def fits(stub: str, solution: str) -> bool:
    """Say whether the two differ in the gaps alone, and no gap is left."""
    between = [re.escape(part) for part in GAP.split(stub)]
    return bool(re.fullmatch("(.+?)".join(between), solution, re.S)) and not GAP.search(solution)


def fill(notebook, name: str) -> None:
    """Fill a notebook in; ValueError where stub and solution differ outside the gaps."""
    filled, stubs = solutions(name), exercises(notebook)
    answers = filled.pop("[markdown]")
    if set(filled) != set(stubs):
        differing = ", ".join(sorted(set(filled) ^ set(stubs)))
        raise ValueError(f"solutions/{name}.py and the notebook differ in: {differing}.")
    for key, cell in stubs.items():
        if not fits(cell.source, filled[key]):
            raise ValueError(f"solutions/{name}.py, {key}: differs from the stub outside its gaps.")
        cell.source = filled[key]
    quiz = next(cell for cell in notebook.cells if "### Quiz" in cell.source)
    text = re.sub(r"^# ?", "", answers, flags=re.M)
    quiz.source = quiz.source.replace("### Further reading", f"{text}\n\n### Further reading")
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            cell.metadata.pop("source_hash", None)
