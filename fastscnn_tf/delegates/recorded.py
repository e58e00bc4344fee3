"""What the person at this machine gave a model: kept outside the model's folder.

A file that comes with a model can name any path. What `fastscnn settings M --set OPTION=PATH` was
told is written into the user's own configuration folder as well, by the model's SHA-256, and only
there does it count. Another machine or another user has no such record.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import msgspec

from ..core.errors import ConfigError, OutputError
from ..core.files.json_text import read_json
from ..core.files.user_folders import CONFIG, config_folder
from ..core.files.writing import replacing
from ..core.foreign_text import shell_word
from ..core.version import __version__
from .options import Settings, plain

FOLDER = "trusted-settings"  # of the user's configuration
FORMAT = 1
LARGEST = 1 << 18  # bytes of a record
LONGEST = 500  # characters of a command


class Entry(msgspec.Struct):
    """One option of a record.

    Attributes:
        value: as the settings have it.
        folder: that the command ran in, where relative paths lie.
        date: UTC, ISO 8601.
        program: that wrote it, with its version.
        command: that it was given to.
    """

    value: Any
    folder: str
    date: str
    program: str
    command: str


class _Record(msgspec.Struct):
    format: int
    model: str
    sha256: str
    options: dict[str, Entry]


def record_path(sha256: str) -> Path | None:
    """Where the record of a model lies; None where the user has no folder for it."""
    folder = config_folder()
    return None if folder is None else folder / FOLDER / f"{sha256}.json"


def recorded(sha256: str) -> dict[str, Entry]:
    """Full name -> what was given for it; empty without a record that only this user may write.

    Raises:
        ConfigError: the record is damaged.
    """
    path = record_path(sha256)
    if path is None or not os.path.lexists(path) or not _is_ours(path):
        return {}
    found: _Record = read_json(
        path, _Record, what="record of settings", largest=LARGEST, error=ConfigError
    )
    if found.format != FORMAT or found.sha256 != sha256:
        raise ConfigError(f"{path}: no record of this model in format {FORMAT}: delete it")
    return found.options


def _is_ours(path: Path) -> bool:
    """Whether nobody else can have written it (known on POSIX alone)."""
    if os.name != "posix":
        return True
    with contextlib.suppress(OSError):
        status = path.stat()
        return status.st_uid == os.geteuid() and not status.st_mode & 0o022
    return False


def record(settings: Settings, model: Path, sha256: str, given: Collection[str]) -> None:
    """Writes down which guarded options of a model's settings were given here.

    What was recorded before stays, and counts where settings say the same.

    Args:
        settings: of the model.
        model: its path, for people.
        sha256: of its content.
        given: full names of the options that the person gave now.

    Raises:
        OutputError: it cannot be written.
        ConfigError: the record that is there is damaged.
    """
    values, guarded, before = settings.flat(), settings.guarded(), recorded(sha256)
    # Another copy of the model may have other settings: what it lacks stays, unless taken back.
    options = {n: e for n, e in before.items() if n not in given}
    for name in guarded.keys() & set(given):
        options[name] = _entry(values[name])
    if options == before:
        return
    path = record_path(sha256)
    if path is None:
        raise OutputError(f"there is no folder for this user's configuration: set {CONFIG}")
    content = _Record(FORMAT, model.name, sha256, options)
    with _private(path) as file:
        file.write(msgspec.json.format(msgspec.json.encode(content), indent=2))


def _entry(value: object) -> Entry:
    command = " ".join(map(shell_word, sys.orig_argv))
    return Entry(
        plain(value),
        str(Path.cwd()),
        datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        f"fastscnn-tf {__version__}",
        command[:LONGEST],
    )


@contextlib.contextmanager
def _private(path: Path) -> Iterator[Any]:
    """A file of this user alone, in a folder of this user alone, whole or not at all."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.chmod(0o700)
    except OSError as error:
        raise OutputError(f"cannot write into {path.parent}: {error.strerror or error}") from None
    with replacing(path) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            yield file
