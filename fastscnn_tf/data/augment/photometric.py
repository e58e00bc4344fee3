"""The light of an augmented image: colours in any order, then what a camera does to a scene.

Shifts, gains, contrast, saturation and hue are linear in the colour, so a chain of them is one
3x3 matrix and an offset: one pass over the pixels, clipped once. Their order is drawn per image.
Night, blur, noise and JPEG follow in the order in which scene, lens, sensor and encoder add them.
The label never comes here.
"""

import math
from types import ModuleType
from typing import Any

import numpy as np

from ...core.config import FastSCNNConfig
from .augmentation import Augmentation, Draws

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as the grey of a colour
# Hue turns the chroma plane of YIQ, in which that grey stays what it is.
YIQ = np.array([LUMA, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)], np.float32)
BLUR_RADIUS = 4  # pixels; two standard deviations of the strongest blur
DIM = 0.5  # a night keeps at least this much of the light that its curve leaves


def relit(image, draws: Draws, settings: Augmentation, config: FastSCNNConfig, ops: ModuleType):
    """The image in other light, normalised.

    Args:
        image: (h, w, 3) float32 0..255.
        draws: the pair's numbers.
        settings: the strengths.
        config: gives mean and std.
        ops: `tf_ops` or `numpy_ops`.

    Returns:
        float32 of the same shape: `(x - mean) / std` of values in 0..255.
    """
    mean, std = (np.array(value, np.float32) for value in (config.mean, config.std))
    if not any(getattr(settings, name)[0] for name in ("night", "blur", "noise", "jpeg")):
        return _recolored(image, draws, settings, ops, mean, std)
    zero, one = np.zeros(3, np.float32), np.ones(3, np.float32)
    image = _photographed(_recolored(image, draws, settings, ops, zero, one), draws, settings, ops)
    return ops.scaled(image, ops.floats(1 / std), ops.floats(-mean / std))


def _photographed(image, draws: Draws, settings: Augmentation, ops: ModuleType):
    """What scene, lens, sensor and encoder do, in this order."""
    share, strength = settings.night
    night = draws.of("night")
    dark = night[0] < share
    if share:
        image = ops.when(dark, lambda: _at_night(image, night, strength, ops), lambda: image)
    image = _maybe(settings.blur, draws.of("blur"), image, _blurred, ops)
    share, strength = settings.noise
    if share:
        noise = draws.of("noise")
        # Little light means much gain, and so noise.
        noisy = (noise[0] < share) | dark if settings.night[0] else noise[0] < share
        image = ops.when(
            noisy,
            lambda: ops.clip(image + ops.normal_like(image, noise[2]) * (noise[1] * strength)),
            lambda: image,
        )
    return _maybe(settings.jpeg, draws.of("jpeg"), image, _compressed, ops)


def _maybe(setting, numbers, image, change, ops: ModuleType) -> Any:
    share, strength = setting
    if not share:
        return image
    return ops.when(
        numbers[0] < share, lambda: change(image, numbers[1], strength, ops), lambda: image
    )


def _at_night(image, numbers, strength, ops: ModuleType):
    exponent = 1.0 + numbers[1] * (strength - 1.0)
    dim = 1.0 - numbers[2] * (1.0 - DIM)
    return ops.power(image / 255.0, exponent) * (dim * 255.0)


def _blurred(image, number, strength, ops: ModuleType):
    sigma = ops.maximum(number * strength, 0.1)
    distance = ops.floats(range(-BLUR_RADIUS, BLUR_RADIUS + 1)) / sigma
    weights = ops.exp(distance * distance * -0.5)
    return ops.blur(image, weights / ops.total(weights))


def _compressed(image, number, strength, ops: ModuleType):
    return ops.jpeg(image, strength + number * (96 - strength))


def _recolored(image, draws: Draws, settings: Augmentation, ops: ModuleType, mean, std):
    """All linear changes and the normalisation as one; clipped to what was 0..255."""
    low, high = -mean / std, (np.float32(255) - mean) / std
    matrices, offsets, pivots = _changes(draws, settings, ops)
    image = ops.floats(image)
    if not matrices:
        return ops.scaled(image, ops.floats(1 / std), ops.floats(low))
    matrix, offset = _chain(image, matrices, offsets, pivots, draws, settings, ops)
    if not (settings.saturation or settings.hue):  # no channel looks at another
        matrix = ops.diagonal(matrix)
    offset = (offset - ops.floats(mean)) / ops.floats(std)
    return ops.color_transform(image, matrix / ops.floats(std), offset, low, high)


def _chain(image, matrices, offsets, pivots, draws: Draws, settings: Augmentation, ops: ModuleType):
    """One matrix and offset: each change is applied after those that the draw puts before it."""
    count = len(matrices)
    matrices, offsets, pivots = ops.stack(matrices), ops.stack(offsets), ops.stack(pivots)
    order = ops.argsort(draws.of("order")[:count])
    grey = ops.floats(LUMA)
    mean = ops.mean_color(image) if settings.contrast else grey
    matrix, offset = ops.floats(np.eye(3)), ops.floats((0.0, 0.0, 0.0))
    for slot in range(count):
        which = order[slot]
        step = ops.take(matrices, which)
        shift = ops.take(offsets, which)
        if settings.contrast:
            now = ops.matmul(mean[None], matrix)[0] + offset  # the mean as the chain leaves it
            shift = shift + ops.take(pivots, which) * ops.total(now * grey)
        matrix = ops.matmul(matrix, step)
        offset = ops.matmul(offset[None], step)[0] + shift
    return matrix, offset


def _changes(draws: Draws, settings: Augmentation, ops: ModuleType):
    """Of each change: its matrix for row vectors, its offset, and its share of the mean grey."""
    eye, zero = ops.floats(np.eye(3)), ops.floats((0.0, 0.0, 0.0))
    matrices, offsets, pivots = [], [], []

    def add(matrix, offset=zero, pivot=0.0):
        matrices.append(matrix)
        offsets.append(offset)
        pivots.append(ops.floats(pivot))

    if settings.channel_noise:
        gains = 1.0 + (draws.of("channel_noise") * 2.0 - 1.0) * settings.channel_noise
        add(eye * gains)
    if settings.brightness:
        add(eye, zero + (draws.one("brightness") * 2.0 - 1.0) * settings.brightness)
    if settings.contrast:
        factor = 1.0 + (draws.one("contrast") * 2.0 - 1.0) * settings.contrast
        add(eye * factor, zero, 1.0 - factor)
    if settings.saturation:
        factor = 1.0 + (draws.one("saturation") * 2.0 - 1.0) * settings.saturation
        grey = ops.floats(np.tile(np.array(LUMA)[:, None], (1, 3)))  # every channel its grey
        add(eye * factor + grey * (1.0 - factor))
    if settings.hue:
        add(_hue_matrix((draws.one("hue") * 2.0 - 1.0) * (settings.hue * 2.0 * math.pi), ops))
    return matrices, offsets, pivots


def _hue_matrix(angle, ops: ModuleType):
    cosine, sine = ops.cos(angle), ops.sin(angle)
    zero, one = angle * 0.0, angle * 0.0 + 1.0
    rows = [one, zero, zero], [zero, cosine, -sine], [zero, sine, cosine]
    turn = ops.stack([ops.stack(row) for row in rows])
    to, back = ops.floats(YIQ.T), ops.floats(np.linalg.inv(YIQ.astype(np.float64)).T)
    return ops.matmul(ops.matmul(to, turn), back)
