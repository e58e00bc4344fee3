"""Miniature trees of the published data sets: real names, label values and ratios of size."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

Files = dict[str, list[tuple[str, str]]]

VOID = 255
CITYSCAPES = {raw: i for i, raw in enumerate((7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33))}
CITYSCAPES |= dict.fromkeys((*range(7), 9, 10, 14, 15, 16, 18, 29, 30, 34, 255), VOID)
TRAIN_IDS = {**{i: i for i in range(19)}, 255: VOID}
# road sidewalk building wall fence pole light sign vegetation terrain sky stay; person and rider
# are 11; car, truck, bus, motorcycle, bicycle are 12; the train is nothing.
MERGED = (*range(11), 11, 11, 12, 12, 12, VOID, 12, 12, VOID)
SYNPASS = {0: VOID, **{raw: raw - 1 for raw in range(1, 23)}}
SYNPASS13 = dict.fromkeys(range(23), VOID)
SYNPASS13 |= {1: 2, 2: 4, 4: 11, 5: 5, 6: 0, 7: 0, 8: 1, 9: 8, 10: 12, 11: 3, 12: 7, 13: 10}
SYNPASS13 |= {18: 6, 22: 9}
EVENTSCAPE = {raw: raw - 1 if 1 <= raw <= 12 else VOID for raw in range(23)}

# colour of the original CamVid -> (its name, index of the SegNet class)
CAMVID32 = {
    (64, 128, 64): ("Animal", 9),
    (192, 0, 128): ("Archway", 1),
    (0, 128, 192): ("Bicyclist", 10),
    (0, 128, 64): ("Bridge", 1),
    (128, 0, 0): ("Building", 1),
    (64, 0, 128): ("Car", 8),
    (64, 0, 192): ("CartLuggagePram", 9),
    (192, 128, 64): ("Child", 9),
    (192, 192, 128): ("Column_Pole", 2),
    (64, 64, 128): ("Fence", 7),
    (128, 0, 192): ("LaneMkgsDriv", 3),
    (192, 0, 64): ("LaneMkgsNonDriv", 3),
    (128, 128, 64): ("Misc_Text", 6),
    (192, 0, 192): ("MotorcycleScooter", 10),
    (128, 64, 64): ("OtherMoving", 8),
    (64, 192, 128): ("ParkingBlock", 4),
    (64, 64, 0): ("Pedestrian", 9),
    (128, 64, 128): ("Road", 3),
    (128, 128, 192): ("RoadShoulder", 4),
    (0, 0, 192): ("Sidewalk", 4),
    (192, 128, 128): ("SignSymbol", 6),
    (128, 128, 128): ("Sky", 0),
    (64, 128, 192): ("SUVPickupTruck", 8),
    (0, 0, 64): ("TrafficCone", 2),
    (0, 64, 64): ("TrafficLight", 6),
    (192, 64, 128): ("Train", 8),
    (128, 128, 0): ("Tree", 5),
    (192, 128, 192): ("Truck_Bus", 8),
    (64, 0, 64): ("Tunnel", 1),
    (192, 192, 0): ("VegetationMisc", 5),
    (64, 192, 0): ("Wall", 1),
}


@dataclasses.dataclass(frozen=True)
class Tree:
    """A data set: its files, and what its label maps hold."""

    files: Files
    stored: np.ndarray  # the pixels of every label map file
    expected: np.ndarray  # the class indices that they are

    def write(self, root: Path) -> None:
        rng = np.random.default_rng(0)
        for pairs in self.files.values():
            for picture, label_map in pairs:
                image = rng.integers(0, 256, (*self.stored.shape[:2], 3)).astype(np.uint8)
                save(root / picture, image)
                save(root / label_map, self.stored)
                (root / picture).with_name("._" + Path(picture).name).write_bytes(b"Mac OS X")
                (root / label_map).with_name("._" + Path(label_map).name).write_bytes(b"Mac OS X")


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def grey(classes: dict[int, int], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A label map with every value, and its class indices."""
    return tuple(np.resize(np.array(list(v), np.uint8), size) for v in (classes, classes.values()))


def colors(classes: list[int], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A colour-coded CamVid label map with all 32 colours, and its class indices."""
    order = np.resize(np.arange(32), size)
    table = np.array([*CAMVID32, (0, 0, 0)], np.uint8)
    return table[order], np.array([*classes, VOID], np.uint8)[order]


def first_channel(classes: dict[int, int], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """An RGB label map whose other channels hold something else."""
    stored, expected = grey(classes, size)
    return np.stack([stored, stored[::-1], 255 - stored], axis=2), expected


def bordered(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """DADA-seg: sky above road on the left, person above car on the right, train in the border."""
    stored = np.full(size, 16, np.uint8)
    expected = np.empty((512, 1024), np.uint8)
    quarters = ((0, 300, 162, 792, 10), (300, 600, 162, 792, 0))
    quarters += ((0, 300, 792, 1422, 11), (300, 600, 792, 1422, 13))
    for top, bottom, left, right, value in quarters:
        stored[top:bottom, left:right] = value
    expected[:256, :512], expected[256:, :512] = 10, 0
    expected[:256, 512:], expected[256:, 512:] = 11, 13
    return stored, expected


def cityscapes(kind: str, splits: tuple[str, ...]) -> Files:
    def pair(split: str, city: str, i: int) -> tuple[str, str]:
        stem = f"{split}/{city}/{city}_{i:06d}_000019"
        return f"leftImg8bit/{stem}_leftImg8bit.png", f"{kind}/{stem}_{kind}_labelIds.png"

    return {s: [pair(s, "aachen", 0), pair(s, "aachen", 1), pair(s, "ulm", 0)] for s in splits}


def camvid(split: str) -> list[tuple[str, str]]:
    names = ("0001TP_006690.png", "0006R0_f00930.png", "0016E5_07959.png")
    return [(f"{split}/{name}", f"{split}annot/{name}") for name in names]


def camvid32(*names: str) -> list[tuple[str, str]]:
    return [(f"701_StillsRaw_full/{n}.png", f"LabeledApproved_full/{n}_L.png") for n in names]


def panorama(name: str) -> tuple[str, str]:
    return f"leftImg8bit/val/{name}.png", f"gtFine/val/{name}_labelTrainIds.png"


def synpass(split: str) -> list[tuple[str, str]]:
    stems = [f"{w}/{split}/MAP_{i}_point{i}" for i, w in enumerate(("cloud", "fog", "rain", "sun"))]
    return [(f"img/{s}/000000.jpg", f"semantic/{s}/000000_trainID.png") for s in stems]


def eventscape(folder: str, *stems: str) -> list[tuple[str, str]]:
    pairs = []
    for stem in stems:
        town, sequence, _ = stem.split("_")
        place = f"{folder}/Town{town}/sequence_{int(sequence)}"
        label_map = f"{place}/semantic/data/{stem}_gt_labelIds.png"
        pairs.append((f"{place}/rgb/data/{stem}_image.png", label_map))
    return pairs


CAMVID32_FILES = {
    "train": camvid32("0001TP_006690", "0001TP_008520", "0006R0_f03930", "0016E5_07920"),
    "val": camvid32("0016E5_07959", "0016E5_08159"),
    "test": camvid32("0001TP_008550", "0001TP_010380", "Seq05VD_f00000"),
}
DADA_FILES = {
    "val": [
        (f"leftImg8bit/val/{n}.jpg", f"gtFine/val/{n}_gtFine_labelTrainIds.png")
        for n in ("images_01_001_0011", "images_01_002_0022")
    ]
}
PANORAMA_FILES = {"val": [panorama("Zürich/1_"), panorama("cs/0 a"), panorama("cs/1")]}
SYNPASS_FILES = {split: synpass(split) for split in ("train", "val", "test")}
EVENTSCAPE_FILES = {
    "train": eventscape("Town01-03_train", "01_000_0000", "01_000_0001", "03_012_0162"),
    "val": eventscape("Town05_val", "05_001_0162"),
    "test": eventscape("Town05_test", "05_007_0000", "05_007_0001"),
}

MAKERS: dict[str, Callable[[], Tree]] = {
    "cityscapes": lambda: Tree(
        cityscapes("gtFine", ("train", "val", "test")), *grey(CITYSCAPES, (32, 64))
    ),
    "cityscapes-coarse": lambda: Tree(
        cityscapes("gtCoarse", ("train", "train_extra", "val")), *grey(CITYSCAPES, (32, 64))
    ),
    "camvid": lambda: Tree(
        {split: camvid(split) for split in ("train", "val", "test")},
        *grey({**{i: i for i in range(11)}, 11: VOID}, (36, 48)),
    ),
    "camvid32": lambda: Tree(CAMVID32_FILES, *colors(list(range(31)), (72, 96))),
    "camvid32-11": lambda: Tree(
        CAMVID32_FILES, *colors([index for _, index in CAMVID32.values()], (72, 96))
    ),
    "dada-seg": lambda: Tree(DADA_FILES, *bordered((660, 1584))),
    "densepass": lambda: Tree(PANORAMA_FILES, *grey(TRAIN_IDS, (25, 128))),
    "densepass13": lambda: Tree(
        PANORAMA_FILES, *grey(dict(zip(TRAIN_IDS, MERGED, strict=True)), (25, 128))
    ),
    "synpass": lambda: Tree(SYNPASS_FILES, *grey(SYNPASS, (32, 64))),
    "synpass13": lambda: Tree(SYNPASS_FILES, *grey(SYNPASS13, (32, 64))),
    "eventscape": lambda: Tree(EVENTSCAPE_FILES, *first_channel(EVENTSCAPE, (32, 64))),
}
