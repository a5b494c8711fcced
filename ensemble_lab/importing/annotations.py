"""Annotation files: COCO, labelme and YOLO polygons become masks that are drawn when needed."""

import json
import re
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from .items import Item, Options, Source, check_without, some
from .names import folded, split_of
from .pairs import stem_of


def content(path: Path) -> dict:
    """Return what a JSON file holds, {} where it is none."""
    try:
        found = json.loads(path.read_text("utf-8-sig"))
    except (ValueError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _image(name: str, near: Path, pictures: list[Path]) -> Path:
    """Return the image file that an annotation file names; of several, the one nearest to it."""
    name = name.replace("\\", "/")
    found = [p for p in pictures if folded(p.name) == folded(name.rpartition("/")[2])]
    found = [p for p in found if p.as_posix().endswith(f"/{name}")] or found
    if len(found) > 1:
        found = [p for p in found if near.parent in p.parents] or found
    if len(found) != 1:
        raise ValueError(f"{near}: {name} is in {len(found)} places ({some(found)}), expected one.")
    return found[0]


def _lesions(found: Counter, options: Options) -> set[str]:
    """Return the names of the categories that are lesion; raises ValueError for several."""
    unknown = [name for name in options.category if name not in found]
    counts = some([f"{name} ({number})" for name, number in found.most_common()], 12)
    if unknown or not found:
        raise ValueError(f"Categories: {counts or 'none'}; not there: {some(unknown)}.")
    if len(found) > 1 and not options.category:
        raise ValueError(
            f"{len(found)} categories: {counts}. Say by name which are lesion: --category "
            f'"{found.most_common(1)[0][0]}" (several: one after the other).'
        )
    return set(options.category or found)


def _gathered(drawn: dict, pictures: list[Path], root: Path, options: Options) -> Source:
    """Return the items of {image: (masks, part)}; of images without masks what was chosen."""
    items = []
    for path, (masks, split) in sorted(drawn.items()):
        above = path.relative_to(root).parts[:-1]
        folder = tuple(p for p in above if not split_of(p) and p.lower() != "images")
        split = split or next(filter(None, map(split_of, above)), "")
        items.append(Item(stem_of(path), path, masks, folder, split))
    check_without([i.path.relative_to(root) for i in items if not i.masks], str(root), options)
    if options.no_mask_is_left_out:
        items = [item for item in items if item.masks]
    others = [p.relative_to(root) for p in pictures if p not in drawn]
    return Source("", items, [f"{len(others)} images not named ({some(others)})"] * bool(others))


def coco(root: Path, paths: list[Path], pictures: list[Path], options: Options) -> Source:
    """Read COCO: polygons and RLE, through pycocotools."""
    counts, found, drawn = Counter(), defaultdict(list), {}
    for path, all_of in (files := {path: content(path) for path in paths}).items():
        names = {each["id"]: each["name"] for each in all_of.get("categories", [])}
        for each in all_of["annotations"]:
            name = names.get(each.get("category_id"), str(each.get("category_id")))
            counts[name] += 1
            found[path, each["image_id"]].append((name, each.get("segmentation")))
    lesions = _lesions(counts, options)
    entries = [(path, entry) for path in files for entry in files[path]["images"]]
    for path, entry in entries:
        shapes = [shape for name, shape in found[path, entry["id"]] if name in lesions]
        if not all(shapes):
            raise ValueError(f"{path}: {entry['file_name']} has a box without an outline.")
        masks, split = drawn.get(file := _image(entry["file_name"], path, pictures), ([], ""))
        if found[path, entry["id"]]:
            masks = [*masks, partial(_coco_mask, shapes, (entry["height"], entry["width"]))]
        drawn[file] = masks, split or split_of(path.stem) or split_of(path.parent.name)
    return _gathered(drawn, pictures, root, options)


def _coco_mask(shapes: list, size: tuple[int, int]) -> np.ndarray:
    try:
        from pycocotools import mask
    except ImportError:
        text = 'COCO needs pycocotools. Run: pip install "ensemble-seg[import]"'
        raise ImportError(text) from None
    result = np.zeros(size, bool)
    for shape in shapes:
        if isinstance(shape, list) or isinstance(shape["counts"], list):
            shape = mask.frPyObjects(shape, *size)
        result |= mask.decode(mask.merge(shape) if isinstance(shape, list) else shape) > 0
    return result


def labelme(root: Path, paths: list[Path], pictures: list[Path], options: Options) -> Source:
    """Read labelme: one JSON an image."""
    files, drawn = {path: content(path) for path in paths}, {p: ([], "") for p in pictures}
    labels = Counter(shape["label"] for each in files.values() for shape in each["shapes"])
    lesions = _lesions(labels, options)
    for path, each in files.items():
        shapes = [shape for shape in each["shapes"] if shape["label"] in lesions]
        kinds = {s.get("shape_type", "polygon") for s in shapes} - {
            "polygon",
            "rectangle",
            "circle",
        }
        if kinds:
            raise ValueError(f"{path}: shapes of type {some(kinds)}; expected polygons.")
        size = int(each["imageHeight"]), int(each["imageWidth"])
        file = _image(Path(each["imagePath"].replace("\\", "/")).name, path, pictures)
        drawn[file] = [partial(_polygons, shapes, size)], ""
    return _gathered(drawn, pictures, root, options)


def _polygons(shapes: list[dict], size: tuple[int, int]) -> np.ndarray:
    picture = Image.new("1", size[::-1])
    draw = ImageDraw.Draw(picture)
    for shape in shapes:
        points, kind = [tuple(point) for point in shape["points"]], shape.get("shape_type")
        if kind == "circle":
            (x, y), rim = points[0], np.hypot(*np.subtract(*points[:2]))
            draw.ellipse((x - rim, y - rim, x + rim, y + rim), fill=1)
        elif kind == "rectangle":
            xs, ys = zip(*points, strict=True)
            draw.rectangle((min(xs), min(ys), max(xs), max(ys)), fill=1)
        else:
            draw.polygon(points, fill=1, outline=1)
    return np.array(picture)


def is_yolo(path: Path, stems: set[str]) -> bool:
    """Say whether a text file lists classes with numbers for the image of its name."""
    if path.suffix != ".txt" or path.stem not in stems:
        return False
    lines = path.read_text("utf-8", errors="replace").strip().splitlines()
    return all(re.fullmatch(r"\d+(\s+-?\d*\.?\d+(e-\d+)?){4,}\s*", line) for line in lines)


def yolo(root: Path, paths: list[Path], pictures: list[Path], options: Options) -> Source:
    """Read YOLO: a text file an image, a line a polygon, 0..1."""
    names, drawn, counts = _yolo_names(root), {p: ([], "") for p in pictures}, Counter()
    files = {p: [w for x in p.read_text("utf-8").splitlines() if (w := x.split())] for p in paths}
    for path, lines in files.items():
        counts.update(names.get(words[0], words[0]) for words in lines)
        if any(len(words) < 7 for words in lines):
            raise ValueError(f"{path}: boxes. A mask needs polygons.")
    lesions = _lesions(counts, options)
    for path, lines in files.items():
        split = next(filter(None, map(split_of, path.relative_to(root).parts[:-1])), "")
        same = [p for p in pictures if stem_of(p) == path.stem]
        near = [p for p in same if any(split_of(a) == split for a in p.parts[:-1])] or same
        if len(near) > 1 or (not split and len(same) > 1):
            raise ValueError(f"{path}: could be of {some(p.relative_to(root) for p in same)}.")
        points = [words[1:] for words in lines if names.get(words[0], words[0]) in lesions]
        drawn[near[0]] = [partial(_yolo_mask, points, near[0])], split
    return _gathered(drawn, pictures, root, options)


def _yolo_names(root: Path) -> dict[str, str]:
    """Return the names of classes by number: names: [a, b], - a, or 0: a in data.yaml."""
    for path in (root / "data.yaml", root / "data.yml", root / "classes.txt"):
        if path.is_file():
            text = path.read_text("utf-8")
            listed = re.search(r"names:\s*\[(.*?)\]", text, re.S)
            words = listed[1].split(",") if listed else re.findall(r"^\s*-\s*(.+)$", text, re.M)
            words = text.split("\n") if path.suffix == ".txt" else words
            numbered = re.findall(r"^\s*(\d+):\s*(.+?)\s*$", text, re.M)
            found = [(str(n), word) for n, word in enumerate(words)] or numbered
            return {number: word.strip(" '\"\r") for number, word in found}
    return {}


def _yolo_mask(points: list[list[str]], path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        size = picture.size
    numbers = [np.array(w[: len(w) // 2 * 2], float).reshape(-1, 2) * size for w in points]
    return _polygons([{"points": each.tolist()} for each in numbers], size[::-1])
