"""What the study of this project found, for the end of the last notebook."""

from pathlib import Path

RESULTS = Path(__file__).resolve().parents[2] / "results" / "study"


def draw_study(folder: str | Path = RESULTS) -> None:
    """Draw the claims that decide, on each data set, and print their verdicts.

    Args:
        folder: of the studies, with a folder for each data set. Where there is none, as beside an
            installed module, a line says so.
    """
    from ..study.figures import forest  # not above: it adds a loss that is bad on purpose
    from ..study.plans import FIRST
    from ..study.results import compare, read_all

    try:
        every = read_all(folder)
    except FileNotFoundError:
        print("The results of the study are in the repository, in results/study; not here.")
        return
    compared = {}
    for results in every:
        rows = [row for row in compare(results) if row.text in FIRST and row.difference]
        if rows:
            compared[results.data] = rows
    for text in FIRST:
        print(text)
        for data, rows in compared.items():
            for row in rows:
                if row.text == text:
                    seeds = row.difference.seeds
                    print(f"  {data}, {seeds} seeds: {row.difference}, {row.verdict}")
    forest(compared)
