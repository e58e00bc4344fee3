"""Mutations of images that keep what a decoder checks first: lengths, checksums, signatures."""

from __future__ import annotations

import random
import struct
import zlib
from functools import cache

from .plain_bytes import Field, mutate_bytes, set_field

PNG = b"\x89PNG\r\n\x1a\n"


@cache
def squeezed(size: int) -> bytes:
    """A zlib stream of so many zero bytes, made without holding them (MiB at a time)."""
    block = bytes(1 << 20)
    packer = zlib.compressobj(9)
    packer.compress(block)
    packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    return b"\x78\xda" + again * (size >> 20) + b"\x03\x00" + struct.pack(">I", 1)


def mutate_png(rng: random.Random, data: bytes) -> bytes:
    """Changes chunks, and mends their checksums mostly."""
    if rng.random() < 0.2:
        return mutate_bytes(rng, data)
    chunks = _chunks(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        _change_chunk(rng, chunks)
    good = rng.random() < 0.85
    end = b"" if rng.random() < 0.8 else mutate_bytes(rng, data)
    return PNG + b"".join(_chunk(kind, body, good) for kind, body in chunks) + end


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], len(PNG)
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    return found


def _chunk(kind: bytes, body: bytes, good: bool) -> bytes:
    crc = zlib.crc32(kind + body) ^ (0 if good else 1)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)


_HEADER: list[Field] = [(0, 4, "big"), (4, 4, "big"), *((i, 1, "big") for i in range(8, 13))]


def _change_chunk(rng: random.Random, chunks: list[tuple[bytes, bytes]]) -> None:
    if not chunks:
        return
    at, way = rng.randrange(len(chunks)), rng.randrange(8)
    kind, body = chunks[at]
    if way == 0 and len(chunks[0][1]) == 13:
        chunks[0] = (chunks[0][0], set_field(rng, chunks[0][1], _HEADER))
    elif way == 1:
        chunks[at] = (kind, mutate_bytes(rng, body))
    elif way == 2:
        del chunks[at]
    elif way == 3:
        chunks.insert(rng.randrange(len(chunks) + 1), (kind, body))
    elif way == 4:
        rng.shuffle(chunks)
    elif way == 5:
        chunks.insert(1, _extra_chunk(rng))
    elif kind == b"IDAT":
        pixels = mutate_bytes(rng, zlib.decompress(body)) if _inflates(body) else body
        chunks[at] = (kind, rng.choice((zlib.compress(pixels), squeezed(256 << 20), b"")))
    else:
        chunks[at] = (rng.choice((b"IDAT", b"PLTE", b"acTL", b"tRNS", b"\0\0\0\0", b"IEND")), body)


def _inflates(body: bytes) -> bool:
    try:
        return bool(zlib.decompress(body))
    except zlib.error:
        return False


def _extra_chunk(rng: random.Random) -> tuple[bytes, bytes]:
    bomb = squeezed(rng.choice((1 << 20, 64 << 20, 1536 << 20)))
    return rng.choice(
        (
            (b"zTXt", b"a\0\0" + bomb),
            (b"iTXt", b"a\0\1\0\0\0" + bomb),
            (b"iCCP", b"a\0\0" + bomb),
            (b"tEXt", b"a\0" + b"x" * 3_000_000),
            (b"eXIf", b"MM\0*" + rng.randbytes(40)),
            (b"gAMA", rng.randbytes(4)),
            (b"PLTE", rng.randbytes(rng.choice((3, 768, 771, 2)))),
            (b"acTL", struct.pack(">II", rng.choice((0, 1, 1 << 31, 100_000)), 0)),
            (b"tRNS", rng.randbytes(300)),
            (b"pHYs", rng.randbytes(9)),
        )
    )


def mutate_jpeg(rng: random.Random, data: bytes) -> bytes:
    """Changes segments and their lengths."""
    if rng.random() < 0.3:
        return mutate_bytes(rng, data)
    segments, rest = _segments(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(segments))
        mark, body = segments[at]
        way = rng.randrange(6)
        if way == 0:
            fields = [(i, size, "big") for i in range(min(len(body) - 4, 24)) for size in (1, 2)]
            segments[at] = (mark, set_field(rng, body, fields) if fields else body)
        elif way == 1:
            segments[at] = (mark, mutate_bytes(rng, body)[:65533])
        elif way == 2:
            segments.insert(at, (rng.choice((0xFE, 0xE0, 0xE1, 0xE2, 0xED, 0xEE)), _segment(rng)))
        elif way == 3:
            segments.insert(rng.randrange(len(segments)), segments[at])
        elif way == 4 and len(segments) > 1:
            del segments[at]
        else:
            rest = mutate_bytes(rng, rest)
    head = b"".join(b"\xff" + bytes([m]) + struct.pack(">H", len(b) + 2) + b for m, b in segments)
    return b"\xff\xd8" + head + rest


def _segments(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    found, at = [], 2
    while at + 4 < len(data) and data[at] == 0xFF:
        mark, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        found.append((mark, data[at + 4 : at + 2 + size]))
        at += 2 + size
        if mark == 0xDA:
            break
    return found, data[at:]


def _segment(rng: random.Random) -> bytes:
    exif = b"Exif\0\0" + rng.choice((b"MM\0*\0\0\0\x08", b"II*\0\x08\0\0\0"))
    entry = struct.pack(">HHHII", 1, 0x112, rng.choice((3, 4, 12, 99)), 1, rng.getrandbits(32))
    texts = (
        exif + entry,
        exif + rng.randbytes(80),
        b"x" * 65000,
        b"ICC_PROFILE\0" + rng.randbytes(9),
    )
    return rng.choice(
        (*texts, b"MPF\0MM\0*" + rng.randbytes(60), b"Photoshop 3.0\x008BIM" + rng.randbytes(30))
    )


def mutate_tiff(rng: random.Random, data: bytes) -> bytes:
    """Changes entries of the first directory: tag, type, count, value."""
    at = int.from_bytes(data[4:8], "little") if data[:2] == b"II" else 0
    count = int.from_bytes(data[at : at + 2], "little")
    fields: list[Field] = [(4, 4, "little"), (at, 2, "little"), (at + 2 + 12 * count, 4, "little")]
    for i in range(count):
        entry = at + 2 + 12 * i
        fields += [(entry, 2, "little"), (entry + 2, 2, "little")]
        fields += [(entry + 4, 4, "little"), (entry + 8, 4, "little")] * 2
    return _fields_or_bytes(rng, data, [f for f in fields if f[0] + f[1] <= len(data)])


def mutate_gif(rng: random.Random, data: bytes) -> bytes:
    """Changes the screen, the frames' places, or repeats frames twenty thousand times."""
    frame = data.find(b"\x2c")
    if rng.random() < 0.1 and frame > 0:
        return data[:frame] + data[frame:-1] * rng.choice((2, 1000, 20_000)) + b";"
    fields: list[Field] = [(6, 2, "little"), (8, 2, "little"), (10, 1, "big"), (12, 1, "big")]
    if frame > 0:
        fields += [(frame + i, 2, "little") for i in (1, 3, 5, 7)] + [(frame + 10, 1, "big")]
    return _fields_or_bytes(rng, data, [f for f in fields if f[0] + f[1] <= len(data)])


def mutate_head(order: str, size: int, text: bool = False):
    """For formats whose first bytes are numbers: BMP, WebP, AVIF, PPM."""

    def mutate(rng: random.Random, data: bytes) -> bytes:
        if text and rng.random() < 0.6:
            return _ppm_text(rng, data)
        fields = [(i, n, order) for i in range(4, min(size, len(data) - 4)) for n in (1, 2, 4)]
        return _fields_or_bytes(rng, data, fields)

    return mutate


def _ppm_text(rng: random.Random, data: bytes) -> bytes:
    words = data.split(b"\n", 3)
    at = rng.randrange(min(3, len(words)))
    new = (
        b"P5",
        b"P4",
        b"P1",
        b"P3",
        b"Pf",
        b"Py",
        b"99999 99999",
        b"-1 -1",
        b"0 0",
        b"65536",
        b"0",
    )
    more = (b"# " + b"c" * 5_000_000, b"9" * 5000, b"100000000 100000000", b"1 4000000000", b"")
    words[at] = rng.choice((*new, *more))
    return b"\n".join(words)


def _fields_or_bytes(rng: random.Random, data: bytes, fields: list[Field]) -> bytes:
    if not fields or rng.random() < 0.3:
        return mutate_bytes(rng, data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        data = set_field(rng, data, fields)
    return data
