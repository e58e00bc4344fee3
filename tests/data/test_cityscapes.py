import numpy as np
import pytest
from PIL import Image

from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.errors import ConfigError, DataError
from fastscnn_tf.core.labels import CITYSCAPES, LabelSpace
from fastscnn_tf.data.datasets.dataset import ConcatDataset, FileDataset, Relabelled
from fastscnn_tf.data.datasets.registry import open_dataset
from fastscnn_tf.data.datasets.toy_streets import ToyStreets
from fastscnn_tf.data.pipeline import batches
from fastscnn_tf.scoring.protocol import evaluate_predictor

SIZE = (32, 64)
CLASS_IDS = (7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33)
VOID_IDS = (*range(7), 9, 10, 14, 15, 16, 18, 29, 30, 34, 255)
SPLITS = {  # (label folder, split): images by city
    ("gtFine", "train"): {"aachen": 2, "zurich": 1},
    ("gtFine", "val"): {"frankfurt": 1, "lindau": 2},
    ("gtFine", "test"): {"berlin": 2},
    ("gtCoarse", "train"): {"aachen": 2, "zurich": 1},
    ("gtCoarse", "train_extra"): {"augsburg": 2, "bad-honnef": 2},
    ("gtCoarse", "val"): {"frankfurt": 1, "lindau": 2},
}


def stem(city, index):
    return f"{city}_{index:06d}_000019"


def label_path(root, kind, split, city="aachen", index=0, coding="labelIds"):
    return root / kind / split / city / f"{stem(city, index)}_{kind}_{coding}.png"


def picture_path(root, split, city="aachen", index=0):
    return root / "leftImg8bit" / split / city / f"{stem(city, index)}_leftImg8bit.png"


def label_ids(rng, kind, split):
    """All ids in fine label maps, half of the pixels unlabelled in coarse ones, void in test."""
    if split == "test":
        return np.where(np.arange(SIZE[1]) < 5, 1, 3) * np.ones(SIZE, np.int64)
    ids = rng.permutation(np.resize(CLASS_IDS + VOID_IDS, SIZE[0] * SIZE[1])).reshape(SIZE)
    if kind == "gtCoarse":
        ids[:, : SIZE[1] // 2] = 0
    return ids


@pytest.fixture
def root(tmp_path):
    """A miniature tree with Cityscapes' names."""
    rng = np.random.default_rng(0)
    for (kind, split), cities in SPLITS.items():
        for city, count in cities.items():
            for index in range(count):
                paths = (
                    picture_path(tmp_path, split, city, index),
                    label_path(tmp_path, kind, split, city, index),
                )
                image = rng.integers(0, 256, (*SIZE, 3)).astype(np.uint8)
                pixels = (image, label_ids(rng, kind, split).astype(np.uint8))
                for path, values in zip(paths, pixels, strict=True):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(values).save(path)
                # What lies beside label maps in the published archives.
                paths[1].with_name(f"{stem(city, index)}_{kind}_color.png").touch()
                paths[1].with_name(f"{stem(city, index)}_{kind}_polygons.json").touch()
    (tmp_path / "leftImg8bit" / "train" / "aachen" / "._x_leftImg8bit.png").touch()
    (tmp_path / "license.txt").touch()
    return tmp_path


@pytest.mark.parametrize(("kind", "split"), SPLITS)
def test_every_split_lists_its_cities_in_order(root, kind, split):
    name = {"gtFine": "cityscapes", "gtCoarse": "cityscapes-coarse"}[kind]
    dataset = open_dataset(name, root, split)
    cities = SPLITS[kind, split]
    assert (dataset.name, dataset.split, dataset.labels) == (name, split, CITYSCAPES)
    assert [dataset.sample_name(i) for i in range(len(dataset))] == [
        str(picture_path(root, split, city, i))
        for city in sorted(cities)
        for i in range(cities[city])
    ]
    assert dataset.read_image(0).shape == (*SIZE, 3)


def test_label_ids_become_classes_and_void(root):
    raw = np.asarray(Image.open(label_path(root, "gtFine", "train")))
    _, label = open_dataset("cityscapes", root, "train").read(0)
    assert set(np.unique(label)) == {*range(19), 255}
    for index, value in enumerate(CLASS_IDS):
        assert np.array_equal(label == index, raw == value)
    assert np.array_equal(label == 255, np.isin(raw, VOID_IDS))


def test_names_and_colours_are_the_published_ones():
    known = {
        "road": (0, (128, 64, 128)),
        "sky": (10, (70, 130, 180)),
        "bicycle": (18, (119, 11, 32)),
    }
    for name, (index, color) in known.items():
        assert (CITYSCAPES.names[index], CITYSCAPES.colors[index]) == (name, color)
    assert len(CITYSCAPES) == len(set(CITYSCAPES.colors)) == len(CITYSCAPES.raw_values) == 19
    assert FastSCNNConfig.for_labels("cityscapes").class_names == CITYSCAPES.names


def test_coarse_label_maps_may_leave_pixels_out(root):
    _, label = open_dataset("cityscapes-coarse", root, "train_extra").read(3)
    assert (label[:, : SIZE[1] // 2] == 255).all()
    assert set(np.unique(label[:, SIZE[1] // 2 :])) == {*range(19), 255}


def test_an_unknown_label_id_is_named(root):
    path = label_path(root, "gtFine", "train")
    Image.new("L", SIZE[::-1], 77).save(path)
    with pytest.raises(DataError, match=rf"{path.name}: unknown label value 77 \(2048 pixels\)"):
        open_dataset("cityscapes", root, "train").read(0)


def to_train_ids(root, keep):
    """Rewrites the fine training label maps as class indices."""
    for city, index in (("aachen", 0), ("aachen", 1), ("zurich", 0)):
        path = label_path(root, "gtFine", "train", city, index)
        label = CITYSCAPES.lookup_table()[np.asarray(Image.open(path))]
        Image.fromarray(label).save(
            label_path(root, "gtFine", "train", city, index, "labelTrainIds")
        )
        if not keep:
            path.unlink()


def test_train_ids_serve_where_there_are_no_label_ids(root):
    with_ids = open_dataset("cityscapes", root, "train")
    expected = [with_ids.read_label(i) for i in range(len(with_ids))]
    to_train_ids(root, keep=False)
    dataset = open_dataset("cityscapes", root, "train")
    assert all(path.name.endswith("_labelTrainIds.png") for _, path in dataset.pairs)
    assert all(np.array_equal(dataset.read_label(i), label) for i, label in enumerate(expected))


def test_label_ids_go_before_train_ids(root):
    to_train_ids(root, keep=True)
    dataset = open_dataset("cityscapes", root, "train")
    assert all(path.name.endswith("_labelIds.png") for _, path in dataset.pairs)
    label_path(root, "gtFine", "train", "zurich").unlink()
    with pytest.raises(DataError, match=r"zurich_000000_000019_gtFine_labelIds\.png: no such"):
        open_dataset("cityscapes", root, "train")


class NeverRun:
    """A predictor that must not be asked."""

    input_size, num_classes = SIZE, 19

    def run(self, image):
        raise AssertionError


def test_the_test_split_is_not_scored(root):
    dataset = open_dataset("cityscapes", root, "test")
    message = "cityscapes: every label of split 'test' is void: score on val"
    for call in (lambda: evaluate_predictor(NeverRun(), dataset), lambda: dataset.read_label(1)):
        with pytest.raises(DataError, match=message):
            call()


def test_own_labels_of_the_test_split_are_read(root):
    Image.new("L", SIZE[::-1], 7).save(label_path(root, "gtFine", "test", "berlin", 1))
    dataset = open_dataset("cityscapes", root, "test")
    assert (dataset.read_label(0) == 255).all()
    assert (dataset.read_label(1) == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: label_path(root, "gtFine", "train", "zurich").unlink(),
         r"zurich_000000_000019_gtFine_labelIds\.png: no such label map \(1 of 3 are missing\)"),
        (lambda root: picture_path(root, "train").unlink(),
         r"aachen_000000_000019_leftImg8bit\.png: no such image \(1 of 3 are missing\)"),
        (lambda root: [p.unlink() for p in (root / "gtFine" / "train").rglob("*Ids.png")],
         r"gtFine_labelIds\.png: no such label map \(3 of 3"),
        (lambda root: [p.unlink() for p in (root / "leftImg8bit" / "train").rglob("*.png")],
         r"train: no images in this split \(<folder>/\*_leftImg8bit\.png\)"),
        (lambda root: (root / "gtFine" / "train").rename(root / "gtFine" / "training"),
         r"gtFine.train: no such folder; cityscapes needs leftImg8bit/train/ and gtFine/train/ u"),
        (lambda root: (root / "gtFine").rename(root / "fine"),
         r"gtFine: no such folder; cityscapes needs leftImg8bit/train/ and gtFine/train/ under "),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(root, change, message):
    change(root)
    with pytest.raises(DataError, match=message):
        open_dataset("cityscapes", root, "train")


def test_wrong_folders_and_splits(root):
    with pytest.raises(DataError, match=r"and gtFine/train/ under .*leftImg8bit$"):
        open_dataset("cityscapes", root / "leftImg8bit", "train")
    with pytest.raises(DataError, match=r"nowhere: no such folder; .* and gtCoarse/train/"):
        open_dataset("cityscapes-coarse", root / "nowhere", "train")
    with pytest.raises(
        DataError, match="cityscapes has the splits train, val, test; got 'train_ex"
    ):
        open_dataset("cityscapes", root, "train_extra")
    with pytest.raises(DataError, match="cityscapes-coarse has the splits train, train_extra, val"):
        open_dataset("cityscapes-coarse", root, "test")


def test_data_sets_join(root):
    fine = open_dataset("cityscapes", root, "train")
    extra = open_dataset("cityscapes-coarse", root, "train_extra")
    both = ConcatDataset([fine, extra])
    assert (both.name, both.split) == ("cityscapes+cityscapes-coarse", "train+train_extra")
    assert both.labels == CITYSCAPES
    assert len(both) == len(fine) + len(extra)
    members = [(d, i) for d in (fine, extra) for i in range(len(d))]
    for index, (dataset, own) in enumerate(members):
        assert both.sample_name(index) == dataset.sample_name(own)
        assert np.array_equal(both.read_image(index), dataset.read_image(own))
        assert np.array_equal(both.read_label(index), dataset.read_label(own))
        pairs = zip(both.read(index), dataset.read(own), strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs)
    for index in (-1, len(both)):
        with pytest.raises(IndexError):
            both.read(index)


def test_classes_in_another_order_are_joined_by_name(root, capsys):
    fine, coarse = (
        open_dataset("cityscapes", root, "train"),
        open_dataset("cityscapes-coarse", root, "train_extra"),
    )
    backwards = LabelSpace.make("backwards", 19, CITYSCAPES.names[::-1])
    turned = Relabelled(coarse, backwards, np.append(np.arange(19)[::-1], [255] * 237).astype("u1"))
    assert turned.state(0) != coarse.state(0)
    both = ConcatDataset([fine, turned])
    assert "split train_extra: classes matched by name" in capsys.readouterr().err
    assert np.array_equal(both.read_label(len(fine)), coarse.read_label(0))
    assert not np.array_equal(turned.read_label(0), coarse.read_label(0))


def test_a_joined_data_set_trains(root):
    both = ConcatDataset(
        [
            open_dataset("cityscapes", root, "train"),
            open_dataset("cityscapes-coarse", root, "train_extra"),
        ]
    )
    config = FastSCNNConfig.for_labels(both.labels, input_size=(32, 64))
    shown = list(batches(both, config, batch_size=4).as_numpy_iterator())
    assert [len(images) for images, _ in shown] == [4, 3]
    assert np.array_equal(shown[0][1][3], both.read_label(3))


def test_joining_needs_the_same_classes(root):
    fine, toy = open_dataset("cityscapes", root, "train"), ToyStreets("train")
    with pytest.raises(
        ConfigError,
        match=r"the 19 classes of cityscapes and the 9 of toy differ .* in both data sets$",
    ):
        ConcatDataset([fine, fine, toy])
    fewer = FileDataset("few", "train", LabelSpace.make("few", 18, CITYSCAPES.names[:18]), ())
    with pytest.raises(ConfigError, match="the 19 classes of cityscapes and the 18 of few differ"):
        ConcatDataset([fine, fewer])
    with pytest.raises(ConfigError, match="at least one data set"):
        ConcatDataset([])


def test_joining_goes_by_the_meaning_of_class_indices(root):
    """Other raw values and other colours change nothing about a class index."""
    extra = open_dataset("cityscapes-coarse", root, "train_extra")
    expected = open_dataset("cityscapes", root, "train").read_label(2)
    to_train_ids(root, keep=False)
    both = ConcatDataset([extra, open_dataset("cityscapes", root, "train")])
    assert np.array_equal(both.read_label(6), expected)


def test_instance_ids_lie_beside_label_maps(root):
    dataset = open_dataset("cityscapes", root, "train")
    assert dataset.read_instances(0) is None
    ids = np.array([[7, 24, 26003], [24000, 33012, 4]])
    for index, (values, dtype) in enumerate(((ids, np.uint16), (ids % 256, np.uint8))):
        path = label_path(root, "gtFine", "train", "aachen", index, "instanceIds")
        Image.fromarray(values.astype(dtype)).save(path)
        read = dataset.read_instances(index)
        assert read.dtype == np.int32
        assert np.array_equal(read, values)
    assert dataset.read_instances(2) is None
    extra = open_dataset("cityscapes-coarse", root, "train_extra")
    assert np.array_equal(ConcatDataset([extra, dataset]).read_instances(4), ids)
    to_train_ids(root, keep=False)
    assert np.array_equal(open_dataset("cityscapes", root, "train").read_instances(0), ids)


def test_coloured_instance_ids_are_refused(root):
    path = label_path(root, "gtFine", "train", coding="instanceIds")
    Image.new("RGB", SIZE[::-1]).save(path)
    with pytest.raises(DataError, match=r"instanceIds\.png: expected a grey PNG of instance ids"):
        open_dataset("cityscapes", root, "train").read_instances(0)


def test_incomplete_pairs_are_skipped_when_asked(root):
    label_path(root, "gtFine", "train").unlink()
    picture_path(root, "train", "zurich").unlink()
    dataset = open_dataset("cityscapes", root, "train", missing="skip")
    assert dataset.pairs == (
        (picture_path(root, "train", index=1), label_path(root, "gtFine", "train", index=1)),
    )
