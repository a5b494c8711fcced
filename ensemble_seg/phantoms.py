"""Draws lesion images: tissue seen through an endoscope or a dermatoscope, with its mask."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import scipy
from numpy.random import Generator, default_rng
from PIL import Image

from .presets import invalid

BLOOD, MELANIN = np.array([0.25, 1.0, 0.85]), np.array([0.55, 0.85, 1.0])  # absorption of R, G, B
MUCOSA = {"colour": (0.97, 0.82, 0.74), "blood": 0.38, "wet": 1.0, "vessels": 5, "folds": 1.2}
PALE_MUCOSA = {"colour": (0.98, 0.84, 0.68), "blood": 0.2, "wet": 0.8, "vessels": 6, "folds": 1}
SKIN = {"colour": (0.95, 0.80, 0.68), "blood": 0.15, "wet": 0.1, "vessels": 1.5, "folds": 0.1}
GREY_SKIN = {"colour": (0.80, 0.74, 0.71), "blood": 0.12, "wet": 0.1, "vessels": 1, "folds": 0.2}
TISSUES = (MUCOSA, MUCOSA, MUCOSA, PALE_MUCOSA, SKIN, SKIN, GREY_SKIN)
LESIONS = ((0.1, 0.8), (0.3, 0.5), (0.6, 0.0), (-0.2, 0.0), (0, 0))  # added blood and melanin
SHARES = (0, 0.1, 0.25, 0.5, 0.75, 0.81, 0.9, 1)  # of the images have a lesion fraction below:
FRACTIONS = (0.005, 0.033, 0.059, 0.114, 0.208, 0.25, 0.319, 0.65)
EMPTY, SCENES = 1 / 40, 240  # share of images without lesion; images that share out the fractions


@dataclass(frozen=True)
class Patient:
    """What the images of one patient share; grain in pixels, light is the angle it comes from."""

    tissue: dict
    colour: np.ndarray
    hairs: float
    grain: float
    vignette: float
    light: float


def draw_patient(rng: Generator) -> Patient:
    """Draw the tissue and the camera of one patient."""
    tissue = TISSUES[rng.integers(len(TISSUES))]
    colour = tissue["colour"] * rng.normal(1, [0.02, 0.04, 0.05])
    hairs, grain, vignette, light = rng.uniform([0, 2.5, 0.1, 0], [6, 5, 0.9, 2 * np.pi])
    return Patient(tissue, colour, hairs * (tissue["wet"] < 0.5), grain, vignette, light)


def lesion_fractions(n: int, rng: Generator) -> np.ndarray:
    """Draw n lesion fractions: one in forty is 0, the others are spread as in Kvasir-SEG.

    They are 0 or from 0.005 to 0.65: one from each n-th of the distribution, shuffled.

    Example:
        >>> fractions = lesion_fractions(240, default_rng(0))
        >>> int((fractions == 0).sum()), round(float(np.median(fractions)), 2)
        (6, 0.11)
    """
    quantiles = ((np.arange(n) + rng.random(n)) / n - EMPTY) / (1 - EMPTY)
    fractions = np.exp(np.interp(quantiles, SHARES, np.log(FRACTIONS)))
    return rng.permutation(np.where(quantiles < 0, 0.0, fractions))


def draw_phantom(
    rng: Generator, fraction: float | None = None, size: int = 128, patient: Patient | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one image, (size, size, 3) uint8 RGB, and the mask of its lesions, uint8, 0 or 1.

    `fraction` is lesion pixels / all pixels, 0 for no lesion; what is None is drawn.

    Example:
        >>> image, mask = draw_phantom(default_rng(0), fraction=0.1)
        >>> image.shape, mask.shape, round(float(mask.mean()), 2)
        ((128, 128, 3), (128, 128), 0.1)
    """
    if fraction is not None and fraction != 0 and not 0.003 <= fraction <= 0.7:
        raise invalid("fraction", "0, or a number from 0.003 to 0.7", fraction)
    patient = patient or draw_patient(rng)
    mask = _blobs(rng, size, lesion_fractions(1, rng)[0] if fraction is None else fraction)
    scene = _tissue(rng, size, patient)
    _add_distractors(rng, scene, size, patient)
    if mask.any():
        _add_lesion(rng, scene, mask)
    return _photograph(rng, scene, patient), mask.astype(np.uint8)


def write_phantoms(
    folder: str | Path,
    count: int = 240,
    seed: int = 0,
    fraction: float | None = None,
    size: int = 128,
) -> Path:
    """Write `images/*.jpg`, `masks/*.png` (0 or 255) and `manifest.csv`, two images a patient.

    An image depends on `seed` and its number, not on `count`. The folder appears when complete.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     print((write_phantoms(folder, count=1) / "manifest.csv").read_text().split()[0])
        image,mask,group,fraction
    """
    folder = Path(folder).expanduser()
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"'{folder}' is not empty. Remove it, or choose another folder.")
    if folder.exists():
        folder.rmdir()
    partial = folder.with_name(f"partial-{folder.name}")
    shutil.rmtree(partial, ignore_errors=True)  # what a killed call left
    for name in ("images", "masks"):
        (partial / name).mkdir(parents=True)
    rng, rows = default_rng((seed, 0)), ["image,mask,group,fraction"]
    fractions = [f for _ in range(0, count, SCENES) for f in lesion_fractions(SCENES, rng)]
    fractions = fractions if fraction is None else [fraction] * count
    for k in range(count):
        patient = draw_patient(default_rng((seed, 1, k // 2)))
        image, mask = draw_phantom(default_rng((seed, 2, k)), fractions[k], size, patient)
        files = f"images/phantom_{k:03d}.jpg", f"masks/phantom_{k:03d}.png"
        Image.fromarray(image).save(partial / files[0], quality=92)
        Image.fromarray(255 * mask).save(partial / files[1])
        rows.append(f"{files[0]},{files[1]},patient_{k // 2:03d},{mask.mean():.4f}")
    (partial / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    partial.rename(folder)
    return folder


def _grid(size):
    return np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]


def _noise(rng, size, scale):
    """Smooth noise of mean 0 and deviation 1; scale in pixels of a 128-pixel image."""
    white = rng.standard_normal((size, size))
    return scipy.stats.zscore(scipy.ndimage.gaussian_filter(white, scale * size / 128), axis=None)


def _blobs(rng, size, fraction):
    """Mask of one to four smooth shapes that together cover `fraction` of the image."""
    y, x = (axis + 0.04 * _noise(rng, size, 10) for axis in _grid(size))
    reach = max(0.1, 0.8 - 0.9 * np.sqrt(fraction))
    shapes = []
    for _ in range(rng.choice([1, 2, 3, 4], p=[0.8, 0.1, 0.06, 0.04])):
        dy, dx = y - rng.uniform(-reach, reach), x - rng.uniform(-reach, reach)
        theta, radius = np.arctan2(dy, dx), rng.uniform(-0.5, 0)
        for k, wave in enumerate(rng.normal(0, [0.2, 0.06, 0.04, 0.025, 0.02]), 2):
            radius = radius + wave * np.cos(k * theta + rng.uniform(0, 2 * np.pi))
        shapes.append(np.hypot(dy, dx) / np.exp(radius))
    rank = np.argsort(np.argsort(np.min(shapes, axis=0), axis=None))
    return (rank < round(fraction * size**2)).reshape(size, size)


def _depth(mask):
    """Signed distance to the border of the mask in pixels of a 128-pixel image, inside positive."""
    inside, outside = map(scipy.ndimage.distance_transform_edt, (mask, ~mask))
    return scipy.ndimage.gaussian_filter(inside - outside, 1) * 128 / len(mask)


def _soft_blob(rng, size, softness):
    return scipy.special.expit(_depth(_blobs(rng, size, rng.uniform(0.02, 0.2))) / softness)


def _strand(rng, size, width, wobble, forks=0):
    """A line that wanders, thins and forks; soft edges, 0 to 1."""
    branches, stems = [], [(rng.uniform(-1, 1, 2), rng.uniform(0, 2 * np.pi), width, 250)]
    while stems:
        start, heading, width, steps = stems.pop()
        turns = heading + np.cumsum(rng.normal(0, wobble, steps))
        path = start + 0.01 * np.cumsum(np.stack([np.sin(turns), np.cos(turns)], 1), axis=0)
        taper = width * np.linspace(1, 0.5, steps)
        branches.append(np.column_stack([path, taper]))
        for fork in rng.integers(20, steps, forks if width > 0.01 else 0):
            side = turns[fork] + rng.choice([-1, 1]) * rng.uniform(0.4, 0.9)
            stems.append((path[fork], side, 0.6 * taper[fork], steps // 2))
    line = np.concatenate(branches)
    distance, nearest = scipy.spatial.cKDTree(line[:, :2]).query(np.moveaxis(_grid(size), 0, -1))
    return np.exp(-((distance / line[nearest, 2]) ** 2))


def _tissue(rng, size, patient):
    fine, coarse = _noise(rng, size, patient.grain), _noise(rng, size, 4 * patient.grain)
    blood = patient.tissue["blood"] + 0.04 * fine + 0.06 * coarse + 0.06 * _noise(rng, size, 22)
    for _ in range(rng.poisson(patient.tissue["vessels"])):
        blood += rng.uniform(0.1, 0.3) * _strand(rng, size, rng.uniform(0.018, 0.028), 0.09, 2)
    melanin = 0.05 + 0.02 * _noise(rng, size, 1) + 0.05 * _noise(rng, size, 12)
    relief, light = 0.12 * fine * patient.grain + 1.2 * coarse, 1 + 0.06 * _noise(rng, size, 30)
    return SimpleNamespace(blood=blood, melanin=melanin, relief=relief, light=light)


def _add_distractors(rng, scene, size, patient):
    """Shadows, blushes and folds: what looks like a lesion and is none."""
    for _ in range(rng.poisson(0.6)):
        scene.light *= 1 - rng.uniform(0.15, 0.45) * _soft_blob(rng, size, rng.uniform(2, 6))
    for _ in range(rng.poisson(0.6)):
        scene.blood += rng.uniform(-0.3, 0.5) * _soft_blob(rng, size, rng.uniform(1.5, 5))
    for _ in range(rng.poisson(patient.tissue["folds"])):
        scene.relief += rng.uniform(4, 9) * _strand(rng, size, rng.uniform(0.1, 0.25), 0.04)


def _add_lesion(rng, scene, mask):
    """Pits and a rim are what all lesions share; colour, strength, height and sharpness vary."""
    size, depth = len(mask), _depth(mask)
    inside = scipy.special.expit(depth / rng.uniform(0.5, 1.5))
    tint = rng.uniform(0.5, 1.1) * inside * (1 + 0.35 * _noise(rng, size, 6))
    pits, rim = inside * _noise(rng, size, 1.1), np.exp(-(((depth - 1.5) / 1.5) ** 2))
    blood, melanin = LESIONS[rng.integers(len(LESIONS))]
    scene.blood += blood * tint + 0.08 * pits + 0.2 * rim
    scene.melanin += melanin * tint + 0.1 * pits
    scene.relief += rng.uniform(0, 8) * scipy.special.expit((depth - 2) / 3) - 0.15 * pits


def _photograph(rng, scene, patient):
    """Light the scene, let wet slopes shine, cover it with hairs and bubbles, expose it."""
    size, grid = len(scene.light), _grid(len(scene.light))
    light = 0.5 * np.array([np.sin(patient.light), np.cos(patient.light)])
    facing = np.tensordot(light, np.gradient(scene.relief, 128 / size), 1)
    absorbed = np.tensordot(np.maximum([scene.blood, scene.melanin], 0), [BLOOD, MELANIN], (0, 0))
    shade = scene.light * (
        1 - patient.vignette * scipy.special.expit((np.hypot(*grid) - 1.05) / 0.12)
    )
    shade *= (1 + 0.25 * np.tensordot(light, grid, 1)) * np.clip(1 + 0.75 * facing, 0.3, 1.6)
    image = patient.colour * rng.normal(1, 0.03, 3) * np.exp(-absorbed) * shade[..., None]
    wet = facing + 0.04 * _noise(rng, size, 2)
    top = np.quantile(wet, 1 - 0.015 * rng.random() * patient.tissue["wet"])
    image += (1 - image) * 0.95 * scipy.special.expit((wet - top) / 0.016)[..., None]
    image = _cover(rng, image, patient.hairs)
    image = scipy.ndimage.gaussian_filter(image, rng.uniform(0.3, 0.7) * size / 128, axes=(0, 1))
    image += rng.normal(0, rng.uniform(0.008, 0.02), image.shape)
    return np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)


def _cover(rng, image, hairs):
    (y, x), size = _grid(len(image)), len(image)
    for _ in range(rng.poisson(hairs)):
        hair = rng.uniform(0.6, 0.95) * _strand(rng, size, rng.uniform(0.01, 0.016), 0.04)
        image += (rng.choice([0.1, 0.1, 0.1, 0.75]) - image) * hair[..., None]
    for _ in range(rng.poisson(0.8)):
        radius, row, column = rng.uniform([0.04, -1, -1], [0.13, 1, 1])
        away = np.hypot(y - row, x - column) / radius
        ring = np.exp(-(((away - 1) / 0.15) ** 2)) * (1 - 0.5 * (y - row) / radius)
        image *= (1 + 0.25 * ring - 0.1 * (away < 1))[..., None]
    smear = _soft_blob(rng, size, 6)[..., None] * rng.choice([0, 0.7], p=[0.8, 0.2])
    return image + smear * (0.1 + 0.9 * scipy.ndimage.gaussian_filter(image, (3, 3, 0)) - image)
