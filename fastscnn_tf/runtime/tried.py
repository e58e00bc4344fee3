"""Remembers which files this machine has run without harm.

An entry is an empty file, named by a digest, in a folder of the user's cache that nobody else can
write into: a folder that somebody else could have filled counts for nothing. Only good ends are
remembered; what failed is tried again.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import platform
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..core.console import LOG
from ..core.files.user_folders import cache_folder

FOLDER = "tried"
CPU = ("model name", "flags", "Features", "CPU implementer", "CPU variant", "CPU part")
MOST = 1000  # entries; then a tenth of them goes, those not used for longest

here: set[str] = set()  # known to this process, whatever becomes of the folder


def key_of(content: bytes, way: Any) -> str:
    """What a verdict holds for: these bytes, opened this way by this runtime on this machine.

    Args:
        content: of the file.
        way: the options that it is opened with; plain JSON.
    """
    parts = [hashlib.sha256(content).hexdigest(), *_machine(), json.dumps(way, sort_keys=True)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@functools.cache
def _machine() -> tuple[str, ...]:
    import ai_edge_litert

    kinds: list[str] = []
    with contextlib.suppress(OSError):  # only Linux tells; LiteRT chooses its kernels by it
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        kinds = sorted({line for line in lines if line.startswith(CPU)})
    version = getattr(ai_edge_litert, "__version__", "")
    return version, platform.system(), platform.machine(), *kinds


def is_known(key: str) -> bool:
    """Whether that was run before."""
    if key in here:
        return True
    folder = _folder()
    if folder is None:
        return False
    try:
        if not stat.S_ISREG((folder / key).lstat().st_mode):
            return False
        os.utime(folder / key)  # it is in use: others go first
    except FileNotFoundError:
        return False
    except OSError as error:
        say_once(f"{folder}: {error.strerror}")
    here.add(key)
    return True


def remember(key: str) -> None:
    """Notes a good end; a cache that cannot be written is as good as none."""
    here.add(key)
    folder = _folder(make=True)
    if folder is None:
        return
    try:
        flags = os.O_CREAT | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
        os.close(os.open(folder / key, flags, 0o600))
        _bound(folder)
    except OSError as error:
        say_once(f"{folder}: {error.strerror}")


def known_here() -> frozenset[str]:
    """What this process knows, for those that it starts."""
    return frozenset(here)


def learn(keys: Iterable[str]) -> None:
    """Takes over what the process knows that started this one."""
    here.update(keys)


def _folder(make: bool = False) -> Path | None:
    """The folder, if there is one that only this user can write into."""
    cache = cache_folder()
    if cache is None:
        say_once("no cache folder")
        return None
    folder = cache / FOLDER
    try:
        if make:
            cache.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                folder.mkdir(mode=0o700)
        status = folder.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        say_once(f"{folder}: {error.strerror}")
        return None
    mine = not hasattr(os, "getuid") or (
        status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )
    if not mine or not stat.S_ISDIR(status.st_mode):
        say_once(f"{folder}: no folder that only you can write into")
        return None
    return folder


def _bound(folder: Path) -> None:
    with os.scandir(folder) as entries:
        found = [(entry.stat(follow_symlinks=False).st_mtime, entry.path) for entry in entries]
    if len(found) > MOST:
        for _, path in sorted(found)[: len(found) - MOST + MOST // 10]:
            with contextlib.suppress(OSError):
                Path(path).unlink()


@functools.cache
def say_once(reason: str) -> None:
    LOG.debug("models are tried each time: %s", reason)
