import collections
import contextlib
import errno
import hashlib
import io
import json
import os
import random
import shutil
import ssl
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest
from archives import ARCHIVES, CONTENT, FACTS, ISIC, below, pack, tabled, tree
from loopback import Loopback

from ensemble_seg.common.files import readable
from ensemble_seg.fetching import downloads, transfers
from ensemble_seg.fetching.downloads import download

ROOT = Path(__file__).resolve().parents[2]
KVASIR, LGG = "kvasir-seg.zip", "lgg-mri-segmentation.zip"
TRUTH = "ISIC2018_Task1_Training_GroundTruth.zip"
INPUT = "ISIC2018_Task1-2_Training_Input.zip"

# A download in a process of its own, without the imports of the whole package, slowed down so
# that it can be killed at any point.
DRIVER = """
import json, shutil, sys, time, types
root, data, name, facts = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
package = types.ModuleType("ensemble_seg")
package.__path__ = [root + "/ensemble_seg"]
sys.modules["ensemble_seg"] = package
sys.path.insert(0, root + "/tests/fetching")
from archives import tabled
from ensemble_seg.fetching import downloads, transfers
downloads.SOURCES = tabled(downloads.SOURCES, facts)
transfers.CHUNK = 4096
copy = shutil.copyfileobj
shutil.copyfileobj = lambda *arguments: (time.sleep(0.03), copy(*arguments))
downloads.download(name, data)
"""


class World:
    """A data folder, a server of the archives, and a table that knows their checksums."""

    def __init__(self, folder, monkeypatch):
        self.data, self.patch = folder / "data", monkeypatch
        self.server = Loopback(dict(ARCHIVES)).start()
        self.facts = dict(FACTS)
        self.know()
        monkeypatch.setenv("ENSEMBLE_SEG_MIRROR", self.server.url)

    def know(self, **facts):
        self.facts |= facts
        self.patch.setattr(downloads, "SOURCES", tabled(TABLE, self.facts))

    def serve(self, name, content):
        """Let the server have another archive, and the table know it."""
        self.server.files[name] = content
        self.know(**{name: (len(content), hashlib.sha256(content).hexdigest())})

    def refuse(self, name="kvasir-seg", error=(ValueError, OSError, RuntimeError)):
        """Return the message of a download that must fail."""
        with pytest.raises(error) as caught:
            download(name, self.data)
        return str(caught.value)

    def start(self, name="kvasir-seg"):
        """Start a download in another process."""
        command = [sys.executable, "-c", DRIVER, ROOT, self.data, name, json.dumps(self.facts)]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen([str(word) for word in command], **quiet)

    @property
    def part(self):
        return self.data / ".download" / f"{KVASIR}.part"

    @property
    def partial(self):
        return self.data / ".partial-Kvasir-SEG"

    @property
    def words(self):
        return {
            "folder": self.data,
            "port": self.server.port,
            "size": FACTS[KVASIR][0],
            "arrived": FACTS[KVASIR][0] // transfers.CHUNK * transfers.CHUNK,
            "sha256": FACTS[KVASIR][1],
        }


TABLE = downloads.SOURCES


@pytest.fixture
def world(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("REQUESTS_", "CURL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    world = World(tmp_path, monkeypatch)
    yield world
    world.server.stop()


def whole(world):
    """Say whether Kvasir-SEG is there, whole, and nothing else is."""
    assert tree(world.data) == below("Kvasir-SEG", CONTENT["Kvasir-SEG"])
    return [path.name for path in world.data.iterdir()] == ["Kvasir-SEG"]


FAULTS = []
PROVOKE = {}


def fault(kind, message):
    """Register a fault with its message; the function provokes it and returns the message."""

    def register(provoke):
        FAULTS.append((kind, message))
        PROVOKE[kind] = provoke
        return provoke

    return register


BY_HAND = (
    "put it at {folder}/kvasir-seg.zip, or set ENSEMBLE_SEG_MIRROR to a folder or an address that "
    "has kvasir-seg.zip."
)
AT = "expected it at http://127.0.0.1:{port}/kvasir-seg.zip"


@fault(
    "404",
    f"kvasir-seg.zip: {AT}, the server answered 404 Not Found. The address may have changed. "
    f"Find it and {BY_HAND}",
)
def _(world):
    world.server.status = 404
    return world.refuse(error=RuntimeError)


@fault(
    "500",
    f"kvasir-seg.zip: {AT}, the server answered 500 Internal Server Error. Run the same command "
    f"again later, or get it elsewhere and {BY_HAND}",
)
def _(world):
    world.server.status = 500
    return world.refuse(error=RuntimeError)


@fault(
    "503",
    f"kvasir-seg.zip: {AT}, the server answered 503 Service Unavailable. Run the same command "
    f"again later, or get it elsewhere and {BY_HAND}",
)
def _(world):
    world.server.status = 503
    return world.refuse(error=RuntimeError)


@fault(
    "half a file",
    "kvasir-seg.zip: expected {size} bytes from http://127.0.0.1:{port}/kvasir-seg.zip, the "
    "connection ended after 49152. They are kept in {folder}/.download/kvasir-seg.zip.part. Run "
    "the same command again to fetch the rest.",
)
def _(world):
    world.server.stop_after = 49152
    message = world.refuse(error=RuntimeError)
    assert world.part.read_bytes() == ARCHIVES[KVASIR][:49152]
    return message


@fault(
    "wrong content length",
    f"{TRUTH}: expected a file of {FACTS[TRUTH][0]} bytes, http://127.0.0.1:{{port}}/{TRUTH} has "
    f"one of {FACTS[TRUTH][0] - 7}. It is not the file that this version knows. Find it and put it "
    f"at {{folder}}/{TRUTH}, or set ENSEMBLE_SEG_MIRROR to a folder or an address that has "
    f"{TRUTH}.",
)
def _(world):
    (world.data / "ISIC2018" / INPUT.removesuffix(".zip")).mkdir(parents=True)
    world.server.announce = -7
    return world.refuse("isic-2018", RuntimeError)


@fault(
    "content length too large",
    "kvasir-seg.zip: expected {more} bytes from http://127.0.0.1:{port}/kvasir-seg.zip, the "
    "connection ended after {arrived}. They are kept in {folder}/.download/kvasir-seg.zip.part. "
    "Run the same command again to fetch the rest.",
)
def _(world):
    world.server.announce = 7
    return world.refuse(error=RuntimeError).replace(str(FACTS[KVASIR][0] + 7), "{more}")


@fault(
    "no network",
    f"kvasir-seg.zip: {AT}, but could not connect to 127.0.0.1. Check the network and run "
    f"the same command again, or download it in a browser and {BY_HAND}",
)
def _(world):
    world.server.stop()
    return world.refuse(error=RuntimeError)


@fault(
    "no answer",
    f"kvasir-seg.zip: {AT}, but 127.0.0.1 did not answer in time. Run the same command again "
    f"later, or download it in a browser and {BY_HAND}",
)
def _(world):
    world.patch.setattr(transfers, "TIMEOUT", (1, 0.05))
    world.server.delay = 0.3
    return world.refuse(error=RuntimeError)


@fault(
    "certificate",
    f"kvasir-seg.zip: {AT.replace('http', 'https')}, but the certificate of 127.0.0.1 could not be "
    "verified. Some servers, datasets.simula.no for one, leave out an intermediate certificate "
    "that browsers have and Python has not; verification is never switched off. Set "
    "REQUESTS_CA_BUNDLE to a file with the root and the intermediate certificate. Or download it "
    f"in a browser and {BY_HAND}",
)
def _(world):
    certify(world)
    return world.refuse(error=RuntimeError)


def certify(world):
    """Serve over TLS with a certificate that nobody knows; return its file."""
    if not shutil.which("openssl"):
        pytest.skip("openssl, which makes the certificate, is not there")
    world.data.mkdir()
    file = world.data.parent / "certificate.pem"
    key = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    name = "-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    command = f"openssl {key} {name} -keyout {file.name} -out public.pem".split()
    subprocess.run(command, check=True, capture_output=True, cwd=file.parent)
    public = file.with_name("public.pem")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(public, file)
    world.server.stop()
    world.server.start(tls)
    world.patch.setenv("ENSEMBLE_SEG_MIRROR", world.server.url)
    return public


@fault(
    "wrong checksum",
    "kvasir-seg.zip: expected sha256 {sha256}, found {found} in what "
    "http://127.0.0.1:{port}/kvasir-seg.zip gave. The file was removed. Run the same command "
    f"again; if that does not help, the publisher has changed it. Find it and {BY_HAND}",
)
def _(world):
    other = bytes(reversed(ARCHIVES[KVASIR]))
    world.server.files[KVASIR] = other
    message = world.refuse(error=ValueError)
    assert not list((world.data / ".download").iterdir())
    return message.replace(hashlib.sha256(other).hexdigest(), "{found}")


@fault(
    "wrong checksum of a file put there by hand",
    "{folder}/kvasir-seg.zip: expected sha256 {sha256}, found "
    + hashlib.sha256(b"not it").hexdigest()
    + ". It is damaged or another file. Replace it by a fresh download, or remove it.",
)
def _(world):
    world.data.mkdir()
    (world.data / KVASIR).write_bytes(b"not it")
    message = world.refuse(error=ValueError)
    assert tree(world.data) == {KVASIR: b"not it"}
    assert not world.server.log
    return message


@fault(
    "not a zip",
    "{folder}/.download/kvasir-seg.zip: expected a zip archive, found a file that cannot be "
    "extracted (File is not a zip file). Nothing half-extracted is left. Get the archive again.",
)
def _(world):
    world.serve(KVASIR, b"<html>Please log in</html>")
    return world.refuse(error=ValueError)


@fault(
    "damaged zip",
    "{folder}/.download/kvasir-seg.zip: expected a zip archive, found a file that cannot be "
    "extracted (Bad CRC-32 for file 'Kvasir-SEG/b.jpg'). Nothing half-extracted is left. Get the "
    "archive again.",
)
def _(world):
    content = pack({"Kvasir-SEG/a.jpg": b"a" * 99, "Kvasir-SEG/b.jpg": b"b" * 99})
    good, bad = (int.to_bytes(crc, 4, "little") for crc in (zlib.crc32(b"b" * 99), 1))
    assert content.count(good) == 2
    world.serve(KVASIR, content.replace(good, bad))
    return world.refuse(error=ValueError)


UNSAFE = (
    "{{folder}}/.download/kvasir-seg.zip: expected plain files below one folder, but member "
    "'{}' {}. Nothing was extracted. Get the archive again from its publisher."
)


@fault("../ in a name", UNSAFE.format("Kvasir-SEG/../../evil.jpg", "points out of its folder"))
def _(world):
    return unsafe(world, "Kvasir-SEG/../../evil.jpg")


@fault(
    "absolute name", UNSAFE.format("/tmp/evil.jpg", "has an absolute path, a drive or a backslash")
)
def _(world):
    return unsafe(world, "/tmp/evil.jpg")


@fault("drive", UNSAFE.format("C:evil.jpg", "has an absolute path, a drive or a backslash"))
def _(world):
    return unsafe(world, "C:evil.jpg")


@fault(
    "backslash",
    UNSAFE.format("Kvasir-SEG\\..\\evil.jpg", "has an absolute path, a drive or a backslash"),
)
def _(world):
    return unsafe(world, "Kvasir-SEG\\..\\evil.jpg")


@fault("symlink member", UNSAFE.format("Kvasir-SEG/images", "is a symbolic link"))
def _(world):
    world.serve(KVASIR, pack(below("Kvasir-SEG", CONTENT["Kvasir-SEG"]), ["Kvasir-SEG/images"]))
    return world.refuse(error=ValueError)


def unsafe(world, name):
    world.serve(KVASIR, pack(below("Kvasir-SEG", CONTENT["Kvasir-SEG"]) | {name: b"evil"}))
    return world.refuse(error=ValueError)


@fault(
    "another layout",
    "{folder}/.download/kvasir-seg.zip: expected a folder 'Kvasir-SEG' in the archive, found "
    "'images', 'masks'. Nothing was extracted. Get the archive again.",
)
def _(world):
    world.serve(KVASIR, pack({"images/a.jpg": b"a", "masks/a.jpg": b"a"}))
    return world.refuse(error=ValueError)


@fault(
    "interrupted extraction",
    "{folder}/.partial-Kvasir-SEG: removed; an extraction was interrupted there",
)
def _(world):
    kill_when(world, lambda: len(tree(world.partial)) > 3)
    assert not (world.data / "Kvasir-SEG").exists()
    lines = printed(lambda: download("kvasir-seg", world.data))
    assert whole(world)
    shutil.rmtree(world.data / "Kvasir-SEG")
    return lines[0]


def printed(call):
    """Return the lines that a call prints."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        call()
    return out.getvalue().splitlines()


def kill_when(world, ready):
    """Start a download and kill it, as kill -9 does, as soon as `ready` says so."""
    process = world.start()
    deadline = time.monotonic() + 20
    while process.poll() is None and not ready():
        assert time.monotonic() < deadline
        time.sleep(0.002)
    assert process.poll() is None, "it ended before it could be killed"
    process.kill()
    process.wait()


@fault(
    "not enough disk",
    "{folder}: kvasir-seg, archive and unpacked, needs 180.0 kB of free disk, found 100.0 kB. Free "
    "some space, or name another folder.",
)
def _(world):
    free(world, 100_000)
    message = world.refuse(error=OSError)
    assert [row[0] for row in world.server.log] == ["HEAD"]
    needed = readable(FACTS[KVASIR][0] + int(1.1 * FACTS[KVASIR][0]))
    return message.replace(needed, "180.0 kB")


@fault(
    "not enough disk to extract",
    "{folder}: extracting kvasir-seg.zip needs 9.0 MB of free disk, found 1.0 MB. Free some "
    "space, or name another folder.",
)
def _(world):
    world.serve(KVASIR, pack({"Kvasir-SEG/images/a.jpg": bytes(9_000_000)}))
    free(world, 1_000_000)
    message = world.refuse(error=OSError)
    assert (world.data / ".download" / KVASIR).is_file()
    return message


def free(world, size):
    usage = collections.namedtuple("usage", "total used free")(10**9, 10**9 - size, size)
    world.patch.setattr(shutil, "disk_usage", lambda _: usage)


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@fault(
    "disk full in the middle",
    "{folder}/.download/kvasir-seg.zip.part: no space left on the disk. What has arrived is kept. "
    "Free some space and run the same command again, or name another folder.",
)
def _(world):
    class Full:
        def __init__(self, path, mode):
            self.file = Path.open(path, mode)
            self.tell = self.file.tell

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, chunk):
            if self.file.tell() + len(chunk) > 70_000:
                raise FULL
            self.file.write(chunk)

    with world.patch.context() as patch:
        patch.setattr(transfers, "open", Full, raising=False)
        patch.setattr(transfers, "CHUNK", 4096)
        message = world.refuse(error=OSError)
    assert world.part.stat().st_size == 70_000 // 4096 * 4096
    download("kvasir-seg", world.data)
    assert whole(world)
    assert last_get(world)[2] == FACTS[KVASIR][0] - 70_000 // 4096 * 4096
    shutil.rmtree(world.data)
    return message


@fault(
    "disk full while extracting",
    "{folder}: no space left on the disk. Nothing half-extracted is left. Free some space and run "
    "the same command again, or name another folder.",
)
def _(world):
    def full(source, file, size):
        raise FULL

    with world.patch.context() as patch:
        patch.setattr(shutil, "copyfileobj", full)
        message = world.refuse(error=OSError)
    assert not world.partial.exists()
    return message


@fault(
    "unwritable folder",
    "{folder}: cannot be written (Not a directory). Change the permissions, or name another "
    "folder.",
)
def _(world):
    (world.data.parent / "file").write_text("a file")
    world.data = world.data.parent / "file" / "data"
    message = world.refuse(error=OSError)
    assert not world.server.log
    return message


@fault(
    "mirror without the file",
    "ENSEMBLE_SEG_MIRROR={mirror}: expected kvasir-seg.zip in that folder, found no such file. "
    "Put it there, or unset ENSEMBLE_SEG_MIRROR to ask the publisher.",
)
def _(world):
    mirror = world.data.parent / "mirror"
    world.patch.setenv("ENSEMBLE_SEG_MIRROR", str(mirror))
    return world.refuse(error=OSError).replace(str(mirror), "{mirror}")


PAGE = "https://www.kaggle.com/datasets/mateuszbuda/lgg-mri-segmentation"


@fault(
    "LGG without a login",
    f"lgg-mri-segmentation.zip: Kaggle requires a login. Log in at {PAGE}, press Download, put the "
    "file at {folder}/lgg-mri-segmentation.zip (or {folder}/archive.zip) and run: python -m "
    "ensemble_seg download lgg-mri --data-dir {folder}. With Kaggle's own client and a token: "
    "kaggle datasets download mateuszbuda/lgg-mri-segmentation -p {folder}, then the same command.",
)
def _(world):
    world.patch.delenv("ENSEMBLE_SEG_MIRROR")
    return world.refuse("lgg-mri", RuntimeError)


@pytest.mark.parametrize(("kind", "message"), FAULTS, ids=[kind for kind, _ in FAULTS])
def test_each_fault_has_one_message_and_leaves_nothing_to_read(kind, message, world):
    found = PROVOKE[kind](world)
    keep = {word: f"{{{word}}}" for word in ("found", "more", "mirror")}
    assert found == message.format(**world.words, **keep)
    readable = [path for path in tree(world.data) if path.endswith((".jpg", ".png", ".tif"))]
    assert not readable
    assert not (world.data.parent / "evil.jpg").exists()


def test_kvasir_is_fetched_verified_and_extracted(world, capsys):
    assert download("kvasir-seg", world.data) == world.data / "Kvasir-SEG"
    assert whole(world)
    lines = capsys.readouterr().out.splitlines()
    size = readable(FACTS[KVASIR][0])
    assert lines[:4] == [
        f"kvasir-seg: 1 archive, {size}",
        f"  kvasir-seg.zip, {size}, from {world.server.url}/kvasir-seg.zip",
        "Terms: research and education only.",
        "Cite: Jha et al., Kvasir-SEG: a segmented polyp dataset, MMM 2020.",
    ]
    assert lines[4].startswith("Disk: ")
    assert world.server.sent == FACTS[KVASIR][0]


def test_isic_goes_on_with_the_archives_that_are_missing(world):
    stems = [stem for pair in ISIC for stem in pair]
    last = f"{stems[-1]}.zip"
    del world.server.files[last]
    assert f"{last}: expected it at" in world.refuse("isic-2018")
    world.server.files[last] = ARCHIVES[last]
    assert download("isic-2018", world.data) == world.data / "ISIC2018"
    asked = [row[1] for row in world.server.log if row[0] == "GET"]
    assert asked == [*(f"{stem}.zip" for stem in stems), last]
    expected = {}
    for stem in stems:
        expected |= below(f"ISIC2018/{stem}", CONTENT[stem])
    assert tree(world.data) == expected
    assert not list(world.data.glob(".*"))


def test_lgg_is_extracted_once(world, capsys):
    assert download("lgg-mri", world.data) == world.data / "lgg-mri-segmentation"
    expected = below("lgg-mri-segmentation/kaggle_3m", CONTENT["kaggle_3m"])
    assert tree(world.data) == expected
    out = capsys.readouterr().out
    assert "no checksum is published" in out
    assert f"lgg-mri-segmentation.zip: sha256 {FACTS[LGG][1]}, not compared" in out


@pytest.mark.parametrize("name", [LGG, "archive.zip"])
def test_lgg_put_there_by_hand(name, world):
    world.data.mkdir()
    (world.data / name).write_bytes(ARCHIVES[LGG])
    download("lgg-mri", world.data)
    expected = below("lgg-mri-segmentation/kaggle_3m", CONTENT["kaggle_3m"])
    assert tree(world.data) == expected | {name: ARCHIVES[LGG]}
    assert not world.server.log


def test_kvasir_put_there_by_hand_is_used_and_kept(world):
    world.data.mkdir()
    (world.data / KVASIR).write_bytes(ARCHIVES[KVASIR])
    download("kvasir-seg", world.data)
    expected = below("Kvasir-SEG", CONTENT["Kvasir-SEG"])
    assert tree(world.data) == expected | {KVASIR: ARCHIVES[KVASIR]}
    assert not world.server.log


def test_mirror_folder_is_read_and_left_as_it_is(world, tmp_path):
    (tmp_path / "mirror").mkdir()
    for name, content in ARCHIVES.items():
        (tmp_path / "mirror" / name).write_bytes(content)
    world.patch.setenv("ENSEMBLE_SEG_MIRROR", str(tmp_path / "mirror"))
    for name in downloads.SOURCES:
        download(name, world.data)
    assert tree(tmp_path / "mirror") == dict(sorted(ARCHIVES.items()))
    assert tree(world.data / "Kvasir-SEG") == CONTENT["Kvasir-SEG"]
    assert not world.server.log


def test_the_publisher_is_asked_without_a_mirror(world):
    world.patch.delenv("ENSEMBLE_SEG_MIRROR")
    asked = []

    def get(url, **_):
        asked.append(url)
        raise downloads.requests.ConnectionError

    world.patch.setattr(downloads.requests, "head", get)
    world.patch.setattr(downloads.requests, "get", get)
    for name in ("kvasir-seg", "isic-2018"):
        world.refuse(name, RuntimeError)
    assert asked == [
        "https://datasets.simula.no/downloads/kvasir-seg.zip",
        f"https://isic-archive.s3.amazonaws.com/challenges/2018/{INPUT}",
    ]


def test_already_there_means_no_request(world, capsys):
    (world.data / "Kvasir-SEG").mkdir(parents=True)
    world.patch.setenv("ENSEMBLE_SEG_DATA_DIR", str(world.data))
    assert download("kvasir-seg") == world.data / "Kvasir-SEG"
    assert capsys.readouterr().out == f"kvasir-seg: already in {world.data / 'Kvasir-SEG'}\n"
    assert not world.server.log


def test_unknown_name(world):
    message = "Unknown data set 'isic'. Did you mean 'isic-2018'? "
    message += "Expected kvasir-seg, isic-2018, lgg-mri."
    assert world.refuse("isic", ValueError) == message


def interrupt(world):
    """Leave 49152 bytes of the archive behind."""
    world.server.stop_after = 49152
    world.refuse()
    world.server.stop_after = None
    world.server.log.clear()


def last_get(world):
    return [row for row in world.server.log if row[0] == "GET"][-1][2:]


def test_only_the_rest_is_fetched(world):
    interrupt(world)
    download("kvasir-seg", world.data)
    assert last_get(world) == ["bytes=49152-", 206, FACTS[KVASIR][0] - 49152]
    assert whole(world)


@pytest.mark.parametrize("change", ["no ranges", "another version", "no version", "both"])
def test_a_fetch_starts_again_where_it_cannot_go_on(change, world):
    if change == "no version":
        world.server.version = None
    interrupt(world)
    world.server.ranges = change not in ("no ranges", "both")
    if change in ("another version", "both"):
        world.server.version = '"2"'
        world.serve(KVASIR, pack({"Kvasir-SEG/a.jpg": bytes(range(256)) * 400}))
    download("kvasir-seg", world.data)
    assert last_get(world)[1:] == [200, len(world.server.files[KVASIR])]
    if change in ("no ranges", "no version"):
        assert whole(world)


def test_a_server_that_ignores_if_range_does_not_mix_two_files(world):
    interrupt(world)
    sidecar = json.loads(world.part.with_name(f"{KVASIR}.part.json").read_text())
    world.part.write_bytes(bytes(49152))
    sidecar["version"] = '"0"'
    world.part.with_name(f"{KVASIR}.part.json").write_text(json.dumps(sidecar))
    get = downloads.requests.get

    def ignore(url, headers, **options):
        return get(url, headers={k: v for k, v in headers.items() if k != "If-Range"}, **options)

    world.patch.setattr(downloads.requests, "get", ignore)
    download("kvasir-seg", world.data)
    statuses = [row[3] for row in world.server.log if row[0] == "GET"]
    assert statuses == [206, 200]
    assert whole(world)


@pytest.mark.parametrize(("length", "statuses"), [(0, []), (9, [416, 200])])
def test_a_part_that_is_whole_or_too_long(length, statuses, world):
    interrupt(world)
    world.part.write_bytes(ARCHIVES[KVASIR] + bytes(length))
    download("kvasir-seg", world.data)
    assert [row[3] for row in world.server.log if row[0] == "GET"] == statuses
    assert whole(world)


def test_a_whole_part_of_unknown_size_is_taken_from_416(world):
    interrupt(world)
    world.part.write_bytes(ARCHIVES[KVASIR])
    sidecar = world.part.with_name(f"{KVASIR}.part.json")
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"size": None}))
    download("kvasir-seg", world.data)
    assert last_get(world)[1:] == [416, 0]
    assert whole(world)


def test_a_wrong_file_is_not_gone_on_with(world):
    good = ARCHIVES[KVASIR]
    world.server.files[KVASIR] = bytes(reversed(good))
    world.refuse(error=ValueError)
    world.server.files[KVASIR] = good
    download("kvasir-seg", world.data)
    assert last_get(world) == [None, 200, len(good)]
    assert whole(world)


def test_without_hard_links(world):
    def refuse(*_):
        raise OSError(errno.EPERM, "no hard links here")

    world.patch.setattr(Path, "hardlink_to", refuse)
    download("kvasir-seg", world.data)
    assert whole(world)


def test_a_ca_bundle_is_the_remedy_for_the_certificate(world):
    public = certify(world)
    world.refuse(error=RuntimeError)
    world.patch.setenv("REQUESTS_CA_BUNDLE", str(public))
    download("kvasir-seg", world.data)
    assert whole(world)


POINTS = random.Random(0).sample(range(1, FACTS[KVASIR][0] - 8192), 3)
POINTS += [-number for number in random.Random(1).sample(range(1, 15), 2)]


@pytest.mark.parametrize("point", POINTS)
def test_kill_9_and_again_ends_in_the_same_files(point, world):
    if point > 0:
        world.server.pause = 0.01
        kill_when(world, lambda: world.part.is_file() and world.part.stat().st_size >= point)
    else:
        kill_when(world, lambda: len(tree(world.partial)) >= -point)
    assert all(path.name.startswith(".") for path in world.data.iterdir())
    world.server.pause = 0
    world.server.log.clear()
    download("kvasir-seg", world.data)
    assert whole(world)
    if point > 0:
        assert last_get(world)[1] == 206
        assert last_get(world)[2] <= FACTS[KVASIR][0] - point
    else:
        assert not world.server.log
