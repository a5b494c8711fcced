"""Jobs on any `concurrent.futures.Executor`: what is done is skipped, what waits comes later."""

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from multiprocessing.connection import wait as wait_for_process

from ..common.errors import invalid
from .jobs import Job, clean, run_job

THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")


def run_jobs(
    jobs: Sequence[Job],
    executor: Executor,
    shard: tuple[int, int] = (0, 1),
    run: Callable[[Job], str] = run_job,
    tell: Callable[[str], None] = print,
    at_once: int | None = None,
) -> list[Job]:
    """Do what is not done yet.

    Args:
        jobs: see `jobs.all_jobs`.
        executor: where they run.
        shard: (number, of how many): only the jobs of this share are done here.
        run: does one job and writes its file.
        tell: takes a line after each job.
        at_once: how many jobs the executor has at most, so that the first in the list are done
            first; None for all that are ready.

    Returns:
        Jobs of this share that wait for those of other shares.

    Raises:
        Exception: of the first job that failed; what runs at that time is finished first.
    """
    waiting = [job for job in share(jobs, shard) if _must_run(job, jobs)]
    clean(jobs)
    progress = _Progress(waiting, tell)
    running: dict[Future, Job] = {}
    while True:
        done = {job.name for job in jobs if job.is_done} - {job.name for job in waiting}
        done -= {job.name for job in running.values()}
        ready = [job for job in waiting if set(job.needs) <= done]
        ready = ready[: at_once and at_once - len(running)]
        running |= {executor.submit(run, job): job for job in ready}
        waiting = [job for job in waiting if job not in ready]
        if not running:
            return waiting
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            job = running.pop(future)
            _result(future, running)
            progress.step(job)
        clean(jobs)


def share(jobs: Sequence[Job], shard: tuple[int, int]) -> list[Job]:
    """Return the jobs of a shard: units, such as a vote and its members, are dealt in turn.

    Example:
        >>> share([], (0, 8))
        []
    """
    number, count = shard
    if not 0 <= number < count:
        raise invalid("shard", "a number from 0 to one less than there are, as in 0/8", shard)
    units = list(dict.fromkeys(job.unit for job in jobs))
    return [job for job in jobs if units.index(job.unit) % count == number]


@contextlib.contextmanager
def processes(workers: int) -> Iterator[Executor]:
    """Give an executor of so many processes, which share out the cores."""
    cores = str(max(1, (os.cpu_count() or 1) // workers))
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update({name: value or cores for name, value in before.items()})
    # After Ctrl-C a process of Python's own removes the semaphores of workers, and warns of it.
    sys.warnoptions.append("ignore:resource_tracker:UserWarning")
    context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
    pool = ProcessPoolExecutor(workers, context, initializer=_begin)
    try:
        yield pool
    except BaseException:
        for worker in multiprocessing.active_children():
            worker.terminate()  # as a kill: a training goes on from its last round
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextlib.contextmanager
def dask_cluster(address: str) -> Iterator[Executor]:
    """Give an executor on the Dask cluster of an address.

    Raises:
        ValueError: Dask is not installed.
        OSError: no cluster could be connected to.
    """
    try:
        from distributed import Client
    except ImportError:
        hint = 'Install it with pip install "dask[distributed]".'
        raise ValueError(f"--dask {address} needs Dask, which is not there. {hint}") from None
    with Client(address) as client:
        # A job whose worker dies is given to another one and goes on from its last round.
        yield client.get_executor(pure=False)


def _must_run(job: Job, jobs: Sequence[Job]) -> bool:
    """A finished training runs again where a vote needs maps that were removed meanwhile."""
    if not job.is_done:
        return True
    asked = any(job.name in other.needs for other in jobs if not other.is_done)
    return job.kept and asked and not (job.work / "maps.npz").is_file()


def _result(future: Future, running: dict[Future, Job]) -> None:
    try:
        future.result()
    except BaseException:
        for other in running:
            other.cancel()
        wait(running)
        raise


def _begin() -> None:
    """In a worker: the parent alone is told of Ctrl-C, and TensorFlow's advice is not printed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    _end_with_parent()


def _end_with_parent() -> None:
    """End a worker whose parent was killed: it would work on unseen, beside the next run."""
    parent = multiprocessing.parent_process()

    def watch():
        wait_for_process([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _Progress:
    def __init__(self, jobs: Sequence[Job], tell: Callable[[str], None]):
        self.jobs, self.tell = len(jobs), tell
        self.cost, self.number, self.done = sum(job.cost for job in jobs), 0, 0
        self.started = time.perf_counter()

    def step(self, job: Job) -> None:
        self.number += 1
        self.done += job.cost
        text = f"{self.number} of {self.jobs}: {job.name}"
        if self.done:
            spent = time.perf_counter() - self.started
            left = spent / self.done * (self.cost - self.done)
            text += f", about {left / 3600:.1f} h left"
        self.tell(text)
