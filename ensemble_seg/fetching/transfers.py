"""A file from a server: resumed where it stopped, each failure explained."""

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests
from tqdm import tqdm

from ..datasets.sources import Archive

TIMEOUT = (15, 60)
CHUNK = 1 << 14
MIRROR = "ENSEMBLE_SEG_MIRROR"
CERTIFICATE = (
    "Some servers, datasets.simula.no for one, leave out an intermediate certificate that browsers "
    "have and Python has not; verification is never switched off. Set REQUESTS_CA_BUNDLE to a file "
    "with the root and the intermediate certificate."
)


@dataclass(frozen=True)
class Resumable:
    """A downloader for pooch that goes on where an earlier one stopped.

    The bytes gather in NAME.part; NAME.part.json says which version of the file they belong to.

    Attributes:
        archive: what is fetched.
        part: the file that grows.
        place: where a user would put the archive by hand.
    """

    archive: Archive
    part: Path
    place: Path

    def __call__(self, url: str, output: str, _: object = None) -> None:
        """Fetch what is missing and give the whole file the name `output`."""
        begun = self._begun(url)
        if not begun or self.arrived != begun["size"]:
            self._fetch(url, begun)
        Path(output).unlink()
        try:
            Path(output).hardlink_to(self.part)
        except OSError:
            self.part.replace(output)

    @property
    def arrived(self) -> int:
        """Number of bytes that are here."""
        return self.part.stat().st_size if self.part.is_file() else 0

    def forget(self) -> None:
        """Remove what is here, so that the next try starts anew."""
        self.part.unlink(missing_ok=True)
        self._sidecar.unlink(missing_ok=True)

    @property
    def _sidecar(self) -> Path:
        return self.part.with_name(f"{self.part.name}.json")

    def _begun(self, url: str) -> dict:
        try:
            begun = json.loads(self._sidecar.read_text())
        except (OSError, ValueError):
            return {}
        fits = begun["url"] == url and self.archive.bytes in (None, begun["size"])
        return begun if fits and begun["version"] and self.arrived else {}

    def _fetch(self, url: str, begun: dict) -> None:
        headers = {"Accept-Encoding": "identity"}
        if begun:
            headers |= {"Range": f"bytes={self.arrived}-", "If-Range": begun["version"]}
        with clear_network_errors(url, self.archive, self.place):
            response = requests.get(url, headers=headers, stream=True, timeout=TIMEOUT)
        with response:
            if begun and response.status_code in (206, 416):
                if _content_range(response) == ("", str(self.arrived)):
                    return
                if not self._continues(response, begun):
                    self.forget()
                    return self._fetch(url, {})
            elif response.status_code != 200:
                raise _bad_status(response, url, self.archive, self.place)
            self._receive(response, url)

    def _continues(self, response: requests.Response, begun: dict) -> bool:
        start = _content_range(response)[0]
        return start == str(self.arrived) and _version(response) in (None, begun["version"])

    def _receive(self, response: requests.Response, url: str) -> None:
        mode, size = "wb", response.headers.get("Content-Length")
        if response.status_code == 206:
            mode, size = "ab", _content_range(response)[1]
        size = int(size) if size and size.isdigit() else None
        self._refuse_size(size, url)
        with open(self.part, mode) as file:
            if mode == "wb":
                facts = {"url": url, "version": _version(response), "size": size}
                self._sidecar.write_text(json.dumps(facts))
            try:
                for chunk in self._progress(response, size, file.tell()):
                    file.write(chunk)
                broken = False
            except requests.RequestException:
                broken = True
        self._refuse_half(size or self.archive.bytes, broken, url)

    def _progress(
        self, response: requests.Response, size: int | None, begin: int
    ) -> Iterator[bytes]:
        bar = tqdm(total=size, initial=begin, unit="B", unit_scale=True, desc=self.archive.name)
        with bar:
            for chunk in response.iter_content(CHUNK):
                yield chunk
                bar.update(len(chunk))

    def _refuse_size(self, size: int | None, url: str) -> None:
        expected = self.archive.bytes
        if None not in (size, expected) and size != expected:
            raise RuntimeError(
                f"{self.archive.name}: expected a file of {expected} bytes, {url} has one of "
                f"{size}. It is not the file that this version knows. "
                f"{by_hand('Find it', self.archive, self.place)}"
            )

    def _refuse_half(self, expected: int | None, broken: bool, url: str) -> None:
        if broken or expected not in (None, self.arrived):
            raise RuntimeError(
                f"{self.archive.name}: expected {expected or 'more'} bytes from {url}, the "
                f"connection ended after {self.arrived}. They are kept in {self.part}. Run the "
                "same command again to fetch the rest."
            )


@contextlib.contextmanager
def clear_network_errors(url: str, archive: Archive, place: Path) -> Iterator[None]:
    """Turn what goes wrong while a server is asked into one RuntimeError that says what to do."""
    try:
        yield
    except requests.RequestException as error:
        raise RuntimeError(
            f"{archive.name}: expected it at {url}, but {_explain(error, url, archive, place)}"
        ) from error


def _explain(error: Exception, url: str, archive: Archive, place: Path) -> str:
    host = urlsplit(url).hostname
    in_browser = by_hand("download it in a browser", archive, place)
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return f"the certificate of {host} could not be verified. {CERTIFICATE} Or {in_browser}"
    if isinstance(error, requests.exceptions.Timeout):
        return f"{host} did not answer in time. Run the same command again later, or {in_browser}"
    if isinstance(error, requests.exceptions.ConnectionError):
        return (
            f"could not connect to {host}. Check the network and run the same command "
            f"again, or {in_browser}"
        )
    return f"it cannot be asked for ({error})."


def by_hand(get: str, archive: Archive, place: Path) -> str:
    """Say how to go on without the server: get the archive, and where to put it."""
    return (
        f"{get} and put it at {place}, or set {MIRROR} to a folder or an address that has "
        f"{archive.name}."
    )


def _bad_status(
    response: requests.Response, url: str, archive: Archive, place: Path
) -> RuntimeError:
    status = response.status_code
    later = status >= 500 or status == 429
    advice = (
        f"Run the same command again later, or {by_hand('get it elsewhere', archive, place)}"
        if later
        else f"The address may have changed. {by_hand('Find it', archive, place)}"
    )
    return RuntimeError(
        f"{archive.name}: expected it at {url}, the server answered {status} {response.reason}. "
        f"{advice}"
    )


def _content_range(response: requests.Response) -> tuple[str, str]:
    found = re.fullmatch(
        r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", "")
    )
    return (found[1] or "", found[2]) if found else ("", "")


def _version(response: requests.Response) -> str | None:
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")
