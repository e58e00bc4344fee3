"""Files at addresses that fsspec knows (`s3://`, `gs://`, `https://`, `hf://`), as local paths.

An address that is read has its place below the cache folder (see `addresses`). What is listed is
there as a stand-in: a file of the same size without content, that nobody may write, whose time of
change is a mark of the version (ETag, date). So folders are walked and names are paired as on a
disk. `reading.open_regular` fetches a file when it is opened first; the copies used longest ago
become stand-ins again when all take more than `FASTSCNN_REMOTE_CACHE` gigabytes.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import os
import shutil
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from ..console import warn
from ..errors import FastSCNNError, InputError, NothingThere
from ..extras import import_extra, pip_install
from ..foreign_text import one_line
from .addresses import COPIES, HTTP, address_of, is_place, name_of_part, place_of, root
from .leftovers import PART
from .patience import AGAIN, FULL, Patience
from .user_folders import CACHE

try:
    import fcntl
except ImportError:  # two processes may fetch one file then
    fcntl = None  # type: ignore[assignment]

T = TypeVar("T")

BOUND, GIGABYTES = "FASTSCNN_REMOTE_CACHE", 10.0  # environment variable, and what holds without
FRESH = 60.0  # seconds for which this process does not ask again what lies at an address
PATIENCE = Patience()
NOTHING = "nothing lies at this address"
LOCKS = 256  # files that keep two processes from fetching one file
# What changes with the content, as the filesystems of fsspec call it.
_MARKS = (
    *("ETag", "etag", "md5Hash", "blob_id", "Content-MD5", "content_md5", "generation", "oid"),
    *("LastModified", "Last-Modified", "last_modified", "updated", "mtime", "created"),
)
# Kinds of addresses that are named to whoever mistyped one, and whose packages open them.
_DRIVERS = {"https": "aiohttp", "s3": "s3fs", "gs": "gcsfs", "az": "adlfs", "hf": "huggingface_hub"}
_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
_FINAL += (ImportError, ValueError, TypeError, NotImplementedError, InputError)  # type: ignore[assignment]
_seen: dict[str, float] = {}  # when an address was asked for last
_left: dict[Path, float] = {}  # bytes that may be fetched before the copies are counted again
_mutex = threading.Lock()


def known(url: str) -> Path:
    """The place of an address, with stand-ins for what lies there by now.

    Raises:
        InputError: nothing lies there, or it cannot be asked for: a package or credentials lack.
        FastSCNNError: no answer came, however often it was asked.
    """
    place = place_of(url)
    if time.monotonic() - _seen.get(url, -FRESH) < FRESH and os.path.lexists(place):
        return place
    store, name = open_store(url)
    store.invalidate_cache()
    try:
        info = patiently(url, functools.partial(store.info, name))
    except NothingThere:
        if place.is_file():
            place.unlink()  # it was there before
        raise
    if _is_folder(url, info):
        list_place(store, name, place)
    else:
        make_folder(place.parent)
        stand_in(place, *version_of(info))
        if "?" in url:  # another process does not know the query
            fetch(place)
    _seen[url] = time.monotonic()
    return place


def _is_folder(url: str, info: dict[str, Any]) -> bool:
    """What is listed; HTTP says it by the final `/`, to which servers send whoever left it out."""
    if info["type"] == "directory" or not url.startswith(HTTP):
        return info["type"] == "directory"
    from urllib.parse import unquote, urlsplit  # not where all paths are plain

    asked, found = (unquote(urlsplit(each).path) for each in (url, info.get("url", url)))
    return asked.endswith("/") or found == f"{asked}/"


def forget_answers() -> None:
    """Asks all addresses again, as after something was written to one."""
    _seen.clear()


def open_place(path: Path, flags: int) -> int:
    """`os.open` of a place, fetched if it is a stand-in."""
    fetch(path)
    descriptor = os.open(path, flags)
    if os.fstat(descriptor).st_mode & stat.S_IWUSR:
        return descriptor
    os.close(descriptor)  # another process has put it out, for what it needs itself
    raise InputError(f"{address_of(path)}: copies have too little room: raise {BOUND}")


def fetch(path: Path) -> None:
    """Puts the content into the place of a stand-in, whole or not at all.

    Raises:
        InputError: it is gone, refused, or larger than all copies may be.
        FastSCNNError: it did not come, however often it was asked for.
    """
    if not is_stand_in(path):
        return
    with _alone(path):
        if is_stand_in(path):
            _fetch(path)


def is_stand_in(path: Path) -> bool:
    """Whether the content of a file is not here; notes that it is used, if it is."""
    try:
        found = path.lstat()
    except OSError:
        return False  # opening it says why
    if not stat.S_ISREG(found.st_mode):
        return False
    if found.st_mode & stat.S_IWUSR and time.time() - found.st_atime > FRESH:
        with contextlib.suppress(OSError):
            os.utime(path, ns=(time.time_ns(), found.st_mtime_ns))  # used by now
    return not found.st_mode & stat.S_IWUSR


def _fetch(path: Path) -> None:
    url = address_of(path)
    store, name = open_store(url)
    found = path.lstat()
    size, mark = found.st_size, found.st_mtime_ns
    temporary = _beside(path)

    def attempt() -> None:
        nonlocal size, mark
        _make_room(url, size)
        try:
            store.get_file(name, str(temporary), callback=_bounded(size or _bound()))
            got = temporary.stat().st_size
        except _Longer:
            got = -1
        if got != size:  # another version than the one that was listed, or not all of it
            store.invalidate_cache()
            size, mark = version_of(store.info(name))
            if got != (size or got):
                raise ConnectionError(f"{got:,} of {size:,} bytes came")

    try:
        patiently(url, attempt)
        temporary.chmod(0o600)
        os.utime(temporary, ns=(time.time_ns(), mark))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


class _Longer(Exception):
    """More comes than was said."""


def _bounded(most: float) -> Any:
    """A callback of fsspec that stops what is longer."""
    callbacks = import_extra("fsspec.callbacks", "remote")

    def refuse(size: int | None, value: int, **more: Any) -> None:
        if value > most:
            raise _Longer

    return callbacks.Callback(hooks={"refuse": refuse})


def patiently(url: str, call: Callable[[], T]) -> T:
    """What a call over the network gives, tried again after what may be gone the next time.

    Raises:
        InputError: it is refused, missing, or a package lacks.
        FastSCNNError: no try of `PATIENCE` succeeded.
    """
    for failures in itertools.count(1):
        try:
            return call()
        except Exception as error:  # each driver has classes of its own
            if isinstance(error, FastSCNNError):
                raise
            # HTTP's says of all that fails that there is no file, and behind it what failed.
            cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
            said = _public(one_line(f"{type(cause).__name__}: {cause}"[:300]), url)
            if reason := _refusal(cause, said):
                kind = NothingThere if reason == NOTHING else InputError
                raise kind(f"{_public(url, url)}: {reason}") from None
            if failures >= PATIENCE.tries:
                why = f"failed {failures} times ({said}): try again later"
                raise FastSCNNError(f"{_public(url, url)}: {why}") from None
        PATIENCE.pause(failures)
    raise AssertionError


def _answer(error: Any) -> int | None:
    """HTTP's status in an exception of aiohttp, requests or botocore."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    found = getattr(error, "status", None) or getattr(response, "status_code", None)
    return found if isinstance(found, int) else None


def _refusal(cause: Exception, said: str) -> str:
    """Why another try would fail as well; empty where it might not."""
    answer, kind = _answer(cause), type(cause).__name__
    if isinstance(cause, ImportError):
        bring = f"HTTP's comes by {pip_install('remote')}, s3fs, gcsfs and so on by their names"
        return f"its package is not installed ({said}): {bring}"
    if isinstance(cause, OSError) and cause.errno in FULL:
        return f"no room for its copy ({said}): make room, or move the cache by {CACHE}"
    if answer in (401, 403) or isinstance(cause, PermissionError) or "Credentials" in kind:
        return f"refused ({said}): give the credentials that its driver asks for (docs/remote.md)"
    if answer in (404, 410) or (answer is None and isinstance(cause, FileNotFoundError)):
        return NOTHING
    if answer is not None:
        return "" if answer in AGAIN else f"the server answers {answer} ({said})"
    return f"cannot be used ({said})" if isinstance(cause, _FINAL) else ""


def _public(text: str, url: str) -> str:
    """Text without the query of an address, which may be a signature."""
    query = url.partition("?")[1:]
    return text.replace("".join(query), "") if query[1] else text


def open_store(url: str) -> tuple[Any, str]:
    """The filesystem of an address, one in each process, and the name that it has there."""
    scheme, _, rest = url.partition("://")
    start = f"{scheme}://{rest.partition('/')[0]}"
    store = patiently(url, functools.partial(_opened, os.getpid(), start))
    return store, store._strip_protocol(url)


@functools.lru_cache(32)
def _opened(process: int, start: str) -> Any:
    core = import_extra("fsspec.core", "remote", f", which {start} needs")
    registry = import_extra("fsspec.registry", "remote")
    if start.partition(":")[0] not in {*registry.known_implementations, *registry.registry}:
        here = [kind for kind, package in _DRIVERS.items() if find_spec(package)]
        more = (f"{name} for {kind}://" for kind, name in _DRIVERS.items() if kind not in here)
        raise InputError(
            f"{start}: no such kind of address: {', '.join(['file', *here])} can be opened here, "
            f"others by their packages ({', '.join(more) or 'of fsspec'})"
        )
    return core.url_to_fs(start, use_listings_cache=False)[0]


def version_of(info: dict[str, Any]) -> tuple[int, int]:
    """Size, 0 where none is said, and the mark of a version: a time that all disks can keep."""
    marks = repr([(name, str(info[name])) for name in _MARKS if info.get(name) is not None])
    digest = hashlib.blake2b(marks.encode(), digest_size=4).digest()
    return int(info.get("size") or 0), (int.from_bytes(digest) >> 2 << 1) * 1_000_000_000


def list_place(store: Any, name: str, place: Path) -> None:
    """Makes what lies in a folder known, one folder after the other, and forgets what is gone."""
    waiting, odd = [(name, place)], 0
    while waiting:
        at, to = waiting.pop()
        make_folder(to)
        there = set()
        for info in _entries(store, at, address_of(to)):
            inside, _, part = info["name"].rstrip("/").rpartition("/")
            if info["name"].rstrip("/") == at.rstrip("/"):
                continue  # the folder itself
            target = to / name_of_part(part)
            try:
                if inside != at.rstrip("/") or info["type"] not in ("file", "directory"):
                    raise ValueError("not directly in this folder, or no file")
                if info["type"] == "directory":
                    waiting.append((info["name"], target))
                else:
                    stand_in(target, *version_of(info))
            except (OSError, ValueError):  # too long, or of letters that the disk does not take
                odd += 1
            else:
                there.add(target.name)
        forget(to, there)
    if odd:
        warn(f"{address_of(place)}: left out {odd} objects that cannot be files of these names")


def _entries(store: Any, folder: str, url: str) -> Iterable[dict[str, Any]]:
    """What lies directly in a folder; HTTP's listing lacks sizes, which are asked for."""
    found = patiently(url, lambda: store.ls(folder, detail=True))
    if store.protocol != HTTP:
        return found
    from concurrent.futures import ThreadPoolExecutor  # not where all paths are plain

    def told(info: dict[str, Any]) -> dict[str, Any]:
        if info["type"] == "directory":
            return info
        name = info["name"]
        try:
            return {**patiently(name, lambda: store.info(name)), "name": name}
        except InputError:
            return {**info, "type": "a dead link"}

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(told, (each for each in found if "?" not in each["name"])))


def stand_in(path: Path, size: int, mark: int) -> None:
    """Stands for a file, unless this version of it is there already."""
    with contextlib.suppress(FileNotFoundError):
        found = path.lstat()
        if stat.S_ISDIR(found.st_mode):
            shutil.rmtree(path)
        elif (found.st_size, found.st_mtime_ns) == (size, mark):
            return
    _put_out(path, size, mark)


def _put_out(path: Path, size: int, mark: int) -> None:
    """Replaces a copy, if there is one, by a stand-in."""
    temporary = _beside(path)
    temporary.unlink(missing_ok=True)
    try:
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0)
        try:
            os.truncate(descriptor, size)
        finally:
            os.close(descriptor)
        os.utime(temporary, ns=(mark, mark))
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _beside(path: Path) -> Path:
    """A name for what will be `path`, which `remove_leftovers` knows."""
    return path.with_name(f".{threading.get_ident()}.{os.getpid()}{PART}")


def make_folder(folder: Path) -> None:
    """Makes a folder in the place of what was a file there."""
    for path in (folder, *folder.parents):
        if path.is_file() and is_place(path):
            path.unlink()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def forget(folder: Path, there: set[str]) -> None:
    """Removes copies of what is not there any more."""
    for entry in folder.iterdir():
        if entry.name not in there and PART not in entry.name:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keeps other threads and processes from fetching the same file."""
    number = int.from_bytes(hashlib.blake2b(os.fsencode(path), digest_size=2).digest()) % LOCKS
    folder = root() / "locks"
    make_folder(folder)
    with (folder / str(number)).open("w") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _bound() -> float:
    """Bytes that all copies may take."""
    given = os.environ.get(BOUND, str(GIGABYTES))
    with contextlib.suppress(ValueError):
        if 0 < float(given) < 1e9:
            return float(given) * 1e9
    raise InputError(f"{BOUND} must be gigabytes, a number above 0, got {given!r}")


def _make_room(url: str, size: int) -> None:
    """Makes the copies used longest ago stand-ins again where a new one would be too much."""
    bound, folder = _bound(), root() / COPIES
    if size > bound:
        raise InputError(
            f"{_public(url, url)}: {size:,} bytes, copies may take {bound:,.0f}: raise {BOUND}"
        )
    with _mutex:
        _left[folder] = _left.get(folder, 0.0) - size
        if _left[folder] < 0:
            _left[folder] = _count(folder, bound - size)


def _count(folder: Path, bound: float) -> float:
    """Brings the copies down to the bound; bytes until they must be counted anew."""
    copies = []
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            with contextlib.suppress(OSError):
                found = path.lstat()
                if found.st_mode & stat.S_IWUSR and PART not in name:
                    copies.append((found.st_atime, found.st_size, found.st_mtime_ns, path))
    total = sum(size for _, size, _, _ in copies)
    if total > bound:
        hour = time.time() - 3600
        if any(used > hour for used, *_ in itertools.islice(sorted(copies), 1)):
            warn(
                f"copies of remote files do not fit: raise {BOUND} (gigabytes, {_bound() / 1e9:g})"
            )
        for _, size, mark, path in sorted(copies):
            if total <= 0.9 * bound:
                break
            _put_out(path, size, mark)
            total -= size
    return min(bound - total, _bound() / 20)  # other processes fetch, too
