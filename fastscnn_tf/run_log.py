"""`read_log`: the `log.csv` of a run."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

from .core.errors import InputError

Row = dict[str, float | None]


def read_log(path: Path) -> tuple[Row, ...]:
    """Reads a log; older versions wrote fewer columns.

    Returns:
        A row for each epoch in their order, None where a cell is empty or no finite number. A row
        that a resumed run wrote again replaces the first one. Nothing without a file.

    Raises:
        InputError: the file is no text.
    """
    rows: dict[int, Row] = {}
    try:
        text = path.read_bytes().decode() if path.exists() else ""
        lines = list(csv.DictReader(io.StringIO(text, newline="")))
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: damaged ({error})") from None
    for line in lines:
        row = {name: _number(cell) for name, cell in line.items() if name is not None}
        epoch = row.get("epoch")
        if epoch is not None and epoch.is_integer():  # else the last line, cut off
            rows[int(epoch)] = row
    return tuple(rows[epoch] for epoch in sorted(rows))


def _number(cell: Any) -> float | None:
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
