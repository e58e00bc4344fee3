"""Multiply-accumulates of each operation, exact, from shapes.

Every tap of a kernel counts at every output, those on the padding of SAME too, as is usual (and as
`model.complexity` counts); `on_padding` says how many of them multiply a padded zero, so that
counts of other conventions can be compared. `on_filling` are taps that are 0 in every filter, as
where an export rearranges a kernel and fills it up: without them it is the network's own count.
Pooling, resizing, adding and scale changes count 0.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from .graph import Graph, Op, Tensor
from .op_options import SAME

MAX_TAPS = 65_536  # a larger kernel side is not a real one


@dataclasses.dataclass(frozen=True)
class Macs:
    """Multiply-accumulates of one run.

    Attributes:
        total: of all taps.
        on_padding: those of `total` that meet the padding.
        on_filling: those of `total` whose weight is 0 in every filter of a CONV_2D, where other
            places of the same channel are not (a channel without any weight is a dead one).
    """

    total: int = 0
    on_padding: int = 0
    on_filling: int = 0


def count_macs(graph: Graph, op: Op) -> Macs:
    """Counts one operation; dimensions that the file does not fix count as 1."""
    shapes = [_shape(graph, op, place) for place in range(3)]
    output = graph.output(op)
    if output is None:
        return Macs()
    x, weights = shapes[0], shapes[1]
    y = tuple(max(size, 1) if size < 0 else size for size in output.shape)
    if op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D") and len(x) == len(weights) == len(y) == 4:
        channels = weights[3] if op.kind == "CONV_2D" else 1
        taps = [_taps(op, axis, x, weights, y) for axis in (1, 2)]
        depth = y[0] * y[3] * channels
        total = depth * math.prod(y[1:3]) * math.prod(weights[1:3])
        filling = _filling(graph.input(op, 1)) if op.kind == "CONV_2D" else 0
        return Macs(total, total - depth * math.prod(taps), math.prod(y) * filling)
    if op.kind == "TRANSPOSE_CONV" and len(weights) == 4:
        return Macs(math.prod(shapes[2]) * math.prod(weights[:3]))
    if op.kind == "FULLY_CONNECTED" and len(weights) == 2:
        return Macs(math.prod(y) * weights[1])
    if op.kind == "BATCH_MATMUL" and len(x) >= 2:
        return Macs(math.prod(y) * x[-2 if op.options["adjoint_x"] else -1])
    if op.kind == "CONV_3D" and len(weights) == 5:
        return Macs(math.prod(y) * math.prod(weights[:4]))
    return Macs()


def _shape(graph: Graph, op: Op, place: int) -> tuple[int, ...]:
    tensor = graph.input(op, place)
    return tuple(1 if size < 0 else size for size in tensor.shape) if tensor else ()


def _filling(weights: Tensor | None) -> int:
    """Places of a kernel (filters, height, width, channels) that only fill it up."""
    if weights is None or weights.dtype not in ("int8", "float32"):
        return 0
    if not weights.constant or weights.sparse or weights.dynamic:
        return 0
    values = np.frombuffer(weights.data, np.dtype(weights.dtype)).reshape(weights.shape)
    used: np.ndarray = np.any(values, axis=0)  # (height, width, channels)
    return int(np.sum(~used & np.any(used, axis=(0, 1))))


def _taps(
    op: Op, axis: int, x: tuple[int, ...], weights: tuple[int, ...], y: tuple[int, ...]
) -> int:
    """Taps along one axis that lie inside the input, summed over the outputs."""
    side, size, kernel = y[axis], x[axis], weights[axis]
    letter = "h" if axis == 1 else "w"
    stride = max(int(op.options[f"stride_{letter}"]), 1)
    dilation = max(int(op.options[f"dilation_{letter}"]), 1)
    if op.options["padding"] != SAME or kernel > MAX_TAPS:
        return side * kernel
    before = max((side - 1) * stride + (kernel - 1) * dilation + 1 - size, 0) // 2
    inside = 0
    for tap in range(kernel):
        shift = before - tap * dilation  # output i reads position i * stride - shift
        first = max(-(-shift // stride), 0)
        last = min((size - 1 + shift) // stride, side - 1)
        inside += max(last - first + 1, 0)
    return inside
