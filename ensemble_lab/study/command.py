"""The command `ensemble-seg study`: run what is not done yet, then write the report."""

import argparse
import logging
import multiprocessing
import os
import signal
import threading
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path

from .plans import PLANS

NETWORK = "quick,size=96,epochs=5"  # five looks at the validation images


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add, cores = parser.add_argument, os.cpu_count() or 1
    add("data", nargs="?", metavar="DATA", help="a name or a folder (phantoms)")
    add("--data-dir", help="folder of the named data sets")
    add("--plan", nargs="+", choices=PLANS, default=["all"], help="what to test (all)")
    add("--seeds", type=int, default=5, help="how many (5)")
    add("--preset", default=NETWORK, help=f'network and training ("{NETWORK}")')
    add("--steps", type=int, default=250, help="of each training (250)")
    add("--out", default="results/study", help="folder of the JSON files (results/study)")
    add("--work-dir", default="runs/study", help="folder of models (runs/study)")
    add("--workers", type=int, default=cores, help="processes (one for each core)")
    add("--dask", metavar="ADDRESS", help="run on this Dask cluster")
    add("--report", action="store_true", help="tables and figures of what is there, no training")


def run(options: argparse.Namespace) -> None:
    """Run the study (not with --report), write the report and print what it found."""
    from .report import write_report

    name = Path(options.data).name if options.data else None
    print(write_report(options.out, name if options.report else run_study(options)))


def run_study(options: argparse.Namespace) -> str:
    """Do what is not done yet of a study and return the name of the data set."""
    from ensemble_seg.data import load_dataset
    from ensemble_seg.presets import invalid, preset

    from .jobs import Study, run_arms, run_jobs, write_record

    claims = list(dict.fromkeys(claim for name in options.plan for claim in PLANS[name]))
    chosen = preset(options.preset)
    if options.seeds < 1:
        raise invalid("seeds", "a number of at least 1", options.seeds)
    data = load_dataset(options.data or "phantoms", options.data_dir)
    if options.steps < chosen.epochs:
        raise invalid("steps", f"at least one an epoch ({chosen.epochs})", options.steps)
    # Whole paths: the workers of a Dask cluster start in other folders.
    out, work = (Path(each, data.name).absolute() for each in (options.out, options.work_dir))
    study = Study(data, chosen, options.steps, out, work)
    write_record(study, claims, options.seeds)
    with _dask(options.dask) if options.dask else processes(options.workers) as executor:
        run_jobs(study, claims, options.seeds, executor, run_arms)
    return data.name


def _dask(address: str) -> Executor:
    from distributed import Client

    return Client(address).get_executor(pure=False)


def processes(workers: int) -> Executor:
    """Return an executor of so many processes, which share out the cores."""
    cores = max(1, (os.cpu_count() or 1) // workers)
    context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
    return ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(str(cores),))


def _begin(cores: str) -> None:
    """Begin a worker: it shares out the cores and ends with its parent, however that ends."""
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, cores)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # no advice on tracing
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
