"""What a file says of its picture, before a pixel is decoded."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import numpy as np

from ..errors import DataError
from .decoding import READS, decoding, open_lazily
from .formats import picture_format
from .pixels import orientation_of

_ENDS = 1 << 16  # bytes where a PNG notes its orientation, before or behind the pixels
_PAGE_KIND, _NO_PAGE = 254, 0b101  # tag of a TIFF's page, and its bits for thumbnails and masks
_MANY = 100  # pages of a TIFF that are counted


@dataclasses.dataclass(frozen=True)
class PictureFile:
    """What a file says of its picture; no pixel is decoded.

    Attributes:
        mode: Pillow's, such as `RGB`, `L`, `P` or `I;16`.
        bits: of a sample, as stored.
        orientation: of EXIF, 1 to 8; 1 is upright.
        pages: pictures in it, of which the first is read; without a TIFF's thumbnails and what
            phones put behind a JPEG.
        palette: (colours, 3) uint8 of a palette image.
    """

    mode: str
    bits: int
    orientation: int
    pages: int
    palette: np.ndarray | None = None


def look_at(content: bytes, name: str) -> PictureFile:
    """What is in a file, see `PictureFile`; of one that could be decoded, within its bounds.

    Raises:
        DataError: no image that is read here, or a damaged one.
    """
    form = picture_format(content)
    if form is None:
        raise DataError(f"{name}: not a readable picture")
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
        return PictureFile(image.mode, bits, orientation, _pages(image, form), palette)


def _pages(image: Any, form: str) -> int:
    if form != "TIFF":
        return int(getattr(image, "n_frames", 1)) if form != "JPEG" else 1
    pages = 0
    with contextlib.suppress(EOFError):
        for page in range(_MANY):
            image.seek(page)
            pages += not image.tag_v2.get(_PAGE_KIND, 0) & _NO_PAGE
    return max(1, pages)
