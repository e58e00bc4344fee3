"""What the interpreter really does with a file, asked in a process that may crash."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any

from ..core.confined import Limits, run_confined
from ..tflite.graph import Graph

MEMORY_LIMIT = 4 << 30  # bytes of address space
TIME_LIMIT = 60  # seconds of computing
MICRO = "micro"
STAGES = {"plain": "without delegates", "xnnpack": "with XNNPACK", MICRO: "by TFLite Micro"}
TASK = Path(__file__).with_name("probe_child.py")


@dataclasses.dataclass(frozen=True)
class Probe:
    """What was measured; what could not be is None, and `problems` says why.

    Attributes:
        arena_bytes: memory that tensors share without a delegate, from their addresses: the
            interpreter's arenas with the scratch tensors of its kernels.
        xnnpack_arena_bytes: the same with XNNPACK, whose own memory is not in it.
        micro_arena_bytes: that TFLite Micro's interpreter takes; 0 where it refuses the file, None
            where it is not installed.
        partitions: subgraphs that XNNPACK took.
        delegated: indices of the operations in them.
        problems: what went wrong, a line each.
    """

    arena_bytes: int | None = None
    xnnpack_arena_bytes: int | None = None
    micro_arena_bytes: int | None = None
    partitions: int | None = None
    delegated: tuple[int, ...] | None = None
    problems: tuple[str, ...] = ()


def probe(
    content: bytes, graph: Graph, memory: int = MEMORY_LIMIT, seconds: int = TIME_LIMIT
) -> Probe:
    """Loads a file without and with XNNPACK, and by TFLite Micro where it is installed.

    A child process does so; nothing of the file is run.

    Args:
        content: the .tflite.
        graph: its main graph.
        memory: the child's limit of address space, in bytes.
        seconds: that it may compute; it may take four times as long where others do.
    """
    stages: dict[str, dict[str, Any]] = {}
    problems, waiting = [], list(STAGES)
    if importlib.util.find_spec("tflite_micro") is None:
        waiting.remove(MICRO)
    while waiting:
        outcome = run_confined(TASK, waiting, content, Limits(memory, seconds, 4 * seconds))
        found = {line["stage"]: line for line in outcome.lines}
        stages |= found
        waiting = [name for name in waiting if name not in found]
        if waiting:  # the child ended in the first of them; the others get a new one
            problems.append(f"{STAGES[waiting.pop(0)]}: {outcome.ending}")
    problems += [
        f"{STAGES[name]}: the interpreter refuses the file ({stage['error']})"
        for name, stage in stages.items()
        if "error" in stage
    ]
    plain, fast = stages.get("plain", {}), stages.get("xnnpack", {})
    delegates = fast.get("delegates")
    return Probe(
        plain.get("arena_bytes"),
        fast.get("arena_bytes"),
        stages.get(MICRO, {}).get("arena_bytes"),
        None if delegates is None else len(delegates),
        None if delegates is None else delegated_ops(graph, delegates),
        tuple(problems),
    )


def delegated_ops(graph: Graph, delegates: list[list[list[int]]]) -> tuple[int, ...]:
    """The operations inside delegate nodes: what lies between their outputs and their inputs.

    The interpreter lists the nodes it was given beside those that replace them, and not which
    replace which.
    """
    writers = {index: op for op in graph.ops for index in op.outputs}
    found: set[int] = set()
    for inputs, outputs in delegates:
        edge, waiting = set(inputs), list(outputs)
        while waiting:
            op = writers.get(waiting.pop())
            if op is not None and op.index not in found:
                found.add(op.index)
                waiting += [index for index in op.inputs if index not in edge]
    return tuple(sorted(found))
