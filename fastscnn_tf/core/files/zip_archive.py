"""Reading zip archives of others (.keras, .npz): no member is unpacked before its size is known.

A read of the declared size unpacks no more than that, so that bounds of the declared sizes hold for
what is read; a read without a size unpacks all that there is before it is cut.
"""

import contextlib
import io
import math
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..aliases import StrPath
from ..errors import InputError, instead_of
from .reading import ErrorClass, open_regular

MEMBERS = 10_000
ENTRY = 300  # bytes that the archive's directory takes for a member, on the average
LARGEST = 2 << 30  # bytes of all members, unpacked
RATIO = 100  # of unpacked to packed bytes, beyond which nothing that we read is packed
SMALL = 1 << 20  # bytes, below which the ratio does not matter
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # LZMA's dictionary takes gigabytes
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError)


class Archive:
    """An open archive whose members were found to be of sane sizes.

    Args:
        file: the archive.
        where: messages call it so.
        error: the class to raise.

    Attributes:
        sizes: name -> bytes of each member, unpacked.
    """

    def __init__(self, file: zipfile.ZipFile, where: str, error: ErrorClass):
        self._file, self._where, self._error = file, where, error
        self.sizes = {info.filename: info.file_size for info in file.infolist()}

    def read(self, name: str, largest: int = LARGEST) -> bytes:
        """The content of a member, its checksum compared.

        Raises:
            KeyError: there is none of that name.
            InputError: (of the archive's class) it is damaged or larger than `largest` bytes.
        """
        info, where = self._file.getinfo(name), f"{self._where}: {name[:80]!r}"
        if info.file_size > largest:
            raise self._error(f"{where} has {info.file_size:,} bytes, at most {largest:,} are read")
        try:
            with self._file.open(info) as member:
                return member.read(info.file_size)  # without a size all of it is unpacked at once
        except (*_DAMAGE, RuntimeError, MemoryError) as failure:
            reason = "encrypted" if info.flag_bits & 1 else str(failure)[:120] or "damaged"
            raise self._error(f"{where} cannot be read ({reason})") from None

    def array(self, name: str, largest: int = LARGEST) -> np.ndarray:
        """A member of a .npz; arguments and errors are those of `read` and `read_npy`."""
        content = self.read(name, largest)
        return read_npy(content, f"{self._where}: {name[:80]!r}", error=self._error)

    def arrays(self) -> dict[str, np.ndarray]:
        """All members of a .npz, by the arrays' names."""
        return {name.removesuffix(".npy"): self.array(name) for name in self.sizes}


@contextlib.contextmanager
def open_zip(
    source: StrPath | bytes,
    where: str,
    what: str = "zip archive",
    *,
    largest: int = LARGEST,
    error: ErrorClass = InputError,
) -> Iterator[Archive]:
    """Opens an archive and checks what it declares.

    Args:
        source: its path or content.
        where: messages call it so.
        what: and say that it should be one of these: `.keras file`.
        largest: bytes that all members may have together, unpacked.
        error: the class to raise.

    Raises:
        InputError: (of the class `error`) no such file, no archive, or a bomb.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(source, bytes):
            file: Any = io.BytesIO(source)
        else:
            file = stack.enter_context(open_regular(source, what, error=error))
        try:
            end = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # what ZipFile goes by
            directory = end[5] if end else 0
            if directory > MEMBERS * ENTRY:
                raise error(f"{where}: {directory:,} bytes of names: more members than are read")
            archive = stack.enter_context(zipfile.ZipFile(file))
        except error:
            raise
        except (*_DAMAGE, MemoryError):
            raise error(f"{where}: damaged, or not a {what}") from None
        _check(archive, where, largest, error)
        yield Archive(archive, where, error)


def _check(archive: zipfile.ZipFile, where: str, largest: int, error: ErrorClass) -> None:
    members = archive.infolist()
    if len(members) > MEMBERS:
        raise error(f"{where}: {len(members):,} members, at most {MEMBERS:,} are read")
    total = sum(info.file_size for info in members)
    if total > largest:
        raise error(f"{where}: {total:,} bytes unpacked, at most {largest:,} are read")
    for info in members:
        if info.compress_type not in PACKINGS:
            raise error(f"{where}: {info.filename[:80]!r} is packed as nothing that we read is")
        if info.file_size > SMALL and info.file_size > RATIO * max(info.compress_size, 1):
            raise error(
                f"{where}: {info.filename[:80]!r} claims {info.file_size:,} bytes out of "
                f"{info.compress_size:,}: refused"
            )
    if len({info.filename for info in members}) < len(members):
        raise error(f"{where}: two members of one name: refused")


def read_npz(
    source: StrPath | bytes, where: str, *, largest: int = LARGEST, error: ErrorClass = InputError
) -> dict[str, np.ndarray]:
    """The arrays of a .npz, by name; objects are refused.

    Raises:
        InputError: (of the class `error`) no such file, no .npz, a bomb, or a member that is not
            an array of numbers.
    """
    with open_zip(source, where, ".npz file", largest=largest, error=error) as archive:
        return archive.arrays()


def read_npy(content: bytes, where: str, *, error: ErrorClass = InputError) -> np.ndarray:
    """The array of a .npy's content, whose size must be what its header says.

    Raises:
        InputError: (of the class `error`) it is damaged or holds objects.
    """
    file = io.BytesIO(content)
    # NumPy parses the header as Python: its tokenizer has errors of its own.
    with instead_of(Exception, error(f"{where}: not an array of numpy's")):
        version = np.lib.format.read_magic(file)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, dtype = read_header(file)
    if dtype.hasobject or dtype.itemsize == 0:
        raise error(f"{where}: an array of {dtype}, expected numbers")
    rest = len(content) - file.tell()
    if any(size < 0 for size in shape) or math.prod(shape) * dtype.itemsize != rest:
        raise error(f"{where}: {rest:,} bytes cannot be an array of {dtype} and shape {shape}")
    array = np.frombuffer(content, dtype, offset=file.tell())
    return array.reshape(shape, order="F" if fortran else "C").copy()
