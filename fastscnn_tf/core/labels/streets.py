"""Label spaces of Cityscapes, of the panoramas that share its classes, and of the toy streets."""

from __future__ import annotations

import dataclasses

from .space import Color, LabelSpace

# Class, label id, category and colour, as in the authors' cityscapesScripts (helpers/labels.py).
_CITYSCAPES: tuple[tuple[str, int, str, Color], ...] = (
    ("road", 7, "flat", (128, 64, 128)),
    ("sidewalk", 8, "flat", (244, 35, 232)),
    ("building", 11, "construction", (70, 70, 70)),
    ("wall", 12, "construction", (102, 102, 156)),
    ("fence", 13, "construction", (190, 153, 153)),
    ("pole", 17, "object", (153, 153, 153)),
    ("traffic light", 19, "object", (250, 170, 30)),
    ("traffic sign", 20, "object", (220, 220, 0)),
    ("vegetation", 21, "nature", (107, 142, 35)),
    ("terrain", 22, "nature", (152, 251, 152)),
    ("sky", 23, "sky", (70, 130, 180)),
    ("person", 24, "human", (220, 20, 60)),
    ("rider", 25, "human", (255, 0, 0)),
    ("car", 26, "vehicle", (0, 0, 142)),
    ("truck", 27, "vehicle", (0, 0, 70)),
    ("bus", 28, "vehicle", (0, 60, 100)),
    ("train", 31, "vehicle", (0, 80, 100)),
    ("motorcycle", 32, "vehicle", (0, 0, 230)),
    ("bicycle", 33, "vehicle", (119, 11, 32)),
)
CITYSCAPES = LabelSpace(
    "cityscapes",
    tuple(name for name, _, _, _ in _CITYSCAPES),
    tuple(color for _, _, _, color in _CITYSCAPES),
    raw_values=tuple(value for _, value, _, _ in _CITYSCAPES),
    # 34 and -1 (255 in a PNG) are number plates.
    void_values=(0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30, 34),
    categories=tuple(category for _, _, category, _ in _CITYSCAPES),
)

# The class indices themselves, as in `_labelTrainIds.png`.
CITYSCAPES_TRAIN_IDS = dataclasses.replace(CITYSCAPES, raw_values=(), void_values=())

# What Cityscapes, DensePASS and SynPASS share: the first 11 of Cityscapes, all people, all vehicles
# (Zhang et al., "Behind Every Domain There is a Shift", 2022).
PANORAMA13 = LabelSpace(
    "panorama13", (*CITYSCAPES.names[:12], "car"), (*CITYSCAPES.colors[:12], CITYSCAPES.colors[13])
)

TOY_STREETS = LabelSpace.of(
    "toy",
    {
        "road": (128, 64, 128),
        "pavement": (244, 35, 232),
        "building": (70, 70, 70),
        "tree": (107, 142, 35),
        "sky": (70, 130, 180),
        "car": (0, 0, 142),
        "person": (220, 20, 60),
        "pole": (153, 153, 153),
        "sign": (220, 220, 0),
    },
)
