"""Downloading one file over HTTP so that nothing is fetched twice and nothing half-done is trusted.

What has come lies in `<file>.part`, with the server's mark of the content (a strong ETag or the
date) in `<file>.part.json`. A later try asks for the rest with `Range` and `If-Range` (RFC 9110,
sections 13.1.5 and 14): a server that knows no ranges, or whose file has changed since, sends the
whole file and the download starts again.
"""

import contextlib
import errno
import hashlib
import http.client
import os
import re
import shutil
import ssl
import stat
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import msgspec

from ...core.aliases import StrPath
from ...core.errors import DataError, FastSCNNError, InputError, Interrupted, OutputError, retold
from ...core.files.json_text import read_json
from ...core.files.patience import AGAIN, FULL, Patience
from ...core.files.reading import open_regular
from ...core.files.writing import make_folder, write_json

ByteProgress = Callable[[int, int | None], None]  # bytes so far, bytes in all (where known)
CHUNK = 1 << 17


def ignore_progress(done: int, total: int | None) -> None:
    """Shows nothing."""


def download(
    url: str,
    path: StrPath,
    sha256: str | None = None,
    patience: Patience | None = None,
    progress: ByteProgress = ignore_progress,
) -> Path:
    """Fetches `url` into `path`, going on where an earlier try stopped.

    Args:
        url: http or https.
        path: the file to write; replaced if it is there.
        sha256: what the file must hash to, hexadecimal.
        patience: timeouts and tries.
        progress: called with the bytes that have come.

    Raises:
        DataError: the address cannot be used, the server refuses it, or the checksum differs (what
            came is deleted then).
        OutputError: the disk is full or cannot be written; what came stays in `<path>.part`.
        FastSCNNError: the connection failed too often; what came stays.
        Interrupted: Ctrl-C; what came stays.
    """
    url = plain_address(url)
    if sha256:
        check_digits(sha256)
    part = _Part(make_folder(Path(path).parent) / Path(path).name, url)
    try:
        _fetch_patiently(part, patience or Patience(), progress)
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; {part.kept()}") from None
    if sha256:
        try:
            check_sha256(part.file, sha256, url)
        except DataError:
            part.discard()
            raise
    part.finish()
    return Path(path)


def plain_address(url: str) -> str:
    """The address with other letters than ASCII, and spaces, encoded.

    Raises:
        DataError: it is none, or of another kind.
    """
    with retold(DataError, f"{url}: not an address (", ")", of=ValueError):
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    if parts.scheme not in ("http", "https") or not host:
        raise DataError(f"{url}: expected an address that begins with http:// or https://")
    path = urllib.parse.quote(parts.path, safe="/%:@!$&'()*+,;=~-._")
    query = urllib.parse.quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
    netloc = parts.netloc.encode("idna").decode() if not parts.netloc.isascii() else parts.netloc
    return urllib.parse.urlunsplit((parts.scheme, netloc, path, query, ""))


class _Info(msgspec.Struct):
    """What is noted beside an unfinished file: the mark goes into a header."""

    url: str
    mark: Annotated[str, msgspec.Meta(pattern="^[ -~]{1,1000}$")] | None = None


class _Part:
    """The unfinished file and the mark of what it is a part of."""

    def __init__(self, path: Path, url: str):
        self.path, self.url = path, url
        self.file = path.with_name(f"{path.name}.part")
        self.info = path.with_name(f"{path.name}.part.json")
        if os.path.lexists(self.file) and not stat.S_ISREG(self.file.lstat().st_mode):
            raise OutputError(f"{self.file}: no plain file: remove it, or choose another output")

    def size(self) -> int:
        return self.file.stat().st_size if self.file.exists() else 0

    def mark(self) -> str | None:
        """The server's mark of the content, if the part is of this address."""
        try:
            info: _Info = read_json(self.info, _Info)
            return info.mark if info.url == self.url else None
        except InputError:  # none there, or not ours: the download starts again
            return None

    def start(self, mark: str | None) -> None:
        """Empties the file and notes what it will be a part of."""
        self.file.write_bytes(b"")
        write_json(self.info, {"url": self.url, "mark": mark})

    def kept(self) -> str:
        if not self.size():
            return "nothing has come yet: run the same command again"
        return f"{self.size():,} bytes stay in {self.file}: run the same command again to go on"

    def discard(self) -> None:
        self.file.unlink(missing_ok=True)
        self.info.unlink(missing_ok=True)

    def finish(self) -> None:
        self.file.replace(self.path)
        self.info.unlink(missing_ok=True)


class _Lost(Exception):
    """This try failed; the next may not."""


def _fetch_patiently(part: _Part, patience: Patience, progress: ByteProgress) -> None:
    """Tries until the file is whole; one that brought more than any before counts anew."""
    failures, farthest = 0, part.size()
    while True:
        try:
            return _fetch(part, patience.timeout, progress)
        except _Lost as lost:
            reason = lost
        failures = 0 if part.size() > farthest else failures + 1
        farthest = max(farthest, part.size())
        if failures >= patience.tries:
            raise FastSCNNError(f"{part.url}: {reason}; {part.kept()}")
        patience.pause(failures)


def _fetch(part: _Part, timeout: float, progress: ByteProgress) -> None:
    """One request, from where the part ends."""
    have, mark = part.size(), part.mark()
    headers = {"User-Agent": "fastscnn-tf", "Accept-Encoding": "identity"}
    if have and mark:
        headers |= {"Range": f"bytes={have}-", "If-Range": mark}
    request = urllib.request.Request(part.url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            _receive(part, response, have, progress)
    except urllib.error.HTTPError as error:
        with error:
            _refused(part, error, have)
    except urllib.error.URLError as error:
        reason = getattr(error.reason, "strerror", None) or error.reason
        raise _Lost(f"no connection ({reason})") from None
    except (TimeoutError, ConnectionError, ssl.SSLError, http.client.HTTPException) as error:
        raise _Lost(f"connection lost ({str(error) or type(error).__name__})") from None


def _refused(part: _Part, error: urllib.error.HTTPError, have: int) -> None:
    """What an answer of 400 or more means."""
    if error.code == 416:  # nothing after what we have: it is whole, or another file
        if error.headers.get("Content-Range") == f"bytes */{have}":
            return
        part.discard()
        raise _Lost("the server's file has changed")
    reason = f"the server answers {error.code} ({error.reason})"
    if error.code in AGAIN:
        raise _Lost(reason)
    raise DataError(f"{part.url}: {reason}; check the address, or pass another with --from")


def _receive(
    part: _Part, response: http.client.HTTPResponse, have: int, progress: ByteProgress
) -> None:
    """Appends the body to the part, or starts it anew where the whole file is sent."""
    length = response.headers.get("Content-Length") or ""
    total = int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None
    if response.status == 206:
        said = response.headers.get("Content-Range", "")
        sent = re.match(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]+|\*)", said)
        if sent is None or int(sent[1]) != have:
            part.discard()
            raise _Lost("the server sent another range than asked for")
        total = None if total is None else have + total
    else:
        have = 0
    with _writing(part):
        _check_room(part, have, total)
        if not have:
            part.start(_mark(response.headers))
        with part.file.open("ab") as file:
            done = have
            progress(done, total)
            while chunk := response.read(CHUNK):
                file.write(chunk)
                done += len(chunk)
                progress(done, total)
    if total is not None and done < total:
        raise _Lost(f"connection lost after {done:,} of {total:,} bytes")


def _mark(headers: http.client.HTTPMessage) -> str | None:
    """What `If-Range` may carry: a strong ETag, or the date where there is none."""
    tag = headers.get("ETag")
    return headers.get("Last-Modified") if tag is None or tag.startswith("W/") else tag


@contextlib.contextmanager
def _writing(part: _Part) -> Iterator[None]:
    """Tells a disk that takes no more from a lost connection: both are OSErrors."""
    try:
        yield
    except OSError as error:
        if error.errno not in (*FULL, errno.EACCES):
            raise
        raise OutputError(f"cannot write {part.file}: {error.strerror}; {part.kept()}") from None


def _check_room(part: _Part, have: int, total: int | None) -> None:
    free = shutil.disk_usage(part.path.parent).free
    if total is not None and total - have > free:
        raise OutputError(
            f"{part.path.parent}: {total - have:,} bytes are to come but only {free:,} are free; "
            f"{part.kept()}"
        )


def check_digits(sha256: str) -> None:
    """Makes sure that this is a SHA-256.

    Raises:
        DataError: it is not.
    """
    if not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise DataError(f"expected a SHA-256 of 64 hexadecimal digits, got {sha256!r}")


def check_sha256(path: Path, expected: str, name: str) -> None:
    """Compares a whole file with its checksum.

    Raises:
        DataError: it differs, or `expected` is not a SHA-256; the message calls the file `name`.
    """
    check_digits(expected)
    with open_regular(path, "file", error=DataError) as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected.lower():
        raise DataError(
            f"{name}: expected a file of SHA-256 {expected.lower()}, got {found}; check the "
            "address or the checksum"
        )
