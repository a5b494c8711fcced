"""The harness that changes the method a little to see whether the tests notice."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
from mutants import TESTS, mutants, mutated  # noqa: E402

SOURCE = '''
def keep(values: int = 3, margin=(20,)) -> "int":
    """Text with 1 in it stays."""
    if not any(v > 1.5 for v in values):
        raise ValueError("none" + str(1))
    return max(values) - margin[0]
'''


def test_the_changes_of_a_function_by_hand():
    found = [(mutant.line, mutant.before, mutant.after) for mutant in mutants(SOURCE)]
    assert sorted(found) == sorted(
        [
            (2, "3", "4"), (2, "3", "2"), (2, "20", "21"), (2, "20", "19"),
            (4, "not any((v > 1.5 for v in values))", "any((v > 1.5 for v in values))"),
            (4, "any", "all"), (4, "v > 1.5", "v >= 1.5"), (4, "1.5", "2.5"),
            (4, "1.5", "0.5"),
            (6, "return max(values) - margin[0]", "return None"),
            (6, "max(values) - margin[0]", "max(values) + margin[0]"), (6, "max", "min"),
            (6, "0", "1"), (6, "0", "-1"),
        ]
    )  # fmt: skip


def test_one_place_is_changed_and_the_rest_stays():
    for mutant in mutants(SOURCE):
        lines = mutated(SOURCE, mutant).splitlines()
        same = [new == old for new, old in zip(lines, mutated_nothing(), strict=True)]
        assert same.count(False) == 1 and not same[mutant.line - 2]


def mutated_nothing():
    import ast

    return ast.unparse(ast.parse(SOURCE)).splitlines()


@pytest.mark.parametrize("name", TESTS)
def test_every_file_of_the_method_and_its_tests_are_there(name):
    assert len(mutants((ROOT / "ensemble_seg" / f"{name}.py").read_text("utf-8"))) > 20
    assert all(test.is_file() for test in TESTS[name])


@pytest.mark.slow
def test_a_run_to_the_end():
    command = [sys.executable, ROOT / "tools" / "mutants.py", "--count", "3"]
    done = subprocess.run(
        [*command, "--files", "datasets/splits"], capture_output=True, text=True, check=True
    )
    assert "| all | 3 | 3 |" in done.stdout
