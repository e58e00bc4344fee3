"""Memory that a graph needs at least, from when its tensors live."""

from __future__ import annotations

from .graph import WEIGHT_ALIGNMENT, Graph

# Bytes that TFLite Micro keeps on a 64-bit machine for each tensor, operation and scale.
TENSOR_BYTES, OP_BYTES, SCALE_BYTES, FIXED_BYTES = 24, 160, 4, 400


def arena_lower_bound(graph: Graph) -> int:
    """Bytes of the tensors that are alive together, at the worst moment.

    A tensor lives from the operation that writes it to the last that reads it; the graph's inputs
    live from the start, its outputs to the end. An interpreter that keeps the tensors of an
    operation in memory cannot do with less. It needs more: alignment, gaps, scratch memory of
    kernels. Constants stay in the file and do not count.
    """
    changes = [0] * (len(graph.ops) + 2)
    for start, end, size in _lives(graph):
        changes[start] += size
        changes[end + 1] -= size
    alive = peak = 0
    for change in changes:
        alive += change
        peak = max(peak, alive)
    return peak


def micro_arena(graph: Graph) -> int:
    """About the bytes of TFLite Micro's arena on a 64-bit machine; 0 where it has no kernels.

    Tensors are placed as its planner does, the largest first, of equal ones the last, each into the
    lowest gap among those that live at the same time. What it keeps besides of operations, tensors
    and channels is estimated: on a chip, whose pointers have half the size, it is less.
    """
    if beyond_micro(graph):
        return 0
    placed: list[tuple[int, int, int, int]] = []  # address, end, birth, death
    for start, end, size in sorted(_lives(graph), key=lambda life: life[2])[::-1]:
        address = 0
        for low, high, birth, death in sorted(placed):
            if birth <= end and start <= death:
                if low - address >= size:
                    break
                address = max(address, high)
        aligned = -(-size // WEIGHT_ALIGNMENT) * WEIGHT_ALIGNMENT
        placed.append((address, address + aligned, start, end))
    planned = max((high for _, high, _, _ in placed), default=0)
    scales = sum(len(graph.tensors[i].scales) for op in graph.ops for i in op.inputs if i >= 0)
    kept = TENSOR_BYTES * len(graph.tensors) + OP_BYTES * len(graph.ops) + SCALE_BYTES * scales
    return planned + kept + FIXED_BYTES


def beyond_micro(graph: Graph) -> str:
    """What TFLite Micro has no kernel for: weights of float16, or of int8 among floats; or ""."""
    for op in graph.ops:
        inputs = [graph.tensors[i] for i in op.inputs if i >= 0]
        weights = {tensor.dtype for tensor in inputs if tensor.constant}
        mixed = "int8" in weights and any(
            tensor.dtype == "float32" and not tensor.constant for tensor in inputs
        )
        if mixed or "float16" in weights:
            return f"{op.kind} of {'int8 weights among floats' if mixed else 'float16 weights'}"
    return ""


def _lives(graph: Graph) -> list[tuple[int, int, int]]:
    """Of each tensor outside the file: the operations between which it lives, and its bytes.

    In the order of their indices.
    """
    first: dict[int, int] = dict.fromkeys(graph.inputs, 0)
    last: dict[int, int] = dict.fromkeys(graph.inputs, 0)
    for op in graph.ops:
        for index in (*op.outputs, *op.inputs):
            if index >= 0:
                first.setdefault(index, op.index)
                last[index] = op.index
    last.update(dict.fromkeys(graph.outputs, len(graph.ops)))
    return [
        (start, max(last[index], start), graph.tensors[index].bytes)
        for index, start in sorted(first.items())
        if not graph.tensors[index].constant
    ]
