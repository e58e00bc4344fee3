"""Where windows lie: of the pyramid's poolings, and PyTorch's padding of strided convolutions."""

from __future__ import annotations

from ..core.config import FastSCNNConfig
from ..core.sizes import Size

Pads = tuple[tuple[int, int], tuple[int, int]]
Spans = list[tuple[int, int]]  # (start, stop) of windows along one axis
Windows = tuple[Spans, Spans]  # of rows and of columns


def pooling_windows(size: Size, config: FastSCNNConfig) -> list[Windows]:
    """The windows of each of the pyramid's poolings over a map, as `pyramid_pooling` says."""
    kind, bins = config.pyramid_pooling, config.pyramid_bins
    if kind == "adaptive":
        return [(adaptive_windows(size[0], n), adaptive_windows(size[1], n)) for n in bins]
    sides = config.pyramid_windows or [(size[0] // n, size[1] // n) for n in bins]
    pairs = [(side, side) if isinstance(side, int) else side for side in sides]
    high, wide = size
    whole = kind == "ceil"
    return [(even_windows(high, a, whole), even_windows(wide, b, whole)) for a, b in pairs]


def is_whole(windows: Windows, size: Size) -> bool:
    """Whether there is one window, over the whole map."""
    return windows == ([(0, size[0])], [(0, size[1])])


def even_windows(length: int, side: int, whole: bool = False) -> Spans:
    """Windows of one side next to each other, which is made 1..`length`.

    Args:
        length: cells.
        side: of the windows, as they are asked for.
        whole: what no window is left for is in smaller ones at the ends (TensorFlow's `same`);
            else it is dropped.

    Example:
        >>> even_windows(8, 3), even_windows(8, 3, whole=True)
        ([(0, 3), (3, 6)], [(0, 3), (3, 6), (6, 8)])
    """
    side = max(1, min(side, length))
    count = -(-length // side) if whole else length // side
    first = -((count * side - length) // 2) if whole else 0
    starts = [first + i * side for i in range(count)]
    return [(max(start, 0), min(start + side, length)) for start in starts]


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
