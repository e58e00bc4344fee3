import dataclasses
import re

import numpy as np
import pytest

from fastscnn_tf.core.class_maps import (
    check_same_order,
    class_map,
    match_classes,
    shared_classes,
)
from fastscnn_tf.core.errors import ConfigError
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


def space(*names, name="own"):
    return LabelSpace.make(name, len(names), names)


MODEL = space("sky", "road", "car", name="model")


@pytest.mark.parametrize(
    ("data", "expected", "how"),
    [
        (space("sky", "road", "car"), [0, 1, 2], ""),
        (space("car", "road", "sky"), [2, 1, 0], "by name with those of own"),
        (space("Car", "ROAD", "sky"), [2, 1, 0], "by name with those of own"),
        (LabelSpace.make("own", 3), [0, 1, 2], "by index .* the classes of own have no names"),
    ],
)
def test_the_same_names_in_any_order_are_the_same_classes(data, expected, how):
    found = match_classes(MODEL, data)
    assert found.apply(np.arange(3)).tolist() == expected
    assert re.search(how, found.protocol)
    assert bool(found.how) == bool(how)
    assert [found.of_labels()[index] for index in expected] == [0, 1, 2]
    nameless = match_classes(LabelSpace.make("model", 3), data)
    assert ("by index" in nameless.how) == (not how.startswith("by index"))


def test_spelling_does_not_join_classes_that_differ_by_it_alone():
    found = match_classes(space("Car", "car", "road"), space("car", "Car", "road"))
    assert found.apply(np.arange(3)).tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    ("model", "data", "said"),
    [
        (MODEL, space("sky", "road", "bus"), "only the model has car; only own has bus"),
        (MODEL, space("sky", "road"), "only the model has car"),
        (MODEL, space("sky", "road", "car", "bus"), "only own has bus"),
        (MODEL, LabelSpace.make("own", 4), "has 3 classes but own has 4"),
        (LabelSpace.make("model", 4), MODEL, "has 4 classes but model has 3"),
        (CITYSCAPES, CAMVID, "no class map between them is known"),
    ],
)
def test_other_names_are_refused_with_what_to_do(model, data, said):
    with pytest.raises(ConfigError, match=said) as error:
        match_classes(model, data)
    assert "--class-map FILE" in str(error.value)
    assert ("--match index" in str(error.value)) == (len(model) == len(data))  # where it helps
    assert "\n" not in str(error.value)


def test_the_index_decides_where_that_is_said():
    data = space("a", "b", "c")
    found = match_classes(MODEL, data, "index")
    assert (found.table, found.how) == (
        None,
        "classes matched by index with those of own: as asked for",
    )
    with pytest.raises(ConfigError, match="has 3 classes but own has 2") as refused:
        match_classes(MODEL, space("a", "b"), "index")
    assert "--class-map" in str(refused.value) and "--match index" not in str(refused.value)
    with pytest.raises(ConfigError, match="choose one of"):
        match_classes(MODEL, data, "index", {"sky": "a"})
    with pytest.raises(ConfigError, match="unknown match 'names'"):
        match_classes(MODEL, data, "names")


def test_a_class_map_names_what_differs(tmp_path):
    file = tmp_path / "classes.yaml"
    file.write_text("sky:\nroad: street\n")
    data = space("car", "street", "person")
    found = match_classes(MODEL, data, class_map=file)
    assert found.apply(np.arange(3)).tolist() == [255, 1, 0]
    assert found.protocol == (
        f"classes matched with those of own by {file} (sky: no counterpart, a miss wherever "
        "predicted); never predicted: person"
    )
    assert found.of_labels()[:4].tolist() == [2, 1, 255, 255]
    file.write_text("sky: street\nroad: street\n")
    merged = match_classes(MODEL, data, class_map=file)
    assert merged.apply(np.arange(3)).tolist() == [1, 1, 0]
    with pytest.raises(ConfigError, match="several classes of the model are class 1"):
        merged.of_labels()
    for text, said in (
        ("tree: street", "the model has no class 'tree'; expected one of sky, road, car"),
        ("sky: tree", "own has no class 'tree'; expected one of car, street, person"),
        ("sky:\nroad:\ncar:", "no class of the model is one of own"),
        (
            "sky: car",
            "says nothing of road, and own has no class of that name: add a line for each",
        ),
        ("car:", "says nothing of sky, road, .*or nothing behind the colon for none"),
        ("- sky", "sky|object"),
    ):
        file.write_text(text)
        with pytest.raises(ConfigError, match=said):
            match_classes(MODEL, data, class_map=file)


def test_a_class_map_spells_classes_as_it_likes():
    """As names are matched without one; what could be two classes has to be exact."""
    model, data = space("Traffic_Sign", "road", "Road"), space("Sign", "STREET")
    names = {"traffic sign": "sign", "road": "street", "Road": None}
    assert match_classes(model, data, class_map=names).apply(np.arange(3)).tolist() == [0, 1, 255]
    with pytest.raises(ConfigError, match="the model has no class 'ROAD'; expected one of"):
        match_classes(model, data, class_map={"ROAD": "street"})
    with pytest.raises(ConfigError, match="the model has no class 1; expected one of"):
        match_classes(model, data, class_map={1: "street"})
    with pytest.raises(ConfigError, match="twice, in different spellings"):
        match_classes(model, data, class_map={"traffic sign": "sign", "Traffic_Sign": "street"})


def test_what_a_class_map_leaves_out_is_matched_as_without_one():
    """By name in any spelling, by known maps, and void by its name; starting weights need none."""
    data = space("Traffic_Sign", "SKY", "street")
    found = match_classes(
        space("sky", "road", "traffic sign", "void"), data, class_map={"road": "street"}
    )
    assert found.apply(np.arange(4)).tolist() == [1, 2, 0, 255]
    known = match_classes(CITYSCAPES, PANORAMA13, class_map={"rider": None, "train": "car"})
    expected = {**TO_PANORAMA, "rider": None, "train": "car"}
    indices = [None if i == 255 else PANORAMA13.names[i] for i in known.apply(np.arange(19))]
    assert dict(zip(CITYSCAPES.names, indices, strict=True)) == expected
    with pytest.raises(ConfigError, match="says nothing of sky, and own has"):
        match_classes(MODEL, space("street", "car"), class_map={"road": "street"})


@pytest.mark.parametrize("void", ["Void", "unlabelled"])
def test_camvids_twelfth_class_is_void(void):
    for names in ((*CAMVID.names, void), (void, *reversed(CAMVID.names))):
        found = match_classes(space(*names, name="model"), CAMVID)
        wanted = [CAMVID.names.index(n) if n in CAMVID.names else 255 for n in names]
        assert found.apply(np.arange(12)).tolist() == wanted
        assert found.protocol.endswith(f"({void}: no counterpart, a miss wherever predicted)")
    nameless = match_classes(LabelSpace.make("model", 12), CAMVID)
    assert nameless.apply(np.arange(12)).tolist() == [*range(11), 255]
    assert "the 12th is void (class_11: no counterpart, a miss" in nameless.protocol
    with pytest.raises(ConfigError, match="has 12 classes but own has 11"):
        match_classes(LabelSpace.make("model", 12), space(*map(str, range(11))))


def test_what_starts_from_other_classes_takes_those_of_its_names():
    new = space("car", "bus", "Sky", "road")
    assert shared_classes(MODEL, new) == ([2, None, 0, 1], "by name")
    assert shared_classes(MODEL, space("a", "b", "c")) == ([None] * 3, "by name")
    assert shared_classes(MODEL, LabelSpace.make("own", 3))[0] == [0, 1, 2]
    assert shared_classes(MODEL, LabelSpace.make("own", 4)) == ([None] * 4, "")
    assert shared_classes(MODEL, space("a", "b", "c"), "index")[0] == [0, 1, 2]
    with pytest.raises(ConfigError, match="has 3 classes but own has 4"):
        shared_classes(MODEL, new, "index")


def test_going_on_needs_the_same_order():
    check_same_order(MODEL, space(*MODEL.names))
    for names in (("road", "sky", "car"), ("sky", "road"), ("sky", "road", "car", "bus")):
        with pytest.raises(ConfigError, match=r"cannot resume: class \d was"):
            check_same_order(MODEL, space(*names))
