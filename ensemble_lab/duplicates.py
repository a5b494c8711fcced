"""Images that appear in a data set twice: the same file, or the same scene a moment later."""

from itertools import product
from typing import NamedTuple

import numpy as np
from scipy import fft, ndimage

from ensemble_seg.reading import resize_image

SIDE, TILE, SHIFT = 64, 16, 6  # pixels
DARK = 30
COARSE, WHOLE, SIMILAR = 0.53, 0.26, 0.62
IMAGES_AT_ONCE, NEIGHBOURS = 500, 10
LEAST_GROUND = 0.05


class Near(NamedTuple):
    """Two images that show nearly the same, by their numbers, and how similar they are (0..1)."""

    first: int
    second: int
    similarity: float


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Cut the dark border off an image (H, W, 3) uint8 and return what `near_duplicates` needs.

    Without the border a full screen shot and its cut-out look alike. 128 x 128 pixels are enough.

    Returns:
        (64, 64) uint8, grey, 0 where the image is dark.
    """
    bright = image.max(axis=-1) > DARK
    sides = [np.flatnonzero(bright.mean(axis) > 0.1) for axis in (1, 0)]
    corners = [(side[0], side[-1] + 1) for side in sides if len(side) > 8]
    window = tuple(np.transpose(corners).ravel()) if len(corners) == 2 else None
    small = resize_image(image, SIDE, window)
    return np.where(small.max(axis=-1) > DARK, small.mean(axis=-1), 0).astype("uint8")


def near_duplicates(thumbnails: np.ndarray) -> list[Near]:
    """Find the pairs of images that show the same scene.

    Brightness is compared with its surroundings, so that neither light nor the black frame of an
    endoscope counts: first the coarse structure of all pairs; then, for at most 10 candidates an
    image, the finer one of the whole, and of 16 tiles each of which may have moved by up to 6
    pixels of 64. Images without structure are never near duplicates.

    The threshold was chosen by eye on 899 images of Kvasir-SEG. The highest value of different
    scenes was 0.50 there, 0.59 in ISIC, 0.58 in the phantoms, 0.78 in LGG: all brains are alike.

    Args:
        thumbnails: (N, 64, 64) uint8 from `thumbnail`.

    Returns:
        Pairs, the most similar first.
    """
    if len(thumbnails) < 2:
        return []
    candidates, found = _candidates(thumbnails), []
    detail = _structure(thumbnails, 5, 2, 0.6)
    for start in range(0, len(candidates), IMAGES_AT_ONCE):
        edges = candidates[start : start + IMAGES_AT_ONCE]
        first, second = detail[edges[:, 0]], detail[edges[:, 1]]
        likely = _best_shift(first, second) >= WHOLE
        values = _tiles_alike(first[likely], second[likely]).tolist()
        found += [Near(*edge, v) for edge, v in zip(edges[likely].tolist(), values, strict=True)]
    alike = (near for near in found if near.similarity >= SIMILAR)
    return sorted(alike, key=lambda near: -near.similarity)


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
    result = np.zeros(thumbnails.shape, "float32")
    for number, grey in enumerate(thumbnails):
        inside = ndimage.minimum_filter(grey > 0, 2 * rim + 1, mode="nearest")
        if inside.mean() >= LEAST_GROUND and np.ptp(grey[inside]) >= 4:
            result[number] = _contrast(grey, inside.astype("float32"), sigma, smooth)
    return result


def _contrast(grey: np.ndarray, ground: np.ndarray, sigma: float, smooth: float) -> np.ndarray:
    def blurred(values: np.ndarray, width: float) -> np.ndarray:
        blur = ndimage.gaussian_filter
        return blur(values * ground, width) / (blur(ground, width) + 1e-3)

    difference = blurred(grey, smooth)
    difference = (difference - blurred(difference, sigma)) * ground
    # 4 grey values keep noise on plain ground from counting as structure.
    deviation = np.sqrt(blurred(difference**2, 2 * sigma)) + 4
    contrast = np.clip(difference / deviation, -2.5, 2.5) * ground
    return contrast / max(float(np.linalg.norm(contrast)), 1e-6)


def _best_shift(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the highest correlation of each two within `SHIFT` pixels in either direction."""
    size = [fft.next_fast_len(SIDE + SHIFT, real=True)] * 2
    maps = fft.irfft2(fft.rfft2(first, size) * fft.rfft2(second, size).conj(), size)
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
    seen = (best > -1).sum(axis=1)
    mean = np.where(best > -1, best, 0).sum(axis=1) / np.maximum(seen, 1)
    return np.where(seen >= 4, mean, 0)


def _tile_sums(values: np.ndarray) -> np.ndarray:
    tiles = values.reshape(len(values), SIDE // TILE, TILE, SIDE // TILE, TILE)
    return tiles.sum(axis=(2, 4)).reshape(len(values), (SIDE // TILE) ** 2)
