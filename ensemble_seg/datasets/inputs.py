"""Which images are meant where no masks are asked for: one file, or those of a folder."""

from collections import defaultdict
from pathlib import Path

from ..common.errors import suggest
from ..common.results import RECORD
from ..reading.images import SUFFIXES, image_files
from .naming import IMAGE_FOLDER, MASK_FOLDER, letters, partners
from .unread import contents, names_in, shortened, unread_files, unread_folders


def input_images(path: str | Path) -> tuple[list[Path], list[str]]:
    """Return the image that a path names, or the images of a folder, and what was left out.

    In a folder that holds masks beside their images (a7_mask.png and a7.png) the masks are left
    out.

    Args:
        path: a file, or a folder that is not searched below its first level.

    Returns:
        Files, and one message for each kind of thing that was not read.

    Raises:
        FileNotFoundError: no such file or folder.
        ValueError: no images there (the message says what is there instead), two of one stem, or a
            folder of masks.
    """
    path = Path(path).expanduser().absolute()
    if path.is_file():
        if not path.name.lower().endswith(SUFFIXES):
            raise ValueError(f"{path}: expected an image file ({', '.join(SUFFIXES)}).")
        return [path], []
    if not path.is_dir():
        there = names_in(path.parent, files=False) + names_in(path.parent)
        raise FileNotFoundError(
            f"{path}: no such file or folder.{suggest(path.name, there)} "
            f"{path.parent} holds {contents(path.parent)}."
        )
    _refuse_masks(path)
    files = image_files(path)
    if not files:
        raise ValueError(_no_images(path))
    stems = frozenset(file.stem for file in files)
    ways = [mask for _, mask in partners(stems)]
    masks = {stem for stem in stems if any(mask.shared(stem) is not None for mask in ways)}
    images = [file for file in files if file.stem not in masks]
    _refuse_doubled(images)
    notes = unread_files(path)
    if masks:
        names = shortened(file.name for file in files if file.stem in masks)
        notes.append(f"{path}: not read: {len(masks)} masks beside the images ({names}).")
    for name, number in unread_folders(path).items():
        notes.append(f"{path / name}: not read: a folder with images ({number}).")
    return images, notes


def data_root(path: Path) -> Path:
    """Return the folder of the data set that a file or folder of images belongs to.

    The folder itself, or the one above it where the two are images/ and its data set.
    """
    folder = path.parent if path.is_file() else path
    above = folder.parent
    beside = [name for name in names_in(above, files=False) if MASK_FOLDER.fullmatch(letters(name))]
    tables = [name for name in names_in(above) if name.lower() == "manifest.csv"]
    named = IMAGE_FOLDER.fullmatch(letters(folder.name)) is not None
    return above if tables or (named and beside) else folder


def _refuse_masks(folder: Path) -> None:
    for place in (folder, folder.parent):
        if (place / RECORD).is_file():
            raise ValueError(
                f"{folder}: holds results of this command ({place / RECORD}). Name a folder of "
                "images."
            )
    if MASK_FOLDER.fullmatch(letters(folder.name)):
        others = [n for n in names_in(folder.parent, False) if IMAGE_FOLDER.fullmatch(letters(n))]
        if others:
            raise ValueError(
                f"{folder}: looks like the masks of {folder.parent / others[0]}. Name the folder "
                "of the images."
            )


def _no_images(folder: Path) -> str:
    inner = unread_folders(folder)
    named = [name for name in inner if IMAGE_FOLDER.fullmatch(letters(name))]
    named += [name for name in inner if name.endswith("_Input")]
    place = next(iter(named or inner), "")
    advice = f" Its images may be in {folder / place}: name that folder." if place else ""
    return (
        f"{folder}: expected image files ({', '.join(SUFFIXES)}) at its first level. Found "
        f"{contents(folder)}.{advice}"
    )


def _refuse_doubled(files: list[Path]) -> None:
    names = defaultdict(list)
    for file in files:
        names[file.stem].append(file.name)
    doubled = [" and ".join(found) for found in names.values() if len(found) > 1]
    if doubled:
        raise ValueError(
            f"{files[0].parent}: expected image files, each with a stem of its own, since results "
            f"are named by it. Found {shortened(doubled)}. Rename them."
        )
