"""An inspection as Markdown for a README: who takes which operation."""

from __future__ import annotations

from ...core.foreign_text import Markdown, markdown_cell, markdown_code
from ...core.text_table import markdown_table
from .found import Findings, OpCost
from .report import clean, grouped, masked
from .rules_clients import size
from .verdict import CLIENTS, Verdict

LONGEST_NOTE = 600  # letters of a reason with its source
TAKEN = "·"


def markdown_report(found: Findings) -> str:
    """Targets, then operation by operation: a dot where a target takes it, a number where not."""
    verdicts = [(names, verdict) for names, verdict in grouped(found.verdicts) if verdict.total]
    answers = [(names, v.answer, f"{v.taken}/{v.total}") for names, v in verdicts]
    notes: dict[str, int] = {}
    left = {names: _left(verdict, notes) for names, verdict in verdicts}
    columns = [name for name, _ in verdicts if not name.startswith(CLIENTS)]
    rows = [
        [*_cost(cost), *(left[name].get(cost.index, TAKEN) for name in columns)]
        for cost in found.costs
    ]
    lines = [
        f"{markdown_code(file_name(found.path))}: {found.size_bytes:,} bytes, "
        f"{found.macs / 1e6:,.1f} M multiply-accumulates, {found.float_tensors} of "
        f"{found.tensors} tensors are float",
        "",
        markdown_table(("target", "runs", "operations"), answers),
        "",
        markdown_table(("", "operation", "output", "MACs", *columns), rows),
    ]
    lines += ["", f"{TAKEN} taken"] if found.costs else []
    return "\n".join([*lines, *footnotes(notes)])


def _left(verdict: Verdict, notes: dict[str, int]) -> dict[int, Markdown]:
    """Operation -> `[number]` of its reason; reasons shared by operations have one."""
    marks = {}
    for finding in verdict.findings:
        note = f"{masked(finding.reason)} ({finding.source})"
        number = notes.setdefault(note, len(notes) + 1)
        if finding.op is not None:
            marks[finding.op] = Markdown(f"[{number}]")
    return marks


def _cost(cost: OpCost) -> list[str]:
    macs = f"{cost.macs:,}" if cost.macs else ""
    return [str(cost.index), clean(cost.kind), f"{size(cost.output)} {cost.dtype}", macs]


def footnotes(notes: dict[str, int]) -> list[str]:
    """Reasons behind their numbers, a line each."""
    return [f"[{n}] {markdown_cell(clean(note, LONGEST_NOTE))}  " for note, n in notes.items()]


def file_name(path: str) -> str:
    """A path's last part, cut."""
    return clean(path.replace("\\", "/").rsplit("/", 1)[-1])
