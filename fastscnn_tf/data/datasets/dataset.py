"""`SegmentationDataset`: an indexable list of (image, label map) pairs with a label space."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import itertools
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...core.class_maps import class_map
from ...core.errors import ConfigError, DataError
from ...core.images.image_file import read_image
from ...core.images.label_coding import INDEX, Coding
from ...core.labels import UNKNOWN, LabelSpace

WHOLE_IMAGES = "whole images at their own size"


class SegmentationDataset(abc.ABC):
    """One split of a data set.

    Attributes:
        name: name of the data set.
        split: `train`, `val`, ...
        labels: the label space of the class indices.
        protocol: how the literature scores it.
    """

    name: str
    split: str
    labels: LabelSpace
    protocol: str = WHOLE_IMAGES

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

    def read_instances(self, index: int) -> np.ndarray | None:
        """(H, W) int32 ids of single objects in the authors' coding; None where there are none."""
        return None

    def files(self, index: int) -> tuple[Path, ...]:
        """The files that a pair is read from; none where it is made."""
        return ()

    def state(self, index: int) -> tuple[str, ...]:
        """What changes when a pair does: its name, its files' paths, sizes and times of change, and
        how its label map is read.

        A file that cannot be looked at adds nothing: reading it will say what is wrong.
        """
        parts = [self.sample_name(index)]
        for path in self.files(index):
            with contextlib.suppress(OSError):
                found = path.stat()
                parts += [str(path.absolute()), str(found.st_size), str(found.st_mtime_ns)]
        return tuple(parts)

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
    """Pairs of picture files.

    Args:
        name: name of the data set.
        split: which split.
        labels: the label space of the class indices.
        pairs: (picture, label map).
        stored: the label space of the files, where their classes are to be merged into `labels`.
        protocol: how the literature scores it.
        coding: how the pixels of the files say the class.
    """

    name: str
    split: str
    labels: LabelSpace
    pairs: tuple[tuple[Path, Path], ...]
    stored: LabelSpace | None = None
    protocol: str = WHOLE_IMAGES
    coding: Coding = INDEX
    table: np.ndarray = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", _table(self.stored or self.labels, self.labels))

    def __len__(self) -> int:
        return len(self.pairs)

    def sample_name(self, index: int) -> str:
        return str(self.pairs[index][0])

    def files(self, index: int) -> tuple[Path, ...]:
        return self.pairs[index]

    def state(self, index: int) -> tuple[str, ...]:
        return *super().state(index), repr(self.coding), self.table.tobytes().hex()

    def read_image(self, index: int) -> np.ndarray:
        return read_image(self.pairs[index][0])

    def read_label(self, index: int) -> np.ndarray:
        return self.coding.read(self.pairs[index][1], self.table)


def _table(stored: LabelSpace, labels: LabelSpace) -> np.ndarray:
    """(256,) uint8 from the values in files to class indices of `labels`."""
    table, merge = stored.lookup_table(), class_map(stored, labels)
    if merge is None:
        raise ConfigError(f"no class map from {stored.name} to {labels.name} is known")
    return np.where(table == UNKNOWN, np.uint8(UNKNOWN), merge[table])


class DatasetView(SegmentationDataset):
    """Pairs that lie in other data sets."""

    @abc.abstractmethod
    def find(self, index: int) -> tuple[SegmentationDataset, int]:
        """The data set that holds a pair, and the pair's index in it."""

    def sample_name(self, index: int) -> str:
        dataset, own = self.find(index)
        return dataset.sample_name(own)

    def read_image(self, index: int) -> np.ndarray:
        dataset, own = self.find(index)
        return dataset.read_image(own)

    def read_label(self, index: int) -> np.ndarray:
        dataset, own = self.find(index)
        return dataset.read_label(own)

    def read_instances(self, index: int) -> np.ndarray | None:
        dataset, own = self.find(index)
        return dataset.read_instances(own)

    def files(self, index: int) -> tuple[Path, ...]:
        dataset, own = self.find(index)
        return dataset.files(own)

    def state(self, index: int) -> tuple[str, ...]:
        dataset, own = self.find(index)
        return dataset.state(own)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        dataset, own = self.find(index)
        return dataset.read(own)


class ConcatDataset(DatasetView):
    """Several data sets with the same classes as one, the pairs of the first before the others'.

    Its `name`, `split` and `protocol` join theirs (equal ones once); `labels` are the first one's.

    Args:
        datasets: at least one.

    Raises:
        ConfigError: none are given, or their classes differ.
    """

    def __init__(self, datasets: Sequence[SegmentationDataset]):
        if not datasets:
            raise ConfigError("ConcatDataset needs at least one data set")
        self.datasets = tuple(datasets)
        first = self.datasets[0]
        for other in self.datasets[1:]:
            _check_same_classes(first, other)
        self.name = "+".join(dict.fromkeys(d.name for d in self.datasets))
        self.split = "+".join(dict.fromkeys(d.split for d in self.datasets))
        self.labels = first.labels
        self.protocol = "; ".join(dict.fromkeys(d.protocol for d in self.datasets))
        self._stops = list(itertools.accumulate(map(len, self.datasets)))

    def __len__(self) -> int:
        return self._stops[-1]

    def find(self, index: int) -> tuple[SegmentationDataset, int]:
        """As in `DatasetView`.

        Raises:
            IndexError: there is no such pair.
        """
        if not 0 <= index < len(self):
            raise IndexError(index)
        which = bisect_right(self._stops, index)
        return self.datasets[which], index - (self._stops[which - 1] if which else 0)


def _check_same_classes(first: SegmentationDataset, other: SegmentationDataset) -> None:
    """Raw label values may differ: class indices mean the same where the names do."""
    a, b = first.labels.names, other.labels.names
    if a == b:
        return
    pairs = enumerate(itertools.zip_longest(a, b))
    index, (here, there) = next((i, pair) for i, pair in pairs if pair[0] != pair[1])
    raise ConfigError(
        f"{first.name} and {other.name} cannot be joined, their classes differ: class {index} is "
        f"{here or 'missing'} in {first.name} and {there or 'missing'} in {other.name}"
    )
