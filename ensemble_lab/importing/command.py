"""The command: ensemble-seg import SOURCE OUT. Starts with argparse alone."""

import argparse
from pathlib import Path

FLAGS = {
    "dry-run": "write only the contact sheet and the report, beside OUT",
    "no-mask-is-healthy": "images without a mask have no lesion",
    "no-mask-is-left-out": "images without a mask are not annotated",
    "copies-apart": "copies of an image, turned or mirrored, do not share a group",
    "ignore-parts": "training, validation and test of the source do not count",
}
SEVERAL = {
    "lesion": ("VALUE", "values of masks that are lesion: 1, 1-255, or a colour: 250,50,83"),
    "masks": (
        "FOLDER",
        "the masks: folders, patterns of names ('*_manual1') or an annotation file",
    ),
    "images": ("FOLDER", "the images: folders or patterns of names"),
    "category": ("NAME", "categories of annotations that are lesion"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to a parser."""
    parser.add_argument("source", metavar="SOURCE", type=Path, help="a folder, or a COCO file")
    parser.add_argument("out", metavar="OUT", type=Path, help="new folder in the plain form")
    for name, text in FLAGS.items():
        parser.add_argument(f"--{name}", action="store_true", help=text)
    for name, (metavar, text) in SEVERAL.items():
        parser.add_argument(f"--{name}", nargs="+", default=(), metavar=metavar, help=text)
    text = "a table's column, a regular expression of names, folder, or none"
    parser.add_argument("--group", metavar="COLUMN|REGEX|none", help=text)
    text = "of slices of volumes without a lesion every n-th is taken (10)"
    parser.add_argument("--every", type=int, default=10, metavar="N", help=text)
    text = "values that become black and white, for images of more than 8 bits"
    parser.add_argument("--range", nargs=2, type=float, metavar=("LOW", "HIGH"), help=text)
    upright = parser.add_mutually_exclusive_group()
    text = "masks were drawn on pictures turned as their EXIF says"
    upright.add_argument(
        "--masks-upright", dest="upright", action="store_true", default=None, help=text
    )
    text = "masks were drawn on pictures as their pixels are stored"
    upright.add_argument("--masks-as-stored", dest="upright", action="store_false", help=text)
    text = "masks that are inverted, full or outlines only, unlike the others"
    parser.add_argument("--odd-masks", choices=("keep", "leave-out"), default="", help=text)


def run(options: argparse.Namespace) -> None:
    """Import, and print the report."""
    from . import import_source  # not above: the help starts without NumPy

    names = {name.replace("-", "_") for name in (*FLAGS, *SEVERAL)} | {"group", "every", "upright"}
    values = {name: getattr(options, name) for name in sorted(names | {"odd_masks"})}
    print(import_source(options.source, options.out, range_=options.range, **values).text())
