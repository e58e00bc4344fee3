import dataclasses

import numpy as np
import pytest

from fastscnn_tf.core.class_maps import class_map
from fastscnn_tf.core.labels import (
    CAMVID,
    CAMVID32,
    CITYSCAPES,
    CITYSCAPES_TRAIN_IDS,
    EVENTSCAPE,
    PANORAMA13,
    SYNPASS,
    TOY_STREETS,
    LabelSpace,
)

TO_PANORAMA = {
    **{name: name for name in CITYSCAPES.names[:11]},
    "person": "person",
    "rider": "person",
    "car": "car",
    "truck": "car",
    "bus": "car",
    "train": None,
    "motorcycle": "car",
    "bicycle": "car",
}
FROM_SYNPASS = {
    "Building": "building",
    "Fence": "fence",
    "Other": None,
    "Pedestrian": "person",
    "Pole": "pole",
    "RoadLine": "road",
    "Road": "road",
    "SideWalk": "sidewalk",
    "Vegetation": "vegetation",
    "Vehicles": "car",
    "Wall": "wall",
    "TrafficSign": "traffic sign",
    "Sky": "sky",
    "Ground": None,
    "Bridge": None,
    "RailTrack": None,
    "GroundRail": None,
    "TrafficLight": "traffic light",
    "Static": None,
    "Dynamic": None,
    "Water": None,
    "Terrain": "terrain",
}
FROM_CAMVID32 = {
    "Animal": "Pedestrian",
    "Archway": "Building",
    "Bicyclist": "Bicyclist",
    "Bridge": "Building",
    "Building": "Building",
    "Car": "Car",
    "CartLuggagePram": "Pedestrian",
    "Child": "Pedestrian",
    "Column_Pole": "Pole",
    "Fence": "Fence",
    "LaneMkgsDriv": "Road",
    "LaneMkgsNonDriv": "Road",
    "Misc_Text": "SignSymbol",
    "MotorcycleScooter": "Bicyclist",
    "OtherMoving": "Car",
    "ParkingBlock": "Pavement",
    "Pedestrian": "Pedestrian",
    "Road": "Road",
    "RoadShoulder": "Pavement",
    "Sidewalk": "Pavement",
    "SignSymbol": "SignSymbol",
    "Sky": "Sky",
    "SUVPickupTruck": "Car",
    "TrafficCone": "Pole",
    "TrafficLight": "SignSymbol",
    "Train": "Car",
    "Tree": "Tree",
    "Truck_Bus": "Car",
    "Tunnel": "Building",
    "VegetationMisc": "Tree",
    "Wall": "Building",
}


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (CITYSCAPES, PANORAMA13, TO_PANORAMA),
        (SYNPASS, PANORAMA13, FROM_SYNPASS),
        (CAMVID32, CAMVID, FROM_CAMVID32),
    ],
)
def test_every_class_by_name(source, target, expected):
    table = class_map(source, target)
    assert (table.shape, table.dtype) == ((256,), np.uint8)
    assert tuple(expected) == source.names
    found = {
        name: None if table[i] == 255 else target.names[table[i]]
        for i, name in enumerate(source.names)
    }
    assert found == expected
    assert (table[len(source) :] == 255).all()
    assert set(table) - {255} == set(range(len(target)))


@pytest.mark.parametrize("space", [CITYSCAPES, SYNPASS, CAMVID, EVENTSCAPE, TOY_STREETS])
def test_equal_names_are_the_same_classes(space):
    other = dataclasses.replace(space, name="mine", colors=space.colors[::-1], raw_values=())
    table = class_map(other, space)
    assert table[: len(space)].tolist() == list(range(len(space)))
    assert (table[len(space) :] == 255).all()


def test_cityscapes_in_its_two_codings():
    assert np.array_equal(
        class_map(CITYSCAPES, CITYSCAPES_TRAIN_IDS), [*range(19), *[255] * (256 - 19)]
    )


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (PANORAMA13, CITYSCAPES),
        (CAMVID, CAMVID32),
        (CITYSCAPES, CAMVID),
        (SYNPASS, CITYSCAPES),
        (CITYSCAPES, LabelSpace.make("mine", 19)),
    ],
)
def test_other_maps_are_not_made_up(source, target):
    assert class_map(source, target) is None
