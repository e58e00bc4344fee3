"""Several inspections side by side as Markdown: who takes which operations of which file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..core.foreign_text import Markdown, markdown_cell
from ..core.text_table import counted, markdown_table
from .found import Findings
from .markdown_report import TAKEN, Footnotes, file_name
from .text_report import clean
from .verdict import CLIENTS, Refusal, Verdict, columns


def markdown_side_by_side(files: Sequence[Findings]) -> str:
    """Targets by files, then operations by targets, each with the reasons of what is left out.

    Args:
        files: at least one; their columns are named by their recipes where these differ.
    """
    return _SideBySide(files).text()


class _SideBySide:
    """Some files with their names, verdicts and columns, and the reasons numbered so far."""

    def __init__(self, files: Sequence[Findings]):
        self.files, self.names = files, _names(files)
        self.verdicts = [_by_target(found) for found in files]
        self.targets = columns(
            self.verdicts[0], lambda a, b: all(v[a].left == v[b].left for v in self.verdicts)
        )
        self.notes = Footnotes()

    def text(self) -> str:
        """Three tables and the reasons."""
        tables = [self._files(), "", self._targets(), "", self._operations(), ""]
        return "\n".join([*tables, f"{TAKEN} taken wherever it occurs  ", *self.notes.lines()])

    def _files(self) -> str:
        rows = []
        for name, found in zip(self.names, self.files, strict=True):
            aligned = f"{found.constants - found.unaligned}/{found.constants} aligned"
            sizes = [found.size_bytes, found.macs, sum(found.ops.values()), found.tensors]
            sizes.append(found.float_tensors)
            rows.append([name, file_name(found.path), *(f"{n:,}" for n in sizes), aligned])
        head = ["", "file", "bytes", "MACs", "operations", "tensors", "float", "weights"]
        return markdown_table(head, rows)

    def _targets(self) -> str:
        rows = []
        for column, members in self.targets.items():
            answers = [by_name[members[0]] for by_name in self.verdicts]
            cells = [self._answer(v, f) for v, f in zip(answers, self.files, strict=True)]
            remarks = [
                (by_name[target].note, target, name)
                for target in members
                for name, by_name in zip(self.names, self.verdicts, strict=True)
            ]
            rows.append([column, *cells, _remarks(remarks)])
        return markdown_table(["target", *self.names, ""], rows)

    def _answer(self, verdict: Verdict, found: Findings) -> str:
        if verdict.answer == "no":
            return Markdown(f"no {self.notes.mark(*verdict.findings)}")
        parts = found.measured.partitions if verdict.target == "XNNPACK" else None
        suffix = "" if parts is None else f", {counted(parts, 'partition')}"
        return f"{verdict.taken}/{verdict.total}{suffix}"

    def _operations(self) -> str:
        columns = [name for name in self.targets if not name.startswith(CLIENTS)]
        rows = []
        for kind in sorted({kind for found in self.files for kind in found.ops}):
            counts = [found.ops.get(kind, 0) for found in self.files]
            cells = []
            for column in columns:
                answers = [by_name[self.targets[column][0]] for by_name in self.verdicts]
                left = [[f for f in answer.findings if f.kind == kind] for answer in answers]
                cells.append(self._left(left, counts))
            rows.append([clean(kind), *(n or "" for n in counts), *cells])
        return markdown_table(["operation", *self.names, *columns], rows)

    def _left(self, left: Sequence[list[Refusal]], counts: Sequence[int]) -> str:
        """`·`, or what is taken where something is left out: `int8, float16 1/3 [2]`."""
        groups: dict[str, list[str]] = {}
        for name, findings, count in zip(self.names, left, counts, strict=True):
            if findings:
                share = f"{count - len(findings)}/{count} {self.notes.mark(*findings)}"
                groups.setdefault(share, []).append(name)
        present = [name for name, count in zip(self.names, counts, strict=True) if count]
        cells = [
            share if some == present else f"{markdown_cell(', '.join(some))} {share}"
            for share, some in groups.items()
        ]
        return Markdown("; ".join(cells)) or TAKEN


def _names(files: Sequence[Findings]) -> list[str]:
    recipes = [clean(str(found.metadata.get("recipe", ""))) for found in files]
    if all(recipes) and len(set(recipes)) == len(files):
        return recipes
    names = [file_name(found.path) for found in files]
    if len(set(names)) == len(files):
        return names
    return [f"{name} ({number})" for number, name in enumerate(names, 1)]


def _by_target(found: Findings) -> dict[str, Verdict]:
    """Verdicts by name, XNNPACK's two as one."""
    by_name = {verdict.target: verdict for verdict in found.verdicts}
    parts = [by_name.pop(name) for name in list(by_name) if name.startswith("XNNPACK")]
    findings = tuple(finding for part in parts for finding in part.findings)
    taken, total = (sum(getattr(part, name) for part in parts) for name in ("taken", "total"))
    whole = Verdict("XNNPACK", taken, total, findings, parts[0].note)
    return {"XNNPACK": whole, **by_name}


def _remarks(remarks: Iterable[tuple[str, str, str]]) -> str:
    """(note, target, file) -> what else to know, with the targets and files where not for all."""
    said: dict[str, list[tuple[str, str]]] = {}
    everywhere = []
    for note, *where in remarks:
        everywhere.append(where)
        if note:
            said.setdefault(note, []).append((where[0], where[1]))
    texts = []
    for note, places in said.items():
        some = [
            ", ".join(dict.fromkeys(place[side] for place in places))
            for side in (0, 1)
            if {place[side] for place in places} != {where[side] for where in everywhere}
        ]
        texts.append(": ".join([*some, note]))
    return "; ".join(texts)
