"""Pillow's images as arrays: upright, as RGB, and a large one part by part."""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image
from PIL.Image import Transpose

STRIP = 1 << 21  # pixels that are converted at once: a large image is not held several times
# fmt: off
_UPRIGHT = {  # by EXIF's orientation
    2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE, 6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
# fmt: on
_ORIENTATION = 0x0112  # the tag of EXIF


def to_rgb(image: Image.Image) -> np.ndarray:
    """Converts any Pillow image to (H, W, 3) uint8 RGB, upright."""
    image.load()
    turn = _UPRIGHT.get(orientation_of(image))
    if turn is not None:
        image = image.transpose(turn)
    if image.mode.startswith("I") or image.mode == "F":
        with np.errstate(invalid="ignore", over="ignore"):  # of NaN and infinity
            return in_strips(image, _grey_as_rgb(image))
    return in_strips(image, _rgb_pixels)


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation of an image: 1 is upright, 2 to 8 are turned or mirrored."""
    with contextlib.suppress(Exception):  # a broken EXIF block is not a reason to refuse the pixels
        found = image.getexif().get(_ORIENTATION, 1)
        return found if found in _UPRIGHT else 1
    return 1


def turned(label: np.ndarray, orientation: int) -> np.ndarray:
    """(H, W) uint8 turned as `to_rgb` turns an image of this orientation."""
    turn = _UPRIGHT.get(orientation)
    return label if turn is None else np.asarray(Image.fromarray(label).transpose(turn))


def _rgb_pixels(image: Image.Image) -> np.ndarray:
    if image.mode in ("LA", "RGBA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _grey_as_rgb(image: Image.Image) -> Callable[[Image.Image], np.ndarray]:
    """How an image of integers or floats becomes RGB: its largest value decides."""
    largest = np.inf
    if not image.mode.startswith("I;16"):
        largest = max(_numbers(strip).max(initial=0) for strip in _strips(image))
    # 65535 -> 255; floating-point images usually range from 0 to 1.
    divisor = 257.0 if largest > 255 else 1.0
    factor = 255.0 if image.mode == "F" and largest <= 1 else 1.0

    def convert(strip: Image.Image) -> np.ndarray:
        values = _numbers(strip)
        values /= divisor
        values *= factor
        grey = np.clip(np.rint(values, out=values), 0, 255, out=values).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)

    return convert


def _numbers(image: Image.Image) -> np.ndarray:
    return np.nan_to_num(np.asarray(image).astype(np.float64))


def _strips(image: Image.Image) -> Iterator[Image.Image]:
    """An image from top to bottom, in parts that are small enough to be converted."""
    width, height = image.size
    rows = max(1, STRIP // width)
    if rows >= height:
        yield image
        return
    for top in range(0, height, rows):
        yield image.crop((0, top, width, min(height, top + rows)))


def in_strips(
    image: Image.Image, convert: Callable[[Image.Image], np.ndarray] = np.asarray
) -> np.ndarray:
    """An image as an array, converted part by part.

    Args:
        image: decoded.
        convert: from a part, some rows high, to its array.
    """
    parts = (convert(strip) for strip in _strips(image))
    first = next(parts)
    if len(first) == image.size[1]:
        return first
    result = np.empty((image.size[1], *first.shape[1:]), first.dtype)
    result[: len(first)] = first
    row = len(first)
    for part in parts:
        result[row : row + len(part)] = part
        row += len(part)
    return result
