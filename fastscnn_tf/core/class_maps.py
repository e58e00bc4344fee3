"""Class maps between label spaces, where the literature has one.

A model of one space is scored in another: the indices of its classes become those of the other's.
"""

from __future__ import annotations

import numpy as np

from .labels import CAMVID, CAMVID32, CITYSCAPES, IGNORE, PANORAMA13, SYNPASS, LabelSpace

# Trans4PASS, adaptations/dataset/dp13_dataset.py: a rider is a person, and every vehicle a car but
# the train.
_CITYSCAPES_TO_13 = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 11, 12, 12, 12, IGNORE, 12, 12)

# Trans4PASS, adaptations/dataset/sp13_dataset.py, without its first entry, which is for void.
_SYNPASS_TO_13 = (
    *(2, 4, IGNORE, 11, 5, 0, 0, 1, 8, 12, 3, 7, 10),
    *(IGNORE, IGNORE, IGNORE, IGNORE, 6, IGNORE, IGNORE, IGNORE, 9),
)

# SegNet's merge, as MathWorks' example "Semantic Segmentation Using Deep Learning" lists it.
_CAMVID_GROUPS = {
    "Sky": ("Sky",),
    "Building": ("Archway", "Bridge", "Building", "Tunnel", "Wall"),
    "Pole": ("Column_Pole", "TrafficCone"),
    "Road": ("LaneMkgsDriv", "LaneMkgsNonDriv", "Road"),
    "Pavement": ("ParkingBlock", "RoadShoulder", "Sidewalk"),
    "Tree": ("Tree", "VegetationMisc"),
    "SignSymbol": ("Misc_Text", "SignSymbol", "TrafficLight"),
    "Fence": ("Fence",),
    "Car": ("Car", "OtherMoving", "SUVPickupTruck", "Train", "Truck_Bus"),
    "Pedestrian": ("Animal", "CartLuggagePram", "Child", "Pedestrian"),
    "Bicyclist": ("Bicyclist", "MotorcycleScooter"),
}
_CAMVID_TO_11 = tuple(
    CAMVID.names.index(next(group for group, names in _CAMVID_GROUPS.items() if name in names))
    for name in CAMVID32.names
)

_MAPS = {
    (CITYSCAPES.names, PANORAMA13.names): _CITYSCAPES_TO_13,
    (SYNPASS.names, PANORAMA13.names): _SYNPASS_TO_13,
    (CAMVID32.names, CAMVID.names): _CAMVID_TO_11,
}


def class_map(source: LabelSpace, target: LabelSpace) -> np.ndarray | None:
    """The class of `target` that each class of `source` is.

    Spaces are told by their class names: colours and raw values may differ.

    Returns:
        (256,) uint8 from class index to class index, 255 where `target` has no counterpart; the
        identity where the names are equal; None where no map is known.
    """
    same = source.names == target.names
    indices = range(len(source)) if same else _MAPS.get((source.names, target.names))
    if indices is None:
        return None
    table = np.full(256, IGNORE, np.uint8)
    table[: len(source)] = indices
    return table
