"""Arguments that are numbers of a range, or one of some names."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextvars import ContextVar
from typing import Any

from .errors import ConfigError

NUMBER = (int, float)
_spelling: ContextVar[Callable[[str], str]] = ContextVar("spelling", default=str)


def called(name: str) -> str:
    """An argument or a setting as whoever gave it spells it: `--save-every` in a command line."""
    return _spelling.get()(name)


@contextlib.contextmanager
def spelled(spelling: Callable[[str], str]) -> Iterator[None]:
    """Messages spell names so meanwhile; `str` as Python and files do."""
    token = _spelling.set(spelling)
    try:
        yield
    finally:
        _spelling.reset(token)


def either(names: Iterable[Any]) -> str:
    """`1, 2 or 3`."""
    *most, last = map(str, names)
    return f"{', '.join(most)} or {last}" if most else last


def check_number(
    name: str,
    value: Any,
    low: float,
    high: float | None = None,
    kinds: tuple[type, ...] | None = None,
    wanted: str = "",
) -> Any:
    """The value, if it is at least `low` and at most `high`.

    Args:
        name: messages call it so.
        value: a number; anything where `kinds` are given.
        low: the least that it may be.
        high: the most; None: any.
        kinds: the types that it may be of; true and false are no numbers.
        wanted: what to say of the bounds instead of `LOW..HIGH`.

    Raises:
        ConfigError: naming what was expected.
    """
    fits = kinds is None or (isinstance(value, kinds) and not isinstance(value, bool))
    if fits and value >= low and (high is None or value <= high):
        return value
    bounds = wanted or (f"at least {low}" if high is None else f"{low}..{high}")
    got = repr(value) if isinstance(value, str) else value  # NumPy's numbers as numbers
    raise ConfigError(f"{called(name)} must be {bounds}, got {got}")


def check_name(what: str, name: str, known: Iterable[str]) -> str:
    """The name, if it is a known one.

    Raises:
        ConfigError: naming all of them.
    """
    names = list(known)
    if name not in names:
        raise ConfigError(f"unknown {what} {name!r}: expected one of {', '.join(names)}")
    return name


def nearest_or_all(name: str, known: Collection[str], called: Callable[[str], str] = str) -> str:
    """What to say of an unknown name: the nearest known one, or what is expected."""
    near = difflib.get_close_matches(name, known, 1, 0.5)
    names = ", ".join(map(called, near or known))
    return f"did you mean {names!r}?" if near else f"expected one of {names}"


def host_and_port(address: str) -> tuple[str, int]:
    """`host:port`, or `[::1]:port`, as sockets take it."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
