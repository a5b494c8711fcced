"""What the jobs of a data set left, and the comparison of its arms."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .jobs import job_name, read_result
from .plans import FIRST
from .statistics import Difference, paired, probability_of_false_claim, verdicts
from .studies import RECORD

MISSING = "not run yet"


@dataclass(frozen=True)
class Results:
    """The files of one data set.

    Attributes:
        record: study.json: data, settings, claims with their number of seeds, names of the cases.
        arms: for each arm the results of its seeds, {seed: content of the JSON file}.
    """

    record: dict
    arms: dict[str, dict[int, dict]]

    @property
    def data(self) -> str:
        """Name of the data set."""
        return self.record["data"]

    def dice(self, arm: str, seed: int) -> np.ndarray:
        """Lesion Dice of each test image of a seed."""
        return np.array(self.arms[arm][seed]["test"]["dice"])

    def seeds(self, *arms: str) -> list[int]:
        """The seeds that all these arms have."""
        return sorted(set.intersection(*(set(self.arms.get(arm, {})) for arm in arms)))

    @property
    def missing(self) -> list[str]:
        """Names of the jobs that were asked for and are not there."""
        asked = {
            (claim[side], seed): None
            for claim in self.record["claims"]
            for seed in range(claim["seeds"])
            for side in ("arm", "control")
        }
        return [job_name(*job) for job in asked if job[1] not in self.arms.get(job[0], {})]


class Row(NamedTuple):
    """One claim on one data set.

    Attributes:
        text, arm, control: of the claim.
        difference: of the mean Dice per image; None with fewer than two seeds.
        worst: the same of the mean over the worst tenth of the images.
        verdict: one of `statistics.VERDICTS`, or `MISSING`.
        false_claim: probability that the order found is false, by the cases alone; None where the
            arms have other test images.
    """

    text: str
    arm: str
    control: str
    difference: Difference | None = None
    worst: Difference | None = None
    verdict: str = MISSING
    false_claim: float | None = None


def read_results(folder: str | Path) -> Results:
    """Read the files of a data set.

    Raises:
        FileNotFoundError: no study there.
        ValueError: a file that is no JSON, or of other data than the record.
    """
    folder = Path(folder)
    if not (folder / RECORD).is_file():
        raise FileNotFoundError(f"{folder}: no study ({RECORD}). Run one first.")
    record, arms = read_result(folder / RECORD), defaultdict(dict)
    names = {claim[side] for claim in record["claims"] for side in ("arm", "control")}
    for path in sorted(folder.glob("*.json")):
        arm, _, seed = path.stem.rpartition("-")
        if arm not in names or not seed.isdigit():
            continue
        found = read_result(path)
        if found["data_hash"] != record["data_hash"]:
            raise ValueError(f"{path}: of other data than {RECORD}. Remove it and run it again.")
        arms[arm][int(seed)] = found
    return Results(record, dict(arms))


def read_all(out: str | Path) -> list[Results]:
    """Read the studies of all data sets below a folder, phantoms first.

    Raises:
        FileNotFoundError: none there.
    """
    folders = sorted(path.parent for path in Path(out).glob(f"*/{RECORD}"))
    if not folders:
        raise FileNotFoundError(f"{out}: no study in it. Run one first: see --help.")
    return sorted(map(read_results, folders), key=lambda each: "phantoms" not in each.data)


def compare(results: Results) -> list[Row]:
    """Put every claim of a study to the test, the three that decide first.

    They are one family for Holm's correction, all others another.
    """
    rows = [_row(results, claim) for claim in results.record["claims"]]
    deciding = [row for row in rows if row.text in FIRST]
    deciding.sort(key=lambda row: FIRST.index(row.text))
    return _judged(deciding) + _judged([row for row in rows if row.text not in FIRST])


def _judged(rows: list[Row]) -> list[Row]:
    found = iter(verdicts([row.difference for row in rows if row.difference]))
    return [row._replace(verdict=next(found)) if row.difference else row for row in rows]


def worst_tenth(dice: np.ndarray) -> float:
    """Return the mean of the lowest tenth of the scores, at least one.

    Example:
        >>> float(worst_tenth(np.linspace(0.1, 2.0, 20)).round(3))
        0.15
    """
    return np.sort(dice)[: max(1, len(dice) // 10)].mean()


def _row(results: Results, claim: dict) -> Row:
    arm, control = claim["arm"], claim["control"]
    row = Row(claim["text"], arm, control)
    seeds = [seed for seed in results.seeds(arm, control) if seed < claim["seeds"]]
    if len(seeds) < 2:
        return row
    splits = [results.arms[arm][seed]["split"] for seed in seeds]
    ratio = float(np.mean([split["test"] / split["train"] for split in splits]))

    def differ(measure) -> Difference:
        return paired(
            *([measure(results.dice(name, seed)) for seed in seeds] for name in (arm, control)),
            ratio,
        )

    difference = differ(np.mean)
    false_claim = _false_claim(results, arm, control, seeds)
    return row._replace(difference=difference, worst=differ(worst_tenth), false_claim=false_claim)


def _false_claim(results: Results, arm: str, control: str, seeds: Iterable[int]) -> float | None:
    """The probability over cases, each with its mean over the seeds that tested it."""
    cases: dict[int, list] = defaultdict(list)
    for seed in seeds:
        tests = [results.arms[name][seed]["test"] for name in (arm, control)]
        if tests[0]["cases"] != tests[1]["cases"]:
            return None
        for case, *pair in zip(tests[0]["cases"], *(each["dice"] for each in tests), strict=True):
            cases[case].append(pair)
    scores = np.array([np.mean(pairs, axis=0) for pairs in cases.values()])
    better = scores if scores[:, 0].mean() >= scores[:, 1].mean() else scores[:, ::-1]
    return probability_of_false_claim(*better.T)
