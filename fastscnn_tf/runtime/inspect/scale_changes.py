"""Why each QUANTIZE and DEQUANTIZE is in a graph."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..tflite_graph import Graph, Op, Tensor

KINDS = ("QUANTIZE", "DEQUANTIZE")
# Operations that take their inputs only at their output's scale.
ONE_SCALE = ("CONCATENATION", "RESIZE_BILINEAR", "MAX_POOL_2D", "PAD", "STRIDED_SLICE", "RESHAPE")


@dataclasses.dataclass(frozen=True)
class ScaleChange:
    """One QUANTIZE or DEQUANTIZE.

    Attributes:
        op: its index.
        kind: QUANTIZE or DEQUANTIZE.
        source, target: (tensor index, dtype, scale, zero point); scale 0 without quantization.
        reason: what it is for.
    """

    op: int
    kind: str
    source: tuple[int, str, float, int]
    target: tuple[int, str, float, int]
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        names = ("tensor", "dtype", "scale", "zero_point")
        return {
            "op": self.op,
            "kind": self.kind,
            "source": dict(zip(names, self.source, strict=True)),
            "target": dict(zip(names, self.target, strict=True)),
            "reason": self.reason,
        }


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


def _end(tensor: Tensor) -> tuple[int, str, float, int]:
    scale = tensor.scales[0] if len(tensor.scales) == 1 else 0.0
    zero = tensor.zero_points[0] if len(tensor.zero_points) == 1 else 0
    return tensor.index, tensor.dtype, scale, zero


def _reason(
    graph: Graph, source: Tensor, target: Tensor, before: Op | None, after: list[Op]
) -> str:
    if source.constant:
        return f"{source.dtype} weights are widened to {target.dtype} when the file is loaded"
    (_, was, scale, zero), (_, now, new_scale, new_zero) = _end(source), _end(target)
    kinds = f"{was} to {now}"
    if source.index in graph.inputs:
        end = "the graph's input"
    elif target.index in graph.outputs:
        end = "the graph's output"
    else:
        end = ""
    if was != now:
        same = scale == new_scale and abs(zero - new_zero) == 128
        how = "the same values 128 apart" if same else "another representation"
        return f"{kinds} at {end}: {how}" if end else f"{kinds} between two parts of the graph"
    if scale == new_scale and zero == new_zero:
        return "changes nothing: same scale and zero point"
    if now == "int8" and new_zero == -128 and zero > -128:
        return f"cuts off what is below 0, as a RELU behind {_kind(before)} would"
    names = sorted({f"{op.kind} {op.index}" for op in after if op.kind in ONE_SCALE})
    if names:
        return f"brings {_kind(before)} to the one scale that {', '.join(names)} works at"
    return f"brings {_kind(before)} to the range that {_kinds(after)} was quantized for"


def _kind(op: Op | None) -> str:
    return f"{op.kind} {op.index}" if op else "the input"


def _kinds(ops: list[Op]) -> str:
    return ", ".join(f"{op.kind} {op.index}" for op in ops[:3]) or "the output"
