"""What a client may take: time, room, and lines of the log."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time

from http_request import printable


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a client may take; times in seconds.

    Attributes:
        connections: at the same time, handshakes among them.
        head: bytes of a request.
        handshake: time of TLS' handshake.
        request: time from a request's first byte to its empty line.
        idle: time without a request.
        moment: time in which a client that takes an answer is not closed for another one.
        stalled: time in which a client takes no part of an answer.
        slowest: bytes per second that it takes of a long answer.
    """

    connections: int = 100
    head: int = 16_384
    handshake: float = 10
    request: float = 10
    idle: float = 15
    moment: float = 2
    stalled: float = 20
    slowest: float = 20_000


class Log:
    """Lines on stderr; what strangers cause is no more than some lines a minute.

    Args:
        verbose: a line for each answer, too.
        most: lines a minute about refusals.
    """

    def __init__(self, verbose: bool = False, most: int = 100):
        self._verbose, self._most = verbose, most
        self._since, self._count = -60.0, 0

    def refused(self, line: str) -> None:
        """Something that was not done for a client, or a file that is not offered."""
        now = time.monotonic()
        if now - self._since > 60:
            self._since, self._count = now, 0
        self._count += 1
        if self._count <= self._most:
            self._write(line)
        elif self._count == self._most + 1:
            self._write(f"more than {self._most} such lines: no others for up to a minute")

    def answered(self, line: str) -> None:
        """An answer, if the user wants to know."""
        if self._verbose:
            self._write(line)

    @staticmethod
    def _write(line: str) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):  # stderr may be closed
            print(f"serve.py: {printable(line)[:500]}", file=sys.stderr, flush=True)
