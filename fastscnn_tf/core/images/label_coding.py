"""`Coding`: how the pixels of label maps say the class, and reading them so."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

from ..aliases import StrPath
from ..labels import Color
from .image_file import read_color_label, read_label

Encoding = Literal["index", "color", "red", "palette-color"]


@dataclasses.dataclass(frozen=True)
class Coding:
    """How the pixels of label maps say the class.

    Args:
        encoding: `index`, a value for each class; `red`, the same in the first of several channels;
            `color`, its colour; `palette-color`, the colour that a palette has for the index.
        colors: of the classes, where colours say them; a class may have several.
        classes: the class of each of `colors`.
        void: colours that are ignored.
        tolerance: a channel may differ from a colour by so much; the nearest is taken.
    """

    encoding: Encoding = "index"
    colors: tuple[Color, ...] = ()
    classes: tuple[int, ...] = ()
    void: tuple[Color, ...] = ()
    tolerance: int = 0

    @property
    def by_color(self) -> bool:
        """Whether colours say the class."""
        return self.encoding in ("color", "palette-color")

    def read(self, path: StrPath, table: np.ndarray) -> np.ndarray:
        """A label map as (H, W) uint8 class indices, 255 where ignored.

        Args:
            path: the file.
            table: (256,) uint8 from the values of the label map, or from the class that its colour
                says, to class indices.

        Raises:
            DataError: it cannot be read, or holds a value or colour that is none of these.
        """
        if not self.by_color:
            return read_label(path, table, first_channel=self.encoding == "red")
        labels = read_color_label(
            path,
            self.colors,
            self.void,
            classes=self.classes,
            tolerance=self.tolerance,
            palette=self.encoding == "palette-color",
        )
        return table[labels]


INDEX = Coding()
