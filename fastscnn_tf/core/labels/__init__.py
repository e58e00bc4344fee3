"""Label spaces: class names, colours, and the table from raw label values to class indices."""

from __future__ import annotations

from ..errors import ConfigError
from .camvid_classes import CAMVID, CAMVID32
from .carla import EVENTSCAPE, SYNPASS
from .space import IGNORE, MAX_CLASSES, UNKNOWN, Color, LabelSpace, generated_palette
from .streets import CITYSCAPES, CITYSCAPES_TRAIN_IDS, PANORAMA13, TOY_STREETS

_SPACES = {
    space.name: space
    for space in (CAMVID, CAMVID32, CITYSCAPES, EVENTSCAPE, PANORAMA13, SYNPASS, TOY_STREETS)
}


def label_space(name: str) -> LabelSpace:
    """The built-in label space of that name.

    Raises:
        ConfigError: no such label space.
    """
    if name not in _SPACES:
        raise ConfigError(f"unknown label space {name!r}: expected one of {sorted(_SPACES)}")
    return _SPACES[name]


__all__ = [
    "CAMVID",
    "CAMVID32",
    "CITYSCAPES",
    "CITYSCAPES_TRAIN_IDS",
    "EVENTSCAPE",
    "IGNORE",
    "MAX_CLASSES",
    "PANORAMA13",
    "SYNPASS",
    "TOY_STREETS",
    "UNKNOWN",
    "Color",
    "LabelSpace",
    "generated_palette",
    "label_space",
]
