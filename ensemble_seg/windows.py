"""A window of a file at the network's size, with no more pixels decoded than that needs."""

import math
from pathlib import Path

import numpy as np
from PIL import Image

from .pairing import Box, Pair
from .reading import (
    THRESHOLD,
    decoded,
    lesion_threshold,
    open_picture,
    orientation,
    read_image,
    read_mask,
    rgb_pixels,
    unreadable,
)

SCALES = (8, 4, 2, 1)
RIM = 2
Window = tuple[float, float, float, float]


def read_window(pair: Pair, box: Box | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Read the image and the mask of a pair at their own size, cut to a box if there is one.

    Returns:
        (H, W, 3) uint8 RGB and (H, W) uint8 of 0 and 1.
    """
    image, mask = read_image(pair.image), read_mask(pair.mask)
    if box is None:
        return image, mask
    top, left, bottom, right = box
    return image[top:bottom, left:right], mask[top:bottom, left:right]


def small_pair(pair: Pair, box: Box | None, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Read a window of a pair at the network's size: see `small_image` and `small_mask`."""
    return small_image(pair.image, size, box), small_mask(pair.mask, size, box)


def small_image(path: Path, size: int, box: Box | None = None) -> np.ndarray:
    """Read a window of an image file, resized with anti-aliasing.

    A large JPEG is decoded at 1/2, 1/4 or 1/8 of its size where that leaves at least `size` pixels
    on each side of the window, and of a window no more than the window is decoded.

    Args:
        path: any image that `read_image` reads.
        size: side of the result, pixels.
        box: the window, None for the whole image.

    Returns:
        (size, size, 3) uint8 RGB.

    Raises:
        FileNotFoundError, ValueError: as `read_image`.
    """
    picture = open_picture(path)
    if not _is_plain_jpeg(picture):
        return resize_image(rgb_pixels(picture, path), size, box)
    scale = _scale(picture, size, box)
    if box is not None:
        picture.close()
        return _small_jpeg_window(path, size, box, scale)
    corners = _draft(picture, picture.mode, scale, box)
    picture = decoded(picture, path)
    if picture.mode != "RGB":
        picture = picture.convert("RGB")
    return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR, corners))


def small_mask(path: Path, size: int, box: Box | None = None) -> np.ndarray:
    """Read a window of a mask file, resized to the nearest pixel; halfway, either neighbour.

    A large JPEG is decoded at a reduced size, as images are: there a pixel is lesion where most of
    the block that it stands for is. Whether such a mask has two classes `check_pairs` has to say.

    Returns:
        (size, size) uint8 of 0 and 1.

    Raises:
        FileNotFoundError, ValueError: as `read_mask`.
    """
    picture = open_picture(path)
    scale = 1
    if _is_plain_jpeg(picture):
        scale = _scale(picture, size, box)
    elif picture.mode != "L" or orientation(picture) != 1:
        picture = Image.fromarray(read_mask(path))
    corners = _draft(picture, "L", scale, box)
    picture = decoded(picture, path)
    grey = np.asarray(picture)
    if scale == 1:
        threshold = lesion_threshold(grey, str(path))
    else:
        threshold = 1 if grey.max(initial=0) <= 1 else THRESHOLD + 1
    small = picture.resize((size, size), Image.Resampling.NEAREST, corners)
    return (np.asarray(small) >= threshold).view("uint8")


def resize_image(image: np.ndarray, size: int, window: Window | None = None) -> np.ndarray:
    """Resize an image, or a window of it, bilinear with anti-aliasing.

    Args:
        image: (H, W, 3) uint8.
        size: side of the result, pixels.
        window: top, left, bottom, right in pixels; need not be whole numbers.

    Returns:
        (size, size, 3) uint8.
    """
    top, left, bottom, right = window or (0, 0, *image.shape[:2])
    y, x = int(top), int(left)  # cut first: Pillow's filter would reach beyond the window
    picture = Image.fromarray(image[y : math.ceil(bottom), x : math.ceil(right)])
    corners = (left - x, top - y, right - x, bottom - y)
    return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR, corners))


def _is_plain_jpeg(picture: Image.Image) -> bool:
    return picture.format == "JPEG" and picture.mode in ("RGB", "L") and orientation(picture) == 1


def _scale(picture: Image.Image, size: int, box: Box | None) -> int:
    """Return the largest reduction that leaves `size` pixels on each side of the window."""
    top, left, bottom, right = box or (0, 0, picture.height, picture.width)
    shorter = min(bottom - top, right - left)
    return next((scale for scale in SCALES if shorter >= scale * size), 1)


def _draft(picture: Image.Image, mode: str, scale: int, box: Box | None) -> Window:
    """Let an opened JPEG be decoded at 1/scale; return the window's corners, as Pillow has them."""
    width, height = picture.size
    if picture.format == "JPEG":
        picture.draft(mode, (width // scale, height // scale))
    top, left, bottom, right = box or (0, 0, height, width)
    return left / scale, top / scale, right / scale, bottom / scale


def _small_jpeg_window(path: Path, size: int, box: Box, scale: int) -> np.ndarray:
    import tensorflow as tf

    top, left, bottom, right = (side / scale for side in box)
    with open_picture(path) as picture:
        height, width = -(-picture.height // scale), -(-picture.width // scale)
    y, x = max(0, int(top) - RIM), max(0, int(left) - RIM)
    y_end, x_end = min(height, math.ceil(bottom) + RIM), min(width, math.ceil(right) + RIM)
    try:
        pixels = tf.io.decode_and_crop_jpeg(
            Path(path).read_bytes(),
            [y, x, y_end - y, x_end - x],
            channels=3,
            ratio=scale,
            dct_method="INTEGER_ACCURATE",
        )
    except tf.errors.InvalidArgumentError as error:
        raise unreadable(path, str(error).splitlines()[0]) from error
    return resize_image(pixels.numpy(), size, (top - y, left - x, bottom - y, right - x))
