"""The graphs of a .tflite file as plain data."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

OPTIONAL = -1  # the index of an input that is left out
MAX_RANK = 64  # dimensions
# `force_align` of Buffer.data in the schema (schema.fbs): what SIMD loads of mapped weights want.
WEIGHT_ALIGNMENT = 16  # bytes


@dataclasses.dataclass(frozen=True)
class Tensor:
    """One tensor.

    Attributes:
        index: in its graph.
        name: as in the file.
        shape: sizes; -1 where the file fixes none.
        dtype: such as `float32` or `int8`.
        scales: quantization scales, one or one per channel; empty without quantization.
        zero_points: as many.
        axis: the channel dimension of the scales.
        data: bytes of a constant; empty for others.
        variable: keeps its value between runs.
        sparse: a constant stored without its zeros.
        place: of its first byte in the file.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    axis: int = 0
    data: memoryview = dataclasses.field(default=memoryview(b""), repr=False, compare=False)
    variable: bool = False
    sparse: bool = False
    place: int = 0

    @property
    def constant(self) -> bool:
        """Whether the file holds its values."""
        return len(self.data) > 0

    @property
    def dynamic(self) -> bool:
        """Whether a size is known only when it runs."""
        return any(size < 0 for size in self.shape)

    @property
    def elements(self) -> int:
        """Values, with sizes that are not fixed counted as 1."""
        return math.prod(max(size, 1) if size < 0 else size for size in self.shape)

    @property
    def bytes(self) -> int:
        """Memory of its values."""
        return -(-self.elements * bit_width(self.dtype) // 8)

    @property
    def is_float(self) -> bool:
        """float32, float16, bfloat16 or float64."""
        return "float" in self.dtype

    @property
    def quantized(self) -> bool:
        """8-bit with a scale."""
        return self.dtype in ("int8", "uint8") and bool(self.scales)

    def integers(self) -> tuple[int, ...]:
        """Values of an int32 or int64 constant, such as axes; empty for others."""
        if self.dtype not in ("int32", "int64"):
            return ()
        item = np.dtype("<i4" if self.dtype == "int32" else "<i8")
        count = min(len(self.data) // item.itemsize, MAX_RANK)
        return tuple(np.frombuffer(self.data, item, count).tolist())


@dataclasses.dataclass(frozen=True)
class Op:
    """One operation.

    Attributes:
        index: in its graph, in the order of execution.
        kind: the built-in operation's name, or `CUSTOM(name)`.
        version: of the operation.
        inputs: tensor indices; -1 for one that is left out.
        outputs: tensor indices.
        options: those of `tflite_options`, by name.
        written: its name in a file of another format, where `kind` is that of a counterpart.
    """

    index: int
    kind: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, int | float | bool]
    written: str = ""


@dataclasses.dataclass(frozen=True)
class Graph:
    """One graph.

    Attributes:
        name: as in the file.
        tensors, ops: in the file's order.
        inputs, outputs: tensor indices.
    """

    name: str
    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def input(self, op: Op, place: int) -> Tensor | None:
        """An operation's input, None where it has none there."""
        if place >= len(op.inputs) or op.inputs[place] == OPTIONAL:
            return None
        return self.tensors[op.inputs[place]]

    def output(self, op: Op, place: int = 0) -> Tensor | None:
        """An operation's output, None where it has none there."""
        return self.tensors[op.outputs[place]] if place < len(op.outputs) else None


@dataclasses.dataclass(frozen=True)
class ModelGraphs:
    """A whole file.

    Attributes:
        version: of the schema, 3.
        description: as in the file.
        graphs: the main graph first.
        metadata: name -> content.
        signatures: names of its signatures.
    """

    version: int
    description: str
    graphs: tuple[Graph, ...]
    metadata: dict[str, memoryview]
    signatures: tuple[str, ...]

    @property
    def main(self) -> Graph:
        """The graph that runs."""
        return self.graphs[0]


def bit_width(dtype: str) -> int:
    """Bits of one value; 0 where values have no fixed size (strings, resources)."""
    digits = dtype.lstrip("abcdefghijklmnopqrstuvwxyz")
    return int(digits) if digits.isdigit() else 8 if dtype == "bool" else 0
