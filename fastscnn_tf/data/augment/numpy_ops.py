"""The operations that augmentation is written in, in NumPy and Pillow: `tf_ops` without TensorFlow.

Resizing follows `tf.image.resize` (half-pixel centres, no antialiasing), turning follows
`ImageProjectiveTransformV3`.
"""

import io
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from ...core.images.decoding import open_image
from ...core.sizes import Size

floor, round_, cos, sin = np.floor, np.round, np.cos, np.sin
minimum, maximum, where, argsort = np.minimum, np.maximum, np.where, np.argsort
power, exp, matmul, reverse_columns = np.power, np.exp, np.matmul, np.fliplr
bytes_, peak, total, nonzero, diagonal = np.uint8, np.max, np.sum, np.flatnonzero, np.diagonal
take, pair_of = operator.getitem, tuple  # rows by their indices; the two elements of (2,)


def stack(values: list[Any]) -> np.ndarray:
    """Scalars or arrays of one shape as one float32 array."""
    return np.stack([np.asarray(value, np.float32) for value in values])


def floats(x: Any) -> np.ndarray:
    """As float32."""
    return np.asarray(x, np.float32)


def integers(x: Any) -> np.ndarray:
    """As int32, towards zero."""
    return np.asarray(x).astype(np.int32)


def concat(parts: list[np.ndarray]) -> np.ndarray:
    """Joined on the last axis."""
    return np.concatenate(parts, -1)


def extent(x: np.ndarray) -> np.ndarray:
    """(height, width) as float32."""
    return np.array(x.shape[:2], np.float32)


def mean_color(image: np.ndarray) -> np.ndarray:
    """(3,) float32."""
    return image.mean((0, 1), dtype=np.float32)


def when(condition: Any, then: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
    """One of two results."""
    return then() if condition else otherwise()


def first(count: int, make: Callable[[Any], Any], accept: Callable[[Any], Any]) -> Any:
    """The first of `count` candidates that is accepted, else the last one."""
    candidate = make(0)
    for i in range(1, count):
        if accept(candidate):
            break
        candidate = make(i)
    return candidate


def class_counts(label: np.ndarray) -> np.ndarray:
    """(256,) pixels of each value."""
    return np.bincount(label.reshape(-1), minlength=256)


def pixels_of(label: np.ndarray, value: object) -> np.ndarray:
    """(n, 2) int positions of a value, row by row."""
    return np.argwhere(label == value)


def one_of(values: np.ndarray, draw: Any) -> Any:
    """A row of `values`, chosen by a number in [0, 1)."""
    return values[min(int(draw * np.float32(len(values))), len(values) - 1)]


def crop(x: np.ndarray, start: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Rows and columns from `start`, `size` of them."""
    (top, left), (height, width) = start, size
    return x[top : top + height, left : left + width]


def pad(x: np.ndarray, before: np.ndarray, size: Size, value: object) -> np.ndarray:
    """Framed to `size` with a value."""
    if x.shape[:2] == tuple(size):
        return x
    result = np.empty((*size, *x.shape[2:]), x.dtype)
    result[:] = value
    top, left = before
    result[top : top + x.shape[0], left : left + x.shape[1]] = x
    return result


def resize_bilinear(image: np.ndarray, size: Any) -> np.ndarray:
    """As `tf.image.resize(image, size)`: half-pixel centres, edges repeated, no antialiasing.

    Args:
        image: (h, w, channels), any numeric dtype.
        size: (height, width).

    Returns:
        (*size, channels) float32.

    Example:
        >>> resize_bilinear(np.array([[[0], [4]]], np.uint8), (1, 4))[0, :, 0]
        array([0., 1., 3., 4.], dtype=float32)
    """
    height, width, channels = image.shape
    lines = image.reshape(height, width * channels).astype(np.float32)
    if height != size[0]:
        lines = _between(lines, *_neighbours(height, int(size[0])))
    rows = lines.reshape(-1, width, channels)
    return rows if width == size[1] else _between(rows, *_neighbours(width, int(size[1])), axis=1)


def _between(
    x: np.ndarray, low: np.ndarray, high: np.ndarray, weight: np.ndarray, axis: int = 0
) -> np.ndarray:
    result, other = x.take(low, axis), x.take(high, axis)
    other -= result
    other *= weight[:, None]
    result += other
    return result


def _positions(source: int, target: int) -> np.ndarray:
    """Centres of the target's cells in cells of the source, rounded as TensorFlow rounds them."""
    scale = np.float32(source) / np.float32(target)
    return (np.arange(target, dtype=np.float32) + np.float32(0.5)) * scale


def _neighbours(source: int, target: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower and upper neighbour of every target cell, and the share of the upper one."""
    position = _positions(source, target) - np.float32(0.5)
    low = np.floor(position)
    high = np.minimum(np.ceil(position), source - 1)
    return np.maximum(low, 0).astype(np.intp), high.astype(np.intp), position - low


def resize_nearest(label: np.ndarray, size: Any) -> np.ndarray:
    """As `tf.image.resize(label, size, "nearest")`.

    Args:
        label: (h, w) uint8 class indices.
        size: (height, width).

    Example:
        >>> resize_nearest(np.array([[1, 2]], np.uint8), (1, 4))
        array([[1, 1, 2, 2]], dtype=uint8)
    """
    rows, columns = (
        np.minimum(_positions(source, int(target)).astype(np.intp), source - 1)
        for source, target in zip(label.shape, size, strict=True)
    )
    return label.take(rows, 0).take(columns, 1)


def warp_image(image: np.ndarray, transform: np.ndarray, size: Size, color: Any) -> np.ndarray:
    """Bilinear: cell (x, y) shows the image at `transform` = (a, b, c, d, e, f) applied to it.

    Args:
        image: (h, w, 3).
        transform: source x = a x + b y + c, source y = d x + e y + f.
        size: (height, width) of the result.
        color: what lies outside.

    Returns:
        (*size, 3) float32.
    """
    x, y = _source(transform, size)
    framed = np.empty((image.shape[0] + 4, image.shape[1] + 4, 3), np.float32)
    framed[:] = color
    framed[2:-2, 2:-2] = image
    x, y = np.clip(x + 2, 0, framed.shape[1] - 2), np.clip(y + 2, 0, framed.shape[0] - 2)
    left, top = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    right, below = (x - left)[..., None], (y - top)[..., None]
    upper = framed[top, left] * (1 - right) + framed[top, left + 1] * right
    lower = framed[top + 1, left] * (1 - right) + framed[top + 1, left + 1] * right
    return upper * (1 - below) + lower * below


def warp_label(label: np.ndarray, transform: np.ndarray, size: Size, value: int) -> np.ndarray:
    """`warp_image` for a label map: nearest."""
    x, y = (np.floor(v + np.float32(0.5)).astype(np.intp) for v in _source(transform, size))
    height, width = label.shape
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    found = label[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
    return np.where(inside, found, np.uint8(value))


def _source(transform: np.ndarray, size: Size) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    a, b, c, d, e, f = transform
    return a * x + b * y + c, d * x + e * y + f


def color_transform(
    image: np.ndarray, matrix: np.ndarray, offset: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """`image @ matrix + offset` for every pixel, clipped to `low`..`high` of each channel.

    Of a diagonal matrix the diagonal will do: the same to the bit, and quicker.
    """
    alone = matrix.ndim == 1
    result = image * matrix if alone else (image.reshape(-1, 3) @ matrix).reshape(image.shape)
    result += offset
    return np.clip(result, low, high, out=result)


def scaled(image: np.ndarray, factor: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """`image * factor + offset`, both (3,)."""
    return image * factor + offset


def clip(image: np.ndarray) -> np.ndarray:
    """To 0..255."""
    return np.clip(image, 0, 255)


def blur(image: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """Both axes weighted by an odd number of taps; edges mirrored."""
    radius = len(taps) // 2
    mode: Any = "reflect" if min(image.shape[:2]) > radius else "edge"
    for axis in (0, 1):
        widths = [(radius, radius) if a == axis else (0, 0) for a in range(3)]
        wide = np.pad(image, widths, mode)
        parts = (wide.take(range(i, i + image.shape[axis]), axis) for i in range(len(taps)))
        image = np.asarray(sum(tap * x for tap, x in zip(taps, parts, strict=True)), np.float32)
    return image


def normal_like(image: np.ndarray, seed: Any) -> np.ndarray:
    """Standard normal numbers from a number in [0, 1)."""
    random = np.random.default_rng(int(seed * np.float32(1 << 24)))
    return random.standard_normal(image.shape, np.float32)


def jpeg(image: np.ndarray, quality: Any) -> np.ndarray:
    """Compressed and decompressed, float32 0..255."""
    buffer = io.BytesIO()
    pixels = Image.fromarray(np.clip(np.rint(image), 0, 255).astype(np.uint8))
    pixels.save(buffer, "JPEG", quality=int(quality))
    return np.asarray(open_image(buffer.getvalue(), "JPEG"), np.float32)


def box_mask(size: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """(height, width) bool, true from `start` up to `stop`."""
    rows, columns = np.arange(int(size[0]))[:, None], np.arange(int(size[1]))[None]
    inside = (rows >= start[0]) & (rows < stop[0])
    return inside & (columns >= start[1]) & (columns < stop[1])


def replaced(batch: np.ndarray, index: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """A batch with other rows at some places."""
    batch = batch.copy()
    batch[index] = rows
    return batch


def lookup(table: np.ndarray, label: np.ndarray) -> np.ndarray:
    """`table[label]` for each batch entry: table (B, n), label (B, H, W)."""
    flat = label.reshape(len(label), label.shape[1] * label.shape[2])
    return np.take_along_axis(table, flat, 1).reshape(label.shape)
