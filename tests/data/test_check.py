"""Every kind of finding on real files, what training makes of them, and the sums behind weights."""

import json
import math
import os
import shutil
import struct
import warnings
import zlib

import numpy as np
import pytest
from miniature import MAKERS
from PIL import Image

import fastscnn_tf as fs
from fastscnn_tf.core.errors import ConfigError, DataError
from fastscnn_tf.data.check.findings import KINDS
from fastscnn_tf.data.check.usable import open_usable, usable
from fastscnn_tf.data.check.verdicts import Verdicts
from fastscnn_tf.data.datasets import toy_streets
from fastscnn_tf.data.datasets.registry import open_dataset


def png_header(width, height):
    """A valid start of a PNG of this size, without a pixel."""
    ihdr = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + ihdr + struct.pack(">I", zlib.crc32(ihdr))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT"


def cut(path, keep):
    path.write_bytes(path.read_bytes()[:keep])


def relabel(path, change):
    label = np.array(Image.open(path))
    change(label)
    Image.fromarray(label).save(path)


def no_label(root):
    (root / "train" / "labels" / "1.png").unlink()


def no_picture(root):
    (root / "train" / "images" / "1.jpg").unlink()


def cut_jpeg(root):
    cut(root / "train" / "images" / "1.jpg", 700)


def cut_png(root):
    cut(root / "train" / "labels" / "1.png", 200)


def no_picture_at_all(root):
    (root / "train" / "images" / "1.jpg").write_text("später")


def empty_file(root):
    (root / "train" / "labels" / "1.png").write_bytes(b"")


def bomb(root):
    (root / "train" / "images" / "1.jpg").write_bytes(png_header(60000, 60000))


def label_bomb(root):
    (root / "train" / "labels" / "1.png").write_bytes(png_header(12000, 12000))


def other_size(root):
    path = root / "train" / "labels" / "1.png"
    Image.open(path).crop((0, 0, 150, 96)).save(path)


def foreign_values(root):
    def change(label):
        label[0, :7] = 99

    relabel(root / "train" / "labels" / "1.png", change)


def colour_label(root):
    path = root / "train" / "labels" / "1.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 160, 3), np.uint8)).save(path)


def class_colours(root):
    path = root / "train" / "labels" / "1.png"
    label, _ = np.mgrid[:96, :160]
    Image.fromarray(np.stack([label // 20 * 30, label * 0, label * 0], 2).astype(np.uint8)).save(
        path
    )


def palette_label(root):
    path = root / "train" / "labels" / "1.png"
    foreign_values(root)
    image = Image.open(path)
    image.putpalette(np.random.default_rng(0).integers(0, 255, 768, np.uint8).tobytes())
    image.save(path)


def void_label(root):
    def change(label):
        label[:] = 0

    relabel(root / "train" / "labels" / "1.png", change)


def leaked(root):
    """An image of train as PNG in val: other bytes, the same content."""
    Image.open(root / "train" / "images" / "0.jpg").save(root / "val" / "images" / "5.png")
    (root / "val" / "images" / "5.jpg").unlink()


BAD = {
    no_label: ("missing-label", "images/1.jpg", "no label map"),
    no_picture: ("missing-image", "labels/1.png", "no image"),
    cut_jpeg: ("unreadable", "images/1.jpg", "not a readable image (image file is truncated"),
    cut_png: ("unreadable", "labels/1.png", "not a readable image (image file is truncated"),
    no_picture_at_all: ("unreadable", "images/1.jpg", "not a readable image (cannot identify"),
    empty_file: ("unreadable", "labels/1.png", "not a readable image (cannot identify"),
    bomb: ("decompression-bomb", "images/1.jpg", "refused, Image size (3600000000 pixels)"),
    label_bomb: ("decompression-bomb", "labels/1.png", "refused, Image size (144000000 pixels)"),
    other_size: ("size-mismatch", "images/1.jpg", "image is 96x160 but its label map is 96x150"),
    foreign_values: ("label-values", "labels/1.png", "unknown label value 99 (7 pixels)"),
    class_colours: ("label-colors", "labels/1.png", "got a colour image (mode RGB)"),
    palette_label: ("label-values", "labels/1.png", "unknown label value 99"),
    colour_label: ("label-like-image", "labels/1.png", "; it looks like a photograph"),
}
HARMLESS = {
    void_label: ("all-void", "train/labels/1.png", "the whole label map is void"),
    leaked: ("duplicate-across-splits", "val/images/5.png", "of split train"),
}


@pytest.mark.parametrize("spoil", [*BAD, *HARMLESS], ids=lambda f: f.__name__)
def test_one_finding_of_each_kind(own_data, spoil):
    spoil(own_data)
    report = fs.check_dataset("folder", own_data)
    kind, path, message = {**BAD, **HARMLESS}[spoil]
    assert report.totals == {**dict.fromkeys(KINDS, 0), kind: 1}
    (finding,) = report.findings
    assert finding.path.endswith(path)
    assert finding.path.startswith(str(own_data))
    assert message in finding.message
    assert finding.split == ("val" if spoil is leaked else "train")
    train = report.splits[0]
    assert (train.split, train.usable) == ("train", 3 if spoil in BAD else 4)


def test_nothing_is_wrong(own_data):
    report = fs.check_dataset("folder", own_data, workers=1)
    assert report.findings == report.warnings == ()
    (note,) = report.notes
    assert note.startswith("train: 4 pairs are 1 step an epoch")
    assert [(s.split, s.pairs, s.usable) for s in report.splits] == [("train", 4, 4), ("val", 3, 3)]
    assert report.splits[0].sizes == {"96x160": 4}
    assert sum(report.splits[0].pixels) + report.splits[0].void == 4 * 96 * 160
    assert report.text().endswith("nothing is wrong")


def test_everything_at_once_is_counted(own_data):
    cut_jpeg(own_data)
    cut(own_data / "train" / "labels" / "1.png", 100)  # both files of one pair
    no_label_of = own_data / "train" / "labels" / "2.png"
    no_label_of.unlink()
    for name in ("8", "9"):  # twice within val, and both of them in train
        shutil.copy(own_data / "train" / "images" / "0.jpg", own_data / f"val/images/{name}.jpg")
        shutil.copy(own_data / "train" / "labels" / "0.png", own_data / f"val/labels/{name}.png")
    report = fs.check_dataset("folder", own_data, ["val", "train"])
    found = {kind: n for kind, n in report.totals.items() if n}
    assert found == {"missing-label": 1, "unreadable": 2, "duplicate-across-splits": 1}
    assert [w.kind for w in report.warnings] == ["duplicate-within-split"]
    assert report.warnings[0].path.endswith("9.jpg")
    assert [s.usable for s in report.splits] == [5, 2]


def test_bombs_are_refused_in_every_thread(own_data, monkeypatch):
    """Python's warning filters, by which smaller bombs are refused, are not per thread."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20000)  # of which the others have 15360
    for i in range(100):
        Image.new("L", (160, 160), 20).save(own_data / "val" / "labels" / f"n{i}.png")
        Image.new("RGB", (160, 160), (i, 9, 9)).save(own_data / "val" / "images" / f"n{i}.jpg")
    before = warnings.filters[:]
    report = fs.check_dataset("folder", own_data, workers=8)
    assert report.totals["decompression-bomb"] == len(report.findings) == 200
    assert warnings.filters == before


def test_empty_and_unknown_splits(own_data):
    for kind in ("images", "labels"):
        (own_data / "test" / kind).mkdir(parents=True)
    with (own_data / "dataset.yaml").open("a") as file:
        file.write("  test: {images: test/images, labels: test/labels}\n")
    report = fs.check_dataset("folder", own_data)
    (finding,) = report.findings
    assert (finding.kind, finding.split) == ("empty-split", "test")
    assert [s.pairs for s in report.splits] == [4, 3, 0]
    with pytest.raises(DataError, match="no split 'dev'"):
        fs.check_dataset("folder", own_data, ["dev"])
    with pytest.raises(DataError, match="nowhere"):
        fs.check_dataset("folder", own_data / "nowhere")
    with pytest.raises(ConfigError, match="workers"):
        fs.check_dataset("folder", own_data, workers=0)


@pytest.fixture
def tiny(tmp_path):
    """Two maps of 2x4: class a in both, b in the second one alone, c never; one void pixel."""
    root = tmp_path / "tiny"
    for kind in ("images", "labels"):
        (root / kind).mkdir(parents=True)
    maps = [[[0, 0, 0, 0], [0, 0, 0, 255]], [[0, 0, 1, 1], [0, 1, 1, 1]]]
    for i, values in enumerate(maps):
        Image.fromarray(np.full((2, 4, 3), i * 9, np.uint8)).save(root / "images" / f"{i}.png")
        Image.fromarray(np.array(values, np.uint8)).save(root / "labels" / f"{i}.png")
    (root / "dataset.yaml").write_text(
        "classes: [a, b, c]\nsplits: {train: {images: images, labels: labels}}\n"
    )
    return root


def test_frequencies_and_weights_by_hand(tiny):
    report = fs.check_dataset("folder", tiny)
    values = report.to_dict()["splits"]["train"]
    assert (values["void_pixels"], values["void_share"]) == (1, 1 / 16)
    assert values["never"] == ["c"]
    # a: 7 + 3 of 15 pixels, in maps of 7 and 8; b: 5 of 15, in a map of 8.
    a, b, c = values["classes"].values()
    assert (a["pixels"], a["share"], a["label_maps"]) == (10, 10 / 15, 2)
    assert (b["pixels"], b["share"], b["label_maps"]) == (5, 5 / 15, 1)
    assert a["enet_weight"] == pytest.approx(1 / math.log(1.02 + 10 / 15))
    assert b["enet_weight"] == pytest.approx(1 / math.log(1.02 + 5 / 15))
    median = (10 / 15 + 5 / 8) / 2
    assert a["median_frequency_weight"] == pytest.approx(median / (10 / 15))
    assert b["median_frequency_weight"] == pytest.approx(median / (5 / 8))
    assert c == {
        "pixels": 0,
        "share": 0.0,
        "label_maps": 0,
        "enet_weight": None,
        "median_frequency_weight": None,
    }
    assert "never in train: c" in report.text()


def test_json_has_a_fixed_schema(own_data):
    cut_jpeg(own_data)
    values = fs.check_dataset("folder", own_data).to_dict()
    assert values == json.loads(json.dumps(values))
    assert set(values) == {
        *("schema", "dataset", "data_dir", "clean", "totals", "findings", "warnings", "notes"),
        "splits",
    }
    assert (values["schema"], values["clean"]) == (1, False)
    assert set(values["findings"][0]) == {
        *("kind", "split", "path", "message", "means", "mend"),
    }


def test_drawn_scenes_are_checked_without_files(monkeypatch):
    monkeypatch.setattr(toy_streets, "SPLITS", {"train": (0, 3), "val": (1, 2), "test": (2, 1)})
    report = fs.check_dataset("toy")
    assert report.findings == ()
    assert [s.pairs for s in report.splits] == [3, 2, 1]


def test_a_withheld_test_split_is_said_once(tmp_path):
    for split, value in (("train", 7), ("test", 3)):  # label ids: road, out of roi
        pictures = tmp_path / "leftImg8bit" / split / "köln"
        labels = tmp_path / "gtFine" / split / "köln"
        for folder in (pictures, labels):
            folder.mkdir(parents=True)
        for i in range(2):
            noise = np.random.default_rng((i, value)).integers(0, 256, (8, 16, 3), np.uint8)
            Image.fromarray(noise).save(pictures / f"{i}_leftImg8bit.png")
            flat = np.full((8, 16), value, np.uint8)
            Image.fromarray(flat).save(labels / f"{i}_gtFine_labelIds.png")
    report = fs.check_dataset("cityscapes", tmp_path)
    assert report.findings == ()
    note, _ = report.notes
    assert note.startswith("test: all 2 label maps are void")
    # In any other split the same maps are findings.
    shutil.rmtree(tmp_path / "gtFine" / "train")
    shutil.copytree(tmp_path / "gtFine" / "test", tmp_path / "gtFine" / "train")
    assert fs.check_dataset("cityscapes", tmp_path).totals["all-void"] == 2


@pytest.mark.parametrize("name", MAKERS)
def test_every_published_data_set_is_walked(tmp_path, name):
    tree, root = MAKERS[name](), tmp_path / "Länder"
    tree.write(root)
    report = fs.check_dataset(name, root)
    assert report.findings == report.warnings == ()
    assert {s.split: s.usable for s in report.splits} == {s: len(p) for s, p in tree.files.items()}
    counts = np.bincount(tree.expected.ravel(), minlength=256) * len(tree.files["val"])
    val = next(s for s in report.splits if s.split == "val")
    assert (list(val.pixels), val.void) == (counts[: len(report.labels)].tolist(), counts[255])
    (root / tree.files["val"][0][0]).write_bytes(b"")
    assert fs.check_dataset(name, root, ["val"]).totals["unreadable"] == 1


def test_real_camvid_is_clean(camvid_dir):
    report = fs.check_dataset("camvid", camvid_dir)
    assert report.totals == dict.fromkeys(KINDS, 0)
    assert [(s.split, s.usable) for s in report.splits] == [("train", 367), ("val", 101)]
    # Counted by hand from the label PNGs: road and building are the most frequent.
    train = dict(zip(report.labels.names, report.splits[0].shares, strict=True))
    assert max(train, key=train.__getitem__) == "Road"


# --- what training and fine-tuning do with it -------------------------------------------------


@pytest.mark.parametrize("spoil", BAD, ids=lambda f: f.__name__)
def test_a_bad_pair_is_an_error_or_is_left_out(own_data, capsys, spoil):
    spoil(own_data)
    _, path, message = BAD[spoil]
    with pytest.raises(DataError) as error:
        open_usable("folder", own_data, "train")
    text = str(error.value)
    assert text.startswith(f"{own_data / 'train' / path}: ")
    assert message in text
    assert "(1 of 4 pairs cannot be used; see fastscnn data check, or leave them out with" in text
    data = open_usable("folder", own_data, "train", skip_bad=True)
    assert [os.path.basename(data.sample_name(i)) for i in range(len(data))] == [  # noqa: PTH119
        "0.jpg",
        "2.jpg",
        "3.jpg",
    ]
    assert data.read(2)[0].shape == (96, 160, 3)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("fastscnn: skipped 1 of 4 pairs that cannot be used (first: ")
    assert captured.err.count("\n") == 1
    again = open_usable("folder", own_data, "train", skip_bad=True)
    assert [again.files(i) for i in range(3)] == [data.files(i) for i in range(3)]


def test_void_label_maps_stay_with_a_warning_unless_all_are(own_data, capsys):
    void_label(own_data)
    for _ in range(2):  # remembered ones are said again
        assert len(open_usable("folder", own_data, "train")) == 4
        err = capsys.readouterr().err
        assert err.startswith("fastscnn: 1 of 4 label maps of split 'train' are void everywhere")
    for path in (own_data / "train" / "labels").iterdir():
        Image.new("L", (160, 96)).save(path)
    for skip_bad in (False, True):
        with pytest.raises(DataError, match="every label map of split 'train' is void"):
            open_usable("folder", own_data, "train", skip_bad=skip_bad)


def test_none_left_is_an_error(own_data):
    for path in (own_data / "val" / "images").iterdir():
        cut(path, 50)
    with pytest.raises(DataError, match=r"none of the 3 pairs can be used \(first: .*4\.jpg"):
        open_usable("folder", own_data, "val", skip_bad=True)


def test_drawn_and_clean_data_are_given_as_they_are(own_data, capsys):
    for data in (open_dataset("toy", None, "val"), open_dataset("folder", own_data, "val")):
        assert usable(data) is data
    assert capsys.readouterr().err == ""


def test_only_changed_pairs_are_read_again(own_data):
    def read_by(call):
        seen = []
        call(lambda items: (seen.append(i) or i for i in items))
        return len(seen)

    def check(progress):
        open_usable("folder", own_data, "train", progress=progress)

    assert read_by(check) == 4
    assert read_by(check) == 0
    relabel(own_data / "train" / "labels" / "2.png", lambda label: label.fill(21))
    assert read_by(check) == 1
    # Other meanings of the same values: everything is read again.
    description = own_data / "dataset.yaml"
    description.write_text(description.read_text().replace("void: [0]", "void: [1]"))
    assert read_by(check) == 4


def test_a_cache_that_cannot_be_used_is_no_error(own_data, tmp_path, monkeypatch):
    blocker = tmp_path / "file"
    blocker.write_text("")
    monkeypatch.setenv("FASTSCNN_CACHE", str(blocker))
    assert len(open_usable("folder", own_data, "train")) == 4
    monkeypatch.setenv("FASTSCNN_CACHE", str(tmp_path / "größe"))
    open_usable("folder", own_data, "train")
    (path,) = (tmp_path / "größe" / "checked").iterdir()
    for damage in ("[", "[1]", '{"a": "b"}'):
        path.write_text(damage)
        assert Verdicts(open_dataset("folder", own_data, "train")).classes(0) is None
        assert len(open_usable("folder", own_data, "train")) == 4
    assert len(json.loads(path.read_text())) == 4
