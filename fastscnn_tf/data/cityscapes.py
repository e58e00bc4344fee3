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

from ..core.errors import DataError
from ..core.images import read_ids, read_label
from ..core.labels import CITYSCAPES, CITYSCAPES_TRAIN_IDS, IGNORE
from .dataset import FileDataset
from .layout import Layout
from .pairing import Pairing, files_under, pair_up, pictures_under

PICTURES = "leftImg8bit"
PICTURE = f"_{PICTURES}.png"
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
    """Cityscapes with one kind of label maps.

    Args:
        name: as on the command line.
        kind: `gtFine` or `gtCoarse`.
        splits: those that have label maps of this kind.
    """

    labels = CITYSCAPES

    def __init__(self, name: str, kind: str, splits: tuple[str, ...]):
        self.name, self.kind, self.splits = name, kind, splits

    def folders(self, data_dir: Path, split: str) -> tuple[Path, ...]:
        return data_dir / PICTURES / split, data_dir / self.kind / split

    def list_pairs(self, data_dir: Path, split: str) -> Pairing:
        pictures, label_maps = self.folders(data_dir, split)
        ending, found = self._label_maps(label_maps)
        return pair_up(
            pictures_under(pictures, "*/*", (PICTURE,)),
            found,
            lambda path: _in_city(label_maps, path, PICTURE, ending),
            lambda path: _in_city(pictures, path, ending, PICTURE),
        )

    def open_pairs(self, split: str, pairing: Pairing) -> CityscapesDataset:
        kind = WithheldLabels if split == "test" else CityscapesDataset
        ids = not pairing.pairs[0][1].name.endswith(TRAIN_IDS)
        labels = CITYSCAPES if ids else CITYSCAPES_TRAIN_IDS
        return kind(self.name, split, labels, pairing.pairs, None, self.protocol)

    def _label_maps(self, folder: Path) -> tuple[str, list[Path]]:
        """Those with label ids; those with class indices where a split has no others."""
        by_id, by_index = f"_{self.kind}_{LABEL_IDS}", f"_{self.kind}_{TRAIN_IDS}"
        found = files_under(folder, "*/*", (by_id,))
        others = [] if found else files_under(folder, "*/*", (by_index,))
        return (by_index, others) if others else (by_id, found)


def _in_city(folder: Path, path: Path, ending: str, other: str) -> Path:
    return folder / path.parent.name / f"{path.name.removesuffix(ending)}{other}"


cityscapes = Cityscapes("cityscapes", "gtFine", ("train", "val", "test"))
cityscapes_coarse = Cityscapes("cityscapes-coarse", "gtCoarse", ("train", "train_extra", "val"))
