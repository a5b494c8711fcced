"""Import: read a source once, and write it in the plain form with a contact sheet and a report."""

import csv
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from . import sheet
from .groups import copies, groups_of, joined, thumbnail
from .items import Item, Options, some
from .lesions import Facts, Rule, decide, facts, odd_ones, survey
from .order import PARTS, order, unique, without_doubles
from .pixels import copied, opened, orientation, read_mask, read_picture, to_8_bits, turned, wide
from .report import Report
from .sources import colour_names, read_source
from .tables import columns, parts
from .volumes import is_volume, read_volume, read_volume_mask, slices


def import_source(source: str | Path, out: str | Path, *, dry_run=False, **choices) -> Report:
    """Turn a data set of any usual kind into the plain form.

    Args:
        source: folder, or a COCO file. Never written to.
        out: new folder: images/, masks/ (PNG, 0 and 255), manifest.csv, contact_sheet.png,
            report.txt. Whole or absent.
        dry_run: write only the sheet and the report, as OUT.contact_sheet.png and OUT.report.txt.
        choices: of what could be meant in two ways, see `Options`.

    Raises:
        ValueError: what could be meant in two ways; the message names the argument that chooses.
        FileExistsError: OUT is there.
    """
    options = Options(**choices)
    source, out = (Path(path).expanduser().absolute() for path in (source, out))
    if out.exists() and not dry_run:
        raise FileExistsError(f"{out}: is there already. Choose another OUT, or remove it.")
    if out.resolve().is_relative_to(source.resolve()):
        raise ValueError(f"{out}: lies in the source, which is never written to. Choose another.")
    if not source.exists():
        raise FileNotFoundError(f"{source}: no such file or folder.")
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        report = Import(source, out, options, dry_run, partial).run()
        if dry_run:
            for name in ("contact_sheet.png", "report.txt"):
                (partial / name).replace(out.parent / f"{out.name}.{name}")
        else:
            partial.chmod(0o777 & ~_umask())
            partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return report


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _in_order(function, items: list) -> list:
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(function, items))


class Import:
    """One import: `run` reads, decides and writes."""

    def __init__(self, source: Path, out: Path, options: Options, dry_run: bool, to: Path) -> None:
        """Read all names; raises ValueError for what could be meant in two ways."""
        self.source, self.out, self.options, self.dry_run, self.to = (
            source,
            out,
            options,
            dry_run,
            to,
        )
        self.found, files, self.root = read_source(source, options)
        self.notes, self.left_out = self.found.notes, self.found.left_out
        items = without_doubles(self.found.items, self.left_out)
        if not items:
            raise ValueError(f"{source}: no images to import.")
        unique(items)
        table, unread = columns(items, self.root, files)
        self.left_out += [f"tables that name no images: {some(unread)}"] if unread else []
        if options.ignore_parts:
            for item in items:
                item.split = ""
        else:
            parts(items, self.root, files, table)
        self.grouping = groups_of(items, table, options.group)
        for item, name in zip(items, self.grouping.groups, strict=True):
            item.group = name
        self.items = sorted(items, key=lambda item: order(item, self.grouping.running))
        self.colours, self.stored, self.scale = colour_names(files), False, options.range_

    def run(self) -> Report:
        """Import; raises ValueError for what could be meant in two ways."""
        self.rule = self._rule()
        self._find_scale()
        self._slice()
        unique(self.items)
        self.stored = self._as_stored()
        for name in ("images", "masks"):
            (self.to / name).mkdir()
        done = _in_order(self._one, self.items)
        odd = odd_ones([each[1] for each in done])
        if odd and self.options.odd_masks != "keep":
            done, odd = self._leave_out(odd, done), {}
        groups = self._groups(np.stack([each[2] for each in done]))
        return self._finish(done, groups, list(odd))

    def relative(self, path: Path) -> str:
        """Return a path below the source, for the manifest and for messages."""
        return path.relative_to(self.root).as_posix()

    def _rule(self) -> Rule:
        paths = {p: is_volume(i.path) for i in self.items for p in i.masks if not callable(p)}
        if not paths:
            return Rule((), "as drawn")

        def look(path: Path):
            mask = read_volume_mask(path) if paths[path] else read_mask(path)
            return survey(self.relative(path), mask)

        return decide(_in_order(look, list(paths)), self.options.lesion, self.colours)

    def _find_scale(self) -> None:
        """Find one scale for all images of more than 8 bits."""

        def sample(item: Item) -> np.ndarray:
            if is_volume(item.path):
                values = read_volume(item.path)[0]
            else:
                picture = (
                    opened(item.path) if item.path.suffix[:4] == ".tif" else Image.open(item.path)
                )
                with picture:
                    values = np.asarray(picture) if wide(picture) else np.empty(0, np.uint8)
            values = values.ravel()[:: max(1, values.size // 20000)]
            return values[np.isfinite(values)] if values.dtype != np.uint8 else values[:0]

        samples = [values for values in _in_order(sample, self.items) if values.size]
        if samples and self.scale is None:
            low, high = self.scale = np.percentile(np.concatenate(samples), (0.5, 99.5)).tolist()
            self.notes.append(
                f"{len(samples)} files of more than 8 bits: {low:g} to {high:g} (0.5 and 99.5 % of "
                "all) become 0 to 255; --range LOW HIGH chooses."
            )

    def _slice(self) -> None:
        """Put the chosen slices in the place of volumes."""
        volumes = sum(is_volume(item.path) for item in self.items)
        if volumes:
            found = [
                slices(i, self.rule, self.options) if is_volume(i.path) else [i] for i in self.items
            ]
            self.items = [item for each in found for item in each]
            every = self.options.every
            self.notes.append(f"{volumes} volumes: slices with a lesion, every {every}th without.")

    def _as_stored(self) -> bool:
        """Say whether masks of images with an EXIF orientation have to be turned with them."""
        pictures = [item for item in self.items if item.masks and not item.picture]
        turns = zip(pictures, _in_order(lambda item: orientation(item.path), pictures), strict=True)
        there = [(item, turn) for item, turn in turns if turn > 1]
        if not there or self.options.upright is not None:
            return bool(there) and not self.options.upright
        votes = set()
        for item, turn in there:
            shape = self._masks(item)[0].shape
            with Image.open(item.path) as picture:
                stored = picture.size[::-1]
            if turn >= 5 and stored[0] != stored[1]:
                votes.add(shape == stored)
        if len(votes) == 1:
            says = "as stored" if True in votes else "upright"
            self.notes.append(f"{len(there)} images have an EXIF orientation; masks are {says}.")
            return True in votes
        raise ValueError(
            f"{there[0][0].path}: {len(there)} of {len(self.items)} images have an orientation in "
            "their EXIF. Were masks drawn on the picture as viewers show it: --masks-upright; or "
            "on its pixels as stored: --masks-as-stored? The contact sheet shows which was right."
        )

    def _masks(self, item: Item) -> list[np.ndarray]:
        return [m() if callable(m) else self.rule.apply(read_mask(m)) for m in item.masks]

    def _mask(self, item: Item, size: tuple[int, int]) -> np.ndarray:
        """Return the union of an item's masks, upright; raises ValueError for another size."""
        turn = orientation(item.path) if self.stored and not item.picture else 1
        result = np.zeros(size, bool)
        for path, mask in zip(item.masks, self._masks(item), strict=True):
            mask = turned(mask, turn)
            if mask.shape != size:
                name, hint = path if isinstance(path, Path) else "annotation", " Turned by 90°?"
                raise ValueError(
                    f"{item.path}: image of {size[0]} x {size[1]} pixels, its mask ({name}) has "
                    f"{mask.shape[0]} x {mask.shape[1]}.{hint * (mask.shape == size[::-1])}"
                )
            result |= mask
        return result

    def _picture(self, item: Item) -> np.ndarray:
        values = item.picture() if item.picture else read_picture(item.path)
        values = values if values.dtype == np.uint8 else to_8_bits(values, self.scale)
        return np.repeat(values[..., None], 3, axis=-1) if values.ndim == 2 else values

    def _one(self, item: Item) -> tuple[str, Facts, np.ndarray]:
        """Write an image and its mask; returns the image's file name, facts and thumbnail."""
        image = self._picture(item)
        mask = self._mask(item, image.shape[:2])
        suffix = "" if item.picture else copied(item.path)
        name = f"{item.name}{suffix or '.png'}"
        if not self.dry_run:
            if suffix:
                shutil.copyfile(item.path, self.to / "images" / name)
            else:
                Image.fromarray(image).save(self.to / "images" / name, compress_level=2)
            Image.fromarray(mask.astype("uint8") * 255).save(self.to / f"masks/{item.name}.png")
        return name, facts(mask), thumbnail(image)

    def _leave_out(self, odd: dict[int, str], done: list) -> list:
        """Leave out masks unlike the others; raises ValueError where that was not chosen."""
        paths = {
            n: next(p for p in (*self.items[n].masks, self.items[n].path) if not callable(p))
            for n in odd
        }
        names = some([f"{self.relative(paths[n])} ({why})" for n, why in odd.items()], 12)
        if self.options.odd_masks != "leave-out":
            raise ValueError(
                f"{self.source}: {len(odd)} masks are unlike the others: {names}. Look at them; "
                "--odd-masks keep (they are right) or --odd-masks leave-out."
            )
        for n in odd:
            for path in (f"images/{done[n][0]}", f"masks/{self.items[n].name}.png"):
                (self.to / path).unlink(missing_ok=True)
        self.left_out.append(f"{len(odd)} masks unlike the others: {names}")
        self.items = [item for n, item in enumerate(self.items) if n not in odd]
        return [each for n, each in enumerate(done) if n not in odd]

    def _groups(self, thumbnails: np.ndarray) -> list[str]:
        """Return the groups, copies put together; raises ValueError for one in two parts."""
        before, splits = [i.group for i in self.items], [i.split for i in self.items]
        pairs = [] if self.options.copies_apart else copies(thumbnails)
        groups, apart = joined(before, pairs, splits)
        merged = len(set(before)) - len(set(groups))
        if merged:
            self.notes.append(
                f"copies of images, turned ones too, joined {merged} groups to others."
            )
        if apart:
            names = some([f"{self.items[a].name} = {self.items[b].name}" for a, b in apart], 2)
            self.notes.append(f"{len(apart)} copies of an image lie in another part ({names}).")
        found = {}
        for group, split in zip(groups, splits, strict=True):
            if found.setdefault(group, split) != split:
                raise ValueError(
                    f"{self.source}: group {group} lies in the parts {found[group]} and {split}, "
                    "so the test would not be on unseen cases. --ignore-parts splits by group; "
                    "--group none keeps the parts."
                )
        return groups

    def _finish(self, done: list, groups: list[str], odd: list[int]) -> Report:
        """Write manifest, sheet and report."""
        splits, found, tiles = [item.split for item in self.items], [each[1] for each in done], []
        rows = [
            {"image": f"images/{each[0]}", "mask": f"masks/{item.name}.png", "group": group,
             "split": item.split, "source": self.relative(item.path)}
            for item, each, group in zip(self.items, done, groups, strict=True)
        ]  # fmt: skip
        with (self.to / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        for n, why in sheet.choose(found, odd):
            image, name = self._picture(self.items[n]), self.items[n].name
            caption = [name, f"group {groups[n]}", f"{why}, {100 * found[n].share:.2g} %"]
            tiles.append(sheet.tile(image, self._mask(self.items[n], image.shape[:2]), caption))
        sheet.save(tiles, self.to / "contact_sheet.png")
        path = self.out / "contact_sheet.png"
        path = path if not self.dry_run else self.out.parent / f"{self.out.name}.contact_sheet.png"
        report = Report(
            self.source, self.out, self.found.kind, len(rows), sum(f.share == 0 for f in found),
            self.rule.text, len(set(groups)), self.grouping.text,
            {part: splits.count(part) for part in PARTS if part in splits},
            self.left_out, self.notes, path, self.dry_run, rows,
        )  # fmt: skip
        (self.to / "report.txt").write_text(report.text() + "\n", encoding="utf-8")
        return report
