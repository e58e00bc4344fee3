"""Keys of a description: names, of which one that is not known may be misspelled, and indices."""

from collections.abc import Sequence
from typing import Any, TypeVar

from ...core.arguments import nearest_or_all
from ...core.errors import DataError

T = TypeVar("T")


def check_keys(value: Any, known: Sequence[str], where: str) -> None:
    """Makes sure that a mapping has no other keys than those that are known.

    Args:
        value: anything; what is not a mapping has no keys.
        known: the keys.
        where: what the message begins with.

    Raises:
        DataError: an unknown one; the nearest known key is named.
    """
    for key in value if isinstance(value, dict) else ():
        if key not in known:
            raise DataError(f"{where}unknown field {key}: {nearest_or_all(str(key), known)}")


def check_names(value: Any, key: str, where: str) -> None:
    """Makes sure that the names below a key are none that YAML takes for true or false.

    Raises:
        DataError: one is `yes`, `no`, `on`, `off`, `true` or `false` without quotes.
    """
    told = value.get(key) if isinstance(value, dict) else None
    listed = [*told.values()] if isinstance(told, dict) else told
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each.get("name") if isinstance(each, dict) else each, bool):
            raise DataError(
                f"{where}{key}: YAML takes yes, no, on, off, true and false for truth values: "
                "write such a name in quotes"
            )


def in_order(told: list[T] | dict[int, T], where: str) -> list[T]:
    """The values of a list, or of the keys 0, 1, 2, ...

    Raises:
        DataError: the keys are others; the message begins with `where`.
    """
    if isinstance(told, list):
        return told
    if (found := sorted(told)) != list(range(len(found))):
        raise DataError(
            f"{where}: expected the indices 0 to {len(found) - 1}, got "
            f"{', '.join(map(str, found[:10]))}"
        )
    return [told[index] for index in found]
