"""The tables of results/README.md, section "A start from ImageNet", from the JSON files here.

python results/start/tables.py
"""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np

NAMES = {
    "main": "main",
    "sampling": "sampling",
    "published": "ensemble, 1.01 : 1 (published)",
    "zoom": "zoom, fitted",
    "zoom 1.01 : 1": "zoom, 1.01 : 1",
    "two mains": "two main models",
}


def main() -> None:
    groups = defaultdict(list)
    for file in sorted(Path(__file__).parent.glob("*.json")):
        found = json.loads(file.read_text())
        preset = ",".join(part for part in found["preset"].split(",") if "seed=" not in part)
        alone = "resnet18" in found["preset"]
        groups[found["data"], preset, alone].append(found)
    print("# Three seeds each, by `python results/start/tables.py`")
    for (data, preset, alone), runs in groups.items():
        runs = sorted(runs, key=lambda run: run["seed"])
        print(f"\n## {data}\n\n`{preset}`, seeds {', '.join(str(run['seed']) for run in runs)}")
        for part in ("validation", "test"):
            print(f"\n{table(runs, part, alone)}")
        minutes = [sum(run["seconds"].values()) / 60 for run in runs]
        print(f"\nMinutes of training: {', '.join(f'{value:.1f}' for value in minutes)}")
        if not alone:
            chosen = [f"{run['zoom']['share']:g} and {run['zoom']['margin']}" for run in runs]
            print(f"Share of the sampling model and margin: {'; '.join(chosen)}")


def table(runs: list[dict], part: str, alone: bool) -> str:
    """One row a model: mean over seeds, each seed, each seed's difference to main by its cases."""
    lines = [
        f"| {part} | mean Dice | each seed | less main, mean | each seed [95 % over cases] |",
        "|---|---|---|---|---|",
    ]
    for key in ("main",) if alone else NAMES:
        dice = [run[f"{part}_dice"][key] for run in runs]
        cells = [NAMES[key], f"{np.mean(dice):.3f}", ", ".join(f"{value:.3f}" for value in dice)]
        if key == "main":
            cells += ["", ""]
        else:
            less = [run[f"{part}_less_main"][key] for run in runs]
            cells.append(f"{np.mean([value for value, _, _ in less]):+.3f}")
            cells.append("; ".join(f"{a:+.3f} [{b:+.3f}, {c:+.3f}]" for a, b, c in less))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
