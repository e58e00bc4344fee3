"""Keys of a description: one that is not known may be misspelled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...core.arguments import nearest_or_all
from ...core.errors import DataError


def check_keys(value: Any, known: Sequence[str], where: str) -> None:
    """Makes sure that a mapping has no other keys than those that are known.

    Args:
        value: anything; what is no mapping has no keys.
        known: the keys.
        where: what the message begins with.

    Raises:
        DataError: an unknown one; the nearest known key is named.
    """
    for key in value if isinstance(value, dict) else ():
        if key not in known:
            raise DataError(f"{where}unknown field {key}: {nearest_or_all(str(key), known)}")
