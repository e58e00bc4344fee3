import numpy as np
import pytest
from miniature import MAKERS, save
from PIL import Image

from fastscnn_tf.core.errors import DataError
from fastscnn_tf.core.labels import CAMVID, CAMVID32
from fastscnn_tf.data.datasets.published_sets import split_of
from fastscnn_tf.data.datasets.registry import find_splits, open_dataset


@pytest.fixture
def root(tmp_path):
    MAKERS["camvid32"]().write(tmp_path)
    return tmp_path


def test_rules_give_segnets_splits_of_the_real_names(camvid_dir):
    for split, count in (("train", 367), ("val", 101)):
        paths = list((camvid_dir / split).glob("*.png"))
        assert len(paths) == count
        assert {split_of(path) for path in paths} == {split}


def test_one_file_serves_both_label_spaces(root):
    """A rider is a Bicyclist, a van a Car, a bridge a Building; black is void."""
    label_map = root / "LabeledApproved_full" / "0016E5_07959_L.png"
    row = [(0, 128, 192), (192, 0, 192), (64, 128, 192), (0, 128, 64), (0, 0, 0)]
    save(label_map, np.array([row], np.uint8))
    original = open_dataset("camvid32", root, "val")
    merged = open_dataset("camvid32-11", root, "val")
    assert (original.labels, merged.labels) == (CAMVID32, CAMVID)
    names = [original.labels.names[i] for i in original.read_label(0)[0, :4]]
    assert names == ["Bicyclist", "MotorcycleScooter", "SUVPickupTruck", "Bridge"]
    names = [merged.labels.names[i] for i in merged.read_label(0)[0, :4]]
    assert names == ["Bicyclist", "Bicyclist", "Car", "Building"]
    assert original.read_label(0)[0, 4] == merged.read_label(0)[0, 4] == 255


def test_palette_label_maps_are_read(root):
    label_map = root / "LabeledApproved_full" / "0016E5_07959_L.png"
    before = open_dataset("camvid32", root, "val").read_label(0)
    Image.open(label_map).convert("P", palette=Image.Palette.ADAPTIVE, colors=32).save(label_map)
    assert np.array_equal(open_dataset("camvid32", root, "val").read_label(0), before)


def test_grey_label_maps_are_refused(root):
    save(root / "LabeledApproved_full" / "0016E5_07959_L.png", np.zeros((72, 96), np.uint8))
    with pytest.raises(DataError, match="expected a colour-coded label PNG, got one of mode L"):
        open_dataset("camvid32", root, "val").read(0)


def test_a_colour_of_no_class_is_named(root):
    pixels = np.full((72, 96, 3), 128, np.uint8)
    pixels[0, :3] = 255, 128, 127
    save(root / "LabeledApproved_full" / "0016E5_07959_L.png", pixels)
    with pytest.raises(
        DataError, match=r"colour \(255, 128, 127\) \(3 pixels\) is that of no class"
    ):
        open_dataset("camvid32", root, "val").read(0)


def test_foreign_names_are_refused(root):
    save(root / "701_StillsRaw_full" / "mine.png", np.zeros((72, 96, 3), np.uint8))
    for call in (
        lambda: open_dataset("camvid32", root, "val"),
        lambda: find_splits("camvid32", root),
    ):
        with pytest.raises(DataError, match=r"mine\.png: expected a frame of 0001TP, 0006R0"):
            call()
