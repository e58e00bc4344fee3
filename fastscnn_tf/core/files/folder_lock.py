"""One process at a time in a folder, or at a work that is gone on with."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ..errors import OutputError
from .leftovers import LOCK, remove_leftovers
from .writing import make_folder

try:
    import fcntl
except ImportError:  # such systems have no lock
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def hold(folder: Path, what: str = "another run") -> Iterator[None]:
    """Holds a folder for this process, and removes what killed ones left half-written in it.

    Args:
        folder: made if need be; made for nothing, it goes again.
        what: messages call the other process so.

    Raises:
        OutputError: another process holds it, its lock is not a plain file, or it cannot be made.
    """
    with _locked(folder / LOCK, f"{folder}: {what} is writing into this folder"):
        remove_leftovers(folder, held=True)
        yield


def one_call(journal: Path | None) -> contextlib.AbstractContextManager[None]:
    """Lets one call at a time go on with a work; that of a killed one is free again.

    Args:
        journal: of the work; None refuses nobody.

    Raises:
        OutputError: another call is at it, or as `hold`.
    """
    if journal is None:
        return contextlib.nullcontext()
    busy = "another call is at work with it: let that end, or choose another output"
    return _locked(journal.with_name(f".{journal.name.lstrip('.')}{LOCK}"), f"{journal}: {busy}")


@contextlib.contextmanager
def _locked(path: Path, busy: str) -> Iterator[None]:
    """Where the system, or this file system, has no `flock`, nobody is refused."""
    missing = [each for each in (path.parent, *path.parent.parents) if not each.exists()]
    make_folder(path.parent)
    try:
        if fcntl is None:
            yield
            return
        while True:
            with _open_lock(path, os.O_RDWR | os.O_CREAT) as descriptor:
                if _is_locked(descriptor, fcntl.LOCK_EX):
                    raise OutputError(busy)
                if not _is_the_file(descriptor, path):
                    continue  # whoever held it has just removed it
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return
    finally:
        for each in missing:
            with contextlib.suppress(OSError):
                each.rmdir()  # only if it stayed empty


def is_held(folder: Path) -> bool:
    """Whether a process holds a folder. A shared lock is tried: two lists do not see each other."""
    if fcntl is None:
        return False
    with contextlib.suppress(OSError, OutputError), _open_lock(folder / LOCK, os.O_RDONLY) as file:
        return _is_locked(file, fcntl.LOCK_SH)
    return False


def _is_locked(descriptor: int, kind: int) -> bool:
    """Whether another has it; else it is ours from now on, as far as the file system has locks."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        return isinstance(error, BlockingIOError)
    return False


@contextlib.contextmanager
def _open_lock(path: Path, flags: int) -> Iterator[int]:
    """Never through a link, which may lead anywhere, and never waiting for a pipe."""
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        reason = "a link" if path.is_symlink() else error.strerror or error
        raise OutputError(f"{path}: cannot be used as a lock ({reason}): remove it") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OutputError(f"{path}: cannot be used as a lock (no plain file): remove it")
        yield descriptor
    finally:
        os.close(descriptor)


def _is_the_file(descriptor: int, path: Path) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    return False
