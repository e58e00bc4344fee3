"""Addresses such as `s3://bucket/set`, and the places of their files in the user's cache folder.

A place says its address, `<cache>/remote/copies/s3/bucket/set`: so it goes as a plain path to
other threads and processes, and messages show the address. No name leads out of the folder.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..errors import InputError
from .user_folders import CACHE, cache_folder

FOLDER, COPIES = "remote", "copies"
HTTP = ("http", "https")
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.+)", re.DOTALL)  # `C:/` is a drive
_ODD = re.compile(r"[\x00-\x1f\x7f%\\]" if os.name != "nt" else r'[\x00-\x1f%\\:*?"<>|]|[. ]$')
_EMPTY, _QUERY = "%", "%3F"  # names that no name is written as
_queries: dict[str, str] = {}  # by their digests: a signature is not written to the disk


def is_url(path: object) -> bool:
    """Whether something is an address; a `Path` is none, it would have lost a slash."""
    return isinstance(path, str) and _ADDRESS.fullmatch(path) is not None


def root() -> Path:
    """The folder of all places, without links.

    Raises:
        InputError: this user has no cache folder.
    """
    folder = cache_folder()
    if folder is None:
        raise InputError(f"no folder for copies of remote files: set {CACHE} to one")
    return Path(os.path.realpath(folder)) / FOLDER


def _may_be_place(text: str) -> bool:
    """Whether it is worth to look: paths of a disk cost nothing."""
    return f"{os.sep}{FOLDER}{os.sep}" in text and cache_folder() is not None


def is_place(path: Path) -> bool:
    """Whether a path is that of an address."""
    return _may_be_place(str(path)) and str(path).startswith(f"{root()}{os.sep}")


def place_of(url: str, area: str = COPIES) -> Path:
    """The place of an address.

    Args:
        url: `is_url` holds.
        area: which of the folders below `root`.

    Raises:
        InputError: it holds a password, or is one address inside another.
    """
    scheme, host, parts, query = _parts(url)
    if "::" in url:
        raise InputError(f"{url}: expected a plain address, got one inside another")
    if ":" in host.rpartition("@")[0]:
        raise InputError(
            f"{scheme}://...@{host.rpartition('@')[2]}: a password in an address would stand in "
            "logs: give it where fsspec looks for it (docs/remote.md)"
        )
    if scheme == "file" and host:
        raise InputError(f"{url}: expected file:///PATH, or the path itself, got the host {host!r}")
    if query:
        import hashlib  # not where all paths are plain

        digest = hashlib.blake2b(query.encode(), digest_size=8).hexdigest()
        _queries[digest] = query
        parts[-1:] = [f"{_QUERY}{digest}", *parts[-1:]]
    names = [*map(name_of_part, [host, *parts[: -2 if query else None]])]
    names += [parts[-2], name_of_part(parts[-1])] if query else []
    return root() / area / scheme / Path(*names)


def _parts(url: str) -> tuple[str, str, list[str], str]:
    scheme, rest = _ADDRESS.fullmatch(url).groups()  # type: ignore[union-attr]
    path, _, query = rest.partition("?") if scheme.lower() in HTTP else (rest, "", "")
    host, *parts = path.rstrip("/").split("/")
    return scheme.lower(), host, parts, query if parts else ""


def name_of_part(part: str) -> str:
    """A part of an address as the name of a file or folder, which leads nowhere else."""
    if part in (".", ".."):
        return part.replace(".", "%2E")
    return _ODD.sub(lambda odd: f"%{ord(odd[0]):02X}", part) or _EMPTY


def address_of(place: Path) -> str:
    """The address of a place.

    Raises:
        InputError: it ended in a query that another process knows.
    """
    from urllib.parse import unquote

    _, scheme, *names = place.relative_to(root()).parts
    query = ""
    if len(names) > 1 and names[-2].startswith(_QUERY):
        query = _queries.get(names.pop(-2).removeprefix(_QUERY), "")
        if not query:
            raise InputError(f"{shown(place)}: its copy is gone: give the whole address again")
    path = "/".join("" if name == _EMPTY else unquote(name) for name in names)
    return f"{scheme}://{path}{query and '?'}{query}"


def shown(text: object) -> str:
    """Text with addresses where it has their places."""
    said = str(text)
    if not _may_be_place(said):
        return said
    slash = re.escape(os.sep)
    pattern = rf"{re.escape(str(root()))}{slash}[^{slash}\s]+{slash}([a-z0-9+.-]+){slash}"
    said = re.sub(pattern, r"\1://", said)
    return said.replace(f"://{_EMPTY}{os.sep}", ":///")  # file:///a has no host
