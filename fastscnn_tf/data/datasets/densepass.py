"""DensePASS: 100 street panoramas of 400x2048, for zero-shot scoring of Cityscapes models.

Layout: `leftImg8bit/val/<dir>/<id>.png` and `gtFine/val/<dir>/<id>_labelTrainIds.png` with the 19
class indices of Cityscapes; pictures may be called `<id>_.png`, too. `densepass13` merges the
classes into the 13 that SynPASS shares.
Source: Ma et al., ITSC 2021; merge of Zhang et al., Trans4PASS (2022).
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ...core.labels import CITYSCAPES_TRAIN_IDS, PANORAMA13
from .layout import Layout
from .pairing import Files, Pairing, pair_up

ENDING = "_labelTrainIds.png"


class DensePass(Layout):
    """DensePASS, whose pictures may have an underscore at the end that label maps lack."""

    def list_pairs(self, data_dir: Path, split: str) -> Pairing:
        pictures, label_maps = self.files(data_dir, split)
        found = label_maps.found()
        there = {label_maps.key(path): path for path in found}

        def label_of(picture: Path) -> Path:
            key = pictures.key(picture)
            exact = label_maps.folder / f"{key}{ENDING}"
            return there.get(key) or there.get(key.rstrip("_")) or exact

        def picture_of(label_map: Path) -> Path:
            return pictures.folder / f"{label_maps.key(label_map)}.png"

        return pair_up(pictures.found_any(), found, label_of, picture_of)


# Its train pictures have no label maps.
densepass = DensePass(
    "densepass",
    ("val",),
    CITYSCAPES_TRAIN_IDS,
    Files(Path("leftImg8bit/{split}"), (".png",), "*/*"),
    Files(Path("gtFine/{split}"), (ENDING,), "*/*"),
    stored=CITYSCAPES_TRAIN_IDS,
    protocol="whole panoramas at 400x2048, 19 classes, zero-shot from Cityscapes",
)
densepass13 = dataclasses.replace(
    densepass,
    name="densepass13",
    labels=PANORAMA13,
    protocol="whole panoramas at 400x2048, 19 classes merged into 13",
)
