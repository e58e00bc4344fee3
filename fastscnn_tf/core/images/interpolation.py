"""Interpolation as one matrix per axis."""

import functools
from collections.abc import Sequence

import numpy as np

# Where an interpolation reads: linearly between half-pixel centres; linearly where the first and
# last cells' centres fall onto each other (`align_corners`); or the nearest of half-pixel centres.
HALF_PIXEL, ALIGNED, NEAREST = "half_pixel", "aligned", "nearest"


def sampling_of(resize: str, align_corners: Sequence[str], nearest: Sequence[str]) -> str:
    """How the resize of that name finds its cells, as a network's configuration says."""
    if resize in nearest:
        return NEAREST
    return ALIGNED if resize in align_corners else HALF_PIXEL


@functools.lru_cache(maxsize=64)
def interpolation_matrix(source: int, target: int, sampling: str = HALF_PIXEL) -> np.ndarray:
    """(target, source) float32: interpolation of one axis, edges repeated.

    Args:
        source: cells to read.
        target: cells to make.
        sampling: `HALF_PIXEL`, `ALIGNED` or `NEAREST`. The positions of the latter two are float32,
            as in every runtime.

    Example:
        >>> interpolation_matrix(2, 4)[1]
        array([0.75, 0.25], dtype=float32)
        >>> interpolation_matrix(2, 3, ALIGNED)[1]
        array([0.5, 0.5], dtype=float32)
    """
    if sampling == NEAREST:
        scale = np.float32(source) / np.float32(target)
        position = np.floor((np.arange(target, dtype=np.float32) + np.float32(0.5)) * scale)
    elif sampling == ALIGNED:
        scale = np.float32(source - 1) / np.float32(max(target - 1, 1))
        position = np.arange(target, dtype=np.float32) * scale
    else:
        position = (np.arange(target) + 0.5) * source / target - 0.5
    low = np.floor(position).astype(int)
    weight = (position - low).astype(np.float32)
    matrix = np.zeros((target, source), np.float32)
    rows = np.arange(target)
    np.add.at(matrix, (rows, np.clip(low, 0, source - 1)), 1 - weight)
    np.add.at(matrix, (rows, np.clip(low + 1, 0, source - 1)), weight)
    return matrix
