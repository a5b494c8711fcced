"""The doctor command: what a report of a problem needs, on one screen, without private names."""

import importlib.metadata
import os
import platform
import re
import shutil
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from ..common.files import readable

PACKAGES = ("tensorflow", "keras", "numpy", "segmentation-models", "h5py", "pydicom", "jax")
FEATURES = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimd", "bf16")
SETTINGS = re.compile(
    "(ENSEMBLE_SEG|KERAS|CUDA|XLA|OMP|JAX|SM|TF_(ENABLE|FORCE|GPU|NUM|USE|XLA))_|.*_PROXY$", re.I
)
WEIGHTS = (
    "https://github.com/qubvel/classification_models/releases/download/0.0.1/"
    "resnet101_imagenet_1000_no_top.h5"
)
SECONDS = 4  # to wait for a server
SHOWN = 7  # run folders, and settings, that are listed
MEMORY = Path("/proc/meminfo")
LABEL, WIDTH = 18, 120


def doctor_report(runs_dir: str | Path | None = None, data_dir: str | Path | None = None) -> str:
    """Return what there is to know of this machine and its runs: a table of under 40 lines.

    Nothing in it stops: where something cannot be told, the reason stands in its place. The home
    folder is written as ~.

    Args:
        runs_dir, data_dir: as for the other commands.
    """
    runs = Path(runs_dir or os.environ.get("ENSEMBLE_SEG_RUNS_DIR") or "runs").expanduser()
    data = Path(data_dir or os.environ.get("ENSEMBLE_SEG_DATA_DIR") or "data").expanduser()
    parts = {
        "ensemble_seg": package,
        "python": python,
        "packages": packages,
        "backend": backend,
        "devices": devices,
        "processor": processor,
        "memory": memory,
        "precision auto": precision,
        "disk": lambda: disks(runs, data),
        "encoder weights": encoder_weights,
        "data sets": lambda: data_sets(data),
        "run folders": lambda: run_folders(runs),
        "settings": settings,
    }
    return "\n".join(_row(label, part) for label, part in parts.items())


def package() -> str:
    """Return the version of this package, and its commit where it lies in a repository."""
    from ..common.environment import git_hash

    commit = git_hash()
    return _version("ensemble-seg") + (f", commit {commit[:12]}" if commit else "")


def python() -> str:
    """Return the version of Python and the kind of system."""
    return f"{platform.python_version()}, {platform.system()} {platform.machine()}"


def packages() -> str:
    """Return the versions of the packages whose versions matter."""
    return ", ".join(f"{name} {_version(name)}" for name in PACKAGES)


def backend() -> str:
    """Return what computes; raise ImportError where Keras' settings are not usable."""
    from ..common.environment import require_environment

    require_environment()
    import keras

    return keras.backend.backend()


def devices() -> str:
    """Return the names of the devices."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return ", ".join(keras.distribution.list_devices())
    import tensorflow as tf

    found = tf.config.list_physical_devices()
    details = [tf.config.experimental.get_device_details(device) for device in found]
    names = [about.get("device_name", "") for about in details]
    kinds = [device.name.removeprefix("/physical_device:") for device in found]
    return ", ".join(f"{kind} {name}".strip() for kind, name in zip(kinds, names, strict=True))


def processor() -> str:
    """Return cores and features of the processor."""
    from ..hardware.precision import cpu_flags

    flags = cpu_flags()
    known = [name for name in FEATURES if name in flags]
    return f"{os.cpu_count()} cores, {' '.join(known) or 'features cannot be told'}"


def memory() -> str:
    """Return the memory of the machine, and what is free of it."""
    numbers = dict(re.findall(r"^(MemTotal|MemAvailable): +(\d+) kB", MEMORY.read_text(), re.M))
    whole, free = (readable(1024 * int(numbers[key])) for key in ("MemTotal", "MemAvailable"))
    return f"{whole}, {free} free"


def precision() -> str:
    """Return the precision that "auto" stands for, and why."""
    from ..hardware.precision import automatic_precision

    return ": ".join(automatic_precision())


def disks(runs: Path, data: Path) -> list[str]:
    """Return what is free where runs, data sets and resized images go."""
    cache = os.environ.get("ENSEMBLE_SEG_CACHE_DIR")
    rows = [f"runs: {_free(runs)}", f"data: {_free(data)}"]
    return [*rows, f"cache: {_free(Path(cache).expanduser()) if cache else 'none is kept'}"]


def encoder_weights() -> list[str]:
    """Return where ImageNet weights are, or whether they can be fetched."""
    from ..encoders.efficientnet_lite import WEIGHTS as OWN

    home = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "models"
    kept = len(list(home.glob("*.h5")))
    own = "come with the package" if OWN.is_file() else f"are missing: {OWN}"
    return [f"efficientnetlite0: {own}", f"others: {_answer(WEIGHTS)}; {kept} files in {home}"]


def data_sets(data: Path) -> list[str]:
    """Return for each named data set where it is, or whether it can be fetched."""
    from ..datasets.dataset import find_folder
    from ..datasets.sources import SOURCES

    with ThreadPoolExecutor() as threads:
        rows = list(threads.map(lambda name: f"{name}: {_place(SOURCES[name], data)}", SOURCES))
    there = "come with the package" if find_folder("phantoms").is_dir() else "are missing"
    return [f"phantoms: {there}", *rows]


def run_folders(runs: Path) -> list[str]:
    """Return how many runs are finished, and which are not, with the reason."""
    from ..keeping.conditions import DAMAGED, FINISHED, HELD, UNFINISHED, condition, run_folders

    found = [(folder, *condition(folder)) for folder in run_folders(runs)]
    kinds = [kind for _, kind, _ in found]
    order = (DAMAGED, HELD, UNFINISHED)
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in (FINISHED, *order))
    rows = [
        f"{kind}: {folder.relative_to(runs)}: {text}"
        for wanted in order
        for folder, kind, text in found
        if kind == wanted
    ]
    return [f"{len(found)}: {counts}, in {runs}", *_first(rows)]


def settings() -> list[str]:
    """Return the variables that were set and change what is done; of proxies only that they are."""
    names = [name for name in sorted(os.environ) if SETTINGS.match(name)]
    rows = [
        f"{name} is set" if name.upper().endswith("PROXY") else f"{name}={os.environ[name]}"
        for name in names
    ]
    return _first([re.sub("//[^/@ ]*@", "//", row) for row in rows]) or ["none"]


def _row(label: str, part: Callable[[], str | list[str]]) -> str:
    try:
        found = part()
    except Exception as error:  # a bare or broken machine is what this is for
        found = f"cannot be told: {error or type(error).__name__}"
    width = WIDTH - LABEL
    if isinstance(found, str):
        rows = textwrap.wrap(_without_home(found), width, max_lines=3, placeholder=" ...")
    else:
        rows = [textwrap.shorten(_without_home(row), width, placeholder=" ...") for row in found]
    names = [label, *[""] * len(rows)]
    return "\n".join(f"{name:<{LABEL}}{row}" for name, row in zip(names, rows, strict=False))


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "-"


def _free(folder: Path) -> str:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    note = "" if folder.exists() else " (not made yet)"
    return f"{readable(shutil.disk_usage(there).free)} free in {folder}{note}"


def _place(source, data: Path) -> str:
    targets = [data / archive.target for archive in source.archives]
    missing = [target for target in targets if not target.is_dir()]
    if not missing:
        return f"in {data / source.folder}"
    first = source.archives[0]
    mirror = os.environ.get("ENSEMBLE_SEG_MIRROR")
    if mirror and not mirror.startswith(("http://", "https://")):
        lacking = [
            each.name for each in source.archives if not (Path(mirror) / each.name).is_file()
        ]
        where = (
            f"ENSEMBLE_SEG_MIRROR lacks {lacking[0]}" if lacking else "ENSEMBLE_SEG_MIRROR has it"
        )
    else:
        url = f"{mirror.rstrip('/')}/{first.name}" if mirror else first.url
        where = _answer(url) + (" (needs a login)" if first.kaggle and not mirror else "")
    parts = "not" if len(missing) == len(targets) else f"{len(missing)} of {len(targets)} parts not"
    return f"{parts} in {data}; {where}"


def _answer(url: str) -> str:
    import requests

    host = urlsplit(url).hostname
    try:
        with requests.get(url, stream=True, timeout=SECONDS) as response:
            return f"{host} answers" if response.ok else f"{host} answers {response.status_code}"
    except (requests.RequestException, OSError) as error:
        return f"{host} cannot be reached ({type(error).__name__})"


def _first(rows: list[str]) -> list[str]:
    more = len(rows) - SHOWN
    return rows if more <= 0 else [*rows[:SHOWN], f"{more} more"]


def _without_home(text: str) -> str:
    home = Path("~").expanduser()
    for name in {str(home), str(home.resolve())} - {"/", "~"}:
        text = re.sub(re.escape(name) + r"(?![\w.-])", "~", text)
    return text
