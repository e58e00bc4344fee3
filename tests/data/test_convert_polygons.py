"""Formats of polygons and run lengths: pixels as their definitions have them, and bad input."""

import base64
import json
import pickle
import zlib

import annotated
import numpy as np
import pytest
from annotated import CAR, MAKERS, OUTLINED, ROAD, SIZE, converted, inside, picture, write_json
from PIL import Image, ImageDraw

import fastscnn_tf as fs
from fastscnn_tf.core.errors import DataError
from fastscnn_tf.data.convert.canvas import Canvas
from fastscnn_tf.data.convert.recognising import AUTO, find_format
from fastscnn_tf.data.convert.source import ImageHeader, Notes
from fastscnn_tf.data.convert.source_folder import SourceFolder

UPRIGHT = {3: lambda a: a[::-1, ::-1], 6: lambda a: np.rot90(a, -1), 8: lambda a: np.rot90(a)}


def drawn(ring) -> np.ndarray:
    """Pixels of a polygon with its outline, by Pillow."""
    image = Image.new("1", SIZE[::-1])
    ImageDraw.Draw(image).polygon([tuple(point) for point in ring], 1, 1)
    return np.array(image)


def shape_of(name, ring):
    return drawn(ring) if name in OUTLINED else inside([ring])


def names_of(report):
    return list(report.classes)


@pytest.mark.parametrize("name", MAKERS)
def test_recognised_and_drawn_as_defined(name, tmp_path):
    MAKERS[name](tmp_path / "in")
    report, labels = converted(tmp_path / "in", tmp_path / "out")
    assert report.format == name
    assert set(report.classes) == {"background", "road", "car"}
    wanted = annotated.expected(names_of(report), shape_of(name, ROAD), shape_of(name, CAR))
    np.testing.assert_array_equal(labels["a_1"], wanted)
    assert dict(zip(report.classes, np.bincount(wanted.ravel()), strict=True)) == report.classes
    found, _ = find_format(AUTO, SourceFolder(tmp_path / "in"))
    opened = found.open(SourceFolder(tmp_path / "in"))
    read_label, items = pickle.loads(
        pickle.dumps((opened.read_label, opened.items))
    )  # to processes
    again = read_label(items[0], ImageHeader(SIZE), Notes())
    np.testing.assert_array_equal(again, wanted)


@pytest.mark.parametrize("orientation", [3, 6, 8])
@pytest.mark.parametrize("name", MAKERS)
def test_exif(name, orientation, tmp_path):
    """Shapes noted at the stored size were drawn on it; where sizes say nothing, as the tool does.

    COCO's tools leave images as they are stored; the others turn them, YOLO always.
    """
    MAKERS[name](tmp_path / "in", orientation=orientation)
    if name == "yolo" and orientation != 3:
        pytest.skip("YOLO notes no size: the next test")
    report, labels = converted(tmp_path / "in", tmp_path / "out")
    wanted = annotated.expected(names_of(report), shape_of(name, ROAD), shape_of(name, CAR))
    if orientation != 3 or name == "coco":  # the noted size is the stored one, or the tool's way
        wanted = UPRIGHT[orientation](wanted)
    np.testing.assert_array_equal(labels["a_1"], wanted)
    assert any("EXIF turns the image" in reason for reason in report.notes.counts)


@pytest.mark.parametrize("name", sorted(set(MAKERS) - {"coco"}))
def test_exif_upright(name, tmp_path):
    """Stored lying, annotated standing: the noted size is the upright one, and nothing turns."""
    MAKERS[name](tmp_path / "in")
    for path in (tmp_path / "in").rglob("*.jpg"):
        picture(path, SIZE[::-1], orientation=6)
    report, labels = converted(tmp_path / "in", tmp_path / "out")
    wanted = annotated.expected(names_of(report), shape_of(name, ROAD), shape_of(name, CAR))
    np.testing.assert_array_equal(labels["a_1"], wanted)


@pytest.mark.parametrize("name", sorted(set(MAKERS) - {"yolo"}))
def test_another_size_is_refused(name, tmp_path):
    MAKERS[name](tmp_path / "in")
    for path in (tmp_path / "in").rglob("*.jpg"):
        picture(path, (41, 60))
    with pytest.raises(DataError, match=r"a_1: annotated at 40x60, but the image is 41x60"):
        fs.convert_dataset(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", MAKERS)
def test_images_that_are_not_there(name, tmp_path):
    MAKERS[name](tmp_path / "in")
    for path in (tmp_path / "in").rglob("*.jpg"):
        path.unlink()
    with pytest.raises(DataError, match=r"image to convert|no YAML"):
        fs.convert_dataset(tmp_path / "in", tmp_path / "out", format=name)


@pytest.mark.parametrize("name", sorted(set(MAKERS) - {"yolo", "cvat"}))
@pytest.mark.parametrize("bad", ["", "[", "{}", "[1]", '{"a": 1}', "[" * 100_000])
def test_json_that_is_none(name, bad, tmp_path):
    MAKERS[name](tmp_path / "in")
    for path in (tmp_path / "in").rglob("*.json"):
        path.write_text(bad)
    with pytest.raises(DataError) as error:
        fs.convert_dataset(tmp_path / "in", tmp_path / "out", format=name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("seed", range(8))
def test_any_rings_are_filled_by_centres(seed):
    """Crossing themselves, within each other, beyond the image, with corners on centres."""
    rng = np.random.default_rng(seed)
    rings = [
        (rng.integers(-60, 220, (int(rng.integers(3, 9)), 2)) / 2).tolist()
        for _ in range(int(rng.integers(1, 4)))
    ]
    canvas = Canvas(SIZE, 0, "x")
    canvas.fill(rings, 7)
    np.testing.assert_array_equal(canvas.label, inside(rings) * 7)


def test_masks_that_stand_over_the_edge():
    mask = np.ones((10, 10), bool)
    for top, left in ((-3, -4), (35, 55), (-20, 0), (0, 70), (40, 0), (-3, 55)):
        canvas = Canvas(SIZE, 0, "x")
        canvas.paste(mask, top, left, 1)
        wanted = np.zeros((100, 120), np.uint8)
        wanted[30 + top : 40 + top, 30 + left : 40 + left] = 1
        np.testing.assert_array_equal(canvas.label, wanted[30:70, 30:90])


# ----------------------------------------------------------------- labelme


def shapes(root, *found, **change):
    """A labelme file of such shapes; the label map, and the report."""
    annotated.labelme(root / "in", shapes=list(found), **change)
    report, labels = converted(root / "in", root / "out")
    return labels["a_1"], report


def shape(label, kind, *points, **more):
    return {"label": label, "shape_type": kind, "points": [list(p) for p in points], **more}


def test_labelme_shapes(tmp_path):
    mask = np.zeros((6, 8), bool)
    mask[1:5, 2:7] = True
    label, report = shapes(
        tmp_path,
        shape("road", "rectangle", (20, 30), (10, 5)),
        shape("car", "circle", (40, 20), (45, 20)),
        shape("__ignore__", "rectangle", (12, 6), (14, 8)),
        shape("_background_", "rectangle", (16, 6), (17, 7)),
        shape("car", "mask", (2, 3), (9, 8), mask=annotated.png_base64(mask)),
        shape("car", "line", (0, 0), (9, 9)),
        shape("pole", "point", (1, 1)),
    )
    wanted = np.zeros(SIZE, np.uint8)
    wanted[5:31, 10:21] = 3
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    wanted[(rows - 20) ** 2 + (columns - 40) ** 2 <= 25] = 1
    wanted[6:9, 12:15] = 255
    wanted[6:8, 16:18] = 0
    wanted[3:9, 2:10][mask] = 1
    assert list(report.classes) == ["background", "car", "pole", "road"]
    np.testing.assert_array_equal(label, wanted)
    assert report.notes.counts["line: it has no area, not drawn"] == 1
    assert report.notes.counts["point: it has no area, not drawn"] == 1


def test_a_background_of_the_source_is_the_background(tmp_path):
    _, report = shapes(
        tmp_path, shape("car", "circle", (9, 9), (12, 9)), shape("Background", "point")
    )
    assert list(report.classes) == ["Background", "car"]
    assert report.classes["Background"] > report.classes["car"] > 0


def test_labelme_order_of_labels_txt(tmp_path):
    annotated.labelme(tmp_path / "in")
    (tmp_path / "in" / "labels.txt").write_text("__ignore__\n_background_\nroad\n car\nsky\n")
    report, _ = converted(tmp_path / "in", tmp_path / "out")
    assert list(report.classes) == ["background", "road", "car", "sky"]
    assert "no pixel of: sky" in report.text()
    said = "a label that labels.txt lacks, a class behind those in it"
    assert said not in report.notes.counts
    (tmp_path / "in" / "labels.txt").write_text("road\nsky\n")
    report, _ = converted(tmp_path / "in", tmp_path / "out", force=True)
    assert list(report.classes) == ["background", "road", "sky", "car"]
    assert report.notes.examples[said] == ["car"]


@pytest.mark.parametrize("classes", [None, "Void,car=Car+car,*", "Car,road"])
def test_names_that_may_not_be_meant_so(classes, tmp_path):
    """Spaces around count for nothing; case does, which is said, as is a class Void."""
    names = ["road", "Car", "car", "car ", "Void"]
    found = [shape(n, "rectangle", (9 * i, 2), (9 * i + 4, 9)) for i, n in enumerate(names)]
    annotated.labelme(tmp_path / "in", shapes=found)
    report = fs.convert_dataset(tmp_path / "in", tmp_path / "out", classes=classes)
    said = "\n".join(report.notes.counts)
    one = "NAMES THAT DIFFER IN CASE OR SPACES ALONE ARE SEVERAL CLASSES: Car, car; --classes"
    assert (one in said) == (classes != "Void,car=Car+car,*")
    void = "'Void' IS A CLASS LIKE ANY OTHER; --classes background,Car,car,road makes it void"
    assert (void in said) == ("ignores such pixels" in said) == (classes is None)
    told = {
        None: {"background": (), "Car": (), "Void": (), "car": ("car", "car "), "road": ()},
        "Car,road": {"Car": (), "road": ()},
        "Void,car=Car+car,*": {"Void": (), "car": ("Car", "car", "car "), "background": ()},
    }
    assert list(report.classes) == [*told[classes], *(["road"] if "*" in str(classes) else [])]
    assert report.merged == {new: olds for new, olds in told[classes].items() if olds}
    if classes is None:
        assert report.classes["car"] == 2 * report.classes["Car"]


@pytest.mark.parametrize(
    "path", ["../a_1.jpg", "..\\a_1.jpg", "C:\\Users\\me\\a_1.jpg", "/x/a_1.jpg"]
)
def test_labelme_paths_of_other_machines(path, tmp_path):
    """Found by name within the folder, never outside it."""
    annotated.labelme(tmp_path / "in" / "json", imagePath=path)
    _, labels = converted(tmp_path / "in", tmp_path / "out")
    assert set(labels) == {"a_1"}
    (tmp_path / "in" / "json" / "a_1.jpg").rename(tmp_path / "a_1.jpg")
    with pytest.raises(DataError, match="the image is not there"):
        fs.convert_dataset(tmp_path / "in", tmp_path / "out2", format="labelme")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (shape("a", "polygon", (0, 0), (1e9, 0), (5, 5)), "coordinate 1000000000.0"),
        (shape("a", "polygon", (0, 0, 0), (1, 0, 0), (5, 5, 0)), "expected at least 3 of"),
        (shape("a", "polygon", (0, 0), (1,), (5, 5)), "expected at least 3 of"),
        (shape("a", "rectangle", (0, 0)), "a rectangle of 1 points, expected 2"),
        (shape("a", "star", (0, 0), (1, 1)), "unknown shape_type 'star', labelme has polygon"),
        (shape("a", "cuboid", *[(0, 0)] * 8), "unknown shape_type 'cuboid'"),
        (shape("a", "mask", (0, 0), (1, 1)), "a mask without its pixels"),
        (shape("a", "mask", (0, 0), (1, 1), mask="!!"), "not base64"),
        (shape("a", "mask", (0, 0), (1, 1), mask="AAAA"), "not a readable image"),
    ],
)
def test_labelme_bad_shapes(bad, said, tmp_path):
    with pytest.raises(DataError, match=said) as error:
        shapes(tmp_path, bad)
    assert "\n" not in str(error.value)


# ----------------------------------------------------------------- COCO


def test_coco_run_lengths_parts_and_crowds(tmp_path):
    rng = np.random.default_rng(3)
    blob, crowd = rng.random(SIZE) < 0.3, np.zeros(SIZE, bool)
    blob[20:] = False
    crowd[:, 25:50] = True
    parts = [[[5, 25], [15, 25], [15, 35], [5, 35]], [[8, 28], [12, 28], [12, 32], [8, 32]]]
    annotations = [
        {
            "image_id": 7,
            "category_id": 1,
            "segmentation": {
                "size": list(SIZE),
                "counts": annotated.coco_text(annotated.runs(blob.T.ravel())),
            },
        },
        {
            "image_id": 7,
            "category_id": 3,
            "segmentation": [np.ravel(part).tolist() for part in parts],
        },
        {
            "image_id": 7,
            "category_id": 3,
            "iscrowd": 1,
            "segmentation": {"size": list(SIZE), "counts": annotated.runs(crowd.T.ravel())},
        },
        {"image_id": 7, "category_id": 3, "segmentation": []},
        {"image_id": 7, "category_id": 3, "segmentation": [[1, 1, 2, 2]]},
        {"image_id": 99, "category_id": 3, "segmentation": []},
    ]
    annotated.coco(tmp_path / "in", annotations=annotations)
    report, labels = converted(tmp_path / "in", tmp_path / "out")
    wanted = np.where(crowd, 2, 0)  # crowds go below
    wanted[blob] = 1
    wanted[25:35, 5:15] = 2  # parts are joined: none is a hole
    np.testing.assert_array_equal(labels["a_1"], wanted)
    said = report.notes.counts
    assert said["crowds (iscrowd): drawn as their class, below all other objects"] == 1
    assert said["an object without an outline, not drawn"] == 1
    assert said["a polygon of fewer than 3 points, not drawn"] == 1
    assert said["annotations of images that are not listed, left out"] == 1


def test_coco_panoptic(tmp_path):
    picture(tmp_path / "in" / "val" / "a_1.jpg")
    numbers = np.zeros(SIZE, np.int64)
    numbers[10:20], numbers[20:] = 300, 70_000
    colors = np.stack([numbers % 256, numbers // 256 % 256, numbers // 65536], -1).astype(np.uint8)
    label = tmp_path / "in" / "panoptic_val" / "a_1.png"
    label.parent.mkdir()
    Image.fromarray(colors).save(label)
    content = {
        "images": [{"id": 1, "file_name": "a_1.jpg", "height": SIZE[0], "width": SIZE[1]}],
        "annotations": [
            {
                "image_id": 1,
                "file_name": "a_1.png",
                "segments_info": [
                    {"id": 300, "category_id": 5},
                    {"id": 70_000, "category_id": 2},
                ],
            }
        ],
        "categories": [
            {"id": 5, "name": "car", "color": [0, 0, 142], "isthing": 1},
            {"id": 2, "name": "road", "isthing": 0},
        ],
    }
    write_json(tmp_path / "in" / "panoptic_val.json", content)
    report, labels = converted(tmp_path / "in", tmp_path / "out")
    assert (list(report.classes), report.splits) == (["road", "car"], {"val": 1})
    wanted = np.full(SIZE, 255)
    wanted[10:20], wanted[20:] = 1, 0
    np.testing.assert_array_equal(labels["a_1"], wanted)
    assert fs.open_dataset("folder", tmp_path / "out", "val").labels.colors[1] == (0, 0, 142)
    content["annotations"][0]["segments_info"].pop()
    write_json(tmp_path / "in" / "panoptic_val.json", content)
    with pytest.raises(DataError, match="segment 70000 is not in segments_info"):
        fs.convert_dataset(tmp_path / "in", tmp_path / "out2")
    content["annotations"][0]["file_name"] = "../../secret.png"
    write_json(tmp_path / "in" / "panoptic_val.json", content)
    with pytest.raises(DataError, match="outside"):
        fs.convert_dataset(tmp_path / "in", tmp_path / "out2")


def test_coco_file_beside_its_images(tmp_path):
    """As the published ones: annotations/instances_train2017.json and train2017/."""
    annotated.coco(tmp_path / "in")
    (tmp_path / "in" / "annotations").mkdir()
    (tmp_path / "in" / "train2017").mkdir()
    (tmp_path / "in" / "a_1.jpg").rename(tmp_path / "in" / "train2017" / "a_1.jpg")
    file = tmp_path / "in" / "annotations" / "instances_train2017.json"
    (tmp_path / "in" / "annotations.json").rename(file)
    report, _ = converted(file, tmp_path / "out")
    assert report.splits == {"train": 1}
    (file.with_name("stuff_train2017.json")).write_bytes(file.read_bytes())
    with pytest.raises(DataError, match=r"as .*instances_train2017.json does: give the one file"):
        fs.convert_dataset(tmp_path / "in", tmp_path / "out2")


def segmentation(value):
    return [{"image_id": 7, "category_id": 1, "segmentation": value}]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (segmentation({"size": [40, 60], "counts": [2400, 1]}), "2,401 pixels, expected 60x40"),
        (segmentation({"size": [40, 60], "counts": [10**15]}), "absurdly many"),
        (segmentation({"size": [40, 60], "counts": [-1, 2401]}), "absurdly many"),
        (segmentation({"size": [10**6, 10**6], "counts": [10**12]}), "expected"),
        (segmentation({"size": [40, 60], "counts": "~~"}), "damaged"),
        (segmentation({"size": [40, 60], "counts": "P" * 20}), "damaged"),
        (segmentation({"size": [40, 60], "counts": "P" * 20 + "0"}), "absurd"),
        (segmentation("no"), "a segmentation that is none"),
        (segmentation([[0, 0, 1, 1, 2]]), "1 times a polygon of fewer than 3 points, not drawn: l"),
        (segmentation([[0, 0, 1, 1, 2, 2, 3]]), "expected at least 3"),
        (segmentation([[0, 0, 1e308, 1, 2, 2]]), "coordinate"),
        ([{"image_id": 7, "category_id": 77}], "category 77, which is not listed"),
    ],
)
def test_coco_bad_annotations(bad, said, tmp_path):
    annotated.coco(tmp_path / "in", annotations=bad)
    with pytest.raises(DataError, match=said):
        fs.convert_dataset(tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize("name", ["coco", "yolo", "labelme", "cvat", "nothing"])
def test_what_outlines_nothing_is_refused(name, tmp_path):
    """Boxes, lines and points alone would all be background."""
    root, said = tmp_path / "in", "not drawn: label maps are made of polygons"
    if name == "coco":
        boxes = [{"image_id": 7, "category_id": 3, "bbox": [1, 1, 9, 9], "iscrowd": 0}] * 3
        annotated.coco(root, annotations=boxes)
        said = f"3 times an object without an outline, {said}"
    elif name == "yolo":
        annotated.yolo(root)
        (root / "labels" / "train" / "a_1.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    elif name == "labelme":
        annotated.labelme(root, shapes=[shape("car", "line", (0, 0), (9, 9))])
    elif name == "cvat":
        annotated.cvat(root)
        line = '<polyline label="car" points="1,1;9,9"/>'
        (root / "annotations.xml").write_text(annotated.cvat_text(line))
    else:
        annotated.coco(root, annotations=[])
        said = "1 times an image without annotations: all background: label maps"
    with pytest.raises(DataError, match=f"every pixel would be background: .*{said}"):
        fs.convert_dataset(root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_polygon_with_absurdly_many_edges(tmp_path, monkeypatch):
    zigzag = [c for i in range(200_000) for c in (i % 60, 40 * (i % 2))]
    annotated.coco(tmp_path / "in", annotations=segmentation([zigzag]))
    with pytest.raises(DataError, match="rows of pixels: refused"):
        fs.convert_dataset(tmp_path / "in", tmp_path / "out")
    monkeypatch.setattr("fastscnn_tf.data.convert.canvas.LOOKS", 4 * 20)  # 4 points in 21 rows
    annotated.labelme(tmp_path / "drawn")
    with pytest.raises(DataError, match="a_1: a shape of 4 points: refused"):
        fs.convert_dataset(tmp_path / "drawn", tmp_path / "out")


@pytest.mark.parametrize("link", [False, True])
def test_labelme_pictures_that_are_in_the_json_alone(link, tmp_path):
    """Written out as they are; what is not an image stops it, or is left out if asked."""
    root, said = tmp_path / "in", "the image is no file: it was taken out of the JSON (imageData)"
    content = picture(tmp_path / "x.jpg").read_bytes()
    annotated.labelme(root, "a_1.jpg", imageData=base64.b64encode(content).decode())
    annotated.labelme(root, "b_1.heic.jpg", imagePath="gone.heic", imageData="aGVsbG8=")
    for path in root.glob("*.jpg"):
        path.unlink()
    with pytest.raises(DataError, match=r"b_1\.heic\.png: not a readable image"):
        fs.convert_dataset(root, tmp_path / "out", split=(1,))
    report, labels = converted(root, tmp_path / "out", split=(1,), link=link, skip_bad=True)
    assert set(labels) == {"a_1"} and np.unique(labels["a_1"]).tolist() == [0, 1, 2]
    assert report.notes.examples[said] == ["a_1.json", "b_1.heic.json"]
    assert (tmp_path / "out" / "images" / "train" / "a_1.jpg").read_bytes() == content


def test_coco_from_labelme_has_one_background(tmp_path):
    listed = [{"id": i, "name": n} for i, n in enumerate(("_background_", "road", "x", "car"))]
    annotated.coco(tmp_path / "in", categories=listed)
    report, labels = converted(tmp_path / "in", tmp_path / "out", split=(1,))
    assert list(report.classes) == ["_background_", "road", "x", "car"]
    assert np.unique(labels["a_1"]).tolist() == [0, 1, 3]


def test_coco_ids_are_unique(tmp_path):
    images = [{"id": 7, "file_name": name} for name in ("a_1.jpg", "b_1.jpg")]
    annotated.coco(tmp_path / "in", images=images)
    with pytest.raises(DataError, match="several images have the id 7"):
        fs.convert_dataset(tmp_path / "in", tmp_path / "out")


def test_yolo_asks_which_of_several_descriptions_is_meant(tmp_path):
    annotated.yolo(tmp_path / "in")
    (name,) = (tmp_path / "in").glob("*.yaml")
    (tmp_path / "in" / "another.yaml").write_text(name.read_text())
    with pytest.raises(DataError, match=r"another\.yaml and .* both describe a data set: give the"):
        fs.convert_dataset(tmp_path / "in", tmp_path / "out")
    assert fs.convert_dataset(name, tmp_path / "out").format == "yolo"


def test_coco_categories_of_one_name(tmp_path):
    """Roboflow lists a supercategory that is called as its only class."""
    categories = [{"id": 1, "name": "road"}, {"id": 2, "name": "car"}, {"id": 3, "name": "car"}]
    annotated.coco(tmp_path / "in", categories=categories)
    report, _ = converted(tmp_path / "in", tmp_path / "out")
    assert list(report.classes) == ["background", "road", "car"]
    assert report.notes.counts["several categories of one name, merged"] == 1


def test_coco_categories_of_one_id(tmp_path):
    categories = [{"id": 1, "name": "road"}, {"id": 3, "name": "car"}, {"id": 3, "name": "bus"}]
    annotated.coco(tmp_path / "in", categories=categories)
    with pytest.raises(DataError, match="the categories 'car' and 'bus' have one id, 3: give each"):
        fs.convert_dataset(tmp_path / "in", tmp_path / "out")


# ----------------------------------------------------------------- CVAT


@pytest.mark.parametrize("place", ["images", "deeper/images"])
def test_cvat_subsets_are_folders(place, tmp_path):
    """As a project is exported: several images of one name, told apart by their subset."""
    texts = []
    for subset, shift in (("train", 0), ("validation", 10), ("night", 20)):
        picture(tmp_path / "in" / place / subset / "a_1.jpg", seed=shift)
        ring = [[x + shift, y] for x, y in CAR]
        shapes = annotated.cvat_polygon("car", ring, 0)
        text = annotated.cvat_text(shapes).replace('name="a_1', f'subset="{subset}" name="a_1')
        texts.append(text[text.index("<image") : text.index("</annotations>")])
    whole = annotated.cvat_text("")
    whole = whole[: whole.index("<image")] + "".join(texts) + "</annotations>"
    (tmp_path / "in" / "annotations.xml").write_text(whole)
    report = fs.convert_dataset(tmp_path / "in", tmp_path / "out")
    assert report.splits == {"train": 2, "val": 1}
    wanted = inside([[[x + 10, y] for x, y in CAR]]) * 2
    np.testing.assert_array_equal(fs.open_dataset("folder", tmp_path / "out", "val")[0][1], wanted)


def cvat(root, elements, **more):
    picture(root / "in" / "images" / "a_1.jpg")
    (root / "in" / "annotations.xml").write_text(annotated.cvat_text(elements, **more))
    report, labels = converted(root / "in", root / "out", format="cvat")
    return labels["a_1"], report


def test_cvat_shapes(tmp_path):
    mask = np.random.default_rng(1).random((6, 9)) < 0.5
    counts = ", ".join(map(str, annotated.runs(mask.ravel())))
    label, report = cvat(
        tmp_path,
        f'<mask label="car" rle="{counts}" left="50" top="3" width="9" height="6" z_order="1"/>'
        '<box label="road" xtl="4.0" ytl="5.0" xbr="14.0" ybr="15.0" z_order="0"/>'
        '<box label="car" xtl="20" ytl="20" xbr="40" ybr="30" rotation="90.0" z_order="0"/>'
        '<ellipse label="road" cx="50" cy="30" rx="5" ry="3" z_order="0"/>'
        '<polyline label="road" points="1,1;2,2" z_order="9"/>'
        '<hexagon label="new" points="1,1;2,2" z_order="9"/>',
    )
    wanted = np.zeros(SIZE, np.uint8)
    wanted[5:15, 4:14] = 1
    wanted[15:35, 25:35] = 2  # turned around its middle
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    wanted[((rows - 30) / 3) ** 2 + ((columns - 50) / 5) ** 2 <= 1] = 1
    wanted[3:9, 50:59][mask] = 2
    np.testing.assert_array_equal(label, wanted)
    assert list(report.classes) == ["background", "road", "car", "new"]
    assert report.notes.counts["polyline: it has no area, not drawn"] == 1
    assert report.notes.counts["hexagon: a shape that is not known, not drawn"] == 1
    labels = fs.open_dataset("folder", tmp_path / "out", "train").labels
    assert labels.colors == ((0, 0, 0), (128, 64, 128), (0, 0, 142), labels.colors[3])


BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ('<mask label="car" rle="1, 2" left="0" top="0" width="99999" height="9"/>', "a mask of"),
        ('<mask label="car" rle="1, x" left="0" top="0" width="9" height="9"/>', "whole numbers"),
        ('<mask label="car" rle="1, 2" left="0" top="0" width="9" height="9"/>', "of 3 pixels"),
        ('<mask label="car" left="0" top="0" width="9" height="9"/>', "whole numbers"),
        ('<polygon label="car" points="1,2;3,nan;4,5"/>', "coordinate nan"),
        ('<polygon label="car" points="1,2;3;4,5"/>', "expected at least 3"),
        ('<polygon label="car"/>', "expected at least 3"),
        ('<box label="car" xtl="1" ytl="inf" xbr="3" ybr="4"/>', "ytl='inf', expected a number"),
        ('<box label="car" xtl="1"/>', "ytl=None, expected a number"),
        ("<box", "not valid XML"),
    ],
)
def test_cvat_bad_shapes(elements, said, tmp_path):
    with pytest.raises(DataError, match=said) as error:
        cvat(tmp_path, elements)
    assert "\n" not in str(error.value)


def test_cvat_entities_and_videos_are_refused(tmp_path):
    annotated.cvat(tmp_path / "in")
    path = tmp_path / "in" / "annotations.xml"
    text = path.read_text()
    path.write_text(text.replace("<annotations>", f"{BOMB}<annotations>"))
    with pytest.raises(DataError, match="a document type in it"):
        fs.convert_dataset(tmp_path / "in", tmp_path / "out")
    path.write_text(text.replace("</annotations>", '<track id="0"></track></annotations>'))
    with pytest.raises(DataError, match="tracks of a video"):
        fs.convert_dataset(tmp_path / "in", tmp_path / "out")


# ----------------------------------------------------------------- YOLO


def test_yolo_masks_dir(tmp_path, capfd):
    label = np.random.default_rng(0).integers(0, 3, SIZE).astype(np.uint8)
    label[0] = 255
    for split, name in (("train", "a_1"), ("val", "b_1"), ("val", "c_1")):
        picture(tmp_path / "in" / "images" / split / f"{name}.jpg")
        if name != "c_1":
            path = tmp_path / "in" / "masks" / split / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(label).save(path)
    yaml = "path: /home/me/data\ntrain: images/train\nval: images/val\nmasks_dir: masks\n"
    (tmp_path / "in" / "d.yaml").write_text(f"{yaml}nc: 3\nnames: [road, car, sky]\n")
    report, labels = converted(tmp_path / "in", tmp_path / "out")
    assert (report.format, report.splits) == ("yolo", {"train": 1, "val": 1})
    assert list(report.classes) == ["road", "car", "sky"]
    np.testing.assert_array_equal(labels["b_1"], label)
    assert report.notes.counts["an image without a mask, left out"] == 1
    assert "there is no /home/me/data: its folders are taken from" in capfd.readouterr().err


def test_yolo_lists_boxes_and_background(tmp_path):
    annotated.yolo(tmp_path / "in")
    picture(tmp_path / "in" / "images" / "train" / "empty.jpg")
    text = tmp_path / "in" / "labels" / "train" / "a_1.txt"
    text.write_text(text.read_text() + "\n1 0.5 0.5 0.1 0.1\n\n")
    (tmp_path / "in" / "train.txt").write_text(
        "./images/train/a_1.jpg\nimages/train/empty.jpg\nx.jpg"
    )
    (tmp_path / "in" / "data.yaml").write_text("train: train.txt\nnames: [road, car]\n")
    report, labels = converted(tmp_path / "in", tmp_path / "out")
    assert list(report.classes) == ["road", "car", "background"]
    assert (labels["empty"] == 2).all()
    assert report.notes.counts["a box, no polygon: not drawn"] == 1
    assert report.notes.counts["no text file of polygons: all background"] == 1
    assert report.notes.examples["the image is not there, left out"] == ["x.jpg"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0 0.1 0.1 0.2 x 0.3 0.3", "line 1: expected a class and x y pairs"),
        ("2 0.1 0.1 0.2 0.2 0.3 0.3", "class 2, expected 0..1"),
        ("0.5 0.1 0.1 0.2 0.2 0.3 0.3", "class 0.5, expected"),
        ("0 0.1 0.1 0.2 0.2 0.3", "5 numbers, expected at least 3 x y pairs"),
        ("0 10 10 20 20 30 30", "coordinates must be 0..1, got 10.0..30.0"),
        ("0 nan 0.1 0.2 0.2 0.3 0.3", "coordinates must be 0..1"),
    ],
)
def test_yolo_bad_lines(line, said, tmp_path):
    annotated.yolo(tmp_path / "in")
    (tmp_path / "in" / "labels" / "train" / "a_1.txt").write_text(line)
    with pytest.raises(DataError, match=said):
        fs.convert_dataset(tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("{1: a, 2: b}", "count up from 0"),
        ("[]", "count up"),
        ("[a, a]", "must be unique"),
        ("[a, on]", "write such a name in quotes"),
        ("[a, b]\nnc: 3", "nc: 3, but there are 2 names"),
        ("[a, b]\nkpt_shape: [17, 2]", "key points"),
    ],
)
def test_yolo_bad_names(names, said, tmp_path):
    annotated.yolo(tmp_path / "in")
    (tmp_path / "in" / "data.yaml").write_text(f"train: images/train\nnames: {names}\n")
    with pytest.raises(DataError, match=said):
        fs.convert_dataset(tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize("masks", [False, True])
def test_yolo_of_one_folder_for_two_splits(masks, tmp_path):
    annotated.yolo(tmp_path / "in")
    if masks:
        (tmp_path / "in" / "masks" / "train").mkdir(parents=True)
        Image.fromarray(np.eye(*SIZE, dtype=np.uint8)).save(tmp_path / "in/masks/train/a_1.png")
    yaml = "train: images/train\nval: ./images/train/\nnames: [road, car]\n"
    (tmp_path / "in" / "data.yaml").write_text(yaml + "masks_dir: masks\n" * masks)
    report = fs.convert_dataset(tmp_path / "in", tmp_path / "out")
    assert report.splits == {"train": 1}
    said = "TRAIN AND VAL ARE ONE FOLDER IN THE YAML: its images are train alone"
    assert report.notes.examples[said] == ["images/train"]
    assert not any("annotated twice" in text for text in report.notes.counts)


# ----------------------------------------------------------------- Supervisely


@pytest.mark.parametrize("kind", ["bitmap", "alpha_mask"])
def test_supervisely_holes_and_bitmaps(kind, tmp_path):
    mask = np.random.default_rng(2).random((7, 5)) < 0.5
    hole = [[14, 10], [20, 10], [20, 16], [14, 16]]
    objects = [
        {
            "classTitle": "road",
            "geometryType": "polygon",
            "points": {"exterior": CAR, "interior": [hole]},
        },
        {
            "classTitle": "car",
            "geometryType": kind,
            "bitmap": {"data": annotated.bitmap_base64(mask), "origin": [50, 30]},
        },
        {
            "classTitle": "car",
            "geometryType": "rectangle",
            "points": {"exterior": [[0, 0], [3, 2]], "interior": []},
        },
        {"classTitle": "lane", "geometryType": "line", "points": {"exterior": [[0, 0], [3, 2]]}},
    ]
    annotated.supervisely(tmp_path / "in", objects=objects)
    report, labels = converted(tmp_path / "in", tmp_path / "out")
    wanted = np.zeros(SIZE, np.uint8)
    wanted[5:26, 10:31] = 1
    wanted[10:17, 14:21] = 0
    wanted[30:37, 50:55][mask] = 2
    wanted[0:3, 0:4] = 2
    np.testing.assert_array_equal(labels["a_1"], wanted)
    assert list(report.classes) == ["background", "road", "car", "lane"]
    assert report.notes.counts["line: it has no area that is known, not drawn"] == 1


@pytest.mark.parametrize(
    ("data", "said"), [("!", "damaged"), ("AAAA", "damaged"), ("eJwDAAAAAAE=", "not a readable")]
)
def test_supervisely_bad_bitmaps(data, said, tmp_path):
    bitmap = {"data": data, "origin": [0, 0]}
    objects = [{"classTitle": "car", "geometryType": "bitmap", "bitmap": bitmap}]
    annotated.supervisely(tmp_path / "in", objects=objects)
    with pytest.raises(DataError, match=said):
        fs.convert_dataset(tmp_path / "in", tmp_path / "out")


def test_supervisely_bitmap_bomb(tmp_path):
    data = base64.b64encode(zlib.compress(b"\0" * (65 << 20))).decode()
    objects = [{"classTitle": "car", "bitmap": {"data": data, "origin": [0, 0]}}]
    annotated.supervisely(tmp_path / "in", objects=objects)
    with pytest.raises(DataError, match="more than 67,108,864 bytes: refused"):
        fs.convert_dataset(tmp_path / "in", tmp_path / "out")


# ----------------------------------------------------------------- Label Studio


def result(value, **more):
    return {"original_width": SIZE[1], "original_height": SIZE[0], "value": value, **more}


def test_label_studio_regions(tmp_path):
    mask = np.zeros(SIZE, bool)
    mask[3:9, 50:58] = True
    mask[20, 7] = True
    results = [
        result({"x": 50, "y": 50, "width": 10, "height": 20, "rectanglelabels": ["road"]}),
        result({"x": 20, "y": 25, "radiusX": 5, "radiusY": 10, "ellipselabels": ["road"]}),
        result({"format": "rle", "rle": annotated.brush(mask), "brushlabels": ["car"]}),
        result({"choices": ["sunny"]}, type="choices"),
    ]
    annotated.label_studio(tmp_path / "in", results=results)
    report, labels = converted(tmp_path / "in", tmp_path / "out")
    wanted = np.zeros(SIZE, np.uint8)
    wanted[20:28, 30:36] = 2
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    wanted[((rows - 10) / 4) ** 2 + ((columns - 12) / 3) ** 2 <= 1] = 2
    wanted[mask] = 1
    np.testing.assert_array_equal(labels["a_1"], wanted)
    assert report.notes.counts["a result without a label (choices), not drawn"] == 1


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (result({"rle": [0, 0, 0, 9, 0], "brushlabels": ["a"]}), "damaged"),
        (result({"rle": [255] * 100, "brushlabels": ["a"]}), "4,294,967,295 bytes, expected 9,600"),
        (result({"rle": annotated.brush(np.eye(40, 60))[:-9], "brushlabels": ["a"]}), "damaged"),
        (result({"rle": [256], "brushlabels": ["a"]}), "damaged"),
        (result({"points": [[0, 0], [1]] * 3, "polygonlabels": ["a"]}), "not .x, y. pairs"),
        (result({"rectanglelabels": ["a"]}), "coordinate nan"),
        (result({"points": [], "polygonlabels": ["a"]}, image_rotation=90), "turned by 90"),
    ],
)
def test_label_studio_bad_regions(bad, said, tmp_path):
    annotated.label_studio(tmp_path / "in", results=[bad])
    with pytest.raises(DataError, match=said):
        fs.convert_dataset(tmp_path / "in", tmp_path / "out")


def test_label_studio_tasks(tmp_path):
    annotated.label_studio(tmp_path / "in")
    path = tmp_path / "in" / "export.json"
    (task,) = json.loads(path.read_text())
    picture(tmp_path / "in" / "b 1.jpg")
    other = {"id": 2, "data": {"text": "b", "image": "/data/local-files/?d=x%2Fb%201.jpg"}}
    again = [{"result": [], "was_cancelled": True}, *task["annotations"], {"result": []}]
    empty = {"id": 3, "data": {"image": "b 1.jpg"}, "annotations": []}
    write_json(path, [task, {**other, "annotations": again}, empty])
    report, labels = converted(tmp_path / "in", tmp_path / "out")
    np.testing.assert_array_equal(labels["b 1"], labels["a_1"])
    assert report.notes.counts["several annotations of a task: the first was taken"] == 1
    assert report.notes.counts["a task without annotation, left out"] == 1


def test_label_studio_regions_of_several_labels(tmp_path):
    value = {"points": [[0, 0], [50, 0], [50, 50]], "polygonlabels": ["b", "a"]}
    annotated.label_studio(tmp_path / "in", results=[result(value)])
    report = fs.convert_dataset(tmp_path / "in", tmp_path / "out")
    assert list(report.classes) == ["background", "a", "b"]
    assert report.classes["b"] > report.classes["a"] == 0
    assert report.notes.counts["a region with the labels b, a: drawn as b, its first"] == 1


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"id": 1, "image": "a_1.jpg", "label": [], "annotator": 1}, "JSON-MIN of Label Studio"),
        ({"annotations": [], "predictions": [{}]}, "but with predictions: accept them in"),
        ({"predictions": [{}]}, "but with predictions: accept them in"),
    ],
)
def test_label_studio_exports_without_annotations(task, said, tmp_path):
    picture(tmp_path / "in" / "a_1.jpg")
    told = task if "image" in task else {"data": {"image": "a_1.jpg"}, **task}
    write_json(tmp_path / "in" / "export.json", [told])
    with pytest.raises(DataError, match=said):
        fs.convert_dataset(tmp_path / "in", tmp_path / "out")
