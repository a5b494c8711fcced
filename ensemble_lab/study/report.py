"""The report of a folder of studies: tables, figures, and what is missing."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ensemble_seg.plots import BLACK, BLUE, GREEN, ORANGE, PINK, RED, SKY, plain

from .plans import FIRST
from .results import MISSING, Results, Row, compare, dice_of, read_all, worst_tenth
from .statistics import MATTERS, REFUTED, SUPPORTED

Compared = Mapping[str, Sequence[Row]]  # the rows of each data set
COLOURS = {SUPPORTED: GREEN, REFUTED: RED}
SHOWN = {"main": BLUE, "sampling": ORANGE, "ensemble": GREEN, "two-mains": PINK}
SHOWN |= {"ensemble-tempered": SKY, "cross-entropy": RED}

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
    """Write report.md and its figures to a folder of studies.

    Args:
        out: with a folder for each data set; FileNotFoundError where there is none.
        data: whose verdicts, and what is missing, are returned; None for all of them.
    """
    out, every = Path(out), read_all(out)
    compared = {results.data: compare(results) for results in every}
    (out / "report.md").write_text(report(every, compared), encoding="utf-8")
    _forest(_deciding(compared), out / "deciding.png")
    _forest(compared, out / "forest.png")
    _reliability(every, out / "reliability.png")
    said = [each for each in every if data in (None, each.data)]
    table = _summary_table({each.data: compared[each.data] for each in said})
    written = f"Tables and figures: report.md and *.png in {out}"
    return "\n\n".join(filter(None, [table, *map(_missing, said), written]))


def report(every: Sequence[Results], compared: Compared) -> str:
    """Return the Markdown text of all tables."""
    parts = ["# Study", COVERS]
    parts += [_summary_table(_deciding(compared)), "![Differences](deciding.png)"]
    parts += [_summary_table(compared), "![Differences](forest.png)"]
    for each in every:
        parts += [f"## {each.data}", _settings(each), _claims_table(compared[each.data])]
        parts += [_arms_table(each), _missing(each)]
    parts += ["## Reliability", "![Probability and share of lesion](reliability.png)"]
    return "\n\n".join(filter(None, parts)) + "\n"


def _summary_table(compared: Compared) -> str:
    texts = dict.fromkeys(row.text for rows in compared.values() for row in rows)
    found = [{row.text: _cell(row) for row in rows} for rows in compared.values()]
    lines = [[text, *(cells.get(text, "") for cells in found)] for text in texts]
    return _table(["claim", *compared], lines)


def _claims_table(rows: Iterable[Row]) -> str:
    head = ["claim", "arm - control", "Dice [95 %]", "visible", "worst tenth [95 %]"]
    lines = []
    for row in rows:
        cells = ["", "", "", ""]
        if row.difference:
            chance = "" if row.false_claim is None else f"{row.false_claim:.3f}"
            cells = [row.difference, f"{row.difference.visible:.3f}", row.worst, chance]
        lines.append([row.text, f"{row.arm} - {row.control}", *cells, f"**{row.verdict}**"])
    return _table([*head, "false claim", "verdict"], lines)


def _arms_table(results: Results) -> str:
    head = ["arm", "seeds", "rate", "Dice, mean (SD over seeds)", "worst tenth", "Brier", "ECE"]
    head += ["surer than 0.99", "temperature", "ECE with it"]
    lines = []
    for arm, found in ((arm, list(seeds.values())) for arm, seeds in results.arms.items()):
        dice, each = [dice_of(result) for result in found], [r["calibration"] for r in found]
        spread = f" ({np.std(dice, ddof=1):.3f})" if len(dice) > 1 else ""
        cells = [arm, len(found)]
        cells.append(", ".join(f"{r:g}" for r in sorted({f["rate"] for f in found if "rate" in f})))
        cells.append(f"{np.mean(dice):.3f}{spread}")
        cells.append(f"{np.mean([worst_tenth(result) for result in found]):.3f}")
        cells += [f"{np.mean([c[key] for c in each]):.4f}" for key in ("brier", "ece")]
        cells.append(f"{np.mean([c['sure'] for c in each]):.1%}".replace("%", " %"))
        cells.append(f"{np.median([c['temperature'] for c in each]):.2f}")
        cells.append(f"{np.mean([c['tempered']['ece'] for c in each]):.4f}")
        lines.append(cells)
    return _table(head, lines)


def _missing(results: Results) -> str:
    """Say which jobs were asked for and are not there; "" where none is."""
    asked = {
        f"{claim[side]}-{seed:02d}": seed in results.arms.get(claim[side], {})
        for claim in results.record["claims"]
        for seed in range(claim["seeds"])
        for side in ("arm", "control")
    }
    names = [name for name, found in asked.items() if not found]
    shown = ", ".join(names[:6]) + (" ..." if len(names) > 6 else "")
    text = f"Missing: {len(names)} jobs ({shown}). The same command without --report runs them."
    return text if names else ""


def _deciding(compared: Compared) -> Compared:
    return {data: [row for row in rows if row.text in FIRST] for data, rows in compared.items()}


def _settings(results: Results) -> str:
    record = results.record
    seconds = [each["seconds"] for arm in results.arms.values() for each in arm.values()]
    return (
        f"{len(record['cases'])} images, data hash {record['data_hash'][:12]}, preset "
        f"`{record['preset']}`, {record['steps']} steps a training. {len(seconds)} results, "
        f"{sum(seconds) / 3600:.1f} hours of one process."
    )


def _cell(row: Row) -> str:
    if row.difference is None:
        return MISSING
    return f"{row.difference}, visible {row.difference.visible:.3f}: **{row.verdict}**"


def _table(head: Sequence[str], lines: Iterable[Sequence]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def _forest(compared: Compared, path: str | Path) -> None:
    """Draw each claim's difference with its interval and verdict, a panel for each data set."""
    run = [row for rows in compared.values() for row in rows if row.difference]
    texts = list(dict.fromkeys(row.text for row in run))[::-1]
    figure = Figure((5 + 2.5 * len(compared), 2 + 0.3 * len(texts)), layout="constrained")
    axes = figure.subplots(1, len(compared), sharey=True, squeeze=False)
    for axis, (data, rows) in zip(axes.flat, compared.items(), strict=True):
        axis.axvspan(-MATTERS, MATTERS, color=BLACK, alpha=0.1, lw=0)
        axis.axvline(0, color=BLACK, linewidth=1)
        axis.set_yticks(range(len(texts)), texts)
        for row in (row for row in rows if row.difference):
            y, colour = texts.index(row.text), COLOURS.get(row.verdict, BLUE)
            axis.plot(row.difference[1:3], [y, y], color=colour)
            axis.plot(row.difference.mean, y, "o", color=colour)
            axis.text(row.difference.mean, y + 0.15, row.verdict, ha="center", fontsize=6)
        axis.set(title=data, xlabel="Dice, arm - control [95 %]", ylim=(-0.5, len(texts) - 0.3))
        plain(axis)
    figure.savefig(path, dpi=130, bbox_inches="tight")


def _reliability(every: Sequence[Results], path: str | Path) -> None:
    """Draw the share of lesion over the probability given, a panel for each data set."""
    figure = Figure((3.2 * len(every), 3.8), layout="constrained")
    axes = figure.subplots(1, len(every), sharey=True, squeeze=False)
    for axis, (data, _, arms) in zip(axes.flat, every, strict=True):
        axis.plot([0, 1], [0, 1], ":", color=BLACK, linewidth=1)
        for arm, colour in SHOWN.items():
            if arm in arms:
                axis.plot(*_curve(arms[arm]), "o-", color=colour, label=arm, markersize=3)
        axis.set(title=data, xlabel="probability of lesion", ylabel="share of lesion")
        axis.legend(fontsize=6)
        plain(axis)
    figure.savefig(path, dpi=130, bbox_inches="tight")


def _curve(seeds: Mapping[int, dict]) -> tuple[np.ndarray, np.ndarray]:
    bins = np.array([each["calibration"]["bins"] for each in seeds.values()])
    share = bins[..., 0].sum(axis=0)
    means = (bins[..., :1] * bins[..., 1:]).sum(axis=0)[share > 0] / share[share > 0, None]
    return means[:, 0], means[:, 1]
