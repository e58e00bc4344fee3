"""An HTTP/1 server for GET that no client can hold up, hide in or take apart.

One thread waits for all connections (asyncio); each step of each has a time limit, and of
connections there is a greatest number. Beyond it the one that has kept the server waiting for
longest is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import enum
import ipaddress
import socket
import ssl
import sys
import time
from email.utils import formatdate
from http import HTTPStatus

from http_request import Doors, RefusedError, Request, printable
from site_files import Content, Site

CHUNK = 1 << 16
HEADERS = {
    # Both together give the page SharedArrayBuffer, which WebAssembly's threads live on.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    # What the page sees stays on the device: it may talk to this server alone.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; "
        "connect-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a client may take; times in seconds.

    Attributes:
        connections: at the same time, handshakes among them.
        head: bytes of a request.
        handshake: time of TLS' handshake.
        request: time from a request's first byte to its empty line.
        idle: time without a request.
        stalled: time in which a client takes no part of an answer.
        slowest: bytes per second that it takes of a long answer.
    """

    connections: int = 100
    head: int = 16_384
    handshake: float = 10
    request: float = 10
    idle: float = 15
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
        self._minute, self._count = 0, 0

    def refused(self, line: str) -> None:
        """Something that was not done for a client, or a file that is not offered."""
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._count = minute, 0
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


class _State(enum.Enum):
    WAITING = "no request"
    ASKING = "no whole request"
    ANSWERING = "takes no answer"


@dataclasses.dataclass
class _Guest:
    """A connection: what it is at, and since when."""

    peer: str
    state: _State = _State.ASKING
    since: float = dataclasses.field(default_factory=time.monotonic)

    def now(self, state: _State) -> None:
        self.state, self.since = state, time.monotonic()


class GuardedServer:
    """Answers from a `Site`.

    Args:
        listener: a listening socket.
        site: what is served.
        doors: who may ask.
        log: gets a line for each refusal.
        context: for https.
        limits: of clients.
    """

    def __init__(
        self,
        listener: socket.socket,
        site: Site,
        doors: Doors,
        log: Log,
        context: ssl.SSLContext | None = None,
        limits: Limits = Limits(),
    ):
        self._listener, self._site, self._doors, self._log = listener, site, doors, log
        self._context, self._limits = context, limits
        self._guests: dict[asyncio.Task[None], _Guest] = {}

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
                if self._context is None:
                    busy = HTTPStatus.SERVICE_UNAVAILABLE
                    connection.send(_head(busy, {"Connection": "close", "Content-Length": "0"}))
            return
        guest = _Guest(peer)
        task = asyncio.get_running_loop().create_task(self._host(guest, connection))
        self._guests[task] = guest
        task.add_done_callback(lambda task: self._guests.pop(task, None))

    def _make_room(self) -> bool:
        """Closes the connection that keeps the server waiting for longest, if one does."""
        latest = time.monotonic() - 2  # what takes an answer has a moment for each part of it
        waiting = [
            (guest.state is _State.ANSWERING, guest.since, task)
            for task, guest in self._guests.items()
            if guest.state is not _State.ANSWERING or guest.since < latest
        ]
        if not waiting:
            return False
        task = min(waiting, key=lambda entry: entry[:2])[2]
        guest = self._guests.pop(task)
        if guest.state is not _State.WAITING:
            count = self._limits.connections
            self._log.refused(f"{guest.peer}: closed, {guest.state.value}; {count} were open")
        task.cancel()
        return True

    async def _host(self, guest: _Guest, connection: socket.socket) -> None:
        """All of a connection, from its handshake to its end."""
        transport = None
        try:
            reader, writer = await self._open(connection)
            transport = writer.transport
            while await self._exchange(guest, reader, writer):
                pass
            guest.now(_State.WAITING)
            await self._close(reader, writer)
        except TimeoutError:
            self._log.refused(f"{guest.peer}: closed, {guest.state.value} in time")
        except OSError:
            pass  # a browser that goes away, or dislikes the certificate, is no error of the server
        except Exception as error:
            self._log.refused(f"{guest.peer}: internal error, {type(error).__name__}: {error}")
        finally:
            if transport is not None:
                transport.abort()
            connection.close()

    async def _open(
        self, connection: socket.socket
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(self._limits.head)
        protocol = asyncio.StreamReaderProtocol(reader)
        async with asyncio.timeout(self._limits.handshake):
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, connection, ssl=self._context
            )
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    async def _exchange(
        self, guest: _Guest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """A request and its answer; false where the connection ends."""
        try:
            head = await self._head(guest, reader)
            if head is None:
                return False
            request = Request.parse(head)
            self._doors.check(request, _address(writer))
        except RefusedError as error:
            guest.now(_State.ANSWERING)
            await self._refuse(guest, writer, error, "", keep=False)
            return False
        guest.now(_State.ANSWERING)
        what = f"{request.method} {request.path}"
        try:
            content = self._site.open(request.path)
        except RefusedError as error:
            await self._refuse(guest, writer, error, what, request.keep)
            return request.keep
        with content.file:
            await self._answer(guest, writer, request, content, what)
        return request.keep

    async def _head(self, guest: _Guest, reader: asyncio.StreamReader) -> bytes | None:
        """A request's bytes; None where none comes."""
        guest.now(_State.WAITING)
        try:
            async with asyncio.timeout(self._limits.idle):
                first = await reader.read(1)
                while first in (b"\r", b"\n"):  # after a request: RFC 9112, 2.2
                    first = await reader.read(1)
        except TimeoutError:  # browsers keep connections, and open some to have them
            return None
        guest.now(_State.ASKING)
        try:
            async with asyncio.timeout(self._limits.request):
                return first + await reader.readuntil(b"\r\n\r\n") if first else None
        except TimeoutError:
            late = f"no whole request in {self._limits.request:g} seconds"
            raise RefusedError(HTTPStatus.REQUEST_TIMEOUT, late) from None
        except asyncio.LimitOverrunError:
            long = f"a request of more than {self._limits.head:,} bytes"
            raise RefusedError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, long) from None
        except asyncio.IncompleteReadError:
            return None

    async def _refuse(
        self,
        guest: _Guest,
        writer: asyncio.StreamWriter,
        error: RefusedError,
        what: str,
        keep: bool,
    ) -> None:
        body = f"{error.status.value} {error.status.phrase}: {error.reason}\n".encode()
        headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))}
        writer.write(_head(error.status, headers | ({} if keep else {"Connection": "close"})))
        if not what.startswith("HEAD"):
            writer.write(body)
        line = f"{guest.peer}: {error.status.value}, {what}{': ' if what else ''}{error.log}"
        if error.status is HTTPStatus.NOT_FOUND:  # a mistake rather than an attempt
            self._log.answered(line)
        else:
            self._log.refused(line)
        await self._drain(writer, self._limits.stalled)

    async def _answer(
        self,
        guest: _Guest,
        writer: asyncio.StreamWriter,
        request: Request,
        content: Content,
        what: str,
    ) -> None:
        headers = {} if request.keep else {"Connection": "close"}
        stamp = formatdate(content.changed, usegmt=True)
        if content.changed:
            headers["Last-Modified"] = stamp
        fresh = bool(content.changed) and request.headers.get("if-modified-since") == stamp
        status = HTTPStatus.NOT_MODIFIED if fresh else HTTPStatus.OK
        if not fresh:
            headers |= {"Content-Type": content.type, "Content-Length": str(content.size)}
        self._log.answered(f"{guest.peer}: {status.value}, {what}")
        writer.write(_head(status, headers))
        left = 0 if fresh or request.method == "HEAD" else content.size
        end = time.monotonic() + self._limits.stalled + left / self._limits.slowest
        while left:
            part = content.file.read(min(CHUNK, left))
            if not part:
                raise ConnectionAbortedError("the file has become shorter")
            writer.write(part)
            left -= len(part)
            await self._drain(writer, min(self._limits.stalled, end - time.monotonic()))
            guest.now(_State.ANSWERING)
        await self._drain(writer, self._limits.stalled)

    @staticmethod
    async def _drain(writer: asyncio.StreamWriter, seconds: float) -> None:
        await asyncio.sleep(0)  # whoever takes it at once leaves time to others, too
        async with asyncio.timeout(seconds):
            await writer.drain()

    async def _close(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Lets the client have the last answer: what it still sends would have that thrown away."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(2, self._limits.idle)):
                if writer.can_write_eof():
                    writer.write_eof()
                    while await reader.read(CHUNK):
                        pass
                writer.close()
                await writer.wait_closed()

    def _unexpected(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        """What a library under this one says of a connection that failed."""
        error = context.get("exception")
        if error is not None and not isinstance(error, OSError):
            self._log.refused(f"internal error, {type(error).__name__}: {error}")


def _head(status: HTTPStatus, headers: dict[str, str]) -> bytes:
    """An answer up to its empty line, with the headers that every answer has."""
    every = {"Date": formatdate(usegmt=True), **headers, **HEADERS}
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{k}: {v}" for k, v in every.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _address(writer: asyncio.StreamWriter) -> str:
    """This machine's address of a connection."""
    host = str(writer.get_extra_info("sockname")[0]).partition("%")[0]
    return str(getattr(ipaddress.ip_address(host), "ipv4_mapped", None) or host)
