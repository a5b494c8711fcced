"""Small archives in the layouts of the publishers, and a table that knows them."""

import hashlib
import io
import stat
import zipfile
from dataclasses import replace

import numpy as np
from PIL import Image

ISIC = [
    ("ISIC2018_Task1-2_Training_Input", "ISIC2018_Task1_Training_GroundTruth"),
    ("ISIC2018_Task1-2_Validation_Input", "ISIC2018_Task1_Validation_GroundTruth"),
    ("ISIC2018_Task1-2_Test_Input", "ISIC2018_Task1_Test_GroundTruth"),
]
RNG = np.random.default_rng(0)


def picture(kind, *shape):
    """Return an image file of noise."""
    file = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, shape, "uint8")).save(file, kind)
    return file.getvalue()


def pack(files, links=()):
    """Return a zip archive; `links` are symbolic links in it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in files.items():
            zipped.writestr(name, content)
        for name in links:
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            zipped.writestr(info, "/etc/passwd")
    return file.getvalue()


def below(root, files):
    """Return files with a folder put in front of their names."""
    return {f"{root}/{name}": content for name, content in files.items()}


def _kvasir():
    names = [f"cju{number:02d}.jpg" for number in range(8)]
    images = {f"images/{name}": picture("jpeg", 96, 112, 3) for name in names}
    masks = {f"masks/{name}": picture("jpeg", 96, 112, 3) for name in names}
    return images | masks | {"kavsir_bboxes.json": b"{}"}


def _isic(folder, ending, first):
    numbers = range(first, first + 3)
    kind = "png" if ending == "_segmentation.png" else "jpeg"
    files = {f"ISIC_{number:07d}{ending}": picture(kind, 24, 32) for number in numbers}
    return files | {"LICENSE.txt": b"CC-0", "ATTRIBUTION.txt": b"ISIC"}


def _lgg():
    files = {"README.md": b"LGG", "data.csv": b"Patient"}
    for patient in ("TCGA_CS_4941_19960909", "TCGA_DU_5849_19950405"):
        for number in (1, 2):
            slice_ = f"{patient}/{patient}_{number}"
            files[f"{slice_}.tif"] = picture("tiff", 32, 32, 3)
            files[f"{slice_}_mask.tif"] = picture("tiff", 32, 32)
    return files


CONTENT = {"Kvasir-SEG": _kvasir(), "kaggle_3m": _lgg()}
for _first, (_input, _truth) in enumerate(ISIC):
    CONTENT[_input] = _isic(_input, ".jpg", 100 * _first)
    CONTENT[_truth] = _isic(_truth, "_segmentation.png", 100 * _first)

ARCHIVES = {f"{stem}.zip": pack(below(stem, CONTENT[stem])) for pair in ISIC for stem in pair}
ARCHIVES["kvasir-seg.zip"] = pack(
    below("Kvasir-SEG", CONTENT["Kvasir-SEG"]) | {"__MACOSX/Kvasir-SEG/._images": b"junk"}
)
ARCHIVES["lgg-mri-segmentation.zip"] = pack(
    below("kaggle_3m", CONTENT["kaggle_3m"])
    | below("lgg-mri-segmentation/kaggle_3m", CONTENT["kaggle_3m"])
)
FACTS = {
    name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in ARCHIVES.items()
}


def tabled(sources, facts):
    """Return the table of sources with the sizes and checksums of other archives.

    What the table does not know of an archive it does not learn here.
    """

    def known(archive):
        size, sha256 = facts[archive.name]
        return replace(archive, bytes=archive.bytes and size, sha256=archive.sha256 and sha256)

    return {
        name: replace(source, archives=tuple(map(known, source.archives)))
        for name, source in sources.items()
    }


def tree(folder):
    """Return the files below a folder: name to content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
