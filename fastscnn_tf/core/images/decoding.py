"""Opening images that may come from anybody: the only place where a decoder meets a file.

Pillow's decoders of the formats in `image_formats` are reached and no others, each within bounds
of pixels, bytes and steps, and whatever one raises is a `DataError`. No lock is held: an image
that takes long keeps no other thread from its own.
"""

import contextlib
import ctypes
import dataclasses
import functools
import importlib
import io
import logging
import re
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..aliases import StrPath
from ..errors import DataError
from ..files.parquet import read_row, shard_of
from ..files.reading import read_bytes
from ..foreign_text import one_line
from .formats import image_format, what_it_is
from .pixels import orientation_of

WHAT = "file of an image"
LARGEST = 384 << 20  # bytes of a file: four for each pixel that Pillow allows, and some more
METADATA = 16 << 20  # bytes that a decoder may read before the pixels
READS = 300_000  # pieces that a decoder may read it in; each of them costs time and memory
NUMBERS = 200_000  # in a tag of a TIFF, such as the places of its strips; each becomes an object
PYTHON_PIXELS = {"BMP": 1 << 21, "PPM": 1 << 20}  # for decoders that are written in Python
COMMENTS = 1000  # in a PPM of text: for each, Pillow copies what follows
SCANNED = 1 << 31  # pixels times scans of a JPEG: a scan takes no bytes to speak of, but time
# Of the pixels that others may have, where a decoder keeps several copies.
SHARE = {"WEBP": 0.5, "AVIF": 0.5, "CMYK": 0.75}
_TEXT_TYPES = (1, 2, 6, 7)  # of a TIFF's tags: bytes and texts, which stay one object
_PLUGINS = {"PPM": "Ppm", "JPEG": "Jpeg", "PNG": "Png", "BMP": "Bmp", "TIFF": "Tiff", "GIF": "Gif"}
_PLUGINS |= {"WEBP": "WebP", "AVIF": "Avif"}
# What Pillow says of odd metadata would flood the terminal; the pixels are read all the same. Set
# once, since threads share the filters, and behind all others: who asked for warnings gets them.
warnings.filterwarnings("ignore", "", UserWarning, r"PIL\.\w+ImagePlugin", append=True)
logging.getLogger("PIL").addHandler(logging.NullHandler())  # without any, errors are printed


class TooManyPixels(DataError):
    """An image has more pixels than may be decoded."""


class _Overrun(Exception):
    """A decoder read more than it may."""


class _Bounded(io.BytesIO):
    """A file's content that refuses to be read in too many pieces, or too far ahead of the pixels.

    Attributes:
        reads: how often it may still be read.
        room: bytes that may still be read.
    """

    def __init__(self, content: bytes, reads: int, room: float):
        super().__init__(content)
        self.reads, self.room = reads, room

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.reads -= 1
        self.room -= len(data)
        if self.reads < 0:
            raise _Overrun("its data is in too many pieces")
        if self.room < 0:
            raise _Overrun(f"more than {METADATA >> 20} MB of comments and other metadata")
        return data


def read_image_file(path: StrPath, room: int = 1) -> bytes:
    """The content of an image's file, not yet decoded, of `room` times the usual size.

    A path that leads into a Parquet file is that of a row, see `core.files.parquet`.

    Raises:
        DataError: there is no such file, it is not a regular one, or too large.
    """
    if shard_of(Path(path)):
        return read_row(Path(path), LARGEST * room)
    return read_bytes(path, WHAT, largest=LARGEST * room, error=DataError)


def open_image(content: bytes, name: str, room: int = 1, draft: bool = False) -> Image.Image:
    """The first frame of an image, decoded; messages call it `name`.

    Args:
        content: of its file.
        name: of it.
        room: it may have so many times the pixels that Pillow allows.
        draft: to see whether it is damaged: of a JPEG all is read, at an eighth of its size, in
            three fifths of the time; `info["size"]` is (width, height).

    Raises:
        DataError: it is of another format, truncated, too large or no image.
    """
    form = image_format(content)
    if form is None:
        raise DataError(f"{name}: {what_it_is(content, name)}")
    if not _readable(form):
        raise DataError(f"{name}: {form}, which this Pillow cannot read: pip install -U pillow")
    with decoding(name, f"a damaged {form} file"):
        return _decoded(content, form, room, draft)


@contextlib.contextmanager
def decoding(name: str, otherwise: str = "damaged") -> Iterator[None]:
    """What a decoder raises on a file that somebody made up, as one line.

    Args:
        name: of the image.
        otherwise: what to say where the decoder says nothing.

    Raises:
        DataError: in the place of any error.
    """
    try:
        yield
    except (TooManyPixels, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooManyPixels(f"{name}: refused, {error}") from None
    except _Overrun as error:
        raise DataError(f"{name}: refused, {error}: save it anew") from None
    except MemoryError:
        raise DataError(f"{name}: not a readable image (it does not fit into memory)") from None
    except Exception as error:  # struct.error, KeyError, RecursionError, zlib.error: any comes
        text = one_line(str(error).split(" <")[0])[:200]  # Pillow names its file object
        reason = text or f"{otherwise}, {type(error).__name__}"
        raise DataError(f"{name}: not a readable image ({reason})") from None


def open_lazily(content: bytes, form: str) -> tuple[Any, _Bounded]:
    """What Image.open(file, formats=(form,)) does, but it also warns of sizes that are refused."""
    _readable(form)  # registers the decoder
    if form == "PPM" and content[1:2] in b"123" and content.count(b"#") > COMMENTS:
        raise _Overrun(f"more than {COMMENTS:,} comments")
    if form == "TIFF":
        _check_tags(content)
    # WebP and AVIF are read in one go, pixels and all.
    file = _Bounded(content, READS, float("inf") if form in SHARE else METADATA)
    return Image.OPEN[form][0](file, ""), file


def _decoded(content: bytes, form: str, room: int, draft: bool) -> Image.Image:
    image, file = open_lazily(content, form)
    pixels = image.size[0] * image.size[1]
    _check_pixels(pixels, min(limit_of(form), limit_of(image.mode)) * room)
    file.reads, file.room = READS, float("inf")
    if form in PYTHON_PIXELS and any(tile[0] in Image.DECODERS for tile in image.tile):
        _check_pixels(pixels, PYTHON_PIXELS[form], f" for a {form} of this kind")
        file.reads = 2 * PYTHON_PIXELS[form]
    if form == "TIFF":
        _check_tiles(image, content)
    elif form == "JPEG" and pixels * (scans := content.count(b"\xff\xda")) > SCANNED:
        raise _Overrun(f"{scans:,} scans of {pixels:,} pixels")
    if draft:
        image.info["size"] = image.size
        image.draft(None, (1, 1))
    image.load()
    return image


def limit_of(kind: str) -> float:
    """Pixels that an image of a format or mode may have, by `PIL.Image.MAX_IMAGE_PIXELS`."""
    allowed = Image.MAX_IMAGE_PIXELS
    return float("inf") if allowed is None else allowed * SHARE.get(kind, 1)


def _check_pixels(pixels: int, limit: float, what: str = "") -> None:
    if pixels > limit:
        raise TooManyPixels(f"Image size ({pixels} pixels) exceeds limit of {int(limit)}{what}")


@functools.cache
def _readable(form: str) -> bool:
    """Whether this Pillow has the decoder; registers it, and no others."""
    try:
        plugin = importlib.import_module(f"PIL.{_PLUGINS[form]}ImagePlugin")
    except ImportError:  # AVIF came with 11.3
        return False
    if form == "TIFF":
        _silence_libtiff()
    return bool(getattr(plugin, "SUPPORTED", True))


def _silence_libtiff() -> None:
    """Keeps libtiff from printing what is wrong with each tag: errors are raised all the same."""
    with contextlib.suppress(OSError, AttributeError):  # built without it, or another system
        library = ctypes.CDLL(Image.core.__file__)
        library.TIFFSetErrorHandler.argtypes = [ctypes.c_void_p]
        library.TIFFSetErrorHandler(None)


def _check_tags(content: bytes) -> None:
    """Refuses a TIFF whose first directory lists so many numbers that reading them takes long."""
    order = "<" if content[:2] == b"II" else ">"
    big = 43 in content[2:4]
    (place,) = struct.unpack_from(order + ("Q" if big else "I"), content, 8 if big else 4)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), content, place)
    entry = struct.Struct(order + ("HHQ8x" if big else "HHI4x"))
    start = place + (8 if big else 2)
    entries = content[start : start + min(count, NUMBERS) * entry.size]
    for tag, kind, numbers in entry.iter_unpack(entries[: len(entries) // entry.size * entry.size]):
        if numbers > NUMBERS and kind not in _TEXT_TYPES:
            raise _Overrun(f"{numbers:,} numbers in tag {tag}")


def _check_tiles(image: Any, content: bytes) -> None:
    """Refuses tiles larger than any image, and JPEGs in many scans within a TIFF."""
    sides = image.tag_v2.get(322), image.tag_v2.get(323)
    if all(isinstance(side, int) for side in sides):
        _check_pixels(sides[0] * sides[1], limit_of("TIFF"), " of a tile")
    if "jpeg" in str(image.info.get("compression")) and re.search(rb"\xff[\xc2\xc6\xca]", content):
        raise _Overrun("progressive JPEG within a TIFF")


_ENDS = 1 << 16  # bytes where a PNG notes its orientation, before or behind the pixels
_PAGE_KIND, _NO_PAGE = 254, 0b101  # tag of a TIFF's page, and its bits for thumbnails and masks
_MANY = 100  # pages of a TIFF that are counted


@dataclasses.dataclass(frozen=True)
class ImageFile:
    """What a file says of its image; no pixel is decoded.

    Attributes:
        mode: Pillow's, such as `RGB`, `L`, `P` or `I;16`.
        bits: of a sample, as stored.
        orientation: of EXIF, 1 to 8; 1 is upright.
        pages: images in it, of which the first is read; without a TIFF's thumbnails and what
            phones put behind a JPEG.
        palette: (colours, 3) uint8 of a palette image.
    """

    mode: str
    bits: int
    orientation: int
    pages: int
    palette: np.ndarray | None = None


def look_at(content: bytes, name: str) -> ImageFile:
    """What is in a file, see `ImageFile`; of one that could be decoded, within its bounds.

    Raises:
        DataError: no image that is read here, or a damaged one.
    """
    form = image_format(content)
    if form is None:
        raise DataError(f"{name}: not a readable image")
    with decoding(name):
        image, file = open_lazily(content, form)
        # Pillow decodes a whole PNG to look for a note behind the pixels.
        ends = content[:_ENDS] + content[-_ENDS:]
        noted = form != "PNG" or b"eXIf" in ends or b"Raw profile type" in ends
        orientation = orientation_of(image) if noted else 1
        bits = content[24] if form == "PNG" else 16 if image.mode.startswith("I;16") else 8
        colors = image.getpalette() if image.mode == "P" else None
        palette = None if colors is None else np.array(colors, np.uint8).reshape(-1, 3)
        file.reads, file.room = READS, float("inf")
        return ImageFile(image.mode, bits, orientation, _pages(image, form), palette)


def _pages(image: Any, form: str) -> int:
    if form != "TIFF":
        return int(getattr(image, "n_frames", 1)) if form != "JPEG" else 1
    pages = 0
    with contextlib.suppress(EOFError):
        for page in range(_MANY):
            image.seek(page)
            pages += not image.tag_v2.get(_PAGE_KIND, 0) & _NO_PAGE
    return max(1, pages)
