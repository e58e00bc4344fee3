"""Formats that store masks: every example becomes exactly what its definition says."""

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from mask_examples import EXAMPLES, HEIGHT, photo, rgb
from PIL import Image

from fastscnn_tf.core.errors import ConfigError, DataError
from fastscnn_tf.data.check.dataset_check import check_dataset
from fastscnn_tf.data.convert import MASKS
from fastscnn_tf.data.convert.convert_dataset import convert_dataset
from fastscnn_tf.data.convert.mask_formats import MASK_FORMATS
from fastscnn_tf.data.convert.recognising import find_format
from fastscnn_tf.data.convert.source import ImageHeader, Notes
from fastscnn_tf.data.convert.source_folder import SourceFolder
from fastscnn_tf.data.datasets.description import folder

FORMATS = {each.name: each for each in MASK_FORMATS}
# Told apart by the user.
ASKED = {"carla-0.9.10": "carla", "carla-0.9.14": "carla", "mapillary-1.2": "mapillary"}


def example(name, root):
    form, make = EXAMPLES[name]
    made = make()
    made.write(root)
    return FORMATS[form], made


def read(source):
    """Split -> name -> label map; what reads them travels as to another process."""
    found = {}
    read_label, items = pickle.loads(pickle.dumps((source.read_label, source.items)))
    for item in items:
        with Image.open(item.image) as image:
            picture = ImageHeader(image.size[::-1])
        label = read_label(item, picture, Notes())
        found.setdefault(item.split or "", {})[item.name] = label
    return found


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_becomes_what_its_definition_says(name, tmp_path):
    form, made = example(name, tmp_path)
    source = form.open(SourceFolder(tmp_path))
    assert list(source.classes) == made.classes
    found = read(source)
    assert {split: sorted(items) for split, items in found.items()} == {
        split: sorted(names) for split, names in made.splits.items()
    }
    for items in found.values():
        for label in items.values():
            np.testing.assert_array_equal(label, made.label())


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_is_recognised_by_its_content_and_no_other_is(name, tmp_path):
    form, _ = example(name, tmp_path)
    found, reason = find_format("auto", SourceFolder(tmp_path))
    assert found.name == ASKED.get(form.name, form.name)
    assert len(reason) > 20


def test_the_command_line_knows_each():
    assert set(MASKS) == set(FORMATS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_can_be_trained_on_once_it_is_converted(name, tmp_path):
    form, made = example(name, tmp_path / "source")
    output = tmp_path / "out"
    report = convert_dataset(tmp_path / "source", output, form.name, workers=1)
    assert sum(report.splits.values()) == sum(map(len, made.splits.values()))
    if "" not in made.splits:
        assert report.splits == {split: len(names) for split, names in made.splits.items()}
    for split in report.splits:
        opened = folder(output, split)
        assert list(opened.labels.names) == made.classes
        for index in range(len(opened)):
            image, label = opened.read(index)
            np.testing.assert_array_equal(label, made.label())
            assert image.shape == (*label.shape, 3)


def test_kaggles_camvid_without_a_table_has_the_colours_of_the_original(tmp_path):
    if "FASTSCNN_CASES" not in os.environ:
        pytest.skip("FASTSCNN_CASES names no folder of cases")
    source = Path(os.environ["FASTSCNN_CASES"]) / "camvid-kaggle-layout"
    report = convert_dataset(source, tmp_path / "out")
    assert (report.format, report.splits) == ("camvid-kaggle", {"train": 2, "val": 2, "test": 2})
    assert {name for name, pixels in report.classes.items() if pixels} == {"Car", "Road", "Sky"}
    assert report.void == 0


def test_a_table_of_ones_own_can_be_given(tmp_path):
    example("colors", tmp_path / "source")
    (tmp_path / "source" / "classes.csv").unlink()
    table = tmp_path / "mine.txt"
    table.write_text("street 128 64 128\nauto 0 0 142\nblack 0 0 0\n")
    report = convert_dataset(tmp_path / "source", tmp_path / "out", "colors", str(table))
    assert report.classes == {"street": 18, "auto": 18, "black": 18}
    chosen = convert_dataset(
        tmp_path / "source", tmp_path / "few", "colors", "auto,other=black+street", table=table
    )
    assert chosen.classes == {"auto": 18, "other": 36}
    with pytest.raises(ConfigError, match=r"no class '.*mine\.txt'"):  # not one of two tables
        convert_dataset(tmp_path / "source", tmp_path / "x", "colors", str(table), table=table)


def test_a_class_of_several_colours_is_made_of_them(tmp_path):
    example("colors", tmp_path / "source")
    table = "road,128,64,128\nroad,0,0,142\nsky,0,0,0\n"
    (tmp_path / "source" / "classes.csv").write_text(table)
    report = convert_dataset(tmp_path / "source", tmp_path / "out")
    assert report.classes == {"road": 36, "sky": 18}
    assert report.merged == {"road": ("128,64,128", "0,0,142")}
    assert "128,64,128, 0,0,142" in report.text()
    renamed = convert_dataset(tmp_path / "source", tmp_path / "new", classes="way=road,sky")
    assert renamed.merged == {"way": ("road",)}


def test_a_format_that_knows_its_classes_takes_no_table(tmp_path):
    example("kitti", tmp_path / "source")
    table = tmp_path / "mine.txt"
    table.write_text("street 128 64 128\n")
    with pytest.raises(ConfigError, match="kitti knows its classes without a table"):
        convert_dataset(tmp_path / "source", tmp_path / "out", "kitti", str(table))
    assert not (tmp_path / "out").exists()


def test_cvat_may_mean_its_masks(tmp_path):
    example("cvat masks", tmp_path / "source")
    report = convert_dataset(tmp_path / "source", tmp_path / "out", "cvat")
    assert list(report.classes) == ["cat", "background", "dog"]


def test_tags_of_ones_own_carla_can_be_given(tmp_path):
    _, made = example("carla", tmp_path / "source")
    table = tmp_path / "tags.csv"
    table.write_text("".join(f"{value},tag {value}\n" for value in range(23)))
    report = convert_dataset(tmp_path / "source", tmp_path / "out", "carla", str(table))
    assert len(report.classes) == len(made.classes) + 1
    assert set(report.classes.values()) == {3 * HEIGHT}


def convert_one(name, root, changes, form=None):
    """The source of an example with files changed (None: removed), read whole."""
    found, made = example(name, root)
    for path, content in changes.items():
        if content is None:
            (root / path).unlink()
        elif isinstance(content, str):
            (root / path).write_text(content)
        else:
            content.save(root / path)
    source = FORMATS[form or found.name].open(SourceFolder(root))
    return source, read(source), made


WRONG = {
    "roboflow without its table": (
        "roboflow",
        {"train/_classes.csv": None, "valid/_classes.csv": None},
        r"no _classes\.csv, which says what the masks mean: put it there, or give it",
    ),
    "roboflow with two tables": (
        "roboflow",
        {"valid/_classes.csv": "Pixel Value, Class\n0, background\n1, car\n2, road\n"},
        r"_classes\.csv and .*_classes\.csv differ",
    ),
    "a value that the table lacks": (
        "roboflow",
        {"train/_classes.csv": "v, c\n0, background\n1, road\n", "valid/_classes.csv": None},
        r"a_jpg\.rf\.0f1e_mask\.png: value 2 \(6 pixels\) is not in .*_classes\.csv",
    ),
    "255 where the table does not say that it is a class": (
        "roboflow",
        {"valid/c_jpg.rf.12ab_mask.png": Image.fromarray(np.full((HEIGHT, 3), 255, np.uint8))},
        r"value 255 \(18 pixels\) is not in .*_classes\.csv: add a line for it",
    ),
    "values above 255": (
        "roboflow",
        {"valid/c_jpg.rf.12ab_mask.png": Image.fromarray(np.full((HEIGHT, 3), 300, np.uint16))},
        r"value 300 \(18 pixels\) is not in",
    ),
    "colours where values belong": (
        "roboflow",
        {"valid/c_jpg.rf.12ab_mask.png": Image.fromarray(photo(3, 0))},
        r"a colour image \(mode RGB\), but .*_classes\.csv has no colours",
    ),
    "an unknown colour": (
        "camvid-kaggle",
        {"val_labels/0016E5_07959_L.png": Image.fromarray(rgb([(1, 2, 3), (9, 9, 9)] * 2))},
        r"colour \(1, 2, 3\) \(12 pixels\), \(9, 9, 9\) \(12 pixels\) is not in .*class_dict\.csv",
    ),
    "two classes of one colour": (
        "cvat masks",
        {"labelmap.txt": "cat:48,112,32::\ndog:48,112,32::\n"},
        r"'cat' and 'dog' have the same color \(48, 112, 32\), so that masks cannot tell them",
    ),
    "a table that is none": (
        "cvat masks",
        {"labelmap.txt": "# label:color_rgb:parts:actions\ncat:48,112::\n"},
        r"labelmap\.txt: .*'cat:48,112::' is not a name with a colour|no class found",
    ),
    "an image in two lists": (
        "voc",
        {"VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt": "2007_000032\n"},
        r"2007_000032 is in another list, too: an image in two splits",
    ),
    "no config": (
        "mapillary 1.2",
        {"config.json": None},
        r"no config\.json, which says what the masks mean",
    ),
    "a config of something else": (
        "mapillary 1.2",
        {"config.json": "{}"},
        r"config\.json: .*labels",
    ),
    "no list of objects": ("ade20k", {"A/objectInfo150.txt": None}, r"no objectInfo150\.txt"),
    "other objects": ("ade20k", {"A/objectInfo150.txt": "wall\nbed\n"}, r"expected lines of Idx"),
    "a label that IDD lacks": (
        "idd polygons",
        {
            "gtFine/val/119/024541_gtFine_polygons.json": '{"imgWidth": 7, "imgHeight": 6, '
            '"objects": [{"label": "boat", "polygon": [[0, 0], [1, 1], [2, 0]]}]}'
        },
        r"'boat' is not a label of IDD",
    ),
    "a drawing of absurd size": (
        "idd polygons",
        {
            "gtFine/val/119/024541_gtFine_polygons.json": '{"imgWidth": 99999, "imgHeight": 99999, '
            '"objects": []}'
        },
        r"99999x99999 pixels are too many",
    ),
    "pixels that alpha hides": (
        "colors",
        {"masks/3.png": Image.fromarray(np.full((HEIGHT, 3, 4), (128, 64, 128, 0), np.uint8))},
        r"3\.png: 18 pixels are transparent: save it without alpha",
    ),
    "pixels that alpha hides, without a table": (
        "colors",
        {"masks/3.png": Image.new("LA", (3, HEIGHT), (1, 0)), "classes.csv": None},
        r"3\.png: 18 pixels are transparent: save it without alpha",
    ),
    "a tag that this CARLA lacks": (
        "carla",
        {"Town01/semantic/0001.png": Image.fromarray(rgb([(26, 0, 0)] * 23))},
        r"value 26 \(138 pixels\) is not in the tags of CARLA 0\.9\.10 to 0\.9\.13",
    ),
    "two images of a mask": (
        "kitti",
        {"training/image_2/000000_10.jpg": Image.fromarray(photo(35, 1))},
        r"000000_10\.jpg and .*000000_10\.png are for the same image: keep one",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(case, tmp_path):
    name, changes, message = WRONG[case]
    with pytest.raises(DataError, match=message) as caught:
        convert_one(name, tmp_path, changes)
    assert "\n" not in str(caught.value)


def test_carla_asks_which_version_it_is(tmp_path):
    with pytest.raises(DataError, match=r"carla-0\.9\.9 .*carla-0\.9\.10 .*carla-0\.9\.14 "):
        convert_one("carla", tmp_path, {}, "carla")


def test_jpeg_masks_are_refused_with_the_reason(tmp_path):
    found, _ = example("colors", tmp_path)
    with Image.open(tmp_path / "masks/3.png") as mask:
        mask.convert("RGB").save(tmp_path / "masks/3.jpg")
    (tmp_path / "masks/3.png").unlink()
    source = found.open(SourceFolder(tmp_path))
    with pytest.raises(DataError, match=r"3\.jpg: a mask as JPEG, which blurs values and colours"):
        read(source)


def test_colours_without_a_table_are_listed_to_be_named(tmp_path):
    with pytest.raises(DataError, match=r"no table of classes: write classes\.csv") as caught:
        convert_one("colors", tmp_path, {"classes.csv": None})
    for line in ("name,128,64,128 (33.3 % of pixels)", "name,0,0,142 (33", "name,0,0,0 (33"):
        assert line in str(caught.value)
    assert FORMATS["colors"].recognise(SourceFolder(tmp_path)) == "masks/3.png is a mask in colours"


@pytest.mark.parametrize(
    ("values", "kind", "seen", "asked"),
    [
        ([0, 255, 255], "L", "values 0, 255", "each value and name them: 255,name (66.7 %"),
        ([0, 1, 2], "L", "values 0, 1, 2", "0,name (33.3 % of pixels); 1,name (33.3 %"),
        ([0, 255, 255], "1", "values 0, 1", "1,name (66.7 %"),
        ([0, 7, 999], "I;16", "values 0, 7, 999", "999,name (33.3 %"),
        ([0, 1, 7], "F", "values 0, 1, 7", "7,name (33.3 %"),
        ([0, 9, 9], "P", "colours 0,0,0, 9,9,9", "each colour and name them: name,9,9,9 (66.7 %"),
        (
            [0, 255, 255],
            "JPEG",
            "",
            "a mask as JPEG, which blurs .* as PNG, or .*--table",
        ),
    ],
)
def test_masks_without_a_table_are_recognised_and_asked_about(values, kind, seen, asked, tmp_path):
    """Whatever they hold is said; JPEG is refused for what it is, not listed as its noise."""
    example("colors", tmp_path)
    (tmp_path / "classes.csv").unlink()
    for name in ("x/1", "x/2", "3"):
        rows = np.tile(np.array(values, np.uint16), (HEIGHT, 1))
        mask = Image.fromarray(rows if kind == "I;16" else rows.astype(np.uint8))
        mask = mask.convert(kind) if kind in ("1", "P", "F") else mask
        path = tmp_path / f"masks/{name}.png"
        path.unlink()
        mask.save(path.with_suffix({"JPEG": ".jpg", "F": ".tif"}.get(kind, ".png")))
    found, reason = find_format("auto", SourceFolder(tmp_path))
    assert found.name == "colors"
    lossy = "masks/3.jpg is there as a mask"
    name = "masks/3.tif" if kind == "F" else "masks/3.png"
    assert reason == (f"{name} is a mask of the {seen}" if seen else lossy)
    with pytest.raises(DataError, match=asked.replace("(", r"\(").replace(")", r"\)")):
        found.open(SourceFolder(tmp_path))


def test_too_many_colours_are_no_classes(tmp_path):
    noise = {f"masks/{name}.png": Image.fromarray(photo(90, 3)) for name in ("x/1", "x/2", "3")}
    with pytest.raises(DataError, match=r"have \d+ colours, too many for classes: blurred"):
        convert_one("colors", tmp_path, {"classes.csv": None, **noise})


def test_names_of_labelmes_voc_are_not_those_of_voc(tmp_path):
    text = "__ignore__\n_background_\nstreet\ncar\n"
    mask = Image.fromarray(np.tile(np.array([2, 1, 255], np.uint8), (HEIGHT, 1)))
    found, _ = example("voc", tmp_path)
    for path in tmp_path.rglob("SegmentationClass/*.png"):
        mask.save(path)
    (tmp_path / "class_names.txt").write_text(text)
    source = found.open(SourceFolder(tmp_path))
    assert list(source.classes) == ["_background_", "street", "car"]
    label = source.read_label(source.items[0], ImageHeader((HEIGHT, 3)), Notes())
    assert label[0].tolist() == [2, 1, 255]


def test_a_black_mask_of_cvat_is_background_and_not_the_first_line(tmp_path):
    _, found, _ = convert_one(
        "cvat masks", tmp_path, {"SegmentationClass/left/1.png": Image.new("RGB", (3, HEIGHT))}
    )
    assert (found[""]["left/1"] == 1).all()  # background is the second line


def test_a_grey_mask_of_cvat_holds_the_numbers_of_lines(tmp_path):
    lines = Image.fromarray(np.tile(np.array([0, 1, 2], np.uint8), (HEIGHT, 1)))
    _, found, _ = convert_one("cvat masks", tmp_path, {"SegmentationClass/left/1.png": lines})
    assert found[""]["left/1"][0].tolist() == [0, 1, 2]


def test_a_palette_of_cvat_is_read_by_its_colours(tmp_path):
    image = Image.fromarray(np.tile(np.array([0, 1, 2], np.uint8), (HEIGHT, 1)))
    image.putpalette([0, 0, 0, 48, 112, 32, 176, 112, 32])
    _, found, made = convert_one("cvat masks", tmp_path, {"SegmentationClass/left/1.png": image})
    np.testing.assert_array_equal(found[""]["left/1"], made.label())


def test_masks_in_the_colours_of_voc_are_read_by_them(tmp_path):
    place = "VOCdevkit/VOC2012/SegmentationClass/2007_000033.png"
    form, made = example("voc", tmp_path)
    with Image.open(tmp_path / place) as mask:
        mask.convert("RGB").save(tmp_path / place)
    found = read(form.open(SourceFolder(tmp_path)))
    np.testing.assert_array_equal(found["val"]["2007_000033"], made.label())


def test_what_is_left_out_is_noted(tmp_path):
    source, found, _ = convert_one("mapillary 1.2", tmp_path, {"training/images/k2.jpg": None})
    assert list(found["train"]) == ["_-_bird"]
    notes = source.notes
    assert notes.examples["images without a mask, left out"] == ["testing/images/t.jpg"]
    assert notes.examples["masks without an image, left out"] == ["training/labels/k2.png"]
    assert any("'Unlabeled'" in reason and "void" in reason for reason in notes.counts)


def test_the_newer_labels_of_mapillary_are_read_unless_the_older_are_asked_for(tmp_path):
    source, _, _ = convert_one("mapillary of both", tmp_path, {}, "mapillary")
    assert source.classes == ("animal", "Road")
    assert "also there, not read: Mapillary Vistas 1.2" in " ".join(source.notes.counts)


def test_of_two_kinds_of_masks_the_better_is_read_and_the_other_noted(tmp_path):
    example("idd polygons", tmp_path)
    source, found, made = convert_one("idd level 3", tmp_path, {})
    np.testing.assert_array_equal(found["val"]["119/024541"], made.label())
    assert "also there, not read: leftImg8bit and gtFine with polygons.json" in source.notes.counts


def test_frames_of_a_drive_are_a_group(tmp_path):
    source, _, _ = convert_one("carla", tmp_path, {})
    assert [item.group for item in source.items] == ["Town01/", "Town01/", "Town02/"]


def test_images_in_no_list_are_noted(tmp_path):
    source, _, _ = convert_one(
        "cvat masks", tmp_path, {"ImageSets/Segmentation/default.txt": "left/1\nleft/9\n"}
    )
    assert [item.name for item in source.items] == ["left/1"]
    assert source.notes.counts["images in none of the lists, left out"] == 2
    reason = "named in a list, but image or mask is not there"
    assert source.notes.examples[reason] == ["left/9"]


def test_a_mask_is_turned_as_its_image_where_it_was_drawn_on_the_stored_pixels(tmp_path):
    found, made = example("colors", tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photo(3, 1)).save(tmp_path / "images/3.jpg", exif=exif)
    source = found.open(SourceFolder(tmp_path))
    item = next(item for item in source.items if item.name == "3")
    notes = Notes()
    label = source.read_label(item, ImageHeader((HEIGHT, 3), 6), notes)
    np.testing.assert_array_equal(label, np.rot90(made.label(), -1))
    assert "as stored" in " ".join(notes.counts)


TABLES = {
    "class_dict.csv": "name,r,g,b\nroad, 128, 64, 128\nfar car,0,0,142\n",
    "label_colors.txt": "128 64 128\troad\n0 0 142\tfar car\n",
    "classes.txt": "128 64 128  road\n0 0 142 far car\n",
    "classes.csv": "\ufeffclass;colour\nroad;#804080\nfar car;#00008e\n",
    "labelmap.txt": "# label:color_rgb:parts:actions\nroad:128,64,128::\nfar car:0,0,142::\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_colours_come_in_many_forms(name, tmp_path):
    example("colors", tmp_path)
    (tmp_path / "classes.csv").unlink()
    (tmp_path / name).write_text(
        TABLES[name]
        + TABLES[name]
        .splitlines()[-1]
        .replace("far car", "void")
        .replace("142", "0")
        .replace("8e", "00")
        + "\n",
        encoding="utf-8",
    )
    source = FORMATS["colors"].open(SourceFolder(tmp_path))
    assert list(source.classes) == ["road", "far car"]
    assert source.colors == {"road": (128, 64, 128), "far car": (0, 0, 142)}
    assert read(source)[""]["3"][0].tolist() == [0, 1, 255]


def test_a_latin_1_table_is_refused(tmp_path):
    example("colors", tmp_path)
    (tmp_path / "classes.csv").write_bytes("Straße,128,64,128\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"classes\.csv: not UTF-8: save it as that"):
        FORMATS["colors"].open(SourceFolder(tmp_path))


def test_masks_whose_images_were_not_exported_are_told(tmp_path):
    example("cvat masks", tmp_path)
    shutil.rmtree(tmp_path / "JPEGImages")
    with pytest.raises(DataError, match=r"no image with a mask as voc has.*; 3 masks are there"):
        FORMATS["voc"].open(SourceFolder(tmp_path))


def test_cityscapes_label_ids_are_not_taken_for_those_of_idd(tmp_path):
    """Both have leftImg8bit and gtFine, but Cityscapes' 7 is a road and IDD's an animal."""
    found, _ = example("idd ids", tmp_path)
    for path in list(tmp_path.rglob("*_labelids.png")):
        path.rename(path.with_name(path.name.replace("labelids", "labelIds")))
    assert found.recognise(SourceFolder(tmp_path)) is None
    with pytest.raises(DataError, match="no image with a mask as idd has them"):
        found.open(SourceFolder(tmp_path))


def test_black_is_background_where_cvats_labels_have_none(tmp_path):
    source, found, _ = convert_one(
        "cvat masks", tmp_path, {"labelmap.txt": "cat:48,112,32::\ndog:176,112,32::\n"}
    )
    assert list(source.classes) == ["cat", "dog", "background"]
    assert found[""]["left/1"][0].tolist() == [2, 0, 1]


def test_a_table_of_values_reads_the_commonest_mask_of_all(tmp_path):
    """0 and 255, which is a class here because the table says so."""
    example("colors", tmp_path)
    (tmp_path / "classes.csv").write_text("value,name\n0,background\n255,road\n")
    mask = Image.fromarray(np.tile(np.array([0, 255, 255], np.uint8), (HEIGHT, 1)))
    for name, kind in (("x/1", "L"), ("x/2", "L"), ("3", "LA")):
        mask.convert(kind).save(tmp_path / f"masks/{name}.png")
    source = FORMATS["colors"].open(SourceFolder(tmp_path))
    assert list(source.classes) == ["background", "road"]
    assert read(source)[""]["3"][0].tolist() == [0, 1, 1]


@pytest.mark.parametrize(("value", "said"), [(255, None), (1.5, "such as 1.5"), (np.inf, "inf")])
def test_masks_of_floats(value, said, tmp_path):
    example("colors", tmp_path)
    (tmp_path / "classes.csv").write_text("0,background\n255,road\n")
    for name in ("x/1", "x/2", "3"):
        (tmp_path / f"masks/{name}.png").unlink()
        row = np.array([0, value, 255], np.float32)
        Image.fromarray(np.tile(row, (HEIGHT, 1))).save(tmp_path / f"masks/{name}.tif")
    source = FORMATS["colors"].open(SourceFolder(tmp_path))
    if said is None:
        assert read(source)[""]["3"][0].tolist() == [0, 1, 1]
    else:
        with pytest.raises(DataError, match=said):
            read(source)


def test_masks_beside_images_are_roboflows_only_with_its_table(tmp_path):
    example("roboflow", tmp_path)
    for path in list(tmp_path.rglob("_classes.csv")):
        path.unlink()
    assert FORMATS["roboflow"].recognise(SourceFolder(tmp_path)) is None
    (tmp_path / "classes.csv").write_text("0,background\n1,road\n2,car\n")
    assert "x_mask.png" in FORMATS["colors"].recognise(SourceFolder(tmp_path))
    source = FORMATS["colors"].open(SourceFolder(tmp_path))
    assert sorted(read(source)) == ["train", "val"]


def test_without_a_table_kaggles_camvid_is_not_read_by_values(tmp_path):
    """Which class a 3 is depends on who wrote it."""
    grey = Image.fromarray(np.full((HEIGHT, 4), 3, np.uint8))
    changes = {"class_dict.csv": None, "val_labels/0016E5_07959_L.png": grey}
    with pytest.raises(DataError, match=r"colour \(3, 3, 3\) \(24 pixels\) is not in CamVid's 32"):
        convert_one("camvid-kaggle", tmp_path, changes)


def test_who_opens_another_layout_is_sent_to_the_converter(tmp_path):
    example("camvid-kaggle", tmp_path)
    with pytest.raises(DataError, match="no split of camvid32 is there; fastscnn data convert"):
        check_dataset("camvid32", tmp_path)


def test_a_stated_tolerance_takes_the_nearest_colour_and_counts_it(tmp_path):
    found, made = example("colors", tmp_path)
    table = (tmp_path / "classes.csv").read_text()
    (tmp_path / "classes.csv").write_text(table + "tolerance,20\n")
    off = rgb([(128, 64, 128), (20, 15, 130), (8, 8, 8)])
    Image.fromarray(off).save(tmp_path / "masks/3.png")
    source = found.open(SourceFolder(tmp_path))
    assert list(source.classes) == made.classes
    notes = Notes()
    item = next(item for item in source.items if item.name == "3")
    label = source.read_label(item, ImageHeader((HEIGHT, 3)), notes)
    np.testing.assert_array_equal(label, made.label())
    reason = "pixels whose colour is only near one, within 20 a channel"
    assert notes.counts[reason] == 2 * HEIGHT


def test_beyond_the_tolerance_a_colour_is_unknown(tmp_path):
    example("colors", tmp_path)
    with (tmp_path / "classes.csv").open("a") as table:
        table.write("tolerance,20\n")
    Image.fromarray(rgb([(128, 64, 128), (21, 0, 142), (0, 0, 0)])).save(tmp_path / "masks/3.png")
    with pytest.raises(DataError, match=r"colour \(21, 0, 142\) \(6 pixels\) is not in"):
        read(FORMATS["colors"].open(SourceFolder(tmp_path)))


def test_grey_jpeg_masks_are_read_within_a_stated_tolerance(tmp_path):
    """0 and 255 through JPEG: the nearer one, by a table of values."""
    found, _ = example("colors", tmp_path)
    (tmp_path / "classes.csv").write_text("0,background\n255,road\ntolerance,127\n")
    mask = np.zeros((HEIGHT, 3), np.uint8)
    mask[:, 2] = 255
    for name in ("x/1", "x/2", "3"):
        path = tmp_path / f"masks/{name}.png"
        path.unlink()
        Image.fromarray(mask).save(path.with_suffix(".jpg"), quality=60)
    source = found.open(SourceFolder(tmp_path))
    assert list(source.classes) == ["background", "road"]
    np.testing.assert_array_equal(read(source)[""]["3"], mask // 255)


def test_a_jpeg_is_read_within_a_stated_tolerance(tmp_path):
    found, _ = example("colors", tmp_path)
    with (tmp_path / "classes.csv").open("a") as table:
        table.write("tolerance,60\n")
    blocks = np.repeat(np.repeat(rgb([(128, 64, 128), (0, 0, 142), (0, 0, 0)])[:1], 16, 0), 16, 1)
    (tmp_path / "masks/3.png").unlink()
    Image.fromarray(blocks).save(tmp_path / "masks/3.jpg", quality=90, subsampling=0)
    source = found.open(SourceFolder(tmp_path))
    item, notes = next(item for item in source.items if item.name == "3"), Notes()
    label = source.read_label(item, ImageHeader((16, 48)), notes)
    assert [set(label[:, at].tolist()) for at in (8, 24, 40)] == [{0}, {1}, {255}]
    assert sum(notes.counts.values()) > 0
