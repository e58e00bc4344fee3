"""An inspection as Markdown for a README: who takes which operation."""

from __future__ import annotations

from ..core.foreign_text import Markdown, markdown_cell, markdown_code
from ..core.text_table import markdown_table
from .found import Findings, OpCost
from .rules_clients import size
from .text_report import clean, grouped, masked
from .verdict import CLIENTS, Refusal

LONGEST_NOTE = 600  # letters of a reason with its source
TAKEN = "·"


class Footnotes:
    """Reasons with their numbers; operations that share a reason have one."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, *findings: Refusal) -> Markdown:
        """`[1][3]`, each number once."""
        reasons = dict.fromkeys(f"{masked(f.reason)} ({f.source})" for f in findings)
        known = self._numbers
        return Markdown("".join(f"[{known.setdefault(r, len(known) + 1)}]" for r in reasons))

    def lines(self) -> list[str]:
        """Reasons behind their numbers, a line each."""
        notes = self._numbers.items()
        return [f"[{n}] {markdown_cell(clean(note, LONGEST_NOTE))}  " for note, n in notes]


def markdown_report(found: Findings) -> str:
    """Targets, then operation by operation: a dot where a target takes it, a number where not."""
    verdicts = [(names, verdict) for names, verdict in grouped(found.verdicts) if verdict.total]
    answers = [(names, v.answer, f"{v.taken}/{v.total}") for names, v in verdicts]
    notes = Footnotes()
    left = {n: {f.op: notes.mark(f) for f in v.findings} for n, v in verdicts}  # by operation
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
    return "\n".join([*lines, *notes.lines()])


def _cost(cost: OpCost) -> list[str]:
    macs = f"{cost.macs:,}" if cost.macs else ""
    return [str(cost.index), clean(cost.kind), f"{size(cost.output)} {cost.dtype}", macs]


def file_name(path: str) -> str:
    """A path's last part, cut."""
    return clean(path.replace("\\", "/").rsplit("/", 1)[-1])
