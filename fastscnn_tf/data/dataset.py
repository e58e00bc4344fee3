"""`SegmentationDataset`: an indexable list of (image, label map) pairs with a label space."""

from __future__ import annotations

import abc
import dataclasses
from pathlib import Path

import numpy as np

from ..core.errors import DataError
from ..core.images import read_image, read_label
from ..core.labels import LabelSpace


class SegmentationDataset(abc.ABC):
    """One split of a data set.

    Attributes:
        name: name of the data set.
        split: `train`, `val`, ...
        labels: the label space of the class indices.
    """

    name: str
    split: str
    labels: LabelSpace

    @abc.abstractmethod
    def __len__(self) -> int: ...

    @abc.abstractmethod
    def sample_name(self, index: int) -> str:
        """A name for messages and output files."""

    @abc.abstractmethod
    def read_image(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""

    @abc.abstractmethod
    def read_label(self, index: int) -> np.ndarray:
        """(H, W) uint8 class indices, 255 where ignored."""

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Image and label map of the same height and width.

        Raises:
            DataError: either cannot be read, or their sizes differ.
        """
        image, label = self.read_image(index), self.read_label(index)
        if image.shape[:2] != label.shape:
            raise DataError(
                f"{self.sample_name(index)}: image is {image.shape[0]}x{image.shape[1]} "
                f"but its label map is {label.shape[0]}x{label.shape[1]}"
            )
        return image, label


@dataclasses.dataclass(frozen=True)
class FileDataset(SegmentationDataset):
    """Pairs of picture files."""

    name: str
    split: str
    labels: LabelSpace
    pairs: tuple[tuple[Path, Path], ...]
    _table: np.ndarray = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_table", self.labels.lookup_table())

    def __len__(self) -> int:
        return len(self.pairs)

    def sample_name(self, index: int) -> str:
        return str(self.pairs[index][0])

    def read_image(self, index: int) -> np.ndarray:
        return read_image(self.pairs[index][0])

    def read_label(self, index: int) -> np.ndarray:
        return read_label(self.pairs[index][1], self._table)


def pair_files(images: Path, labels: Path, suffixes: tuple[str, ...]) -> list[tuple[Path, Path]]:
    """Pairs every picture in `images` with the PNG of the same stem in `labels`.

    Raises:
        DataError: a folder is missing or empty, or a picture has no label map.
    """
    for folder in (images, labels):
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder")
    pictures = sorted(p for p in images.iterdir() if p.suffix.lower() in suffixes)
    if not pictures:
        raise DataError(f"{images}: no pictures in this split ({', '.join(suffixes)})")
    pairs = [(picture, labels / f"{picture.stem}.png") for picture in pictures]
    missing = [label for _, label in pairs if not label.is_file()]
    if missing:
        raise DataError(
            f"{missing[0]}: no such label map ({len(missing)} of {len(pairs)} pictures have none)"
        )
    return pairs
