"""How an inspection of a data set is said: its warnings and its table."""

from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np

from ..datasets.splits import PARTS
from .records import Inspection, Record

SHOWN = 10


def warnings(found: Inspection) -> list[str]:
    """Return what one should know before training, leaks first, one message each."""
    records = found.records
    sizes = {record.size for record in records if record.size}
    kinds = Counter(record.kind for record in records if record.kind)
    ambiguous = [record.ambiguous for record in records if record.ambiguous]
    counted = {
        "masks are empty: no lesion.": [r for r in records if r.pixels and not r.lesion],
        "masks are full: lesion everywhere. Look at them.": _full_masks(records),
        "images have an EXIF orientation and are turned upright; masks must be upright, too.": [
            record for record in records if record.turned
        ],
        "images have no pre-contrast channel: the first equals the second (FLAIR).": [
            record for record in records if "first" in record.copies
        ],
        "images have no post-contrast channel: the third equals the second (FLAIR).": [
            record for record in records if "third" in record.copies
        ],
    }
    counted["images have one colour all over. Look at them."] = [r for r in records if r.plain]
    messages = _inverted(records) + _leaks(found) + _doubles(found)
    messages += [
        f"{len(which)} {what} The first is {which[0].pair.image.name}."
        for what, which in counted.items()
        if which
    ]
    if ambiguous:
        messages.append(
            f"{len(ambiguous)} masks have {sum(ambiguous)} ambiguous pixels (16..199), which are "
            "cut at 127."
        )
    if any(not kind.endswith(" RGB") for kind in kinds):
        others = [f"{n} {kind}" for kind, n in kinds.items() if not kind.endswith(" RGB")]
        messages.append(f"Images of other modes are turned into RGB: {', '.join(others)}.")
    if len(sizes) > 1:
        messages.append(f"{len(sizes)} image sizes: all become the network's square input.")
    return messages


def table(found: Inspection) -> str:
    """Return the facts, the problems, the warnings and a verdict as plain text."""
    facts = _facts(found)
    width = max(map(len, facts)) + 2
    lines = [f"{name:{width}}{value}" for name, value in facts.items()]
    for title, messages in (("Problems", found.problems), ("Warnings", found.warnings)):
        if messages:
            lines += ["", f"{title} ({len(messages)})", *_shortened(messages)]
    number = f"{len(found.problems)} problem{'s' if len(found.problems) > 1 else ''}"
    verdict = f"impossible: {number}" if found.problems else "possible"
    return "\n".join([*lines, "", f"Training is {verdict}."])


def _facts(found: Inspection) -> dict[str, str]:
    records = found.records
    parts = Counter(record.part for record in records)
    parts_text = ", ".join(f"{parts[part]} {part}" for part in PARTS)
    groups = len({record.pair.group for record in records})
    read = [record for record in records if record.pixels]
    train = [record for record in read if record.part == "train"]
    within = sum(found.same(near, "pair.group") for near in found.near)
    exact = [len({records[number].part for number in same}) for same in found.exact]
    return {
        "data set": found.name,
        "folder": str(found.folder),
        "pairs": f"{len(records)}: {parts_text}" + (f" ({found.split})" if found.split else ""),
        "groups": "each image its own" if groups == len(records) else str(groups),
        "image sizes": _sizes(records),
        "image kinds": _counts(record.kind for record in records),
        "mask values": _counts(record.values for record in records),
        "ambiguous pixels": f"{sum(record.ambiguous for record in read)} in "
        f"{sum(record.ambiguous > 0 for record in read)} masks",
        "lesion fraction": _percentiles([record.fraction for record in read if record.lesion]),
        "ratio >= 3": f"{sum(r.kept for r in train)} of {len(train)} training images, "
        f"{sum(r.kept for r in read)} of {len(read)} in all",
        "empty masks": str(sum(not record.lesion for record in read)),
        "full masks": str(len(_full_masks(read))),
        "exact duplicates": f"{len(exact)} files appear twice or more, "
        f"{sum(parts > 1 for parts in exact)} of them across parts",
        "near duplicates": f"{len(found.near)} pairs, {len(found.leaks)} of them across parts, "
        f"{within} within a group",
        "data hash": found.hash[:12] or "none",
    }


def _sizes(records: Iterable[Record]) -> str:
    sizes = sorted((r.size for r in records if r.size), key=lambda size: (np.prod(size), size))
    if not sizes:
        return "none"
    texts = [f"{width} x {height}" for height, width in sizes]
    if sizes[0] == sizes[-1] and len(set(sizes)) == 1:
        return f"{texts[0]}, all"
    middle = texts[len(texts) // 2]
    return f"{texts[0]} to {texts[-1]}, median {middle}, {len(set(sizes))} different"


def _percentiles(fractions: list[float]) -> str:
    if not fractions:
        return "none"
    low, middle, high = 100 * np.percentile(fractions, (10, 50, 90))
    return f"{low:.1f} % / {middle:.1f} % / {high:.1f} % (10th / 50th / 90th percentile, not empty)"


def _counts(values: Iterable[str]) -> str:
    counts = Counter(value for value in values if value)
    return ", ".join(f"{value} ({count})" for value, count in counts.most_common()) or "none"


def _full_masks(records: Iterable[Record]) -> list[Record]:
    return [record for record in records if record.pixels and record.lesion == record.pixels]


def _inverted(records: Iterable[Record]) -> list[str]:
    """Warn where most masks with a lesion look as if lesion and background were exchanged."""
    lesions = [record for record in records if record.lesion]
    odd = [record for record in lesions if record.corners or 2 * record.lesion > record.pixels]
    if 2 * len(odd) <= len(lesions):
        return []
    return [
        f"{len(odd)} of {len(lesions)} masks with a lesion have it in all four corners or in more "
        f"than half of the image ({odd[0].pair.mask.name}). Look at them: if they are inverted, "
        "choose --lesion-values 0."
    ]


def _leaks(found: Inspection) -> list[str]:
    exact = sum(not found.same(same, "part") for same in found.exact)
    if not found.leaks and not exact:
        return []
    cure = "Write a manifest that keeps them together with --write-manifest."
    if any(record.official for record in found.records):
        cure = "The parts are official, so they are left alone: say so with your scores."
    return [
        f"A leak: {len(found.leaks)} near and {exact} exact duplicates appear in two parts, so not "
        f"all test images are unseen. {cure}"
    ]


def _doubles(found: Inspection) -> list[str]:
    """Name exact and near duplicates; near ones of one group and part are only counted."""
    exact, near = defaultdict(list), defaultdict(list)
    for same in found.exact:
        leak = not found.same(same, "part")
        what = "the same file, byte for byte"
        exact[leak].append(f"{_names(found, same)}: {what}{', across parts' if leak else ''}.")
    for edge in found.near:
        leak = not found.same(edge, "part")
        if leak or not found.same(edge, "pair.group"):
            where = "a leak: near duplicates across parts" if leak else "near duplicates"
            near[leak].append(f"{_names(found, edge[:2])}: {where}, similarity {edge[2]:.2f}.")
    return exact[True] + near[True] + exact[False] + near[False]


def _names(found: Inspection, numbers: Iterable[int]) -> str:
    records = [found.records[number] for number in numbers]
    return " and ".join(f"{record.pair.image.name} ({record.part})" for record in records)


def _shortened(messages: Iterable[str]) -> list[str]:
    """Return at most ten messages of a kind; what follows the file's name tells the kind."""
    kinds = defaultdict(list)
    for message in messages:
        kinds[message.partition(": ")[2][:20] or message].append(message)
    lines = []
    for same in kinds.values():
        lines += [f"  {message}" for message in same[:SHOWN]]
        lines += [f"  ... and {len(same) - SHOWN} more"] if same[SHOWN:] else []
    return lines
