"""Label spaces of what CARLA renders: SynPASS and EventScape.

Value 0 (None, in early versions the sky, too) is void, and class `i` has the value `i + 1`. Classes
that Cityscapes has, too, have its colours, the others CARLA's own.
"""

from __future__ import annotations

from .space import Color, LabelSpace

_TAGS: tuple[tuple[str, Color], ...] = (
    ("Building", (70, 70, 70)),
    ("Fence", (190, 153, 153)),
    ("Other", (55, 90, 80)),
    ("Pedestrian", (220, 20, 60)),
    ("Pole", (153, 153, 153)),
    ("RoadLine", (157, 234, 50)),
    ("Road", (128, 64, 128)),
    ("SideWalk", (244, 35, 232)),
    ("Vegetation", (107, 142, 35)),
    ("Vehicles", (0, 0, 142)),
    ("Wall", (102, 102, 156)),
    ("TrafficSign", (220, 220, 0)),
    ("Sky", (70, 130, 180)),
    ("Ground", (81, 0, 81)),
    ("Bridge", (150, 100, 100)),
    ("RailTrack", (230, 150, 140)),
    ("GroundRail", (180, 165, 180)),
    ("TrafficLight", (250, 170, 30)),
    ("Static", (110, 190, 160)),
    ("Dynamic", (170, 120, 50)),
    ("Water", (45, 60, 150)),
    ("Terrain", (152, 251, 152)),
)
_NAMES = tuple(name for name, _ in _TAGS)
_COLORS = tuple(color for _, color in _TAGS)

SYNPASS = LabelSpace("synpass", _NAMES, _COLORS, tuple(range(1, 23)), void_values=(0,))

# Values 13 to 22 (sky and later tags) are known and void.
EVENTSCAPE = LabelSpace(
    "eventscape", _NAMES[:12], _COLORS[:12], tuple(range(1, 13)), void_values=(0, *range(13, 23))
)
