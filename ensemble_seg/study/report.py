"""Tables and sentences from what the jobs left."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ..common.files import whole
from .figures import forest, reliability
from .plans import BEATS_CROSS_ENTROPY, BEATS_MAIN, BEATS_RANDOM, BEATS_TWO, FIRST, LEVEL
from .results import MISSING, Results, Row, compare, read_all, read_results, worst_tenth
from .statistics import MATTERS, REFUTED, SUPPORTED, TOO_SMALL, UNDECIDED

WORDS = {
    SUPPORTED: "yes",
    REFUTED: f"no: a gain of {MATTERS} Dice is ruled out",
    TOO_SMALL: f"too small to matter: less than {MATTERS} Dice either way",
    UNDECIDED: "these runs cannot say",
    MISSING: "not run yet",
}
COVERS = (
    "Differences are arm - control: means over seeds of lesion Dice per image. The 95 % interval "
    "covers both the seeds (initial weights, order, augmentation) and the choice of training and "
    "test cases among those of the data set (Nadeau and Bengio's correction). Visible: the "
    "smallest true difference that such a study finds with 80 % power, one claim taken alone. "
    "Verdicts by Holm's correction over the three claims that decide, and over all others, of a "
    f"data set; {MATTERS} Dice is what matters. False claim: the probability that the "
    "order found is false, which covers the chance of the cases alone."
)


def write_report(out: str | Path, data: str | None = None) -> str:
    """Write report.md, forest.png and reliability.png to a folder of studies.

    Args:
        out: with a folder for each data set.
        data: say in words what was found on this data set; None for all of them.

    Returns:
        What to print: the verdict in words, and what is missing.

    Raises:
        FileNotFoundError: no study there.
    """
    out = Path(out)
    every = read_all(out)
    compared = {results.data: compare(results) for results in every}
    with whole(out / "report.md") as file:
        file.write_text(report(every, compared))
    for name, rows in _pictures(compared).items():
        forest(rows, out / name)
    reliability(every, out / "reliability.png")
    said = every if data is None else [read_results(out / data)]
    written = f"Tables and figures: {', '.join(['report.md', *_pictures(compared)])} in {out}"
    return "\n\n".join([*(in_words(each, compared[each.data]) for each in said), written])


def report(every: Sequence[Results], compared: dict[str, list[Row]]) -> str:
    """Return the Markdown text of all tables."""
    parts = ["# Study", COVERS]
    for name, rows in _pictures(compared).items():
        parts += [summary_table(rows), f"![Differences]({name})"]
    for results in every:
        parts += [
            f"## {results.data}",
            _settings(results),
            claims_table(compared[results.data]),
            arms_table(results),
            missing(results),
        ]
    parts += ["## Reliability", "![Probability and share of lesion](reliability.png)"]
    return "\n\n".join(filter(None, parts)) + "\n"


def summary_table(compared: dict[str, list[Row]]) -> str:
    """Return one table: a row for each claim, a column for each data set."""
    texts = dict.fromkeys(row.text for rows in compared.values() for row in rows)
    found = {(data, row.text): row for data, rows in compared.items() for row in rows}
    lines = [_line(["claim", *compared]), _line(["---"] * (1 + len(compared)))]
    for text in texts:
        cells = [_cell(found.get((data, text))) for data in compared]
        lines.append(_line([text, *cells]))
    return "\n".join(lines)


def claims_table(rows: Iterable[Row]) -> str:
    """Return the table of one data set: claim, control, difference, visible, verdict."""
    head = ["claim", "arm - control", "Dice [95 %]", "visible", "worst tenth [95 %]"]
    head += ["false claim", "verdict"]
    lines = [_line(head), _line(["---"] * len(head))]
    for row in rows:
        cells = ["", "", "", ""]
        if row.difference and row.worst:
            chance = "" if row.false_claim is None else f"{row.false_claim:.3f}"
            cells = [row.difference, f"{row.difference.visible:.3f}", row.worst, chance]
        names = f"{row.arm} - {row.control}"
        lines.append(_line([row.text, names, *cells, f"**{row.verdict}**"]))
    return "\n".join(lines)


def arms_table(results: Results) -> str:
    """Return a table of the arms: mean Dice over seeds with its standard deviation, calibration."""
    head = ["arm", "seeds", "rate", "Dice, mean (SD over seeds)", "worst tenth", "Brier", "ECE"]
    head += ["surer than 0.99", "temperature", "ECE with it"]
    lines = [_line(head), _line(["---"] * len(head))]
    for arm, seeds in results.arms.items():
        lines.append(_line(_arm_cells(results, arm, list(seeds.values()))))
    return "\n".join(lines)


def missing(results: Results) -> str:
    """Say which jobs were asked for and are not there; "" where none is."""
    names = results.missing
    if not names:
        return ""
    shown = ", ".join(names[:6]) + (" ..." if len(names) > 6 else "")
    return f"Missing: {len(names)} jobs ({shown}). The same command without --report runs them."


def in_words(results: Results, rows: Iterable[Row]) -> str:
    """Answer in words whether the method pays on a data set."""
    rows = {row.text: row for row in rows}
    split = next((each for arm in results.arms.values() for each in arm.values()), {}).get("split")
    size = f"{sum(split.values())} images, " if split else ""
    lines = [f"Does this method pay on {results.data}? ({size}test images never seen in training)"]
    questions = {
        "Does the published loss beat cross-entropy?": BEATS_CROSS_ENTROPY.text,
        "Do lesion crops beat random crops?": BEATS_RANDOM.text,
        "Does main + sampling beat two main models, at the same cost?": BEATS_TWO.text,
        "Does it beat the main model alone, at twice the cost?": BEATS_MAIN.text,
    }
    asked = {question: rows[text] for question, text in questions.items() if text in rows}
    others = [row for row in rows.values() if row not in asked.values() and row.difference]
    lines += [f"* {question} {_sentence(row)}" for question, row in asked.items()]
    lines += [f'* "{row.text}": {_sentence(row)}' for row in others]
    lines.append(_conclusion(rows.get(BEATS_TWO.text)))
    return "\n".join([*lines, *filter(None, [missing(results)])])


def _pictures(compared: dict[str, list[Row]]) -> dict[str, dict[str, list[Row]]]:
    """Return what each forest plot shows: phantoms of one lesion fraction have their own."""
    levels = {data: rows for data, rows in compared.items() if data.endswith(LEVEL)}
    others = {data: rows for data, rows in compared.items() if data not in levels}
    deciding = {data: [row for row in rows if row.text in FIRST] for data, rows in others.items()}
    pictures = {"deciding.png": deciding, "forest.png": others, "imbalance.png": levels}
    return {
        name: rows
        for name, rows in pictures.items()
        if any(row.difference for each in rows.values() for row in each)
    }


def _conclusion(row: Row | None) -> str:
    verdict = row.verdict if row else MISSING
    return {
        SUPPORTED: "So it pays: a second model trained on lesion crops is worth its cost here.",
        REFUTED: "So it does not pay: a second main model is as good or better.",
        TOO_SMALL: "So it does not pay: it makes no difference that matters.",
        UNDECIDED: "Whether it pays is open: add seeds (--seeds) or cases.",
        MISSING: "Whether it pays is open: run --plan ensemble.",
    }[verdict]


def _sentence(row: Row) -> str:
    words = WORDS[row.verdict]
    if row.verdict == REFUTED and row.difference.high < 0:
        words = "no: it is worse"
    text = words[0].upper() + words[1:]
    if row.difference is None:
        return f"{text}."
    return (
        f"{text}. {row.arm} - {row.control}: {row.difference} Dice over {row.difference.seeds} "
        f"seeds; a difference of {row.difference.visible:.3f} could have been seen."
    )


def _settings(results: Results) -> str:
    record = results.record
    jobs = [each for arm in results.arms.values() for each in arm.values()]
    hours = sum(each["seconds"] for each in jobs) / 3600
    return (
        f"{len(record['cases'])} images, data hash {record['data_hash'][:12]}, preset "
        f"`{record['preset']}`, {record['steps']} steps a training. {len(jobs)} results, "
        f"{hours:.1f} hours of one process."
    )


def _arm_cells(results: Results, arm: str, found: list[dict]) -> list[str]:
    dice = [np.mean(each["test"]["dice"]) for each in found]
    spread = f" ({np.std(dice, ddof=1):.3f})" if len(dice) > 1 else ""
    worst = np.mean([worst_tenth(np.array(each["test"]["dice"])) for each in found])
    rates = sorted({each["rate"] for each in found if "rate" in each})
    cells = [arm, len(found), ", ".join(f"{rate:g}" for rate in rates)]
    cells += [f"{np.mean(dice):.3f}{spread}", f"{worst:.3f}"]
    each = [result["calibration"] for result in found]
    cells += [f"{np.mean([c[key] for c in each]):.4f}" for key in ("brier", "ece")]
    cells.append(f"{np.mean([c['sure'] for c in each]):.1%}".replace("%", " %"))
    cells.append(f"{np.median([c['temperature'] for c in each]):.2f}")
    cells.append(f"{np.mean([c['tempered']['ece'] for c in each]):.4f}")
    return cells


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    if row.difference is None:
        return MISSING
    return f"{row.difference}, visible {row.difference.visible:.3f}: **{row.verdict}**"


def _line(cells: Iterable) -> str:
    return f"| {' | '.join(map(str, cells))} |"
