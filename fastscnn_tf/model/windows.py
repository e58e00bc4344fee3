"""Where PyTorch's windows lie: adaptive pooling, and padding of strided convolutions."""

from __future__ import annotations

from ..core.sizes import Size

Pads = tuple[tuple[int, int], tuple[int, int]]


def adaptive_windows(length: int, bins: int) -> list[tuple[int, int]]:
    """(start, stop) of each of `bins` windows over `length` cells; exact for any length.

    Example:
        >>> adaptive_windows(7, 3)
        [(0, 3), (2, 5), (4, 7)]
    """
    return [(i * length // bins, -(-(i + 1) * length // bins)) for i in range(bins)]


def explicit_pads(size: Size, stride: int, padding: str) -> tuple[Pads | None, str]:
    """What to pad a map with by hand, and the padding that is left for a 3x3 convolution to do.

    Args:
        size: (height, width) of the map.
        stride: of the convolution.
        padding: `same`, `symmetric` or `valid`, as in `FastSCNNConfig.stem_padding`.
    """
    pads = symmetric_pads(size, stride) if padding == "symmetric" else None
    if pads is not None:
        return pads, "valid"
    return None, "same" if padding == "symmetric" else padding


def pads_to(size: Size, target: Size) -> Pads:
    """Rows at the bottom and columns on the right that bring a map to a larger size."""
    return (0, target[0] - size[0]), (0, target[1] - size[1])


def symmetric_pads(size: Size, stride: int) -> Pads | None:
    """Zeros around a map for a 3x3 convolution that pads 1 on each side, as PyTorch code has it.

    What lies beyond the last window is left out.

    Returns:
        ((top, bottom), (left, right)), or None where TensorFlow's `same` puts the same zeros: at
        stride 1, and at stride 2 where both sides are odd.

    Example:
        >>> symmetric_pads((224, 480), 2)
        ((1, 0), (1, 0))
    """
    odd = size[0] % 2, size[1] % 2
    return None if stride == 1 or all(odd) else ((1, odd[0]), (1, odd[1]))
