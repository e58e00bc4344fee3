"""`read_log`: the `log.csv` of a run."""

from __future__ import annotations

import csv
import io
import math
import os
from pathlib import Path
from typing import Any

from .core.errors import InputError
from .core.reading import read_bytes

Row = dict[str, float | None]
LARGEST, ROWS = 16 << 20, 100_000  # bytes and epochs
COLUMNS = 1000  # those of every class, and some more


def read_log(path: Path) -> tuple[Row, ...]:
    """Reads a log; older versions wrote fewer columns.

    Returns:
        A row for each epoch in their order, None where a cell is empty or no finite number, without
        the columns that a torn line lacks. A row that a resumed run wrote again replaces the first
        one. Nothing without a file.

    Raises:
        InputError: the file is no text, no table with a column `epoch`, or too large.
    """
    if not os.path.lexists(path):
        return ()
    rows: dict[int, Row] = {}
    try:
        text = read_bytes(path, "log", largest=LARGEST).decode()
        lines = csv.reader(io.StringIO(text, newline=""))
        columns = next(lines, ["epoch"])
        if "epoch" not in columns or len(columns) > COLUMNS:
            raise ValueError(f"expected at most {COLUMNS} columns, epoch among them")
        for line in lines:
            row = {name: _number(cell) for name, cell in zip(columns, line, strict=False)}
            epoch = row.get("epoch")
            if epoch is not None and epoch.is_integer():  # else the last line, cut off
                rows[int(epoch)] = row
            if len(rows) > ROWS:
                raise ValueError(f"more than {ROWS:,} epochs")
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path}: damaged ({str(error).removeprefix(f'{path}: ')})") from None
    return tuple(rows[epoch] for epoch in sorted(rows))


def _number(cell: Any) -> float | None:
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
