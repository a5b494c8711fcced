"""What a folder holds: annotation files, a manifest, volumes, or pairs of image files."""

from collections import Counter
from pathlib import Path

from .annotations import coco, content, is_yolo, labelme, yolo
from .folders import find_pairs
from .items import Item, Options, Source, some
from .pairs import PICTURES, VOLUMES, Pairing, stem_of, tree
from .pixels import colour_code
from .tables import read_table
from .volumes import series


def read_source(source: Path, options: Options) -> tuple[Source, list[Path], Path]:
    """Say what a source is and read the names in it; returns also all its files and the folder.

    Raises:
        ValueError: nothing is known, or it can be read in two ways.
    """
    for root in [source] if source.is_dir() else source.parents[:2]:
        files = tree(root)
        pictures = [path for path in files if path.name.lower().endswith((*PICTURES, *VOLUMES))]
        if pictures:
            break
    else:
        found = some([f"{n} {s}" for s, n in Counter(path.suffix for path in files).items()])
        raise ValueError(
            f"{source}: no image files, but {found or 'nothing'}. Archives have to be unpacked; "
            "datumaro turns other formats into COCO."
        )
    named = {root / name for name in options.masks if (root / name).is_file()}
    named |= {source} - {root}
    found = _annotations([f for f in files if f in named] if named else files, pictures)
    if named and not found:
        raise ValueError(f"{some(named)}: neither COCO, labelme, YOLO nor a manifest.")
    if not found or (options.masks and not named):
        result = find_pairs(root, series(pictures), options)
    else:
        kind, read, paths = found[0]
        if kind != "a manifest":
            _check_one_kind(root, found, pictures, options, bool(named))
        result = read(root, paths, pictures, options)
        result.kind = f"{kind}, {some([p.relative_to(root) for p in paths], 2)}"
    used = {path for _, _, paths in found for path in paths} | set(pictures)
    others = Counter(f.suffix for f in files if f not in used and f.suffix not in (".csv", ".txt"))
    if others:
        result.left_out.append(f"files: {some([f'{n} {s}' for s, n in others.items()], 8)}")
    return result, files, root


def _annotations(files: list[Path], pictures: list[Path]) -> list[tuple]:
    """Return the kinds of annotations: name, reader, files."""
    jsons = {path: content(path).keys() for path in files if path.suffix.lower() == ".json"}
    stems = {stem_of(path) for path in pictures}
    found = [
        ("a manifest", manifest, [f for f in files if _is_manifest(f)]),
        ("COCO", coco, [p for p, keys in jsons.items() if {"images", "annotations"} <= keys]),
        ("labelme", labelme, [p for p, keys in jsons.items() if "shapes" in keys]),
        ("YOLO polygons", yolo, [f for f in files if is_yolo(f, stems)]),
    ]
    return [kind for kind in found if kind[2]]


def _check_one_kind(root: Path, found: list, pictures: list, options: Options, named: bool) -> None:
    """Refuse annotations beside mask files, and of two kinds."""
    readings = [(kind, paths[0].relative_to(root)) for kind, _, paths in found]
    ways = [path.as_posix() for _, path in readings]
    reading = Pairing(root, pictures, options)
    for key, masks in {} if named else reading.families().items():
        if reading.tier(*key) == 3:
            file = next(iter(masks.values()))[0][0].relative
            readings.append(("mask files", file))
            ways.append(file.parent.as_posix() if file.parent != Path() else f"'*{file.suffix}'")
    if len(readings) > 1:
        both = " and ".join(f"{kind} ({path})" for kind, path in readings)
        raise ValueError(f"{root}: holds {both}. Choose: --masks {' or --masks '.join(ways)}.")


def colour_names(files: list[Path]) -> dict[int, str]:
    """Return the names of colours by their codes, from a labelmap.txt (name:r,g,b:...)."""
    names = {}
    for path in (
        path for path in files if path.name.lower() in ("labelmap.txt", "label_colors.txt")
    ):
        for line in path.read_text("utf-8", errors="replace").splitlines():
            name, _, colour = line.partition(":")
            numbers = [n for n in colour.split(":")[0].split(",") if n.strip().isdecimal()]
            if len(numbers) == 3 and name[:1] != "#":
                names[colour_code(*map(int, numbers))] = name
    return names


def _is_manifest(path: Path) -> bool:
    rows = read_table(path) if path.suffix.lower() == ".csv" else []
    return bool(rows) and {"image", "mask"} <= {cell.casefold() for cell in rows[0]}


def manifest(root: Path, paths: list[Path], pictures: list[Path], options: Options) -> Source:
    """Read pairs as a table with columns image and mask says; other columns are for the rules."""
    items = []
    for path in paths:
        rows = read_table(path)
        places = [[cell.casefold() for cell in rows[0]].index(name) for name in ("image", "mask")]
        for row in rows[1:]:
            image, *masks = [path.parent / row[n].replace("\\", "/") for n in places if row[n]]
            for file in (image, *masks):
                if not file.is_file():
                    raise ValueError(f"{path}: no file {file}.")
            if not masks and not options.no_mask_is_healthy:
                raise ValueError(f"{path}: {image.name} has no mask. --no-mask-is-healthy?")
            items.append(Item(stem_of(image), image, masks))
    others = set(pictures) - {file for item in items for file in (item.path, *item.masks)}
    left_out = [f"{len(others)} images not named ({some(sorted(others), 2)})"] * bool(others)
    return Source("", items, left_out)
