"""`ColorTable`: which class a colour of a label map stands for."""

import dataclasses
import functools
from typing import Any

import numpy as np
from PIL import Image

from ..labels import UNKNOWN, Color


@dataclasses.dataclass(frozen=True)
class ColorTable:
    """Colours and their classes.

    Args:
        colors: those that are known.
        classes: the class index of each, 255 for void.
        tolerance: a channel may differ by so much; of several colours the nearest is taken.
    """

    colors: tuple[Color, ...]
    classes: tuple[int, ...]
    tolerance: int = 0

    def look_up(self, codes: np.ndarray) -> tuple[np.ndarray, int]:
        """The classes of colours.

        Args:
            codes: (H, W) of `color_codes`.

        Returns:
            (H, W) uint8 class indices, 254 where a colour is none of these and near none, and the
            number of pixels whose colour is only near one.
        """
        label = self._known.take(codes)
        strange = label == UNKNOWN
        if not self.tolerance or not strange.any():
            return label, 0
        values, places = np.unique(codes[strange], return_inverse=True)
        label[strange] = self._nearest(values)[places]
        return label, int((strange & (label != UNKNOWN)).sum())

    @functools.cached_property
    def _known(self) -> np.ndarray:
        """(2**24,) uint8 class indices: one look at memory for a pixel."""
        table = np.full(1 << 24, UNKNOWN, np.uint8)
        for (red, green, blue), index in zip(self.colors, self.classes, strict=True):
            table[red | green << 8 | blue << 16] = index
        return table

    def _nearest(self, codes: np.ndarray) -> np.ndarray:
        known, classes = np.array(self.colors, np.int32), np.array(self.classes, np.uint8)
        found = np.full(len(codes), UNKNOWN, np.uint8)
        for start in range(0, len(codes), 4096):  # a photo has millions of colours
            part = slice(start, start + 4096)
            off = np.abs(np.stack(color_of(codes[part].astype(np.int32)), 1)[:, None] - known)
            squares = np.where((off <= self.tolerance).all(2), (off**2).sum(2), 1 << 20)
            found[part] = np.where(squares.min(1) < 1 << 20, classes[squares.argmin(1)], UNKNOWN)
        return found


color_table = functools.lru_cache(4)(ColorTable)  # with its 16 MB


def color_codes(image: Image.Image) -> np.ndarray:
    """(H, W) uint32: each colour as one number, red in its lowest bits; alpha is left out."""
    # Pillow keeps RGB in four bytes, so that this copies and computes least.
    padded = (image if image.mode == "RGB" else image.convert("RGB")).convert("RGBX")
    return np.asarray(padded).view("<u4")[..., 0] & 0xFFFFFF


def color_of(code: Any) -> Any:
    """The colour of one of `color_codes`, or the channels of an array of them."""
    return code & 255, code >> 8 & 255, code >> 16
