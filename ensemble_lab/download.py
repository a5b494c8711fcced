"""Data sets from their publishers: fetched and verified by pooch, turned into the plain form."""

import os
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from ensemble_seg.data import FOLDERS
from ensemble_seg.presets import suggest

CERTIFICATE = (
    "Some servers, datasets.simula.no for one, leave out an intermediate certificate that browsers "
    "have and Python has not; verification is never switched off. Set REQUESTS_CA_BUNDLE to a file "
    "with the root and the intermediate certificate. Or "
)


class Archive(NamedTuple):
    """A zip file: its name, where the publisher has it, the folder that is wanted, its SHA-256."""

    name: str
    url: str
    root: str
    sha256: str | None = None


ISIC = {
    "Training_Input": "80f98572347a2d7a376227fa9eb2e4f7459d317cb619865b8b9910c81446675f",
    "Training_GroundTruth": "99f8b2bb3c4d6af483362010715f7e7d5d122d9f6c02cac0e0d15bef77c7604c",
    "Validation_Input": "0ea920fcfe512d12a6e620b50b50233c059f67b10146e1479c82be58ff15a797",
    "Validation_GroundTruth": "f6911e9c0a64e6d687dd3ca466ca927dd5e82145cb2163b7a1e5b37d7a716285",
    "Test_Input": "e59ae1f69f4ed16f09db2cb1d76c2a828487b63d28f6ab85997f5616869b127d",
    "Test_GroundTruth": "2e8f6edce454a5bdee52485e39f92bd6eddf357e81f39018d05512175238ef82",
}


def _isic(part: str) -> Archive:
    root = f"ISIC2018_Task1{'-2' if part.endswith('Input') else ''}_{part}"
    url = f"https://isic-archive.s3.amazonaws.com/challenges/2018/{root}.zip"
    return Archive(f"{root}.zip", url, root, ISIC[part])


KVASIR = Archive(
    "kvasir-seg.zip",
    "https://datasets.simula.no/downloads/kvasir-seg.zip",
    "Kvasir-SEG",
    "03b30e21d584e04facf49397a2576738fd626815771afbbf788f74a7153478f7",
)
LGG = Archive(
    "lgg-mri-segmentation.zip",
    "https://www.kaggle.com/datasets/mateuszbuda/lgg-mri-segmentation",
    "kaggle_3m",
)
SOURCES = {  # terms and archives
    "kvasir-seg": ("research and education only. Cite Jha et al., MMM 2020.", [KVASIR]),
    "isic-2018": ("non-commercial. Cite Codella et al., arXiv 1902.03368.", list(map(_isic, ISIC))),
    "lgg-mri": ("CC BY-NC-SA 4.0. Cite Buda et al., Comput. Biol. Med. 109 (2019) 218.", [LGG]),
}


def download(name: str, data_dir: str | Path | None = None) -> Path:
    """Fetch a data set, verify it and write it in the plain form; return its folder.

    An archive that lies in `data_dir` under its publisher's name is used. Archives stay there.

    Args:
        name: "kvasir-seg", "isic-2018" (13.8 GB) or "lgg-mri" (has to be fetched by hand).
        data_dir: where the folder goes; ENSEMBLE_SEG_DATA_DIR, or "data", where it is None.

    Raises:
        ValueError: an unknown name, or an archive that is not what was expected.
        RuntimeError: the server or the network did not do its part, or Kaggle requires a login.

    Example:
        >>> download("kvasir")
        Traceback (most recent call last):
        ValueError: Unknown data set 'kvasir'. Did you mean 'kvasir-seg'? Expected kvasir-seg, ...
    """
    if name not in SOURCES:
        known = ", ".join(SOURCES)
        raise ValueError(f"Unknown data set '{name}'.{suggest(name, SOURCES)} Expected {known}.")
    data_dir = Path(data_dir or os.getenv("ENSEMBLE_SEG_DATA_DIR") or "data").expanduser()
    target, (terms, archives) = data_dir / FOLDERS[name], SOURCES[name]
    if target.exists():
        print(f"{name}: {target} is there already")
        return target
    print(f"{name}: {terms}")
    data_dir.mkdir(parents=True, exist_ok=True)
    paths = {archive: _fetched(archive, data_dir) for archive in archives}
    with tempfile.TemporaryDirectory(dir=data_dir) as work:
        unpacked, plain = Path(work) / "unpacked", Path(work) / target.name
        for archive, path in paths.items():
            _extract(path, archive.root, unpacked)
        if name == "kvasir-seg":
            plain = unpacked / KVASIR.root
        else:
            from .importing import import_source

            import_source(unpacked, plain)
        plain.rename(target)
    print(f"{name}: in {target}. Not needed any more: {', '.join(map(str, paths.values()))}")
    return target


def _fetched(archive: Archive, data_dir: Path) -> Path:
    import pooch  # not above: in Jupyter its import may warn
    import requests

    path = data_dir / archive.name
    if path.is_file():
        found = archive.sha256 and pooch.file_hash(path)
        if found != archive.sha256:
            raise ValueError(
                f"{path}: expected sha256 {archive.sha256}, found {found}. Fetch the rest of it "
                f"with `wget -c {archive.url}`, or remove it."
            )
        return path
    if not archive.sha256:
        raise RuntimeError(
            f"{archive.name}: Kaggle requires a login. Log in at {archive.url}, press Download, "
            f"put the file at {path} and run the same command again."
        )
    fetch = pooch.create(
        data_dir,
        base_url="",
        registry={archive.name: f"sha256:{archive.sha256}"},
        urls={archive.name: archive.url},
        retry_if_failed=2,
    )
    pooch.get_logger().setLevel("WARNING")
    try:
        return Path(fetch.fetch(archive.name, progressbar=True))
    except requests.RequestException as error:
        why = CERTIFICATE if "CERTIFICATE_VERIFY_FAILED" in str(error) else ""
        raise RuntimeError(
            f"{archive.name}: {type(error).__name__} at {archive.url}. {why}Download it in a "
            f"browser or with `wget -c` and put it at {path}; then run the same command again."
        ) from error


def _extract(path: Path, root: str, out: Path) -> None:
    """Extract one folder of an archive: that of LGG holds a second copy of all beside it."""
    try:
        with zipfile.ZipFile(path) as zipped:
            names = [name for name in zipped.namelist() if name.startswith(f"{root}/")]
            zipped.extractall(out, names)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path}: {error}. Get the archive again.") from error
    if not names:
        raise ValueError(f"{path}: expected a folder '{root}' in the archive, found none.")
