"""Keeping other people's messages off the console."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
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
