"""Writing files so that nothing already there is lost and nothing half-written remains."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import OutputError
from .json_text import dump_json
from .leftovers import PART, remove_leftovers

FORCE = "--force (force=True in Python)"


def check_output(path: str | os.PathLike[str], force: bool = False) -> Path:
    """Makes sure that `path` may be written, before any long work starts.

    Raises:
        OutputError: it exists and `force` is false, or its folder cannot be written.
    """
    path = Path(path)
    if path.is_dir():
        raise OutputError(f"{path} is a folder: name a file")
    if os.path.lexists(path) and not force:  # a link to nothing, too
        raise OutputError(f"{path} exists: choose another output, or replace it with {FORCE}")
    _check_writable(path.parent)
    remove_leftovers(path.parent)
    return path


def check_output_folder(path: str | os.PathLike[str], force: bool = False) -> Path:
    """Makes sure that an output folder is new or empty (unless `force`) and can be written.

    Raises:
        OutputError: it holds something already, is a file, or cannot be made.
    """
    path = Path(path)
    if path.is_dir():
        remove_leftovers(path)
    if path.is_dir() and any(path.iterdir()) and not force:
        raise OutputError(f"{path} is not empty: choose another output, or replace with {FORCE}")
    _check_writable(path)
    return path


def _check_writable(folder: Path) -> None:
    """Tries the folder, or the nearest one above it that exists; leaves nothing behind."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    make_folder(folder)


def make_folder(path: Path) -> Path:
    """Makes a folder that can be written into; no error if it is there already."""
    if path.is_file():
        raise OutputError(f"cannot write into {path}: it is a file, name a folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise OutputError(f"cannot write into {path}: {_reason(error)}") from None
    return path


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], sync: bool = False) -> Iterator[Path]:
    """Yields a temporary path beside `path` (same suffix); renames it over `path` on success.

    Args:
        path: the file to be.
        sync: wait until it is on the disk, so that not even a power cut leaves half of it.

    Raises:
        OutputError: the file cannot be written; whatever stood at `path` is untouched.
    """
    path = Path(path)
    make_folder(path.parent)
    # A later call removes what a killed process left: see `remove_leftovers`.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{PART}{path.suffix}")
    try:
        yield temporary
        if sync:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())  # a rename may reach the disk before what it names
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {_reason(error)}") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a whole file or nothing."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes indented JSON, whole or not at all; what is no finite number becomes null."""
    write_bytes(path, (dump_json(value, 2) + "\n").encode())


def remove_own(folder: Path, names: str) -> None:
    """Removes files that an earlier call wrote into a folder, and nothing that is called otherwise.

    Args:
        folder: is there; what lies in folders below it stays.
        names: a regular expression of whole names.
    """
    for path in folder.iterdir():
        if re.fullmatch(names, path.name) and (path.is_symlink() or path.is_file()):
            path.unlink()


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
