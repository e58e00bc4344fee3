"""TFRecord files without TensorFlow: a record is its length, the data, and a checksum of each.

    uint64 length | uint32 masked CRC-32C of length | data | uint32 masked CRC-32C of data

Little-endian. Source: TensorFlow, core/lib/io/record_writer.h.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from ...core.errors import DataError
from ...core.files.reading import open_regular
from .crc32c import masked_crc32c

_LENGTH, _CHECKSUM = struct.Struct("<Q"), struct.Struct("<I")
_BEFORE = _LENGTH.size + _CHECKSUM.size  # bytes before the data


def frame(data: bytes) -> bytes:
    """A record as it stands in the file."""
    length = _LENGTH.pack(len(data))
    sums = [_CHECKSUM.pack(masked_crc32c(part)) for part in (length, data)]
    return b"".join((length, sums[0], data, sums[1]))


def read_record(path: Path, start: int, stop: int, crc32: int) -> memoryview:
    """The data of one record.

    Opens the file anew each time: that costs some ten microseconds, works from any number of
    threads and processes, and leaves no descriptor behind. Compares zlib's CRC-32 of the whole
    record, which is fifteen times faster than the CRC-32C inside.

    Args:
        path: the TFRecord file.
        start: where the record begins, bytes.
        stop: where it ends.
        crc32: `zlib.crc32` of these bytes.

    Raises:
        ValueError: the file ends too soon or the checksum does not fit.
        OSError: the file cannot be read.
        DataError: it is gone, or no plain file any more.
    """
    if path.stat().st_size < stop:  # before memory is taken for it
        raise ValueError("the file ends within it")
    with open_regular(path, "shard", error=DataError) as file:
        file.seek(start)
        record = file.read(stop - start)
    if len(record) < stop - start:
        raise ValueError("the file ends within it")
    if len(record) < _BEFORE + _CHECKSUM.size:
        raise ValueError("it is shorter than a record can be")
    if zlib.crc32(record) != crc32:
        raise ValueError("its checksum does not fit")
    return memoryview(record)[_BEFORE : -_CHECKSUM.size]
