"""`LabelSpace`: class names, colours, and the table from raw label values to class indices."""

from __future__ import annotations

import colorsys
import dataclasses
from collections import Counter
from typing import Annotated

import msgspec
import numpy as np

IGNORE = 255  # neither trained on nor scored
UNKNOWN = 254  # marks raw values that a data set's table does not list
MAX_CLASSES = 254  # class indices below the two marks

Byte = Annotated[int, msgspec.Meta(ge=0, le=255)]
Color = tuple[Byte, Byte, Byte]


@dataclasses.dataclass(frozen=True)
class LabelSpace:
    """The classes of a data set or a model.

    Args:
        name: short name, as used on the command line.
        names: class names in index order.
        colors: RGB colours in index order, 0..255.
        raw_values: value in the label PNG for each class, or several; by default the class index
            itself.
        void_values: known label values that are ignored; 255 is, too, unless it is a class.
        categories: the category of each class, where the data set has some.
    """

    name: str
    names: tuple[str, ...]
    colors: tuple[Color, ...]
    raw_values: tuple[Byte | tuple[Byte, ...], ...] = ()
    void_values: tuple[Byte, ...] = ()
    categories: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, name: str, colors: dict[str, Color], void_values: tuple[int, ...] = ()
    ) -> LabelSpace:
        """A label space of class names with their colours; its label values are the indices."""
        return cls(name, tuple(colors), tuple(colors.values()), void_values=void_values)

    @classmethod
    def make(
        cls,
        name: str,
        num_classes: int,
        names: tuple[str, ...] = (),
        colors: tuple[Color, ...] = (),
    ) -> LabelSpace:
        """A label space whose missing names and colours are generated."""
        names = names or tuple(f"class_{i}" for i in range(num_classes))
        return cls(name, names, colors or generated_palette(len(names)))

    def __len__(self) -> int:
        return len(self.names)

    def fault(self) -> str:
        """Why this is not a label space of a data set; empty where it is one."""
        names, raw = self.names, self.values_of_classes()
        if not 2 <= len(names) <= MAX_CLASSES:
            return f"expected 2 to {MAX_CLASSES} classes, got {len(names)}"
        others: dict[str, tuple[object, ...]]
        others = {"colours": self.colors, "label values": raw, "categories": self.categories}
        for what, values in others.items():
            if values and len(values) != len(names):
                return f"{len(names)} classes but {len(values)} {what}"
        if not all(raw):
            return f"class {names[raw.index(())]!r} has no label value"
        values = (*(value for own in raw for value in own), *set(self.void_values))
        unique = {"class names": names, "label values": values}
        for what, found in unique.items():
            if twice := [value for value, count in Counter(found).items() if count > 1]:
                return f"{what} must be unique, {twice[0]!r} comes twice"
        return ""

    def values_of_classes(self) -> tuple[tuple[int, ...], ...]:
        """The label values of each class."""
        raw = self.raw_values or range(len(self.names))
        return tuple(own if isinstance(own, tuple) else (own,) for own in raw)

    def lookup_table(self) -> np.ndarray:
        """(256,) uint8: class index, 255 for void, 254 for values the table does not know."""
        table = np.full(256, UNKNOWN, np.uint8)
        table[[*self.void_values, IGNORE]] = IGNORE
        for index, own in enumerate(self.values_of_classes()):
            table[list(own)] = index
        return table

    def palette(self) -> np.ndarray:
        """(256, 3) uint8 colours for label maps; black for everything that is not a class."""
        palette = np.zeros((256, 3), np.uint8)
        palette[: len(self.colors)] = self.colors
        return palette


def generated_palette(count: int) -> tuple[Color, ...]:
    """`count` distinct colours: hues by the golden ratio, two brightness levels."""
    colors = []
    for i in range(count):
        rgb = colorsys.hsv_to_rgb(i * 0.618034 % 1.0, 0.75, 0.95 if i % 2 else 0.65)
        colors.append((round(rgb[0] * 255), round(rgb[1] * 255), round(rgb[2] * 255)))
    return tuple(colors)
