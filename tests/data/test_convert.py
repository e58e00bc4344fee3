"""`convert_dataset` around the formats: splits, classes, names, outputs and what it says."""

import json
import re

import annotated
import numpy as np
import pytest
from annotated import MAKERS, SIZE, converted, picture
from PIL import Image

import fastscnn_tf as fs
from fastscnn_tf.core.errors import ConfigError, DataError, OutputError
from fastscnn_tf.core.images.decoding import open_image
from fastscnn_tf.core.images.pixels import orientation_of
from fastscnn_tf.data.convert.class_choice import choose
from fastscnn_tf.data.convert.item_splits import split_items
from fastscnn_tf.data.convert.source import ImageHeader, Item, Notes
from fastscnn_tf.data.convert.source_folder import split_named


def items(*names, **known):
    return [Item(name, name, known.get("split"), known.get("group")) for name in names]


def splits(names, fractions=None, group=None, seed=0):
    notes = Notes()
    found = split_items(items(*names), fractions, seed, group, notes)
    return {split: [item.name for item in each] for split, each in found.items()}, notes


# ----------------------------------------------------------------- splits


@pytest.mark.parametrize(
    "name",
    [
        "{s}_{n:06d}",
        "{s}/{n:04d}",
        "{s}-frame{n}",
        "run_2/{s}_{n:05d}_leftImg8bit",
        "{s}_{n:03d}_jpg.rf.{h}",
        "{s}_{n:03d}_{side}",
    ],
)
def test_frames_of_a_sequence_stay_together(name):
    sequences = ["berlin_1", "ulm_2", "köln_3", "0001TP_4x", "Seq05VD_f", "aachen_6x", "b7x", "c8x"]
    if "frame" in name:
        sequences = [each.replace("_", "") for each in sequences]
    names = [
        name.format(s=s, n=n, h=f"{17 * n + i:x}", side=("left", "right")[n % 2])
        for i, s in enumerate(sequences)
        for n in range(5 + i)
    ]
    found, notes = splits(names, (0.6, 0.2, 0.2))
    assert sorted(n for each in found.values() for n in each) == sorted(names)
    assert set(found) == {"train", "val", "test"}
    for sequence in sequences:
        owners = {split for split, each in found.items() if any(sequence in n for n in each)}
        assert len(owners) == 1, (sequence, found)
    assert len(found["train"]) >= len(names) * 0.4
    assert any(reason.endswith("8 groups stay whole") for reason in notes.counts)


def test_group_by_expression():
    names = [f"{camera}{day}/{i}x" for camera in "ab" for day in "123" for i in range(4)]
    found, notes = splits(names, (0.5, 0.5), group=r"([ab])\d/")
    assert {split: {n[0] for n in each} for split, each in found.items()} in (
        {"train": {"a"}, "val": {"b"}},
        {"train": {"b"}, "val": {"a"}},
    )
    with pytest.raises(DataError, match=r"does not match 'other' \(1 of 25 names"):
        splits([*names, "other"], (0.5, 0.5), group=r"[ab]\d/")
    with pytest.raises(ConfigError, match="not a regular expression"):
        splits(names, group="(")
    found, notes = splits(names, (0.5, 0.5), group="x")
    assert list(found) == ["train"] and "too few groups" in "\n".join(notes.counts)
    _, notes = splits(names, (0.5, 0.5), group=".*")
    assert "no sequences" not in "\n".join(notes.counts)
    assert "no two have one group" in "\n".join(notes.counts)
    with pytest.raises(ConfigError, match=r"expected shares such as .* got \{'train': 0\.5\}"):
        splits(names, {"train": 0.5})


def test_images_without_sequences_are_shuffled_by_the_seed():
    names = [f"{a}{b}.{a}" for a in "abcdefghij" for b in "klmnopqrst"]
    found, _ = splits(names)
    assert {split: len(each) for split, each in found.items()} == {
        "train": 80,
        "val": 10,
        "test": 10,
    }
    assert found == splits(names)[0]
    assert found != splits(names, seed=1)[0]


def test_one_sequence_is_cut_not_shuffled():
    found, notes = splits([f"IMG_{i}" for i in range(1, 21)], (0.8, 0.2))
    assert found["val"] == [f"IMG_{i}" for i in range(17, 21)]
    assert any("neighbours meet only at the cuts" in reason for reason in notes.counts)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_few_images(count):
    found, notes = splits([f"{'abcde'[i]}x" for i in range(count)])
    assert sum(map(len, found.values())) == count
    assert len(found) == min(max(count - 1, 1 + (count > 1)), 3)
    missing = any("too few groups" in reason for reason in notes.counts)
    assert missing == (len(found) < 3)


@pytest.mark.parametrize("wrong", [(0.5, 0.4), (0, 1), (1.2, -0.2), (0.25,) * 4, (float("nan"),)])
def test_shares_that_are_none(wrong):
    with pytest.raises(ConfigError, match="--split: expected the shares"):
        splits(["a", "b"], wrong)


def test_splits_of_the_source_stay():
    notes = Notes()
    listed = [*items("a", "b", split="val"), *items("c", split="train"), *items("d")]
    found = split_items(listed, (0.5, 0.5), 0, None, notes)
    assert {split: [i.name for i in each] for split, each in found.items()} == {
        "train": ["c", "d"],
        "val": ["a", "b"],
    }
    assert "the source names its splits: --split and --group were not used" in notes.counts
    assert "no split named for it: put into train" in notes.counts


def test_a_source_of_one_split_is_divided_if_asked():
    listed = items(*"abcdefghij", split="train")
    notes = Notes()
    assert list(split_items(listed, None, 0, None, notes)) == ["train"]
    assert notes.counts == {}
    assert list(split_items(listed, (0.8, 0.2), 0, None, notes)) == ["train", "val"]
    assert "the source names no split but train: divided by --split" in notes.counts


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("annotations/instances_train2017.json", "train"),
        ("valid/x.jpg", "val"),
        ("a/validation/x", "val"),
        ("training/test/x", "test"),
        ("trains/latest/value.json", None),
        ("train_02.json", "train"),
    ],
)
def test_split_named(path, split):
    assert split_named(path) == split


# ----------------------------------------------------------------- classes

CLASSES = ("background", "road", "car", "truck")


def chosen(choice):
    found = choose("x", CLASSES, {"car": (1, 2, 3)}, choice)
    return found.labels.names, found.table[[0, 1, 2, 3]].tolist(), found


@pytest.mark.parametrize(
    ("choice", "names", "table"),
    [
        (None, CLASSES, [0, 1, 2, 3]),
        ("car,road", ("car", "road"), [255, 1, 0, 255]),
        ("road, vehicle=car+truck", ("road", "vehicle"), [255, 0, 1, 1]),
        ("car,other=*", ("car", "other"), [1, 1, 0, 1]),
        ({"vehicle": ["car", "truck"], "*x": ["*"]}, ("vehicle", "*x"), [1, 1, 0, 0]),
        (["road", "truck=truck"], ("road", "truck"), [255, 0, 255, 1]),
        ("car=car+truck,*", ("car", "background", "road"), [1, 2, 0, 0]),
    ],
)
def test_classes(choice, names, table):
    assert chosen(choice)[:2] == (names, table)


def test_what_is_said_of_classes():
    found = chosen("road,vehicle=car+truck")[2]
    assert (found.merged, found.dropped) == ({"vehicle": ("car", "truck")}, ("background",))
    assert found.labels.colors[1] == (1, 2, 3)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ("road,sky", "no class 'sky'; there are background, road, car, truck"),
        ("road,road", "each once"),
        ("road,x=road", "'road' stands twice"),
        ("road,,car", "expected names"),
        ("road,x=", "expected names"),
        ("a=*,b=*", r"\* stands twice"),
        ("car=truck,*", "'car' is made of others"),
        ("road", "at least 2 classes, got road"),
    ],
)
def test_classes_that_are_none(choice, said):
    with pytest.raises((ConfigError, DataError), match=said):
        chosen(choice)
    with pytest.raises(DataError, match="a class without a name"):
        choose("x", ["a", " "], {}, None)
    with pytest.raises(DataError, match="255 classes, and label maps hold at most 254"):
        choose("x", [str(i) for i in range(255)], {}, None)


# ----------------------------------------------------------------- files


def sequence(root, count=10):
    """labelme files of two sequences."""
    for i in range(count):
        annotated.labelme(root, f"{'ab'[i % 2]}_{i:03d}.jpg")
    return root


def tree(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_what_is_written(tmp_path):
    source = sequence(tmp_path / "in")
    report, _ = converted(source, tmp_path / "out", split=(0.5, 0.5))
    assert report.splits == {"train": 5, "val": 5}
    listed = (tmp_path / "out" / "train.txt").read_text().split()
    names = {path.split("/")[-1][:5] for path in listed}
    assert len(names) == 5 and len({name[0] for name in names}) == 1
    for path in listed:
        assert (tmp_path / "out" / path).read_bytes() == (source / path[-9:]).read_bytes()
    with Image.open(tmp_path / "out" / "labels" / "train" / f"{min(names)}.png") as label:
        assert label.mode == "L"  # any program reads the indices
    assert set(tree(tmp_path / "out")) == {
        "dataset.yaml",
        "report.json",
        "train.txt",
        "val.txt",
        *(f"{kind}/{s}/{'ab'[i % 2]}_{i:03d}{ending}"
          for kind, ending in (("images", ".jpg"), ("labels", ".png"))
          for i in range(10)
          for s in ("train", "val")
          if (f"{'ab'[i % 2]}_{i:03d}" in names) == (s == "train")),
    }  # fmt: skip
    written = json.loads((tmp_path / "out" / "report.json").read_text())
    assert written == json.loads(json.dumps(report.to_dict()))
    checked = fs.check_dataset("folder", tmp_path / "out")
    kinds = {finding.kind for finding in checked.findings}
    assert kinds <= {"duplicate-across-splits", "near-duplicate-across-splits"}


def test_links(tmp_path):
    source = sequence(tmp_path / "in", 2)
    converted(source, tmp_path / "out", link=True)
    (image,) = (tmp_path / "out" / "images" / "train").iterdir()
    assert image.samefile(source / image.name)


def test_links_in_the_source(tmp_path):
    """Those of files are followed, as `--link` and others make them; of folders outside not."""
    source = sequence(tmp_path / "in", 2)
    picture((source / "a_000.jpg").rename(tmp_path / "elsewhere.jpg"), seed=5)
    (source / "a_000.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    sequence(tmp_path / "more", 4)
    (source / "more").symlink_to(tmp_path / "more")
    report, labels = converted(source, tmp_path / "out", split=(1,))
    assert set(labels) == {"a_000", "b_001"}
    written = tmp_path / "out" / "images" / "train" / "a_000.jpg"
    assert written.read_bytes() == (tmp_path / "elsewhere.jpg").read_bytes()
    said = "a link to a folder outside, or to one seen before: not followed"
    assert report.notes.examples[said] == [str(source / "more")]


def test_equal_names_of_several_folders(tmp_path):
    for folder in ("x", "y"):
        annotated.labelme(tmp_path / "in" / folder, "a_1.jpg")
    picture(tmp_path / "in" / "x" / "a_1.png")
    other = json.loads((tmp_path / "in" / "x" / "a_1.json").read_text())
    annotated.write_json(tmp_path / "in" / "x" / "b.json", other | {"imagePath": "a_1.png"})
    report, labels = converted(tmp_path / "in", tmp_path / "out", split=(1.0,))
    assert set(labels) == {"x_a_1", "x_a_1_2", "y_a_1"}
    assert report.notes.counts["equal names in several folders: the folder is in the name"] == 3


def test_folders_come_into_the_names_of_all_splits(tmp_path):
    """So that a sequence is one in each of them."""
    for drive in range(4):
        for frame in range(2 + (drive == 3)):
            annotated.labelme(tmp_path / "in" / f"drive{drive}", f"000{frame}.jpg")
    report, labels = converted(tmp_path / "in", tmp_path / "out", split=(0.7, 0.3))
    assert report.splits == {"train": 7, "val": 2}
    assert set(labels) == {f"drive{d}_000{f}" for d in range(4) for f in range(2 + (d == 3))}


def test_suffixes_that_folders_do_not_know(tmp_path):
    annotated.labelme(tmp_path / "in", "a_1.jfif.jpg")
    annotated.labelme(tmp_path / "in", "b_1.jpg")
    (tmp_path / "in" / "b_1.jpg").unlink()
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(tmp_path / "in" / "b_1.gif")
    path = tmp_path / "in" / "b_1.json"
    path.write_text(path.read_text().replace("b_1.jpg", "b_1.gif"))
    converted(tmp_path / "in", tmp_path / "out", split=(1.0,))
    found = {p.name for p in (tmp_path / "out" / "images" / "train").iterdir()}
    assert found in ({"a_1.jfif.jpg", "b_1.png"}, {"a_1.jfif.jpg", "b_1.gif"})


def test_output_that_holds_something(tmp_path):
    source, out = sequence(tmp_path / "in", 2), tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        fs.convert_dataset(source, out)
    fs.convert_dataset(source, out, force=True)
    first = tree(out)
    with pytest.raises(OutputError, match="not empty"):
        fs.convert_dataset(source, out)
    for name in ("a_000", "b_001"):
        (source / f"{name}.json").rename(source / f"{name}.txt")
    annotated.labelme(source, "c_9.jpg")
    fs.convert_dataset(source, out, force=True)
    assert "mine.txt" in first and "mine.txt" in tree(out)
    assert [p for p in tree(out) if "a_000" in p or "b_001" in p or "val" in p] == []
    (out / "report.json").write_text("{}")
    before = tree(out)
    with pytest.raises(OutputError, match="file"):
        fs.convert_dataset(source, out, force=True)
    (out / "report.json").unlink()
    with pytest.raises(OutputError, match="is not from a conversion, and not replaced"):
        fs.convert_dataset(source, out, force=True)
    assert tree(out) == sorted(set(before) - {"report.json"})


@pytest.mark.parametrize("output", ["", ".."])
def test_output_around_the_source(output, tmp_path):
    source = sequence(tmp_path / "in", 2)
    with pytest.raises(OutputError, match="which is converted, lies in"):
        fs.convert_dataset(source, source / output, force=True)
    assert len(tree(tmp_path)) == 4


def test_output_below_the_source(tmp_path):
    """What was converted is not read again."""
    source = sequence(tmp_path / "in", 4)
    first, labels = converted(source, source / "own")
    second, again = converted(source, source / "x" / "own2")
    assert (first.splits, set(labels)) == (second.splits, set(again))
    assert len(labels) == 4


def test_an_image_that_is_annotated_twice(tmp_path):
    source = sequence(tmp_path / "in", 2)
    (source / "z.json").write_bytes((source / "a_000.json").read_bytes())
    report, labels = converted(source, tmp_path / "out")
    assert set(labels) == {"a_000", "b_001"}
    assert report.notes.counts["an image that is annotated twice: the first was taken"] == 1


def test_what_is_guessed_of_images_is_said(tmp_path):
    annotated.labelme(tmp_path / "in", "a_1.jpg", imagePath="/home/me/a_1.jpg")
    annotated.labelme(tmp_path / "in", "b_1.jpg", imagePath="gone.jpg")
    report, labels = converted(tmp_path / "in", tmp_path / "out")
    assert set(labels) == {"a_1", "b_1"}
    said = report.notes.counts
    assert said["an image found by its file name alone, not at the path that is named"] == 1
    assert said["the image beside was taken: what is named is not there"] == 1
    picture(tmp_path / "in" / "b_1.png")
    with pytest.raises(DataError, match="2 images could be meant"):
        fs.convert_dataset(tmp_path / "in", tmp_path / "out2")


def test_bad_images(tmp_path):
    source = sequence(tmp_path / "in", 4)
    (source / "a_002.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"a_002.jpg: not a readable image"):
        fs.convert_dataset(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    report, labels = converted(source, tmp_path / "out", skip_bad=True)
    assert set(labels) == {"a_000", "b_001", "b_003"}
    assert report.notes.counts["cannot be used, left out"] == 1
    for path in source.glob("*.jpg"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match="no image can be used"):
        fs.convert_dataset(source, tmp_path / "out2", skip_bad=True)


@pytest.mark.parametrize("split", ["val", "train"])
def test_a_split_that_all_its_images_were_lost_of_is_said(split, tmp_path):
    source = sequence(tmp_path / "in", 4)
    first = fs.convert_dataset(source, tmp_path / "first", split=(0.5, 0.5))
    for path in (tmp_path / "first" / "images" / split).iterdir():
        (source / path.name).write_bytes(b"no image")
    report = fs.convert_dataset(source, tmp_path / "out", split=(0.5, 0.5), skip_bad=True)
    assert first.splits == {"train": 2, "val": 2} and report.splits == {**first.splits, split: 0}
    assert f"- NO IMAGE OF THE SPLIT {split} CAN BE USED, AND IT IS GONE" in report.text()
    assert "NO IMAGE" not in first.text()


@pytest.mark.parametrize("split", [None, (1,)])
def test_what_has_no_images_for_validation_is_told_how_to_take_some(split, tmp_path):
    images = [{"id": i, "file_name": f"{n}.jpg"} for i, n in ((7, "a"), (8, "b"))]
    annotated.coco(tmp_path / "in", "a.jpg", images=images)
    picture(tmp_path / "in" / "b.jpg")
    (tmp_path / "in" / "annotations.json").rename(tmp_path / "in" / "train.json")
    report = fs.convert_dataset(tmp_path / "in", tmp_path / "out", split=split)
    assert report.splits == {"train": 2}
    assert ("all images are in the split train: --split 0.8,0.1,0.1" in report.text()) == (
        split is None
    )


@pytest.mark.parametrize("name", ["labelme", "coco"])
@pytest.mark.parametrize("size", [SIZE, SIZE[::-1]])
def test_turned_images_that_sizes_of_others_speak_against(name, size, tmp_path):
    """A quarter turn tells by its size how annotators saw it; half a turn does not."""
    for i, orientation in enumerate((6, 3)):
        root, file = tmp_path / "in" / f"{i}", f"{'ab'[i]}.jpg"
        MAKERS[name](root, file)
        picture(root / file, size if orientation == 6 else SIZE, orientation)
    report = fs.convert_dataset(tmp_path / "in", tmp_path / "out", split=(1,))
    said = [text for text in report.notes.counts if text.startswith("IMAGES TAKEN AS ANNOTATED")]
    ways = {(SIZE, "labelme"): "UPRIGHT", (SIZE[::-1], "coco"): "AS STORED"}
    assert [text.split("ANNOTATED ")[1][:7] for text in said] == [
        way[:7] for key, way in ways.items() if key == (size, name)
    ]
    assert all(report.notes.examples[text] == ["1/b"] for text in said)


def test_several_formats_fit(tmp_path):
    annotated.labelme(tmp_path / "in")
    annotated.coco(tmp_path / "in", "b_1.jpg")
    with pytest.raises(DataError, match=r"labelme \(a_1.json has shapes.*coco \(annotations.json"):
        fs.convert_dataset(tmp_path / "in", tmp_path / "out")
    report, labels = converted(tmp_path / "in", tmp_path / "out", format="coco")
    assert (report.recognised, set(labels)) == ("as given", {"b_1"})
    with pytest.raises(ConfigError, match="unknown format 'x'"):
        fs.convert_dataset(tmp_path / "in", tmp_path / "out2", format="x")


def test_no_format_fits(tmp_path):
    picture(tmp_path / "in" / "a.jpg")
    with pytest.raises(DataError, match="no format is recognised: say which with --from NAME"):
        fs.convert_dataset(tmp_path / "in", tmp_path / "out")
    (tmp_path / "in" / "dataset.yaml").write_text("classes: [a, b]\n")
    with pytest.raises(DataError, match="use it with --dataset folder"):
        fs.convert_dataset(tmp_path / "in", tmp_path / "out")
    with pytest.raises(DataError, match="no such folder or annotation file"):
        fs.convert_dataset(tmp_path / "none", tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "form", "said"),
    [
        ("x.zip", "auto", r"x\.zip: packed: unpack it first, and give the folder"),
        ("x.tar.gz", "colors", r"x\.tar\.gz: packed: unpack it first"),
        ("x.json", "auto", r"x\.json: no annotation file that is recognised, such as a JSON of"),
        ("classes.csv", "auto", r"classes\.csv: no annotation file that is recognised"),
        ("classes.csv", "colors", r"classes\.csv: colors is read from a folder, not from a file"),
        ("x.json", "cvat", r"x\.json: voc is read from a folder"),
    ],
)
def test_a_file_does_not_stand_for_its_neighbours(name, form, said, tmp_path):
    """Masks lie beside it that are of another data set."""
    for folder, mode in (("images", "RGB"), ("masks", "L"), ("SegmentationClass", "L")):
        picture(tmp_path / folder / "a.png")
        Image.new(mode, SIZE[::-1]).save(tmp_path / folder / "a.png")
    (tmp_path / "classes.csv").write_text("0,road\n1,car\n")
    if not (tmp_path / name).exists():
        (tmp_path / name).write_text("{}")
    with pytest.raises(DataError, match=said):
        fs.convert_dataset(tmp_path / name, tmp_path / "out", form)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_label_maps_turn_as_images_do(orientation, tmp_path):
    for suffix in (".jpg", ".png", ".webp", ".tif", ".bmp"):
        path = picture(tmp_path / f"a{suffix}", (20, 30), orientation)
        opened = open_image(path.read_bytes(), str(path))
        seen, image = ImageHeader(opened.size[::-1], orientation_of(opened)), fs.read_image(path)
        assert seen.size == image.shape[:2]
        if suffix == ".png":
            grey = np.array(Image.open(path))[..., 0]
            np.testing.assert_array_equal(seen.turn(grey), image[..., 0])


@pytest.mark.parametrize("name", MAKERS)
def test_a_truncated_image_stops_it_or_is_left_out(name, tmp_path):
    MAKERS[name](tmp_path / "in")
    (image,) = (tmp_path / "in").rglob("*.jpg")
    image.write_bytes(image.read_bytes()[:-200])
    with pytest.raises(DataError, match=rf"{re.escape(image.name)}: .*truncated"):
        fs.convert_dataset(tmp_path / "in", tmp_path / "out", split=(1,))
    with pytest.raises(DataError, match=r"no image can be used: .*cannot be used, left out"):
        fs.convert_dataset(tmp_path / "in", tmp_path / "out", split=(1,), skip_bad=True)
    assert not (tmp_path / "out").exists()


def test_damaged_annotations_of_an_image_are_left_out_if_asked(tmp_path):
    source = sequence(tmp_path / "in")
    (source / "a_000.json").write_text('{"shapes": [')
    with pytest.raises(DataError, match=r"a_000\.json: not valid JSON"):
        fs.convert_dataset(source, tmp_path / "out")
    report = fs.convert_dataset(source, tmp_path / "out", skip_bad=True)
    assert sum(report.splits.values()) == 9
    assert report.notes.counts["cannot be used, left out"] == 1
    assert report.notes.examples["images that no annotation names, left out"] == ["a_000.jpg"]
    for path in source.glob("*.json"):
        path.write_text("{")
    with pytest.raises(DataError, match=r"a_000\.json: not valid JSON"):
        fs.convert_dataset(source, tmp_path / "out2")


@pytest.mark.parametrize("name", MAKERS)
def test_command(name, tmp_path, run):
    MAKERS[name](tmp_path / "in")
    out = tmp_path / "out"
    arguments = ["data", "convert", tmp_path / "in", "--output", out]
    code, said, err = run(*arguments, "--classes", "car,ground=road", "--split", "1")
    assert (code, err) == (0, "")
    assert f"{tmp_path / 'in'}: {name} (" in said
    assert "\nimages: train 1\n" in said
    assert "ground" in said and "road" in said and "background" in said
    assert said.endswith(f"Next: fastscnn data check --dataset folder --data-dir {out}\n")
    code, said, err = run(*arguments)
    assert (code, said) == (2, "")
    assert err.endswith("choose another output, or replace with --force (force=True in Python)\n")
    assert run(*arguments, "--force", "--from", name, "--link", "--workers", 1)[0] == 0


def test_names_of_any_kind(tmp_path):
    """Class names that YAML would take for something else, and file names in any script."""
    names = [
        "yes",
        "1.0",
        "null",
        "a: b #c",
        "日本",
        "x\x1b[2J",
        "'\"",
        "- {",
        "é" * 90,
        "*x",
        "&y",
    ]
    shapes = [
        {"label": name, "points": [[i, 0], [i + 1, 0], [i + 1, 9]], "shape_type": "polygon"}
        for i, name in enumerate(names)
    ]
    for file in ("中文_1.jpg", "a b'c_2.jpg", "%s_3.jpg"):
        annotated.labelme(tmp_path / "in" / "データ", file, shapes=shapes)
    report, labels = converted(tmp_path / "in", tmp_path / "出 力")
    assert set(labels) == {"中文_1", "a b'c_2", "%s_3"}
    read = fs.open_dataset("folder", tmp_path / "出 力", "train").labels
    assert read.names == tuple(report.classes) == ("background", *sorted(names))
    assert "\x1b" not in report.text()


def test_file_names_that_are_no_text(tmp_path):
    source = sequence(tmp_path / "in", 2)
    for path in list(source.glob("a_000.*")):
        path.rename(source / (b"\xff_000".decode("utf-8", "surrogateescape") + path.suffix))
    _, labels = converted(source, tmp_path / "out")
    assert len(labels) == 2
