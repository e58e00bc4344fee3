"""Example trees of the formats that store masks, each written after its own definition.

A mask has one value or colour a column, so that a wrong table moves a column. What the columns must
become is written down here by name, not computed by the tables of the package.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

VOID = "void"
HEIGHT = 6
Content = np.ndarray | Image.Image | str
# Cityscapes' label ids 0 to 33, as its scripts (helpers/labels.py) name them; (.) is not scored.
CITYSCAPES_IDS = [
    *[VOID] * 7,
    *("road", "sidewalk", VOID, VOID, "building", "wall", "fence", VOID, VOID, VOID),
    *("pole", VOID, "traffic light", "traffic sign", "vegetation", "terrain", "sky", "person"),
    *("rider", "car", "truck", "bus", VOID, VOID, "train", "motorcycle", "bicycle"),
]
NINETEEN = [name for name in CITYSCAPES_IDS if name != VOID]
VOC = [
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
]
# AutoNUE's anue_labels.py, level3Id 0 to 25: the names of each.
IDD_LEVEL3 = [
    *("road", "parking/drivable fallback", "sidewalk", "rail track/non-drivable fallback"),
    *("person/animal", "rider", "motorcycle", "bicycle", "autorickshaw", "car", "truck", "bus"),
    *("caravan/trailer/train/vehicle fallback", "curb", "wall", "fence", "guard rail"),
    *("billboard", "traffic sign", "traffic light", "pole/polegroup", "obs-str-bar-fallback"),
    *("building", "bridge/tunnel", "vegetation", "sky/fallback background"),
]
# Of its ids 0 to 39 the level3Id.
IDD_LEVEL3_OF_ID = [0, 1, 1, 2, 3, 3, 4, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12, 12, 12, 13, 14, 15, 16]
IDD_LEVEL3_OF_ID += [17, 18, 19, 20, 20, 21, 22, 23, 23, 24, 25, 25]
CARLA_0_9_10 = [
    "building",
    "fence",
    "other",
    "pedestrian",
    "pole",
    "road_line",
    "road",
    "sidewalk",
    "vegetation",
    "vehicle",
    "wall",
    "traffic_sign",
    "sky",
    "ground",
    "bridge",
    "rail_track",
    "guard_rail",
    "traffic_light",
    "static",
    "dynamic",
    "water",
    "terrain",
]


@dataclasses.dataclass(frozen=True)
class Example:
    """A tree, and what it must become.

    Attributes:
        files: path -> pixels, image or text.
        columns: the class name of each column of each mask, or `VOID`.
        splits: split -> names of its images without suffix; the split "" where there is none.
        classes: in index order.
    """

    files: dict[str, Content]
    columns: list[str]
    splits: dict[str, list[str]]
    classes: list[str]

    def write(self, root: Path) -> Path:
        for name, content in self.files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                path.write_text(content, encoding="utf-8")
            else:
                (Image.fromarray(content) if isinstance(content, np.ndarray) else content).save(
                    path
                )
        return root

    def label(self) -> np.ndarray:
        """(H, W) uint8: what each mask must become."""
        row = [255 if name == VOID else self.classes.index(name) for name in self.columns]
        return np.tile(np.array(row, np.uint8), (HEIGHT, 1))


def photo(width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, width, 3)).astype(np.uint8)


def grey(values: list[int]) -> np.ndarray:
    return np.tile(np.array(values, np.uint8), (HEIGHT, 1))


def rgb(colors: list[tuple[int, int, int]]) -> np.ndarray:
    return np.tile(np.array(colors, np.uint8), (HEIGHT, 1, 1))


def palette(values: list[int], colors: list[tuple[int, int, int]]) -> Image.Image:
    image = Image.fromarray(grey(values))
    image.putpalette([part for color in colors for part in color])
    return image


def voc_color(index: int) -> tuple[int, int, int]:
    """The colour of an index as the VOC development kit defines it: bits spread over channels."""
    bits = [[index >> (3 * shift + channel) & 1 for shift in range(3)] for channel in range(3)]
    red, green, blue = (sum(bit << (7 - i) for i, bit in enumerate(channel)) for channel in bits)
    return red, green, blue


def pairs(
    splits: dict[str, list[str]], image: str, mask: str, content: Content, width: int
) -> dict[str, Content]:
    """Files of every image and its mask by patterns with {split} and {name}."""
    files: dict[str, Content] = {}
    for split, names in splits.items():
        for name in names:
            files[image.format(split=split, name=name)] = photo(width, len(files))
            files[mask.format(split=split, name=name)] = content
    return files


def roboflow() -> Example:
    splits = {"train": ["a_jpg.rf.0f1e", "b_jpg.rf.77aa"], "valid": ["c_jpg.rf.12ab"]}
    files = pairs(splits, "{split}/{name}.jpg", "{split}/{name}_mask.png", grey([0, 1, 2]), 3)
    for split in splits:
        files[f"{split}/_classes.csv"] = "Pixel Value, Class\n0, background\n1, road\n2, car\n"
    names = ["background", "road", "car"]
    return Example(files, names, {"train": splits["train"], "val": splits["valid"]}, names)


def voc() -> Example:
    lists = {"train": ["2007_000032", "2007_000039"], "val": ["2007_000033"]}
    colors = [voc_color(index) for index in range(256)]
    mask = palette([*range(21), 255], colors)
    images = "VOCdevkit/VOC2012/JPEGImages/{name}.jpg"
    files = pairs(lists, images, "VOCdevkit/VOC2012/SegmentationClass/{name}.png", mask, 22)
    files["VOCdevkit/VOC2012/JPEGImages/2007_000001.jpg"] = photo(22, 9)  # of another task
    for split, names in {**lists, "trainval": [n for each in lists.values() for n in each]}.items():
        path = f"VOCdevkit/VOC2012/ImageSets/Segmentation/{split}.txt"
        files[path] = "".join(f"{name}\n" for name in names)
    return Example(files, [*VOC, VOID], lists, VOC)


def cvat_masks() -> Example:
    splits = {"": ["left/1", "left/2", "right/1"]}
    colors = [(0, 0, 0), (48, 112, 32), (176, 112, 32)]
    files = pairs(splits, "JPEGImages/{name}.png", "SegmentationClass/{name}.png", rgb(colors), 3)
    files |= {f"SegmentationObject/{name}.png": rgb(colors) for name in splits[""]}
    files["labelmap.txt"] = (
        "# label:color_rgb:parts:actions\ncat:48,112,32::\nbackground:0,0,0::\ndog:176,112,32::\n"
    )
    files["ImageSets/Segmentation/default.txt"] = "left/1\nleft/2\nright/1\n"
    return Example(files, ["background", "cat", "dog"], splits, ["cat", "background", "dog"])


def colors() -> Example:
    splits = {"": ["x/1", "x/2", "3"]}
    pixels = rgb([(128, 64, 128), (0, 0, 142), (0, 0, 0)])
    files = pairs(splits, "images/{name}.jpg", "masks/{name}.png", pixels, 3)
    files["classes.csv"] = "name,r,g,b\nroad,128,64,128\ncar,0,0,142\nunlabeled,0,0,0\n"
    return Example(files, ["road", "car", VOID], splits, ["road", "car"])


def _colors_of_splits(image: str, mask: str) -> Example:
    splits = {"train": ["1", "2"], "valid": ["3"]}
    pixels = rgb([(128, 64, 128), (0, 0, 142), (0, 0, 0)])
    files = pairs(splits, image, mask, pixels, 3)
    files["d/class_dict.csv"] = "name,r,g,b\nroad,128,64,128\ncar,0,0,142\nunknown,0,0,0\n"
    names = ["road", "car", "unknown"]
    return Example(files, names, {"train": ["1", "2"], "val": ["3"]}, names)


def colors_in_splits() -> Example:
    return _colors_of_splits("d/{split}/images/{name}.jpg", "d/{split}/masks/{name}_mask.png")


def colors_with_splits() -> Example:
    return _colors_of_splits("d/images/{split}/{name}.jpg", "d/labels/{split}/{name}.PNG")


def colors_beside() -> Example:
    return _colors_of_splits("d/{split}/{name}_sat.jpg", "d/{split}/{name}_mask.png")


def colors_annot() -> Example:
    return _colors_of_splits("d/{split}/{name}.jpg", "d/{split}_masks/{name}.bmp")


def camvid_kaggle() -> Example:
    splits = {"train": ["0001TP_009210", "0001TP_009240"], "val": ["0016E5_07959"], "test": ["x"]}
    pixels = rgb([(128, 128, 128), (128, 64, 128), (64, 0, 128), (0, 0, 0)])
    files = pairs(splits, "{split}/{name}.png", "{split}_labels/{name}_L.png", pixels, 4)
    table = "name,r,g,b\nCar,64,0,128\nRoad,128,64,128\nSky,128,128,128\nVoid,0,0,0\n"
    files["class_dict.csv"] = table
    return Example(files, ["Sky", "Road", "Car", VOID], splits, ["Car", "Road", "Sky"])


def _mapillary(masks: str, config: str) -> Example:
    splits = {"training": ["_-_bird", "k2"], "validation": ["k3"]}
    named = [("Bird", (165, 42, 42)), ("Road", (128, 64, 128)), ("Unlabeled", (0, 0, 0))]
    labels = [
        {"color": color, "readable": name, "name": f"x--{name}", "evaluate": name != "Unlabeled"}
        for name, color in named
    ]
    mask = palette([0, 1, 2], [color for _, color in named])
    files = pairs(splits, "{split}/images/{name}.jpg", masks, mask, 3)
    files["testing/images/t.jpg"] = photo(3, 7)
    files[config] = json.dumps({"labels": labels, "version": "1.1", "mapping": "public"})
    found = {"train": splits["training"], "val": splits["validation"]}
    return Example(files, ["Bird", "Road", VOID], found, ["Bird", "Road"])


def mapillary() -> Example:
    return _mapillary("{split}/labels/{name}.png", "config.json")


def mapillary_both() -> Example:
    """As it is published: two versions of the labels, of which the older is asked for."""
    made = _mapillary("{split}/v1.2/labels/{name}.png", "config_v1.2.json")
    newer = mapillary2()
    label, kept = "Bird", {name: each for name, each in newer.files.items() if "2.0" in name}
    kept["config_v2.0.json"] = str(kept["config_v2.0.json"]).replace(label, "animal")
    return dataclasses.replace(made, files={**made.files, **kept})


def mapillary2() -> Example:
    return _mapillary("{split}/v2.0/labels/{name}.png", "config_v2.0.json")


def _bdd100k(image: str, mask: str, content: Content, columns: list[str]) -> Example:
    splits = {"train": ["0a0a0b1a-7c39d841", "0a0b16e4-93d8c456"], "val": ["7d2f7975-e0c1c5a7"]}
    files = pairs(splits, image, mask, content, len(columns))
    files[image.format(split="test", name="ac6d4f42-00000000")] = photo(len(columns), 7)
    return Example(files, columns, splits, NINETEEN)


def bdd100k() -> Example:
    masks = "bdd100k/labels/sem_seg/masks/{split}/{name}.png"
    image = "bdd100k/images/10k/{split}/{name}.jpg"
    return _bdd100k(image, masks, grey([*range(19), 255]), [*NINETEEN, VOID])


def bdd100k_before_2020() -> Example:
    masks, image = "seg/labels/{split}/{name}_train_id.png", "seg/images/{split}/{name}.jpg"
    return _bdd100k(image, masks, grey([*range(19), 255]), [*NINETEEN, VOID])


def bdd100k_colormaps() -> Example:
    pixels = rgb([(128, 64, 128), (0, 0, 142), (119, 11, 32), (0, 0, 0)])
    masks = "labels/sem_seg/colormaps/{split}/{name}.png"
    columns = ["road", "car", "bicycle", VOID]
    return _bdd100k("images/10k/{split}/{name}.jpg", masks, pixels, columns)


def kitti() -> Example:
    splits = {"": ["000000_10", "000001_10", "000002_10"]}
    image, mask = "training/image_2/{name}.png", "training/semantic/{name}.png"
    files = pairs(splits, image, mask, grey([*range(34), 255]), 35)
    files |= {f"training/semantic_rgb/{name}.png": photo(35, 5) for name in splits[""]}
    files["testing/image_2/000000_10.png"] = photo(35, 9)
    return Example(files, [*CITYSCAPES_IDS, VOID], splits, NINETEEN)


def kitti_road() -> Example:
    names = ["um_000000", "umm_000000", "uu_000001"]
    mask = rgb([(255, 0, 0), (255, 0, 255), (0, 0, 0)])
    files: dict[str, Content] = {}
    for seed, name in enumerate(names):
        kind, number = name.split("_")
        files[f"training/image_2/{name}.png"] = photo(3, seed)
        files[f"training/gt_image_2/{kind}_road_{number}.png"] = mask
    files["training/gt_image_2/um_lane_000000.png"] = mask
    return Example(files, ["background", "road", VOID], {"": names}, ["background", "road"])


def _idd(ending: str, content: Content, columns: list[str]) -> Example:
    splits = {"train": ["0/frame0029", "0/frame0299"], "val": ["119/024541"]}
    image = "leftImg8bit/{split}/{name}_leftImg8bit.png"
    files = pairs(
        splits, image, f"gtFine/{{split}}/{{name}}_gtFine_{ending}", content, len(columns)
    )
    files[image.format(split="test", name="7/9")] = photo(len(columns), 7)
    return Example(files, columns, splits, IDD_LEVEL3)


def idd_level3() -> Example:
    return _idd("labellevel3Ids.png", grey([*range(26), 255]), [*IDD_LEVEL3, VOID])


def idd_ids() -> Example:
    columns = [IDD_LEVEL3[index] for index in IDD_LEVEL3_OF_ID] + [VOID] * 5
    return _idd("labelids.png", grey([*range(40)]), columns)


def idd_polygons() -> Example:
    def box(label: str, left: int, right: int, **more: object) -> dict[str, object]:
        corners = [[left, 0], [right, 0], [right, HEIGHT], [left, HEIGHT]]
        return {"label": label, "polygon": corners, "deleted": 0, **more}

    objects = [
        box("road", 0, 5),
        box("car", 2, 3),  # drawn over the road
        box("truckgroup", 4, 4),
        box("sky", 0, 5, deleted=1),
        box("out of roi", 5, 5),
    ]
    text = json.dumps({"imgWidth": 7, "imgHeight": HEIGHT, "objects": objects})
    columns = ["road", "road", "car", "car", "truck", VOID, VOID]
    return _idd("polygons.json", text, columns)


def ade20k() -> Example:
    splits = {"training": ["ADE_train_00000001", "ADE_train_00000002"]}
    splits["validation"] = ["ADE_val_00000001"]
    files = pairs(
        splits,
        "A/images/{split}/{name}.jpg",
        "A/annotations/{split}/{name}.png",
        grey([*range(4)]),
        4,
    )
    files["A/objectInfo150.txt"] = (
        "Idx\tRatio\tTrain\tVal\tName\n1\t0.1576\t11664\t1172\twall\n"
        "2 \t0.1072\t6046\t612\tbuilding, edifice\n3\t0.0231\t1906\t199\tbed \n"
    )
    found = {"train": splits["training"], "val": splits["validation"]}
    return Example(files, [VOID, "wall", "building", "bed"], found, ["wall", "building", "bed"])


def carla() -> Example:
    splits = {"": ["Town01/0001", "Town01/0002", "Town02/0001"]}
    columns = [VOID, *CARLA_0_9_10]
    pixels = np.zeros((HEIGHT, len(columns), 4), np.uint8)
    pixels[..., 0], pixels[..., 3] = np.arange(len(columns)), 255
    files: dict[str, Content] = {}
    for seed, name in enumerate(splits[""]):
        town, frame = name.split("/")
        files[f"{town}/rgb/{frame}.png"] = photo(len(columns), seed)
        files[f"{town}/semantic/{frame}.png"] = pixels
    return Example(files, columns, splits, CARLA_0_9_10)


def carla_palette() -> Example:
    """CityScapesPalette of 0.9.14: the tags were moved, so that these colours mean others."""
    splits = {"": ["0001", "0002"]}
    pixels = rgb([(0, 0, 0), (128, 64, 128), (0, 0, 142), (119, 11, 32), (180, 165, 180)])
    files = pairs(splits, "CameraRGB/{name}.png", "CameraSeg/{name}.png", pixels, 5)
    columns = [VOID, "road", "car", "bicycle", "guard_rail"]
    classes = [
        "road",
        "sidewalk",
        "building",
        "wall",
        "fence",
        "pole",
        "traffic_light",
        "traffic_sign",
        "vegetation",
        "terrain",
        "sky",
        "pedestrian",
        "rider",
        "car",
        "truck",
        "bus",
        "train",
        "motorcycle",
        "bicycle",
        "static",
        "dynamic",
        "other",
        "water",
        "road_line",
        "ground",
        "bridge",
        "rail_track",
        "guard_rail",
    ]
    return Example(files, columns, splits, classes)


EXAMPLES: dict[str, tuple[str, Callable[[], Example]]] = {
    "roboflow": ("roboflow", roboflow),
    "voc": ("voc", voc),
    "cvat masks": ("voc", cvat_masks),
    "colors": ("colors", colors),
    "colors in splits": ("colors", colors_in_splits),
    "colors with splits": ("colors", colors_with_splits),
    "colors beside": ("colors", colors_beside),
    "colors annot": ("colors", colors_annot),
    "camvid-kaggle": ("camvid-kaggle", camvid_kaggle),
    "mapillary 1.2": ("mapillary", mapillary),
    "mapillary of both": ("mapillary-1.2", mapillary_both),
    "mapillary 2.0": ("mapillary", mapillary2),
    "bdd100k": ("bdd100k", bdd100k),
    "bdd100k before 2020": ("bdd100k", bdd100k_before_2020),
    "bdd100k colormaps": ("bdd100k", bdd100k_colormaps),
    "kitti": ("kitti", kitti),
    "kitti road": ("kitti", kitti_road),
    "idd level 3": ("idd", idd_level3),
    "idd ids": ("idd", idd_ids),
    "idd polygons": ("idd", idd_polygons),
    "ade20k": ("ade20k", ade20k),
    "carla": ("carla-0.9.10", carla),
    "carla palette": ("carla-0.9.14", carla_palette),
}
