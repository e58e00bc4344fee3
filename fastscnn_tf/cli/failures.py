"""What is said of an exception that ends the program, and its exit code."""

from __future__ import annotations

import errno
from typing import NamedTuple

import click

from ..core.errors import Ended, FastSCNNError, OutputError


class Failure(NamedTuple):
    """A line, empty if there is nothing to say, and the exit code."""

    line: str
    code: int


# What ran out, and what helps; code 1: another machine or moment might do it.
_SHORT = {
    errno.EMFILE: "raise the limit of open files (ulimit -n), or use fewer processes or threads",
    errno.ENFILE: "the whole machine has too many open files: close other programs",
    errno.ENOSPC: "make room on that disk, or choose another one",
    errno.EDQUOT: "your share of that disk is used up: make room, or choose another one",
    errno.ENOMEM: "close other programs, or use smaller sizes, batches or fewer processes",
    errno.EAGAIN: "the machine has too many processes or threads: use fewer (--threads)",
}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)
_MEMORY = "use a smaller --size, --batch-size or image, fewer processes, or a larger machine"


def explained(error: BaseException) -> Failure:
    """The line for an exception: what was expected, what came, what to do."""
    if isinstance(error, click.exceptions.Exit):
        return Failure("", error.exit_code)
    if isinstance(error, click.ClickException):
        where = getattr(error, "ctx", None)
        path = where.command_path if where else "fastscnn"
        return Failure(f"{error.format_message()} (see {path} --help)", error.exit_code)
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return Failure("interrupted", 130)
    if isinstance(error, Ended):
        return Failure(f"asked to end {error}".rstrip(), error.exit_code)
    if isinstance(error, FastSCNNError):
        return Failure(str(error), error.exit_code)
    if isinstance(error, BrokenPipeError):  # as in `| head`: nobody listens any more
        return Failure("", 1)
    if isinstance(error, OSError):
        return _system(error)
    return _too_large(error) or Failure(
        f"internal error, {type(error).__name__}: {_first_line(error)} (see --debug)", 1
    )


def _system(error: OSError) -> Failure:
    hint = f": {_SHORT[error.errno]}" if error.errno in _SHORT else ""
    # A stream does not say which one it is.
    full = "standard output or a temporary file" if error.errno in _FULL else ""
    where = error.filename or full
    name = f"{where}: " if where else ""
    code = OutputError.exit_code if error.filename or not hint else 1
    return Failure(f"{name}{error.strerror or error}{hint}", code)


def _too_large(error: BaseException) -> Failure | None:
    said = _first_line(error)
    detail = f" ({said})" if said else ""
    exhausted = type(error).__name__ == "ResourceExhaustedError"  # TensorFlow's
    if isinstance(error, MemoryError) or exhausted:
        return Failure(f"the memory does not suffice{detail}: {_MEMORY}", 1)
    if isinstance(error, RuntimeError) and "can't start new thread" in said:
        return Failure(f"no further thread can be started: {_SHORT[errno.EAGAIN]}", 1)
    if isinstance(error, ImportError):
        todo = "close other programs, or install it anew (see --debug)"
        return Failure(f"a library cannot be loaded{detail}: {todo}", 1)
    if isinstance(error, RecursionError):
        return Failure(
            f"something in the input is nested too deep{detail}: simplify the file (see --debug)", 2
        )
    if isinstance(error, OverflowError):
        return Failure(f"a number in the input or an option is too large{detail} (see --debug)", 2)
    if isinstance(error, UnicodeError):
        return Failure(
            f"a name or a text has bytes or letters that cannot be written{detail}: rename it", 2
        )
    return None


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:300]
