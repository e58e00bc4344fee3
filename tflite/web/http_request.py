"""What a client asks, and whether this server may answer: a strict reader of HTTP/1 requests.

A page elsewhere can make a browser send requests here, under a name of its own that it points at
this address (DNS rebinding), or across sites. Both show in the headers.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import re
import socket
from collections.abc import Iterable
from http import HTTPStatus
from urllib.parse import unquote_to_bytes

MOST_HEADERS = 64
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?", re.ASCII)
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)", re.ASCII)
_REQUEST = re.compile(r"([A-Z]{1,20}) ([\x21-\x7e\x80-\xff]+) HTTP/1\.([01])", re.ASCII)
_TARGET = re.compile(r"(?:https?://([^/?#]*))?(/[^?#]*|(?=[?#]|$))(?:[?#].*)?", re.IGNORECASE)


class RefusedError(Exception):
    """A request that gets no content.

    Args:
        status: of the answer.
        reason: one line for the answer's body.
        log: one line for this machine; by default the same.
    """

    def __init__(self, status: HTTPStatus, reason: str, log: str | None = None):
        super().__init__(reason)
        self.status, self.reason, self.log = status, reason, log or reason


def printable(text: str) -> str:
    """Text in which control characters, and bytes that are no text, show as escapes."""
    escaped = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return "".join(escaped)


@dataclasses.dataclass(frozen=True)
class Request:
    """A GET or HEAD request.

    Attributes:
        method: `GET` or `HEAD`.
        path: decoded, without query; bytes that are no UTF-8 as in file names of Python.
        hosts: whom it is for, as `Host` and an absolute target say.
        headers: the others, by their names in lower case.
        keep: the connection goes on.
    """

    method: str
    path: str
    hosts: tuple[str, ...]
    headers: dict[str, str]
    keep: bool

    @classmethod
    def parse(cls, head: bytes) -> Request:
        """Reads a request up to its empty line.

        Raises:
            RefusedError: it is none, or not for GET or HEAD, or has a body.
        """
        first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        start = _REQUEST.fullmatch(first)
        if start is None:
            raise _bad("no HTTP/1 request")
        if start[1] not in ("GET", "HEAD"):
            raise RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD are answered")
        if len(lines) > MOST_HEADERS:
            raise RefusedError(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"more than {MOST_HEADERS} headers"
            )
        headers = _headers(lines)
        target = _TARGET.fullmatch(start[2])
        if target is None:
            raise _bad("expected a path, or an address of http or https")
        if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "no request here has a body")
        try:
            path = os.fsdecode(unquote_to_bytes(target[2].encode("latin-1"))) or "/"
        except UnicodeDecodeError:  # Windows has no names of other bytes
            raise _bad("the path is no UTF-8") from None
        if "host" not in headers:
            raise _bad("a request needs one Host header")
        hosts = (headers["host"], *((target[1],) if target[1] is not None else ()))
        keep = start[3] == "1" and "close" not in headers.get("connection", "").lower()
        return cls(start[1], path, hosts, headers, keep)


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        match = _HEADER.fullmatch(line)
        if match is None:
            raise _bad("a header is not `name: value`")
        name, value = match[1].lower(), match[2].strip(" \t")
        if name == "host" and name in headers:
            raise _bad("a request needs one Host header")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _bad(reason: str) -> RefusedError:
    return RefusedError(HTTPStatus.BAD_REQUEST, reason)


def host_name(text: str) -> str | None:
    """The host of `host`, `host:port` or `[address]:port`, in one spelling; None if it is none."""
    match = _HOST.fullmatch(text.lower())
    if match is None or int(match[2] or 0) > 65535:
        return None
    name = match[1].strip("[]").rstrip(".")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return None if ":" in name or not name else name
    return str(getattr(address, "ipv4_mapped", None) or address)


class Doors:
    """Under which names the server answers: localhost, the addresses it is reached at, and others.

    A name elsewhere that is made to lead here is none of them. Any port counts: the one a browser
    sees may be forwarded to this one.

    Args:
        bound: the address that the server listens at; for 0.0.0.0 and :: this machine's name
            and addresses count, too.
        names: further ones, such as the one that `--host` gives.
    """

    def __init__(self, bound: str, names: Iterable[str] = ()):
        known = {"localhost", "127.0.0.1", "::1", bound, *names}
        if ipaddress.ip_address(bound.partition("%")[0]).is_unspecified:
            known |= _machine()
        self._names = {spelled(name) for name in known}

    def check(self, request: Request, reached_at: str) -> None:
        """Refuses a request for somebody else, or from a page of somebody else.

        Args:
            request: what came.
            reached_at: the address of this machine at which it came.

        Raises:
            RefusedError: it is for another host, or from another site.
        """
        for host in request.hosts:
            name = host_name(host)
            if name is None:
                raise _bad("Host is no host's name")
            if name not in self._names and name != spelled(reached_at):
                raise RefusedError(
                    HTTPStatus.MISDIRECTED_REQUEST,
                    "this server has another name (its --allow-host NAME gives it more)",
                    f"host {name} is not this server: --allow-host {name} lets it in",
                )
        origin = request.headers.get("origin")
        if origin is not None and origin.lower().partition("://")[2] != request.hosts[0].lower():
            raise _foreign(f"of {origin}")
        site = request.headers.get("sec-fetch-site", "none")
        if site in ("none", "same-origin"):
            return
        # A link elsewhere may lead here; pictures, scripts, frames and fetches may not.
        way = [request.headers.get(f"sec-fetch-{what}") for what in ("mode", "dest")]
        if way != ["navigate", "document"]:
            raise _foreign(f"elsewhere (Sec-Fetch-Site: {site})")


def _foreign(whose: str) -> RefusedError:
    reason = "the page that asks is another site's"
    return RefusedError(HTTPStatus.FORBIDDEN, reason, f"the page that asks is one {whose}")


def spelled(name: str) -> str | None:
    """A host's name of any letters, or its address, as `host_name` gives it."""
    bare = name.strip("[]").partition("%")[0]
    try:
        bare = bare if bare.isascii() else bare.encode("idna").decode()
    except UnicodeError:
        return None
    return host_name(f"[{bare}]" if ":" in bare else bare)


def _machine() -> set[str]:
    """Name and addresses of this machine, as far as it knows them without asking others."""
    name = socket.gethostname()
    found = {name, f"{name}.local"}  # the latter in a network without a name server
    try:
        found |= {str(entry[4][0]) for entry in socket.getaddrinfo(name, None)}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # nothing is sent: this only chooses an own address
            found.add(probe.getsockname()[0])
    except OSError:
        pass
    return found
