"""Masks in memory, and image files with their masks, as many and as large as a row needs."""

from pathlib import Path

import numpy as np


def ellipses(count: int, side: int, seed: int = 0) -> np.ndarray:
    """Return masks (count, side, side), uint8 of 0 and 1, with one ellipse in each."""
    rng = np.random.default_rng(seed)
    rows, columns = np.ogrid[:side, :side]
    masks = np.zeros((count, side, side), "uint8")
    for mask in masks:
        y, x = rng.uniform(0.1, 0.9, 2) * side
        height, width = rng.uniform(0.02, 0.35, 2) * side
        mask[:] = ((rows - y) / height) ** 2 + ((columns - x) / width) ** 2 < 1
    return masks


def draw_pairs(
    folder: Path, size: tuple[int, int], pairs: int, noise: float, mask_ending: str, distinct: int
) -> int:
    """Write phantoms as JPEG images with their masks, then links to them.

    Args:
        folder: images/ and masks/ are made in it.
        size: height and width, pixels.
        pairs: of files; beyond the distinct ones they are links.
        noise: of the camera, grey values.
        mask_ending: .jpg or .png.
        distinct: files that are drawn.

    Returns:
        Mean bytes of an image.
    """
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for number in range(pairs):
        image = folder / "images" / f"{number:06d}.jpg"
        mask = folder / "masks" / f"{number:06d}{mask_ending}"
        if number < distinct:
            _draw_pair(image, mask, size, noise, number)
        else:
            for file in (image, mask):
                file.symlink_to(f"{number % distinct:06d}{file.suffix}")
    drawn = sorted((folder / "images").iterdir())[:distinct]
    return int(np.mean([file.stat().st_size for file in drawn]))


def _draw_pair(image: Path, mask: Path, size: tuple[int, int], noise: float, seed: int) -> None:
    from PIL import Image

    from ensemble_seg import draw_phantom

    rng = np.random.default_rng(seed)
    pixels, lesion = draw_phantom(rng)[:2]
    large = Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BICUBIC)
    noisy = np.asarray(large) + rng.normal(0, noise, (*size, 1)).astype("float32")
    Image.fromarray(noisy.clip(0, 255).astype("uint8")).save(image, quality=90)
    grey = Image.fromarray(lesion * np.uint8(255))
    grey.resize(size[::-1], Image.Resampling.NEAREST).save(mask, quality=90)
