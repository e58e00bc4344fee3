"""Writing files so that nothing already there is lost and nothing half-written remains."""

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..aliases import StrPath
from ..errors import ConfigError, OutputError
from .addresses import is_url
from .json_text import dump_json
from .leftovers import PART, is_lock, remove_leftovers

FORCE, RESUME = "--force (force=True in Python)", "--resume (resume=True in Python)"
NAME_MAX = 255  # bytes of a name on common file systems; some count characters, which allows more


def check_output(
    path: StrPath, force: bool = False, began: Path | None = None, suffix: str = ""
) -> Path:
    """Makes sure that `path` may be written, before any long work starts.

    Args:
        path: the file.
        force: it may exist.
        began: of calls that can be gone on with: the file that is there where one was begun so.
        suffix: what its name must end in, such as `.keras`.

    Raises:
        ConfigError: it ends in something else.
        OutputError: it exists and `force` is false, or its folder cannot be written.
    """
    path = check_plain(path)
    if suffix not in ("", path.suffix):
        raise ConfigError(f"{path}: the output must end in {suffix}")
    check_name(path)
    if path.is_dir():
        raise OutputError(f"{path} is a folder: name a file")
    if os.path.lexists(path) and not force:  # a link to nothing, too
        later = "; a call that has --resume from the start can be gone on with"
        told = later if began and not os.path.lexists(began) else ""
        raise OutputError(f"{path} exists: {_choices(began, 'replace it')}{told}")
    _check_writable(path.parent)
    remove_leftovers(path.parent)
    return path


def check_plain(path: StrPath) -> Path:
    """A path; of an address it would make a folder called `s3:`.

    Raises:
        OutputError: it is an address.
    """
    if is_url(path):
        raise OutputError(
            f"{path}: only --output takes an address; in Python: with fastscnn_tf.staged({path!r}) "
            "as path: ..."
        )
    return Path(path)


def check_name(path: Path) -> None:
    """Makes sure that a file can have this name.

    Raises:
        OutputError: it cannot: too long, or with a zero byte.
    """
    folder = _nearest(path.parent)
    try:
        (folder / path.name).lstat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass  # which are other matters
    except OSError as error:
        length = len(os.fsencode(path.name))
        name = path.name if length <= NAME_MAX else f"a name of {length} bytes, {path.name[:60]}..."
        raise OutputError(f"cannot write {name} into {path.parent}: {_reason(error)}") from None
    except ValueError:
        raise OutputError(f"cannot write {str(path)!r}: no file can have this name") from None


def check_output_folder(path: StrPath, force: bool = False, began: str = "") -> Path:
    """Makes sure that an output folder is new or empty (unless `force`) and can be written.

    Args:
        path: the folder.
        force: it may hold something.
        began: name of the file in it by which an earlier call can be gone on with.

    Raises:
        OutputError: it holds something already, is a file, or cannot be made.
    """
    path = check_plain(path)
    if path.is_dir():
        remove_leftovers(path)
    used = path.is_dir() and not all(is_lock(each.name) for each in path.iterdir())
    if used and not force:
        raise OutputError(f"{path} is not empty: {_choices(began and path / began, 'replace')}")
    _check_writable(path)
    return path


def _choices(began: Path | str | None, replace: str) -> str:
    """What may be done about an output that is there."""
    if began and os.path.lexists(began):
        on = f"{RESUME} goes on with what is there, {FORCE} replaces it"
        return f"{on}, or choose another output"
    return f"choose another output, or {replace} with {FORCE}"


def _check_writable(folder: Path) -> None:
    """Tries the folder, or the nearest one above it that exists; leaves nothing behind."""
    make_folder(_nearest(folder))


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    while not folder.exists() and folder != folder.parent:
        if folder.is_symlink():
            raise OutputError(f"cannot write into {folder}: a link to nothing, or a loop of links")
        folder = folder.parent
    return folder


def make_folder(path: Path) -> Path:
    """Makes a folder that can be written into; no error if it is there already."""
    if path.is_file():
        raise OutputError(f"cannot write into {path}: it is a file, name a folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except FileNotFoundError:  # of a folder that is there, as /proc
        raise OutputError(f"cannot write into {path}: it takes no files, name another") from None
    except OSError as error:
        raise OutputError(f"cannot write into {path}: {_reason(error)}") from None
    return path


@contextlib.contextmanager
def replacing(path: StrPath, sync: bool = False) -> Iterator[Path]:
    """Yields a temporary path beside `path` (same suffix); renames it over `path` on success.

    Args:
        path: the file to be.
        sync: wait until it is on the disk, so that not even a power cut leaves half of it.

    Raises:
        OutputError: the file cannot be written, or an `OSError` comes out of the block, as from
            reading something; whatever stood at `path` is untouched.
    """
    path = Path(path)
    make_folder(path.parent)
    # A later call removes what a killed process left: see `remove_leftovers`.
    temporary = path.with_name(_temporary_name(path))
    try:
        temporary.unlink(missing_ok=True)  # a link that somebody laid there would be followed
        yield temporary
        if sync:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())  # a rename may reach the disk before what it names
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {_reason(error)}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _temporary_name(path: Path) -> str:
    """A name that is allowed wherever the final one is."""
    ending = f".{os.getpid()}{PART}{path.suffix}"
    name = f".{path.stem}{ending}"
    if len(os.fsencode(name)) <= NAME_MAX:
        return name
    # Shortened, with a digest in the place of what is missing.
    digest = hashlib.blake2b(os.fsencode(path.name), digest_size=8).hexdigest()
    ending = f".{digest}.{os.getpid()}{PART}{path.suffix if len(path.suffix) < 32 else ''}"
    return f".{_cut(path.stem, NAME_MAX - len(os.fsencode(ending)) - 1)}{ending}"


def _cut(text: str, room: int) -> str:
    """The first letters of a text, as many as fit into so many bytes, none of them cut."""
    return os.fsencode(text)[: max(0, room)].decode("utf-8", "ignore")


def write_bytes(path: StrPath, content: bytes) -> None:
    """Writes a whole file or nothing."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: StrPath, value: object) -> None:
    """Writes indented JSON, whole or not at all; what is not a finite number becomes null."""
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
