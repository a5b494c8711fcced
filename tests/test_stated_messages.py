"""The messages in docs/STOPS.md are those of the code, word for word."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "STOPS.md").read_text("utf-8").splitlines()
    if line.startswith("| ") and "situation" not in line
]


def templates():
    """Return every string of the package, its values replaced by …."""
    for file in (ROOT / "ensemble_seg").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(
                    part.value if isinstance(part, ast.Constant) else "…" for part in node.values
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


TEMPLATES = sorted(set(templates()))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_the_code_says_so(row):
    situation, done, message = row
    assert situation and done
    for part in re.findall(r"`([^`]+)`", message):
        assert any(part in template for template in TEMPLATES), part


def test_there_are_rows():
    assert len(ROWS) >= 35
