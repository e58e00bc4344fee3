"""One process at a time in a folder."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ..errors import OutputError
from .leftovers import remove_leftovers

try:
    import fcntl
except ImportError:  # such systems have no lock
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"


@contextlib.contextmanager
def hold(folder: Path, what: str = "another run") -> Iterator[None]:
    """Holds a folder for this process, and removes what killed ones left half-written in it.

    Where the system has no `flock`, nobody is refused.

    Args:
        folder: is there already.
        what: messages call the other process so.

    Raises:
        OutputError: another process holds it, or its lock is not a plain file.
    """
    if fcntl is None:
        remove_leftovers(folder, held=True)
        yield
        return
    path = folder / LOCK
    while True:
        with _open_lock(path, os.O_RDWR | os.O_CREAT) as descriptor:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise OutputError(f"{folder}: {what} is writing into this folder") from None
            if not _is_the_file(descriptor, path):
                continue  # whoever held it has just removed it
            try:
                remove_leftovers(folder, held=True)
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def is_held(folder: Path) -> bool:
    """Whether a process holds a folder. A shared lock is tried: two lists do not see each other."""
    if fcntl is None:
        return False
    with contextlib.suppress(OSError, OutputError), _open_lock(folder / LOCK, os.O_RDONLY) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
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
