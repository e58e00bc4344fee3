"""JSON: what others wrote is read bounded, strictly, and of the types that a schema names.

A schema is a type that msgspec reads: a `msgspec.Struct`, a dataclass, `dict[str, int]`. What does
not fit is one line that names the field. What is written here can be read so: `dump_json`.
"""

import itertools
import json
import math
import re
from collections.abc import Iterable
from typing import Annotated, Any, TypeVar, cast

import msgspec

from ..aliases import StrPath
from ..errors import InputError
from ..foreign_text import printable
from .reading import read_bytes

T = TypeVar("T")

LARGEST = 16 << 20  # bytes; what this package writes takes less unless said otherwise
_NESTING = frozenset((dict, list))
DEPTH = 64  # of nesting where no schema bounds it
_STRINGS_AND_NAN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|-?(?:NaN|Infinity)', re.DOTALL)

Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]  # of bytes, pixels, epochs
Name = Annotated[str, msgspec.Meta(max_length=256)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]  # such as a path
Scalar = bool | int | float | Annotated[str, msgspec.Meta(max_length=8192)] | None


def read_json(
    path: StrPath,
    schema: type[T] | Any = Any,
    *,
    what: str = "JSON file",
    largest: int = LARGEST,
    error: type[InputError] = InputError,
    mend: bool = False,
) -> T:
    """Reads a JSON file.

    Args:
        path: the file.
        schema: what it holds.
        what: messages call it so.
        largest: bytes that it may have.
        error: the class to raise.
        mend: a file that this package may have written before it wrote with `dump_json`: NaN and
            infinity become null, and halves of surrogate pairs (bytes of file names that are no
            UTF-8) their escapes.

    Returns:
        A value of the type `schema`; plain Python values where it is `Any`.

    Raises:
        InputError: (of the class `error`) no such file, no JSON, or not of this type; NaN, infinity
            and numbers beyond a double are not JSON.
    """
    content = read_bytes(path, what, largest=largest, error=error)
    return decode_json(content, str(path), schema, largest=largest, error=error, mend=mend)


def decode_json(
    content: bytes | bytearray | memoryview | str,
    where: str,
    schema: type[T] | Any = Any,
    *,
    largest: int = LARGEST,
    error: type[InputError] = InputError,
    mend: bool = False,
) -> T:
    """The value of JSON text, as `read_json`; messages call the text `where`."""
    if len(content) > largest:
        raise error(f"{where}: {len(content):,} bytes of JSON, at most {largest:,} are read")
    data = content.encode("utf-8", "replace") if isinstance(content, str) else bytes(content)
    try:
        data = _STRINGS_AND_NAN.sub(_mended, data) if mend else data
        value = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"), type=schema)
    except msgspec.ValidationError as failure:
        raise error(f"{where}: {explain(failure)}") from None
    except (ValueError, RecursionError, OverflowError, MemoryError) as failure:
        raise error(f"{where}: not valid JSON ({explain(failure)})") from None
    _check_plain(value, where, error)
    return cast(T, value)


def convert(
    value: object, where: str, schema: type[T] | Any, *, error: type[InputError] = InputError
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


def dump_json(value: object, indent: int | None = None) -> str:
    """Plain values as JSON text that every reader takes: see `plain`."""
    try:
        text = json.dumps(value, indent=indent, allow_nan=False)
    except ValueError:
        text = "\\ud"
    if "\\ud" in text:  # rare: NaN, or half of a surrogate pair
        text = json.dumps(plain(value), indent=indent, allow_nan=False)
    return text.replace("\x7f", "\\u007f")  # all else that steers a terminal is escaped already


def plain(value: object) -> Any:
    """A value as it comes back from JSON.

    NaN and infinity are None, tuples lists, and halves of surrogate pairs escapes.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        halves = any("\ud800" <= c <= "\udfff" for c in value)
        return printable(value) if halves else value
    if isinstance(value, dict):
        return {plain(name): plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def _mended(found: re.Match[bytes]) -> bytes:
    token = found[0]
    if not token.startswith(b'"'):
        return b"null"
    if b"\\ud" not in token.lower():
        return token
    try:
        return json.dumps(plain(json.loads(token))).encode()
    except ValueError:
        return token


def explain(failure: BaseException) -> str:
    """What msgspec says, as `starts[0]: expected int, got str`."""
    if isinstance(failure, RecursionError):
        return "nested too deeply"
    if isinstance(failure, MemoryError):
        return "it does not fit into memory"
    if isinstance(failure, UnicodeDecodeError):
        return "not UTF-8"
    text = " ".join(str(failure).split())
    found = re.fullmatch(r"(.*) - at `(?:key` in `)?\$\.?(.*?)`", text)
    reason, place = found.groups() if found else (text.removeprefix("JSON is malformed: "), "")
    reason = reason.replace("`", "")
    reason = reason[:1].lower() + reason[1:]
    return f"{place}: {reason}" if place else reason


def _check_plain(value: object, where: str, error: type[InputError]) -> None:
    """Refuses nesting beyond `DEPTH` among values that no schema describes."""
    inner: Iterable[Any] = [[value]]
    for _ in range(DEPTH + 2):  # all of one depth at once: lists may have millions of numbers
        level = [each for each in itertools.chain.from_iterable(inner) if type(each) in _NESTING]
        if not level:
            return
        inner = (each.values() if isinstance(each, dict) else each for each in level)
    raise error(f"{where}: nested more than {DEPTH} deep")
