"""Mutations of zip archives (.keras, .npz, data sets) and of what TFRecord shards hold."""

from __future__ import annotations

import io
import random
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import cache

from .hostile import INTEGERS, NAMES, TEXTS
from .images import squeezed
from .plain_bytes import Field, mutate_bytes, set_field

Mutate = Callable[[random.Random, bytes], bytes]


def mutate_zip(members: Mapping[str, Mutate]) -> Mutate:
    """A mutator of archives; members whose names end so are changed by their own mutators."""

    def mutate(rng: random.Random, data: bytes) -> bytes:
        way = rng.random()
        if way < 0.12:
            return mutate_bytes(rng, data)
        if way < 0.3:
            return _change_headers(rng, data)
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                found = [(i.filename, archive.read(i)) for i in archive.infolist()]
        except (zipfile.BadZipFile, zlib.error):
            return mutate_bytes(rng, data)
        if way < 0.36:
            return _bomb(rng, found)
        for _ in range(rng.choice((1, 1, 2))):
            _change_member(rng, found, members)
        return _write(rng, found)

    return mutate


def _change_member(
    rng: random.Random, found: list[tuple[str, bytes]], members: Mapping[str, Mutate]
) -> None:
    if not found:
        return
    special = [i for i, (name, _) in enumerate(found) if name.endswith(tuple(members))]
    at = rng.choice(special) if special and rng.random() < 0.6 else rng.randrange(len(found))
    name, content = found[at]
    way = rng.random()
    if way < 0.6:
        own = next((m for end, m in members.items() if name.endswith(end)), mutate_bytes)
        found[at] = (name, own(rng, content))
    elif way < 0.7:
        found[at] = (name, found[rng.randrange(len(found))][1])
    elif way < 0.8:
        del found[at]
    elif way < 0.9:
        found.append((name, mutate_bytes(rng, content)))
    else:
        new = rng.choice((*NAMES, *TEXTS, f"../{name}", f"/{name}", name.upper())) or "x"
        found[at] = (new, content)


def _write(rng: random.Random, found: list[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    warnings.simplefilter("ignore", UserWarning)  # zipfile's, of names that come twice
    pack = rng.choice((zipfile.ZIP_STORED,) * 5 + (zipfile.ZIP_DEFLATED,) * 3 + (zipfile.ZIP_LZMA,))
    with zipfile.ZipFile(buffer, "w", pack) as archive:
        for name, content in found:
            info = zipfile.ZipInfo(name.encode("utf-8", "replace").decode())
            info.compress_type = pack
            if rng.random() < 0.05:
                kind = rng.choice((stat.S_IFLNK, stat.S_IFIFO, stat.S_IFDIR, stat.S_IFCHR))
                info.external_attr = (kind | 0o777) << 16
                content = rng.choice((content, b"../outside/precious.txt", b"/etc/passwd"))
            archive.writestr(info, content)
    return buffer.getvalue()


# Fields of a central directory's entry, and of a local header: versions, flags, method, sizes,...
_CENTRAL = [(4, 2), (6, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2)]
_CENTRAL += [(34, 2), (38, 4), (42, 4)]
_LOCAL = [(4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)]
_END = [(4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)]


def _change_headers(rng: random.Random, data: bytes) -> bytes:
    fields: list[Field] = []
    for mark, places in ((b"PK\1\2", _CENTRAL), (b"PK\3\4", _LOCAL), (b"PK\5\6", _END)):
        at = data.find(mark)
        while at >= 0 and len(fields) < 4000:
            fields += [(at + o, n, "little") for o, n in places if at + o + n <= len(data)]
            at = data.find(mark, at + 4)
    for _ in range(rng.choice((1, 1, 2, 3))):
        data = set_field(rng, data, fields) if fields else mutate_bytes(rng, data)
    return data


@cache
def _crc_of_zeros(size: int) -> int:
    block, crc = bytes(1 << 20), 0
    for _ in range(size >> 20):
        crc = zlib.crc32(block, crc)
    return crc


def _bomb(rng: random.Random, found: list[tuple[str, bytes]]) -> bytes:
    """An archive in which a member unpacks to up to 1.5 GiB, with a checksum that is right."""
    size = rng.choice((64 << 20, 512 << 20, 1536 << 20))
    packed, at = squeezed(size)[2:-4], rng.randrange(len(found))
    body, entries = b"", b""
    for i, (name, content) in enumerate(found):
        raw = name.encode()
        data, real, crc, way = content, len(content), zlib.crc32(content), 0
        if i == at:
            data, real, crc, way = packed, size, _crc_of_zeros(size), 8
            real = rng.choice((real, real, 10, len(content)))
        head = struct.pack("<HHHHHIIIHH", 20, 0, way, 0, 33, crc, len(data), real, len(raw), 0)
        entries += (
            b"PK\1\2" + struct.pack("<H", 20) + head + struct.pack("<HHHII", 0, 0, 0, 0, len(body))
        )
        entries += raw
        body += b"PK\3\4" + head + raw + data
    end = struct.pack("<HHHHIIH", 0, 0, len(found), len(found), len(entries), len(body), 0)
    return body + entries + b"PK\5\6" + end


def mutate_npy(rng: random.Random, data: bytes) -> bytes:
    """Changes the header of a .npy: type, order and shape as text, or its bytes."""
    if rng.random() < 0.3 or data[:6] != b"\x93NUMPY":
        return mutate_bytes(rng, data)
    size = int.from_bytes(data[8:10], "little")
    dtype = rng.choice(
        (
            "<f4",
            "<f8",
            "|O",
            "<U9",
            "|V0",
            "<M8[ns]",
            ">f4",
            "<f2",
            "|b1",
            "x",
            "<i8",
            "f4,f4",
            "<c16",
        )
    )
    shapes = (
        "(2,)",
        "()",
        "(-1,)",
        "(0,)",
        "(99999999999,)",
        "(3, 3, 3, 3)",
        "[1]",
        "(1e9,)",
        "(2**70,)",
    )
    shape = rng.choice((*shapes, "(" * 5000, f"({10**30},)", "(True,)", "(1,) * 99", "('a',)"))
    old = data[10 : 10 + size].decode("latin-1")
    order = rng.choice(("False", "True", "0"))
    text = f"{{'descr': '{dtype}', 'fortran_order': {order}, 'shape': {shape}, }}"
    if rng.random() < 0.5:  # one of them only
        text = old.replace(old[old.find("(") : old.find(")") + 1], shape, 1)
    raw = text.encode("latin-1")[:65000]
    return data[:8] + struct.pack("<H", len(raw)) + raw + data[10 + size :]


def mutate_records(rng: random.Random, data: bytes) -> bytes:
    """Changes a TFRecord shard's lengths and messages and mends both checksums mostly."""
    if rng.random() < 0.3 or len(data) < 16:
        return mutate_bytes(rng, data)
    records, at = [], 0
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 8], "little")
        records.append(data[at + 12 : at + 12 + size])
        at += 16 + size
    number = rng.randrange(len(records))
    records[number] = mutate_bytes(rng, records[number])
    if rng.random() < 0.2:
        records.insert(number, records[number])
    out = b""
    for record in records:
        length = struct.pack(
            "<Q", len(record) if rng.random() < 0.9 else rng.choice(INTEGERS) % 2**64
        )
        out += length + _masked(length) + record + _masked(record)
    return out


@cache
def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


def _masked(data: bytes) -> bytes:
    table, crc = _table(), 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 255]
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
