"""Own data: folders of pictures and label PNGs, described by a small YAML file.

    # dataset.yaml
    name: my-streets
    classes:                       # in index order
      - {name: road, color: [128, 64, 128]}
      - {name: car, color: [0, 0, 142], value: 26}   # value in the label PNG; default: the index
    void: [200]                    # known values to ignore; 255 always is
    splits:
      train: {images: train/images, labels: train/labels}
      val: {images: val/images, labels: val/labels}

Paths are relative to the YAML file. A picture `x.jpg` belongs to the label map `x.png`.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Annotated

import msgspec

from ...core.errors import DataError
from ...core.files.yaml_text import read_yaml
from ...core.images.image_file import IMAGE_SUFFIXES
from ...core.labels import MAX_CLASSES, LabelSpace, generated_palette
from ...core.labels.space import Byte, Color
from .dataset import FileDataset
from .layout import Missing
from .pairing import Files, Pairing, pair_by_name

DESCRIPTION = "dataset.yaml"


class OwnFolder:
    """A data set that its owner describes."""

    name = "folder"

    def find_splits(self, path: Path) -> tuple[str, ...]:
        """The splits that the description names.

        Args:
            path: the YAML file, or the folder that holds `dataset.yaml`.

        Raises:
            DataError: the description is missing or wrong.
        """
        return _Description(path).splits

    def find_pairs(self, path: Path, split: str) -> Pairing:
        """The files of a split, and those that lack their partner.

        Splits may share a folder of label maps: those of other splits are among `without_image`.

        Raises:
            DataError: the description or a folder is missing or wrong, or there is no picture.
        """
        return _Description(path).pairs(split)

    def __call__(self, path: Path, split: str, missing: Missing = "refuse") -> FileDataset:
        """Opens a split.

        Args:
            path: the YAML file, or the folder that holds `dataset.yaml`.
            split: a key of its `splits`.
            missing: `refuse` pictures without a label map, or `skip` them.

        Raises:
            DataError: the description or a file is missing or wrong.
        """
        description = _Description(path)
        pairing = description.pairs(split)
        if missing == "refuse":
            dataclasses.replace(pairing, without_image=()).check_complete()
        pairing.check_any()
        return FileDataset(description.labels.name, split, description.labels, pairing.pairs)


folder = OwnFolder()


Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class _Class(msgspec.Struct, forbid_unknown_fields=True):
    name: Text
    color: Color | None = None
    value: Byte | None = None


class _Split(msgspec.Struct):
    images: Text
    labels: Text


class _Content(msgspec.Struct, forbid_unknown_fields=True):
    """What `dataset.yaml` may hold; a key that it does not know may be misspelled."""

    classes: list[Text | _Class]
    splits: dict[Text, _Split] = {}
    name: str | int | float | None = None
    void: Annotated[list[Byte], msgspec.Meta(max_length=256)] = []


class _Description:
    """A YAML file that was read."""

    def __init__(self, path: Path):
        self.path = path / DESCRIPTION if path.is_dir() else path
        if not os.path.lexists(self.path):
            raise DataError(f"{self.path}: no such file; describe your data set in {DESCRIPTION}")
        content: _Content = read_yaml(self.path, _Content, what="description", error=DataError)
        self.labels = _label_space(content, self.path)
        self._splits, self.splits = content.splits, tuple(content.splits)

    def pairs(self, split: str) -> Pairing:
        noted = self._splits.get(split)
        if noted is None:
            known = ", ".join(self.splits) or "none"
            raise DataError(f"{self.path}: no split {split!r}; it describes: {known}")
        images, labels = self.path.parent / noted.images, self.path.parent / noted.labels
        for place in (images, labels):
            if not os.path.isdir(place):  # noqa: PTH112 - Path.is_dir raises for names too long
                raise DataError(f"{place}: no such folder; {self.path} names it for {split!r}")
        return pair_by_name(Files(images, IMAGE_SUFFIXES), Files(labels, (".png",)))


def _label_space(content: _Content, path: Path) -> LabelSpace:
    classes = [_Class(each) if isinstance(each, str) else each for each in content.classes]
    generated = generated_palette(min(len(classes), MAX_CLASSES))
    labels = LabelSpace(
        path.parent.name if content.name in (None, "") else str(content.name),
        tuple(each.name for each in classes),
        tuple(each.color or color for each, color in zip(classes, generated, strict=False)),
        tuple(index if each.value is None else each.value for index, each in enumerate(classes)),
        tuple(content.void),
    )
    if reason := labels.fault():
        raise DataError(f"{path}: {reason}")
    return labels
