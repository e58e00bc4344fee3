"""EventScape: rendered drives of 256x512 through CARLA's towns, 12 classes.

Layout: folders whose names begin with the town, Town01 to Town03 for train (`Town01-03_train`),
`Town05_val` and `Town05_test`; in them, at any depth, sequences with `rgb/` (or `rgb/data/`)
`<id>_image.png` and `semantic/data/<id>_gt_labelIds.png`. `depth/`, `events/` and `timestamps.txt`
are not read. A label is the first channel of an RGB PNG; the others are not looked at.
The protocol names 12 classes: CARLA's tags 1 (Building) to 12 (TrafficSign). Tag 0, None, is no
class but what has no tag, and is void here, as are 13 (Sky) and later ones.
Source: Gehrig et al., RAM Net, RA-L 2021.
"""

from __future__ import annotations

from pathlib import Path

from ...core.errors import DataError
from ...core.images.label_coding import Coding
from ...core.labels import EVENTSCAPE
from .layout import Layout
from .pairing import Files, Pairing, pair_up

PICTURE, LABEL_MAP = "_image.png", "_gt_labelIds.png"
TRAIN_TOWNS = ("Town01", "Town02", "Town03")


class EventScape(Layout):
    """EventScape's pictures and labels; its events and depth are left alone."""

    def folders(self, data_dir: Path, split: str) -> tuple[Path, ...]:
        names = sorted(path.name for path in data_dir.glob("Town*/")) if data_dir.is_dir() else []
        usual = "Town01-03_train" if split == "train" else f"Town05_{split}"
        return tuple(data_dir / n for n in names if _belongs(n, split)) or (data_dir / usual,)

    def list_pairs(self, data_dir: Path, split: str) -> Pairing:
        folders = self.folders(data_dir, split)
        pictures, label_maps = (
            [path for folder in folders for path in files.at(folder, split).found()]
            for files in (self.pictures, self.label_maps)
        )
        if not pictures:
            raise DataError(
                f"{folders[0]}: no pictures in this split (.../<sequence>/rgb/*{PICTURE})"
            )
        return pair_up(pictures, label_maps, _label_of, _picture_of)


def _belongs(folder: str, split: str) -> bool:
    if split == "train":
        return folder.startswith(TRAIN_TOWNS)
    return folder.startswith("Town05") and split in folder


def _label_of(picture: Path) -> Path:
    sequence = next(p for p in picture.parents if p.name == "rgb").parent
    return sequence / "semantic" / "data" / f"{picture.name.removesuffix(PICTURE)}{LABEL_MAP}"


def _picture_of(label_map: Path) -> Path:
    rgb = label_map.parents[2] / "rgb"
    folder = rgb / "data" if (rgb / "data").is_dir() else rgb
    return folder / f"{label_map.name.removesuffix(LABEL_MAP)}{PICTURE}"


eventscape = EventScape(
    "eventscape",
    ("train", "val", "test"),
    EVENTSCAPE,
    Files(Path(), (PICTURE,), "**/rgb/**/*"),
    Files(Path(), (LABEL_MAP,), "**/semantic/data/*"),
    protocol="whole RGB images at 256x512, 12 classes; no class (sky among it) is void",
    coding=Coding("red"),
)
