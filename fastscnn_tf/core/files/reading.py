"""Opening files that may come from anybody: regular ones only, and their size first.

A pipe or a device in the place of a file would be read for ever, a huge one would fill the memory.
"""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

from ..aliases import StrPath
from ..errors import InputError
from .addresses import is_place, is_url, name_of_part

ErrorClass = type[InputError]
ENDLESS = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
ENDLESS |= dict.fromkeys((stat.S_IFCHR, stat.S_IFBLK), "a device")


def local(path: StrPath) -> Path:
    """A path as it is; of an address where its files lie here, see `remote.known`.

    Raises:
        InputError, FastSCNNError: nothing lies there, or it cannot be asked for.
    """
    if not is_url(path):
        return Path(path)
    from .remote import known  # not where all paths are plain

    return known(str(path))


def local_description(path: StrPath) -> Path:
    """`local` of a data set's folder or YAML file, whose paths begin in its folder."""
    if is_url(path) and str(path).lower().endswith((".yaml", ".yml")):
        folder, _, name = str(path).rpartition("/")
        return local(f"{folder}/") / name_of_part(name)
    return local(path)


def open_regular(
    path: StrPath, what: str = "file", *, largest: int | None = None, error: ErrorClass = InputError
) -> BufferedReader:
    """Opens a regular file for reading; links to one are followed.

    Args:
        path: the file, or its address.
        what: messages call it so: `model file`, `image`.
        largest: bytes that it may have.
        error: the class to raise.

    Raises:
        InputError: (of the class `error`) missing, a folder, a pipe, a device, a loop of links, too
            large, or not to be read.
    """
    try:
        path = local(path)
        # Without O_NONBLOCK opening a pipe waits until somebody writes into it.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        if is_place(path):
            from .remote import open_place  # not where all paths are plain

            _check_size(path, path.lstat().st_size, what, largest, error)  # before it is fetched
            descriptor = open_place(path, flags)
        else:
            descriptor = os.open(path, flags)
    except InputError as failure:  # of an address
        raise error(str(failure)) from None
    except OSError as failure:
        raise error(f"{path}: {_why(failure, what)}") from None
    except ValueError:  # a zero byte in the name
        raise error(f"{str(path)!r}: no file can have this name") from None
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise error(f"{path}: a folder, expected a {what}")
        if not stat.S_ISREG(status.st_mode):
            kind = ENDLESS.get(stat.S_IFMT(status.st_mode), "not a regular file")
            raise error(f"{path}: {kind}, expected a {what}: copy what it gives into a file first")
        _check_size(path, status.st_size, what, largest, error)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _check_size(path: Path, size: int, what: str, largest: int | None, error: ErrorClass) -> None:
    if largest is not None and size > largest:
        raise error(f"{path}: {size:,} bytes, but a {what} may have at most {largest:,}")


def _why(failure: OSError, what: str) -> str:
    if isinstance(failure, IsADirectoryError):
        return f"a folder, expected a {what}"
    if failure.errno == errno.ELOOP:
        return "a loop of links: nothing is at its end"
    if isinstance(failure, FileNotFoundError | NotADirectoryError):
        return f"no such {what}"
    if failure.errno == errno.ENXIO:  # a socket, or a device that is not there
        return f"a socket or an absent device, expected a {what}"
    return f"cannot be read ({failure.strerror or failure})"


def read_bytes(
    path: StrPath, what: str = "file", *, largest: int | None = None, error: ErrorClass = InputError
) -> bytes:
    """The content of a regular file.

    The arguments and errors are those of `open_regular`.
    """
    with open_regular(path, what, largest=largest, error=error) as file:
        try:
            # Python takes as much memory as it is asked to read. A file may grow while it is read.
            size = os.fstat(file.fileno()).st_size
            content = file.read(size + 1)
            if len(content) > size:
                content += file.read(-1 if largest is None else max(0, largest - size))
        except OSError as failure:
            raise error(f"{path}: {_why(failure, what)}") from None
        except (MemoryError, OverflowError):
            size = os.fstat(file.fileno()).st_size
            raise error(f"{path}: {size:,} bytes do not fit into memory") from None
    if largest is not None and len(content) > largest:
        raise error(f"{path}: it grew beyond {largest:,} bytes while it was read")
    return content


def read_text(path: StrPath, what: str, *, largest: int, error: ErrorClass) -> str:
    """`read_bytes` of a text in UTF-8, with or without a mark in front."""
    content = read_bytes(path, what, largest=largest, error=error)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        raise error(f"{path}: not UTF-8 (byte {failure.start}): save it as UTF-8") from None
