"""The standard streams, whichever of them the caller has closed, filled or pointed elsewhere."""

from __future__ import annotations

import contextlib
import io
import os
import sys

TYPE_CHECKING = False  # as in typing, which takes a while to import
if TYPE_CHECKING:
    from typing import TextIO


def open_streams() -> None:
    """Gives closed streams an end, and lets every name be written.

    The next file to be opened would have a closed stream's number, and get what native code writes
    to it. A file name may hold bytes that are no text, or letters that the terminal does not know:
    they come out as escapes.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(line: str, only_stderr: bool = False) -> None:
    """Writes a line to stderr; to stdout where that is closed or full."""
    for stream in (sys.stderr,) if only_stderr else (sys.stderr, sys.stdout):
        if getattr(stream, "name", "") == os.devnull:  # it was closed
            continue
        try:
            stream.write(f"{line}\n")
            stream.flush()
            return
        except (OSError, ValueError):
            discard(stream)


def discard(stream: TextIO) -> None:
    """What cannot be written is forgotten: Python's end would try again, and change the code."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
