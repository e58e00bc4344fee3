import numpy as np
import pytest

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
    label_space,
)

SPACES = {
    "camvid": (CAMVID, 11),
    "camvid32": (CAMVID32, 31),
    "cityscapes": (CITYSCAPES, 19),
    "eventscape": (EVENTSCAPE, 12),
    "panorama13": (PANORAMA13, 13),
    "synpass": (SYNPASS, 22),
    "toy": (TOY_STREETS, 9),
}


@pytest.mark.parametrize("name", SPACES)
def test_names_and_colours_tell_classes_apart(name):
    space, count = SPACES[name]
    assert label_space(name) is space
    assert len(space) == len(set(space.names)) == len(set(space.colors)) == count
    assert (0, 0, 0) not in space.colors  # which is void
    assert all(0 <= value <= 255 for color in space.colors for value in color)


def test_unknown_spaces_are_named():
    with pytest.raises(
        ConfigError, match=r"unknown label space 'kitti': expected one of \['camvid'"
    ):
        label_space("kitti")


def test_values_in_files():
    assert SYNPASS.lookup_table()[[0, 1, 22, 23, 255]].tolist() == [255, 0, 21, 254, 255]
    assert EVENTSCAPE.lookup_table()[[0, 1, 12, 13, 22, 23]].tolist() == [255, 0, 11, 255, 255, 254]
    assert CITYSCAPES_TRAIN_IDS.lookup_table()[[0, 18, 19, 255]].tolist() == [0, 18, 254, 255]
    assert np.array_equal(CITYSCAPES.lookup_table()[[7, 33, 0]], [0, 18, 255])


@pytest.mark.parametrize(
    ("space", "name", "same"),
    [
        (SYNPASS, "Pedestrian", "person"),
        (SYNPASS, "Vehicles", "car"),
        (EVENTSCAPE, "Road", "road"),
        (PANORAMA13, "car", "car"),
        (PANORAMA13, "person", "person"),
        (TOY_STREETS, "sky", "sky"),
    ],
)
def test_classes_that_cityscapes_has_have_its_colours(space, name, same):
    color = CITYSCAPES.colors[CITYSCAPES.names.index(same)]
    assert space.colors[space.names.index(name)] == color
