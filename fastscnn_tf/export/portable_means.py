"""int8 means as depthwise convolutions, so that every CPU computes the same bytes.

A mean of 6 or 10 values often lies half-way between two steps, and 1/6 is not a float32. XNNPACK's
MEAN then rounds one way on Arm and the other way on x86 (measured with ai-edge-litert 2.3.0:
Cortex-A53, A72 and A76 agree, x86 with SSE4, AVX2 and AVX-512 agree, and the two part in 2 of 100
values of such means, and behind them in 1 class of 100 at 1/8). A convolution with a scale for each
channel rounds the same everywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .edits import Editor


def means_to_convolutions(edit: Editor) -> None:
    """Turns int8 means of 2 k values on their input's own grid into depthwise convolutions.

    Means of an odd number are never half-way and stay. The numbers are those of the mean, half-way
    ones rounded to an even distance from the zero point.
    """
    made: dict[tuple[Any, ...], tuple[int, int]] = {}
    axes: set[int] = set()
    for op in edit.graph.operators:
        window = _window(edit, op) if edit.kind(op) == "MEAN" else None
        if window is None or window[0] * window[1] % 2:
            continue
        source = edit.graph.tensors[op.inputs[0]]
        key = (*window, int(source.shape[3]), float(source.quantization.scale[0]))
        if key not in made:
            made[key] = _ones(edit, *key)
        axes.add(int(op.inputs[1]))
        op.inputs = [op.inputs[0], *made[key]]
        options = edit.step_by_step(edit.schema.DepthwiseConv2DOptionsT())
        options.depthMultiplier = 1
        edit.turn_into(op, "DEPTHWISE_CONV_2D", 3, options)
    edit.drop_unused(axes)


def _window(edit: Editor, op: Any) -> tuple[int, int] | None:
    """(height, width) of what a mean with equal int8 grids at both ends is of; None for others."""
    source, result = (edit.graph.tensors[index] for index in (op.inputs[0], op.outputs[0]))
    int8 = edit.schema.TensorType.INT8
    if source.type != int8 or result.type != int8 or _grid(source) != _grid(result):
        return None
    (batch, high, wide, depth), shape = map(int, source.shape), [int(x) for x in result.shape]
    for window in ((high, 1), (1, wide), (high, wide)):
        if shape == [batch, high // window[0], wide // window[1], depth]:
            return window
    return None


def _grid(tensor: Any) -> tuple[list[float], list[int]]:
    return [*tensor.quantization.scale], [*tensor.quantization.zeroPoint]


def _ones(edit: Editor, high: int, wide: int, depth: int, scale: float) -> tuple[int, int]:
    """Filter and bias whose convolution is the mean: ones, each worth 1 / their number."""
    name, step = f"mean_{high}x{wide}_of_{depth}", np.full(depth, 1 / (high * wide))
    ones = np.ones((1, high, wide, depth), np.int8)
    filters = edit.constant(f"{name}.ones", ones, step, axis=3)
    zeros = np.zeros(depth, np.int32)
    return filters, edit.constant(f"{name}.zeros", zeros, step * scale, axis=0)
