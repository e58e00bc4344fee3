"""Augmentation of (image, label map) pairs in NumPy, for training without TensorFlow.

The same drawn numbers give the same pair as `augment.augment_drawn`: the arithmetic is float32 in
the same order, and the resizes follow `tf.image.resize` (half-pixel centres, no antialiasing).
"""

from __future__ import annotations

import numpy as np

from ..core.config import FastSCNNConfig
from ..core.labels import IGNORE
from ..core.sizes import Size
from .augment import Augmentation


def augment_drawn_numpy(
    image: np.ndarray,
    label: np.ndarray,
    draw: np.ndarray,
    settings: Augmentation,
    config: FastSCNNConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """Augments one pair to the training size.

    Args:
        image: (h, w, 3) uint8 RGB.
        label: (h, w) uint8 class indices.
        draw: (DRAWS,) float32 in [0, 1), as for `augment_drawn`.
        settings: the strengths.
        config: gives the crop size and the padding colour (its mean).

    Returns:
        float32 image in 0..255 and uint8 label, both of `config.input_size`; padding is the mean
        in the image and 255 in the label.
    """
    place = draw[1:3]
    image, label, shown = _visible(image, label, draw[0], place, settings.scale, config.input_size)
    top, left = _before(shown, place, config.input_size)
    inside = np.s_[top : top + shown[0], left : left + shown[1]]
    padded_image = np.empty((*config.input_size, 3), np.float32)
    padded_label = np.full(config.input_size, IGNORE, np.uint8)
    if shown != tuple(config.input_size):
        padded_image[:] = config.mean
    padded_image[inside] = resize_bilinear(image, shown)
    padded_label[inside] = resize_nearest(label, shown)
    if settings.flip and draw[3] < 0.5:
        padded_image, padded_label = padded_image[:, ::-1], padded_label[:, ::-1]
    return _light(padded_image, draw, settings), padded_label


def _visible(
    image: np.ndarray,
    label: np.ndarray,
    draw: np.float32,
    place: np.ndarray,
    scale: tuple[float, float],
    size: Size,
) -> tuple[np.ndarray, np.ndarray, Size]:
    """The part of a pair that the crop will show, and the size it will have there."""
    full, extent = np.array(size, np.float32), np.array(label.shape, np.float32)
    factor = np.float32(scale[0]) + draw * np.float32(scale[1] - scale[0])
    window = np.minimum(np.round(full / factor), extent)
    start = np.minimum(np.floor(place * (extent - window + 1)), extent - window)
    shown = np.minimum(np.round(window * factor), full)
    (top, left), (height, width) = start.astype(int), window.astype(int)
    part = np.s_[top : top + height, left : left + width]
    return image[part], label[part], (int(shown[0]), int(shown[1]))


def _before(shown: Size, place: np.ndarray, size: Size) -> Size:
    """Rows of padding above and columns to the left."""
    missing = np.array(size) - shown
    before = np.minimum(((missing + 1).astype(np.float32) * place).astype(int), missing)
    return int(before[0]), int(before[1])


def _light(image: np.ndarray, draw: np.ndarray, settings: Augmentation) -> np.ndarray:
    """Brightness and channel noise, in place."""
    shift = (draw[4] * 2 - 1) * np.float32(settings.brightness)
    gain = 1 + (draw[5:8] * 2 - 1) * np.float32(settings.channel_noise)
    image *= gain
    image += shift
    return np.clip(image, 0, 255, out=image)


def resize_bilinear(image: np.ndarray, size: Size) -> np.ndarray:
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
        lines = _between(lines, *_neighbours(height, size[0]))
    rows = lines.reshape(size[0], width, channels)
    return rows if width == size[1] else _between(rows, *_neighbours(width, size[1]), axis=1)


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


def resize_nearest(label: np.ndarray, size: Size) -> np.ndarray:
    """As `tf.image.resize(label, size, "nearest")`.

    Args:
        label: (h, w) uint8 class indices.
        size: (height, width).

    Example:
        >>> resize_nearest(np.array([[1, 2]], np.uint8), (1, 4))
        array([[1, 1, 2, 2]], dtype=uint8)
    """
    rows, columns = (
        np.minimum(_positions(source, target).astype(np.intp), source - 1)
        for source, target in zip(label.shape, size, strict=True)
    )
    return label.take(rows, 0).take(columns, 1)
