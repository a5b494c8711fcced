"""Training, validation and test images: at random or as given, no group in two parts."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from ..reading.pairs import Pair

PARTS = {"train": 0.7, "validation": 0.1, "test": 0.2}
SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}  # what people call the parts, in lower case


def complete_parts(parts: dict[str, list[Pair]], seed: int = 0) -> dict[str, tuple[Pair, ...]]:
    """Fill in the parts that nobody gave.

    * None or only a training part given: all is split 70/10/20 at random.
    * No test part: the validation part becomes the test part, since choices are made on validation
      images and never on test images.
    * No validation part: an eighth of the training part, at random.

    Args:
        parts: pairs under "train", "validation", "test"; under "" where no part is given.
        seed: of what is drawn at random.

    Raises:
        ValueError: no pairs, no training part beside the others, or too few groups.
    """
    given = {part: pairs for part, pairs in parts.items() if pairs}
    if set(given) <= {"", "train"}:
        return split_by_group((pair for pairs in given.values() for pair in pairs), seed)
    if "train" not in given:
        raise ValueError(
            f"Expected training images beside those of {', '.join(given)}. Found none. Name them "
            "in manifest.csv or train.txt."
        )
    if "test" not in given:
        given["test"] = given.pop("validation")
    if "validation" not in given:
        shares = {part: PARTS[part] for part in ("train", "validation")}
        given |= split_by_group(given["train"], seed, shares)
    return {part: tuple(given[part]) for part in PARTS}


def split_by_group(
    pairs: Iterable[Pair], seed: int = 0, shares: dict[str, float] = PARTS
) -> dict[str, tuple[Pair, ...]]:
    """Split pairs at random, each group whole in one part.

    Groups are dealt in random order: one to each part, then to the part that lacks most of its
    share of the pairs.

    Args:
        pairs: image files with their groups.
        seed: of the order.
        shares: of the pairs, for each part. 70/10/20 by default.

    Raises:
        ValueError: fewer groups than parts.
    """
    members = defaultdict(list)
    for pair in pairs:
        members[pair.group].append(pair)
    if len(members) < len(shares):
        raise ValueError(
            f"Expected at least {len(shares)} groups of images for {_list(shares)}. "
            f"Received: {len(members)}. Add images, or groups in manifest.csv."
        )
    total = sum(map(len, members.values()))
    whole = sum(shares.values())
    parts = {part: [] for part in shares}
    order = np.random.default_rng(seed).permutation(sorted(members))
    for part, group in zip(shares, order, strict=False):
        parts[part] += members[group]
    for group in order[len(shares) :]:
        lacking = max(shares, key=lambda part: shares[part] / whole - len(parts[part]) / total)
        parts[lacking] += members[group]
    return {part: tuple(pairs) for part, pairs in parts.items()}


def _list(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}"
