"""Whether a value of anybody is a number within bounds; true and false are none."""

from __future__ import annotations

from typing import Any

from .errors import ConfigError


def is_number(value: Any, whole: bool = False) -> bool:
    """Whether it is a number, or a whole one."""
    return isinstance(value, int if whole else int | float) and not isinstance(value, bool)


def check_number(
    name: str, value: Any, low: float, high: float, whole: bool = False, between: bool = False
) -> None:
    """Makes sure that a value is a number in `low`..`high`, both included.

    Args:
        name: messages call it so.
        value: anything.
        low: the least that it may be.
        high: the most.
        whole: it must be a whole number.
        between: say `between LOW and HIGH` instead of `LOW..HIGH`.

    Raises:
        ConfigError: it is not.
    """
    if not is_number(value, whole) or not low <= value <= high:
        bounds = f"between {low} and {high}" if between else f"{low}..{high}"
        raise ConfigError(f"{name} must be {bounds}, got {value!r}")
