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
from ..core.images import read_label
from ..core.labels import CITYSCAPES, IGNORE, LabelSpace
from .dataset import FileDataset

SPLITS = {"gtFine": ("train", "val", "test"), "gtCoarse": ("train", "train_extra", "val")}
PICTURES = "leftImg8bit"


def cityscapes(data_dir: Path, split: str) -> FileDataset:
    """Opens a split of Cityscapes with fine label maps: train, val or test.

    The published label maps of test are void everywhere: its pictures can be read, its label maps
    are refused.

    Raises:
        DataError: unknown split, or a folder or file is missing.
    """
    return _open("cityscapes", data_dir, "gtFine", split)


def cityscapes_coarse(data_dir: Path, split: str) -> FileDataset:
    """Opens a split of Cityscapes with coarse label maps: train, train_extra or val.

    Raises:
        DataError: unknown split, or a folder or file is missing.
    """
    return _open("cityscapes-coarse", data_dir, "gtCoarse", split)


@dataclasses.dataclass(frozen=True)
class WithheldLabels(FileDataset):
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
        maps = (read_label(path, self._table) for _, path in self.pairs)
        return all((label == IGNORE).all() for label in maps)


def _open(name: str, data_dir: Path, kind: str, split: str) -> FileDataset:
    if split not in SPLITS[kind]:
        raise DataError(f"{name} has the splits {', '.join(SPLITS[kind])}; got {split!r}")
    _check_folders(data_dir, kind, split)
    pictures = _Files(data_dir / PICTURES / split, f"_{PICTURES}.png")
    label_maps, labels = _label_maps(data_dir / kind / split, kind)
    if not pictures.ids:
        raise DataError(f"{pictures.folder}: no pictures in this split (<city>/*{pictures.suffix})")
    label_maps.check_complete(pictures, "label map")
    pictures.check_complete(label_maps, "picture")
    pairs = tuple((pictures.path(key), label_maps.path(key)) for key in pictures.ids)
    return (WithheldLabels if split == "test" else FileDataset)(name, split, labels, pairs)


def _check_folders(data_dir: Path, kind: str, split: str) -> None:
    expected = f"expected {PICTURES}/ and {kind}/ under {data_dir}"
    for folder in (data_dir, data_dir / PICTURES, data_dir / kind):
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; {expected}")
    expected = f"Cityscapes needs {PICTURES}/{split}/ and {kind}/{split}/"
    for folder in (data_dir / PICTURES / split, data_dir / kind / split):
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; {expected}")


@dataclasses.dataclass(frozen=True)
class _Files:
    """The files of one kind in a split: `<folder>/<city>/<id><suffix>`."""

    folder: Path
    suffix: str

    @functools.cached_property
    def ids(self) -> tuple[str, ...]:
        """`<city>/<id>`, sorted; hidden files (macOS copies add some) are left out."""
        found = [p for p in self.folder.glob(f"*/*{self.suffix}") if not p.name.startswith(".")]
        return tuple(sorted(f"{p.parent.name}/{p.name.removesuffix(self.suffix)}" for p in found))

    def path(self, key: str) -> Path:
        """The file of an id."""
        return self.folder / f"{key}{self.suffix}"

    def check_complete(self, others: _Files, what: str) -> None:
        """Makes sure that every id of `others` has its `what` here."""
        missing = sorted(set(others.ids) - set(self.ids))
        if missing:
            raise DataError(
                f"{self.path(missing[0])}: no such {what} ({len(missing)} of {len(others.ids)} "
                "are missing)"
            )


def _label_maps(folder: Path, kind: str) -> tuple[_Files, LabelSpace]:
    """Those with label ids; those with class indices where a split has no others."""
    by_label_id = _Files(folder, f"_{kind}_labelIds.png")
    by_index = _Files(folder, f"_{kind}_labelTrainIds.png")
    if by_index.ids and not by_label_id.ids:
        return by_index, dataclasses.replace(CITYSCAPES, raw_values=(), void_values=())
    return by_label_id, CITYSCAPES
