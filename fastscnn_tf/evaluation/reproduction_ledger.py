"""The ledger: a JSON file that keeps what `reproduce` measured from run to run."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from typing import Annotated, Any

import msgspec

from ..core.aliases import StrPath
from ..core.errors import OutputError
from ..core.files.json_text import Name, decode_json, read_json
from ..core.files.writing import FORCE, write_json
from ..core.foreign_text import printable

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

    measured: Annotated[float, msgspec.Meta(ge=0, le=100)]
    date: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]
    model: str
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
    split: str
    size: str
    images: Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)]
    protocol: str
    version: str

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if isinstance(value, str) and not value.isprintable():
                raise ValueError(f"{name} {value[:80]!r} is not printable")


class _LedgerKind(msgspec.Struct):
    ledger: Any = None


class _Ledger(msgspec.Struct):
    """The content of a ledger; later versions may say more."""

    rows: dict[Name, msgspec.Raw]  # of `Record`s


def read_ledger(path: StrPath | None) -> dict[str, Record]:
    """The measurements by row; none where there is no such file yet.

    Raises:
        OutputError: the file is damaged or something else.
    """
    if path is None or not os.path.lexists(path):
        return {}
    try:
        kind: _LedgerKind = read_json(path, _LedgerKind, what="ledger", error=OutputError)
        if kind.ledger != KIND:
            raise OutputError("another kind of file")
        found: _Ledger = read_json(path, _Ledger, what="ledger", error=OutputError)
        return {
            key: decode_json(bytes(row), f"row {printable(key)}", Record, error=OutputError)
            for key, row in found.rows.items()
        }
    except OutputError as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise OutputError(
            f"{path}: no usable ledger of {KIND} ({reason}): mend or remove it, or choose another "
            "with --ledger"
        ) from None


def add_record(path: StrPath, key: str, record: Record) -> None:
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
