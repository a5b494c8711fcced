"""Kaggle's own client, for the data set that needs a login."""

import os
import shutil
import subprocess
from pathlib import Path

from .extracting import clear_disk_errors
from .sources import Archive


def has_kaggle() -> bool:
    """Say whether Kaggle's own client is installed and knows who asks."""
    if not shutil.which("kaggle"):
        return False
    if os.getenv("KAGGLE_API_TOKEN") or (os.getenv("KAGGLE_USERNAME") and os.getenv("KAGGLE_KEY")):
        return True
    config = os.getenv("XDG_CONFIG_HOME") or Path.home() / ".config"
    folders = [Path.home() / ".kaggle", Path(config) / "kaggle"]
    folders += [Path(os.environ["KAGGLE_CONFIG_DIR"])] if os.getenv("KAGGLE_CONFIG_DIR") else []
    files = ("kaggle.json", "access_token", "credentials.json")
    return any((folder / file).is_file() for folder in folders for file in files)


def needs_kaggle(archive: Archive, name: str, data_dir: Path) -> RuntimeError:
    """Return the error that says how to get an archive where the client is not set up."""
    return RuntimeError(
        f"{archive.name}: Kaggle gives it after a login only. Expected its client `kaggle` with an "
        "API token, found none. Log in at "
        f"{archive.url}, press Download, put the file at {data_dir / archive.name} (or "
        f"{data_dir / 'archive.zip'}) and run: python -m ensemble_seg download {name} --data-dir "
        f"{data_dir}. Or install the client (pip install kaggle) with a token in KAGGLE_API_TOKEN "
        "and run that."
    )


def ask_kaggle(archive: Archive, folder: Path) -> Path:
    """Let Kaggle's client fetch an archive into a folder; return its path.

    Raises:
        RuntimeError: the client failed; its last line is in the message.
    """
    command = ["kaggle", "datasets", "download", archive.kaggle, "-p", str(folder)]
    print(f"{' '.join(command)} (without a progress bar)")
    with clear_disk_errors(folder, "What has arrived is kept."):
        folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    path = folder / archive.name
    if done.returncode or not path.is_file():
        said = (done.stdout.strip() or "nothing").splitlines()[-1].strip()
        place = folder.parent.parent / archive.name
        raise RuntimeError(
            f"{archive.name}: expected it from Kaggle's client, which ended with status "
            f"{done.returncode} and said: {said}. Check your token and run the same command again, "
            f"or log in at {archive.url}, press Download and put the file at {place}."
        )
    return path
