"""A verdict for each delegate and client, naming the operations that it leaves out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

from ..tflite.graph import Graph, ModelGraphs, Op
from .probe import Probe
from .rules import BYTES, Node, RuleTable, half_constants
from .rules_clients import Objection, litertjs, mediapipe
from .rules_edgetpu import EDGE_TPU, REQUIREMENTS, RESIZES
from .rules_gpu import GPU_ACCELERATOR, GPU_DELEGATE
from .rules_nnapi import DEPRECATED, FIRST_DEPRECATED, LEVELS, nnapi
from .rules_xnnpack import XNNPACK

MEASURED_HERE = "measured with this machine's interpreter"
GPU_NOTE = "computes in 16-bit floats by default: sums above 65504 overflow"
CLIENTS = ("LiteRT.js", "MediaPipe")  # programs that take a file whole or not at all
ONE_PARTITION = "takes one partition unless told otherwise"


@dataclasses.dataclass(frozen=True)
class Refusal:
    """Why something is not taken.

    Attributes:
        op: index of the operation; None where the file as a whole is meant.
        kind: the operation's name, or `file`.
        reason: what is wrong.
        source: where the rule is written, or how it was measured.
    """

    op: int | None
    kind: str
    reason: str
    source: str


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What becomes of a file on one target.

    Attributes:
        target: such as `XNNPACK int8` or `NNAPI 29`.
        taken: operations that the target runs.
        total: operations that it was asked for; of a client, of the whole file.
        findings: what it does not take, and why.
        note: what else to know.
    """

    target: str
    taken: int
    total: int
    findings: tuple[Refusal, ...] = ()
    note: str = ""

    @property
    def left(self) -> list[int | None]:
        """The operations that it does not take."""
        return [finding.op for finding in self.findings]

    @property
    def answer(self) -> str:
        """`all`, `part`, `none`, or `nothing to run`; for a client `yes` or `no`."""
        if None in self.left:
            return "no"
        if self.total == 0:
            return "nothing to run"
        return "all" if self.taken == self.total else "part" if self.taken else "none"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**dataclasses.asdict(self), "answer": self.answer}


def columns(targets: Iterable[str], alike: Callable[[str, str], bool]) -> dict[str, list[str]]:
    """Targets by what a table calls them: neighbouring levels of NNAPI that are alike share one.

    Args:
        targets: in order.
        alike: whether the first level of a column and another one say the same.

    Returns:
        Such as `NNAPI 30-34` -> its targets.
    """
    found: list[list[str]] = []
    for target in targets:
        levels = found and all(name.startswith("NNAPI") for name in (found[-1][0], target))
        if levels and alike(found[-1][0], target):
            found[-1].append(target)
        else:
            found.append([target])
    return {"-".join([each[0], *(n.split()[-1] for n in each[1:][-1:])]): each for each in found}


def verdicts(graphs: ModelGraphs, probe: Probe) -> tuple[Verdict, ...]:
    """All targets, in the order of the table in docs/inspection.md."""
    graph = graphs.main
    accelerator = _by_rules(graph, GPU_ACCELERATOR)
    objections, note = mediapipe(graphs)
    levels = [_by_rules(graph, nnapi(level)) for level in LEVELS]
    return (
        *_xnnpack(graph, probe),
        dataclasses.replace(_by_rules(graph, GPU_DELEGATE), note=f"{GPU_NOTE}; {ONE_PARTITION}"),
        dataclasses.replace(accelerator, note=GPU_NOTE),
        *(_marked(verdict, level) for verdict, level in zip(levels, LEVELS, strict=True)),
        _edge_tpu(graph),
        _client("LiteRT.js (WASM)", graph, litertjs(graphs)),
        _client("LiteRT.js (WebGPU)", graph, litertjs(graphs), accelerator.findings),
        dataclasses.replace(_client("MediaPipe ImageSegmenter", graph, objections), note=note),
    )


def _by_rules(graph: Graph, table: RuleTable) -> Verdict:
    findings = _findings(graph, graph.ops, table)
    left = {finding.op for finding in findings}
    # A widened float16 constant goes where the operations that read it go.
    return Verdict(table.name, len(graph.ops) - len(left), len(graph.ops), findings)


def _findings(graph: Graph, ops: Iterable[Op], table: RuleTable) -> tuple[Refusal, ...]:
    halves = half_constants(graph)
    found = []
    for op in ops:
        widening = bool(op.outputs) and op.outputs[0] in halves
        objection = None if widening else table.objection(Node(graph, op, halves))
        if objection:
            found.append(Refusal(op.index, op.kind, *objection))
    return tuple(found)


def _xnnpack(graph: Graph, probe: Probe) -> tuple[Verdict, Verdict]:
    """Float and 8-bit operations apart; where the interpreter was asked, its answer stands."""
    results = []
    for name, wanted in (("XNNPACK float", False), ("XNNPACK int8", True)):
        ops = [op for op in graph.ops if _eight_bit(graph, op) == wanted]
        findings = _findings(graph, ops, XNNPACK)
        note = "by the rules"
        if probe.delegated is not None:
            findings = _as_measured(ops, findings, set(probe.delegated))
            note = MEASURED_HERE
        results.append(Verdict(name, len(ops) - len(findings), len(ops), findings, note))
    return results[0], results[1]


def _as_measured(
    ops: list[Op], findings: tuple[Refusal, ...], delegated: set[int]
) -> tuple[Refusal, ...]:
    by_rule = {finding.op: finding for finding in findings}
    return tuple(
        by_rule.get(op.index, Refusal(op.index, op.kind, "left to the CPU", MEASURED_HERE))
        for op in ops
        if op.index not in delegated
    )


def _eight_bit(graph: Graph, op: Op) -> bool:
    tensors = Node(graph, op).data
    return any(tensor.dtype in BYTES for tensor in tensors)


def _edge_tpu(graph: Graph) -> Verdict:
    """By Coral's list; what follows the first operation that is not taken goes to the CPU, too."""
    left: list[Refusal] = []
    for op in graph.ops:
        objection = EDGE_TPU.objection(Node(graph, op))
        if left and not objection:
            objection = (f"behind operation {left[0].op}: one partition is mapped", REQUIREMENTS)
        if objection:
            left.append(Refusal(op.index, op.kind, *objection))
    total = len(graph.ops)
    taken = total - len(left)
    resizes = sum(op.kind in RESIZES for op in graph.ops[:taken])
    notes = ["by Coral's list alone: nothing was compiled or run"]
    if resizes:
        notes.append(f"resizes may stay on the CPU, depending on their sizes: {resizes}")
    return Verdict(EDGE_TPU.name, taken, total, tuple(left), "; ".join(notes))


def _marked(verdict: Verdict, level: int) -> Verdict:
    if level < FIRST_DEPRECATED:
        return verdict
    return dataclasses.replace(verdict, note=f"deprecated from level 35 on ({DEPRECATED})")


def _client(
    target: str, graph: Graph, objections: list[Objection], left: tuple[Refusal, ...] = ()
) -> Verdict:
    findings = tuple(Refusal(None, "file", *objection) for objection in objections)
    total = len(graph.ops)
    taken = 0 if findings else total - len(left)
    return Verdict(target, taken, total, findings + left)
