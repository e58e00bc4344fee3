import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastscnn_tf.core.errors import ConfigError, DataError
from fastscnn_tf.data.classification import (
    MARGIN,
    central_box,
    classification_batches,
    random_box,
    resized_part,
)
from fastscnn_tf.data.datasets.image_folders import ImageFolders
from fastscnn_tf.data.reader import named_data_errors

MEAN, STD = (120.0, 115.0, 100.0), (60.0, 58.0, 57.0)
SIZE = (28, 28)
COLORS = {"apfel grün": (30, 200, 40), "car": (200, 30, 40), "дом": (40, 60, 210)}


def draw(path, color, extent=(40, 60), seed=0):
    """An image in a colour with some noise."""
    noise = np.random.default_rng(seed).integers(-20, 21, (*extent, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((np.asarray(color) + noise).clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture
def root(tmp_path):
    """Three classes by colour: four images each in train, one to three in val."""
    for split, counts in (("train", (4, 4, 4)), ("val", (1, 2, 3))):
        for (name, color), count in zip(COLORS.items(), counts, strict=True):
            for i in range(count):
                suffix = (".png", ".JPEG", ".webp", ".bmp")[i]
                draw(tmp_path / split / name / f"bild {i} ü{suffix}", color, (40 + 7 * i, 60), i)
    return tmp_path


def stream(dataset, batch_size=4, seed=0, epochs=range(1), training=True):
    """All batches as numpy arrays."""
    data = classification_batches(
        dataset, SIZE, MEAN, STD, batch_size, seed=seed, epochs=epochs, training=training
    )
    with named_data_errors():
        return list(data.as_numpy_iterator())


def same(a, b):
    return len(a) == len(b) and all(
        np.array_equal(p, q) for x, y in zip(a, b, strict=True) for p, q in zip(x, y, strict=True)
    )


# --- folders ------------------------------------------------------------------------------------


def test_classes_and_pictures_come_sorted(root):
    train, val = ImageFolders(root), ImageFolders(root, "val")
    assert train.class_names == val.class_names == tuple(sorted(COLORS))
    assert (len(train), len(val)) == (12, 6)
    assert [val.read(i)[1] for i in range(6)] == [0, 1, 1, 2, 2, 2]
    names = [Path(train.sample_name(i)).relative_to(root / "train") for i in range(12)]
    assert names == sorted(names)
    for i in range(12):
        image, label = train.read(i)
        assert image.dtype == np.uint8
        assert image.shape[1:] == (60, 3)
        color = COLORS[Path(train.sample_name(i)).parent.name]
        assert np.abs(image.mean((0, 1)) - color).max() < 15
        assert train.class_names[label] == Path(train.sample_name(i)).parent.name


def test_nested_folders_count_and_hidden_files_do_not(root):
    draw(root / "train" / "car" / "old" / "very old" / "x.jpg", (200, 30, 40))
    for hidden in ("car/.x.jpg", "car/.cache/x.jpg", ".ipynb_checkpoints/x.jpg", "car/notes.txt"):
        path = root / "train" / hidden
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"no image")
    (root / "train" / "README.txt").touch()
    dataset = ImageFolders(root)
    assert len(dataset) == 13
    assert dataset.class_names == tuple(sorted(COLORS))
    names = [dataset.sample_name(i) for i in range(13)]
    assert sum("very old" in name for name in names) == 1
    assert len([dataset.read(i) for i in range(13)]) == 13


def empty(folder):
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: (root / "val" / "car").rename(root / "val" / "cat"),
         r"car: no such class folder, but train has that class \(1 of 3 are missing\)"),
        (lambda root: draw(root / "val" / "truck" / "x.png", (9, 9, 9)),
         r"truck: train has no such class \(1 of 4 are unknown\)"),
        (lambda root: empty(root / "val" / "car"), r"car: no images in this class \(\.jpg"),
        (lambda root: draw(root / "val" / "x.PNG", (9, 9, 9)),
         r"x\.PNG: lies in no class folder \(1 such\); expected <split>/<class>/"),
        (lambda root: (root / "val").rename(root / "validation"),
         "val: no such folder; expected <split>/<class>/"),
        (lambda root: (root / "train").rename(root / "training"),
         "train: no such folder; expected <split>/<class>/"),
        (lambda root: [(root / "train" / n).rename(root / n) for n in sorted(COLORS)[:2]],
         "train: expected at least 2 class folders, got 1"),
    ],
)  # fmt: skip
def test_wrong_folders_are_named(root, change, message):
    change(root)
    with pytest.raises(DataError, match=message):
        ImageFolders(root, "val")


def test_folders_need_no_tensorflow():
    code = (
        "import sys, fastscnn_tf.data.datasets.image_folders;"
        "sys.exit(' '.join({'tensorflow', 'keras'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --- parts of images --------------------------------------------------------------------------

EXTENTS = [(1, 1), (2, 3), (1, 5000), (5000, 1), (9, 400), (224, 224), (375, 500), (3000, 2000)]


@pytest.mark.parametrize("extent", EXTENTS)
@pytest.mark.parametrize("size", [(224, 224), (64, 128)])
def test_parts_lie_inside(extent, size):
    rng = np.random.default_rng(3)
    for box in [central_box(extent, size), *(random_box(extent, size, rng) for _ in range(200))]:
        left, top, right, bottom = box
        assert 0 <= left < right <= extent[1]
        assert 0 <= top < bottom <= extent[0]


def test_random_parts_have_the_area_and_aspect_asked_for():
    rng = np.random.default_rng(0)
    boxes = np.array([random_box((600, 600), (100, 200), rng) for _ in range(2000)])
    w, h = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    area, stretch = w * h / 600**2, w / h / 2
    assert np.all((area > 0.078) & (area <= 1))
    assert np.all((stretch > 0.74) & (stretch < 1.35))
    assert area.min() < 0.1
    assert stretch.min() < 0.77
    assert stretch.max() > 1.3
    centers = (boxes[:, 0] + boxes[:, 2]) / 2
    assert abs(centers.mean() - 300) < 10


def test_the_middle_is_that_of_resizing_and_cropping():
    """224 of 256, done literally."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 15, 3)).astype(np.uint8))
    picture = coarse.resize((450, 360), Image.Resampling.BICUBIC)
    whole = picture.resize((320, 256), Image.Resampling.BILINEAR)
    literal = np.asarray(whole.crop((48, 16, 48 + 224, 16 + 224)), np.int64)
    image = np.asarray(picture)
    shown = resized_part(image, central_box(image.shape[:2], (224, 224)), (224, 224))
    assert MARGIN * 224 == 256
    assert np.abs(shown - literal)[2:-2, 2:-2].max() <= 1  # the border does not see beyond the box


# --- batches ------------------------------------------------------------------------------------


def test_evaluation_gives_every_picture_in_order_and_normalised(root):
    dataset = ImageFolders(root, "val")
    data = stream(dataset, training=False)
    assert [(x.shape, x.dtype, y.dtype) for x, y in data] == [
        ((count, *SIZE, 3), np.float32, np.int32) for count in (4, 2)
    ]
    assert np.concatenate([y for _, y in data]).tolist() == [0, 1, 1, 2, 2, 2]
    for index, shown in enumerate(np.concatenate([x for x, _ in data])):
        image, _ = dataset.read(index)
        expected = resized_part(image, central_box(image.shape[:2], SIZE), SIZE)
        assert np.allclose(shown, (expected - np.array(MEAN)) / STD, atol=1e-5)
    assert same(data, stream(dataset, training=False, seed=7))


def test_training_shows_every_picture_once_per_epoch_in_whole_batches(root):
    data = stream(ImageFolders(root), 4, epochs=range(2))
    assert [x.shape for x, _ in data] == [(4, *SIZE, 3)] * 6
    for epoch in (data[:3], data[3:]):
        assert sorted(np.concatenate([y for _, y in epoch])) == [0] * 4 + [1] * 4 + [2] * 4
    assert len(stream(ImageFolders(root), 5, epochs=range(3))) == 6  # 2 of 12 left out


def test_training_values_are_those_of_the_class_in_changed_light(root):
    dataset = ImageFolders(root)
    low, high = ((np.array([v] * 3) - MEAN) / STD for v in (0, 255))
    means = []
    for images, labels in stream(dataset, epochs=range(4)):
        assert np.all((images >= low - 1e-5) & (images <= high + 1e-5))
        for image, label in zip(images, labels, strict=True):
            color = (image * STD + MEAN).mean((0, 1))
            means.append(color - COLORS[dataset.class_names[label]])
            assert color.argmax() == np.argmax(COLORS[dataset.class_names[label]])
    assert 5 < np.abs(means).max() < 45
    assert np.abs(np.mean(means)) < 6


def test_half_of_the_training_pictures_are_mirrored(tmp_path):
    ramp = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[None, :, None], 64, 0)
    for split, name, i in [("train", n, i) for n in "ab" for i in range(40)]:
        (tmp_path / split / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.repeat(ramp, 3, 2)).save(tmp_path / split / name / f"{i}.png")
    images = np.concatenate([x for x, _ in stream(ImageFolders(tmp_path), 8)])
    mirrored = images[:, :, 0].mean((1, 2)) > images[:, :, -1].mean((1, 2))
    assert 0.3 < mirrored.mean() < 0.7


def test_seed_and_epoch_decide_everything(root):
    dataset = ImageFolders(root)
    whole = stream(dataset, seed=5, epochs=range(4))
    assert same(whole, stream(dataset, seed=5, epochs=range(4)))
    assert same(whole[6:], stream(dataset, seed=5, epochs=range(2, 4)))
    assert not same(whole[:3], whole[3:6])
    assert not same(whole[:3], stream(dataset, seed=6))
    stream(dataset, seed=-1)


def test_the_number_of_steps_is_known_beforehand(root):
    for training, batches in ((True, 6), (False, 3)):
        data = classification_batches(
            ImageFolders(root), SIZE, MEAN, STD, 4, 0, range(2), training=training
        )
        assert int(data.cardinality()) == batches


@pytest.mark.parametrize("training", [True, False])
def test_pictures_as_people_have_them(root, training):
    odd = root / "train" / "car"
    rng = np.random.default_rng(0)
    plain = Image.fromarray(rng.integers(0, 256, (30, 20, 3)).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise to view
    plain.convert("L").save(odd / "grey.jpg")
    plain.convert("CMYK").save(odd / "cmyk.jpg")
    plain.convert("P").save(odd / "palette.png")
    plain.save(odd / "turned.jpg", exif=exif)
    plain.resize((1, 1)).save(odd / "one.png")
    plain.resize((3000, 2)).save(odd / "wide.png")
    plain.resize((2, 3000)).save(odd / "tall.png")
    (odd / "grey.jpg").rename(odd / "猫 🐈.jpg")
    plain.save(odd / "png_inside.jpeg", format="PNG")
    dataset = ImageFolders(root)
    data = stream(dataset, 1, training=training)
    assert len(data) == len(dataset) == 20
    assert all(np.isfinite(x).all() for x, _ in data)


def test_a_turned_picture_is_shown_upright(root):
    halves = np.zeros((60, 40, 3), np.uint8)
    halves[:, :20] = 255  # bright on the left; upright: bright above
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(halves).save(root / "val" / "car" / "a.jpg", exif=exif)
    dataset = ImageFolders(root, "val")
    index = [dataset.sample_name(i).endswith("a.jpg") for i in range(len(dataset))].index(True)
    image = np.concatenate([x for x, _ in stream(dataset, training=False)])[index]
    assert image[:10].mean() > image[-10:].mean() + 1


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", None])
def test_an_unreadable_picture_is_named(root, content, training):
    path = root / "train" / "car" / "kaputt.jpg"
    draw(path, (9, 9, 9))
    path.write_bytes(path.read_bytes()[:-200] if content is None else content)
    with pytest.raises(DataError, match=r"car.kaputt\.jpg: (not a readable image|an HTML page)"):
        stream(ImageFolders(root), 1, training=training)


def test_a_picture_that_went_away_is_named(root):
    dataset = ImageFolders(root, "val")
    Path(dataset.sample_name(2)).unlink()
    with pytest.raises(DataError, match="no such file"):
        stream(dataset, training=False)


def test_wrong_requests(root):
    dataset = ImageFolders(root, "val")
    with pytest.raises(ConfigError, match="batch size 7 is larger than the 6 images of split 'v"):
        stream(dataset, 7)
    assert len(stream(dataset, 7, training=False)) == 1
    with pytest.raises(ConfigError, match="at least 1, got 28x28 and 0"):
        stream(dataset, 0)
