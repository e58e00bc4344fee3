"""How an int8 network takes raw bytes, whatever its normalisation.

An int8 input has one scale and one zero point. Bytes stand for (byte - centre) / 128; mean and
std go into the first kernel and its bias, which is exact. What is left is the border: padding is
the normalised zero, and that is the mean colour, not the grid's zero. So the image is framed by
the mean colour, rounded to bytes, before a first convolution that does not pad. The rounding is
less than half a grey level, and in the outermost cells only.

A constant fourth channel that carries the means in weights of its own would be exact at the
border, but costs half as much again of the first convolution, and rounds the means to int8
everywhere.
"""

from __future__ import annotations

import numpy as np

from ..core.config import FastSCNNConfig
from ..core.errors import ConfigError
from ..core.sizes import Size
from .windows import Pads, symmetric_pads

STEP = 1.0 / 128.0
FIRST = "learning_to_downsample.conv"


def centre(config: FastSCNNConfig) -> float:
    """The byte that is zero: the common mean if it is a byte, else the middle."""
    mean = config.mean[0]
    common = len(set(config.mean)) == 1 and mean == int(mean) and 0 <= mean <= 255
    return mean if common else 128.0


def byte_range(config: FastSCNNConfig) -> tuple[float, float]:
    """The range whose int8 grid holds every byte exactly."""
    return -centre(config) * STEP, (255.0 - centre(config)) * STEP


def border_colour(config: FastSCNNConfig) -> np.ndarray | None:
    """The mean colour (3,) on the grid of bytes, or None where that is zero.

    Raises:
        ConfigError: the mean is not a colour.
    """
    mean = np.rint(config.mean)
    if mean.min() < 0 or mean.max() > 255:
        raise ConfigError(f"int8 needs a mean within 0..255, got {config.mean}")
    colour = ((mean - centre(config)) * STEP).astype(np.float32)
    return colour if colour.any() else None


def byte_weights(
    kernel: np.ndarray, bias: np.ndarray, config: FastSCNNConfig
) -> tuple[np.ndarray, np.ndarray]:
    """The first layer for bytes instead of normalised images.

    Args:
        kernel: (kh, kw, 3, out).
        bias: (out,).
        config: gives mean and std.
    """
    std, mean = np.asarray(config.std), np.asarray(config.mean)
    shift = (kernel * ((centre(config) - mean) / std)[:, None]).sum((0, 1, 2))
    scaled = kernel * (1.0 / STEP / std)[:, None]
    return scaled.astype(np.float32), (bias + shift).astype(np.float32)


def frame_pads(size: Size, padding: str) -> Pads | None:
    """Rows and columns that the first convolution (3x3, stride 2) would pad an even size with."""
    if padding == "valid":
        return None
    return symmetric_pads(size, 2) if padding == "symmetric" else ((0, 1), (0, 1))
