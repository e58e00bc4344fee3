"""Label spaces: class names, colours, and the table from raw label values to class indices."""

from __future__ import annotations

import colorsys
import dataclasses

import numpy as np

from .errors import ConfigError

IGNORE = 255  # neither trained on nor scored
UNKNOWN = 254  # marks raw values that a data set's table does not list
MAX_CLASSES = 254  # class indices below the two marks

Color = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class LabelSpace:
    """The classes of a data set or a model.

    Args:
        name: short name, as used on the command line.
        names: class names in index order.
        colors: RGB colours in index order, 0..255.
        raw_values: value in the label PNG for each class; by default the class index itself.
        void_values: known label values that are ignored; 255 always is.
    """

    name: str
    names: tuple[str, ...]
    colors: tuple[Color, ...]
    raw_values: tuple[int, ...] = ()
    void_values: tuple[int, ...] = ()

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
        return cls(name, names, colors or generated_palette(num_classes))

    def __len__(self) -> int:
        return len(self.names)

    def lookup_table(self) -> np.ndarray:
        """(256,) uint8: class index, 255 for void, 254 for values the table does not know."""
        table = np.full(256, UNKNOWN, np.uint8)
        for index, raw in enumerate(self.raw_values or range(len(self.names))):
            table[raw] = index
        for raw in (*self.void_values, IGNORE):
            table[raw] = IGNORE
        return table

    def palette(self) -> np.ndarray:
        """(256, 3) uint8 colours for label maps; black for everything that is no class."""
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


CAMVID = LabelSpace(
    "camvid",
    (
        "Sky",
        "Building",
        "Pole",
        "Road",
        "Pavement",
        "Tree",
        "SignSymbol",
        "Fence",
        "Car",
        "Pedestrian",
        "Bicyclist",
    ),
    (
        (128, 128, 128),
        (128, 0, 0),
        (192, 192, 128),
        (128, 64, 128),
        (60, 40, 222),
        (128, 128, 0),
        (192, 128, 128),
        (64, 64, 128),
        (64, 0, 128),
        (64, 64, 0),
        (0, 128, 192),
    ),
    void_values=(11,),
)

# Names, colours and label ids of the authors' cityscapesScripts (helpers/labels.py).
CITYSCAPES = LabelSpace(
    "cityscapes",
    (
        "road",
        "sidewalk",
        "building",
        "wall",
        "fence",
        "pole",
        "traffic light",
        "traffic sign",
        "vegetation",
        "terrain",
        "sky",
        "person",
        "rider",
        "car",
        "truck",
        "bus",
        "train",
        "motorcycle",
        "bicycle",
    ),
    (
        (128, 64, 128),
        (244, 35, 232),
        (70, 70, 70),
        (102, 102, 156),
        (190, 153, 153),
        (153, 153, 153),
        (250, 170, 30),
        (220, 220, 0),
        (107, 142, 35),
        (152, 251, 152),
        (70, 130, 180),
        (220, 20, 60),
        (255, 0, 0),
        (0, 0, 142),
        (0, 0, 70),
        (0, 60, 100),
        (0, 80, 100),
        (0, 0, 230),
        (119, 11, 32),
    ),
    raw_values=(7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33),
    # 34 and -1 (255 in a PNG) are number plates.
    void_values=(0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30, 34),
)

TOY_STREETS = LabelSpace(
    "toy",
    ("road", "pavement", "building", "tree", "sky", "car", "person", "pole", "sign"),
    (
        (128, 64, 128),
        (244, 35, 232),
        (70, 70, 70),
        (107, 142, 35),
        (70, 130, 180),
        (0, 0, 142),
        (220, 20, 60),
        (153, 153, 153),
        (220, 220, 0),
    ),
)

_SPACES = {space.name: space for space in (CAMVID, CITYSCAPES, TOY_STREETS)}


def label_space(name: str) -> LabelSpace:
    """The built-in label space of that name.

    Raises:
        ConfigError: no such label space.
    """
    if name not in _SPACES:
        raise ConfigError(f"unknown label space {name!r}: expected one of {sorted(_SPACES)}")
    return _SPACES[name]
