"""Flatbuffer tables by a declaration of their fields: writing and reading, nothing generated.

A schema is a mapping from a table's name to its fields in the order of their slots, each
`name: kind`. Kinds: `string`, `byte`, `ubyte`, `int`, `uint`, `[float]`, `[string]`, `[ubyte]`,
a table's name, `[Table]`, or `A|B|...` for a union, which takes two slots. Values are plain
dictionaries; a union's are `{"type": "A", ...}`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import flatbuffers
from flatbuffers import number_types as numbers

Schema = Mapping[str, Mapping[str, str]]
Table = dict[str, Any]

_SCALARS = {
    "byte": numbers.Int8Flags,
    "ubyte": numbers.Uint8Flags,
    "int": numbers.Int32Flags,
    "uint": numbers.Uint32Flags,
}
_LONGEST = 1 << 20  # entries of a vector; more means a damaged file


def write_table(schema: Schema, root: str, value: Table, identifier: bytes) -> bytes:
    """A finished flatbuffer.

    Args:
        schema: of all tables.
        root: name of the outermost table.
        value: its fields; those left out, None or 0 are not written.
        identifier: four bytes.
    """
    builder = flatbuffers.Builder(1024)
    builder.Finish(_write(builder, schema, root, value), identifier)
    return bytes(builder.Output())


def _write(builder: Any, schema: Schema, table: str, value: Table) -> int:
    """What a table refers to is written before it."""
    slots: list[tuple[int, Any, Any]] = []  # (slot, flags or None for a reference, value)
    slot = 0
    for name, kind in schema[table].items():
        given = value.get(name)
        if given:
            if kind in _SCALARS:
                slots.append((slot, _SCALARS[kind], given))
            elif "|" in kind:
                slots.append((slot, numbers.Uint8Flags, kind.split("|").index(given["type"]) + 1))
                written = _write(builder, schema, given["type"], given)
                slots.append((slot + 1, None, written))
            else:
                slots.append((slot, None, _reference(builder, schema, kind, given)))
        slot += 2 if "|" in kind else 1
    builder.StartObject(slot)
    for index, flags, item in slots:
        if flags is None:
            builder.PrependUOffsetTRelativeSlot(index, item, 0)
        else:
            builder.PrependSlot(flags, index, item, 0)
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
        builder.StartVector(4, len(given), 4)
        for item in reversed(given):
            builder.PrependFloat32(item)
        return builder.EndVector()
    if kind.startswith("["):
        inner = kind[1:-1]
        offsets = [_reference(builder, schema, inner, item) for item in given]
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return builder.EndVector()
    return _write(builder, schema, kind, given)


def read_table(schema: Schema, root: str, content: bytes, identifier: bytes) -> Table:
    """The fields of a flatbuffer; what it leaves out is left out.

    Raises:
        ValueError: another kind of file, or damaged.
    """
    if content[4:8] != identifier:
        raise ValueError(f"expected {identifier!r} at byte 4, got {content[4:8]!r}")
    try:
        return _Reader(schema, content).table(root, _unpack("<I", content, 0), 0)
    except (struct.error, UnicodeDecodeError, KeyError, IndexError) as error:
        raise ValueError(f"damaged: {error}") from None


def _unpack(code: str, content: bytes, at: int) -> Any:
    if at < 0:
        raise struct.error("an offset points before the file")
    return struct.unpack_from(code, content, at)[0]


class _Reader:
    """Reads with bounds checked: `struct` refuses what lies outside."""

    def __init__(self, schema: Schema, content: bytes):
        self.schema, self.content = schema, content

    def table(self, name: str, at: int, depth: int) -> Table:
        if depth > 16:
            raise struct.error("tables inside each other without end")
        slots = at - _unpack("<i", self.content, at)
        size = _unpack("<H", self.content, slots)
        result: Table = {}
        slot = 0
        for field, kind in self.schema[name].items():
            where = self._field(at, slots, size, slot)
            if "|" in kind:
                target = self._field(at, slots, size, slot + 1)
                if where and target:
                    inner = kind.split("|")[self.content[where] - 1]
                    value = self.table(inner, self._follow(target), depth + 1)
                    result[field] = {"type": inner, **value}
                slot += 1
            elif where:
                result[field] = self._value(kind, where, depth)
            slot += 1
        return result

    def _field(self, at: int, slots: int, size: int, slot: int) -> int:
        offset = 4 + 2 * slot
        if offset + 2 > size:
            return 0
        inside = _unpack("<H", self.content, slots + offset)
        return at + inside if inside else 0

    def _follow(self, at: int) -> int:
        return at + _unpack("<I", self.content, at)

    def _value(self, kind: str, at: int, depth: int) -> Any:
        if kind in _SCALARS:
            return _unpack(
                {"byte": "<b", "ubyte": "<B", "int": "<i", "uint": "<I"}[kind], self.content, at
            )
        target = self._follow(at)
        if kind in ("string", "[ubyte]"):
            length = _unpack("<I", self.content, target)
            value = self.content[target + 4 : target + 4 + length]
            if len(value) != length:
                raise struct.error("a text ends behind the file")
            return value.decode() if kind == "string" else value
        if not kind.startswith("["):
            return self.table(kind, target, depth + 1)
        count = _unpack("<I", self.content, target)
        if count > _LONGEST:
            raise struct.error(f"a vector of {count} entries")
        places = [target + 4 + 4 * i for i in range(count)]
        if kind == "[float]":
            return [_unpack("<f", self.content, place) for place in places]
        return [self._value(kind[1:-1], place, depth) for place in places]
