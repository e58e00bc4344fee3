"""Memory that a graph needs at least, from when its tensors live."""

from __future__ import annotations

from .graph import Graph


def arena_lower_bound(graph: Graph) -> int:
    """Bytes of the tensors that are alive together, at the worst moment.

    A tensor lives from the operation that writes it to the last that reads it; the graph's inputs
    live from the start, its outputs to the end. An interpreter that keeps the tensors of an
    operation in memory cannot do with less. It needs more: alignment, gaps, scratch memory of
    kernels. Constants stay in the file and do not count.
    """
    first: dict[int, int] = dict.fromkeys(graph.inputs, 0)
    last: dict[int, int] = dict.fromkeys(graph.inputs, 0)
    for op in graph.ops:
        for index in op.outputs:
            first.setdefault(index, op.index)
            last[index] = op.index
        for index in op.inputs:
            if index >= 0:
                first.setdefault(index, op.index)
                last[index] = op.index
    last.update(dict.fromkeys(graph.outputs, len(graph.ops)))
    changes = [0] * (len(graph.ops) + 2)
    for index, start in first.items():
        tensor = graph.tensors[index]
        if not tensor.constant:
            changes[start] += tensor.bytes
            changes[max(last[index], start) + 1] -= tensor.bytes
    alive = peak = 0
    for change in changes:
        alive += change
        peak = max(peak, alive)
    return peak
