"""What killed processes left half-written beside their outputs."""

import contextlib
import functools
import os
import re
import shutil
import sys
import time
from pathlib import Path

from ..console import warn

LOCK = ".lock"  # ends the name of a lock, see `folder_lock`
PART = ".part"  # in the names of what is being written, beside the number of the process
_STAGE = re.compile(re.escape(PART) + r"\.(\d{1,10})")  # a folder that is built up, see `staging`
_PROCESS = re.compile(r"(?<!\d)(\d{1,10})\.?" + re.escape(PART) + "|^" + _STAGE.pattern)
MINUTE, DAY = 60, 86_400  # seconds


def is_lock(name: str) -> bool:
    """Whether a file of this name is a lock, which may be that of a killed process."""
    return name.startswith(".") and name.endswith(LOCK)


def remove_leftovers(folder: Path, held: bool = False) -> None:
    """Removes what killed processes left half-written, saying so; links go, not what they lead to.

    What a living process of this machine may be writing stays for a day; so does, for ever, what
    names no process, such as a download that another call goes on with.

    Args:
        folder: where to look, not below it.
        held: by this process, see `folder_lock.hold`. Else a process of another machine may write
            there, too: only files go that have not changed for a minute, and this process looks
            once.
    """
    if held:
        _remove(folder, held=True)
    else:
        _search_once(folder.absolute())


@functools.cache
def _search_once(folder: Path) -> None:
    _remove(folder, held=False)


def _remove(folder: Path, held: bool) -> None:
    try:
        names = [path.name for path in folder.iterdir() if path.name.startswith(".")]
    except OSError:
        return
    for name in sorted(names):
        found, path = _PROCESS.search(name), folder / name
        if found is None or not _is_dead(path, int(found[1] or found[2]), held):
            continue
        if path.is_dir() and not path.is_symlink():
            if not (held and _STAGE.fullmatch(name)):
                continue  # no folder of ours
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink()
        warn(f"removed {path}, which a killed process left half-written")


def _is_dead(path: Path, process: int, held: bool) -> bool:
    try:
        age = time.time() - path.lstat().st_mtime
    except OSError:
        return False  # gone in the meantime
    if process == os.getpid() or _lives(process):
        return age > DAY  # of another process of this number
    return held or age > MINUTE


def _lives(process: int) -> bool:
    if sys.platform == "win32":
        return True  # a signal would end it
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        return True
    return True
