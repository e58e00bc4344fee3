"""An inspection as text for a terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..core.foreign_text import printable
from ..core.text_table import text_table
from ..tflite.graph import WEIGHT_ALIGNMENT
from .found import Findings, Port
from .rules_clients import size
from .scale_changes import End
from .verdict import Refusal, Verdict, columns

SHOWN = 3  # operations named per reason
WIDEST = 200  # letters of a name in the file


def text_report(found: Findings) -> str:
    """What it is, what it costs, what runs it."""
    parts = [_head(found), _ports(found), _contents(found), _costs(found), _scale_changes(found)]
    lines = [line for part in parts for line in (*part, "")]
    return "\n".join([*lines, *_verdicts(found.verdicts)])


def _head(found: Findings) -> list[str]:
    lines = [f"{printable(found.path)}: {found.size_bytes:,} bytes, sha256 {found.sha256[:16]}"]
    entries = ", ".join(map(clean, found.metadata_entries)) or "none"
    lines.append(f"metadata: {entries}")
    if found.metadata:
        keys = ("producer", "recipe", "outputs", "input_size", "input")
        known = [
            f"{key} {clean(str(found.metadata[key]))}" for key in keys if key in found.metadata
        ]
        lines.append(f"  fastscnn_tf: {', '.join(known)}")
    if found.graphs > 1:
        lines.append(f"{found.graphs} graphs: what follows is about the first")
    return lines


def _ports(found: Findings) -> list[str]:
    ports = [("input", port) for port in found.inputs]
    ports += [("output", port) for port in found.outputs]
    rows: list[tuple[str, ...]] = [("", "shape", "type", "scale", "zero point", "name")]
    rows += [(kind, *_port(port)) for kind, port in ports]
    return text_table(rows).splitlines() + ([found.read_as] if found.read_as else [])


def _port(port: Port) -> tuple[str, ...]:
    scale = f"{port.scales[0]:.6g}" if len(port.scales) == 1 else ""
    zero = str(port.zero_points[0]) if len(port.zero_points) == 1 else ""
    return size(port.shape), port.dtype, scale, zero, clean(port.name)[:40]


def _contents(found: Findings) -> list[str]:
    counts = sorted(found.ops.items(), key=lambda item: (-item[1], item[0]))
    total = sum(found.ops.values())
    names = ", ".join(f"{count} {clean(kind)}" for kind, count in counts)
    return [
        f"operations: {total} ({names})",
        *(f"  {clean(name)} is run by {who}" for name, who in found.custom_ops.items()),
        f"tensors: {found.tensors}, of them {found.float_tensors} float",
        f"constants: {found.constants}, of them {found.constants - found.unaligned} begin at a "
        f"multiple of {WEIGHT_ALIGNMENT} bytes, as mapped weights should",
    ]


def _costs(found: Findings) -> list[str]:
    measured = found.measured
    lines = [
        f"multiply-accumulates: {found.macs:,} (every tap counts; {found.padding_macs:,} meet the "
        f"padding, {found.filling_macs:,} the zeros that fill a rearranged kernel)",
        f"arena, lower bound from lifetimes: {found.arena_lower_bound:,} bytes",
    ]
    if measured.arena_bytes is not None:
        lines.append(
            f"arena, measured without delegates: {measured.arena_bytes:,} bytes (scratch included)"
        )
    if measured.xnnpack_arena_bytes is not None:
        lines.append(
            f"arena, measured with XNNPACK: {measured.xnnpack_arena_bytes:,} bytes (XNNPACK's own "
            "memory is not in it)"
        )
    if found.micro_bytes:
        how = "estimated" if measured.micro_arena_bytes is None else "measured"
        lines.append(f"arena of TFLite Micro, {how}: {found.micro_bytes:,} bytes")
    if measured.delegated is not None:
        total = sum(found.ops.values())
        lines.append(
            f"XNNPACK, measured: {len(measured.delegated)}/{total} nodes delegated, "
            f"{measured.partitions} partition{'' if measured.partitions == 1 else 's'}"
        )
    return lines + [f"not measured {problem}" for problem in map(clean, measured.problems)]


def _scale_changes(found: Findings) -> list[str]:
    if not found.scale_changes:
        return ["QUANTIZE and DEQUANTIZE: none"]
    groups: dict[str, list[int]] = {}
    for change in found.scale_changes:
        ends = f", {_scale(change.source)} -> {_scale(change.target)}"
        ends = "" if "weights" in change.reason else ends
        groups.setdefault(f"{change.reason}{ends}", []).append(change.op)
    lines = [f"QUANTIZE and DEQUANTIZE: {len(found.scale_changes)}"]
    lines += [f"  {_operations(ops)}: {reason}" for reason, ops in groups.items()]
    return lines


def _scale(end: End) -> str:
    return f"{end.scale:.4g} (zero at {end.zero_point})" if end.scale else end.dtype


def _verdicts(verdicts: Sequence[Verdict]) -> list[str]:
    rows = [("target", "runs", "operations", "")]
    for names, verdict in grouped(verdicts):
        rows.append((names, verdict.answer, f"{verdict.taken}/{verdict.total}", verdict.note))
    return [*text_table(rows).splitlines(), *_reasons(verdicts)]


def grouped(verdicts: Sequence[Verdict]) -> list[tuple[str, Verdict]]:
    """Verdicts with their names; levels of NNAPI that say the same share a row: `NNAPI 30-34`."""
    known = {verdict.target: verdict for verdict in verdicts}

    def alike(one: str, other: str) -> bool:
        a, b = known[one], known[other]
        return a.left == b.left and a.note == b.note

    return [(name, known[members[-1]]) for name, members in columns(known, alike).items()]


def _reasons(verdicts: Sequence[Verdict]) -> list[str]:
    """`NNAPI 28, 29: MEAN 40: reason [1]`, a line for the operations and targets that share it."""
    groups: dict[tuple[str, str, str], list[Refusal]] = {}
    targets: dict[tuple[str, tuple[int | None, ...], str], list[str]] = {}
    sources: dict[str, int] = {}
    for verdict in verdicts:
        groups.clear()
        for finding in verdict.findings:
            # Tensor numbers differ from operation to operation where the objection is the same.
            key = finding.kind, masked(finding.reason), finding.source
            groups.setdefault(key, []).append(finding)
        for (kind, _, source), members in groups.items():
            number = sources.setdefault(source, len(sources) + 1)
            line = f"{members[0].reason} [{number}]"
            ops = tuple(finding.op for finding in members)
            where = f"{clean(kind)} {_operations(ops)}: " if ops[0] is not None else ""
            targets.setdefault((f"{where}{line}", ops, source), []).append(verdict.target)
    if not targets:
        return []
    lines = [f"{_target_names(names)}: {line}" for (line, _, _), names in targets.items()]
    numbered = (f"[{number}] {source}" for source, number in sources.items())
    return ["", *map(printable, lines), "", *numbered]


def _target_names(names: Sequence[str]) -> str:
    """`NNAPI 27-29, LiteRT.js (WASM)`."""
    levels = [name.split()[1] for name in names if name.startswith("NNAPI")]
    others = [name for name in names if not name.startswith("NNAPI")]
    first_last = "-".join(dict.fromkeys((levels[0], levels[-1]))) if levels else ""
    return ", ".join([*([f"NNAPI {first_last}"] if levels else []), *others])


def _operations(ops: Sequence[int | None]) -> str:
    named = ", ".join(map(str, ops[:SHOWN]))
    return named if len(ops) <= SHOWN else f"{named} and {len(ops) - SHOWN} more"


def masked(reason: str) -> str:
    """A reason without its tensors' numbers: the same for all operations that share it."""
    return re.sub(r"tensor \d+", "a tensor", reason)


def clean(text: str, widest: int = WIDEST) -> str:
    """A text out of the file, cut, with escapes for what a terminal would obey."""
    shown = printable(text)
    return shown if len(shown) <= widest else f"{shown[:widest]}..."
