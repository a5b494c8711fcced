"""Spelling of code, pages and notebooks, and where their links lead: files and anchors, offline."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = ("http://", "https://", "mailto:")
LEFT_OUT = {"runs", "build", "dist"}  # and all that begins with a dot
KNOWN = {"buda", "notin"}  # a name, and a class of Python's ast


def main() -> int:
    texts = {page: page.read_text(encoding="utf-8") for page in files(".md")}
    texts |= {file: prose(file) for file in files(".ipynb")}
    problems = [problem for page, text in texts.items() for problem in broken_links(page, text)]
    code = [file for file in files(".py") if "tests" not in file.parts]  # which misspell on purpose
    problems += misspelled(texts | {file: file.read_text(encoding="utf-8") for file in code})
    print("\n".join(problems) or "Prose: every word is known, every link leads somewhere.")
    return int(bool(problems))


def files(kind: str) -> list[Path]:
    """Return the files of the repository that end in `kind`."""
    found = (file for file in ROOT.rglob(f"*{kind}") if file.is_file())
    parts = ((file, file.relative_to(ROOT).parts) for file in found)
    own = (file for file, names in parts if not any(map(_left_out, names)))
    return sorted(own)


def _left_out(name: str) -> bool:
    return name.startswith(".") or name in LEFT_OUT


def prose(notebook: Path) -> str:
    """Return the text and the code of a notebook, without its outputs."""
    return "\n\n".join(cell.source for cell in nbformat.read(notebook, as_version=4).cells)


def broken_links(page: Path, text: str) -> list[str]:
    """Return what is wrong with the links of a page to other files and to headings."""
    problems = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(OUTSIDE):
            name, _, anchor = target.partition("#")
            file = (page.parent / name).resolve() if name else page
            if not file.exists() or (anchor and anchor not in anchors(file)):
                problems.append(f"{page.relative_to(ROOT)}: the link to {target} leads nowhere.")
    return problems


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    text = prose(page) if page.suffix == ".ipynb" else page.read_text(encoding="utf-8")
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def misspelled(texts: dict[Path, str]) -> list[str]:
    """Return a line for each word that codespell takes for a misspelling."""
    with tempfile.TemporaryDirectory() as folder:
        for page, text in texts.items():
            copy = Path(folder, page.relative_to(ROOT))
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "codespell_lib", "-L", ",".join(KNOWN), "."]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode and not done.stdout:
        return [f"codespell did not run: {done.stderr.strip()}"]
    return [line.removeprefix("./") for line in done.stdout.splitlines()]


if __name__ == "__main__":
    sys.exit(main())
