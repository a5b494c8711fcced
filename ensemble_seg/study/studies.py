"""A study from the command line: settings, the record of what was asked, and the run."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from ..common.errors import invalid
from ..common.files import whole
from ..datasets import load_dataset
from ..datasets.dataset import NAMES, PHANTOMS
from ..datasets.phantoms import write_phantoms
from ..presets import preset
from ..reading.checking import check_pairs
from .jobs import Job, Study, all_jobs
from .parts import all_cases, split_of_seed
from .plans import FRACTIONS, IMBALANCE, IMBALANCED, LEVEL, Plan, joined, plan_for
from .running import dask_cluster, processes, run_jobs

RECORD = "study.json"
# Five rounds: after each the validation images are looked at, and the best weights are kept.
NETWORK = "quick,size=96,epochs=5"
STEPS, STEPS_OF_LARGE_SETS = 250, {"isic-2018": 600, "kvasir-seg": 600}
OUT, WORK = "results/study", "runs/study"


@dataclass(frozen=True)
class Asked:
    """What a command asks for; see `python -m ensemble_seg study --help`."""

    data: str = PHANTOMS
    plan: tuple[str, ...] = ("all",)
    seeds: int = 5
    data_dir: str | None = None
    preset: str = NETWORK
    steps: int = 0
    out: str = OUT
    work: str = WORK


def run_study(
    asked: Asked,
    workers: int | None = None,
    dask: str | None = None,
    shard: tuple[int, int] = (0, 1),
    tell: Callable[[str], None] = print,
) -> list[Path]:
    """Do what is not done yet of a study.

    Args:
        asked: data, plans, seeds and settings.
        workers: processes; as many as there are cores where it is None.
        dask: address of a Dask cluster to run on instead.
        shard: see `running.run_jobs`.
        tell: takes lines of progress.

    Returns:
        The folders of JSON files, one for each data set.

    Raises:
        ValueError, OSError: bad input, before any training starts, or a job that failed.
    """
    prepared = [_prepared(study, plan, asked.seeds) for study, plan in studies(asked)]
    jobs = [job for each in prepared for job in each]
    done = sum(job.is_done for job in jobs)
    tell(f"{len(jobs)} jobs, {done} of them done before")
    workers = workers or os.cpu_count() or 1
    cluster = dask_cluster(dask) if dask else processes(workers)
    with cluster as executor:
        at_once = None if dask else workers
        waiting = run_jobs(jobs, executor, shard, tell=tell, at_once=at_once)
    if waiting:
        tell(
            f"{len(waiting)} jobs of this shard wait for those of others, {waiting[0].name} first. "
            "Run the same command again when the others are finished."
        )
    return list(dict.fromkeys(job.path.parent for job in jobs))


def studies(asked: Asked) -> list[tuple[Study, Plan]]:
    """Return the data sets of a plan with their arms. Draws the phantoms of "imbalance".

    Raises:
        ValueError, FileNotFoundError: as `load_dataset` and `plan_for`.
    """
    if asked.seeds < 1:
        raise invalid("seeds", "a number of at least 1", asked.seeds)
    found, names = [], set(asked.plan)
    if names - {IMBALANCED}:
        data = load_dataset(asked.data, asked.data_dir)
        plan = joined(plan_for(name, data) for name in asked.plan if name != IMBALANCED)
        found.append((_study(asked, asked.data, data.name), plan))
    if IMBALANCED in names and asked.data != PHANTOMS:
        raise invalid("data", "phantoms, which the plan imbalance draws itself", asked.data)
    if names & {IMBALANCED, "all"} and asked.data == PHANTOMS:
        for fraction in FRACTIONS:
            folder = Path(asked.work) / "data" / f"phantoms-{round(100 * fraction):02d}{LEVEL}"
            if not folder.is_dir():
                write_phantoms(folder, fraction=fraction)
            found.append((_study(asked, str(folder), folder.name), IMBALANCE))
    return found


def _study(asked: Asked, data: str, name: str) -> Study:
    chosen, steps = preset(asked.preset), asked.steps or STEPS_OF_LARGE_SETS.get(name, STEPS)
    if steps < chosen.epochs:
        expected = f"at least one for each of the {chosen.epochs} rounds"
        raise invalid("steps", expected, steps)
    # Whole paths: the workers of a Dask cluster start in other folders.
    out, work = (str(Path(folder, name).absolute()) for folder in (asked.out, asked.work))
    data = data if data in NAMES else str(Path(data).expanduser().absolute())
    data_dir = asked.data_dir
    if data != PHANTOMS:  # which come with the module
        data_dir = Path(data_dir or os.environ.get("ENSEMBLE_SEG_DATA_DIR") or "data")
        data_dir = data_dir.expanduser().absolute()
    return Study(data, data_dir and str(data_dir), asked.preset, steps, out, work)


def _prepared(study: Study, plan: Plan, seeds: int) -> list[Job]:
    """Check the files, write down what is asked, and return the jobs."""
    data = load_dataset(study.data, study.data_dir)
    check_pairs(all_cases(data), data.lesion_values)
    split_of_seed(data, 0)
    settings = {
        "data": data.name,
        "data_hash": data.hash,
        "preset": study.label,
        "steps": study.steps,
    }
    path = Path(study.out) / RECORD
    before = json.loads(path.read_text()) if path.is_file() else {**settings, "claims": []}
    for key, value in settings.items():
        if before[key] != value:
            raise ValueError(
                f"{path}: holds a study with {key}={before[key]}, now {key}={value}. Name another "
                "folder with --out, or remove this one."
            )
    claims = {claim["text"]: claim for claim in before["claims"]}
    for claim in plan.claims:
        more = max(seeds, claims.get(claim.text, {}).get("seeds", 0))
        claims[claim.text] = {**asdict(claim), "seeds": more}
    folder = all_cases(data)[0].image.parent
    names = [Path(os.path.relpath(pair.image, folder)).as_posix() for pair in all_cases(data)]
    lines = {**settings, "claims": list(claims.values()), "cases": names}
    text = ",\n".join(f'"{key}": {json.dumps(value)}' for key, value in lines.items())
    with whole(path) as file:
        file.write_text("{" + text + "}\n")
    return all_jobs(study, plan, seeds)
