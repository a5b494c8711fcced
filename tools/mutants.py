"""Do the tests notice a small change of the method? python tools/mutants.py --count 200 --seed 0

Changes one place of a file at a time, in a copy of the package, and runs the tests of that file.
"""

import argparse
import ast
import collections
import contextlib
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
TESTS = {
    "losses": ("test_losses",),
    "sampling": ("test_sampling",),
    "reading/windows": ("reading/test_caching", "reading/test_windows"),
    "ensembling": ("test_ensembling", "test_views"),
    "zooming": ("test_zooming",),
    "evaluation": ("test_evaluation",),
    "study/statistics": ("study/test_statistics",),
    "datasets/splits": ("datasets/test_splits",),
    "datasets/folds": ("datasets/test_folds",),
}
TESTS = {
    name: tuple(ROOT / "tests" / f"{test}.py" for test in tests) for name, tests in TESTS.items()
}
FOREIGN = ("hypothesis", "keras", "pytest", "scipy", "skimage", "sklearn", "tensorflow")
OPERATORS = [
    (ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot),
    (ast.In, ast.NotIn), (ast.Add, ast.Sub), (ast.Mult, ast.Div), (ast.FloorDiv, ast.Div),
    (ast.Mod, ast.Mult), (ast.Pow, ast.Mult), (ast.BitAnd, ast.BitOr), (ast.And, ast.Or),
]  # fmt: skip
NAMES = [("any", "all"), ("max", "min"), ("maximum", "minimum"), ("argmax", "argmin"),
         ("floor", "ceil")]  # fmt: skip
OTHER: dict = {}
for first, second in [*OPERATORS, *NAMES]:
    OTHER.setdefault(first, second)
    OTHER.setdefault(second, first)
# Annotations are not run; messages and decorators are not the method.
SKIPPED = {"annotation", "returns", "decorator_list"}


class Mutant(NamedTuple):
    """One change of a source text: of which node, to which of its variants, and how it reads."""

    node: int
    variant: int
    line: int
    column: int
    before: str
    after: str


def mutants(source: str) -> list[Mutant]:
    """Return all changes of a source text that this program knows."""
    return [
        Mutant(
            *(number, choice, node.lineno, node.col_offset + 1),
            *(ast.unparse(node), ast.unparse(variant)),
        )
        for number, node in enumerate(_nodes(ast.parse(source)))
        for choice, variant in enumerate(_variants(node))
    ]


def mutated(source: str, mutant: Mutant) -> str:
    """Return the source text with one change."""
    tree = ast.parse(source)
    node = list(_nodes(tree))[mutant.node]
    new = list(_variants(node))[mutant.variant]
    node.__class__ = type(new)
    node.__dict__.clear()
    node.__dict__.update(new.__dict__)
    return ast.unparse(ast.fix_missing_locations(tree))


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Give the expressions and returns that may be changed, in a fixed order."""
    if isinstance(node, ast.Raise):
        return
    if isinstance(node, ast.expr | ast.Return):
        yield node
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and field not in SKIPPED:
                yield from _nodes(child)


def _variants(node: ast.AST) -> Iterator[ast.AST]:
    """Give what a node may be replaced by."""
    match node:
        case ast.Compare(left=left, ops=[first, *rest], comparators=others):
            if type(first) in OTHER:
                yield ast.Compare(left, [OTHER[type(first)](), *rest], others)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OTHER:
            yield ast.BinOp(left, OTHER[type(op)](), right)
        case ast.BoolOp(op=op, values=values):
            yield ast.BoolOp(OTHER[type(op)](), values)
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield ast.Constant(value + 1)
            yield ast.Constant(value - 1)
        case ast.Name(id=name) if name in OTHER:
            yield ast.Name(OTHER[name])
        case ast.Attribute(value=value, attr=name) if name in OTHER:
            yield ast.Attribute(value, OTHER[name])
        case ast.Return(value=value) if value is not None and ast.unparse(value) != "None":
            yield ast.Return(ast.Constant(None))


def main() -> None:
    """Print how many mutants of each file its tests killed, and those that survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="mutants (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of their choice (%(default)s)")
    parser.add_argument("--files", nargs="+", choices=TESTS, default=list(TESTS), metavar="FILE")
    options = parser.parse_args()
    sources = {
        name: (ROOT / f"ensemble_seg/{name}.py").read_text("utf-8") for name in options.files
    }
    known = [(name, mutant) for name, source in sources.items() for mutant in mutants(source)]
    chosen = random.Random(options.seed).sample(known, min(options.count, len(known)))
    print(f"{len(chosen)} of {len(known)} mutants, seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        survived = _survivors(Path(folder), sources, chosen)
    totals = collections.Counter(name for name, _ in chosen)
    print("\n| file | killed | of |\n|---|---|---|")
    for name, total in sorted(totals.items()):
        print(f"| {name} | {total - survived[name]} | {total} |")
    print(f"| all | {len(chosen) - survived.total()} | {len(chosen)} |")


def _survivors(folder: Path, sources: dict[str, str], chosen: list) -> collections.Counter:
    """Print the mutants that pass the tests of their file; return how many of each file do."""
    tree = _copied_tree(folder)
    limits = {name: _require_passed(tree, name) for name in dict(chosen)}
    sys.dont_write_bytecode = True  # a mutant would be taken for the next of the same second
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    survived = collections.Counter()
    ordered = sorted(chosen, key=lambda each: (each[0], each[1].line))
    for number, (name, mutant) in enumerate(ordered, start=1):
        (tree / f"{name}.py").write_text(mutated(sources[name], mutant), "utf-8")
        if _passes(tree, name, limits[name]):
            survived[name] += 1
            place = f"{name}:{mutant.line}:{mutant.column}"
            print(f"  survives: {place}: {mutant.before} -> {mutant.after}", flush=True)
        (tree / f"{name}.py").write_text(sources[name], "utf-8")
        print(f"{number} of {len(chosen)}", end="\r", file=sys.stderr, flush=True)
    return survived


def _copied_tree(folder: Path) -> Path:
    """Copy the package, and import what it needs once: each mutant's process is a fork."""
    tree = folder / "ensemble_seg"
    shutil.copytree(ROOT / "ensemble_seg", tree, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "data").symlink_to(ROOT / "data")
    # Plugins of pytest that are not asked for take as long to import as most tests take to run.
    os.environ.update(
        TF_CPP_MIN_LOG_LEVEL="3", MPLBACKEND="agg", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"
    )
    os.environ["PYTHONPATH"] = str(folder)
    sys.path.insert(0, str(folder))
    import ensemble_seg

    ensemble_seg.encoders.backbones.segmentation_models()
    for path in [*tree.rglob("*.py"), *(test for tests in TESTS.values() for test in tests)]:
        _import_foreign(path)
    for name in [name for name in sys.modules if name.split(".")[0] == "ensemble_seg"]:
        del sys.modules[name]
    return tree


def _import_foreign(path: Path) -> None:
    """Import what a file imports of other packages, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            if name.split(".")[0] in FOREIGN:
                with contextlib.suppress(ImportError):
                    importlib.import_module(name)


def _require_passed(tree: Path, name: str) -> float:
    """Return how many seconds the tests of a file may take."""
    begun = time.monotonic()
    if not _passes(tree, name, 600):
        sys.exit(f"The tests of {name} fail without any change: mend that first.")
    spent = time.monotonic() - begun
    print(f"  tests of {name}: {spent:.0f} s", flush=True)
    return 60 + 4 * spent


def _passes(tree: Path, name: str, seconds: float) -> bool:
    child = os.fork()
    if child == 0:
        os.setsid()
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        os._exit(_tested(tree, name))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _tested(tree: Path, name: str) -> int:
    import hypothesis
    import pytest

    # The same examples each time, and no search for the smallest that fails.
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile("mutants", phases=phases, derandomize=True, database=None)
    hypothesis.settings.load_profile("mutants")
    settings = ["-q", "-x", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    return int(
        pytest.main([*settings, f"--rootdir={ROOT}", *map(str, TESTS[name]), f"{tree / name}.py"])
    )


if __name__ == "__main__":
    main()
