"""Every published data set on a miniature tree: what all of them have in common."""

import shutil

import numpy as np
import pytest
from miniature import CAMVID32, MAKERS, save
from PIL import Image

from fastscnn_tf.core.errors import DataError
from fastscnn_tf.core.labels import CAMVID32 as CAMVID32_LABELS
from fastscnn_tf.data.datasets.registry import NAMES, find_pairs, find_splits, open_dataset

SPLITS = [(name, split) for name, make in MAKERS.items() for split in make().files]
VAL_FOLDERS = {  # all that a user may lack of a split
    "cityscapes": "gtFine/val",
    "cityscapes-coarse": "leftImg8bit/val",
    "camvid": "valannot",
    "dada-seg": "gtFine/val",
    "densepass": "gtFine/val",
    "densepass13": "leftImg8bit/val",
    "synpass": "semantic/rain/val",
    "synpass13": "img/sun/val",
    "eventscape": "Town05_val",
}
EVERY = pytest.mark.parametrize("name", MAKERS)


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """name -> (tree, its folder); nobody may change them."""
    made = {}
    for name, make in MAKERS.items():
        root = tmp_path_factory.mktemp(name) / "Länder mit Straßen 日本"
        made[name] = (make(), root)
        made[name][0].write(root)
    return made


@pytest.fixture
def own_tree(tmp_path, trees):
    """name -> a copy of the tree, to be changed."""

    def copy(name):
        tree, root = trees[name]
        shutil.copytree(root, tmp_path / "Größe 1")
        return tree, tmp_path / "Größe 1"

    return copy


def test_every_published_data_set_has_a_tree():
    assert set(NAMES) == {*MAKERS, "folder", "records", "toy"}


@pytest.mark.parametrize(("name", "split"), SPLITS)
def test_pairs_are_listed_in_order(trees, name, split):
    tree, root = trees[name]
    dataset = open_dataset(name, root, split)
    assert (dataset.name, dataset.split) == (name, split)
    assert dataset.pairs == tuple((root / a, root / b) for a, b in tree.files[split])
    assert find_pairs(name, root, split).pairs == dataset.pairs
    assert [dataset.sample_name(i) for i in range(len(dataset))] == [
        str(root / picture) for picture, _ in tree.files[split]
    ]


@pytest.mark.parametrize(("name", "split"), SPLITS)
def test_label_values_become_classes(trees, name, split):
    tree, root = trees[name]
    dataset = open_dataset(name, root, split)
    for index in range(len(dataset)):
        image, label = dataset.read(index)
        assert image.shape == (*tree.expected.shape, 3)
        assert (image.dtype, label.dtype) == (np.uint8, np.uint8)
        assert np.array_equal(label, tree.expected)
        assert np.array_equal(label, dataset.read_label(index))
        assert np.array_equal(image, dataset.read_image(index))
    classes = set(np.unique(tree.expected)) - {255}
    assert classes == set(range(len(dataset.labels))) or name == "dada-seg"


@EVERY
def test_splits_are_those_on_disk(own_tree, name):
    tree, root = own_tree(name)
    assert find_splits(name, root) == tuple(tree.files)
    if name in VAL_FOLDERS:
        shutil.rmtree(root / VAL_FOLDERS[name])
    else:
        for picture, _ in tree.files["val"]:
            (root / picture).unlink()
    assert find_splits(name, root) == tuple(split for split in tree.files if split != "val")


@EVERY
def test_a_missing_label_map_is_named_or_skipped(own_tree, name):
    tree, root = own_tree(name)
    pairs = tree.files["val"]
    picture, label_map = pairs[0]
    (root / label_map).unlink()
    with pytest.raises(DataError) as caught:
        open_dataset(name, root, "val")
    message = f"{root / label_map}: no such label map (1 of {len(pairs)} are missing)"
    assert str(caught.value) == message
    found = find_pairs(name, root, "val")
    assert found.without_label == (root / picture,)
    assert found.without_image == ()
    if len(pairs) > 1:
        rest = open_dataset(name, root, "val", missing="skip")
        assert [rest.sample_name(i) for i in range(len(rest))] == [
            str(root / picture) for picture, _ in pairs[1:]
        ]
    else:
        with pytest.raises(DataError, match="no other pair is complete"):
            open_dataset(name, root, "val", missing="skip")


@EVERY
def test_a_missing_picture_is_named_or_skipped(own_tree, name):
    tree, root = own_tree(name)
    split = "train" if "train" in tree.files else "val"
    pairs = tree.files[split]
    picture, label_map = pairs[-1]
    (root / picture).unlink()
    with pytest.raises(DataError) as caught:
        open_dataset(name, root, split)
    message = f"{root / picture}: no such image (1 of {len(pairs)} are missing)"
    assert str(caught.value) == message
    found = find_pairs(name, root, split)
    assert (found.without_label, found.without_image) == ((), (root / label_map,))
    assert found.missing == (root / picture,)
    assert len(open_dataset(name, root, split, missing="skip")) == len(pairs) - 1


@EVERY
def test_a_split_without_pictures_is_named(own_tree, name):
    tree, root = own_tree(name)
    for picture, _ in tree.files["val"]:
        (root / picture).unlink()
    for call in (open_dataset, find_pairs):
        with pytest.raises(DataError, match=r"no images (in this|of) split"):
            call(name, root, split="val")


@EVERY
def test_wrong_splits_and_folders_give_one_clear_line(trees, tmp_path, name):
    tree, root = trees[name]
    for call in (open_dataset, find_pairs):
        with pytest.raises(DataError) as caught:
            call(name, root, split="validation")
        splits = ", ".join(tree.files)
        assert str(caught.value) == f"{name} has the splits {splits}; got 'validation'"
        with pytest.raises(DataError) as caught:
            call(name, tmp_path / "nowhere", split="val")
        assert str(caught.value).startswith(f"{tmp_path / 'nowhere'}: no such folder; {name} needs")
        with pytest.raises(DataError) as caught:
            call(name, tmp_path, split="val")
        message = str(caught.value)
        assert message.startswith(f"{tmp_path}")
        assert ": no such folder; " in message
        assert "\n" not in message
    with pytest.raises(DataError, match="nowhere: no such folder"):
        find_splits(name, tmp_path / "nowhere")
    assert find_splits(name, tmp_path) == ()
    with pytest.raises(DataError, match=f"'{name}' needs its folder: pass data_dir"):
        open_dataset(name, "", "val")


@EVERY
def test_an_unknown_label_value_is_named(own_tree, name):
    tree, root = own_tree(name)
    label_map = root / tree.files["val"][0][1]
    stored = np.array(tree.stored)
    stored[:2, :2] = 77
    save(label_map, stored)
    with pytest.raises(DataError) as caught:
        open_dataset(name, root, "val").read(0)
    assert str(caught.value).startswith(f"{label_map}: ")
    assert "77" in str(caught.value)
    assert "(4 pixels)" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("camvid", "whole images at their own size"),
        (
            "dada-seg",
            "border cut off (left 162, top 0, right 1422, bottom 600), resized to 512x1024 "
            "(bilinear, label maps nearest), zero-shot from Cityscapes",
        ),
        ("densepass", "whole panoramas at 400x2048, 19 classes, zero-shot from Cityscapes"),
        ("synpass13", "whole panoramas of all four kinds of weather, 13 classes"),
    ],
)
def test_protocols(trees, name, sentence):
    assert open_dataset(name, trees[name][1], "val").protocol == sentence


def test_toy_has_splits_and_no_files():
    assert find_splits("toy") == ("train", "val", "test")
    assert find_pairs("toy", None, "val").pairs == ()
    with pytest.raises(DataError, match="train, val, test"):
        find_pairs("toy", None, "dev")


def test_names_of_the_original_camvid_are_in_alphabetical_order():
    assert CAMVID32_LABELS.names == tuple(name for name, _ in CAMVID32.values())
    assert CAMVID32_LABELS.colors == tuple(CAMVID32)


def test_pictures_of_densepass_may_end_with_an_underscore(tmp_path):
    for kind, name in (("leftImg8bit", "1_.png"), ("gtFine", "1_labelTrainIds.png")):
        folder = tmp_path / kind / "val" / "cs"
        folder.mkdir(parents=True)
        Image.new("L" if kind == "gtFine" else "RGB", (64, 16)).save(folder / name)
    dataset = open_dataset("densepass", tmp_path, "val")
    assert [path.name for path in dataset.pairs[0]] == ["1_.png", "1_labelTrainIds.png"]
    assert (dataset.read(0)[1] == 0).all()
