"""Our own lines on stderr, and keeping other people's off it."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import sys
import tempfile
from collections.abc import Iterator

from .foreign_text import printable


def to_stderr(message: str) -> None:
    """Prints a warning as the command line does."""
    print(f"fastscnn: {printable(message)}", file=sys.stderr)


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Swallows what native code writes to file descriptor 2.

    TensorFlow, its converter and the interpreter print from C++, past Python's logging and
    warnings. Set FASTSCNN_DEBUG to see everything.
    """
    if os.environ.get("FASTSCNN_DEBUG"):
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as sink:
        saved = os.dup(2)
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)


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
