"""`inspect`: what a .tflite contains, costs, and which delegate takes it; imports no TensorFlow."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import math
from typing import Any

from ...core.aliases import StrPath
from ...core.errors import ConfigError
from ..tflite_file import own_metadata, read_model
from ..tflite_graph import WEIGHT_ALIGNMENT, Graph, Op, Tensor
from .lifetimes import arena_lower_bound
from .macs import count_macs
from .probe import MEMORY_LIMIT, TIME_LIMIT, Probe, probe
from .report import text_report
from .report_markdown import markdown_report
from .scale_changes import ScaleChange, scale_changes
from .verdict import Verdict, verdicts


@dataclasses.dataclass(frozen=True)
class Port:
    """An input or output of the graph.

    Attributes:
        name: as in the file.
        shape: sizes; -1 where the file fixes none.
        dtype: such as `uint8`.
        scales, zero_points: of its quantization; empty without.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class OpCost:
    """One operation.

    Attributes:
        index: in the order of execution.
        kind: its name.
        output: shape of its first output.
        dtype: of that.
        macs: multiply-accumulates, taps on the padding included.
        padding_macs: those on the padding.
        filling_macs: those with weights that only fill a kernel up (see `macs`).
    """

    index: int
    kind: str
    output: tuple[int, ...]
    dtype: str
    macs: int
    padding_macs: int
    filling_macs: int


@dataclasses.dataclass(frozen=True)
class Inspection:
    """What `inspect` found.

    Attributes:
        path: the file.
        size_bytes: its size.
        sha256: its digest.
        description: the file's own.
        graphs: how many; everything below is about the first, which runs.
        inputs, outputs: of the graph.
        metadata_entries: names of the metadata in the file.
        metadata: this package's entry; empty in files from elsewhere.
        signatures: names.
        ops: name -> count.
        costs: operation by operation.
        tensors: how many.
        float_tensors: of them float32 and float16, weights included.
        constants: tensors whose values stand in the file.
        unaligned: of them those that do not begin at a multiple of 16 bytes, as the schema wants.
        scale_changes: each QUANTIZE and DEQUANTIZE with its reason.
        arena_lower_bound: bytes of the tensors alive together at the worst moment.
        measured: what the interpreter answered, in a process of its own.
        verdicts: delegate by delegate.
    """

    path: str
    size_bytes: int
    sha256: str
    description: str
    graphs: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    metadata_entries: tuple[str, ...]
    metadata: dict[str, Any]
    signatures: tuple[str, ...]
    ops: dict[str, int]
    costs: tuple[OpCost, ...]
    tensors: int
    float_tensors: int
    constants: int
    unaligned: int
    scale_changes: tuple[ScaleChange, ...]
    arena_lower_bound: int
    measured: Probe
    verdicts: tuple[Verdict, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one run, taps on the padding included."""
        return sum(cost.macs for cost in self.costs)

    @property
    def padding_macs(self) -> int:
        """Those of `macs` that meet the padding."""
        return sum(cost.padding_macs for cost in self.costs)

    @property
    def filling_macs(self) -> int:
        """Those of `macs` on the zeros of a rearranged kernel: without them the network's own."""
        return sum(cost.filling_macs for cost in self.costs)

    def verdict(self, target: str) -> Verdict:
        """One of the verdicts.

        Raises:
            ConfigError: no such target.
        """
        found = {verdict.target: verdict for verdict in self.verdicts}
        if target not in found:
            raise ConfigError(f"unknown target {target!r}: expected one of {', '.join(found)}")
        return found[target]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; a scale that is not a finite number becomes None."""
        return _finite(
            {
                **vars(self),
                "inputs": [vars(port) for port in self.inputs],
                "outputs": [vars(port) for port in self.outputs],
                "costs": [vars(cost) for cost in self.costs],
                "measured": vars(self.measured),
                "macs": self.macs,
                "padding_macs": self.padding_macs,
                "filling_macs": self.filling_macs,
                "scale_changes": [change.to_dict() for change in self.scale_changes],
                "verdicts": [verdict.to_dict() for verdict in self.verdicts],
            }
        )

    def text(self) -> str:
        """For people."""
        return text_report(self)

    def markdown(self) -> str:
        """A table of the operations and who takes them, for a README."""
        return markdown_report(self)


def inspect(
    path: StrPath,
    *,
    load: bool = True,
    memory: int = MEMORY_LIMIT,
    seconds: int = TIME_LIMIT,
) -> Inspection:
    """Reads a .tflite from anywhere; a damaged or hostile one is an error or a line, no crash.

    The file is parsed with every index checked. The interpreter loads it in a child process with
    limits of memory and time; nothing of it is run. A file that crashes the interpreter still gets
    everything that the parser finds.

    Args:
        path: the .tflite.
        load: ask the interpreter; without, the XNNPACK verdict comes from rules alone.
        memory: address space of the child process, in bytes.
        seconds: its time.

    Raises:
        ModelFileError: missing, not a .tflite, or impossible inside.

    Example:
        found = inspect("model.tflite")
        print(found.macs, found.verdict("XNNPACK int8").answer)
    """
    content, graphs = read_model(path)
    graph = graphs.main
    measured = probe(content, graph, memory, seconds) if load else Probe()
    names = collections.Counter(op.kind for op in graph.ops)
    constants = [tensor for tensor in graph.tensors if tensor.constant]
    return Inspection(
        path=str(path),
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        description=graphs.description,
        graphs=len(graphs.graphs),
        inputs=_ports(graph, graph.inputs),
        outputs=_ports(graph, graph.outputs),
        metadata_entries=tuple(graphs.metadata),
        metadata=own_metadata(graphs),
        signatures=graphs.signatures,
        ops=dict(sorted(names.items())),
        costs=tuple(_cost(graph, op) for op in graph.ops),
        tensors=len(graph.tensors),
        float_tensors=sum(tensor.dtype in ("float32", "float16") for tensor in graph.tensors),
        constants=len(constants),
        unaligned=sum(tensor.place % WEIGHT_ALIGNMENT != 0 for tensor in constants),
        scale_changes=scale_changes(graph),
        arena_lower_bound=arena_lower_bound(graph),
        measured=measured,
        verdicts=verdicts(graphs, measured),
    )


def _finite(value: object) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _ports(graph: Graph, indices: tuple[int, ...]) -> tuple[Port, ...]:
    return tuple(_port(graph.tensors[index]) for index in indices)


def _port(tensor: Tensor) -> Port:
    return Port(tensor.name, tensor.shape, tensor.dtype, tensor.scales, tensor.zero_points)


def _cost(graph: Graph, op: Op) -> OpCost:
    output, macs = graph.output(op), count_macs(graph, op)
    shape, dtype = (output.shape, output.dtype) if output else ((), "")
    return OpCost(op.index, op.kind, shape, dtype, macs.total, macs.on_padding, macs.on_filling)
