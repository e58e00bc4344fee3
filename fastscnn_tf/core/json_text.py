"""Reading JSON of others: bounded, strict, and of the types that a schema names.

A schema is a type that msgspec reads: a `msgspec.Struct`, a dataclass, `dict[str, int]`. What does
not fit is one line that names the field.
"""

from __future__ import annotations

import os
import re
from typing import Any, TypeVar, cast

import msgspec

from .errors import InputError
from .reading import read_bytes

T = TypeVar("T")

LARGEST = 16 << 20  # bytes; what this package writes takes less unless said otherwise
DEPTH = 64  # of nesting where no schema bounds it


def read_json(
    path: str | os.PathLike[str],
    schema: type[T] | Any = Any,
    *,
    what: str = "JSON file",
    largest: int = LARGEST,
    error: type[InputError] = InputError,
) -> T:
    """Reads a JSON file.

    Args:
        path: the file.
        schema: what it holds.
        what: messages call it so.
        largest: bytes that it may have.
        error: the class to raise.

    Returns:
        A value of the type `schema`; plain Python values where it is `Any`.

    Raises:
        InputError: (of the class `error`) no such file, no JSON, or not of this type; NaN, infinity
            and numbers beyond a double are no JSON.
    """
    content = read_bytes(path, what, largest=largest, error=error)
    return decode_json(content, str(path), schema, largest=largest, error=error)


def decode_json(
    content: bytes | bytearray | memoryview | str,
    where: str,
    schema: type[T] | Any = Any,
    *,
    largest: int = LARGEST,
    error: type[InputError] = InputError,
) -> T:
    """The value of JSON text, as `read_json`; messages call the text `where`."""
    if len(content) > largest:
        raise error(f"{where}: {len(content):,} bytes of JSON, at most {largest:,} are read")
    data = content.encode("utf-8", "replace") if isinstance(content, str) else bytes(content)
    try:
        value = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"), type=schema)
    except msgspec.ValidationError as failure:
        raise error(f"{where}: {explain(failure)}") from None
    except (ValueError, RecursionError, OverflowError, MemoryError) as failure:
        raise error(f"{where}: not valid JSON ({explain(failure)})") from None
    _check_plain(value, where, error)
    return cast(T, value)


def convert(
    value: Any, where: str, schema: type[T] | Any, *, error: type[InputError] = InputError
) -> T:
    """Plain values, of YAML for example, as a value of the type `schema`.

    Raises:
        InputError: (of the class `error`) they do not fit; the message names the field.
    """
    _check_plain(value, where, error)
    try:
        return cast(T, msgspec.convert(value, schema))
    except (msgspec.ValidationError, RecursionError, OverflowError) as failure:
        raise error(f"{where}: {explain(failure)}") from None


def explain(failure: BaseException) -> str:
    """What msgspec says, as `starts[0]: expected int, got str`."""
    if isinstance(failure, RecursionError):
        return "nested too deeply"
    if isinstance(failure, MemoryError):
        return "it does not fit into memory"
    if isinstance(failure, UnicodeDecodeError):
        return "not UTF-8"
    text = " ".join(str(failure).split())
    found = re.fullmatch(r"(.*) - at `(?:key in )?`?\$\.?(.*?)`", text)
    reason, place = found.groups() if found else (text.removeprefix("JSON is malformed: "), "")
    reason = reason.replace("`", "")
    reason = reason[:1].lower() + reason[1:]
    return f"{place}: {reason}" if place else reason


def _check_plain(value: Any, where: str, error: type[InputError]) -> None:
    """Refuses nesting beyond `DEPTH` among values that no schema describes."""
    waiting = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if depth > DEPTH:
            raise error(f"{where}: nested more than {DEPTH} deep")
        if isinstance(item, dict):
            waiting += [(each, depth + 1) for each in item.values() if _holds(each)]
        elif isinstance(item, list):
            waiting += [(each, depth + 1) for each in item if _holds(each)]


def _holds(value: Any) -> bool:
    return isinstance(value, dict | list)


__all__ = ["convert", "decode_json", "explain", "read_json"]
