"""Data as people hold them: arrays, lists, torch's and Hugging Face's; no TensorFlow here."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fastscnn_tf as fs
from fastscnn_tf.core.config import FastSCNNConfig
from fastscnn_tf.core.errors import ConfigError, DataError
from fastscnn_tf.core.labels import LabelSpace
from fastscnn_tf.data.datasets.objects import (
    StreamDataset,
    as_dataset,
    held_in_memory,
    image_batches,
    label_map,
)

SPACE = LabelSpace.make("model", 3, ("road", "car", "sky"))
CONFIG = FastSCNNConfig(num_classes=3, input_size=(64, 96))
NORM = CONFIG.mean, CONFIG.std
COUNT, SIZE = 4, (40, 56)


@pytest.fixture(scope="module")
def pairs():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (COUNT, *SIZE, 3), dtype=np.uint8)
    labels = rng.integers(0, 3, (COUNT, *SIZE), dtype=np.uint8)
    labels[:, :4] = 255
    return images, labels


@pytest.fixture(scope="module")
def files(pairs, tmp_path_factory):
    """Paths of the images and of their label maps."""
    root = tmp_path_factory.mktemp("files")
    for index, (image, label) in enumerate(zip(*pairs, strict=True)):
        Image.fromarray(image).save(root / f"{index}.png")
        Image.fromarray(label).save(root / f"{index}_label.png")
    return [[str(root / f"{i}{end}.png") for i in range(COUNT)] for end in ("", "_label")]


class Torchlike:
    """What torch's data sets are: a length and items."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


class Tensor:
    """What a tensor of torch is to us; it may need gradients."""

    def __init__(self, array):
        self.array, self.shape = array, array.shape

    def detach(self):
        return self

    def cpu(self):
        return self.array


def forms(pairs, files):
    """Name -> the same pairs in a form that people hold."""
    images, labels = pairs
    pictures = tuple([Image.fromarray(each) for each in part] for part in pairs)
    unit = np.float32(images / 255)
    chw = [Tensor(np.moveaxis(each, -1, 0)) for each in unit]
    whole = [Tensor(each.astype(np.int64)) for each in labels]
    normalised = CONFIG.normalised(images)
    rows = [{"image": a, "annotation": b} for a, b in zip(*pictures, strict=True)]
    return {
        "arrays": (images, labels),
        "lists of arrays": (list(images), list(labels)),
        "paths": tuple(files),
        "list of pairs of paths": list(zip(*files, strict=True)),
        "pictures": pictures,
        "floats 0..1": (unit, labels),
        "floats 0..255": (images.astype(np.float64), labels[..., None]),
        "normalised by the model": (normalised, labels),
        "columns": {"image": images, "label": labels},
        "channels first": (np.moveaxis(images, -1, 1), labels[:, None]),
        "torch's tensors": Torchlike(list(zip(chw, whole, strict=True))),
        "torch's images": Torchlike(list(zip(*pictures, strict=True))),
        "rows of datasets": Torchlike(rows),
        "undecoded rows": Torchlike(
            [{"image": {"path": a, "bytes": None}, "mask": b} for a, b in zip(*files, strict=True)]
        ),
        "splits": {"train": Torchlike([]), "validation": Torchlike(rows)},
        "void as -1": (images, np.where(labels == 255, -1, labels.astype(int))),
    }


FORMS = list(forms((np.zeros((1, 2, 2, 3), np.uint8), np.zeros((1, 2, 2), np.uint8)), ([""], [""])))
STREAMS = {
    "generator": lambda images, labels: zip(images, labels, strict=True),
    "batches": lambda images, labels: iter([(images[:3], labels[:3]), (images[3:], labels[3:])]),
    "indexed batches": lambda images, labels: Torchlike([(images, labels)]),
    "auxiliary heads": lambda images, labels: iter([(images, {"logits": labels})]),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_pairs(pairs, files, form):
    data = as_dataset(forms(pairs, files)[form], SPACE, split="val", normalisation=NORM)
    assert len(data) == COUNT
    assert data.labels.names == ("road", "car", "sky")
    for (image, label), expected_image, expected in zip(data, *pairs, strict=True):
        np.testing.assert_array_equal(image, expected_image)
        np.testing.assert_array_equal(label, expected)
        assert (image.dtype, label.dtype) == (np.uint8, np.uint8)


@pytest.mark.parametrize("form", STREAMS)
def test_what_is_gone_through_once(pairs, form):
    data = as_dataset(STREAMS[form](*pairs), SPACE)
    assert isinstance(data, StreamDataset)
    with pytest.raises(DataError, match="known at its end only"):
        len(data)
    assert "one after the other" in repr(data)
    held = held_in_memory(data, 1e9)
    assert len(held) == COUNT
    np.testing.assert_array_equal(held[3][0], pairs[0][3])
    np.testing.assert_array_equal(held[-1][1], pairs[1][3])
    with pytest.raises(DataError, match=r"[12] pairs of it fill"):
        held_in_memory(as_dataset(STREAMS[form](*pairs), SPACE), 10_000)


@pytest.mark.parametrize("form", FORMS)
def test_calibration_takes_images_alone(pairs, files, form):
    source = forms(pairs, files)[form]
    if form in ("normalised by the model",):
        with pytest.raises(DataError, match="images are 40x56, the network takes 64x96"):
            list(image_batches(source, CONFIG))
        return
    images = np.concatenate(list(image_batches(source, CONFIG, "val")))
    assert images.shape == (COUNT, 64, 96, 3)
    first = np.asarray(Image.fromarray(pairs[0][0]).resize((96, 64), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(images[0], CONFIG.normalised(first))


def test_calibration_without_label_maps(pairs, files):
    sources = [list(pairs[0]), files[0], pairs[0], iter(pairs[0]), [pairs[0][:2], pairs[0][2:]]]
    for source in [*sources, as_dataset(pairs, SPACE)]:
        assert sum(map(len, image_batches(source, CONFIG))) == COUNT
    ready = CONFIG.replace(input_size=(32, 32)).normalised(pairs[0][:, :32, :32])
    (found,) = image_batches([ready], CONFIG.replace(input_size=(32, 32)))
    np.testing.assert_array_equal(found, ready)


def test_what_is_guessed_is_said(pairs, capsys):
    images, labels = pairs
    as_dataset((np.float32(images / 255), labels), SPACE)
    err = capsys.readouterr().err
    assert "label values taken as the model's classes (0 road .. 2 sky)" in err
    assert "float images taken as 0..1" in err
    data = as_dataset((images, labels), SPACE, classes=["a", "b", "c"])
    assert capsys.readouterr().err == ""
    for drawn in (images // 128, list(np.int64(images // 128)), images * 0):
        as_dataset((drawn, labels), SPACE, classes=["a", "b", "c"])
        err = capsys.readouterr().err
        assert err.count("images hold 0 and 1 alone, taken as bytes 0..255") == bool(drawn[0].any())
        assert err.count("\n") == bool(drawn[0].any())
    assert data.labels.names == ("a", "b", "c")


@pytest.mark.parametrize("std", [1.0, 127.5, 255.0])
def test_our_own_images_are_not_guessed_about(std, capsys):
    """With a mean of 0 their floats would be 0..2, which might be dark bytes, or 0..1."""
    from fastscnn_tf.export.representative import training_images

    config = CONFIG.replace(mean=(0.0,) * 3, std=(std,) * 3)
    found = np.concatenate(list(image_batches(training_images(config, "toy", None, 2), config)))
    np.testing.assert_allclose(found.max() * std, 255, atol=30)
    assert capsys.readouterr().err == ""


def normalised_otherwise(images):
    return (images / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])


def test_what_cannot_be_told_is_refused(pairs):
    images, labels = pairs
    one_hot = np.eye(3, dtype=np.uint8)[np.minimum(labels, 2)]
    darker = [*(images[:1] / 255), images[1].astype(float)]
    refused = {
        r"uint16 values 0\.\.6\d+, expected 0..255: of 16 bits give \(image >> 8\)": (
            images.astype(np.uint16) * 257,
            labels,
        ),
        r"arrays\[0\]: values -.* are not normalised": (normalised_otherwise(images), labels),
        "normalised, but not from bytes": (CONFIG.normalised(images + 0.4), labels),
        r"got uint8 \(40, 56, 3\); of one-hot classes pass np.argmax": (images, one_hot),
        "are no class indices; ToTensor divides": (images, labels / 255),
        "unknown label value 3": (images, np.where(labels == 2, 3, labels)),
        "label value 300 is above 255": (images, np.where(labels == 2, 300, labels.astype(int))),
        "mode RGB holds colours": (images, [Image.new("RGB", SIZE[::-1])] * COUNT),
        "an image without a label map": images,
        "image is 40x56 but its label map is 20x56": (images, labels[:, ::2]),
    }
    for message, source in refused.items():
        with pytest.raises(DataError, match=message):
            as_dataset(source, SPACE, normalisation=NORM).read(0)
    with pytest.raises(DataError, match=r"\[1\]: float64 values .* 0..1 as the first image"):
        as_dataset((darker, labels[:2]), SPACE).read(1)
    for message, source in {
        "4 images but 3 label maps": (images, labels[:3]),
        "no column of images among x, y": [{"x": images[0], "y": labels[0]}],
        "no split 'val' and no images among a": {"a": images},
        "expected data, got 'camvid'": "camvid",
        r"may be a pair or several images: give \[\(image, label\)\]": ("a.jpg", Path("a.png")),
        "got int": 3,
        "NaN or infinity": (np.full((1, 8, 8, 3), np.nan), labels[:1]),
        r"got bool \(1, 8, 8, 3\)": (np.zeros((1, 8, 8, 3), bool), labels[:1]),
    }.items():
        with pytest.raises(DataError, match=message):
            as_dataset(source, SPACE, split="val")
    with pytest.raises(ConfigError, match="does not say which classes"):
        as_dataset(pairs, LabelSpace.make("model", 255))
    with pytest.raises(ConfigError, match="classes must be a list of names, got 'road'"):
        as_dataset(pairs, SPACE, classes="road")


def test_label_maps_of_other_kinds():
    table = SPACE.lookup_table()
    mask = np.eye(4, dtype=bool)
    np.testing.assert_array_equal(label_map(mask, table, "x"), mask)
    for mode in ("L", "1", "P", "I;16"):
        image = Image.fromarray(np.uint16(mask) if mode == "I;16" else np.uint8(mask))
        if mode == "P":
            image.putpalette([128, 64, 128, 0, 0, 142])
        if mode == "1":
            image = Image.fromarray(mask)
        assert image.mode == mode
        np.testing.assert_array_equal(label_map(image, table, "x"), mask)


def test_an_opened_data_set_is_a_sequence():
    data = fs.open_dataset("toy", split="val", size=(32, 64))
    image, label = data[1]
    np.testing.assert_array_equal(image, data.read_image(1))
    assert label.shape == (32, 64)
    part = data[2:8:3]
    assert len(part) == 2
    np.testing.assert_array_equal(part[-1][0], data[5][0])
    assert part.split == data.split
    with pytest.raises(IndexError):
        data[len(data)]
    assert sum(1 for _ in part) == 2
    names = ", ".join(data.labels.names[:4])
    assert repr(data) == f"<ToyStreets toy val: {len(data)} pairs, 9 classes ({names}, ...)>"
    assert as_dataset(data, SPACE) is data
    with pytest.raises(ConfigError, match="toy has its own classes"):
        as_dataset(data, SPACE, classes=["a", "b"])


def test_torch(pairs):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from torch.utils.data import DataLoader, TensorDataset

    images = torch.from_numpy(np.moveaxis(pairs[0], -1, 1) / np.float32(255))
    data = TensorDataset(images, torch.from_numpy(pairs[1]).long())
    single = as_dataset(data, SPACE)
    assert single.name == "torch TensorDataset"
    loaded = held_in_memory(as_dataset(DataLoader(data, batch_size=3), SPACE), 1e9)
    for found in (single, loaded):
        assert len(found) == COUNT
        for index in range(COUNT):
            np.testing.assert_array_equal(found[index][0], pairs[0][index])
            np.testing.assert_array_equal(found[index][1], pairs[1][index])


def test_hugging_face(pairs):
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    kinds = datasets.Features({"image": datasets.Image(), "annotation": datasets.Image()})
    columns = {
        name: [Image.fromarray(each) for each in part]
        for name, part in zip(kinds, pairs, strict=True)
    }
    data = datasets.Dataset.from_dict(columns, features=kinds)
    splits = datasets.DatasetDict({"train": data.select([0]), "validation": data})
    undecoded = data.cast_column("image", datasets.Image(decode=False))
    for source in (data, splits, undecoded):
        found = as_dataset(source, SPACE, split="val")
        assert len(found) == COUNT
        np.testing.assert_array_equal(found[2][0], pairs[0][2])
        np.testing.assert_array_equal(found[2][1], pairs[1][2])
    stream = held_in_memory(as_dataset(data.to_iterable_dataset(), SPACE), 1e9)
    np.testing.assert_array_equal(stream[3][1], pairs[1][3])


def test_calibration_reads_pictures_without_label_maps(pairs, files, tmp_path, capsys):
    from fastscnn_tf.export.representative import training_images

    for place in ("described/images", "plain/inner"):
        (tmp_path / place).mkdir(parents=True)
        for path in map(Path, files[0]):
            (tmp_path / place / path.name).write_bytes(path.read_bytes())
    (tmp_path / "described" / "dataset.yaml").write_text(  # other classes, no label maps
        "classes: [a, b, c, d, e]\nsplits: {train: {images: images, labels: labels}}\n"
    )
    expected = list(image_batches(files[0], CONFIG))
    for place in ("described", "plain"):
        found = list(
            image_batches(training_images(CONFIG, "folder", tmp_path / place, COUNT), CONFIG)
        )
        np.testing.assert_array_equal(found, expected)
        assert len(list(training_images(CONFIG, "folder", tmp_path / place, 2))) == 2
    (tmp_path / "plain" / "inner" / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"0\.png"):
        list(training_images(CONFIG, "folder", tmp_path / "plain", COUNT))
    rest = list(training_images(CONFIG, "folder", tmp_path / "plain", COUNT, skip_bad=True))
    np.testing.assert_array_equal(list(image_batches(rest, CONFIG)), expected[1:])
    assert "skipped 1 images that cannot be read" in capsys.readouterr().err
