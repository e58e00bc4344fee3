import numpy as np
import pytest
from PIL import Image

from fastscnn_tf.core.errors import DataError
from fastscnn_tf.data.datasets.registry import find_pairs, find_splits, open_dataset


def make_camvid(root, split="val", count=2, size=(36, 48)):
    """A miniature tree with CamVid's names."""
    rng = np.random.default_rng(0)
    for folder in (split, f"{split}annot"):
        (root / folder).mkdir(parents=True)
    for i in range(count):
        name = f"0001TP_{i:06d}.png"
        image = rng.integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(image).save(root / split / name)
        Image.fromarray(rng.integers(0, 12, size).astype(np.uint8)).save(
            root / f"{split}annot" / name
        )
    return root


def test_camvid_pairs_and_void(tmp_path):
    dataset = open_dataset("camvid", make_camvid(tmp_path), "val")
    image, label = dataset.read(1)
    assert len(dataset) == 2
    assert image.shape == (36, 48, 3)
    assert set(np.unique(label)) == {*range(11), 255}


def test_real_camvid_has_the_published_splits(camvid_dir):
    assert len(open_dataset("camvid", camvid_dir, "train")) == 367
    assert len(open_dataset("camvid", camvid_dir, "val")) == 101
    image, label = open_dataset("camvid", camvid_dir, "val").read(0)
    assert image.shape == (360, 480, 3)
    assert label.shape == (360, 480)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (("cityscape", None, "val"), "unknown data set"),
        (("camvid", None, "val"), "pass data_dir"),
        (("camvid", "missing", "val"), "missing: no such folder"),
        (("toy", None, "dev"), "train, val, test"),
    ],
)
def test_wrong_names(call, message):
    with pytest.raises(DataError, match=message):
        open_dataset(*call)


def test_unknown_split_and_empty_split(tmp_path):
    make_camvid(tmp_path)
    with pytest.raises(DataError, match="splits train, val, test"):
        open_dataset("camvid", tmp_path, "dev")
    (tmp_path / "train").mkdir()
    (tmp_path / "trainannot").mkdir()
    with pytest.raises(DataError, match="no images in this split"):
        open_dataset("camvid", tmp_path, "train")


def test_label_without_image_is_named(tmp_path):
    make_camvid(tmp_path)
    (tmp_path / "val" / "0001TP_000001.png").unlink()
    with pytest.raises(DataError, match=r"val.0001TP_000001\.png: no such image \(1 of 2"):
        open_dataset("camvid", tmp_path, "val")


def test_image_without_label_is_named(tmp_path):
    make_camvid(tmp_path)
    (tmp_path / "valannot" / "0001TP_000001.png").unlink()
    with pytest.raises(DataError, match=r"0001TP_000001\.png: no such label map \(1 of 2"):
        open_dataset("camvid", tmp_path, "val")


def test_label_of_another_size_is_named(tmp_path):
    make_camvid(tmp_path)
    Image.new("L", (40, 36)).save(tmp_path / "valannot" / "0001TP_000000.png")
    with pytest.raises(DataError, match="image is 36x48 but its label map is 36x40"):
        open_dataset("camvid", tmp_path, "val").read(0)


def test_own_folder_maps_raw_values(own_data):
    dataset = open_dataset("folder", own_data, "val")
    _, label = dataset.read(0)
    assert len(dataset) == 3
    assert dataset.labels.name == "own"
    assert set(np.unique(label)) <= {*range(9), 255}
    assert (label == 0).any()
    by_file = open_dataset("folder", own_data / "dataset.yaml", "val")
    assert by_file.pairs == dataset.pairs


COLORS = (
    "classes: [{name: a, color: [255, 0, 0]}, {name: b, color: [[0, 9, 0], [0, 99, 0]]}]\n"
    "encoding: color\n"
)
GROUP = "classes: [a, b]\nimages: .\nlabels: .\nsplit: {train: 0.8, val: 0.2}\ngroup: "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("classes: [a", "not valid YAML"),
        ("just text", "expected object, got str"),
        ("classes: 3", r"dataset\.yaml: classes: expected .*, got int"),
        ("classes: {}", "2 to 254 classes"),
        ("classes: {0: a, 2: b}", "expected the indices 0 to 1, got 0, 2"),
        ("classes: [a]", "2 to 254 classes"),
        ("classes: [a, a]", "must be unique"),
        ("clases: [a, b]", "unknown field clases: did you mean 'classes'"),
        ("classes: [a, b]\nclases: []", "unknown field clases"),
        ("classes: [a, {name: b, colour: red}]", r"classes\[1\]: .*field colour: .*'color'\?"),
        ("classes: {0: a, 1: {name: b, x: 1}}", r"classes\.1: .*field x: expected one of name, co"),
        ("classes: [a, b]\nsplits: {val: {images: x, lables: y}}", r"splits\.val: .*'labels'\?"),
        ("classes: [a, {name: b, value: true}]", r"classes\[1\]\.value: expected .*got bool"),
        (
            "classes: [a, {name: b, value: []}]",
            r"classes\[1\]\.value: expected array of length >= 1",
        ),
        ("classes: [a, {name: b, value: [1, 0]}]", "label values must be unique, 0 comes twice"),
        ("classes: [a, {name: b, value: 300}]", r"classes\[1\]\.value: expected int <= 255"),
        ("classes: [a, {name: b, value: 255}]\nvoid: [255]", "must be unique, 255"),
        ("classes: [a, {name: b, color: red}]", r"classes\[1\]\.color: expected array"),
        (
            "classes: [a, {name: b, color: [1, 2]}]",
            "'b': color: expected array of length >= 3",
        ),
        ("classes: [a, b]\nvoid: 3", "void: expected array"),
        ("classes: [a, b]\nsplits: {val: {images: " + 300 * "y" + ", labels: y}}", "no such"),
        ("classes: [a, b]\nvoid: [0]", "must be unique"),
        ("classes: [a, b]", "no split 'val'"),
        ("classes: [a, b]\nsplits: {val: {images: x}}", r"splits\.val: missing .*field labels"),
        ("classes: [a, b]\nsplits: {val: {labels: x}}", r"splits\.val: missing .*field images"),
        ("classes: [yes, b]", "classes: YAML takes yes, no, .* write such a name in quotes"),
        ("classes: [{name: off}, b]", "classes: YAML takes yes, no"),
        ("classes: [a, b]\nsplits: {trian: {images: i, labels: l}}", "'trian', .* mean 'train'"),
        ("classes: [a, b]\nsplit: {train: 0.5, tset: 0.5}", "splits: 'tset', .* mean 'test'"),
        ("classes: [a, b]\nencoding: colour", "encoding: unknown 'colour', did you mean 'color'"),
        ("classes: [a, b]\nencoding: color", "class 'a' has no color, but encoding color"),
        (COLORS + "void: [3]", "void: expected colours"),
        (COLORS + "void: [[0, 0, 9], [255, 0, 0]]", r"unique, \[255, 0, 0\] comes twice"),
        (COLORS.replace("color:", "value: 3, color:", 1), "'a' has a value, but encoding color"),
        ("classes: [a, b]\nvoid: [[0, 0, 0]]", "void: expected values, got a colour"),
        ("classes: [a, b]\ntolerance: 3", "tolerance: is for encoding color"),
        ("classes: [a, b]\nseed: 3", "seed and group: are for split"),
        ("classes: [a, b]\nimages: i\nlabels: l\nsplit: {train: 0.8, val: 0.1}", "1 together"),
        ("classes: [a, b]\nsplit: {train: 0.8, val: 0.2}", "missing required field images"),
        (GROUP + "(a+)+b", "none of them behind a bracket"),
        (GROUP + ".*.*.*.*b", "at most three"),
        (GROUP + "(?P<seq>x+?)_(?:a|b){2}", "none of them behind a bracket"),
        (GROUP + "'" + "(a|a)" * 9 + "'", "at most eight"),
        (GROUP + "(", "not a regular expression"),
        ("classes: [a, b]\nlabel_extensions: [.jpg]", "as JPG: .*change values at every border"),
        ("classes: [a, b]\nlabel_extensions: [gif]", r"unknown extension '\.gif'"),
        ("classes: [a, b]\nsplits: {val: {images: x, labels: y}}", "no such folder"),
    ],
)
def test_wrong_description_is_named(tmp_path, text, message):
    (tmp_path / "dataset.yaml").write_text(text)
    with pytest.raises(DataError, match=message):
        open_dataset("folder", tmp_path, "val")


def test_own_splits_are_those_described(own_data):
    for place in (own_data, own_data / "dataset.yaml"):
        assert find_splits("folder", place) == ("train", "val")
    with pytest.raises(DataError, match=r"no split 'test'; it describes: train, val"):
        find_pairs("folder", own_data, "test")


def test_own_files_without_partner(own_data):
    """Folders of label maps may be shared by splits, so that only images need a partner."""
    val = own_data / "val"
    (val / "labels" / "4.png").unlink()
    (val / "images" / "._5.jpg").touch()
    Image.new("L", (160, 96)).save(val / "labels" / "übrig 1.png")
    with pytest.raises(DataError, match=r"4\.png: no such label map \(1 of 3 are missing\)"):
        open_dataset("folder", own_data, "val")
    found = find_pairs("folder", own_data, "val")
    assert found.without_label == (val / "images" / "4.jpg",)
    assert found.without_image == (val / "labels" / "übrig 1.png",)
    rest = open_dataset("folder", own_data, "val", missing="skip")
    assert [path.name for path, _ in rest.pairs] == ["5.jpg", "6.jpg"]
    (val / "images" / "4.jpg").unlink()
    assert open_dataset("folder", own_data, "val").pairs == rest.pairs


def test_own_data_without_any_pair(own_data):
    for path in (own_data / "val" / "labels").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"labels.4\.png: no such file, and no other pair"):
        open_dataset("folder", own_data, "val", missing="skip")
