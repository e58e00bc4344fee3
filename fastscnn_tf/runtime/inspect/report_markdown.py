"""An inspection as Markdown for a README: who takes which operation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .report import WIDEST, clean, grouped, masked
from .rules_clients import size
from .verdict import CLIENTS, Verdict

if TYPE_CHECKING:
    from .inspection import Inspection, OpCost

LONGEST_NOTE = 600  # letters of a reason with its source


def markdown_report(found: Inspection) -> str:
    """Targets, then operation by operation: a dot where a target takes it, a number where not."""
    verdicts = [(names, verdict) for names, verdict in grouped(found.verdicts) if verdict.total]
    lines = [
        f"`{_name(found.path)}`: {found.size_bytes:,} bytes, {found.macs / 1e6:,.1f} M "
        f"multiply-accumulates, {found.float_tensors} of {found.tensors} tensors are float",
        "",
        "| target | runs | operations |",
        "|---|---|---|",
    ]
    for names, verdict in verdicts:
        lines.append(f"| {names} | {verdict.answer} | {verdict.taken}/{verdict.total} |")
    notes: dict[str, int] = {}
    left = {names: _left(verdict, notes) for names, verdict in verdicts}
    columns = [name for name, _ in verdicts if not name.startswith(CLIENTS)]
    lines += [
        "",
        table_row(["", "operation", "output", "MACs", *columns]),
        f"|{'---|' * (4 + len(columns))}",
    ]
    for cost in found.costs:
        marks = [left[name].get(cost.index, "·") for name in columns]
        lines.append(table_row([*_cost(cost), *marks]))
    lines += ["", "· taken"] if found.costs else []
    lines += [f"[{number}] {cell(note, LONGEST_NOTE)}  " for note, number in notes.items()]
    return "\n".join(lines)


def _left(verdict: Verdict, notes: dict[str, int]) -> dict[int, str]:
    """Operation -> `[number]` of its reason; reasons shared by operations have one."""
    marks = {}
    for finding in verdict.findings:
        note = f"{masked(finding.reason)} ({finding.source})"
        number = notes.setdefault(note, len(notes) + 1)
        if finding.op is not None:
            marks[finding.op] = f"[{number}]"
    return marks


def _cost(cost: OpCost) -> list[str]:
    macs = f"{cost.macs:,}" if cost.macs else ""
    return [str(cost.index), cost.kind, f"{size(cost.output)} {cost.dtype}", macs]


def table_row(cells: Iterable[str]) -> str:
    """A row of a Markdown table; what comes out of a file is made harmless."""
    return f"| {' | '.join(map(cell, cells))} |"


def cell(text: str, widest: int = WIDEST) -> str:
    """A text out of a file as a cell of a table."""
    return clean(text, widest).replace("|", "\\|")


def _name(path: str) -> str:
    return clean(path.replace("\\", "/").rsplit("/", 1)[-1])
