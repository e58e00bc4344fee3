"""Cityscapes: street pictures of 1024x2048 from 50 cities, 19 classes, fine or coarse label maps.

Layout: `leftImg8bit/<split>/<city>/<id>_leftImg8bit.png` with label maps of 34 label ids in
`gtFine/<split>/<city>/<id>_gtFine_labelIds.png` (2975/500/1525 pictures) and
`gtCoarse/<split>/<city>/<id>_gtCoarse_labelIds.png` (train, train_extra, val: 2975/19,998/500). A
split that has only `_labelTrainIds.png`, the class indices themselves, is read from those.
Source: Cordts et al., CVPR 2016; ids of their cityscapesScripts.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np

from ...core.errors import DataError
from ...core.images.image_file import read_ids, read_label
from ...core.labels import CITYSCAPES, CITYSCAPES_TRAIN_IDS, IGNORE
from .dataset import FileDataset
from .layout import Layout
from .pairing import Files, Pairing

LABEL_IDS, TRAIN_IDS, INSTANCE_IDS = "labelIds.png", "labelTrainIds.png", "instanceIds.png"


@dataclasses.dataclass(frozen=True)
class CityscapesDataset(FileDataset):
    """A split, with the instance ids that lie beside its label maps."""

    def read_instances(self, index: int) -> np.ndarray | None:
        """(H, W) int32: label id, or label id * 1000 + number; None where there is no such file."""
        label_map = self.pairs[index][1]
        stem = label_map.name.removesuffix(TRAIN_IDS).removesuffix(LABEL_IDS)
        path = label_map.with_name(stem + INSTANCE_IDS)
        return read_ids(path) if path.is_file() else None


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
        maps = (read_label(path, self.table) for _, path in self.pairs)
        return all((label == IGNORE).all() for label in maps)


class Cityscapes(Layout):
    """Cityscapes with one kind of label maps."""

    def files(self, data_dir: Path, split: str) -> tuple[Files, Files]:
        """Label maps with label ids; those with class indices where a split has no others."""
        pictures, by_id = super().files(data_dir, split)
        ending = by_id.endings[0].replace(LABEL_IDS, TRAIN_IDS)
        by_index = dataclasses.replace(by_id, endings=(ending,))
        use_indices = not by_id.found() and by_index.found()
        return pictures, by_index if use_indices else by_id

    def open_pairs(self, split: str, pairing: Pairing) -> CityscapesDataset:
        kind = WithheldLabels if split == "test" else CityscapesDataset
        ids = not pairing.pairs[0][1].name.endswith(TRAIN_IDS)
        labels = CITYSCAPES if ids else CITYSCAPES_TRAIN_IDS
        return kind(self.name, split, labels, pairing.pairs, None, self.protocol)


cityscapes = Cityscapes(
    "cityscapes",
    ("train", "val", "test"),
    CITYSCAPES,
    Files(Path("leftImg8bit/{split}"), ("_leftImg8bit.png",), "*/*"),
    Files(Path("gtFine/{split}"), (f"_gtFine_{LABEL_IDS}",), "*/*"),
)
cityscapes_coarse = dataclasses.replace(
    cityscapes,
    name="cityscapes-coarse",
    splits=("train", "train_extra", "val"),
    label_maps=Files(Path("gtCoarse/{split}"), (f"_gtCoarse_{LABEL_IDS}",), "*/*"),
)
