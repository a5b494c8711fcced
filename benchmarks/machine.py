"""What a measurement depends on: machine, versions and commit."""

import datetime
import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path

from .environments import PEER_STACK, PUBLISHED_STACK, versions
from .measuring import ROOT

INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8")
PACKAGES = (
    "tensorflow",
    "keras",
    "segmentation-models",
    "numpy",
    "scipy",
    "scikit-image",
    "scikit-learn",
    "pillow",
    "opencv-python-headless",
)
MADE = ("benchmarks/REPORT.md", "benchmarks/report.png")


def about() -> dict[str, str]:
    """Return what to print of the day, the machine and all environments."""
    facts = {
        "date": f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}",
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "instruction sets": ", ".join(sorted({*INSTRUCTIONS} & {*_cpuinfo("flags").split()})),
        "memory": f"{_memory_gib():.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}, {' '.join(platform.libc_ver())}",
        "ours": _listed(versions(sys.executable, PACKAGES)),
    }
    for title, environment in {"published stack": PUBLISHED_STACK, "peer": PEER_STACK}.items():
        if environment.is_ready():
            facts[title] = _listed(environment.versions())
    return facts


def commit() -> str:
    """Return HEAD's short name, and a hash of what is not committed; "" where there is no git."""
    head = _git("rev-parse", "--short", "HEAD")
    if not head:
        return ""
    changes = _git("diff", "HEAD", "--", ".", *(f":!{file}" for file in MADE))
    for name in _git("ls-files", "--others", "--exclude-standard").splitlines():
        if name not in MADE and (ROOT / name).is_file():
            changes += name + hashlib.sha256((ROOT / name).read_bytes()).hexdigest()
    if not changes:
        return head
    return f"{head} with changes {hashlib.sha256(changes.encode()).hexdigest()[:7]}"


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _cpuinfo(key: str) -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
