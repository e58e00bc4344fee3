"""Entry point. It imports next to nothing itself: Ctrl-C counts from the first moment."""

from __future__ import annotations

import os
import signal
import sys

from .streams import open_streams, say

TYPE_CHECKING = False  # as in typing, which takes a while to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and exits: 0 done, 1 failure, 2 user's mistake, 130 Ctrl-C."""
    open_streams()
    given = sys.argv[1:] if arguments is None else arguments
    # An exception in the middle of an import may be lost in a callback of the import system, or
    # come out as another one. Nothing has been begun yet: the process may end at once.
    guarded = signal.getsignal(signal.SIGINT) is signal.default_int_handler and _handle(_leave)
    try:
        from .commands import cli, run_command

        cli.commands.get(next((a for a in given if not a.startswith("-")), ""))  # imports it
    except (ImportError, MemoryError, OSError) as error:  # too little memory, too few open files
        if "--debug" in given:
            raise
        reason = ascii(" ".join(str(error).split())[:500])[1:-1]
        say(f"fastscnn: cannot start, {type(error).__name__}: {reason} (see --debug)")
        sys.exit(1)
    finally:
        if guarded:
            _handle(signal.default_int_handler)
    run_command(given, alone=arguments is None)


def _handle(handler: Callable[[int, FrameType | None], Any]) -> bool:
    """Sets what Ctrl-C does; only the main thread may."""
    try:
        signal.signal(signal.SIGINT, handler)
    except ValueError:
        return False
    return True


def _leave(number: int, frame: FrameType | None) -> None:
    os.write(2, b"fastscnn: interrupted\n")
    os._exit(130)
