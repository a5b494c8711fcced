"""Where the published data sets come from, on which terms, and how their files are known."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Archive:
    """A zip file and where its content goes.

    Attributes:
        name: file name.
        url: where the publisher has it; of Kaggle, the page.
        root: the folder in it that is wanted.
        target: what that folder becomes, below the data folder.
        bytes, sha256: what is known of the file; None where nothing is.
        kaggle: owner and name on Kaggle, where a login is needed.
    """

    name: str
    url: str
    root: str
    target: str
    bytes: int | None = None
    sha256: str | None = None
    kaggle: str | None = None


@dataclass(frozen=True)
class Source:
    """What a data set consists of and on which terms it is given."""

    folder: str
    terms: str
    cite: str
    archives: tuple[Archive, ...]


def _isic(stem: str, size: int, sha256: str) -> Archive:
    url = f"https://isic-archive.s3.amazonaws.com/challenges/2018/{stem}.zip"
    return Archive(f"{stem}.zip", url, stem, f"ISIC2018/{stem}", size, sha256)


SOURCES = {
    "kvasir-seg": Source(
        "Kvasir-SEG",
        "research and education only.",
        "Jha et al., Kvasir-SEG: a segmented polyp dataset, MMM 2020.",
        (
            Archive(
                "kvasir-seg.zip",
                "https://datasets.simula.no/downloads/kvasir-seg.zip",
                "Kvasir-SEG",
                "Kvasir-SEG",
                sha256="03b30e21d584e04facf49397a2576738fd626815771afbbf788f74a7153478f7",
            ),
        ),
    ),
    "isic-2018": Source(
        "ISIC2018",
        "CC-0 by the challenge site, CC BY-NC by others; treat it as non-commercial.",
        "Codella et al., Skin lesion analysis toward melanoma detection 2018, arXiv 1902.03368.",
        tuple(
            _isic(f"ISIC2018_{stem}", size, sha256)
            for stem, size, sha256 in (
                ("Task1-2_Training_Input", 11165358566,
                 "80f98572347a2d7a376227fa9eb2e4f7459d317cb619865b8b9910c81446675f"),
                ("Task1_Training_GroundTruth", 27402895,
                 "99f8b2bb3c4d6af483362010715f7e7d5d122d9f6c02cac0e0d15bef77c7604c"),
                ("Task1-2_Validation_Input", 239231159,
                 "0ea920fcfe512d12a6e620b50b50233c059f67b10146e1479c82be58ff15a797"),
                ("Task1_Validation_GroundTruth", 759706,
                 "f6911e9c0a64e6d687dd3ca466ca927dd5e82145cb2163b7a1e5b37d7a716285"),
                ("Task1-2_Test_Input", 2370457338,
                 "e59ae1f69f4ed16f09db2cb1d76c2a828487b63d28f6ab85997f5616869b127d"),
                ("Task1_Test_GroundTruth", 9680101,
                 "2e8f6edce454a5bdee52485e39f92bd6eddf357e81f39018d05512175238ef82"),
            )
        ),
    ),
    "lgg-mri": Source(
        "lgg-mri-segmentation",
        "CC BY-NC-SA 4.0.",
        "Buda et al., Computers in Biology and Medicine 109 (2019) 218-225.",
        (
            Archive(
                "lgg-mri-segmentation.zip",
                "https://www.kaggle.com/datasets/mateuszbuda/lgg-mri-segmentation",
                "kaggle_3m",
                "lgg-mri-segmentation/kaggle_3m",
                kaggle="mateuszbuda/lgg-mri-segmentation",
            ),
        ),
    ),
}  # fmt: skip
