"""Images and label maps as the bytes of a file, as records hold them."""

import struct
import zlib

import numpy as np

from ...core.errors import DataError
from ...core.images.decoding import open_image
from ...core.images.image_file import classes_of
from ...core.images.plain_png import decode_plain_png


def decode_label(data: bytes, table: np.ndarray, name: str) -> np.ndarray:
    """(H, W) uint8 class indices, 255 where ignored, of an 8-bit grey PNG.

    Raises:
        DataError: it is no such PNG, or holds a value that `table` does not know.
    """
    plain = decode_plain_png(data, 1)
    if plain is not None:
        return classes_of(plain[..., 0], table, name)
    image = open_image(data, name)
    if (image.format, image.mode) != ("PNG", "L"):
        raise DataError(f"{name}: expected an 8-bit grey PNG, got {image.format} {image.mode}")
    return classes_of(np.asarray(image), table, name)


def decode_instances(data: bytes, name: str) -> np.ndarray:
    """(H, W) int32 instance ids of a 16-bit PNG.

    Raises:
        DataError: it is not an image.
    """
    return np.asarray(open_image(data, name)).astype(np.int32)


def is_plain_image(data: bytes, pixels: np.ndarray) -> bool:
    """Whether any program that reads PNG and JPEG sees `pixels`: upright RGB in one of the two."""
    image = open_image(data, "image")
    plain = image.format in ("PNG", "JPEG") and image.mode == "RGB"
    return plain and np.array_equal(np.asarray(image), pixels)


def encode_label(label: np.ndarray) -> bytes:
    """(H, W) uint8 as a grey PNG, in a sixth of Pillow's time and as small.

    Pillow tries filters on each row, of which the specification advises none for such data, and
    looks for repetitions farther away than in the row. zlib runs without Python's lock.
    """
    height, width = label.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each begins with its filter: none
    rows[:, 1:] = label
    packing = zlib.compressobj(strategy=zlib.Z_RLE)
    chunks = (
        (b"IHDR", struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", packing.compress(rows.data) + packing.flush()),
        (b"IEND", b""),
    )
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in chunks:
        body = kind + data
        parts += [struct.pack(">I", len(data)), body, struct.pack(">I", zlib.crc32(body))]
    return b"".join(parts)
