"""YUV 4:2:0, as cameras and video decoders give it, to RGB.

One Y for each pixel, one U and V for each square of four, whose colour the four share (OpenCV does
the same). The equations are those of ITU-R BT.601 and BT.709 with the constants Kr and Kb:

    R = Y + 2 (1 - Kr) V
    G = Y - 2 (1 - Kb) Kb / Kg U - 2 (1 - Kr) Kr / Kg V        Kg = 1 - Kr - Kb
    B = Y + 2 (1 - Kb) U

Full range (JPEG): Y 0..255, U and V 128 +- 127.5. Limited range (video): Y 16..235, U and V
16..240; what lies outside is clipped.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from ..core.errors import DataError
from ..core.sizes import Size, format_size

BITS = 20  # of the fractions: sums stay below 2**31, and round as real numbers do
ROWS = 32  # converted at a time, so that what lies between stays in a small cache
CONSTANTS = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}  # Kr, Kb


class ColorSpace(NamedTuple):
    """What Y, U and V mean.

    Attributes:
        matrix: `bt601` or `bt709`.
        full: Y takes all of 0..255, and not only 16..235.
    """

    matrix: str
    full: bool


class Planes(NamedTuple):
    """Y (H, W) and U, V (H/2, W/2), uint8."""

    y: np.ndarray
    u: np.ndarray
    v: np.ndarray


def planes_of(rows: np.ndarray, size: Size) -> Planes:
    """The planes of a frame as picamera2 gives it (also called I420).

    Args:
        rows: (H * 3/2, stride) uint8: H rows of Y, filled up to the stride, then U and then V with
            half of it.
        size: (height, width) of the image, even.

    Raises:
        DataError: the array or the size is not that of such a frame.
    """
    height, width = size
    if height % 2 or width % 2 or rows.ndim != 2 or rows.dtype != np.uint8:
        raise DataError(
            f"YUV420 is (height * 3/2, stride) of uint8 for an even size, got {rows.shape} of "
            f"{rows.dtype} for {format_size(size)}"
        )
    stride = rows.shape[1]
    if rows.shape[0] != height * 3 // 2 or stride < width or stride % 2:
        raise DataError(f"{rows.shape} bytes are no YUV420 frame of {format_size(size)}")
    chroma = rows[height:].reshape(2, height // 2, stride // 2)[:, :, : width // 2]
    return Planes(rows[:height, :width], chroma[0], chroma[1])


def to_rgb(planes: Planes, space: ColorSpace) -> np.ndarray:
    """(H, W, 3) uint8 RGB, rounded to the nearest byte."""
    height, width = planes.y.shape
    tables = _tables(space)
    image = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, ROWS):
        _strip(image[top : top + ROWS], Planes(*_rows(planes, top)), tables)
    return image


class _Tables(NamedTuple):
    """What each byte adds to each colour, in 2**-BITS; (256,) int32."""

    y: np.ndarray
    red_v: np.ndarray
    green_u: np.ndarray
    green_v: np.ndarray
    blue_u: np.ndarray


@functools.cache
def _tables(space: ColorSpace) -> _Tables:
    red, blue = CONSTANTS[space.matrix]
    green = 1 - red - blue
    byte = np.arange(256)
    luma = byte.astype(float) if space.full else (byte - 16) * (255 / 219)
    chroma = (byte - 128) * (1.0 if space.full else 255 / 224)
    half = 0.5  # rounds to nearest when the fraction is shifted out

    def fixed(values: np.ndarray) -> np.ndarray:
        return np.rint(values * 2**BITS).astype(np.int32)

    return _Tables(
        fixed(luma + half),
        fixed(2 * (1 - red) * chroma),
        fixed(-2 * (1 - blue) * blue / green * chroma),
        fixed(-2 * (1 - red) * red / green * chroma),
        fixed(2 * (1 - blue) * chroma),
    )


def _rows(planes: Planes, top: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    half = slice(top // 2, (top + ROWS) // 2)
    return planes.y[top : top + ROWS], planes.u[half], planes.v[half]


def _strip(image: np.ndarray, planes: Planes, tables: _Tables) -> None:
    """Fills a few rows of the image."""
    height, width = planes.y.shape
    luma = tables.y[planes.y].reshape(height // 2, 2, width)
    added = (
        tables.red_v[planes.v],
        tables.green_u[planes.u] + tables.green_v[planes.v],
        tables.blue_u[planes.u],
    )
    for channel, chroma in enumerate(added):
        value = luma + chroma.repeat(2, axis=1)[:, None]
        value >>= BITS
        np.clip(value, 0, 255, out=value)
        image[..., channel] = value.reshape(height, width)
