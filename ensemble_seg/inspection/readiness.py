"""What the masks must hold so that both models can be trained: told before the first epoch."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ..presets import Preset
from ..reading.lesion_values import LesionValues
from ..reading.masks import small_mask
from ..reading.pairs import Box, Pair
from ..sampling import Counts, nothing_to_crop


class Seen(NamedTuple):
    """A mask that was read: how many pixels it has, and how many are lesion."""

    pair: Pair
    pixels: int
    lesion: int
    box: Box | None = None

    def is_kept(self, threshold: float) -> bool:
        """Whether the sampling model is trained on it: background / lesion >= threshold."""
        return self.lesion > 0 and (self.pixels - self.lesion) / self.lesion >= threshold


def lesion_problems(
    parts: Mapping[str, Sequence[Seen]],
    preset: Preset,
    sampling: bool = True,
    values: LesionValues | None = None,
) -> list[str]:
    """Return what makes training impossible or blind, one message each.

    Args:
        parts: the masks of "train" and "validation", in their order.
        preset: its limit, size and threshold are used.
        sampling: the sampling model is to be trained, too.
        values: as in `read_mask`.
    """
    limit = preset.limit or None
    used = {part: parts.get(part, ())[:limit] for part in ("train", "validation")}
    problems = []
    for part, word in (("train", "training"), ("validation", "validation")):
        if used[part] and not problems:  # masks that are all empty need one message
            problems += _without_lesion(used[part], word, preset, values)
    train = used["train"]
    counts = crop_counts(train, preset.threshold)
    if sampling and train and not counts.kept and any(mask.lesion for mask in train):
        problems.append(nothing_to_crop(counts, preset.threshold))
    return problems


def crop_counts(masks: Iterable[Seen], threshold: float) -> Counts:
    """Return how many masks the sampling step keeps, drops and finds empty."""
    masks = list(masks)
    kept = sum(mask.is_kept(threshold) for mask in masks)
    empty = sum(not mask.lesion for mask in masks)
    return Counts(kept, len(masks) - kept - empty, empty, kept)


def _without_lesion(
    masks: Sequence[Seen], word: str, preset: Preset, values: LesionValues | None
) -> list[str]:
    lesions = sorted(
        (mask for mask in masks if mask.lesion),
        key=lambda mask: mask.lesion / mask.pixels,
        reverse=True,
    )
    first = f" (the first {preset.limit}: limit={preset.limit})" if preset.limit else ""
    if not lesions:
        marks = "255 (or 1) is" if values is None else "what --lesion-values names is"
        found = f"Found {len(masks)} readable {word} masks{first}, all without one."
        if word == "training":
            remedy = f"Add lesions, or check that {marks} lesion in the masks."
        else:
            remedy = (
                "Without one the score of each epoch is 0 or 1 whatever is learned, and no best "
                "epoch can be chosen. Move images with a lesion there, or draw another split."
            )
        return [f"Expected {word} images with a lesion. {found} {remedy}"]
    if any(small_mask(each.pair.mask, preset.size, each.box, values).any() for each in lesions):
        return []
    return [
        f"Expected {word} images with a lesion. All {len(lesions)} lesions{first} are so small that"
        f" none is left at size={preset.size}. Choose a larger size, or cut the images to windows."
    ]
