"""`read_log`: the `log.csv` of a run."""

from __future__ import annotations

import csv
import io
import itertools
import math
import os
from pathlib import Path

from .core.errors import InputError
from .core.reading import read_bytes

Row = dict[str, float | None]
LARGEST, CELLS = 16 << 20, 3_000_000  # bytes and cells: those of 100,000 epochs and 20 classes
COLUMNS = 1000  # those of every class, and some more


def read_log(path: Path) -> tuple[Row, ...]:
    """Reads a log; older versions wrote fewer columns.

    Returns:
        A row for each epoch in their order, None where a cell is empty or no finite number. A row
        that a resumed run wrote again replaces the first one. Nothing without a file.

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
            cells = itertools.zip_longest(columns, line[: len(columns)])
            row = {name: _number(cell) for name, cell in cells}
            epoch = row.get("epoch")
            if epoch is not None and epoch.is_integer():  # else the last line, cut off
                rows[int(epoch)] = row
            if len(rows) * len(columns) > CELLS:
                raise ValueError(f"more than {CELLS:,} cells")
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path}: damaged ({str(error).removeprefix(f'{path}: ')})") from None
    return tuple(rows[epoch] for epoch in sorted(rows))


def _number(cell: str | None) -> float | None:
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
