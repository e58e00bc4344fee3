"""Own data: folders of pictures and label maps, described by a small YAML file.

    # dataset.yaml
    name: my-streets
    classes:                       # in index order
      - {name: road, color: [128, 64, 128]}
      - {name: car, color: [0, 0, 142], value: 26}   # value in the label map; default: the index
    void: [200]                    # known values to ignore; 255 is, too, unless it is a class
    splits:
      train: {images: train/images, labels: train/labels}
      val: {images: val/images, labels: val/labels}

Paths are relative to the YAML file. A picture `x.jpg` belongs to the label map `x.png`. All keys:
see `description` and docs/dataset-yaml.md.
"""

import dataclasses
import os
from pathlib import Path

from ...core.images.image_file import IMAGE_SUFFIXES
from .dataset import FileDataset
from .description import DESCRIPTION, read_description
from .layout import Missing
from .pairing import Files, Pairing


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
        return tuple(read_description(path).splits)

    def find_pairs(self, path: Path, split: str) -> Pairing:
        """The files of a split, and those that lack their partner.

        Splits may share a folder of label maps: those of other splits are among `without_image`.

        Raises:
            DataError: the description or a folder is missing or wrong, or there is no picture.
        """
        return read_description(path).pairs(split)

    def find_pictures(self, path: Path, split: str) -> list[Path]:
        """The pictures of a split, with label maps or without; all of a folder without description.

        Raises:
            DataError: as for `find_pairs`, but for label maps.
        """
        if path.is_dir() and not os.path.lexists(path / DESCRIPTION):
            return Files(path, IMAGE_SUFFIXES, "**/*").found_any()
        return read_description(path).pairs(split, labels_needed=False).pictures

    def __call__(self, path: Path, split: str, missing: Missing = "refuse") -> FileDataset:
        """Opens a split.

        Args:
            path: the YAML file, or the folder that holds `dataset.yaml`.
            split: a key of its `splits`.
            missing: `refuse` pictures without a label map, or `skip` them.

        Raises:
            DataError: the description or a file is missing or wrong.
        """
        description = read_description(path)
        pairing = description.pairs(split)
        if missing == "refuse":
            dataclasses.replace(pairing, without_image=()).check_complete()
        pairing.check_any()
        labels, pairs = description.labels, pairing.pairs
        return FileDataset(labels.name, split, labels, pairs, coding=description.coding)


folder = OwnFolder()


__all__ = ["DESCRIPTION", "OwnFolder", "folder"]
