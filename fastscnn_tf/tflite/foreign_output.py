"""Which output of a .tflite from elsewhere segments, and what its numbers are."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..core.errors import ConfigError, ModelFileError
from ..core.foreign_text import printable
from ..core.sizes import Size
from .foreign_input import RANGES, ends, one_scale
from .foreign_options import Told
from .graph import Graph, Op, Tensor

_CONSTANT = "a constant"
NOWHERE = 0  # instead of an axis: the output does not lie over the image
# What changes the place, size or type of values, not what they mean.
_CARRIED = {
    *("RESHAPE", "TRANSPOSE", "SQUEEZE", "EXPAND_DIMS", "SLICE", "STRIDED_SLICE", "PAD", "CAST"),
    *("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "QUANTIZE", "DEQUANTIZE"),
}
_CONVOLUTIONS = {
    *("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "BATCH_MATMUL"),
}
_JOINS = {"ADD": operator.add, "SUB": operator.sub, "MUL": operator.mul}
_SQUASHES = {"LOGISTIC", "SOFTMAX", "RELU_0_TO_1"}
_ACTIVATIONS = {  # of MediaPipe's ImageSegmenterOptions
    0: ("prob", "one probability (its metadata leave nothing to do)"),
    1: ("logits", "one logit (its metadata ask for a sigmoid)"),
}


Span = tuple[float, float]


class OutputGrid(NamedTuple):
    """What fits over the image, and how.

    Attributes:
        place: of the output.
        axis: of the classes; None for a map without one.
    """

    place: int
    axis: int | None


class Made(NamedTuple):
    """Where a tensor's values come from.

    Attributes:
        kind: of the operation that gives them their meaning.
        name: of what that operation writes.
        logit: a convolution, or what adds, subtracts and scales such.
        span: what they lie within, where that is known.
        written: the operation's name in its file, where it has another there.
    """

    kind: str = "nothing"
    name: str = ""
    logit: bool = False
    span: Span | None = None
    written: str = ""

    @property
    def said(self) -> str:
        """The operation for messages."""
        return self.written or self.kind


class Meaning(NamedTuple):
    """What an output's numbers are: `logits`, `prob` or `labels`, and what told it."""

    kind: str
    told: str


def no_segmentation(path: Path, graph: Graph) -> ModelFileError:
    """What is said of a file with other inputs or outputs."""
    image, *results = (graph.tensors[i].shape for i in (graph.inputs[0], *graph.outputs))
    return ModelFileError(
        f"{path}: expected an image (1, H, W, 3) or (1, 3, H, W) of fixed size in and logits or "
        f"labels out, got {image} and {', '.join(map(str, results))}"
    )


def segmenting(
    path: Path, graph: Graph, size: Size, planes: bool, told: Told, wanted: str | None
) -> OutputGrid:
    """The output that segments.

    Args:
        path: for messages.
        graph: the file's.
        size: (height, width) of the image.
        planes: its colours are planes: then those of the classes are, where shapes do not tell.
        told: the file's metadata.
        wanted: name of the output, where several might.

    Raises:
        ModelFileError: none does.
        ConfigError: several might, or there is none of the name.
    """
    tensors = [graph.tensors[index] for index in graph.outputs]
    axes = [_axis(tensor.shape, size, 1 if planes else 3) for tensor in tensors]
    found = [OutputGrid(place, axis) for place, axis in enumerate(axes) if axis != NOWHERE]
    makers = _makers(graph)
    listed = ", ".join(_described(each, makers.get(each.index, Made())) for each in tensors)
    if wanted is not None:
        places = [place for place, tensor in enumerate(tensors) if tensor.name == wanted]
        if len(places) != 1:
            raise ConfigError(f"{path}: no output {wanted!r}: it has {listed}")
        found = [grid for grid in found if grid.place == places[0]]
    if not found:
        raise no_segmentation(path, graph)
    task = told.ultralytics.get("task", "semantic")
    if wanted is None and task != "semantic":
        raise ModelFileError(
            f"{path}: a model for Ultralytics' task {str(task)[:20]!r}, which gives no class for "
            "each pixel"
        )
    # Boxes beside something spatial: that holds the prototypes of instances, no classes.
    boxes = any(
        axis == NOWHERE and len(t.shape) == 3 for axis, t in zip(axes, tensors, strict=True)
    )
    if len(found) > 1 or (boxes and wanted is None):
        raise ConfigError(
            f"{path}: several outputs: say which one segments, --output-tensor NAME "
            f"(output_tensor=): {listed}"
        )
    return found[0]


def _described(tensor: Tensor, made: Made) -> str:
    layer = f" {printable(made.name)}" if made.name not in ("", tensor.name) else ""
    return f"{printable(tensor.name)} {tensor.shape} by {made.said}{layer}"


def _axis(shape: Sequence[int], size: Size, usual: int) -> int | None:
    """The axis of the classes; None for a map without one, or `NOWHERE`."""
    if len(shape) not in (3, 4) or shape[0] not in (1, -1):
        return NOWHERE
    if len(shape) == 3:
        return NOWHERE if _misfit(shape[1:3], size) is None else None
    fits = {3: _misfit(shape[1:3], size), 1: _misfit(shape[2:4], size)}
    known = [(miss, axis != usual, axis) for axis, miss in fits.items() if miss is not None]
    return min(known)[2] if known else NOWHERE


def _misfit(sides: Sequence[int], size: Size) -> int | None:
    """By how much a grid misses the image's proportions; None where it is not a grid over it.

    The sides of a strided network's grid are rounded, each by less than one.
    """
    (height, width), (rows, columns) = size, sides
    misfit = abs(rows * width - columns * height)
    inside = 1 < rows <= height and 1 < columns <= width
    return misfit if inside and misfit <= height + width else None


def meaning(path: Path, graph: Graph, tensor: Tensor, count: int, told: Told) -> Meaning:
    """What the numbers of an output are.

    Args:
        path: for messages.
        graph: the file's.
        tensor: the output.
        count: its channels; 1 for a map without.
        told: the file's metadata.

    Raises:
        ModelFileError: it cannot be told.
    """
    made = _makers(graph).get(tensor.index, Made())
    kind, said = made.kind, made.said
    plain = not tensor.is_float and not tensor.scales
    if count == 1 and (kind == "ARG_MAX" or plain):
        return Meaning("labels", f"a label map ({said if kind == 'ARG_MAX' else tensor.dtype})")
    if not (tensor.is_float or one_scale(tensor) or (plain and tensor.dtype in RANGES)):
        raise ModelFileError(
            f"{path}: scores of {tensor.dtype} with {len(tensor.scales)} scales cannot be read"
        )
    unit = _within_one(tensor) or _unit(made.span)
    why = said if kind in _SQUASHES else f"{said}, its range"
    if count > 1:
        if unit:
            return Meaning("prob", f"probabilities of {count} classes ({why})")
        return Meaning("logits", f"logits of {count} classes")
    if made.logit:
        return Meaning("logits", f"one logit ({said})")
    if unit:
        return Meaning("prob", f"one probability ({why})")
    if known := _ACTIVATIONS.get(-1 if told.activation is None else told.activation):
        return Meaning(*known)
    raise ModelFileError(
        f"{path}: one output channel, made by {said}: whether it is a probability or a logit "
        "cannot be told; export it with the sigmoid as its last operation"
    )


def _makers(graph: Graph) -> dict[int, Made]:
    """Where the values of each tensor come from, in the order of execution."""
    found: dict[int, Made] = {}
    for op in graph.ops:
        sources = op.inputs[: 1 if op.kind in _CARRIED else 2 if op.kind in _JOINS else 0]
        for index in sources:
            if index not in found:
                found[index] = _given(graph.tensors[index])
        values = [found[index] for index in sources]
        if op.kind in _CARRIED and values:
            result = values[0]
        else:
            name = next((graph.tensors[index].name for index in op.outputs), "")
            result = Made(op.kind, name, *_reach(op, values), op.written)
        found.update(dict.fromkeys(op.outputs, result))
    return found


def _given(tensor: Tensor) -> Made:
    """What no operation makes: a constant, or an input of the graph."""
    if not tensor.constant:
        return Made()
    if tensor.dtype not in ("float16", "float32") or tensor.sparse:
        return Made(_CONSTANT)
    item = np.dtype(tensor.dtype).newbyteorder("<")
    values = np.frombuffer(tensor.data, item, len(tensor.data) // item.itemsize)
    return Made(_CONSTANT, span=(float(values.min()), float(values.max())) if values.size else None)


def _reach(op: Op, values: Sequence[Made]) -> tuple[bool, Span | None]:
    """Whether an operation gives logits, and what its values lie within."""
    if op.options.get("activation"):
        return False, None
    if op.kind not in _JOINS or len(values) != 2:
        return op.kind in _CONVOLUTIONS, (0.0, 1.0) if op.kind in _SQUASHES else None
    logits = [made.logit for made in values]
    if any(logits):  # a product of two is none
        rest = all(made.logit or made.kind == _CONSTANT for made in values)
        return rest and not (op.kind == "MUL" and all(logits)), None
    first, second = (made.span or () for made in values)
    ends = [_JOINS[op.kind](one, other) for one in first for other in second]
    return False, (min(ends), max(ends)) if ends else None


def _unit(span: Span | None) -> bool:
    """Whether values lie within 0..1, up to the rounding of constants."""
    return span is not None and span[0] == 0 and abs(span[1] - 1) < 1e-6


def _within_one(tensor: Tensor) -> bool:
    """Whether a quantized tensor holds 0..1, as those of SOFTMAX and LOGISTIC do."""
    if not one_scale(tensor) or tensor.dtype == "int16":
        return False
    low, high = ends(tensor)
    return low == 0 and 0.99 <= high <= 1.01
