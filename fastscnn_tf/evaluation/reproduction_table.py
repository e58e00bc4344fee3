"""`Reproduction`: the published numbers beside the measured ones, as text, Markdown and JSON."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..core.foreign_text import Markdown, markdown, printable_lines
from ..core.published import SOURCES, PublishedRow
from ..core.sizes import format_size
from ..core.text_table import markdown_table, text_table
from .reproduction_ledger import Record

COLUMNS = (
    *("row", "data set", "setting", "claimed", "measured", "difference", "date", "model"),
    *("protocol", "source"),
)
NUMBERS = [COLUMNS.index(name) for name in ("claimed", "measured", "difference")]
NOT_MEASURED = "not measured"
TITLE = "Published mIoU of Fast-SCNN in percent, and what was measured here (difference in points)"


@dataclasses.dataclass(frozen=True)
class Reproduction:
    """The table of published numbers with what was measured.

    Attributes:
        rows: the published numbers, in the order of the table.
        records: row -> its measurement, of this run or an earlier one.
        measured: rows that were measured in this run.
        chosen: which rows were chosen and why; empty where nothing was to be measured.
        skipped: chosen row -> why it was not measured.
    """

    rows: tuple[PublishedRow, ...]
    records: dict[str, Record]
    measured: tuple[str, ...] = ()
    chosen: str = ""
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)

    def difference(self, key: str) -> float | None:
        """Measured minus claimed, in points; None where nothing was measured."""
        row = next(row for row in self.rows if row.key == key)
        record = self.records.get(key)
        return record.measured - row.claimed if record else None

    def text(self) -> str:
        """An aligned table with notes, for the console."""
        table = [COLUMNS, *(self._cells(row) for row in self.rows)]
        remarks = printable_lines(self._remarks())
        return "\n".join([TITLE, "", text_table(table, NUMBERS), "", remarks])

    __str__ = text

    def markdown(self) -> str:
        """The same as Markdown."""
        table = markdown_table(COLUMNS, map(self._cells, self.rows), NUMBERS)
        remarks = (f"- {markdown(line)}" for line in self._remarks())
        return "\n".join([TITLE, "", table, "", *remarks]) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; what was not measured is None."""
        return {
            "rows": [self._row_dict(row) for row in self.rows],
            "measured_now": list(self.measured),
            "chosen": self.chosen,
            "skipped": self.skipped,
        }

    def _cells(self, row: PublishedRow) -> tuple[str, ...]:
        record, difference = self.records.get(row.key), self.difference(row.key)
        named = (row.key, row.dataset, row.setting, row.printed)
        if record is None or difference is None:
            here = (NOT_MEASURED, "", "", "")
        else:
            model = f"{record.model} {record.sha256[:12]}"
            here = (f"{record.measured:.2f}", f"{difference:+.2f}", record.date, model)
        return (*named, *here, row.protocol, row.source)

    def _remarks(self) -> list[str]:
        """What was chosen, what was skipped, notes on rows, and the sources in full."""
        lines = [self.chosen] if self.chosen else []
        lines += [f"{key}: skipped, {reason}" for key, reason in self.skipped.items()]
        lines += [
            f"{row.key}: {doubt}"
            for row in self.rows
            if row.key in self.records and (doubt := _doubt(row, self.records[row.key]))
        ]
        notes: dict[str, list[str]] = {}
        for row in self.rows:
            notes.setdefault(row.note, []).append(row.key)
        known = [f"{', '.join(keys)}: {note}" for note, keys in notes.items() if note]
        used = dict.fromkeys(row.source for row in self.rows)
        known += [f"source {name}: {SOURCES[name]}" for name in used]
        return [*lines, *map(Markdown, known)]  # they are this package's own

    def _row_dict(self, row: PublishedRow) -> dict[str, Any]:
        record = self.records.get(row.key)
        return {
            "row": row.key,
            "dataset": row.dataset,
            "setting": row.setting,
            "claimed": row.claimed,
            "claimed_on": row.claimed_on or None,
            "scored_on": row.split,
            "size": format_size(row.size),
            "scored": row.scored,
            "protocol": row.protocol,
            "source": SOURCES[row.source],
            "note": row.note,
            "measured": record.measured if record else None,
            "difference": self.difference(row.key),
            "measurement": dataclasses.asdict(record) if record else None,
        }


def _doubt(row: PublishedRow, record: Record) -> str:
    """Why a measurement is none of the claim; empty where it is one."""
    if (record.split, record.size) != (row.split, format_size(row.size)):
        return f"measured on {record.split} at {record.size}, not by this protocol"
    if row.images not in (None, record.images):
        return f"measured on {record.images} of {row.images} images, no reproduction of the claim"
    return ""
