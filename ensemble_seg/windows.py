"""A window of a file at the network's size, with no more pixels decoded than that needs."""

import math
from pathlib import Path

import numpy as np
from PIL import Image

from .pairing import Box, Pair
from .reading import (
    decoded,
    mask_threshold,
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
    width, height = picture.size
    is_jpeg = picture.format == "JPEG" and picture.mode in ("RGB", "L")
    if not is_jpeg or orientation(picture) != 1:
        return resize_image(rgb_pixels(picture, path), size, box)
    top, left, bottom, right = box or (0, 0, height, width)
    shorter = min(bottom - top, right - left)
    scale = next((scale for scale in SCALES if shorter >= scale * size), 1)
    if box is not None:
        picture.close()
        return _small_jpeg_window(path, size, box, scale)
    if scale > 1:
        picture.draft(picture.mode, (width // scale, height // scale))
    whole = (0, 0, width / scale, height / scale)
    picture = decoded(picture, path)
    if picture.mode != "RGB":
        picture = picture.convert("RGB")
    return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR, whole))


def small_mask(path: Path, size: int, box: Box | None = None) -> np.ndarray:
    """Read a window of a mask file, resized to the nearest pixel; halfway, either neighbour.

    Returns:
        (size, size) uint8 of 0 and 1.

    Raises:
        FileNotFoundError, ValueError: as `read_mask`.
    """
    picture = open_picture(path)
    if picture.mode != "L" or orientation(picture) != 1:
        picture = Image.fromarray(read_mask(path))
    picture = decoded(picture, path)
    threshold = mask_threshold(picture.histogram(), str(path))
    top, left, bottom, right = box or (0, 0, picture.height, picture.width)
    corners = (left, top, right, bottom)
    small = picture.resize((size, size), Image.Resampling.NEAREST, corners)
    return (np.asarray(small) >= threshold).astype("uint8")


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
