"""One job: a training, or a vote of finished ones, that leaves one small JSON file."""

import contextlib
import importlib.metadata
import json
import shutil
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np

from ..common.files import whole
from ..datasets import Dataset, Split, load_dataset
from ..ensembling import average_probabilities, eight_views, fit_weights
from ..evaluation import predict_split, score
from ..models import unet
from ..presets import Preset, preset
from ..training import train
from .calibration import calibration, fit_temperature, tempered
from .parts import PARTS, all_cases, split_of_seed, training_windows
from .plans import RATE_SEED, Plan, Training, Vote, decides

PACKAGES = ("ensemble-seg", "tensorflow", "keras", "numpy")


@dataclass(frozen=True)
class Study:
    """What all jobs of a data set share.

    Attributes:
        data: name or folder.
        data_dir: where named data sets lie.
        label: of the preset: network and training; its epochs are the rounds after each of which
            the validation images are looked at.
        steps: of a training, shared out evenly among the rounds.
        out: folder of the data set's JSON files.
        work: folder of models and maps; what no job needs any more is removed from it.
    """

    data: str
    data_dir: str | None
    label: str
    steps: int
    out: str
    work: str


@dataclass(frozen=True)
class Job:
    """An arm with a seed.

    Attributes:
        needs: names of jobs that must be done before.
        kept: whether a vote needs the model or the maps of this training.
        unit: what a shard never splits: a vote and its members.
    """

    study: Study
    arm: Training | Vote
    seed: int
    needs: tuple[str, ...] = ()
    kept: bool = False
    unit: str = ""

    @property
    def name(self) -> str:
        """Of its files, such as "main-03"."""
        return job_name(self.arm.name, self.seed)

    @property
    def path(self) -> Path:
        """The JSON file."""
        return Path(self.study.out) / f"{self.name}.json"

    @property
    def work(self) -> Path:
        """The folder of its model and maps."""
        return Path(self.study.work) / self.name

    @property
    def is_done(self) -> bool:
        """Whether its file is there."""
        return self.path.is_file()

    @property
    def cost(self) -> int:
        """In trainings of one length."""
        return self.arm.length if isinstance(self.arm, Training) else 0


def job_name(arm: str, seed: int) -> str:
    """Return the name of a job.

    Example:
        >>> job_name("main", 3)
        'main-03'
    """
    return f"{arm}-{seed:02d}"


def all_jobs(study: Study, plan: Plan, seeds: int) -> list[Job]:
    """Return the jobs of a plan, in the order in which they are done where nothing waits.

    First votes, which cost little once their members are there, then what the claims that decide
    need, then all else arm by arm, each after the trainings that choose its learning rate.
    """
    members = {name for arm in plan.arms if isinstance(arm, Vote) for name in arm.members}
    jobs: dict[str, Job] = {}
    for arm in sorted(
        plan.arms, key=lambda arm: (isinstance(arm, Training), not decides(plan, arm))
    ):
        rates = arm.rates if isinstance(arm, Training) else []
        found = [Job(study, rate, RATE_SEED, unit=rate.name) for rate in rates]
        for seed in range(seeds):
            together = isinstance(arm, Vote) or arm.name in members
            unit = f"seed {seed}" if together else job_name(arm.name, seed)
            found.append(Job(study, arm, seed, _needs(arm, seed), arm.name in members, unit))
        jobs |= {job.name: job for job in found if job.name not in jobs}
    return list(jobs.values())


def run_job(job: Job) -> str:
    """Do a job and write its file; what it prints goes to a log in its work folder.

    A training that was killed goes on from its last round.

    Returns:
        The name of the job.

    Raises:
        ValueError, OSError: as `load_dataset` and `train`.
    """
    started = time.perf_counter()
    job.work.mkdir(parents=True, exist_ok=True)
    with open(job.work / "log.txt", "a") as log, contextlib.redirect_stdout(log):
        data = load_dataset(job.study.data, job.study.data_dir)
        run = _trained if isinstance(job.arm, Training) else _voted
        found = run(job, data)
    _write(job, data, {**found, "seconds": round(time.perf_counter() - started, 1)})
    keras.utils.clear_session()
    return job.name


def read_result(path: Path) -> dict:
    """Return what a job left.

    Raises:
        ValueError: no JSON, which no job leaves.
    """
    try:
        return json.loads(path.read_text())
    except json.JSONDecodeError as error:
        hint = "Remove it and run the same command again."
        raise ValueError(f"{path}: expected JSON ({error}). {hint}") from None


def clean(jobs: Iterable[Job]) -> None:
    """Remove the models and maps that no unfinished job needs."""
    jobs = list(jobs)
    needed = {name for job in jobs if not job.is_done for name in job.needs}
    for job in jobs:
        if job.is_done and job.name not in needed:
            shutil.rmtree(job.work, ignore_errors=True)


def _needs(arm: Training | Vote, seed: int) -> tuple[str, ...]:
    if isinstance(arm, Vote):
        return tuple(job_name(member, seed) for member in arm.members)
    return tuple(job_name(rate.name, RATE_SEED) for rate in arm.rates)


def _trained(job: Job, data: Dataset) -> dict:
    arm, chosen = job.arm, _preset(job)
    parts = split_of_seed(data, job.seed, arm.groups)
    count = job.study.steps // preset(job.study.label).epochs * chosen.batch_size
    windows = training_windows(parts.train, arm.windows, count, chosen)
    run = train(unet(chosen, arm.name), parts.replace(train=windows), chosen, arm.name, job.work)
    maps = {part: predict_split(run.model, getattr(parts, part))[..., 1] for part in _scored(job)}
    if job.kept:
        with whole(job.work / "maps.npz") as file, open(file, "wb") as stream:
            np.savez(stream, **maps)
    extra = {"rate": chosen.learning_rate, "preset": chosen.label, "steps": _steps(job)}
    return {**extra, **_scores(parts, maps, data)}


def _preset(job: Job) -> Preset:
    arm, base = job.arm, preset(job.study.label)
    return base.replace(
        encoder_weights=None if arm.random else base.encoder_weights,
        loss=arm.loss,
        limit=0,
        seed=job.seed + arm.offset,
        epochs=base.epochs * arm.length,
        learning_rate=arm.rate or _best_rate(job),
    )


def _best_rate(job: Job) -> float:
    """Return the rate with the best mean validation Dice."""
    results = [read_result(Path(job.study.out) / f"{name}.json") for name in job.needs]
    return max(results, key=lambda each: np.mean(each["validation"]["dice"]))["rate"]


def _scored(job: Job) -> tuple[str, ...]:
    """A training that chooses a rate never sees the test images."""
    return ("validation",) if job.seed == RATE_SEED else ("validation", "test")


def _steps(job: Job) -> int:
    rounds = preset(job.study.label).epochs
    return job.study.steps // rounds * rounds * job.arm.length


def _voted(job: Job, data: Dataset) -> dict:
    parts = split_of_seed(data, job.seed)
    works = [Path(job.study.work) / name for name in job.needs]
    truth = parts.validation.masks(preset(job.study.label).size)
    found: dict = {}
    if job.arm.how in ("views", "zoom"):
        model = _joined(job, works)
        split = {part: getattr(parts, part) for part in PARTS[1:]}
        maps = {part: predict_split(model, each)[..., 1] for part, each in split.items()}
        return _scores(parts, maps, data)
    members = [dict(np.load(work / "maps.npz")) for work in works]
    if job.arm.how == "tempered":
        found["temperatures"] = [fit_temperature(each["validation"], truth) for each in members]
        members = [
            {part: tempered(values, temperature) for part, values in each.items()}
            for each, temperature in zip(members, found["temperatures"], strict=True)
        ]
    weights = job.arm.weights or fit_weights([each["validation"] for each in members], truth)
    maps = {
        part: average_probabilities([each[part] for each in members], weights) for part in PARTS[1:]
    }
    return {"weights": weights, **found, **_scores(parts, maps, data)}


def _joined(job: Job, works: list[Path]) -> keras.Model:
    files = [next(work.rglob("model.keras")) for work in works]
    models = [keras.saving.load_model(file, compile=False) for file in files]
    if job.arm.how == "views":
        return eight_views(models[0])
    from .. import zoom_ensemble

    margin = preset(job.study.label).margin
    return zoom_ensemble(*models, weights=job.arm.weights, margin=margin)


def _scores(parts: Dataset, maps: dict[str, np.ndarray], data: Dataset) -> dict:
    """Score maps (N, H, W) of the lesion; cases are numbered as in `all_cases`."""
    number = {pair[:2]: case for case, pair in enumerate(all_cases(data))}
    found: dict = {"split": {part: len(getattr(parts, part)) for part in PARTS}}
    for part, lesion in maps.items():
        split: Split = getattr(parts, part)
        dice = score(np.stack([1 - lesion, lesion], axis=-1), split).per_image["dice"]
        cases = [number[pair[:2]] for pair in split.pairs]
        found[part] = {"cases": cases, "dice": dice.round(4).tolist()}
    if "test" in maps:
        found["calibration"] = _calibration(parts, maps)
    return found


def _calibration(parts: Dataset, maps: dict[str, np.ndarray]) -> dict:
    """Calibration on the test images, as it is and with one temperature from the others."""
    truth = {part: getattr(parts, part).masks(maps[part].shape[1]) for part in maps}
    temperature = fit_temperature(maps["validation"], truth["validation"])
    after = calibration(tempered(maps["test"], temperature), truth["test"])
    return {
        **calibration(maps["test"], truth["test"]),
        "temperature": round(temperature, 3),
        "tempered": {key: after[key] for key in ("brier", "ece", "sure")},
    }


def _write(job: Job, data: Dataset, found: dict) -> None:
    head = {
        "arm": asdict(job.arm),
        "seed": job.seed,
        "data": data.name,
        "data_hash": data.hash,
        "versions": {package: _version(package) for package in PACKAGES},
    }
    lines = [f'"{key}": {json.dumps(value)}' for key, value in {**head, **found}.items()]
    with whole(job.path) as file:
        file.write_text("{" + ",\n".join(lines) + "}\n")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
