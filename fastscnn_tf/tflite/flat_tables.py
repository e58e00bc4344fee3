"""Flatbuffer tables by a declaration of their fields: writing and reading, nothing generated.

A schema is a mapping from a table's name to its fields in the order of their slots, each
`name: kind`. Kinds: `string`, `byte`, `ubyte`, `int`, `uint`, `[float]`, `[string]`, `[ubyte]`,
a table's name, `[Table]`, or `A|B|...` for a union, which takes two slots. Values are plain
dictionaries; a union's are `{"type": "A", ...}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .flatbuffer_reader import DamagedFile, FlatBuffer, FlatTable

Schema = Mapping[str, Mapping[str, str]]
SchemaTable = dict[str, Any]

_SCALARS = {"byte": "Int8", "ubyte": "Uint8", "int": "Int32", "uint": "Uint32"}
_FORMATS = {"byte": "b", "ubyte": "B", "int": "i", "uint": "I"}
_DEEPEST = 16  # tables inside each other


def schema_of(text: str, unions: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """A schema from lines such as `Table field:kind other:kind`, which may go on indented.

    Args:
        text: one paragraph for each table.
        unions: the kinds that a union may be, by its name.
    """
    tables = (line.split() for line in text.replace("\n    ", " ").strip().splitlines())
    return {
        name: {
            field: unions.get(kind, kind) for field, kind in (each.split(":") for each in fields)
        }
        for name, *fields in tables
    }


def write_table(schema: Schema, root: str, value: SchemaTable, identifier: bytes) -> bytes:
    """A finished flatbuffer.

    Args:
        schema: of all tables.
        root: name of the outermost table.
        value: its fields; those left out, None or 0 are not written.
        identifier: four bytes.
    """
    import flatbuffers  # comes with LiteRT; reading does without it

    builder = flatbuffers.Builder(1024)
    builder.Finish(_write(builder, schema, root, value), identifier)
    return bytes(builder.Output())


def _write(builder: Any, schema: Schema, table: str, value: SchemaTable) -> int:
    """What a table refers to is written before it."""
    slots: list[tuple[int, str, Any]] = []  # (slot, the builder's name of the kind, value)
    slot = 0
    for name, kind in schema[table].items():
        given = value.get(name)
        if given:
            if kind in _SCALARS:
                slots.append((slot, _SCALARS[kind], given))
            elif "|" in kind:
                slots.append((slot, "Uint8", kind.split("|").index(given["type"]) + 1))
                written = _write(builder, schema, given["type"], given)
                slots.append((slot + 1, "UOffsetTRelative", written))
            else:
                slots.append((slot, "UOffsetTRelative", _reference(builder, schema, kind, given)))
        slot += 2 if "|" in kind else 1
    builder.StartObject(slot)
    for index, kind, item in slots:
        getattr(builder, f"Prepend{kind}Slot")(index, item, 0)
    return builder.EndObject()


def _reference(builder: Any, schema: Schema, kind: str, given: Any) -> int:
    if kind == "string":
        return builder.CreateString(given)
    if kind == "[ubyte]":
        # Room for 16-byte alignment: such bytes are often a flatbuffer of their own.
        builder.StartVector(1, len(given), 16)
        builder.head = builder.head - len(given)
        builder.Bytes[builder.Head() : builder.Head() + len(given)] = bytes(given)
        return builder.EndVector()
    if kind == "[float]":
        return builder.CreateNumpyVector(np.array(given, np.float32))
    if kind.startswith("["):
        inner = kind[1:-1]
        offsets = [_reference(builder, schema, inner, item) for item in given]
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return builder.EndVector()
    return _write(builder, schema, kind, given)


def read_table(schema: Schema, root: str, content: bytes, identifier: bytes) -> SchemaTable:
    """The fields of a flatbuffer; what it leaves out is left out.

    Raises:
        ValueError: another kind of file, or damaged.
    """
    if content[4:8] != identifier:
        raise ValueError(f"expected {identifier!r} at byte 4, got {content[4:8]!r}")
    return _read(schema, root, FlatBuffer(content).root(), 0)


def _read(schema: Schema, name: str, table: FlatTable, depth: int) -> SchemaTable:
    if depth > _DEEPEST:
        raise DamagedFile("tables inside each other without end")
    result: SchemaTable = {}
    slot = 0
    for field, kind in schema[name].items():
        if "|" in kind:
            inner = table.table(slot + 1)
            chosen, known = table.integer(slot, "B"), kind.split("|")
            if chosen and inner:
                if chosen > len(known):
                    raise DamagedFile(f"{field} is of kind {chosen}, known are {len(known)}")
                of = known[chosen - 1]
                result[field] = {"type": of, **_read(schema, of, inner, depth + 1)}
            slot += 1
        elif table.has(slot):
            result[field] = _value(schema, kind, table, slot, depth)
        slot += 1
    return result


def _value(schema: Schema, kind: str, table: FlatTable, slot: int, depth: int) -> Any:
    if kind in _FORMATS:
        return table.integer(slot, _FORMATS[kind])
    if kind == "string":
        return table.copy(slot).decode()
    if kind == "[ubyte]":
        return table.copy(slot)
    if kind == "[string]":
        return [each.decode() for each in table.copies(slot)]
    if kind == "[float]":
        return list(table.numbers(slot, "<f4"))
    inner = table.tables(slot) if kind.startswith("[") else [table.table(slot)]
    read = [_read(schema, kind.strip("[]"), each, depth + 1) for each in inner if each]
    return read if kind.startswith("[") else read[0]
