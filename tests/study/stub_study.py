"""A study whose jobs take no time to speak of: their scores follow from arm and seed.

As a program, for a test that kills it: OUT PAUSE.
"""

import hashlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from study.planted import write_job, write_record

from ensemble_lab.study.jobs import Study, run_jobs
from ensemble_lab.study.plans import RATE_SEED, VOTE, Claim

CLAIMS = (Claim("null", "main", "main-second"), VOTE, Claim("zoom", "zoom", "two-mains"))
SEEDS, PAUSE = 4, 0.0
NUMBER = 3 + 3 * SEEDS + 3 * SEEDS  # rates, trainings, votes


def stub_arms(study, arms, seed):
    """Fail where what an arm needs has left nothing, as a real job would."""
    time.sleep(PAUSE)
    for arm in arms:
        needed = [study.file(name, seed) for name in getattr(arm, "members", ())]
        needed += [study.file(rate.name, RATE_SEED) for rate in getattr(arm, "rates", ())]
        if not all(file.is_file() for file in needed):
            raise RuntimeError(f"{arm.name}: {needed} not done")
        number = int.from_bytes(hashlib.sha256(f"{arm.name} {seed}".encode()).digest()[:4], "big")
        dice = np.random.default_rng(number).normal(0.8, 0.02, 12)
        write_job(study.out, arm.name, seed, list(range(12)), dice)
    return ", ".join(f"{arm.name}-{seed:02d}" for arm in arms)


def run_stub(folder, run=stub_arms, tell=print, executor=None):
    study = Study(None, None, 2, Path(folder, "stub"), Path(folder, "work"))
    if not study.out.is_dir():
        write_record(study.out, CLAIMS, SEEDS)
    with executor or ThreadPoolExecutor(2) as threads:
        run_jobs(study, CLAIMS, SEEDS, threads, run, tell)


if __name__ == "__main__":
    PAUSE = float(sys.argv[2])
    run_stub(sys.argv[1], tell=lambda line: print(line, flush=True))
