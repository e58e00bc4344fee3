"""Reading a flatbuffer that nobody vouches for: every step is checked and the work is bounded.

The generated accessors trust the file: a length of two thousand million is a loop of as many steps,
a negative offset reads from the end, and vectors that point into each other multiply. Here an
offset outside the file is an error, and a file may be read no further than its size allows: an
honest element takes four bytes, and only vectors that lie on top of each other need more.
"""

from __future__ import annotations

import struct

import numpy as np

ELEMENT_BYTES = 4  # the least that a table, an index or a scale takes
SPARE_ELEMENTS = 1_000  # for shared tables of small files
MAX_ELEMENTS = 8_000_000
MAX_TEXT = 4096  # bytes kept of a name


class DamagedFile(ValueError):
    """What the bytes say cannot be true; the message says what."""


class FlatBuffer:
    """The bytes of a file and what may still be read of them.

    Args:
        content: the whole file.
    """

    def __init__(self, content: bytes):
        self.content = content
        self._budget = min(len(content) // ELEMENT_BYTES + SPARE_ELEMENTS, MAX_ELEMENTS)

    def root(self) -> FlatTable:
        """The table that the file begins with."""
        return FlatTable(self, self.follow(0))

    def spend(self, count: int) -> None:
        """Takes elements from the budget."""
        self._budget -= count
        if self._budget < 0:
            raise DamagedFile("more elements than its size has room for")

    def unpack(self, kind: str, position: int) -> int | float | bool:
        """One number of a `struct` format character, little endian."""
        size = struct.calcsize(kind)
        self.check(position, size)
        return struct.unpack_from(f"<{kind}", self.content, position)[0]

    def follow(self, position: int) -> int:
        """Where the unsigned offset at a position points to."""
        return position + int(self.unpack("I", position))

    def check(self, position: int, size: int) -> None:
        """Refuses a range that is not inside the file."""
        if position < 0 or size < 0 or position + size > len(self.content):
            raise DamagedFile("an offset points outside the file")

    def vector(self, position: int, size: int) -> tuple[int, int]:
        """(first byte, length) of a vector whose elements take `size` bytes."""
        start = self.follow(position)
        length = int(self.unpack("I", start))
        self.check(start + 4, length * size)
        return start + 4, length

    def raw(self, position: int) -> memoryview:
        """A vector of bytes, not copied."""
        start, length = self.vector(position, 1)
        return memoryview(self.content)[start : start + length]


class FlatTable:
    """One table; fields are named by their place in the schema.

    Args:
        buffer: the file.
        position: of its first byte.
    """

    def __init__(self, buffer: FlatBuffer, position: int):
        buffer.spend(1)
        self._buffer, self._position = buffer, position
        self._fields = position - int(buffer.unpack("i", position))
        self._length = int(buffer.unpack("H", self._fields))

    def _place(self, slot: int) -> int | None:
        entry = 4 + 2 * slot
        if entry + 2 > self._length:
            return None
        offset = int(self._buffer.unpack("H", self._fields + entry))
        return self._position + offset if offset else None

    def _entries(self, slot: int) -> range:
        """Where the offsets of a vector's elements stand."""
        place = self._place(slot)
        if place is None:
            return range(0)
        start, length = self._buffer.vector(place, 4)
        return range(start, start + 4 * self._afford(length), 4)

    def has(self, slot: int) -> bool:
        """Whether the file has the field."""
        return self._place(slot) is not None

    def number(self, slot: int, kind: str, default: float = 0) -> int | float | bool:
        """A scalar field; `kind` is a `struct` format character."""
        place = self._place(slot)
        return default if place is None else self._buffer.unpack(kind, place)

    def integer(self, slot: int, kind: str, default: int = 0) -> int:
        """A scalar field that is an integer."""
        return int(self.number(slot, kind, default))

    def table(self, slot: int) -> FlatTable | None:
        """A table field."""
        place = self._place(slot)
        return None if place is None else FlatTable(self._buffer, self._buffer.follow(place))

    def tables(self, slot: int) -> list[FlatTable]:
        """A vector of tables."""
        return [FlatTable(self._buffer, self._buffer.follow(at)) for at in self._entries(slot)]

    def numbers(self, slot: int, dtype: str) -> tuple[int | float, ...]:
        """A vector of scalars, such as `<i4`."""
        place = self._place(slot)
        if place is None:
            return ()
        item = np.dtype(dtype)
        start, length = self._buffer.vector(place, item.itemsize)
        self._afford(length)
        return tuple(np.frombuffer(self._buffer.content, item, length, start).tolist())

    def integers(self, slot: int) -> tuple[int, ...]:
        """A vector of int32."""
        return tuple(int(value) for value in self.numbers(slot, "<i4"))

    def span(self, slot: int) -> tuple[int, int]:
        """(first byte in the file, length) of a vector of bytes."""
        place = self._place(slot)
        return (0, 0) if place is None else self._buffer.vector(place, 1)

    def raw(self, slot: int) -> memoryview:
        """A vector of bytes, not copied."""
        place = self._place(slot)
        return memoryview(b"") if place is None else self._buffer.raw(place)

    def copy(self, slot: int) -> bytes:
        """A text or a vector of bytes; copies count, as many tables may refer to one."""
        content = self.raw(slot)
        self._afford(len(content) // ELEMENT_BYTES)
        return bytes(content)

    def copies(self, slot: int) -> list[bytes]:
        """A vector of texts or byte vectors; they count like `copy`."""
        contents = [self._buffer.raw(at) for at in self._entries(slot)]
        self._afford(sum(map(len, contents)) // ELEMENT_BYTES)
        return [bytes(content) for content in contents]

    def text(self, slot: int) -> str:
        """A string, cut at `MAX_TEXT` bytes."""
        content = bytes(self.raw(slot)[:MAX_TEXT])
        self._afford(len(content) // 8)
        return content.decode("utf-8", "replace")

    def _afford(self, count: int) -> int:
        self._buffer.spend(count)
        return count
