"""Arguments that are numbers of a range, or one of some names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from .errors import ConfigError

Number = TypeVar("Number", int, float)


def check_number(name: str, value: Number, low: float, high: float | None = None) -> Number:
    """The value, if it is at least `low` and at most `high`.

    Raises:
        ConfigError: naming what was expected.
    """
    if value >= low and (high is None or value <= high):
        return value
    wanted = f"at least {low}" if high is None else f"{low}..{high}"
    raise ConfigError(f"{name} must be {wanted}, got {value}")


def check_name(what: str, name: str, known: Iterable[str]) -> str:
    """The name, if it is a known one.

    Raises:
        ConfigError: naming all of them.
    """
    names = list(known)
    if name not in names:
        raise ConfigError(f"unknown {what} {name!r}: expected one of {', '.join(names)}")
    return name
