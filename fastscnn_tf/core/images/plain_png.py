"""A faster decoder for plain PNGs, where one is registered; Pillow reads everything else.

Plain means 8-bit grey or RGB without interlacing, transparency or a note of rotation, so that the
pixels alone say what the image is: every decoder gives the same ones.
"""

import struct
from collections.abc import Callable

import numpy as np
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOR_TYPES = {1: 0, 3: 2}  # channels -> colour type of the header
CHUNKS = 200_000  # a PNG of more pieces goes to Pillow, which counts them
# Chunks that leave the pixels as they are, and their sizes; text may hold EXIF, so it is not among
# them. Of another size they are damaged, which decoders say on stderr.
# fmt: off
HARMLESS: dict[bytes, tuple[int, ...]] = {
    b"IHDR": (13,), b"IEND": (0,), b"gAMA": (4,), b"cHRM": (32,), b"sRGB": (1,), b"pHYs": (9,),
    b"tIME": (7,), b"bKGD": (2, 6),
}
# fmt: on

Decoder = Callable[[bytes, int], np.ndarray | None]
_decoder: Decoder | None = None


def use_png_decoder(decoder: Decoder | None) -> None:
    """Registers a decoder for plain PNGs, or None to leave all to Pillow.

    Args:
        decoder: from the file's content and its channels (1 or 3) to (H, W, channels) uint8, or
            to None where it refuses.
    """
    global _decoder
    _decoder = decoder


def decode_plain_png(content: bytes, channels: int) -> np.ndarray | None:
    """(H, W, channels) uint8 of a plain PNG with 1 or 3 channels, from its content.

    Returns:
        None where there is no decoder, or the file is not plain or damaged: Pillow then reads it,
        or says what is wrong.
    """
    if _decoder is None or not _is_plain(content, channels):
        return None
    return _decoder(content, channels)


def _is_plain(content: bytes, channels: int) -> bool:
    if content[:8] != SIGNATURE or len(content) < 33:
        return False
    width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", content[16:29])
    if (depth, color, interlaced) != (8, COLOR_TYPES[channels], 0):
        return False
    if width * height > (Image.MAX_IMAGE_PIXELS or 0):  # Pillow refuses it with a reason
        return False
    position = 8
    for _ in range(CHUNKS):
        if position + 8 > len(content):
            break
        size, kind = struct.unpack_from(">I4s", content, position)
        if kind != b"IDAT" and size not in HARMLESS.get(kind, ()):
            return False
        position += size + 12
    return position == len(content)
