"""Protocol buffers without their library: the fields of a message, in bounded work.

Source: protobuf.dev, "Encoding".
"""

from collections.abc import Iterator

Value = int | memoryview
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5  # wire types
FIXED = {FIXED64: 8, FIXED32: 4}
LARGEST_KEY = 1 << 32  # some readers cut a larger one off, and see another field
STEPS = 1_000_000  # a checkpoint's index takes some hundred thousand


class Wire:
    """Reads messages, those inside of others too, until all together took too many steps.

    Args:
        steps: fields that all messages may have together.
    """

    def __init__(self, steps: int = STEPS):
        self._left = steps

    def fields(self, data: memoryview) -> Iterator[tuple[int, Value]]:
        """Number and value of each field: an integer, or bytes where its length is known.

        Raises:
            ValueError: it is not a message, is cut off, or of more fields than are read.
        """
        at = 0
        while at < len(data):
            self._left -= 1
            if self._left < 0:
                raise ValueError("more fields than are read")
            key, at = varint(data, at)
            if key >= LARGEST_KEY:
                raise ValueError(f"a field of the number {key >> 3}")
            kind = key & 7
            if kind == VARINT:
                value, at = varint(data, at)
                yield key >> 3, value
                continue
            if kind == LENGTH:
                size, at = varint(data, at)
            elif kind in FIXED:
                size = FIXED[kind]
            else:
                raise ValueError(f"field {key >> 3} is of wire type {kind}")
            if size > len(data) - at:
                raise ValueError(f"field {key >> 3} reaches beyond its message")
            yield key >> 3, data[at : at + size]
            at += size

    def message(self, data: Value) -> dict[int, list[Value]]:
        """The values of each field, by its number.

        Raises:
            ValueError: as `fields`, or the field that should hold it is a number.
        """
        found: dict[int, list[Value]] = {}
        for number, value in self.fields(content_of(data)):
            found.setdefault(number, []).append(value)
        return found

    def integers(self, values: list[Value]) -> list[int]:
        """A repeated field of integers, packed or not.

        Raises:
            ValueError: cut off, or more than are read.
        """
        found: list[int] = []
        for value in values:
            if isinstance(value, int):
                found.append(value)
                continue
            at = 0
            while at < len(value):
                self._left -= 1
                if self._left < 0:
                    raise ValueError("more numbers than are read")
                number, at = varint(value, at)
                found.append(number)
        return found


def varint(data: memoryview | bytes, at: int) -> tuple[int, int]:
    """A number of up to 64 bits, and where it ends.

    Raises:
        ValueError: longer.
        IndexError: cut off.
    """
    value = shift = 0
    while True:
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def content_of(value: Value) -> memoryview:
    """A field that holds bytes or a message.

    Raises:
        ValueError: a number.
    """
    if isinstance(value, int):
        raise ValueError("a number in the place of bytes")
    return value


def text(value: Value) -> str:
    """A field that holds text.

    Raises:
        ValueError: a number, or not UTF-8.
    """
    return str(content_of(value), "utf-8")
