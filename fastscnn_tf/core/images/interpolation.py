"""Bilinear interpolation as one matrix per axis."""

from __future__ import annotations

import functools

import numpy as np


@functools.lru_cache(maxsize=64)
def interpolation_matrix(source: int, target: int, aligned: bool = False) -> np.ndarray:
    """(target, source) float32: linear interpolation of one axis, edges repeated.

    Args:
        source: cells to read.
        target: cells to make.
        aligned: the first and last cells' centres fall onto each other (`align_corners`), instead
            of half-pixel centres. Positions are then float32, as in every runtime.

    Example:
        >>> interpolation_matrix(2, 4)[1]
        array([0.75, 0.25], dtype=float32)
        >>> interpolation_matrix(2, 3, aligned=True)[1]
        array([0.5, 0.5], dtype=float32)
    """
    if aligned:
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
