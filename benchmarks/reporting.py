"""The report and its figure, from the rows' JSON files."""

import textwrap
from pathlib import Path
from statistics import median

MET, MISSED = "#0072B2", "#D55E00"  # told apart by the colour-blind, and by marker


def write_report(rows: list[dict], path: Path) -> None:
    """Write the report, and the figure beside it.

    Args:
        rows: as `__main__.run_row` stores them, in the order of the table.
        path: of the Markdown file.
    """
    figure = path.with_name("report.png")
    drawn = draw(rows, figure)
    parts = [
        "# Benchmarks\n\nWritten by `make benchmark`: the median over the rounds and [lowest, "
        "highest]. What is compared runs in alternation on the same machine.",
        table(rows),
        *([f"![Ratios and goals]({figure.name})"] if drawn else []),
        *(notes(line) for row in rows for line in row.get("lines", ())),
        "## Where and with what",
        circumstances(rows),
    ]
    path.write_text("\n\n".join(parts) + "\n")


def table(rows: list[dict]) -> str:
    """One line for each line a row gives, and for a row that failed."""
    lines = ["| row | measured | ratio | goal | |", "|---|---|---|---|---|"]
    for row in rows:
        if "error" in row:
            cells = [row["name"], f"failed: {row['error']}", "", "", "failed"]
            lines.append(_cells(cells))
        lines += [_cells(_columns(line)) for line in row.get("lines", ())]
    return "\n".join(lines)


def notes(line: dict) -> str:
    parts = [f"### {line['row']}", "\n".join(f"* {note}" for note in line.get("notes", ()))]
    return "\n\n".join([*filter(None, parts), *([line["table"]] if "table" in line else [])])


def circumstances(rows: list[dict]) -> str:
    """What all rows share is said once, what differs with the rows it holds for."""
    lines = ["| | |", "|---|---|"]
    for key in dict.fromkeys(key for row in rows for key in row["about"]):
        holders: dict[str, list[str]] = {}
        for row in rows:
            holders.setdefault(str(row["about"].get(key, "-")), []).append(row["name"])
        for value, names in holders.items():
            which = f" ({', '.join(names)})" if len(holders) > 1 else ""
            lines.append(_cells([key + which, value]))
    return "\n".join(lines)


def draw(rows: list[dict], path: Path) -> bool:
    """Draw how far each ratio is from its goal; False where there is none to draw.

    A goal of 0 is in the table alone: nothing is so many times as good as 0.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    lines = [line for row in rows for line in row.get("lines", ())]
    goals = [(line, goal) for line in lines for goal in _goals(line) if goal["limit"]]
    goals.reverse()
    if not goals:
        return False
    figure, axes = plt.subplots(figsize=(10, 1.2 + 0.55 * len(goals)), layout="constrained")
    axes.axvline(1, color="black", linewidth=1)
    for height, (_, goal) in enumerate(goals):
        colour, marker = (MET, "o") if goal["met"] else (MISSED, "X")
        distance = distance_from_goal(goal)
        axes.plot([1, distance], [height, height], color=colour, linewidth=2)
        axes.plot(distance, height, marker, color=colour, markersize=9)
        axes.annotate(
            f"{number(goal['value'])}{goal['unit']}, goal {goal['goal']}",
            (max(distance, 1), height),
            (10, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set_yticks(range(len(goals)), [_label(*pair) for pair in goals], fontsize=9)
    _scale(axes, [distance_from_goal(goal) for _, goal in goals])
    axes.set_xlabel("times as good as the goal (right of the line: met, circles; left: missed)")
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return True


def distance_from_goal(goal: dict) -> float:
    """How many times as good as the goal, at most a thousand times."""
    value, limit = max(goal["value"], 1e-9), goal["limit"]
    better = value / limit if goal["goal"].startswith("at least") else limit / value
    return min(max(better, 1e-3), 1e3)


def number(value: float) -> str:
    """Three digits, or all of those before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _columns(line: dict) -> list[str]:
    unit = line.get("unit", "")
    measured = [
        f"{name}: {number(median(values))} [{number(min(values))}, {number(max(values))}] {unit}"
        for name, values in line.get("measured", {}).items()
    ]
    goals = _goals(line)
    return [
        line["row"],
        "<br>".join(measured),
        "<br>".join(f"{goal['what']}: {number(goal['value'])}{goal['unit']}" for goal in goals),
        "<br>".join(goal["goal"] for goal in goals),
        "<br>".join("met" if goal["met"] else "**missed**" for goal in goals),
    ]


def _goals(line: dict) -> list[dict]:
    return line.get("goals", [])


def _cells(cells: list[str]) -> str:
    return "| " + " | ".join(" ".join(c.replace("|", "\\|").split()) for c in cells) + " |"


def _label(line: dict, goal: dict) -> str:
    return textwrap.fill(f"{line['row']}: {goal['what']}", 60)


def _scale(axes, distances: list[float]) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    low, high = min(0.5, *distances), max(2, *distances)
    axes.set_xscale("log")
    axes.set_xlim(low / 1.2, high * (high / low) ** 0.5)
    ticks = [base * 10.0**power for power in range(-3, 4) for base in (1, 2, 5)]
    axes.xaxis.set_major_locator(
        FixedLocator([tick for tick in ticks if low / 1.2 <= tick <= high * 1.2])
    )
    axes.xaxis.set_major_formatter("{x:g}x")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(-0.7, len(axes.get_yticks()) - 0.3)
    axes.spines[["top", "right"]].set_visible(False)
