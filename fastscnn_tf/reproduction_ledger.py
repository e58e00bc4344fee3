"""The ledger: a JSON file that keeps what `reproduce` measured from run to run."""

from __future__ import annotations

import dataclasses
import datetime
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .core.errors import OutputError
from .core.files import FORCE, read_json, write_json

KIND = "fastscnn reproduce"


@dataclasses.dataclass(frozen=True)
class Record:
    """One measurement.

    Attributes:
        measured: mIoU in percent.
        date: day of the measurement, ISO 8601, UTC.
        model: name of the model file.
        sha256: of that file, in hexadecimal.
        split: the split that was scored.
        size: input size, as `HxW`.
        images: number of images scored.
        protocol: how it was measured, in the evaluator's words.
        version: of this package.
    """

    measured: float
    date: str
    model: str
    sha256: str
    split: str
    size: str
    images: int
    protocol: str
    version: str


def read_ledger(path: str | os.PathLike[str] | None) -> dict[str, Record]:
    """The measurements by row; none where there is no such file yet.

    Raises:
        OutputError: the file is damaged or something else.
    """
    if path is None or not Path(path).exists():
        return {}
    if not Path(path).is_file():
        raise OutputError(f"{path} is a folder: name the ledger's file with --ledger")
    try:
        content = read_json(path)
    except OutputError as error:
        raise _damaged(path, str(error).removeprefix(f"cannot read {path} ")) from None
    if not isinstance(content, dict) or content.get("ledger") != KIND:
        raise _damaged(path, "another kind of file")
    rows = content.get("rows")
    if not isinstance(rows, dict):
        raise _damaged(path, "it has no rows")
    return {key: _record(path, key, values) for key, values in rows.items()}


def add_record(path: str | os.PathLike[str], key: str, record: Record) -> None:
    """Adds a measurement to what is in the file now; writes it whole or not at all."""
    records = {**read_ledger(path), key: record}
    rows = {name: dataclasses.asdict(value) for name, value in records.items()}
    write_json(path, {"ledger": KIND, "rows": rows})


def check_owner(
    records: dict[str, Record], keys: Iterable[str], sha256: str, force: bool, where: str
) -> None:
    """Makes sure that no measurement of another model is replaced unless `force`.

    Raises:
        OutputError: one would be.
    """
    for key in keys:
        old = records.get(key)
        if old is not None and old.sha256 != sha256 and not force:
            raise OutputError(
                f"{where}: row {key} holds {old.measured:.2f} of another model ({old.model}, "
                f"{old.sha256[:12]}): choose another --ledger, or replace it with {FORCE}"
            )


def _record(path: str | os.PathLike[str], key: str, values: Any) -> Record:
    fields = {field.name: field.type for field in dataclasses.fields(Record)}
    if not isinstance(values, dict) or set(values) != set(fields):
        raise _damaged(path, f"row {key} does not have the fields {', '.join(fields)}")
    for name, value in values.items():
        kinds = {"str": str, "int": int, "float": (int, float)}[str(fields[name])]
        if not isinstance(value, kinds) or isinstance(value, bool):  # type: ignore[arg-type]
            raise _damaged(path, f"row {key} has {name} {value!r}")
        if name in _VALID and not _VALID[name](value):
            raise _damaged(path, f"row {key} has {name} {value!r}")
        if isinstance(value, str) and not value.isprintable():
            raise _damaged(path, f"row {key} has {name} {value!r}")
    return Record(**values)


def _is_day(value: str) -> bool:
    try:
        datetime.date.fromisoformat(value)
    except ValueError:
        return False
    return True


_VALID: dict[str, Callable[[Any], bool]] = {
    "measured": lambda value: 0 <= value <= 100,
    "date": _is_day,
    "sha256": lambda value: re.fullmatch("[0-9a-f]{64}", value) is not None,
    "images": lambda value: value > 0,
}


def _damaged(path: str | os.PathLike[str], reason: str) -> OutputError:
    return OutputError(
        f"{path}: no usable ledger of {KIND} ({reason}): mend or remove it, or choose another "
        "with --ledger"
    )
