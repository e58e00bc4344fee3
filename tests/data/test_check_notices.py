"""What `check_dataset` notices though every file can be read: one fault at a time, in files."""

import io
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fastscnn_tf as fs
from fastscnn_tf.core.class_maps import match_classes
from fastscnn_tf.core.errors import DataError
from fastscnn_tf.core.images.decoding import look_at
from fastscnn_tf.core.images.pixels import turned
from fastscnn_tf.core.labels import CITYSCAPES, LabelSpace
from fastscnn_tf.data.check.appearance import better_fit, find_alike, thumbnail
from fastscnn_tf.data.check.findings import KINDS
from fastscnn_tf.data.check.usable import open_usable, usable
from fastscnn_tf.data.datasets.registry import open_dataset
from fastscnn_tf.data.datasets.toy_streets import ToyStreets

SIZE = (96, 160)
SPLITS = "splits:\n" + "".join(
    f"  {split}: {{images: {split}/images, labels: {split}/labels}}\n" for split in ("train", "val")
)


def scenes(root, classes, change=lambda label: label, splits=(("train", 0, 4), ("val", 4, 7))):
    """An own data set of toy scenes whose label maps are changed; `classes` is the YAML's line."""
    toy = ToyStreets("train", SIZE)
    for split, start, stop in splits:
        for index in range(start, stop):
            image, label = toy.read(index)
            put(root / split / "images" / f"{index}.jpg", image, quality=95)
            put(root / split / "labels" / f"{index}.png", change(label))
    (root / "dataset.yaml").write_text(f"classes: {classes}\n{SPLITS}")
    return root


def put(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, **options)
    return path


def found(report):
    return {kind: count for kind, count in report.totals.items() if count}


def first(report, kind):
    return next(f for f in (*report.findings, *report.warnings) if f.kind == kind)


def of(table):
    """Label maps by a table from toy classes to values."""
    return lambda label: np.array(table, np.uint8)[label]


NAMES = list(ToyStreets("train", SIZE).labels.names)
TWO = "[background, road]"
ROAD = [255, 0, 0, 0, 0, 0, 0, 0, 0]  # toy class 0 is the road


def test_the_page_names_every_kind():
    page = (Path(__file__).parents[2] / "docs" / "data-check.md").read_text()
    assert [kind for kind in KINDS if f"`{kind}`" not in page] == []


# --- classes and values ------------------------------------------------------------------------


def test_masks_of_0_and_255(tmp_path):
    report = fs.check_dataset("folder", scenes(tmp_path, TWO, of(ROAD)))
    assert found(report) == {"label-table": 2, "one-class": 2}
    table = first(report, "label-table")
    assert "0 and 255 alone, as in masks" in table.message
    line = re.search(r"classes: .*", table.mend)[0]
    (tmp_path / "dataset.yaml").write_text(f"{line}\n{SPLITS}")
    assert found(fs.check_dataset("folder", tmp_path)) == {}  # the line mends it
    text = report.text()
    assert "SPLITS IN WHICH ONLY ONE CLASS OCCURS: 2" in text
    assert f"  mend: {table.mend}" in text
    assert f"  means: {KINDS['label-table'].means}" in text
    (tmp_path / "dataset.yaml").write_text(f"classes: [road]\n{SPLITS}")
    with pytest.raises(DataError, match="expected 2 to 254 classes, got 1: what is none") as error:
        fs.check_dataset("folder", tmp_path)
    line = str(error.value)[str(error.value).index("classes: [") :]
    (tmp_path / "dataset.yaml").write_text(f"{line}\n{SPLITS}")
    assert found(fs.check_dataset("folder", tmp_path)) == {}


@pytest.mark.parametrize(
    ("factor", "count", "said"),
    [
        (85, 4, "samples of 2 bits"),
        (17, 9, "samples of 4 bits"),
        (20, 9, "times 20"),
        (127.5, 3, "times 127.5"),
        (63.75, 5, "times 63.75"),
    ],
)
def test_values_that_are_indices_times_a_number(tmp_path, factor, count, said):
    names = json.dumps(NAMES[:count])
    table = [int(min(i, count - 1) * factor) for i in range(9)]
    report = fs.check_dataset("folder", scenes(tmp_path, names, of(table)))
    problem = first(report, "label-table")
    assert said in problem.message
    (tmp_path / "dataset.yaml").write_text(f"{problem.mend.partition(': ')[2]}\n{SPLITS}")
    assert found(fs.check_dataset("folder", tmp_path)) == {}


def test_values_from_1_with_0_for_nothing(tmp_path):
    report = fs.check_dataset("folder", scenes(tmp_path, json.dumps(NAMES[:8]), lambda x: x))
    problem = first(report, "label-table")
    assert "from 0 to 8: one more than there are classes" in problem.message
    assert "void: [0]" in problem.mend


@pytest.mark.parametrize("named_ids", [True, False])
def test_train_ids_named_label_ids_and_the_reverse(tmp_path, named_ids):
    ids, order = CITYSCAPES.raw_values, [0, 1, 2, 8, 10, 13, 11, 5, 7]  # of the toy classes
    values = [order[i] if named_ids else ids[order[i]] for i in range(9)]
    declared = zip(CITYSCAPES.names, ids if named_ids else range(19), strict=True)
    void = "\nvoid: [0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18]" if named_ids else ""
    classes = json.dumps([{"name": n, "value": v} for n, v in declared]) + void
    problem = first(
        fs.check_dataset("folder", scenes(tmp_path, classes, of(values))), "label-table"
    )
    assert f"are Cityscapes' {'trainIds' if named_ids else 'labelIds'}" in problem.message
    place, line, void = re.match(r"(.*?: )(classes: .*}]) and (void: .*])", problem.mend).groups()
    assert place == "in dataset.yaml (--dataset folder): "
    assert ("in place of the one there" in problem.mend) == named_ids
    (tmp_path / "dataset.yaml").write_text(f"{line}\n{void}\n{SPLITS}")
    mended = fs.check_dataset("folder", tmp_path)  # its 19 classes, of which toy scenes have 9
    assert found(mended) == {"never": 2}
    assert sum(pixels > 0 for pixels in mended.splits[0].pixels) == 9


def test_right_tables_are_left_alone(tmp_path):
    """Values with gaps, one of them 255, a void border, and a class that is not in each map."""
    values = [0, 40, 80, 120, 160, 200, 240, 5, 255]
    classes = json.dumps([{"name": n, "value": v} for n, v in zip(NAMES, values, strict=True)])
    assert found(fs.check_dataset("folder", scenes(tmp_path, classes, of(values)))) == {}


def test_palettes_that_contradict(tmp_path):
    space = ToyStreets("train", SIZE).labels
    classes = [{"name": n, "color": c} for n, c in zip(space.names, space.colors, strict=True)]
    swapped = list(space.colors)
    swapped[0], swapped[5] = swapped[5], swapped[0]  # road and car

    def paint(colors):
        def change(label):
            image = Image.fromarray(label)
            image.putpalette(np.array(colors, np.uint8).tobytes())
            return image

        return change

    assert (
        found(
            fs.check_dataset("folder", scenes(tmp_path, json.dumps(classes), paint(space.colors)))
        )
        == {}
    )
    other = [(i * 25, i, i * 3) for i in range(9)]  # of another program: says nothing
    assert (
        found(fs.check_dataset("folder", scenes(tmp_path, json.dumps(classes), paint(other)))) == {}
    )
    report = fs.check_dataset("folder", scenes(tmp_path, json.dumps(classes), paint(swapped)))
    assert found(report) == {"label-palette": 2}
    assert "value 0 is road, in the palette it has the colour of car" in report.findings[0].message
    assert '{name: "road", value: 5}' in report.findings[0].mend
    more = [*classes, {"name": "tram", "color": [9, 9, 9]}]  # which cars have the colour of
    colors = [
        (9, 9, 9) if name == "car" else color
        for name, color in zip(space.names, space.colors, strict=True)
    ]
    report = fs.check_dataset("folder", scenes(tmp_path, json.dumps(more), paint(colors)))
    line = re.search(r"classes: .*", first(report, "label-palette").mend)[0]
    (tmp_path / "dataset.yaml").write_text(f"{line}\n{SPLITS}")
    (never, _) = fs.check_dataset("folder", tmp_path).findings
    assert never.message.startswith("car never occurs")


def test_values_from_1(tmp_path):
    report = fs.check_dataset("folder", scenes(tmp_path, json.dumps(NAMES), of(range(1, 10))))
    table = first(report, "label-table")
    assert table.message == "the values go from 1 to 9: class indices begin at 0"
    line = re.search(r"classes: .*", table.mend)[0]
    (tmp_path / "dataset.yaml").write_text(f"{line}\n{SPLITS}")
    assert found(fs.check_dataset("folder", tmp_path)) == {}


def test_a_class_that_never_occurs_and_mass_void(tmp_path):
    names = json.dumps([*NAMES, "tram"])
    report = fs.check_dataset("folder", scenes(tmp_path, names))
    assert found(report) == {"never": 2}
    assert first(report, "never").message == "tram never occurs in 4 label maps"
    names = json.dumps([*NAMES[:3], "tram", *NAMES[3:]])
    moved = of([i + (i >= 3) for i in range(len(NAMES))])
    before = fs.check_dataset("folder", scenes(tmp_path, names, moved))
    line = re.search(r"classes: .*", first(before, "never").mend)[0]
    (tmp_path / "dataset.yaml").write_text(f"{line}\n{SPLITS}")
    after = fs.check_dataset("folder", tmp_path)
    assert found(after) == {}  # without the class, and each of the others still is what it was
    for one, other in zip(before.splits, after.splits, strict=True):
        assert [pixels for pixels in one.pixels if pixels] == list(other.pixels)
    void = [0, 1, 255, 255, 255, 2, 3, 4, 5]  # buildings, trees and sky: about half of it
    classes = json.dumps([n for i, n in enumerate(NAMES) if void[i] != 255])
    report = fs.check_dataset("folder", scenes(tmp_path, classes, of(void)))
    shares = {s.split: s.void_share for s in report.splits}
    assert found(report) == {"mass-void": sum(share > 0.5 for share in shares.values())}
    assert max(shares.values()) > 0.5 > 0
    # What is published is as it is: named in the table, no finding.
    toy = fs.check_dataset("toy", splits=["val"], workers=2)
    assert found(toy) == {}


def test_training_and_scoring_say_it_once(tmp_path, capsys):
    root = scenes(tmp_path, TWO, of(ROAD))
    for _ in range(2):  # what is remembered is said again
        open_usable("folder", root, "val")
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        said = (
            "split 'val': ONLY ONE CLASS OCCURS in 3 label maps: background, never road: EVERY SC"
        )
        assert said in err
    for split in ("train", "val"):
        open_usable("folder", root, split, val_split=0.4)
    assert capsys.readouterr().err.count("ONLY ONE CLASS") == 1
    scenes(tmp_path, json.dumps([*NAMES, "tram", "bus"]))
    open_usable("folder", root, "train")
    err = capsys.readouterr().err
    assert "split 'train': tram, bus never occur in 4 label maps: they are not learnt" in err
    lines = []
    usable(open_dataset("toy", None, "val"), warn=lines.append)
    assert lines == []


@pytest.mark.parametrize(
    ("exclude", "idle"),
    [("[no_*, '1.*', sub/*]", ["no_*", "sub/*"]), ("'6.png'", []), ("'?.PNG'", ["?.PNG"])],
)
def test_patterns_that_leave_nothing_out(exclude, idle, tmp_path):
    """In any split: the first fits in one, or a label map alone."""
    root = scenes(tmp_path, json.dumps(NAMES))
    with (root / "dataset.yaml").open("a") as file:
        file.write(f"exclude: {exclude}\n")
    report = fs.check_dataset("folder", root)
    told = [f.message for f in report.findings if f.kind == "exclude"]
    assert told == [f"exclude: {pattern!r} fits no file" for pattern in idle]


def test_scores_say_of_which_classes_they_are():
    from fastscnn_tf.core.scores.confusion import scores
    from fastscnn_tf.scoring.evaluation_result import Evaluation

    def evaluation(matrix):
        result = scores(np.array(matrix))
        iou = dict(zip(("sky", "road", "car"), result.class_iou, strict=True))
        times, details = {"median": 1.0, "p90": 1.0}, {"input_size": "96x160"}
        return Evaluation(result.miou, result.pixel_accuracy, iou, 1, times, "one", details, result)

    perfect = evaluation([[9, 0, 0], [0, 0, 0], [0, 0, 0]])
    assert (perfect.miou, perfect.never) == (1.0, ["road", "car"])
    assert perfect.to_dict()["never"] == ["road", "car"]
    assert "never in the labels: road, car; mean IoU is that of the classes" in str(perfect)
    assert "mean IoU of 1 of 3 classes  100.0" in str(perfect)
    # Predicted where it is not, a class counts, as in cityscapesScripts.
    wrong = evaluation([[8, 1, 0], [0, 0, 0], [0, 0, 5]])
    assert "never in the labels: road; " in str(wrong)
    for whole in (wrong, evaluation(np.eye(3, dtype=int))):
        assert "mean IoU  " in str(whole)
    assert "never" not in str(whole)


def test_classes_of_a_model_in_another_order(tmp_path):
    root = scenes(tmp_path, json.dumps(NAMES))
    same = LabelSpace.make("m", 0, tuple(NAMES))
    assert found(fs.check_dataset("folder", root, model=same)) == {}
    spelled = [name.upper().replace(" ", "_") for name in NAMES]
    for names in (NAMES[::-1], spelled, [*NAMES[3:], *NAMES[:3], "void"]):
        other = LabelSpace.make("m", 0, tuple(names))
        report = fs.check_dataset("folder", root, model=other)
        assert found(report) == {}
        (note,) = [note for note in report.notes if "--model" in note]
        assert match_classes(other, report.labels).protocol in note  # what evaluate says
        assert f"{', '.join(NAMES[:6])}, ... here, {', '.join(names[:6])}, ... in the m" in note
    more = LabelSpace.make("m", 0, ("lane", "tram", *NAMES))
    (finding,) = fs.check_dataset("folder", root, model=more).findings
    assert (
        "(only the model has lane, tram) and no class map" in finding.message
    )  # nothing false of others
    assert "--class-map FILE" in finding.mend and "--match index" not in finding.mend
    renamed = LabelSpace.make("m", 0, ("lane", *NAMES[1:]))
    (finding,) = fs.check_dataset("folder", root, model=renamed).findings
    assert finding.mend.endswith("or --match index where they are the same in the same order")


def test_the_command_compares_with_a_model(tmp_path, run):
    root = scenes(tmp_path, json.dumps(NAMES))
    data = ["data", "check", "--dataset", "folder", "--data-dir", root]
    code, out, _ = run(*data, "--model", "camvid", "--json", "-")
    values = json.loads(out)
    assert (code, values["totals"]["class-order"]) == (1, 1)
    assert values["findings"][0]["means"] == KINDS["class-order"].means
    code, _, err = run(*data, "--model", tmp_path / "none.keras")
    assert code == 2
    assert "none.keras" in err


# --- images -----------------------------------------------------------------------------------


def test_label_maps_among_the_pictures(tmp_path):
    root = scenes(tmp_path, json.dumps(NAMES))
    space = ToyStreets("train", SIZE).labels
    label = np.array(Image.open(root / "train" / "labels" / "1.png"))
    (root / "train" / "images" / "1.jpg").unlink()
    for pixels in (label, label * 20, space.palette()[label]):
        put(root / "train" / "images" / "1.png", pixels)
        assert found(fs.check_dataset("folder", root)) == {"picture-like-label": 1}


def test_pictures_among_the_label_maps(tmp_path):
    root = scenes(tmp_path, json.dumps([f"c{i}" for i in range(254)]))
    photo = ToyStreets("train", SIZE).read(1)[0]
    noise = np.random.default_rng(0).integers(0, 9, SIZE)
    put(root / "train" / "labels" / "1.png", (photo[..., 1] // 2 + noise).astype(np.uint8))
    report = fs.check_dataset("folder", root)
    assert first(report, "label-like-image").path.endswith("1.png")  # its values are all known
    scenes(root, json.dumps(NAMES))
    label = Image.fromarray(ToyStreets("train", SIZE).read(1)[1])
    lossy = recoded(label.point(lambda v: v * 28), quality=80)
    mask = recoded(label.point(lambda v: 255 if v else 0), quality=98)
    small = label.resize((80, 48), Image.Resampling.BILINEAR)  # all values are those of classes
    smooth = small.resize(label.size, Image.Resampling.BILINEAR).point(lambda v: v % 9)
    jpeg = put(tmp_path / "x.jpg", label)
    for pixels, said in (
        (photo, "a photograph"),
        (lossy, "with loss"),
        (mask, "with loss"),
        (smooth, "smoothed"),
        (jpeg.read_bytes(), "a label map as JPEG"),
    ):
        if isinstance(pixels, bytes):
            (root / "train" / "labels" / "1.png").write_bytes(pixels)
        else:
            put(root / "train" / "labels" / "1.png", pixels)
        report = fs.check_dataset("folder", root)
        assert found(report) == {"label-like-image": 1}, said
        assert said in report.findings[0].message
        assert report.splits[0].usable == 3 + (pixels is smooth)


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_exif_turns_the_picture_alone(tmp_path, orientation):
    root, exif = scenes(tmp_path, json.dumps(NAMES)), Image.Exif()
    exif[0x0112] = orientation
    path, label = root / "train" / "images" / "1.jpg", root / "train" / "labels" / "1.png"
    image = Image.open(path)
    image.save(path, exif=exif, quality=95)
    report = fs.check_dataset("folder", root)
    assert found(report) == {"turned": 1}
    (finding,) = report.findings
    assert finding.path == str(path)
    assert "its label map fits it as stored" in finding.message
    assert finding.mend.startswith("exiftool -Orientation= ")
    put(label, turned(np.array(Image.open(label)), orientation))  # drawn upright: all is well
    assert found(fs.check_dataset("folder", root)) == {}
    put(label, np.tile(np.arange(9, dtype=np.uint8), (96, 18))[:, :160])  # fits neither way
    assert "which one fits is unclear" in first(fs.check_dataset("folder", root), "turned").message


def test_exif_of_a_quarter_turn_says_why_sizes_differ(tmp_path):
    root, exif = scenes(tmp_path, json.dumps(NAMES)), Image.Exif()
    exif[0x0112] = 6
    path = root / "train" / "images" / "1.jpg"
    Image.open(path).save(path, exif=exif)
    (finding,) = fs.check_dataset("folder", root).findings
    assert (finding.kind, finding.mend[:8]) == ("size-mismatch", "exiftool")
    assert "EXIF orientation 6 turns the image alone" in finding.message


def clear():
    return Image.fromarray(
        np.dstack([ToyStreets("train", SIZE).read(1)[0], np.zeros(SIZE, np.uint8)])
    )


ONE_COLOR = {
    "alpha": (clear, "transparent everywhere"),
    "black": (lambda: Image.new("RGB", SIZE[::-1]), "every pixel is (0, 0, 0)"),
    "bits": (
        lambda: Image.fromarray(np.random.default_rng(0).integers(0, 100, SIZE).astype(np.uint16)),
        "the upper 8 are read",
    ),
}


@pytest.mark.parametrize("name", ONE_COLOR)
def test_pictures_of_one_colour(tmp_path, name):
    root, (make, said) = scenes(tmp_path, json.dumps(NAMES)), ONE_COLOR[name]
    (root / "train" / "images" / "1.jpg").unlink()
    put(root / "train" / "images" / "1.png", make())
    report = fs.check_dataset("folder", root)
    assert found(report) == {"one-color": 1}
    assert said in report.findings[0].message


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_bits_that_are_not_used(tmp_path, bits):
    root = scenes(tmp_path, json.dumps(NAMES))
    for path in (root / "train" / "images").iterdir():
        grey = np.asarray(Image.open(path).convert("L")).astype(np.float64)
        path.unlink()
        put(
            path.with_suffix(".png"),
            np.rint(grey / grey.max() * ((1 << bits) - 1)).astype(np.uint16),
        )
    report = fs.check_dataset("folder", root)
    assert found(report) == ({} if bits == 16 else {"unused-bits": 1})
    if bits < 16:
        assert (
            report.findings[0].message
            == f"none of 4 images of 16 bits uses more than the lower {bits}"
        )


@pytest.mark.parametrize("form", ["TIFF", "PNG", "WEBP"])
def test_several_pages(tmp_path, form):
    root, toy = scenes(tmp_path, json.dumps(NAMES)), ToyStreets("train", SIZE)
    (root / "train" / "images" / "1.jpg").unlink()
    pages = [Image.fromarray(toy.read(i)[0]) for i in (1, 11, 12)]
    path = root / "train" / "images" / f"1.{form.lower()}"
    put(path, pages[0], format=form, save_all=True, append_images=pages[1:])
    report = fs.check_dataset("folder", root)
    assert found(report) == {"pages": 1}
    assert report.findings[0].message == "3 pages or frames, of which only the first is read"


def test_thumbnails_are_no_pages(tmp_path):
    pages = [Image.new("RGB", size, "red") for size in ((64, 64), (16, 16))]
    pages[1].encoderinfo = {"tiffinfo": {254: 1}}  # a reduced copy
    path = tmp_path / "a.tif"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    assert look_at(path.read_bytes(), "a").pages == 1
    with pytest.raises(DataError, match="not a readable image"):
        look_at(b"text", "a")


def test_sizes_far_apart_are_a_warning(tmp_path):
    root = scenes(tmp_path, json.dumps(NAMES))
    for kind, suffix in (("images", "jpg"), ("labels", "png")):
        path = root / "train" / kind / f"1.{suffix}"
        image = Image.open(path)
        put(path, image.resize((480, 96), Image.Resampling.NEAREST))
    report = fs.check_dataset("folder", root)
    assert found(report) == {}
    (warning,) = report.warnings
    assert (warning.kind, warning.path) == ("sizes", "train, val")
    assert "from 96x160 to 96x480, width by height from 1.67 to 5.00" in warning.message
    assert warning.mend.startswith("--size 96x160 ")
    assert "warning: images of very unequal sizes" in report.text()


# --- copies ------------------------------------------------------------------------------------


def recoded(image, **how):
    file = io.BytesIO()
    image.save(file, "JPEG", **how)
    return Image.open(file)


COPIES = {
    "quality": lambda image: recoded(image, quality=30),
    "half": lambda image: image.resize((image.width // 2, image.height // 2)),
    "twice": lambda image: image.resize((image.width * 2, image.height * 2)),
    "mirrored": lambda image: recoded(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "brighter": lambda image: image.point(lambda v: min(255, v * 1.1)),
    "darker": lambda image: image.point(lambda v: max(0, v - 15)),
    "all": lambda image: recoded(
        image.resize((image.width * 2 // 3, image.height * 2 // 3)).point(lambda v: v * 0.9),
        quality=60,
    ),
}


@pytest.mark.parametrize("name", COPIES)
def test_copies_across_splits(tmp_path, name):
    root = scenes(tmp_path, json.dumps(NAMES))
    image = COPIES[name](Image.open(root / "train" / "images" / "2.jpg"))
    label = Image.open(root / "train" / "labels" / "2.png").resize(
        image.size, Image.Resampling.NEAREST
    )
    put(root / "val" / "images" / "5.jpg", image, quality=95)
    put(root / "val" / "labels" / "5.png", label)
    report = fs.check_dataset("folder", root)
    assert found(report) == {"near-duplicate-across-splits": 1}
    (finding,) = report.findings
    assert (finding.split, Path(finding.path).name) == ("val", "5.jpg")
    assert finding.message == f"a copy of {root / 'train' / 'images' / '2.jpg'} of split train"


def test_real_splits_hold_no_copies_and_frames_next_to_each_other_are_told_apart(camvid_dir):
    val = sorted((camvid_dir / "val").iterdir())[:60]
    images = [np.asarray(Image.open(path).convert("RGB")) for path in val]
    even, odd = (np.array([thumbnail(image) for image in images[i::2]]) for i in (0, 1))
    alike = list(find_alike(even, odd))  # 1/15 s apart
    assert len(alike) == 30
    assert sum(copy for _, _, copy in alike) <= 3
    again = [thumbnail(np.asarray(recoded(Image.fromarray(i), quality=40))) for i in images[::2]]
    assert list(find_alike(even, np.array(again))) == [(i, i, True) for i in range(30)]


def test_many_pictures_are_compared_in_parts(monkeypatch):
    rng = np.random.default_rng(0)
    known = rng.integers(0, 256, (50, 32, 32)).astype(np.uint8)
    monkeypatch.setattr("fastscnn_tf.data.check.appearance.ROOM", 150)  # three at once
    assert list(find_alike(known, known[[7, 3, 49, 0]])) == [
        *((0, 7, True), (1, 3, True), (2, 49, True), (3, 0, True))
    ]
    flat = np.full((2, 32, 32), 7, np.uint8)
    assert list(find_alike(np.concatenate([known, flat]), flat)) == []  # nothing to compare
    assert list(find_alike(known[:0], known)) == []


# --- real images ------------------------------------------------------------------------------


def test_orientations_of_real_streets_are_told(camvid_dir):
    """A label map as stored never looks right, and an upright one never wrong."""
    for path in sorted((camvid_dir / "train").iterdir())[::24]:
        image = np.asarray(Image.open(path).convert("RGB"))
        label = np.asarray(Image.open(camvid_dir / "trainannot" / path.name))
        for orientation in (2, 3, 4):
            assert better_fit(image, label, turned(label, orientation)) > 0.1, path.name


@pytest.mark.parametrize(
    ("case", "kinds"),
    [
        ("mask-0-255", {"label-table", "mass-void", "one-class"}),
        ("exif-orientation-3", {"turned"}),
        ("tiny-set-batch-norm", set()),
        ("class-order-changed", set()),
    ],
)
def test_cases_from_outside(case, kinds):
    place = os.environ.get("FASTSCNN_CASES")
    if not place:
        pytest.skip("FASTSCNN_CASES is not set: no inputs that went wrong here")
    report = fs.check_dataset("folder", Path(place) / case)
    assert set(found(report)) == kinds
    assert any("--bn-momentum" in note for note in report.notes)
