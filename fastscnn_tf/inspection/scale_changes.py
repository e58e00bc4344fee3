"""Why each QUANTIZE and DEQUANTIZE is in a graph."""

from __future__ import annotations

import dataclasses

from ..tflite.graph import Graph, Op, Tensor

KINDS = ("QUANTIZE", "DEQUANTIZE")
# Operations that take their inputs only at their output's scale.
ONE_SCALE = ("CONCATENATION", "RESIZE_BILINEAR", "MAX_POOL_2D", "PAD", "STRIDED_SLICE", "RESHAPE")


@dataclasses.dataclass(frozen=True)
class End:
    """A tensor at one end of a scale change; scale 0 without quantization."""

    tensor: int
    dtype: str
    scale: float
    zero_point: int


@dataclasses.dataclass(frozen=True)
class ScaleChange:
    """One QUANTIZE or DEQUANTIZE.

    Attributes:
        op: its index.
        kind: QUANTIZE or DEQUANTIZE.
        source, target: what it reads and writes.
        reason: what it is for.
    """

    op: int
    kind: str
    source: End
    target: End
    reason: str


def scale_changes(graph: Graph) -> tuple[ScaleChange, ...]:
    """All of a graph, in order."""
    writers = {index: op for op in graph.ops for index in op.outputs}
    readers: dict[int, list[Op]] = {}
    for op in graph.ops:
        for index in set(op.inputs):
            readers.setdefault(index, []).append(op)
    changes = []
    for op in graph.ops:
        source, target = graph.input(op, 0), graph.output(op)
        if op.kind in KINDS and source is not None and target is not None:
            before, after = writers.get(source.index), readers.get(target.index, [])
            reason = _reason(graph, source, target, before, after)
            changes.append(ScaleChange(op.index, op.kind, _end(source), _end(target), reason))
    return tuple(changes)


def _end(tensor: Tensor) -> End:
    scale = tensor.scales[0] if len(tensor.scales) == 1 else 0.0
    zero = tensor.zero_points[0] if len(tensor.zero_points) == 1 else 0
    return End(tensor.index, tensor.dtype, scale, zero)


def _reason(
    graph: Graph, source: Tensor, target: Tensor, before: Op | None, after: list[Op]
) -> str:
    if source.constant:
        return f"{source.dtype} weights are widened to {target.dtype} when the file is loaded"
    old, new = _end(source), _end(target)
    end = "the graph's output" if target.index in graph.outputs else ""
    end = "the graph's input" if source.index in graph.inputs else end
    shift = abs(old.zero_point - new.zero_point) if old.scale == new.scale else None
    if old.dtype != new.dtype:
        kinds = f"{old.dtype} to {new.dtype}"
        how = "the same values 128 apart" if shift == 128 else "another representation"
        return f"{kinds} at {end}: {how}" if end else f"{kinds} between two parts of the graph"
    if shift == 0:
        return "changes nothing: same scale and zero point"
    if new.dtype == "int8" and new.zero_point == -128 and old.zero_point > -128:
        return f"cuts off what is below 0, as a RELU behind {_kind(before)} would"
    names = sorted({f"{op.kind} {op.index}" for op in after if op.kind in ONE_SCALE})
    if names:
        return f"brings {_kind(before)} to the one scale that {', '.join(names)} works at"
    return f"brings {_kind(before)} to the range that {_kinds(after)} was quantized for"


def _kind(op: Op | None) -> str:
    return f"{op.kind} {op.index}" if op else "the input"


def _kinds(ops: list[Op]) -> str:
    return ", ".join(f"{op.kind} {op.index}" for op in ops[:3]) or "the output"
