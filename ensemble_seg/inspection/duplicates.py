"""Images that appear in a data set twice: the same file, or the same scene a moment later."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import scipy

from ..reading.images import resize_image
from ..reading.pairs import Pair

SIDE = 64
DARK = 30
COARSE, WHOLE, SIMILAR = 0.53, 0.26, 0.62
SHIFT = 6
IMAGES_AT_ONCE, NEIGHBOURS = 500, 10
TILE = 16
LEAST_GROUND = 0.05


class Near(NamedTuple):
    """Two images that show nearly the same, by their numbers, and how similar they are (0..1)."""

    first: int
    second: int
    similarity: float


def same_files(hashes: Iterable[str]) -> list[tuple[int, ...]]:
    """Return the numbers of the files that share a hash; files without one ("") are passed over.

    Example:
        >>> same_files(["a", "b", "", "a", ""])
        [(0, 3)]
    """
    numbers = defaultdict(list)
    for number, digest in enumerate(hashes):
        if digest:
            numbers[digest].append(number)
    return [tuple(same) for same in numbers.values() if len(same) > 1]


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Cut the dark border off a small image and return it as `near_duplicates` needs it.

    Without the border a full screen shot and its cut-out look alike.

    Args:
        image: (H, W, 3) uint8 RGB, 128 x 128 say.

    Returns:
        (64, 64) uint8, grey, 0 where the image is dark.
    """
    bright = image.max(axis=-1) > DARK
    sides = [np.flatnonzero(bright.mean(axis) > 0.1) for axis in (1, 0)]
    corners = [(side[0], side[-1] + 1) for side in sides if len(side) > 8]
    window = tuple(np.transpose(corners).ravel()) if len(corners) == 2 else None
    small = resize_image(image, SIDE, window)
    return np.where(small.max(axis=-1) > DARK, small.mean(axis=-1), 0).astype("uint8")


def near_duplicates(thumbnails: np.ndarray, similar: float = SIMILAR) -> list[Near]:
    """Find the pairs of images that show the same scene.

    Brightness is compared with its surroundings, so that neither light nor the black frame that
    all images of an endoscope share counts. First the coarse structure, for all pairs in blocks of
    500 images; then, for at most 10 candidates an image, the finer structure: of the whole, then
    of 16 tiles each of which may have moved by up to 6 pixels of 64 on its own. Images without
    structure, or with less than 5 % of their area away from the dark, are never near duplicates.

    The threshold was chosen by eye on 899 images of Kvasir-SEG: all 18 pairs above it show one
    scene (repeated frames, screen shots and their cut-outs, a camera that moved a little). Of the
    11 next ones (0.46 to 0.57) three or four do. The highest values of different scenes were 0.50
    there, 0.59 in ISIC, 0.58 in the phantoms, 0.78 in LGG, where all brains are alike.

    Args:
        thumbnails: (N, 64, 64) uint8 from `thumbnail`.
        similar: least mean correlation of the tiles, 0..1.

    Returns:
        Pairs, the most similar first.
    """
    if len(thumbnails) < 2:
        return []
    candidates = _candidates(thumbnails)
    used, where = np.unique(candidates, return_inverse=True)
    detail, where = _structure(thumbnails[used], 5, 2, 0.6), where.reshape(candidates.shape)
    found = []
    for start in range(0, len(candidates), IMAGES_AT_ONCE):
        chosen = slice(start, start + IMAGES_AT_ONCE)
        first, second = (detail[side] for side in where[chosen].T)
        likely = _best_shift(first, second) >= WHOLE
        values = _tiles_alike(first[likely], second[likely])
        found += [
            Near(int(one), int(other), float(value))
            for (one, other), value in zip(candidates[chosen][likely], values, strict=True)
            if value >= similar
        ]
    return sorted(found, key=lambda near: -near.similarity)


def group_duplicates(pairs: Sequence[Pair], near: Iterable[Sequence]) -> list[Pair]:
    """Give images that show the same a common group, so that a split keeps them together.

    Args:
        pairs: with the groups so far. Whole groups are joined, under the name of the first.
        near: what to join: two numbers of pairs first, anything behind them.

    Example:
        >>> pairs = [Pair(name, name, name) for name in "abcd"]
        >>> [pair.group for pair in group_duplicates(pairs, [(3, 1), (1, 0)])]
        ['a', 'a', 'c', 'a']
    """
    groups = list(dict.fromkeys(pair.group for pair in pairs))
    number = {group: index for index, group in enumerate(groups)}
    ends = [[number[pairs[index].group] for index in edge[:2]] for edge in near]
    if not ends:
        return list(pairs)
    graph = scipy.sparse.coo_matrix((np.ones(len(ends)), np.transpose(ends)), [len(groups)] * 2)
    _, labels = scipy.sparse.csgraph.connected_components(graph)
    names = dict(zip(labels[::-1], groups[::-1], strict=True))  # the first group of each wins
    return [pair.in_group(names[labels[number[pair.group]]]) for pair in pairs]


def _candidates(thumbnails: np.ndarray) -> np.ndarray:
    """Return (M, 2) numbers of the pairs whose coarse structure is alike."""
    coarse = _structure(thumbnails, 2, 8, 2.5)[:, ::2, ::2].reshape(len(thumbnails), -1)
    coarse = coarse / np.maximum(np.linalg.norm(coarse, axis=1, keepdims=True), 1e-6)
    found = [np.empty((0, 2), int)]
    for start in range(0, len(coarse), IMAGES_AT_ONCE):
        alike = coarse[start : start + IMAGES_AT_ONCE] @ coarse[start:].T
        alike[np.tril_indices(len(alike), m=alike.shape[1])] = 0
        kept = min(NEIGHBOURS, alike.shape[1])
        best = np.argpartition(alike, -kept, axis=1)[:, -kept:]
        rows, places = np.nonzero(np.take_along_axis(alike, best, axis=1) > COARSE)
        found.append(np.stack([rows, best[rows, places]], axis=1) + start)
    return np.concatenate(found)


def _structure(thumbnails: np.ndarray, rim: int, sigma: float, smooth: float) -> np.ndarray:
    """Return brightness against its surroundings, (N, 64, 64) float32 of norm 1 or 0.

    Pixels up to `rim` around what is dark are left out, `sigma` is that of the surroundings and
    `smooth` that of what is taken for noise.
    """
    result = np.empty(thumbnails.shape, "float32")
    for number, grey in enumerate(thumbnails):
        inside = scipy.ndimage.minimum_filter(grey > 0, 2 * rim + 1, mode="nearest")
        ground = inside.astype("float32")
        result[number] = _contrast(grey * ground, ground, sigma, smooth)
    return result


def _contrast(grey: np.ndarray, ground: np.ndarray, sigma: float, smooth: float) -> np.ndarray:
    if ground.mean() < LEAST_GROUND or np.ptp(grey[ground > 0]) < 4:
        return np.zeros_like(grey)

    def blurred(values: np.ndarray, width: float) -> np.ndarray:
        blur = scipy.ndimage.gaussian_filter
        return blur(values * ground, width) / (blur(ground, width) + 1e-3)

    difference = blurred(grey, smooth)
    difference = (difference - blurred(difference, sigma)) * ground
    # 4 grey values keep noise on plain ground from counting as structure.
    deviation = np.sqrt(blurred(difference**2, 2 * sigma)) + 4
    contrast = np.clip(difference / deviation, -2.5, 2.5) * ground
    return contrast / max(float(np.linalg.norm(contrast)), 1e-6)


def _best_shift(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the highest correlation of each two within `SHIFT` pixels in either direction."""
    size = scipy.fft.next_fast_len(SIDE + SHIFT, real=True)
    spectra = [scipy.fft.rfft2(values, (size, size)) for values in (first, second)]
    maps = scipy.fft.irfft2(spectra[0] * spectra[1].conj(), (size, size))
    near = np.r_[-SHIFT : SHIFT + 1]
    return maps[:, near[:, None], near].max(axis=(1, 2), initial=0)


def _tiles_alike(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the mean over tiles of the highest correlation within `SHIFT` pixels."""
    padded = np.pad(second, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT)))
    best = np.full((len(first), (SIDE // TILE) ** 2), -1.0)
    energy = _tile_sums(first**2)
    for down, right in product(range(2 * SHIFT + 1), repeat=2):
        moved = padded[:, down : down + SIDE, right : right + SIDE]
        norms = np.sqrt(np.maximum(energy * _tile_sums(moved**2), 1e-20))
        shared = _tile_sums((first != 0) & (moved != 0)) >= TILE**2 / 2
        best = np.maximum(best, np.where(shared, _tile_sums(first * moved) / norms, -1))
    seen = best > -1
    enough = seen.sum(axis=1) >= 4
    return np.where(
        enough, np.where(seen, best, 0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1), 0
    )


def _tile_sums(values: np.ndarray) -> np.ndarray:
    tiles = values.reshape(len(values), SIDE // TILE, TILE, SIDE // TILE, TILE)
    return tiles.sum(axis=(2, 4)).reshape(len(values), (SIDE // TILE) ** 2)
