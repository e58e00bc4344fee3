"""What is particular about the two rendered data sets."""

import shutil

import numpy as np
import pytest
from miniature import MAKERS, save

from fastscnn_tf.core.errors import DataError
from fastscnn_tf.data.datasets.registry import find_splits, open_dataset


@pytest.fixture
def root(tmp_path, request):
    MAKERS[request.param]().write(tmp_path)
    return tmp_path


@pytest.mark.parametrize("root", ["synpass"], indirect=True)
def test_synpass_is_found_in_its_folder(root, tmp_path_factory):
    outer = tmp_path_factory.mktemp("outer")
    shutil.copytree(root, outer / "SynPASS")
    inner = open_dataset("synpass", outer / "SynPASS", "test")
    assert open_dataset("synpass", outer, "test").pairs == inner.pairs
    assert len(inner) == 4


@pytest.mark.parametrize("root", ["synpass"], indirect=True)
def test_synpass_needs_every_weather(root):
    shutil.rmtree(root / "img" / "fog")
    with pytest.raises(
        DataError, match=r"img.fog: no such folder; synpass needs img/cloud/val/, i"
    ):
        open_dataset("synpass", root, "val")
    assert find_splits("synpass", root) == ()


@pytest.mark.parametrize("root", ["synpass"], indirect=True)
def test_synpass_ids_stand_for_the_classes_of_the_paper(root):
    dataset = open_dataset("synpass", root, "val")
    label = dataset.read_label(0).ravel()[:23]  # values 0, 1, 2, ... in order
    assert label[0] == 255
    assert " ".join(dataset.labels.names[i] for i in label[1:]) == (
        "Building Fence Other Pedestrian Pole RoadLine Road SideWalk Vegetation Vehicles Wall "
        "TrafficSign Sky Ground Bridge RailTrack GroundRail TrafficLight Static Dynamic Water "
        "Terrain"
    )


@pytest.mark.parametrize("root", ["eventscape"], indirect=True)
def test_eventscape_ids_stand_for_twelve_classes(root):
    dataset = open_dataset("eventscape", root, "val")
    label = dataset.read_label(0).ravel()[:23]
    assert " ".join(dataset.labels.names[i] for i in label[1:13]) == (
        "Building Fence Other Pedestrian Pole RoadLine Road SideWalk Vegetation Vehicles Wall "
        "TrafficSign"
    )
    assert label[0] == 255
    assert (label[13:] == 255).all()


@pytest.mark.parametrize("root", ["eventscape"], indirect=True)
def test_eventscape_label_maps_may_be_grey(root):
    dataset = open_dataset("eventscape", root, "val")
    expected = dataset.read_label(0)
    tree = MAKERS["eventscape"]()
    save(dataset.pairs[0][1], tree.stored[..., 0].copy())
    assert np.array_equal(dataset.read_label(0), expected)


@pytest.mark.parametrize("root", ["eventscape"], indirect=True)
def test_eventscape_towns_decide_the_split(root):
    """Other towns, archives that were left there, and what is not an image count for nothing."""
    (root / "Town05_val.zip").touch()
    shutil.copytree(root / "Town05_val", root / "Town04_val")
    shutil.copytree(root / "Town01-03_train" / "Town03", root / "Town02" / "Town03")
    for folder in ("depth/data", "events/data"):
        path = root / "Town05_val" / "Town05" / "sequence_1" / folder
        save(path / "05_001_0162_image.png", np.zeros((4, 4), np.uint8))
    assert [len(open_dataset("eventscape", root, s)) for s in ("train", "val", "test")] == [4, 1, 2]


@pytest.mark.parametrize("root", ["eventscape"], indirect=True)
def test_eventscape_pictures_may_lie_in_rgb_itself(root):
    sequence = root / "Town05_val" / "Town05" / "sequence_1"
    picture = sequence / "rgb" / "data" / "05_001_0162_image.png"
    picture.rename(sequence / "rgb" / picture.name)
    shutil.rmtree(sequence / "rgb" / "data")
    (pair,) = open_dataset("eventscape", root, "val").pairs
    assert pair[0] == sequence / "rgb" / picture.name
    pair[0].unlink()
    label_map = sequence / "semantic" / "data" / "05_001_0163_gt_labelIds.png"
    shutil.copy(pair[1], label_map)
    save(sequence / "rgb" / "05_001_0163_image.png", np.zeros((32, 64, 3), np.uint8))
    with pytest.raises(DataError, match=r"rgb.05_001_0162_image\.png: no such image \(1 of 2 are"):
        open_dataset("eventscape", root, "val")
