"""The contact sheet: 24 images with the outline of their mask, the ones that show most."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from .lesions import Facts

TILE, COLUMNS, NUMBER = 200, 6, 24


def choose(facts: list[Facts], also: list[int]) -> list[tuple[int, str]]:
    """Return numbers of images and why they are shown; those in `also` first."""
    lesions = [n for n, fact in enumerate(facts) if fact.share]
    kinds = (
        ("odd", list(also)[:6]),
        ("largest", sorted(lesions, key=lambda n: -facts[n].share)[:4]),
        ("smallest", sorted(lesions, key=lambda n: facts[n].share)[:4]),
        ("scattered", sorted(lesions, key=lambda n: -facts[n].parts)[:4]),
        (
            "at border",
            sorted((n for n in lesions if facts[n].border), key=lambda n: -facts[n].border)[:4],
        ),
        ("empty", [n for n, fact in enumerate(facts) if not fact.share][:2]),
        ("random", np.random.default_rng(0).permutation(len(facts)).tolist()),
    )
    shown: dict[int, str] = {}
    for why, numbers in kinds:
        for number in numbers:
            shown.setdefault(number, why)
    return list(shown.items())[:NUMBER]


def tile(image: np.ndarray, mask: np.ndarray, caption: list[str]) -> Image.Image:
    """Draw an image (H, W, 3) with the outline of its mask (H, W) and lines of text below."""
    picture = Image.fromarray(image)
    scale = (TILE - 4) / max(picture.size)
    picture = picture.resize([max(1, round(side * scale)) for side in picture.size])
    small = Image.fromarray(mask.astype("uint8") * 255).resize(picture.size, Image.Resampling.BOX)
    inside = np.asarray(small) > (127 if np.asarray(small).max() > 127 else 0)
    pixels = np.array(picture)
    edge = ndimage.binary_dilation(inside, iterations=2) ^ inside
    pixels[edge] = (0, 255, 0)
    pixels[ndimage.binary_dilation(inside) ^ inside] = (255, 0, 255)
    result = Image.new("RGB", (TILE, TILE + 42), "white")
    result.paste(
        Image.fromarray(pixels), ((TILE - picture.width) // 2, (TILE - picture.height) // 2)
    )
    draw, font = ImageDraw.Draw(result), ImageFont.load_default(11)
    for number, line in enumerate(caption):
        while draw.textlength(line, font) > TILE - 6:
            line = line[: len(line) // 2 - 1] + "…" + line[len(line) // 2 + 1 :]
        draw.text((3, TILE + 13 * number), line, "black", font)
    return result


def save(tiles: list[Image.Image], path: Path) -> None:
    """Write the tiles in rows of six as PNG."""
    rows = -(-len(tiles) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * TILE, rows * (TILE + 42)), "white")
    for number, each in enumerate(tiles):
        sheet.paste(each, (number % COLUMNS * TILE, number // COLUMNS * (TILE + 42)))
    sheet.save(path, "PNG")
