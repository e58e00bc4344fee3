"""What `dataset.yaml` can say: each key with files that need it, and files that are told apart."""

import dataclasses
import json
import os
import re
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastscnn_tf.core.errors import DataError
from fastscnn_tf.core.images.image_file import read_label
from fastscnn_tf.core.labels import CAMVID32, LabelSpace
from fastscnn_tf.data.check.usable import Subset, find_missing, usable
from fastscnn_tf.data.check.verdicts import Verdicts
from fastscnn_tf.data.datasets.description import _DescriptionFile, read_description
from fastscnn_tf.data.datasets.registry import find_pairs, find_splits, open_dataset
from fastscnn_tf.data.records.packing import pack

LABEL = np.array([[0, 0, 1, 2], [0, 1, 1, 2], [2, 2, 2, 2]], np.uint8)
RGB = {"sky": (70, 130, 180), "road": (128, 64, 128), "car": (0, 0, 142)}
CLASSES = "classes: [sky, road, car]\n"
COLORED = "classes: " + json.dumps([{"name": n, "color": c} for n, c in RGB.items()]) + "\n"
FOLDERS = "splits: {train: {images: i, labels: l}}\n"
COLORS = np.array(list(RGB.values()), np.uint8)


def put(path: Path, pixels: np.ndarray | Image.Image, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, **options)
    return path


def put_pair(root: Path, image: str, label: str, values: np.ndarray | Image.Image = LABEL) -> None:
    pixels = np.random.default_rng(len(image)).integers(0, 256, (*LABEL.shape, 3), np.uint8)
    put(root / image, pixels)
    put(root / label, values)


def describe(root: Path, text: str) -> Path:
    root.mkdir(exist_ok=True)
    (root / "dataset.yaml").write_text(text, encoding="utf-8")
    return root


def names(root: Path, split: str = "train") -> list[tuple[str, str]]:
    pairs = find_pairs("folder", root, split).pairs
    return [tuple(path.relative_to(root).as_posix() for path in pair) for pair in pairs]


def labels(root: Path, split: str = "train", index: int = 0) -> np.ndarray:
    return open_dataset("folder", root, split).read(index)[1]


def case(name: str, tmp_path: Path) -> Path:
    place = os.environ.get("FASTSCNN_CASES")
    if not place:
        pytest.skip("FASTSCNN_CASES is not set: no inputs that went wrong here")
    shutil.copytree(Path(place) / name, tmp_path / "case", copy_function=shutil.copyfile)
    (tmp_path / "case").chmod(0o755)
    return tmp_path / "case"


# Values and colours


def test_255_may_be_a_class(tmp_path):
    root = describe(tmp_path, "classes: [{name: a, value: 0}, {name: b, value: 255}]\n" + FOLDERS)
    put_pair(root, "i/a.jpg", "l/a.png", np.where(LABEL == 1, 255, 0).astype(np.uint8))
    assert np.array_equal(labels(root), LABEL == 1)
    put(root / "l/a.png", LABEL)
    with pytest.raises(DataError, match=r"unknown label value 1 \(3 pixels\).*known are 0, 255"):
        labels(root)


def test_a_class_may_have_several_values(tmp_path):
    text = "classes: [{name: free, value: [0, 2, 255]}, {name: other, value: [1, 9]}]\nvoid: [7]\n"
    root = describe(tmp_path, text + FOLDERS)
    values = np.where(LABEL == 2, 255, LABEL).astype(np.uint8)
    values[0, 0], values[0, 1] = 7, 9
    put_pair(root, "i/a.jpg", "l/a.png", values)
    expected = (LABEL == 1).astype(np.uint8)
    expected[0, 0], expected[0, 1] = 255, 1
    assert np.array_equal(labels(root), expected)
    space = open_dataset("folder", root, "train").labels
    assert space.values_of_classes() == ((0, 2, 255), (1, 9))


@pytest.mark.parametrize("text", ["[sky, road, car]", "{0: sky, 1: road, 2: car}"])
def test_classes_as_list_and_with_their_indices(tmp_path, text):
    root = describe(tmp_path, f"classes: {text}\n{FOLDERS}")
    put_pair(root, "i/a.jpg", "l/a.png")
    assert open_dataset("folder", root, "train").labels.names == ("sky", "road", "car")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
@pytest.mark.parametrize("ending", ["png", "tif", "bmp"])
def test_colours_say_the_class(tmp_path, mode, ending):
    root = describe(tmp_path, COLORED + "encoding: color\nvoid: [[0, 0, 0]]\n" + FOLDERS)
    pixels = COLORS[LABEL]
    pixels[0, 0] = 0
    image = Image.fromarray(pixels)
    image = image.quantize(colors=4) if mode == "P" else image.convert(mode)
    put_pair(root, "i/a.jpg", f"l/a.{ending}", image)
    expected = LABEL.copy()
    expected[0, 0] = 255
    assert np.array_equal(labels(root), expected)


def test_the_nearest_colour_within_the_tolerance(tmp_path):
    root = describe(tmp_path, COLORED + "encoding: color\ntolerance: 5\n" + FOLDERS)
    rng = np.random.default_rng(0)
    pixels = COLORS[LABEL].astype(int) + rng.integers(-5, 6, (*LABEL.shape, 3))
    put_pair(root, "i/a.jpg", "l/a.png", pixels.clip(0, 255).astype(np.uint8))
    assert np.array_equal(labels(root), LABEL)
    pixels[0, :2] = (10, 10, 148), (9, 10, 148)
    pixels[1, 0] = (9, 10, 148)
    put(root / "l/a.png", pixels.clip(0, 255).astype(np.uint8))
    with pytest.raises(DataError, match=r"\(9, 10, 148\) \(2 pixels\), \(10, 10, 148\) \(1 p.*3 p"):
        labels(root)


def test_of_two_colours_the_nearer_one(tmp_path):
    text = "classes: [{name: a, color: [0, 0, 0]}, {name: b, color: [20, 20, 20]}]\n"
    root = describe(tmp_path, f"{text}encoding: color\ntolerance: 30\n{FOLDERS}")
    put_pair(root, "i/a.jpg", "l/a.png", np.array([[[9, 9, 9], [11, 11, 11]]] * 3, np.uint8))
    put(root / "i/a.jpg", np.zeros((3, 2, 3), np.uint8))
    assert labels(root).tolist() == [[0, 1]] * 3


def test_a_class_may_have_several_colours(tmp_path):
    sky, road, car = map(list, RGB.values())
    text = f"classes: [{{name: a, color: [{sky}, {car}]}}, {{name: b, color: {road}}}]"
    root = describe(tmp_path, f"{text}\nencoding: color\n{FOLDERS}")
    put_pair(root, "i/a.jpg", "l/a.png", COLORS[LABEL])
    dataset = open_dataset("folder", root, "train")
    assert np.array_equal(dataset.read(0)[1], LABEL == 1)
    assert dataset.labels.colors == ((70, 130, 180), (128, 64, 128))


def test_grey_colours_of_grey_pictures(tmp_path):
    text = "classes: [{name: a, color: [0, 0, 0]}, {name: b, color: [255, 255, 255]}]\n"
    root = describe(tmp_path, f"{text}encoding: color\n{FOLDERS}")
    put_pair(root, "i/a.jpg", "l/a.png", np.where(LABEL == 1, 255, 0).astype(np.uint8))
    assert np.array_equal(labels(root), LABEL == 1)
    describe(root, COLORED + "encoding: color\n" + FOLDERS)
    with pytest.raises(DataError, match="expected a colour-coded label PNG, got one of mode L"):
        labels(root)


def test_the_palettes_colour_says_the_class(tmp_path):
    root = describe(tmp_path, COLORED + "encoding: palette-color\n" + FOLDERS)
    image = Image.fromarray(np.array([7, 3, 5], np.uint8)[LABEL])
    palette = np.full((256, 3), 99, np.uint8)
    palette[[7, 3, 5]] = COLORS
    image.putpalette(palette.tobytes())
    put_pair(root, "i/a.jpg", "l/a.png", image)
    assert np.array_equal(labels(root), LABEL)
    put(root / "l/a.png", COLORS[LABEL])
    with pytest.raises(DataError, match="expected a palette PNG, got an image of mode RGB"):
        labels(root)


def test_red_says_the_value(tmp_path):
    root = describe(tmp_path, CLASSES + "encoding: red\nvoid: [9]\n" + FOLDERS)
    pixels = np.random.default_rng(0).integers(0, 256, (*LABEL.shape, 4), np.uint8)
    pixels[..., 0] = LABEL
    pixels[0, 0, 0] = 9
    put_pair(root, "i/a.jpg", "l/a.png", pixels)
    expected = LABEL.copy()
    expected[0, 0] = 255
    assert np.array_equal(labels(root), expected)


# Samples of label maps

TABLE = LabelSpace("x", tuple("abcd"), ()).lookup_table()


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_samples_of_any_bits(tmp_path, bits):
    values = np.minimum(LABEL, min(1 << bits, 256) - 1)
    path = tmp_path / "a.png"
    path.write_bytes(grey_png(values, bits))
    assert np.array_equal(read_label(path, TABLE), values)


def grey_png(values: np.ndarray, bits: int) -> bytes:
    """A grey PNG of 1 to 16 bits, which Pillow does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        whole = kind + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    rows = []
    for row in values:
        text = "".join(f"{int(v):0{bits}b}" for v in row)
        text += "0" * (-len(text) % 8)
        rows.append(b"\0" + int(text, 2).to_bytes(len(text) // 8, "big"))
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, 0, 0, 0, 0)
    data = zlib.compress(b"".join(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_tiff_samples_of_few_bits(tmp_path, bits, order):
    values = np.tile(np.minimum(LABEL, (1 << bits) - 1), 2)
    digits = ["".join(f"{v:0{bits}b}" for v in row) for row in values]
    data = b"".join(int(row, 2).to_bytes(bits, "big") for row in digits)
    tags = {256: 8, 257: 3, 258: bits, 259: 1, 262: 1, 273: 122, 277: 1, 278: 3, 279: len(data)}
    entries = [struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in tags.items()]
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    head = mark + struct.pack(f"{order}IH", 8, len(tags))
    path = tmp_path / "a.tif"
    path.write_bytes(head + b"".join(entries) + bytes(4) + data)
    assert np.array_equal(read_label(path, TABLE), values)


@pytest.mark.parametrize("colors", [2, 4, 16])
def test_palette_indices_of_few_bits(tmp_path, colors):
    values = np.minimum(LABEL, colors - 1)
    image = Image.fromarray(values)
    image.putpalette(list(range(9, 9 + 3 * colors)))
    path = put(tmp_path / "a.png", image, bits=colors.bit_length() - 1)
    assert path.read_bytes()[24] == colors.bit_length() - 1
    assert np.array_equal(read_label(path, TABLE), values)


def test_grey_with_opaque_alpha(tmp_path):
    image = Image.fromarray(np.stack([LABEL, np.full_like(LABEL, 255)], 2), "LA")
    assert np.array_equal(read_label(put(tmp_path / "a.png", image), TABLE), LABEL)
    image = Image.fromarray(np.stack([LABEL, LABEL + 253], 2), "LA")
    with pytest.raises(DataError, match="6 pixels of the label map are transparent"):
        read_label(put(tmp_path / "a.png", image), TABLE)


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_wide_samples_that_fit(tmp_path, kind):
    path = put(tmp_path / "a.tif", LABEL.astype(kind))
    assert np.array_equal(read_label(path, TABLE), LABEL)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (np.uint16, 258, "label value 258 is none of 0 to 255"),
        (np.int32, -1, r"label value -1 is none of 0 to 255 \(1 pixels are none\)"),
        (np.float32, 0.5, "label value 0.5"),
        (np.float32, np.nan, "label value nan"),
    ],
)
def test_wide_samples_that_do_not_fit(tmp_path, kind, value, message):
    wide = LABEL.astype(kind)
    wide[0, 0] = value
    with pytest.raises(DataError, match=message):
        read_label(put(tmp_path / "a.tif", wide), TABLE)


@pytest.mark.parametrize(
    ("ending", "options"),
    [("jpg", {}), ("webp", {}), ("tif", {"compression": "jpeg"})],
)
def test_lossy_label_maps_are_refused_with_the_reason(tmp_path, ending, options):
    path = put(tmp_path / f"a.{ending}", Image.fromarray(LABEL), **options)
    named = path.rename(tmp_path / "a.png")
    with pytest.raises(DataError, match="JPEG and its like change values at every border"):
        read_label(named, TABLE)


def test_lossy_label_maps_are_named_where_png_is_expected(tmp_path):
    root = describe(tmp_path, CLASSES + FOLDERS)
    put_pair(root, "i/a.jpg", "l/a.jpg")
    with pytest.raises(DataError, match=r"l.a\.jpg: a label map as JPG: .*export the label maps"):
        find_pairs("folder", root, "train")


# Which files belong together


@pytest.mark.parametrize(("image", "label"), [("a.JPG", "a_Mask.PNG"), ("a.jpg", "a_mask.tif")])
def test_suffix(tmp_path, image, label):
    root = describe(tmp_path, CLASSES + "label_suffix: _mask\n" + FOLDERS)
    put_pair(root, f"i/{image}", f"l/{label}")
    assert names(root) == [(f"i/{image}", f"l/{label}")]


def test_extensions(tmp_path):
    root = describe(tmp_path, CLASSES + "label_extensions: [.BMP, tif]\n" + FOLDERS)
    for name, ending in (("a", "bmp"), ("b", "TIF")):
        put_pair(root, f"i/{name}.jpg", f"l/{name}.{ending}")
        put(root / f"l/{name}.png", COLORS[LABEL])
    assert names(root) == [("i/a.jpg", "l/a.bmp"), ("i/b.jpg", "l/b.TIF")]
    describe(root, CLASSES + FOLDERS)
    put(root / "l/b.png", LABEL)
    (root / "l/a.png").unlink()
    assert names(root) == [("i/a.jpg", "l/a.bmp"), ("i/b.jpg", "l/b.png")]
    assert find_missing("folder", root, "train") == []
    describe(root, CLASSES + "label_extensions: [.BMP, tif]\n" + FOLDERS)
    put(root / "l/a.tif", LABEL)
    with pytest.raises(DataError, match=r"a\.tif: a\.bmp has the same name: which is the label"):
        names(root)


def test_a_label_map_is_never_its_own_picture(tmp_path):
    root = describe(tmp_path, CLASSES + "splits: {train: {images: d, labels: ./x/../d}}\n")
    (root / "x").mkdir()
    put_pair(root, "d/a.jpg", "d/a.png")
    assert names(root) == [("d/a.jpg", "x/../d/a.png")]
    put_pair(root, "d/b.png", "d/b_m.png")
    describe(root, CLASSES + "label_suffix: _m\nsplits: {train: {images: d}}\n")
    assert names(root) == [("d/b.png", "d/b_m.png")]
    found = find_pairs("folder", root, "train")
    assert {path.name for path in found.without_label} == {"a.jpg", "a.png"}


def test_label_maps_below_the_pictures(tmp_path):
    text = "recursive: true\nsplits: {train: {images: ., labels: labels}}\n"
    root = describe(tmp_path, CLASSES + text)
    put_pair(root, "s/a.png", "labels/s/a.png")
    assert names(root) == [("s/a.png", "labels/s/a.png")]


def test_pictures_that_all_look_like_label_maps(tmp_path):
    root = describe(tmp_path, CLASSES + "splits: {train: {images: d, labels: d}}\n")
    put_pair(root, "d/a.png", "d/a_mask.png")
    with pytest.raises(DataError, match=r"all 2 files are label maps; `label_suffix`"):
        names(root)


def test_recursive_keeps_folders_apart(tmp_path):
    root = describe(tmp_path, CLASSES + FOLDERS)
    for folder in ("s1", "s2"):
        put_pair(root, f"i/{folder}/000.jpg", f"l/{folder}/000.png")
    with pytest.raises(DataError, match=r"no images in this split .*with `recursive: true`"):
        names(root)
    describe(root, CLASSES + "recursive: true\n" + FOLDERS)
    assert names(root) == [(f"i/{s}/000.jpg", f"l/{s}/000.png") for s in ("s1", "s2")]


def test_exclude_takes_the_partner_along(tmp_path):
    root = describe(
        tmp_path, CLASSES + "recursive: true\nexclude: ['*_bad.jpg', 'old/*']\n" + FOLDERS
    )
    for name in ("a", "b_bad", "old/c", "s/d"):
        put_pair(root, f"i/{name}.jpg", f"l/{name}.png")
    assert [image for image, _ in names(root)] == ["i/a.jpg", "i/s/d.jpg"]
    assert find_missing("folder", root, "train") == []


def test_lists(tmp_path):
    text = "images: i\nlabels: l\nsplits: {train: {list: train.txt}, val: {list: lists/val.txt}}\n"
    root = describe(tmp_path, CLASSES + text)
    for name in ("a 1", "b", "s/c", "图 d", "e"):
        put_pair(root, f"i/{name}.jpg", f"l/{name}.png")
    (root / "train.txt").write_text("\ufeffs/c\n\ni/b.jpg\na 1.jpg\r\n", encoding="utf-8")
    (root / "lists").mkdir()
    (root / "lists/val.txt").write_text("图 d.jpg l/b.png\ne.jpg,e.png\n", encoding="utf-8")
    assert [image for image, _ in names(root)] == ["i/s/c.jpg", "i/b.jpg", "i/a 1.jpg"]
    assert names(root, "val") == [("i/图 d.jpg", "l/b.png"), ("i/e.jpg", "l/e.png")]
    assert find_missing("folder", root, "train") == []
    (root / "l/b.png").unlink()
    assert [str(p.path) for p in find_missing("folder", root, "train")] == [str(root / "i/b.jpg")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("z.jpg", "train.txt: line 2: no such image: 'z.jpg'"),
        ("a.jpg z.png", "train.txt: line 2: no such label map: 'z.png'"),
        ("x", "line 2: 'x' may be x.bmp or x.jpg"),
        ("l/a.png", "a.png is its own label map"),
        ("../" * 50 + "etc/passwd", "no such image"),
        ("\0", "no such image"),
        ("a" * 5000, "no such image"),
    ],
)
def test_wrong_lists(tmp_path, line, message):
    root = describe(
        tmp_path, CLASSES + "images: i\nlabels: l\nsplits: {train: {list: train.txt}}\n"
    )
    put_pair(root, "i/a.jpg", "l/a.png")
    put_pair(root, "i/x.jpg", "i/x.bmp")
    (root / "train.txt").write_text(f"a.jpg\n{line}\n")
    if line.startswith("l/"):
        describe(root, CLASSES + "images: l\nlabels: l\nsplits: {train: {list: train.txt}}\n")
        (root / "train.txt").write_text("a.png\n")
    with pytest.raises(DataError, match=message):
        names(root)


def test_lists_of_whole_paths(tmp_path):
    """As other programs write them: absolute, or with both columns and no folders at all."""
    text = "images: i\nlabels: l\nsplits: {train: {list: train.txt}}\n"
    root = describe(tmp_path, CLASSES + text)
    put_pair(root, "i/s/a.jpg", "l/s/a.png")
    put_pair(root, "o/b.jpg", "o/b.png")
    (root / "train.txt").write_text(f"{root}/l/../i/s/a.jpg\n")
    assert names(root) == [("i/s/a.jpg", "l/s/a.png")]
    (root / "train.txt").write_text("o/b.jpg\n")
    with pytest.raises(DataError, match=r"no label map for .*b\.jpg, and it is not below"):
        names(root)
    describe(root, CLASSES + "splits: {train: {list: train.txt}}\n")
    with pytest.raises(DataError, match=r"no label map for .*b\.jpg, and `labels` is missing"):
        names(root)
    (root / "train.txt").write_text("o/b.jpg\to/b.png\n")
    assert names(root) == [("o/b.jpg", "o/b.png")]


SHARES = "images: i\nlabels: l\nsplit: {train: 0.6, val: 0.4}\n"


def test_shares_are_disjoint_stable_and_whole_groups(tmp_path):
    root = describe(tmp_path, CLASSES + SHARES + "seed: 1\ngroup: '^(s\\d+)_'\n")
    for sequence in range(8):
        for frame in range(3):
            put_pair(root, f"i/s{sequence}_{frame}.jpg", f"l/s{sequence}_{frame}.png")
    train, val = set(names(root)), set(names(root, "val"))
    assert len(train) + len(val) == 24 and not train & val
    assert not {n[0][:4] for n in train} & {n[0][:4] for n in val}
    for sequence in range(50, 60):
        put_pair(root, f"i/s{sequence}_0.jpg", f"l/s{sequence}_0.png")
    assert train <= set(names(root)) and val <= set(names(root, "val"))
    assert find_splits("folder", root) == ("train", "val")
    put(root / "l/s1_9.png", LABEL)
    lost = [find_missing("folder", root, split) for split in ("train", "val")]
    assert [len(found) for found in lost] == [1, 0]
    describe(root, CLASSES + SHARES + "group: '^(\\d+)_'\n")
    with pytest.raises(DataError, match=r"does not match 's0_0\.jpg'"):
        names(root)


def test_names_as_unicode_composes_them(tmp_path):
    root = describe(tmp_path, CLASSES + FOLDERS)
    put_pair(root, "i/u\u0308.jpg", "l/\u00fc.png")
    assert len(names(root)) == 1


# What other parts make of it


def test_packed_records_say_the_same(tmp_path):
    texts = {
        "masks": "classes: [{name: a, value: [0, 2]}, {name: b, value: [255, 1]}]\n",
        "colors": COLORED + "encoding: color\nvoid: [[0, 0, 0]]\n",
        "red": CLASSES + "encoding: red\nvoid: [7]\n",
    }
    wide = np.where(LABEL == 1, 255, LABEL).astype(np.uint8)
    pixels = COLORS[LABEL]
    pixels[0, 0] = 0
    red = np.random.default_rng(0).integers(0, 256, (*LABEL.shape, 3), np.uint8)
    red[..., 0] = np.where(LABEL == 1, 7, LABEL)
    for (name, text), values in zip(texts.items(), (wide, pixels, red), strict=True):
        root = describe(tmp_path / name, text + FOLDERS)
        put_pair(root, "i/a.jpg", "l/a.png", values)
        dataset = open_dataset("folder", root, "train")
        pack([dataset], root / "records")
        packed = open_dataset("records", root / "records", "train")
        assert packed.labels == dataset.labels
        for one, other in zip(dataset.read(0), packed.read(0), strict=True):
            assert np.array_equal(one, other)


def test_another_meaning_is_read_again(tmp_path):
    """Verdicts and decoded pairs of one description are not taken for those of another."""
    root = describe(tmp_path, COLORED + "encoding: color\n" + FOLDERS)
    put_pair(root, "i/a.jpg", "l/a.png", COLORS[LABEL])
    dataset = open_dataset("folder", root, "train")
    usable(dataset)
    assert Verdicts(dataset).classes(0)
    describe(root, COLORED + "encoding: color\ntolerance: 3\n" + FOLDERS)
    other = open_dataset("folder", root, "train")
    assert Verdicts(other).classes(0) is None
    assert other.state(0) != dataset.state(0) == Subset(dataset, [0]).state(0)
    assert dataclasses.replace(dataset, stored=dataset.labels).state(0) == dataset.state(0)


# Ultralytics' YAML

ULTRALYTICS = "path: d\ntrain: images/train\nval: images/val\nmasks_dir: masks\n"


def test_ultralytics_yaml_as_it_is(tmp_path):
    root = describe(tmp_path, ULTRALYTICS + "names: {0: sky, 1: road, 2: car}\nnc: 3\n")
    put_pair(root, "d/images/train/a.jpg", "d/masks/train/a.png")
    put_pair(root, "d/images/train/s/b.jpg", "d/masks/train/s/b.tif")
    put_pair(root, "d/images/val/c.jpg", "d/masks/val/c.png")
    assert find_splits("folder", root) == ("train", "val")
    assert names(root) == [
        ("d/images/train/a.jpg", "d/masks/train/a.png"),
        ("d/images/train/s/b.jpg", "d/masks/train/s/b.tif"),
    ]
    assert np.array_equal(labels(root, "val"), LABEL)
    (root / "d/masks/train/a.png").unlink()
    found = find_pairs("folder", root, "train")
    assert found.without_label == (root / "d/images/train/a.jpg",)
    assert found.missing == (root / "d/masks/train/a.png",)


def test_ultralytics_label_mapping_and_one_class(tmp_path):
    mapping = "label_mapping: {-1: ignore_label, 7: 0, 8: 1, 0: ignore_label, 1: 255}\n"
    root = describe(tmp_path, ULTRALYTICS + "names: [sky, road]\n" + mapping)
    values = np.array([[7, 8, 0, 1, 255]], np.uint8)
    put_pair(root, "d/images/val/c.jpg", "d/masks/val/c.png", values)
    put(root / "d/images/val/c.jpg", np.zeros((1, 5, 3), np.uint8))
    assert labels(root, "val").tolist() == [[0, 1, 255, 255, 255]]
    describe(root, ULTRALYTICS + "names: [road]\n")
    put(root / "d/masks/val/c.png", np.array([[0, 1, 1, 255, 0]], np.uint8))
    dataset = open_dataset("folder", root, "val")
    assert dataset.labels.names == ("background", "road")
    assert dataset.read(0)[1].tolist() == [[0, 1, 1, 255, 0]]


def test_ultralytics_lists_and_moved_folders(tmp_path, capsys):
    text = (
        "path: /content/d\ntrain: train.txt\nval: [images/a, images/b]\nnames: [sky, road, car]\n"
    )
    root = describe(tmp_path, text)
    for name in ("a/1", "a/2", "b/3"):
        put_pair(root, f"images/{name}.jpg", f"masks/{name}.png")
    (root / "train.txt").write_text("./images/a/1.jpg\nimages/b/3.jpg\n")
    assert [image for image, _ in names(root)] == ["images/a/1.jpg", "images/b/3.jpg"]
    assert len(names(root, "val")) == 3
    said = capsys.readouterr().err
    assert said.count("there is no /content/d: its folders are taken from") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ULTRALYTICS + "names: [a, b]\nmask_dir: x\n", "unknown field mask_dir: .*'masks_dir'"),
        ("train: images\nnc: 2\n", "missing required field names"),
        ("train: images\nnames: [a, b]\n", "no masks_dir, so that its labels are polygons"),
        (ULTRALYTICS + "names: {0: on, 1: b}\n", "names: YAML takes yes, no, on"),
        (ULTRALYTICS + "names: [a, b]\nnc: 3\n", "nc: 3, but there are 2 names"),
        (ULTRALYTICS + "names: {1: a, 2: b}\n", "names: expected the indices 0 to 1"),
        (ULTRALYTICS + "names: [a, b]\nlabel_mapping: {3: 2}\n", "label_mapping.3: expected a cl"),
        (ULTRALYTICS.replace("masks\n", "images\n") + "names: [a, b]\n", "its own label map"),
        (ULTRALYTICS.replace("images/", "") + "names: [a, b]\n", "expected a folder `images` in"),
        (ULTRALYTICS.replace("path: d", "path: nowhere") + "names: [a, b]\n", "names it as `path`"),
    ],
)
def test_wrong_ultralytics_yaml(tmp_path, text, message):
    root = describe(tmp_path, text)
    put_pair(root, "d/train/a.jpg", "d/masks/a.png")
    put(root / "d/images/train/a.png", LABEL)
    with pytest.raises(DataError, match=message):
        names(root)


def test_what_the_page_shows_is_read(tmp_path):
    page = (Path(__file__).parents[2] / "docs/dataset-yaml.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 9
    (tmp_path / "masks").mkdir()
    for block in blocks:
        assert read_description(describe(tmp_path, block)).splits
    keys = set(re.findall(r"^(\w+):", "".join(blocks[:-1]), re.MULTILINE))
    named = {*keys, *re.findall(r"`(\w+)`", page)}
    assert set(_DescriptionFile.__struct_fields__) <= named


# Inputs of users, which went wrong


def test_masks_of_0_and_255(tmp_path):
    root = case("mask-0-255", tmp_path)
    text = (root / "dataset.yaml").read_text()
    describe(root, text.replace("road]", "{name: road, value: 255}]"))
    assert set(np.unique(labels(root))) == {0, 1}


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("many-values-one-class", 2),
        ("label-suffix-PNG", 3),
        ("grey-alpha-mask", 3),
        ("pictures-and-labels-in-one-folder", 3),
    ],
)
def test_cases_as_they_are(tmp_path, name, classes):
    root = case(name, tmp_path)
    for split, count in (("train", 6), ("val", 3)):
        dataset = open_dataset("folder", root, split)
        assert len(dataset) == count and not find_missing("folder", root, split)
        for index in range(count):
            assert set(np.unique(dataset.read(index)[1])) == set(range(classes))


def test_kaggles_camvid(tmp_path):
    root = case("camvid-kaggle-layout", tmp_path)
    classes = [
        {"name": n, "color": c} for n, c in zip(CAMVID32.names, CAMVID32.colors, strict=True)
    ]
    splits = {s: {"images": s, "labels": f"{s}_labels"} for s in ("train", "val", "test")}
    text = {"classes": classes, "void": [[0, 0, 0]], "encoding": "color", "label_suffix": "_L"}
    describe(root, json.dumps({**text, "splits": splits}))
    for split in splits:
        dataset = open_dataset("folder", root, split)
        found = np.unique(np.stack([dataset.read(i)[1] for i in range(2)]))
        assert {CAMVID32.names[i] for i in found} == {"Sky", "Road", "Car"}


def test_chinese_names(tmp_path):
    root = case("cjk-names", tmp_path) / "中文 数据 集"
    assert len(open_dataset("folder", root, "train").pairs) == 6
