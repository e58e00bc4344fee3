"""The console: how lines get there, and keeping other people's messages off it."""

from __future__ import annotations

import atexit
import contextlib
import functools
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from .files.addresses import shown
from .foreign_text import printable

FEW = 3  # of many are named
LOG = logging.getLogger("fastscnn_tf")  # what a program may hear, and the command line prints
REFRESH = 0.1  # seconds that a status line stays at least


def echo(text: object = "", err: bool = False, end: str = "\n", keep: str = "") -> None:
    """Prints a line; names of strangers in it cannot steer a terminal.

    Args:
        text: what is not printable in it is shown as escapes.
        err: on stderr instead of stdout.
        end: written behind it.
        keep: characters that stay, such as the line ends of a text whose names are printable.
    """
    stream = sys.stderr if err else sys.stdout
    if stream is not None:  # as where a program without a console runs it
        print(printable(shown(text), keep), file=stream, end=end, flush=True)


_warned: set[object] | None = None  # what `warned_once` has seen


def warn(message: object) -> None:
    """Prints a warning as the command line does."""
    if _warned is None or message not in _warned:
        echo(f"fastscnn: {message}", err=True)
    if _warned is not None:
        _warned.add(message)


@contextlib.contextmanager
def warned_once() -> Iterator[None]:
    """Has `warn` print each warning once for as long as it is entered."""
    global _warned
    before, _warned = _warned, set()
    try:
        yield
    finally:
        _warned = before


def first_few(what: Sequence[object]) -> str:
    """`first: a; b; c`: of many the first three."""
    return f"first: {'; '.join(map(str, what[:FEW]))}"


class StatusLine:
    """A line on a terminal's stderr that the next one takes the place of; nothing elsewhere.

    Attributes:
        last: the one that showed something last; an error that ends the program clears it.
    """

    last: StatusLine | None = None

    def __init__(self) -> None:
        self._live = sys.stderr is not None and sys.stderr.isatty()
        self._width, self._shown = 0, 0.0

    def show(self, say: Callable[[], str]) -> None:
        """Shows what `say` gives, unless it is shown already or the last one is too young."""
        now = time.monotonic()
        if self._live and now - self._shown > REFRESH:
            text = printable(shown(say()))[: shutil.get_terminal_size().columns - 1]
            echo(text.ljust(self._width), err=True, end="\r")
            self._width, self._shown = len(text), now
            StatusLine.last = self

    def clear(self) -> None:
        """Leaves an empty line."""
        if self._width:
            echo(" " * self._width, err=True, end="\r")
        self._width = 0


@contextlib.contextmanager
def quiet_stderr(descriptor: int = 2) -> Iterator[None]:
    """Swallows what native code writes to file descriptor 2, or to another one.

    TensorFlow, its converter and the interpreter print from C++, past Python's logging and
    warnings. Set FASTSCNN_DEBUG to see everything.
    """
    if os.environ.get("FASTSCNN_DEBUG"):
        yield
        return
    try:
        saved = os.dup(descriptor)
    except OSError:  # it is closed
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        _flush()
        os.dup2(nowhere, descriptor)
        yield
    finally:
        _flush()
        os.dup2(saved, descriptor)
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
    atexit.register(leave_stderr_to_python)


def leave_stderr_to_python() -> None:
    """Swallows what native code writes to file descriptor 2 from now on; Python's is shown."""
    if os.environ.get("FASTSCNN_DEBUG"):
        return
    with contextlib.suppress(AttributeError, OSError, ValueError):  # no stderr, or none of a file
        sys.stderr.flush()
        if sys.stderr.fileno() == 2:
            sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, closefd=False)
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 2)
