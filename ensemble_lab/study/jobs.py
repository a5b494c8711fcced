"""The jobs of a study: trainings, and votes of finished ones, each with one small JSON file."""

import contextlib
import functools
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np

from ensemble_lab.views import eight_views
from ensemble_lab.zoom import zoom_ensemble
from ensemble_seg.data import Dataset
from ensemble_seg.ensembling import average_probabilities, fit_weights
from ensemble_seg.evaluation import predict_split, score
from ensemble_seg.network import unet
from ensemble_seg.pairing import PARTS
from ensemble_seg.presets import Preset
from ensemble_seg.training import train

from .calibration import calibration, fit_temperature, tempered
from .parts import all_cases, split_of_seed, training_windows
from .plans import ARMS, FIRST, RATE_SEED, Claim, Training, Vote, arms_of
from .results import RECORD, read_lines, write_lines

SCORED = ("validation", "test")
Maps = dict[str, np.ndarray]  # of the lesion: float32 (N, H, W) for each part that is scored


@dataclass(frozen=True, eq=False)
class Study:
    """What all jobs of a data set share."""

    data: Dataset
    preset: Preset  # after each of its epochs the validation images are looked at
    steps: int  # of a training, shared out evenly among the epochs
    out: Path  # folder of the data set's JSON files
    work: Path  # folder of models

    def file(self, arm: str, seed: int) -> Path:
        """Return what an arm with a seed leaves when it is done, such as main-03.json."""
        return self.out / f"{arm}-{seed:02d}.json"


def write_record(study: Study, claims: Sequence[Claim], seeds: int) -> None:
    """Write down what is asked, beside what was asked before; ValueError for other settings."""
    data, path, cases = study.data, study.out / RECORD, all_cases(study.data)
    split_of_seed(data, 0)  # refuses what cannot be split, before anything is written
    settings = {"data": data.name, "data_hash": data.hash}
    settings |= {"preset": study.preset.label, "steps": study.steps}
    before = read_lines(path) if path.is_file() else {**settings, "claims": []}
    other = [f"{key}={before[key]}" for key in settings if before[key] != settings[key]]
    if other:
        hint = "Name another folder with --out, or remove this one."
        raise ValueError(f"{path}: holds a study with {', '.join(other)}. {hint}")
    asked = {claim["text"]: claim for claim in before["claims"]}
    for claim in claims:
        most = max(seeds, asked.get(claim.text, {}).get("seeds", 0))
        asked[claim.text] = {**claim._asdict(), "seeds": most}
    names = [Path(os.path.relpath(pair.image, cases[0].image.parent)).as_posix() for pair in cases]
    write_lines(path, {**settings, "claims": list(asked.values()), "cases": names})


def run_jobs(
    study: Study,
    claims: Sequence[Claim],
    seeds: int,
    executor: Executor,
    run: Callable[[Study, Sequence[Training | Vote], int], str],
    tell: Callable[[str], None] = print,
) -> None:
    """Do what is not done yet, first what the claims that decide need.

    In waves: choice of rates, trainings, votes. The executor may be any, such as that of a Dask
    cluster; `run` is `run_arms`, `tell` takes a line after each job. The first error of a job is
    raised, and jobs that have not begun by then are dropped.
    """
    for first in (True, False):
        arms = arms_of(claim for claim in claims if (claim.text in FIRST) == first)
        trainings = [arm for arm in arms if isinstance(arm, Training)]
        rates = dict.fromkeys(rate for arm in trainings for rate in arm.rates)
        votes = [arm for arm in arms if isinstance(arm, Vote)]
        for wave in (
            [([rate], RATE_SEED) for rate in rates],
            [([arm], seed) for arm in trainings for seed in range(seeds)],
            [(votes, seed) for seed in range(seeds)],
        ):
            jobs = [job for job in wave if not _done(study, *job)]
            futures = [executor.submit(run, study, *job) for job in jobs]
            try:
                for number, future in enumerate(as_completed(futures), start=1):
                    tell(f"{future.result()} ({number} of {len(futures)} of this kind)")
            finally:
                for future in futures:
                    future.cancel()


def run_arms(study: Study, arms: Sequence[Training | Vote], seed: int) -> str:
    """Do what is not done yet of some arms of a seed and return its name.

    What is printed goes to log.txt in `work`. A killed training goes on from its last epoch.
    """
    study.work.mkdir(parents=True, exist_ok=True)
    log_file = study.work / "log.txt"
    for arm in arms:
        if _done(study, [arm], seed):
            continue
        started, data = time.perf_counter(), study.data
        with open(log_file, "a", encoding="utf-8") as log, contextlib.redirect_stdout(log):
            found = (_trained if isinstance(arm, Training) else _voted)(study, arm, seed)
        head = {"arm": asdict(arm), "seed": seed, "data": data.name, "data_hash": data.hash}
        found |= {"keras": keras.__version__, "seconds": round(time.perf_counter() - started, 1)}
        write_lines(study.file(arm.name, seed), {**head, **found})
    keras.utils.clear_session()
    return ", ".join(f"{arm.name}-{seed:02d}" for arm in arms)


def _done(study: Study, arms: Sequence[Training | Vote], seed: int) -> bool:
    return all(study.file(arm.name, seed).is_file() for arm in arms)


def _trained(study: Study, arm: Training, seed: int) -> dict:
    chosen, (_, maps) = preset_of(study, arm, seed), _predicted(study, arm, seed)
    return {"rate": chosen.learning_rate, "preset": chosen.label, **_scores(study, seed, maps)}


@functools.lru_cache(maxsize=4)
def _predicted(study: Study, arm: Training, seed: int) -> tuple[keras.Model, Maps]:
    """Return a trained model and what it predicts; nothing is trained a second time."""
    chosen, parts = preset_of(study, arm, seed), split_of_seed(study.data, seed)
    count = study.steps // chosen.epochs * chosen.batch_size
    data = parts.replace(train=training_windows(parts.train, arm.windows, count, chosen))
    folder = study.work / f"{arm.name}-{seed:02d}"
    model = train(unet(chosen, arm.name), data, chosen, arm.name, folder).model
    # A training that chooses a rate never sees the test images.
    return model, _maps(model, parts, SCORED[:1] if seed == RATE_SEED else SCORED)


def _maps(model: keras.Model, parts: Dataset, scored: Sequence[str] = SCORED) -> Maps:
    return {part: predict_split(model, getattr(parts, part))[..., 1] for part in scored}


def preset_of(study: Study, arm: Training, seed: int) -> Preset:
    """Return the settings of a training, with the rate of the best validation Dice."""
    results = [read_lines(study.file(rate.name, RATE_SEED)) for rate in arm.rates]
    best = max(results, key=lambda each: np.mean(each["validation"]["dice"]), default={})
    rate, seed = best.get("rate", arm.rate), seed + arm.offset
    return study.preset.replace(loss=arm.loss, limit=0, seed=seed, learning_rate=rate)


def _voted(study: Study, arm: Vote, seed: int) -> dict:
    found, parts = {}, split_of_seed(study.data, seed)
    pairs = [_predicted(study, ARMS[name], seed) for name in arm.members]
    models, members = zip(*pairs, strict=True)
    truth = parts.validation.masks(study.preset.size)
    if arm.how == "views":
        return _scores(study, seed, _maps(eight_views(*models), parts))
    if arm.how == "zoom":
        model = zoom_ensemble(*models, weights=arm.weights, margin=study.preset.margin)
        return _scores(study, seed, _maps(model, parts))
    if arm.how == "tempered":
        found["temperatures"] = [fit_temperature(maps["validation"], truth) for maps in members]
        members = [
            {part: tempered(maps[part], temperature) for part in SCORED}
            for maps, temperature in zip(members, found["temperatures"], strict=True)
        ]
    weights = arm.weights or fit_weights([maps["validation"] for maps in members], truth)
    maps = {part: average_probabilities([m[part] for m in members], weights) for part in SCORED}
    return {"weights": weights, **found, **_scores(study, seed, maps)}


def _scores(study: Study, seed: int, maps: Maps) -> dict:
    """Cases are numbered as in `all_cases`."""
    parts = split_of_seed(study.data, seed)
    number = {pair: case for case, pair in enumerate(all_cases(study.data))}
    found: dict = {"split": {part: len(getattr(parts, part)) for part in PARTS}}
    for part, lesion in maps.items():
        split = getattr(parts, part)
        dice = score(np.stack([1 - lesion, lesion], axis=-1), split).per_image["dice"]
        cases = [number[pair] for pair in split.pairs]
        found[part] = {"cases": cases, "dice": dice.round(4).tolist()}
    if "test" in maps:
        truth = {part: getattr(parts, part).masks(lesion.shape[1]) for part, lesion in maps.items()}
        # As it is, and with one temperature from the validation images.
        temperature = fit_temperature(maps["validation"], truth["validation"])
        after = calibration(tempered(maps["test"], temperature), truth["test"])
        found["calibration"] = {
            **calibration(maps["test"], truth["test"]),
            "temperature": round(temperature, 3),
            "tempered": {key: after[key] for key in ("brier", "ece", "sure")},
        }
    return found
