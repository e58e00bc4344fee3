"""TFRecord files without TensorFlow: a record is its length, the data, and a checksum of each.

    uint64 length | uint32 masked CRC-32C of length | data | uint32 masked CRC-32C of data

Little-endian. Source: TensorFlow, core/lib/io/record_writer.h.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from ...core.errors import DataError, retold
from ...core.files.protobuf import Wire, varint
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


# --- `tf.train.Example` messages: the few lines of protocol buffers they need ---------------------
#     Example { Features features = 1 }         Features { map<string, Feature> feature = 1 }
#     Feature { oneof { BytesList bytes_list = 1; Int64List int64_list = 3 } }  (floats not used)
#     BytesList { repeated bytes value = 1 }    Int64List { repeated int64 value = 1, packed }
#
# Source: TensorFlow, core/example/example.proto and feature.proto; protobuf.dev, "Encoding".


Value = bytes | int
_DELIMITED = 2  # the wire type of strings and messages
_BYTES_LIST, _INT64_LIST = 1, 3  # fields of a Feature
_MOST = 64  # features; we write eight


def encode_example(features: dict[str, Value]) -> bytes:
    """Serialises one value per feature: bytes, or an integer of 0 or more."""
    entries = [
        _field(1, _field(1, name.encode()) + _field(2, _feature(value)))
        for name, value in features.items()
    ]
    return _field(1, b"".join(entries))


def decode_example(data: bytes | memoryview) -> dict[str, Value]:
    """Reads what `encode_example` wrote, in any order of the features.

    Raises:
        ValueError: it is not an Example, or a feature holds something else than one such value.
    """
    features: dict[str, Value] = {}
    damage = IndexError, KeyError, ValueError
    with retold(ValueError, "not a tf.train.Example (", ")", of=damage):
        for _, message in _fields(memoryview(data), (1,)):
            for _, entry in _fields(message, (1,)):
                if len(features) >= _MOST:
                    raise ValueError(f"more than {_MOST} features")
                parts = dict(_fields(entry, (1, 2)))
                features[bytes(parts[1]).decode()] = _value(parts[2])
    return features


def _feature(value: Value) -> bytes:
    if isinstance(value, bytes):
        return _field(_BYTES_LIST, _field(1, value))
    return _field(_INT64_LIST, _field(1, _varint(value)))


def _value(feature: memoryview) -> Value:
    [(kind, values)] = _fields(feature, (_BYTES_LIST, _INT64_LIST))
    [(_, value)] = _fields(values, (1,))
    return bytes(value) if kind == _BYTES_LIST else varint(value, 0)[0]


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _DELIMITED) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _fields(data: memoryview, known: tuple[int, ...]) -> Iterator[tuple[int, memoryview]]:
    """Number and content of each field; all are length-delimited in these messages."""
    for number, value in Wire().fields(data):
        if number not in known or isinstance(value, int):
            raise ValueError(f"field {number}")
        yield number, value
