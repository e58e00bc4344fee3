"""Images that somebody made up: mutations of small ones that keep each format's frame intact."""

import io
import random
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

PNG_KINDS = (b"tRNS", b"PLTE", b"zTXt", b"iTXt", b"tEXt", b"eXIf", b"acTL", b"fcTL", b"fdAT")
TIFF_TAGS = (256, 257, 258, 259, 262, 273, 277, 278, 322, 323, 324, 339, 700)


def chunk(kind, data):
    """A chunk of a PNG, its checksum right."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def segment(marker, data):
    """A segment of a JPEG."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


def tiff(tags, data=bytes(64)):
    """A TIFF of (tag, type, count, value) with data at byte 8."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    start = struct.pack("<I", 8 + len(data))
    return b"II*\0" + start + data + struct.pack("<H", len(tags)) + entries + bytes(4)


GREY_TAGS = [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]


def seeds():
    """(format, content) of small images, several kinds of each format."""
    rng = np.random.default_rng(0)
    rgb = Image.fromarray(rng.integers(0, 256, (9, 13, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x011A] = 6, "a street", 72.0
    palette, alpha = rgb.convert("P"), rgb.convert("RGBA")
    alpha.putalpha(ImageOps.grayscale(rgb))
    frames = {"save_all": True, "append_images": [rgb.rotate(9), rgb.rotate(99)], "duration": 20}
    wanted = [
        *(
            ("PNG", image, {})
            for image in (rgb, palette, alpha, rgb.convert("L"), rgb.convert("1"))
        ),
        ("PNG", rgb, {"exif": exif, "icc_profile": bytes(99), "dpi": (72, 72)}),
        ("PNG", palette, {"transparency": 3}),
        ("PNG", rgb, frames),
        ("JPEG", rgb, {"exif": exif, "comment": "a street", "icc_profile": bytes(99)}),
        ("JPEG", rgb, {"progressive": True, "optimize": True}),
        ("JPEG", rgb.convert("CMYK"), {}),
        ("MPO", rgb, frames),
        *(("TIFF", rgb, {"compression": how}) for how in (None, "tiff_lzw", "jpeg", "packbits")),
        ("TIFF", rgb.convert("1"), {"compression": "group4"}),
        ("TIFF", rgb.convert("F"), {"exif": exif}),
        ("TIFF", rgb, {"save_all": True, "append_images": [rgb.rotate(9)]}),
        ("GIF", palette, {"transparency": 3, "comment": b"a street"}),
        ("GIF", rgb, frames),
        ("WEBP", rgb, {"exif": exif}),
        ("WEBP", alpha, {"lossless": True}),
        ("WEBP", rgb, frames),
        *(("BMP", image, {}) for image in (rgb, palette, alpha)),
        *(("PPM", image, {}) for image in (rgb, rgb.convert("L"), rgb.convert("1"))),
        ("AVIF", rgb, {"exif": exif}),
        ("AVIF", alpha, {}),
    ]
    found = []
    for form, image, options in wanted:
        file = io.BytesIO()
        try:
            image.save(file, form, **{k: v for k, v in options.items() if v is not None})
        except (KeyError, OSError):  # not in this Pillow
            continue
        found.append(("JPEG" if form == "MPO" else form, file.getvalue()))
    pixels = " ".join(str(v) for v in range(48)).encode()
    rows = b"\x05\x11\0\0\0\3abc\0\0\0\0\2\1\1\2\x22\0\1"
    header = struct.pack("<IiiHHIIiiII", 40, 8, 8, 1, 8, 1, 0, 0, 0, 0, 0) + bytes(1024)
    found += [("PPM", b"P3 # text\n4 4\n255\n" + pixels), ("PPM", b"P6 2 2 1023\n" + bytes(24))]
    found += [("PPM", b"Pf 2 2 -1.0\n" + bytes(16)), ("PPM", b"P1 4 2\n0110 1001")]
    found += [("BMP", b"BM" + struct.pack("<IHHI", 0, 0, 0, 1078) + header + rows)]
    return found


def _bent(data, rng):
    """Some bytes changed, taken out or put in; numbers at the edges are likely."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        place = rng.randrange(len(data) + 1)
        edge = rng.choice((b"\0", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0"))
        how = rng.randrange(5)
        if how == 0:
            data[place : place + 1] = bytes((rng.randrange(256),))
        elif how == 1:
            data[place : place + len(edge)] = edge
        elif how == 2:
            del data[place : place + rng.randrange(1, 9)]
        elif how == 3:
            data[place:place] = edge * rng.randrange(1, 40)
        else:
            data[place : place + 4] = data[place : place + 4][::-1]
    return bytes(data)


def _png(content, rng):
    parts, place = [], 8
    while place + 8 <= len(content):
        size = struct.unpack_from(">I", content, place)[0]
        parts.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + size]))
        place += size + 12
    number = rng.randrange(len(parts))
    kind, data = parts[number]
    if kind in (b"IDAT", b"iCCP") and rng.random() < 0.5:
        place = 0 if kind == b"IDAT" else data.index(b"\0") + 2
        raw = zlib.decompress(data[place:]) if data[place:] else b""
        data = data[:place] + zlib.compress(_bent(raw, rng))
    else:
        data = _bent(data, rng)
    change = rng.randrange(4)
    if change == 0:
        parts.insert(rng.randrange(len(parts)), parts[number])
    elif change == 1:
        kinds = (
            b"tRNS",
            b"PLTE",
            b"zTXt",
            b"iTXt",
            b"tEXt",
            b"eXIf",
            b"acTL",
            b"fcTL",
            b"fdAT",
            b"cHRM",
        )
        parts.insert(rng.randrange(1, len(parts)), (rng.choice(kinds), data))
    else:
        parts[number] = (kind, data)
    return content[:8] + b"".join(chunk(k, d) for k, d in parts)


def _jpeg(content, rng):
    parts, place = [], 2
    while content[place] == 0xFF and content[place + 1] != 0xDA:
        size = struct.unpack_from(">H", content, place + 2)[0]
        parts.append((content[place + 1], content[place + 4 : place + 2 + size]))
        place += 2 + size
    number = rng.randrange(len(parts))
    marker, data = parts[number]
    parts[number] = (
        rng.choice((marker, marker, marker, 0xC0, 0xE1, 0xE2, 0xED)),
        _bent(data, rng)[:65000],
    )
    if rng.random() < 0.2:
        parts.insert(rng.randrange(len(parts)), parts[number])
    rest = content[place:]
    head = content[:2] + b"".join(segment(m, d) for m, d in parts)
    return head + (_bent(rest, rng) if rng.random() < 0.2 else rest)


def _tiff(content, rng):
    order = "<" if content[:2] == b"II" else ">"
    start = struct.unpack_from(order + "I", content, 4)[0]
    count = struct.unpack_from(order + "H", content, start)[0]
    place = start + 2 + 12 * rng.randrange(count)
    tag, kind, number, value = struct.unpack_from(order + "HHII", content, place)
    numbers = (0, 1, 2, 3, 255, 65535, 0x7FFFFFFF, 0xFFFFFFFF, len(content), value)
    tag = rng.choice(
        (tag, tag, tag, 256, 257, 258, 259, 262, 273, 277, 278, 322, 323, 324, 339, 700)
    )
    kind = rng.choice((kind, kind, kind, *range(14)))
    entry = struct.pack(
        order + "HHII", tag, kind, rng.choice((number, number, *numbers)), rng.choice(numbers)
    )
    return content[:place] + entry + content[place + 12 :]


def mutants(number, seed=0):
    """(format, content) of so many mutations, the same for the same seed."""
    rng = random.Random(seed)
    known = seeds()
    shapes = {"PNG": _png, "JPEG": _jpeg, "TIFF": _tiff}
    for index in range(number):
        form, content = known[index % len(known)]
        bend = shapes.get(form, _bent) if rng.random() < 0.8 else _bent
        yield form, bend(content, rng)
