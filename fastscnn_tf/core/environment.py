"""Environment variables that hold for a while, in processes that are started meanwhile, too."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def environment(*kept: str, **values: str) -> Iterator[None]:
    """Sets variables, and puts these and those in `kept` back at the end."""
    before = {name: os.environ.get(name) for name in (*kept, *values)}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
