"""The formats that store masks, each by where its files lie and what its pixels mean.

Sources of the tables: the VOC2012 development kit; CVAT's "Segmentation mask 1.1"; `label.py` of
bdd100k; `anue_labels.py` of AutoNUE (IDD); the road devkit of KITTI, whose semantics use
Cityscapes' label ids; CARLA's `ObjectLabel.h` and `CityScapesPalette.h`.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np

from ...core.errors import DataError
from ...core.images.color_table import color_codes, color_of
from ...core.images.decoding import decoding, limit_of
from ...core.images.pixels import in_strips
from ...core.images.plain_png import SIGNATURE
from ...core.labels import CAMVID32, CITYSCAPES, CITYSCAPES_TRAIN_IDS, IGNORE, Color
from .canvas import Canvas
from .class_tables import ClassTable, Row, numbered, of_space, read_table, text_of
from .masks import GREY, IMAGE, Masks, Splits, classes_of, mask_format, named, opaque, open_mask
from .source import BACKGROUND, Notes
from .source_folder import SourceFolder, split_named, stem

BLACK: Color = (0, 0, 0)
TABLES = (
    *("labelmap.txt", "class_dict.csv", "classes.csv", "_classes.csv", "classes.txt"),
    *("label_colors.txt", "class_dict_seg.csv"),
)
Table = Callable[..., ClassTable]  # reads it in a folder
NAMEABLE = 64  # colours that are listed for the user to name


def _of_file(*names: str, read: Table = read_table) -> Table:
    return lambda folder: read(folder, named(folder, *names))


def _has_table(folder: SourceFolder, *names: str) -> bool:
    there = {name.rpartition("/")[2].lower() for name in folder.files}
    return bool(folder.table or not there.isdisjoint(names))


def _never(folder: SourceFolder) -> bool:
    return False


def _known(table: ClassTable) -> Table:
    return lambda folder: table


# --- Roboflow -------------------------------------------------------------------------------------


def _roboflow_table(folder: SourceFolder) -> ClassTable:
    """That of each split's folder, which must be the same."""
    names = [name for name in folder.files if name.rpartition("/")[2] == "_classes.csv"]
    if folder.table or not names:
        names = [named(folder, "_classes.csv")]
    first, *others = [read_table(folder, name) for name in names]
    for other in others:
        if other.rows != first.rows:
            raise DataError(f"{first.said} and {other.said} differ: convert them one by one")
    return first


_roboflow = Masks(
    "Roboflow's semantic masks: train, valid, test with x.jpg, x_mask.png and _classes.csv",
    rf"(?P<split>train|valid|test)/(?P<name>[^/]+){IMAGE}",
    rf"(?P<split>train|valid|test)/(?P<name>[^/]+)_mask{IMAGE}",
    _roboflow_table,
    telling=lambda folder: _has_table(folder, "_classes.csv"),
)
roboflow = mask_format("roboflow", "Roboflow's semantic masks", _roboflow)

# --- VOC, and CVAT's masks ------------------------------------------------------------------------

VOC = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat"),
    *("chair", "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant"),
    *("sheep", "sofa", "train", "tvmonitor"),
)


def _voc_color(index: int) -> Color:
    """The development kit's colour map: the bits of the index, three by three, from the top."""
    channels = [0, 0, 0]
    for bit in range(8):
        channels[bit % 3] |= (index >> bit & 1) << 7 - bit // 3
    return channels[0], channels[1], channels[2]


def _voc_table(folder: SourceFolder) -> ClassTable:
    """That of labelmap.txt, or of labelme's class_names.txt; else VOC's own 20 and background."""
    if _has_table(folder, "labelmap.txt"):
        table = read_table(folder, named(folder, "labelmap.txt"))
        # A grey mask holds the number of a line, as CVAT describes it.
        rows = [dataclasses.replace(row, value=value) for value, row in enumerate(table.rows)]
        if all(row.color != BLACK for row in rows):  # in CVAT and VOC what nobody labelled
            rows.append(Row(BACKGROUND, None, BLACK, BACKGROUND in table.classes))
        return dataclasses.replace(table, rows=tuple(rows))
    if names := [name for name in folder.files if name.endswith("class_names.txt")]:
        listed = [line.strip() for line in text_of(folder, names[0]).splitlines() if line.strip()]
        return numbered(names[0], [name for name in listed if name != "__ignore__"])
    table = numbered("VOC's classes", VOC, [_voc_color(index) for index in range(len(VOC))])
    border = Row("the border of objects", 255, _voc_color(255), void=True)
    return dataclasses.replace(table, rows=(*table.rows, border))


def _listed_splits(folder: SourceFolder, root: str) -> Splits:
    """The splits of VOC's lists, ImageSets/Segmentation/*.txt.

    `trainval` joins two others and is left out where they are there; `default`, which CVAT writes,
    and `trainval` alone are no split.

    Raises:
        DataError: there is no list, or two of them have an image in common.
    """
    place = f"{root}ImageSets/Segmentation/"
    texts = (n for n in folder.files if n.startswith(place) and n.lower().endswith(".txt"))
    lists = {stem(name.removeprefix(place)).lower(): name for name in texts}
    if not lists:
        raise DataError(
            f"{folder.root}: no list {place}*.txt, which says what is labelled; --from colors "
            "reads such folders without lists, by a table of classes"
        )
    if "trainval" in lists and len(lists) > 1:
        lists.pop("trainval")
    found: Splits = {}
    for split, name in lists.items():
        text = text_of(folder, name)
        for line in filter(None, map(str.strip, text.splitlines())):
            if line in found:
                raise DataError(
                    f"{folder.path(name)}: {line} is in another list, too: an image in two splits "
                    "would be trained on and scored"
                )
            found[line] = None if split in ("default", "trainval") else split_named(split) or split
    return found


_voc = Masks(
    "JPEGImages, SegmentationClass and lists in ImageSets/Segmentation",
    rf"JPEGImages/(?P<name>.+){IMAGE}",
    rf"SegmentationClass/(?P<name>.+){IMAGE}",
    _voc_table,
    _listed_splits,
)
voc = mask_format("voc", "Pascal VOC's masks, and CVAT's segmentation mask 1.1", _voc)

# --- Street scenes --------------------------------------------------------------------------------


def _camvid_table(folder: SourceFolder) -> ClassTable:
    """That of class_dict.csv; the 32 classes of the original without it."""
    if _has_table(folder, "class_dict.csv"):
        return read_table(folder, named(folder, "class_dict.csv"))
    said = "CamVid's 32 colours (there is no class_dict.csv)"
    table = of_space(said, CAMVID32, [BLACK])
    rows = tuple(dataclasses.replace(row, value=None) for row in table.rows)  # in no set order
    return dataclasses.replace(table, rows=rows)


_camvid = Masks(
    "train, train_labels with x_L.png and so on",
    rf"(?P<split>train|val|test)/(?P<name>[^/]+){IMAGE}",
    rf"(?P<split>train|val|test)_labels/(?P<name>[^/]+)_L{IMAGE}",
    _camvid_table,
)
camvid_kaggle = mask_format("camvid-kaggle", "CamVid as Kaggle has it", _camvid)


class _Label(msgspec.Struct):
    """A label of Mapillary Vistas' config.json; its place in the list is its value."""

    readable: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    color: tuple[int, int, int]
    evaluate: bool = True


class _VistasConfig(msgspec.Struct):
    labels: Annotated[list[_Label], msgspec.Meta(min_length=1, max_length=256)]


def _mapillary_table(folder: SourceFolder, name: str) -> ClassTable:
    """The labels of a config.json of Mapillary Vistas; what is not evaluated is void.

    Raises:
        DataError: it is none.
    """
    config: _VistasConfig = folder.json(name, _VistasConfig)
    rows = (
        Row(label.readable, value, label.color, not label.evaluate)
        for value, label in enumerate(config.labels)
    )
    return ClassTable(str(folder.path(name)), tuple(rows))


def _vistas(version: str) -> Masks:
    """One version of the labels; the first edition had no folder for it."""
    place = rf"v{version}/".replace(".", r"\.") if version else ""
    configs = (f"config_v{version}.json", "config.json") if version else ("config.json",)
    return Masks(
        f"Mapillary Vistas {version}".strip() + ": training/images, labels and config.json",
        rf"(?P<split>training|validation|testing)/images/(?P<name>[^/]+){IMAGE}",
        rf"(?P<split>training|validation|testing)/{place}labels/(?P<name>[^/]+){IMAGE}",
        _of_file(*configs, read=_mapillary_table),
    )


_editions = map(_vistas, ("2.0", "1.2", ""))
mapillary = mask_format("mapillary", "Mapillary Vistas, 2.0 before 1.2", *_editions)
_older = dataclasses.replace(_vistas("1.2"), telling=_never)
mapillary_1_2 = mask_format("mapillary-1.2", "Mapillary Vistas' older labels", _older)

_nineteen = of_space("the 19 train ids", CITYSCAPES_TRAIN_IDS, [BLACK])


def _bdd(images: str, masks: str, about: str) -> Masks:
    split = "(?P<split>train|val|test)"
    return Masks(
        about,
        rf"{images}{split}/(?P<name>[^/]+){IMAGE}",
        masks.replace("SPLIT", split).replace("NAME", "(?P<name>[^/]+)") + IMAGE,
        _known(_nineteen),
    )


_bdd_images = "images/(?:10k/)?"
bdd100k = mask_format(
    "bdd100k",
    "BDD100K's semantic segmentation",
    _bdd(_bdd_images, "labels/sem_seg/masks/SPLIT/NAME", "images/10k and labels/sem_seg/masks"),
    _bdd("seg/images/", "seg/labels/SPLIT/NAME_train_id", "seg/images and seg/labels"),
    _bdd(_bdd_images, "labels/sem_seg/colormaps/SPLIT/NAME", "images/10k and sem_seg/colormaps"),
    _bdd("seg/images/", "seg/color_labels/SPLIT/NAME_train_color", "seg/images, seg/color_labels"),
)

_road_rows = (
    *(Row("background", None, (255, 0, 0)), Row("road", None, (255, 0, 255))),
    Row("what is not evaluated", None, BLACK, void=True),
)
_road = ClassTable("KITTI's road colours", _road_rows)
_kitti_ids = Masks(
    "training/image_2 and training/semantic with Cityscapes' label ids",
    rf"training/image_2/(?P<name>[^/]+){IMAGE}",
    rf"training/semantic/(?P<name>[^/]+){IMAGE}",
    _known(of_space("Cityscapes' label ids", CITYSCAPES)),
)
_kitti_road = Masks(
    "training/image_2 and training/gt_image_2/um_road_x.png, the road benchmark",
    rf"training/image_2/(?P<place>umm?|uu)_(?P<name>[^/_]+){IMAGE}",
    rf"training/gt_image_2/(?P<place>umm?|uu)_road_(?P<name>[^/_]+){IMAGE}",
    _known(_road),
)
kitti = mask_format("kitti", "KITTI's semantics, or its road benchmark", _kitti_ids, _kitti_road)

# The level3Ids, by which AutoNUE trains and scores; the ids 0 to 34 are their parts in this order.
IDD = (
    *("road", "parking/drivable fallback", "sidewalk", "rail track/non-drivable fallback"),
    *("person/animal", "rider", "motorcycle", "bicycle", "autorickshaw", "car", "truck", "bus"),
    *("caravan/trailer/train/vehicle fallback", "curb", "wall", "fence", "guard rail"),
    *("billboard", "traffic sign", "traffic light", "pole/polegroup", "obs-str-bar-fallback"),
    *("building", "bridge/tunnel", "vegetation", "sky/fallback background"),
)
_IDD_VOID = ("unlabeled", "ego vehicle", "rectification border", "out of roi", "license plate")
_idd_labels = {part: index for index, name in enumerate(IDD) for part in name.split("/")}
_idd_rows = [Row(IDD[index], value) for value, index in enumerate(_idd_labels.values())]
_idd_rows += [Row(n, len(_idd_labels) + i, void=True) for i, n in enumerate(_IDD_VOID)]
_idd_ids = ClassTable("IDD's ids", tuple(_idd_rows))


_Coordinate = Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)]


class _DrawnObject(msgspec.Struct):
    label: Annotated[str, msgspec.Meta(max_length=256)]
    polygon: list[tuple[_Coordinate, _Coordinate]]
    deleted: int | bool = 0


class _Drawing(msgspec.Struct):
    """A `_polygons.json` as Cityscapes' tools write it."""

    imgWidth: Annotated[int, msgspec.Meta(ge=1)]  # noqa: N815 - as in the file
    imgHeight: Annotated[int, msgspec.Meta(ge=1)]  # noqa: N815
    objects: list[_DrawnObject]


def _draw_idd(folder: SourceFolder, name: str, table: ClassTable, notes: Notes) -> np.ndarray:
    """The level3Ids as AutoNUE's json2labelImg.py draws them: in order, later ones on top.

    Raises:
        DataError: it is not such a file, or has a label that is none of IDD's.
    """
    drawing: _Drawing = folder.json(name, _Drawing)
    where = folder.path(name)
    if drawing.imgWidth * drawing.imgHeight > limit_of("PNG"):
        raise DataError(f"{where}: {drawing.imgWidth}x{drawing.imgHeight} pixels are too many")
    canvas = Canvas((drawing.imgHeight, drawing.imgWidth), IGNORE, str(where))
    for each in drawing.objects:
        if each.deleted:
            continue
        known = each.label in _idd_labels or each.label in _IDD_VOID
        label = each.label if known else each.label.removesuffix("group")
        if label not in _idd_labels and label not in _IDD_VOID:
            raise DataError(f"{where}: {each.label!r} is not a label of IDD")
        if len(each.polygon) > 2:
            canvas.outline(each.polygon, _idd_labels.get(label, IGNORE))
    return canvas.label


def _idd(ending: str, about: str, table: ClassTable, **how: Any) -> Masks:
    return Masks(
        f"leftImg8bit and gtFine with {about}",
        rf"leftImg8bit/(?P<split>train|val|test)/(?P<name>.+)_leftImg8bit{IMAGE}",
        rf"gtFine/(?P<split>train|val|test)/(?P<name>.+)_gtFine_(?-i:{ending})",
        _known(table),
        **how,
    )


_level3 = numbered("IDD's level3Ids", IDD)
idd = mask_format(
    "idd",
    "the India Driving Dataset, 26 classes of level 3",
    _idd(r"labellevel3Ids\.png", "labellevel3Ids.png", _level3),
    _idd(r"labelids\.png", "labelids.png", _idd_ids),
    _idd(r"polygons\.json", "polygons.json", _level3, read=_draw_idd),
)

# --- ADE20K ---------------------------------------------------------------------------------------


def _ade20k_table(folder: SourceFolder, name: str) -> ClassTable:
    """The objects of ADEChallengeData2016's objectInfo150.txt; 0 is what is none of them.

    Raises:
        DataError: it is none.
    """
    where = str(folder.path(name))
    lines = text_of(folder, name).splitlines()[1:]
    found = [re.fullmatch(r"(\d+) *\t.*\t([^\t]+)", line) for line in lines if line.strip()]
    if not found or None in found or any(not 0 < int(each[1]) < IGNORE for each in found if each):
        raise DataError(f"{where}: expected lines of Idx, Ratio, Train, Val and Name with tabs")
    names = [(int(each[1]), each[2].strip()) for each in found if each]
    short = [name.split(",")[0].strip() for _, name in names]
    unique = len(set(short)) == len(short)
    rows = [
        Row(first if unique else name, value)
        for first, (value, name) in zip(short, names, strict=True)
    ]
    return ClassTable(where, (Row("other objects", 0, void=True), *rows))


_ade20k = Masks(
    "images, annotations with training and validation, and objectInfo150.txt",
    rf"images/(?P<split>training|validation)/(?P<name>[^/]+){IMAGE}",
    rf"annotations/(?P<split>training|validation)/(?P<name>[^/]+){IMAGE}",
    _of_file("objectInfo150.txt", read=_ade20k_table),
)
ade20k = mask_format("ade20k", "ADE20K as ADEChallengeData2016", _ade20k)

# --- CARLA ----------------------------------------------------------------------------------------

# fmt: off
_CARLA_COLORS: dict[str, Color] = {
    "static": (110, 190, 160), "dynamic": (170, 120, 50), "other": (55, 90, 80),
    "water": (45, 60, 150), "road_line": (157, 234, 50), "ground": (81, 0, 81),
    "bridge": (150, 100, 100), "rail_track": (230, 150, 140), "guard_rail": (180, 165, 180),
}
# fmt: on
_SHARED = {
    name.replace(" ", "_").replace("person", "pedestrian"): color
    for name, color in zip(CITYSCAPES.names, CITYSCAPES.colors, strict=True)
}
_TAGS = (
    *("building", "fence", "other", "pedestrian", "pole", "road_line", "road", "sidewalk"),
    *("vegetation", "vehicle", "wall", "traffic_sign"),
)
_MORE_TAGS = (
    *("sky", "ground", "bridge", "rail_track", "guard_rail", "traffic_light", "static"),
    *("dynamic", "water", "terrain"),
)


def _tags(said: str, names: Sequence[str], **colors: Color) -> ClassTable:
    """The tags 1, 2, ... of CARLA; those colours that are not Cityscapes' or today's are given."""
    known = {**_SHARED, **_CARLA_COLORS, "vehicle": _SHARED["car"], "unlabeled": BLACK, **colors}
    names = ("unlabeled", *names)
    return numbered(f"the tags of CARLA {said}", names, [known[name] for name in names], void=(0,))


CARLA = {
    "0.9.9": _tags("0.9.9 and before", _TAGS, other=(250, 170, 160)),
    "0.9.10": _tags(
        "0.9.10 to 0.9.13", _TAGS + _MORE_TAGS, fence=(100, 40, 40), terrain=(145, 170, 100)
    ),
    "0.9.14": _tags("0.9.14 to 0.9.16", (*_SHARED, *_CARLA_COLORS)),
}


def _read_carla(folder: SourceFolder, name: str, table: ClassTable, notes: Notes) -> np.ndarray:
    """A mask of tags in the red channel, or of the colours of CityScapesPalette.

    No tag is 255, and with tags green and blue are 0, so that a mask itself tells which it is.
    """
    path = str(folder.path(name))
    image = open_mask(path)
    pixels = in_strips(image)
    tags = pixels.ndim == 3 and int(pixels[..., 0].max()) < 255 and not pixels[..., 1:3].any()
    return classes_of(image, path, table, notes, red=tags)


def _carla(table: Table, **how: Any) -> Masks:
    return Masks(
        "CARLA's cameras: rgb and semantic, or CameraRGB and CameraSeg",
        rf"(?:rgb|CameraRGB|camera_rgb)/(?P<name>[^/]+){IMAGE}",
        r"(?:semantic|semantic_segmentation|semseg|seg|CameraSeg|CameraSemSeg|camera_semseg)/"
        rf"(?P<name>[^/]+){IMAGE}",
        table,
        read=_read_carla,
        sequences=True,
        **how,
    )


def _ask_version(folder: SourceFolder) -> ClassTable:
    if folder.table is not None:
        return read_table(folder, named(folder))
    versions = ", ".join(f"--from carla-{each} ({table.said})" for each, table in CARLA.items())
    raise DataError(
        f"{folder.root}: CARLA's tags mean other classes from version to version, and the masks do "
        f"not say which: {versions}, or give your own with --table FILE"
    )


carla = mask_format("carla", "CARLA's semantic camera (asks which)", _carla(_ask_version))
carla_versions = tuple(
    mask_format(f"carla-{version}", table.said, _carla(_known(table), telling=_never))
    for version, table in CARLA.items()
)

# --- Any colours ----------------------------------------------------------------------------------

_SPLIT = "train|training|val|valid|validation|test|testing"
_SIDE = f"(?:(?P<split>{_SPLIT})/)?(?:PLACES)/(?:(?P<inner>{_SPLIT})/)?(?P<name>.+?)"
_IMAGES = "images?|imgs?|JPEGImages|photos|rgb"
_MASKS = "masks?|labels?|annotations?|gt|SegmentationClass|segmentation"
_ENDING = "(?:_mask|_label|_L|_color|_seg|_segmentation)"


def _any_colors(about: str, images: str, masks: str) -> Masks:
    return Masks(about, images + IMAGE, masks + IMAGE, lambda folder: _colors_table(folder))


_colors = (
    _any_colors(
        "folders of images and of masks",
        _SIDE.replace("PLACES", _IMAGES),
        f"{_SIDE.replace('PLACES', _MASKS)}{_ENDING}?",
    ),
    _any_colors(
        "folders such as train and train_labels",
        f"(?P<split>{_SPLIT})/(?P<name>[^/]+)",
        f"(?P<split>{_SPLIT})(?:_labels?|_masks?|annot)/(?P<name>[^/]+?){_ENDING}?",
    ),
    _any_colors(
        "masks beside their images, x.jpg and x_mask.png",
        f"(?:(?P<split>{_SPLIT})/)?(?P<name>[^/]+?)(?:_sat)?",
        f"(?:(?P<split>{_SPLIT})/)?(?P<name>[^/]+?){_ENDING}",
    ),
)


def _colors_table(folder: SourceFolder) -> ClassTable:
    """That of a file; without one, what is in the masks is listed for the user to name.

    Raises:
        DataError: there is no table.
    """
    if _has_table(folder, *TABLES):
        return read_table(folder, named(folder, *TABLES))
    pairs = next(filter(None, (each.pairs(folder) for each in _colors)))
    what, found = _seen_in(folder, list(pairs.masks.values()))
    total = sum(found.values())
    if len(found) > NAMEABLE:
        raise DataError(
            f"{folder.root}: no table of classes ({', '.join(TABLES)}), and the masks have "
            f"{len(found):,} {what}s, too many for classes: blurred by JPEG or by resizing, or "
            "photographs"
        )
    listed = "; ".join(
        f"{line} ({100 * count / total:.1f} % of pixels)"
        for line, count in found.most_common(NAMEABLE)
    )
    raise DataError(
        f"{folder.root}: no table of classes: write classes.csv there with a line for each {what} "
        f"and name them: {listed}"
    )


def _seen_in(folder: SourceFolder, masks: Sequence[str]) -> tuple[str, Counter[str]]:
    """Whether masks hold values or colours, and in lines of a table how many pixels have which.

    It is of all masks, or until there are too many.

    Raises:
        DataError: a mask cannot be read, or its format loses colours.
    """
    values: Counter[int] = Counter()
    found: Counter[int] = Counter()
    for name in masks:
        path = str(folder.path(name))
        image = opaque(open_mask(path), path)
        grey = image.mode in GREY
        with decoding(path):
            pixels = in_strips(image) if grey else in_strips(image, color_codes)
        seen = values if grey else found
        codes, counts = np.unique(pixels, return_counts=True)
        seen.update(dict(zip(codes.tolist(), counts.tolist(), strict=True)))
        if len(seen) > NAMEABLE:
            break
    if not found:
        return "value", Counter({f"{code:g},name": n for code, n in values.items()})
    found.update({int(code) * 0x10101: count for code, count in values.items()})  # greys, too
    lines = {f"name,{','.join(map(str, color_of(code)))}": n for code, n in found.items()}
    return "colour", Counter(lines)


_named_colors = mask_format("colors", "masks in colours, with a table that names them", *_colors)


def _recognise_colors(folder: SourceFolder) -> str | None:
    """Colours are what is left when no other kind of masks fits; by a table, or as RGB PNGs."""
    mask = _first_mask(folder)
    if mask is None or any(other.recognise(folder) for other in OTHERS):
        return None
    if _has_table(folder, *TABLES):
        return _named_colors.recognise(folder)
    head = folder.head(mask)
    in_colors = head[:8] == SIGNATURE and head[25:26] in (b"\x02", b"\x06")  # RGB, RGBA
    return f"{mask} is a mask in colours" if in_colors else None


def _first_mask(folder: SourceFolder) -> str | None:
    pairs = next(filter(None, (each.pairs(folder) for each in _colors)), None)
    return next(iter(pairs.masks.values())) if pairs else None


def left_over(folder: SourceFolder) -> str | None:
    """What a first mask shows, where no format fits: `colors` asks what it means."""
    if (mask := _first_mask(folder)) is None:
        return None
    try:
        what, found = _seen_in(folder, [mask])
    except DataError:
        return f"{mask} is there as a mask"  # opening says what is wrong with it
    if len(found) > NAMEABLE:
        return None
    seen = [line.replace(",name", "").replace("name,", "") for line in found]
    return f"{mask} is a mask of the {what}s {', '.join(seen[:8])}{', ...' * bool(seen[8:])}"


colors = dataclasses.replace(_named_colors, recognise=_recognise_colors)
OTHERS = (roboflow, voc, camvid_kaggle, mapillary, bdd100k, kitti, idd, ade20k, carla)
MASK_FORMATS = (*OTHERS, mapillary_1_2, *carla_versions, colors)
