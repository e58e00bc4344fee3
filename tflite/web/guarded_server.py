"""An HTTP/1 server for GET that no client can hold up.

One thread waits for all connections (asyncio), of which there is a greatest number. Beyond it the
one that has kept the server waiting for longest is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from http import HTTPStatus

from conversation import Conversation, Guest, State, answer_head
from http_request import Doors
from limits import Limits, Log
from site_files import Site


class GuardedServer:
    """Answers from a `Site`.

    Args:
        listener: a listening socket.
        site: what is served.
        doors: who may ask.
        log: gets a line for each refusal.
        context: for https.
        limits: of clients; by default those of `Limits`.
    """

    def __init__(
        self,
        listener: socket.socket,
        site: Site,
        doors: Doors,
        log: Log,
        context: ssl.SSLContext | None = None,
        limits: Limits | None = None,
    ):
        limits = limits or Limits()
        self._listener, self._log, self._limits = listener, log, limits
        self._conversation = Conversation(site, doors, log, context, limits)
        self._tls = context is not None
        self._guests: dict[asyncio.Task[None], Guest] = {}

    async def run(self) -> None:
        """Serves until it is cancelled."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._unexpected)
        self._listener.setblocking(False)
        try:
            while True:
                try:
                    connection, address = await loop.sock_accept(self._listener)
                except OSError as error:  # no descriptors left, or gone already
                    self._log.refused(f"a connection is not accepted: {error.strerror}")
                    await asyncio.sleep(0.1)
                    continue
                self._admit(connection, str(address[0]))
        finally:
            guests = list(self._guests)
            for task in guests:
                task.cancel()
            await asyncio.gather(*guests, return_exceptions=True)

    def _admit(self, connection: socket.socket, peer: str) -> None:
        if len(self._guests) >= self._limits.connections and not self._make_room():
            self._log.refused(f"{peer}: refused, {len(self._guests)} connections are at work")
            with connection, contextlib.suppress(OSError):
                if not self._tls:
                    busy = HTTPStatus.SERVICE_UNAVAILABLE
                    connection.send(
                        answer_head(busy, {"Connection": "close", "Content-Length": "0"})
                    )
            return
        guest = Guest(peer)
        task = asyncio.get_running_loop().create_task(self._conversation.hold(guest, connection))
        self._guests[task] = guest

        def leave(task: asyncio.Task[None]) -> None:
            self._guests.pop(task, None)
            connection.close()  # it may have been cancelled before it began

        task.add_done_callback(leave)

    def _make_room(self) -> bool:
        """Closes the connection that keeps the server waiting for longest, if one does."""
        latest = time.monotonic() - self._limits.moment  # which each part of an answer has
        waiting = [
            (guest.state is State.ANSWERING, guest.since, task)
            for task, guest in self._guests.items()
            if guest.state is not State.ANSWERING or guest.since < latest
        ]
        if not waiting:
            return False
        task = min(waiting, key=lambda entry: entry[:2])[2]
        guest = self._guests.pop(task)
        if guest.state is not State.WAITING:
            count = self._limits.connections
            self._log.refused(f"{guest.peer}: closed, {guest.state.value}; {count} were open")
        task.cancel()
        return True

    def _unexpected(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        """What a library under this one says of a connection that failed."""
        error = context.get("exception")
        if error is not None and not isinstance(error, OSError):
            self._log.refused(f"internal error, {type(error).__name__}: {error}")
