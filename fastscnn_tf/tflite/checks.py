"""What LiteRT does not check in a file and then aborts at, or reads outside its memory for.

Found by running mutated files; no list of this kind is ever whole, so that what passes is still
tried out in a process of its own (`trial`). A small overrun may do no harm there and another here.
"""

from __future__ import annotations

import math

from .graph import OPTIONAL, Graph, Op, Tensor

# Inputs that an operation must have; further ones may be left out.
_NEEDED = {
    **dict.fromkeys(("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "PRELU"), 2),
    **dict.fromkeys(("SQUARED_DIFFERENCE", "POW", "FLOOR_DIV", "BATCH_MATMUL"), 2),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"), 2),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "PAD", "MIRROR_PAD"), 2),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"), 2),
    **dict.fromkeys(("TRANSPOSE", "ARG_MAX", "ARG_MIN", "GATHER", "SPLIT", "TILE"), 2),
    **dict.fromkeys(("TRANSPOSE_CONV", "SLICE", "PADV2", "SPLIT_V"), 3),
    "STRIDED_SLICE": 4,
}
# Place of the bias, and the dimension of the kernel that it must be as long as.
_BIAS = {
    "CONV_2D": (2, 0),
    "DEPTHWISE_CONV_2D": (2, 3),
    "FULLY_CONNECTED": (2, 0),
    "TRANSPOSE_CONV": (3, 0),
}
_SCALED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "ADD", "SUB", "MUL")
_RANGES = {"int8": (-128, 127), "uint8": (0, 255)}
SMALLEST = 2.0**-126  # below, float32 has no full precision, and XNNPACK no kernel
# ADD and SUB compute with so many bits below the larger input's step (kernels/add.cc, sub.cc).
_SHIFT = {"int8": 20, "uint8": 20, "int16": 15}


def why_not(graph: Graph) -> str:
    """Why LiteRT must not be given a file; empty if there is nothing to say against it."""
    for tensor in graph.tensors:
        if reason := _wrong_scales(tensor):
            return f"tensor {tensor.index} {reason}"
    written: set[int] = set(graph.inputs)
    for op in graph.ops:
        if any(index in written or graph.tensors[index].constant for index in op.outputs):
            return f"operation {op.index} ({op.kind}) writes where something is already"
        written.update(op.outputs)
        if reason := _wrong_inputs(graph, op) or _wrong_bias(graph, op) or _no_scale(graph, op):
            return f"operation {op.index} ({op.kind}) {reason}"
    return ""


def _wrong_scales(tensor: Tensor) -> str:
    scales, zeros = tensor.scales, tensor.zero_points
    for scale in scales:
        # A channel without any weight may have the scale 0, but no range that values are put into.
        lowest = 0.0 if tensor.constant else SMALLEST
        if not (math.isfinite(scale) and scale >= lowest):
            return f"has the scale {scale:g}, which must be above 0"
    first, last = _RANGES.get(tensor.dtype, (-math.inf, math.inf))
    if not all(first <= zero <= last for zero in zeros):
        return f"is {tensor.dtype} with a zero point outside"
    if len(scales) != len(zeros):
        return f"has {len(scales)} scales, but {len(zeros)} zero points"
    if len(scales) > 1:
        length = tensor.shape[tensor.axis] if 0 <= tensor.axis < len(tensor.shape) else 0
        if length != len(scales):
            return f"has {len(scales)} scales for {length} channels"
    return ""


def _wrong_inputs(graph: Graph, op: Op) -> str:
    count = _NEEDED.get(op.kind, 1)
    if len(op.inputs) < count or not op.outputs:
        return f"has {len(op.inputs)} inputs and {len(op.outputs)} outputs, too few"
    needed = op.inputs if op.kind in ("CONCATENATION", "PACK") else op.inputs[:count]
    return "lacks an input" if op.kind in _NEEDED and OPTIONAL in needed else ""


def _wrong_bias(graph: Graph, op: Op) -> str:
    place, axis = _BIAS.get(op.kind, (0, 0))
    bias, kernel = graph.input(op, place), graph.input(op, 1)
    if not place or bias is None or kernel is None:
        return ""
    channels = kernel.shape[axis] if axis < len(kernel.shape) else 0
    if bias.elements == channels:
        return ""
    return f"has a bias of {bias.elements} numbers for {channels} channels"


def _no_scale(graph: Graph, op: Op) -> str:
    if op.kind not in _SCALED:
        return ""
    ports = [graph.input(op, 0), graph.input(op, 1), graph.output(op)]
    tensors = [tensor for tensor in ports if tensor is not None]
    for tensor in tensors:
        if tensor.dtype in _RANGES and not tensor.scales:
            return f"computes with tensor {tensor.index}, which has no scale"
    shift = _SHIFT.get(tensors[-1].dtype)
    if op.kind in ("ADD", "SUB") and shift and all(tensor.scales for tensor in tensors):
        first, second, result = (tensor.scales[0] for tensor in tensors)
        if 2 * max(first, second) >= 2**shift * result or min(first, second) <= 0:
            return f"brings scales of {first:g} and {second:g} to {result:g}, which it cannot"
    return ""
