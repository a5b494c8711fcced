"""A study whose jobs take no time to speak of: their scores follow from arm and seed.

As a program: OUT WORK PAUSE [SHARD], for tests that kill it.
"""

import hashlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from planted import write_job, write_record

from ensemble_seg.study.jobs import Job, Study, all_jobs
from ensemble_seg.study.plans import ENSEMBLE, MAIN, SAMPLING, SECOND, TWO, Claim, Plan, Training
from ensemble_seg.study.running import run_jobs

CLAIMS = (
    Claim("main + sampling beats two", "ensemble", "two-mains"),
    Claim("null", "main", "main-second"),
    Claim("crops", "sampling", "third"),
)
PLAN = Plan((MAIN, SAMPLING, SECOND, Training("third", windows="third"), ENSEMBLE, TWO), CLAIMS)
PAUSE = 0.0


def stub_jobs(out, work, seeds=4):
    study = Study("stub", None, "smoke", 2, str(out / "stub"), str(work))
    if not (out / "stub").is_dir():
        texts = [(claim.text, claim.arm, claim.control) for claim in CLAIMS]
        write_record(out / "stub", texts, seeds)
    return all_jobs(study, PLAN, seeds)


def stub_run(job: Job) -> str:
    """Fail where a vote's members have left nothing, as a real vote would."""
    time.sleep(PAUSE)
    missing = [name for name in job.needs if not (job.path.parent / f"{name}.json").is_file()]
    if missing:
        raise RuntimeError(f"{job.name}: {missing} not done")
    if job.kept:
        job.work.mkdir(parents=True, exist_ok=True)
        (job.work / "maps.npz").write_text("maps")
    seed = int.from_bytes(hashlib.sha256(job.name.encode()).digest()[:4], "big")
    dice = np.random.default_rng(seed).normal(0.8, 0.02, 12)
    write_job(job.path.parent, job.arm.name, job.seed, list(range(12)), dice)
    return job.name


if __name__ == "__main__":
    from pathlib import Path

    PAUSE = float(sys.argv[3])
    with ThreadPoolExecutor(2) as threads:
        jobs = stub_jobs(Path(sys.argv[1]), Path(sys.argv[2]))
        run_jobs(jobs, threads, run=stub_run, tell=lambda line: print(line, flush=True))
