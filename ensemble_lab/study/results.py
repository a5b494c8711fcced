"""What the jobs of a data set left, and the comparison of its arms."""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ensemble_seg.runs import replaced

from .plans import FIRST
from .statistics import Difference, paired, probability_of_false_claim, verdicts

RECORD = "study.json"
MISSING = "not run yet"


class Results(NamedTuple):
    """The files of one data set."""

    data: str  # its name
    record: dict  # study.json: data, settings, claims with their number of seeds, names of cases
    arms: dict[str, dict[int, dict]]  # of each arm what its seeds left


class Row(NamedTuple):
    """One claim on one data set."""

    text: str
    arm: str
    control: str
    difference: Difference | None = None  # of the mean Dice per image; None: not two seeds yet
    worst: Difference | None = None  # the same of the mean over the worst tenth of the images
    verdict: str = MISSING  # see `statistics.verdicts`
    false_claim: float | None = None  # by the cases alone; None where the arms have other cases


def write_lines(path: Path, found: dict) -> None:
    """Write a JSON file with a line a key, whole or not at all."""
    lines = [f'"{key}": {json.dumps(value)}' for key, value in found.items()]
    with replaced(path) as partial:
        partial.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")


def read_lines(path: Path) -> dict:
    """Return what `write_lines` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_all(out: str | Path) -> list[Results]:
    """Read the studies of all data sets below a folder, phantoms first."""
    folders = sorted(path.parent for path in Path(out).glob(f"*/{RECORD}"))
    if not folders:
        raise FileNotFoundError(f"{out}: no study in it. Run one first: see --help.")
    return sorted(map(_read, folders), key=lambda each: "phantoms" not in each.data)


def compare(results: Results) -> list[Row]:
    """Put claims to the test, the three that decide first: families of Holm's correction."""
    rows = [_row(results, claim) for claim in results.record["claims"]]
    deciding = sorted((row for row in rows if row.text in FIRST), key=lambda r: FIRST.index(r.text))
    judged = []
    for family in (deciding, [row for row in rows if row.text not in FIRST]):
        found = iter(verdicts([row.difference for row in family if row.difference]))
        judged += [row._replace(verdict=next(found)) if row.difference else row for row in family]
    return judged


def dice_of(result: dict) -> float:
    """Return the mean lesion Dice of the test images of a result."""
    return np.mean(result["test"]["dice"])


def worst_tenth(result: dict) -> float:
    """Return the mean of the lowest tenth of its scores, at least one."""
    dice = np.sort(result["test"]["dice"])
    return dice[: max(1, len(dice) // 10)].mean()


def _read(folder: Path) -> Results:
    record, arms = read_lines(folder / RECORD), defaultdict(dict)
    names = {claim[side] for claim in record["claims"] for side in ("arm", "control")}
    for path in sorted(folder.glob("*.json")):
        arm, _, seed = path.stem.rpartition("-")
        if arm in names and seed.isdigit():
            arms[arm][int(seed)] = found = read_lines(path)
            if found["data_hash"] != record["data_hash"]:
                raise ValueError(f"{path}: of other data than {RECORD}. Remove it, run it again.")
    return Results(record["data"], record, dict(arms))


def _row(results: Results, claim: dict) -> Row:
    row = Row(claim["text"], claim["arm"], claim["control"])
    arm, control = (results.arms.get(name, {}) for name in (row.arm, row.control))
    seeds = [seed for seed in sorted(set(arm) & set(control)) if seed < claim["seeds"]]
    if len(seeds) < 2:
        return row
    pairs = [(arm[seed], control[seed]) for seed in seeds]
    ratio = float(np.mean([one["split"]["test"] / one["split"]["train"] for one, _ in pairs]))

    def differ(measure: Callable[[dict], float]) -> Difference:
        return paired(*np.transpose([[measure(each) for each in pair] for pair in pairs]), ratio)

    row = row._replace(difference=differ(dice_of), worst=differ(worst_tenth))
    return row._replace(false_claim=_false_claim(pairs))


def _false_claim(pairs: Sequence[tuple[dict, dict]]) -> float | None:
    """The probability over cases, each with its mean over the seeds that tested it."""
    cases: dict[int, list] = defaultdict(list)
    for arm, control in (tuple(each["test"] for each in pair) for pair in pairs):
        if arm["cases"] != control["cases"]:
            return None
        for case, *dice in zip(arm["cases"], arm["dice"], control["dice"], strict=True):
            cases[case].append(dice)
    scores = np.array([np.mean(each, axis=0) for each in cases.values()])
    better = scores if scores[:, 0].mean() >= scores[:, 1].mean() else scores[:, ::-1]
    return probability_of_false_claim(*better.T)
