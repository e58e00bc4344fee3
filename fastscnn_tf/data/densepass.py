"""DensePASS: 100 street panoramas of 400x2048, for zero-shot scoring of Cityscapes models.

Layout: `leftImg8bit/val/<dir>/<id>.png` and `gtFine/val/<dir>/<id>_labelTrainIds.png` with the 19
class indices of Cityscapes; pictures may be called `<id>_.png`, too. `densepass13` merges the
classes into the 13 that SynPASS shares.
Source: Ma et al., ITSC 2021; merge of Zhang et al., Trans4PASS (2022).
"""

from __future__ import annotations

from pathlib import Path

from ..core.labels import CITYSCAPES_TRAIN_IDS, PANORAMA13, LabelSpace
from .layout import Layout
from .pairing import Pairing, files_under, pair_up, pictures_under

ENDING = "_labelTrainIds.png"


class DensePass(Layout):
    """DensePASS in 19 or 13 classes; its train pictures have no label maps.

    Args:
        name: as on the command line.
        labels: the classes that are scored.
        protocol: how the literature scores them.
    """

    splits = ("val",)
    stored = CITYSCAPES_TRAIN_IDS

    def __init__(self, name: str, labels: LabelSpace, protocol: str):
        self.name, self.labels, self.protocol = name, labels, protocol

    def folders(self, data_dir: Path, split: str) -> tuple[Path, ...]:
        return data_dir / "leftImg8bit" / split, data_dir / "gtFine" / split

    def list_pairs(self, data_dir: Path, split: str) -> Pairing:
        pictures, label_maps = self.folders(data_dir, split)
        return pair_up(
            pictures_under(pictures, "*/*", (".png",)),
            files_under(label_maps, "*/*", (ENDING,)),
            lambda path: _label_map(path, label_maps / path.parent.name),
            lambda path: pictures / path.parent.name / f"{path.name.removesuffix(ENDING)}.png",
        )


def _label_map(picture: Path, folder: Path) -> Path:
    exact = folder / f"{picture.stem}{ENDING}"
    other = folder / f"{picture.stem.rstrip('_')}{ENDING}"
    return other if other.is_file() and not exact.is_file() else exact


densepass = DensePass(
    "densepass",
    CITYSCAPES_TRAIN_IDS,
    "whole panoramas at 400x2048, 19 classes, zero-shot from Cityscapes",
)
densepass13 = DensePass(
    "densepass13", PANORAMA13, "whole panoramas at 400x2048, 19 classes merged into 13"
)
