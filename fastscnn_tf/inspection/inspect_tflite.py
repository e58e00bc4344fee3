"""`inspect`: what a .tflite contains, costs, and which delegate takes it; imports no TensorFlow."""

from __future__ import annotations

import collections
import hashlib
from pathlib import Path

from ..core.aliases import StrPath
from ..core.errors import InputError
from ..core.named_weights import TFLITE, named_weights
from ..tflite.custom_ops import custom_operations
from ..tflite.file import own_metadata, read_model
from ..tflite.graph import WEIGHT_ALIGNMENT, Graph, ModelGraphs, Op
from ..tflite.lifetimes import arena_lower_bound, micro_arena
from ..tflite.macs import count_macs
from ..tflite.ports import ports_of
from .found import Findings, OpCost, Port
from .markdown_report import markdown_report
from .probe import MEMORY_LIMIT, TIME_LIMIT, Probe, probe
from .scale_changes import scale_changes
from .text_report import text_report
from .verdict import verdicts


class Inspection(Findings):
    """What `inspect` found."""

    def text(self) -> str:
        """For people."""
        return text_report(self)

    __str__ = text

    def markdown(self) -> str:
        """A table of the operations and who takes them, for a README."""
        return markdown_report(self)


def inspect(
    path: StrPath, *, load: bool = True, memory: int = MEMORY_LIMIT, seconds: int = TIME_LIMIT
) -> Inspection:
    """Reads a .tflite from anywhere; a damaged or hostile one is an error or a line, no crash.

    The file is parsed with every index checked. The interpreter loads it in a child process with
    limits of memory and time; nothing of it is run. A file that crashes the interpreter still gets
    everything that the parser finds.

    Args:
        path: the .tflite, or the name of weights of the package.
        load: ask the interpreter; without, the XNNPACK verdict comes from rules alone.
        memory: address space of the child process, in bytes.
        seconds: its time.

    Raises:
        ModelFileError: missing, not a .tflite, or impossible inside.

    Example:
        found = inspect("model.tflite")
        print(found.macs, found.verdict("XNNPACK int8").answer)
    """
    path = named_weights(path, TFLITE)
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
        read_as=_read_as(path, content, graphs),
        custom_ops={name: who for name, (who, _) in custom_operations(graph).items()},
        ops=dict(sorted(names.items())),
        costs=tuple(_cost(graph, op) for op in graph.ops),
        tensors=len(graph.tensors),
        float_tensors=sum(tensor.dtype in ("float32", "float16") for tensor in graph.tensors),
        constants=len(constants),
        unaligned=sum(tensor.place % WEIGHT_ALIGNMENT != 0 for tensor in constants),
        scale_changes=scale_changes(graph),
        arena_lower_bound=arena_lower_bound(graph),
        micro_arena=micro_arena(graph),
        measured=measured,
        verdicts=verdicts(graphs, measured),
    )


def _read_as(path: Path, content: bytes, graphs: ModelGraphs) -> str:
    try:
        return ports_of(path, content, graphs, own_metadata(graphs)).told
    except InputError as error:
        return f"not run by Segmenter as it is: {str(error).removeprefix(f'{path}: ')}"


def _ports(graph: Graph, indices: tuple[int, ...]) -> tuple[Port, ...]:
    tensors = (graph.tensors[index] for index in indices)
    return tuple(Port(t.name, t.shape, t.dtype, t.scales, t.zero_points) for t in tensors)


def _cost(graph: Graph, op: Op) -> OpCost:
    output, macs = graph.output(op), count_macs(graph, op)
    shape, dtype = (output.shape, output.dtype) if output else ((), "")
    return OpCost(op.index, op.kind, shape, dtype, macs.total, macs.on_padding, macs.on_filling)
