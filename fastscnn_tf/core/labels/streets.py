"""Label spaces of Cityscapes, of the panoramas that share its classes, and of the toy streets."""

from __future__ import annotations

import dataclasses

from .space import LabelSpace

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
    categories=(
        *("flat", "flat", "construction", "construction", "construction"),
        *("object", "object", "object", "nature", "nature", "sky", "human", "human"),
        *("vehicle", "vehicle", "vehicle", "vehicle", "vehicle", "vehicle"),
    ),
)

# The class indices themselves, as in `_labelTrainIds.png`.
CITYSCAPES_TRAIN_IDS = dataclasses.replace(CITYSCAPES, raw_values=(), void_values=())

# What Cityscapes, DensePASS and SynPASS share: the first 11 of Cityscapes, all people, all vehicles
# (Zhang et al., "Behind Every Domain There is a Shift", 2022).
PANORAMA13 = LabelSpace(
    "panorama13",
    (*CITYSCAPES.names[:12], "car"),
    (*CITYSCAPES.colors[:12], CITYSCAPES.colors[13]),
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
