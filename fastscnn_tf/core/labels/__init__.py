"""Label spaces: class names, colours, and the table from raw label values to class indices."""

from __future__ import annotations

from ..errors import ConfigError
from .camvid_classes import CAMVID as CAMVID
from .camvid_classes import CAMVID32 as CAMVID32
from .carla import EVENTSCAPE as EVENTSCAPE
from .carla import SYNPASS as SYNPASS
from .space import IGNORE as IGNORE
from .space import MAX_CLASSES as MAX_CLASSES
from .space import UNKNOWN as UNKNOWN
from .space import Color as Color
from .space import LabelSpace as LabelSpace
from .space import generated_palette as generated_palette
from .streets import CITYSCAPES as CITYSCAPES
from .streets import CITYSCAPES_TRAIN_IDS as CITYSCAPES_TRAIN_IDS
from .streets import PANORAMA13 as PANORAMA13
from .streets import TOY_STREETS as TOY_STREETS

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
