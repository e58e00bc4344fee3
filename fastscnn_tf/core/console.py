"""Keeping other people's messages off the console."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Swallows what native code writes to file descriptor 2.

    TensorFlow, its converter and the interpreter print from C++, past Python's logging and
    warnings. Set FASTSCNN_DEBUG to see everything.
    """
    if os.environ.get("FASTSCNN_DEBUG"):
        yield
        return
    try:
        saved = os.dup(2)
    except OSError:  # stderr is closed
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        _flush()
        os.dup2(nowhere, 2)
        yield
    finally:
        _flush()
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def _flush() -> None:
    with contextlib.suppress(AttributeError, OSError, ValueError):  # no stderr, or a full disk
        sys.stderr.flush()


@functools.cache
def quiet_end() -> None:
    """Swallows what native destructors write to file descriptor 2 after Python has ended.

    What Python itself writes to stderr until then is shown. Set FASTSCNN_DEBUG to see everything.
    """
    atexit.register(_leave_stderr_to_python)


def _leave_stderr_to_python() -> None:
    if os.environ.get("FASTSCNN_DEBUG"):
        return
    with contextlib.suppress(AttributeError, OSError, ValueError):  # no stderr, or none of a file
        sys.stderr.flush()
        if sys.stderr.fileno() == 2:
            sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, closefd=False)
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 2)
