"""The vocabulary of rule tables: a check says what is wrong with an operation, or nothing.

A table lists what a delegate takes, each operation with its conditions, and where that is written
or how it was measured. An operation that is not listed is not taken.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection, Mapping
from typing import Concatenate, ParamSpec

from ..tflite.graph import Graph, Op, Tensor
from ..tflite.op_options import activation_name

FLOAT = ("float32",)
FLOATS = ("float32", "float16")
BYTES = ("int8", "uint8")
FLOAT_OR_BYTE = (*FLOATS, *BYTES)


@dataclasses.dataclass(frozen=True)
class Node:
    """An operation in its graph.

    Attributes:
        graph: the main graph.
        op: one of its operations.
        halves: tensors that a DEQUANTIZE makes of float16 constants: constants to a delegate.
    """

    graph: Graph
    op: Op
    halves: frozenset[int] = frozenset()

    @property
    def kind(self) -> str:
        """The operation's name."""
        return self.op.kind

    @property
    def inputs(self) -> list[Tensor]:
        """Its inputs, without those left out."""
        return [self.graph.tensors[i] for i in self.op.inputs if i >= 0]

    @property
    def outputs(self) -> list[Tensor]:
        """Its outputs."""
        return [self.graph.tensors[i] for i in self.op.outputs]

    @property
    def runtime_inputs(self) -> list[Tensor]:
        """Inputs that are not constants."""
        return [tensor for tensor in self.inputs if not self.fixed(tensor)]

    @property
    def data(self) -> list[Tensor]:
        """Tensors that change from run to run: inputs and outputs without constants."""
        return self.runtime_inputs + self.outputs

    def input(self, place: int) -> Tensor | None:
        """An input."""
        return self.graph.input(self.op, place)

    def fixed(self, tensor: Tensor) -> bool:
        """Whether a tensor is a constant, or made of one when the file is loaded."""
        return tensor.constant or tensor.index in self.halves

    def option(self, name: str) -> int:
        """An option as an integer; 0 where the operation has none of that name."""
        return int(self.op.options.get(name, 0))


Check = Callable[[Node], str | None]
P = ParamSpec("P")


@dataclasses.dataclass(frozen=True)
class RuleTable:
    """What one delegate takes.

    Attributes:
        name: the delegate.
        source: where `ops` is written.
        ops: operation -> what must hold; all checks must pass.
        always: checks of every operation.
        unlisted: the sentence for an operation that is not in `ops`.
        sources: check -> where it is written, if not where the table is.
    """

    name: str
    source: str
    ops: Mapping[str, tuple[Check, ...]]
    always: tuple[Check, ...] = ()
    unlisted: str = "the operation is not supported"
    sources: Mapping[Check, str] = dataclasses.field(default_factory=dict)

    def objection(self, node: Node) -> tuple[str, str] | None:
        """(reason, source) why an operation is not taken; None if it is."""
        if node.kind not in self.ops:
            return self.unlisted, self.source
        if not node.outputs:
            return "it has no output", self.source
        for check in (*self.ops[node.kind], *self.always):
            reason = check(node)
            if reason:
                return reason, self.sources.get(check, self.source)
        return None


def half_constants(graph: Graph) -> frozenset[int]:
    """Outputs of DEQUANTIZE operations on float16 constants."""
    found = set()
    for op in graph.ops:
        source, target = graph.input(op, 0), graph.output(op)
        if op.kind != "DEQUANTIZE" or source is None or target is None:
            continue
        if source.constant and source.dtype == "float16":
            found.add(target.index)
    return frozenset(found)


def maker(check: Callable[Concatenate[Node, P], str | None]) -> Callable[P, Check]:
    """Turns a check of a node and what it wants into what makes such checks: `rank(0, 4)`."""

    @functools.wraps(check)
    def make(*wanted: P.args, **more: P.kwargs) -> Check:
        return lambda node: check(node, *wanted, **more)

    return make


@maker
def inputs(node: Node, lowest: int, highest: int | None = None) -> str | None:
    """How many inputs it may have."""
    count, highest = len(node.inputs), lowest if highest is None else highest
    wanted = str(lowest) if lowest == highest else f"{lowest} to {highest}"
    return None if lowest <= count <= highest else f"{count} inputs, {wanted} are taken"


@maker
def runtime_inputs(node: Node, *counts: int) -> str | None:
    """How many inputs that are no constants it may have."""
    count, wanted = len(node.runtime_inputs), " or ".join(map(str, counts))
    return None if count in counts else f"{count} inputs that vary, {wanted} are taken"


@maker
def data_types(node: Node, *allowed: str) -> str | None:
    """Types of the tensors that are no constants."""
    return wrong_type(node.data, allowed)


@maker
def input_type(node: Node, place: int, *allowed: str) -> str | None:
    """Type of one input."""
    tensor = node.input(place)
    return wrong_type([tensor] if tensor else [], allowed)


@maker
def output_type(node: Node, *allowed: str) -> str | None:
    """Type of the first output."""
    return wrong_type(node.outputs[:1], allowed)


def wrong_type(tensors: Collection[Tensor], allowed: Collection[str]) -> str | None:
    """Names the first tensor of another type."""
    odd = (t for t in tensors if t.dtype not in allowed)
    return next((f"tensor {t.index} is {t.dtype}, taken: {', '.join(allowed)}" for t in odd), None)


@maker
def constant(node: Node, *places: int) -> str | None:
    """Inputs that must be constants, where they exist."""
    for place in places:
        tensor = node.input(place)
        if tensor is not None and not node.fixed(tensor):
            return f"input {place} (tensor {tensor.index}) is not a constant"
    return None


@maker
def rank(node: Node, place: int, *allowed: int) -> str | None:
    """Dimensions of an input."""
    tensor, wanted = node.input(place), " or ".join(map(str, allowed))
    if tensor is None or len(tensor.shape) in allowed:
        return None
    return f"input {place} has {len(tensor.shape)} dimensions, {wanted} are taken"


@maker
def activation(node: Node, *allowed: str) -> str | None:
    """The fused activation."""
    name = activation_name(node.option("activation"))
    return None if name in allowed else f"fused activation {name} is not supported"


@maker
def no_option(node: Node, *names: str) -> str | None:
    """Options that must not be set."""
    return next((f"{name} is set" for name in names if node.option(name)), None)


# Of a slice that takes axes neither away nor adds any.
plain_axes = no_option("ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


def unit_strides(node: Node) -> str | None:
    """Steps of a slice."""
    steps = node.input(3)
    return "its steps are not 1" if steps and any(s != 1 for s in steps.integers()) else None


def not_both_alignments(node: Node) -> str | None:
    """`align_corners` beside `half_pixel_centers`."""
    if node.option("align_corners") and node.option("half_pixel_centers"):
        return "align_corners and half_pixel_centers are both set"
    return None


def beta_one(node: Node) -> str | None:
    """Softmax of a scaled input."""
    beta = float(node.op.options.get("beta", 0))
    return None if beta == 1 else f"beta is {beta:g}, only 1 is taken"


def same_quantization(node: Node) -> str | None:
    """8-bit inputs at another scale than the output's."""
    wanted = node.outputs[0].scales, node.outputs[0].zero_points
    quantized = (t for t in node.runtime_inputs if t.dtype in BYTES)
    odd = (t.index for t in quantized if (t.scales, t.zero_points) != wanted)
    return next((f"tensor {i} and the output differ in scale or zero point" for i in odd), None)
