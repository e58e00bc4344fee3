"""Adaptive pooling windows, as in PyTorch's `AdaptiveAvgPool2d`."""

from __future__ import annotations


def adaptive_windows(length: int, bins: int) -> list[tuple[int, int]]:
    """(start, stop) of each of `bins` windows over `length` cells; exact for any length.

    Example:
        >>> adaptive_windows(7, 3)
        [(0, 3), (2, 5), (4, 7)]
    """
    return [(i * length // bins, -(-(i + 1) * length // bins)) for i in range(bins)]
