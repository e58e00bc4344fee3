"""One connection, from its handshake to its end: each step of it has a time limit."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import enum
import ipaddress
import socket
import ssl
import time
from email.utils import formatdate
from http import HTTPStatus

from http_request import Doors, RefusedError, Request
from limits import Limits, Log
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


class State(enum.Enum):
    WAITING = "no request"
    ASKING = "no whole request"
    ANSWERING = "takes no answer"


@dataclasses.dataclass
class Guest:
    """A connection: what it is at, and since when."""

    peer: str
    state: State = State.ASKING
    since: float = dataclasses.field(default_factory=time.monotonic)

    def now(self, state: State) -> None:
        self.state, self.since = state, time.monotonic()


class Conversation:
    """Answers a client from a `Site`; the arguments are those of `GuardedServer`."""

    def __init__(
        self, site: Site, doors: Doors, log: Log, context: ssl.SSLContext | None, limits: Limits
    ):
        self._site, self._doors, self._log = site, doors, log
        self._context, self._limits = context, limits

    async def hold(self, guest: Guest, connection: socket.socket) -> None:
        """All of a connection; the guest tells how far it is."""
        transport = None
        try:
            reader, writer = await self._open(connection)
            transport = writer.transport
            while await self._exchange(guest, reader, writer):
                pass
            guest.now(State.WAITING)
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

    async def _open(
        self, connection: socket.socket
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        # Else the client's acknowledgement of the headers would be waited for, 40 ms.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = asyncio.StreamReader(self._limits.head)
        protocol = asyncio.StreamReaderProtocol(reader)
        async with asyncio.timeout(self._limits.handshake):
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, connection, ssl=self._context
            )
        transport.set_write_buffer_limits(0)  # what was drained is the system's to send
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    async def _exchange(
        self, guest: Guest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """A request and its answer; false where the connection ends."""
        try:
            head = await self._head(guest, reader)
            if head is None:
                return False
            request = Request.parse(head)
            self._doors.check(request, _address(writer))
        except RefusedError as error:
            guest.now(State.ANSWERING)
            await self._refuse(guest, writer, error, "", keep=False)
            return False
        guest.now(State.ANSWERING)
        what = f"{request.method} {request.path}"
        try:
            content = self._site.open(request.path)
        except RefusedError as error:
            await self._refuse(guest, writer, error, what, request.keep)
            return request.keep
        with content.file:
            await self._answer(guest, writer, request, content, what)
        return request.keep

    async def _head(self, guest: Guest, reader: asyncio.StreamReader) -> bytes | None:
        """A request's bytes; None where none comes."""
        guest.now(State.WAITING)
        try:
            async with asyncio.timeout(self._limits.idle):
                first = await reader.read(1)
                while first in (b"\r", b"\n"):  # after a request: RFC 9112, 2.2
                    first = await reader.read(1)
        except TimeoutError:  # browsers keep connections, and open some to have them
            return None
        guest.now(State.ASKING)
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
        guest: Guest,
        writer: asyncio.StreamWriter,
        error: RefusedError,
        what: str,
        keep: bool,
    ) -> None:
        body = f"{error.status.value} {error.status.phrase}: {error.reason}\n".encode()
        headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))}
        writer.write(answer_head(error.status, headers | ({} if keep else {"Connection": "close"})))
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
        guest: Guest,
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
        writer.write(answer_head(status, headers))
        left = 0 if fresh or request.method == "HEAD" else content.size
        end = time.monotonic() + self._limits.stalled + left / self._limits.slowest
        while left:
            part = content.file.read(min(CHUNK, left))
            if not part:
                raise ConnectionAbortedError("the file has become shorter")
            writer.write(part)
            left -= len(part)
            await self._drain(writer, min(self._limits.stalled, end - time.monotonic()))
            guest.now(State.ANSWERING)
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


def answer_head(status: HTTPStatus, headers: dict[str, str]) -> bytes:
    """An answer up to its empty line, with the headers that every answer has."""
    every = {"Date": formatdate(usegmt=True), **headers, **HEADERS}
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{k}: {v}" for k, v in every.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _address(writer: asyncio.StreamWriter) -> str:
    """This machine's address of a connection."""
    host = str(writer.get_extra_info("sockname")[0]).partition("%")[0]
    return str(getattr(ipaddress.ip_address(host), "ipv4_mapped", None) or host)
