"""`SegmentationDataset`: an indexable list of (image, label map) pairs with a label space."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import hashlib
import itertools
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from ...core import console
from ...core.aliases import StrPath
from ...core.class_maps import HINT, class_map, match_classes
from ...core.errors import ConfigError, DataError
from ...core.files.parquet import shard_of
from ...core.images.image_file import INDEX, Coding, read_image
from ...core.labels import UNKNOWN, LabelSpace

Pair = tuple[np.ndarray, np.ndarray]  # (h, w, 3) uint8 RGB and (h, w) uint8 class indices
WHOLE_IMAGES = "whole images at their own size"
ALIKE = "name the same classes alike in both data sets"  # of data sets that are joined


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

    def indices(self) -> Iterable[int]:
        """Those of all pairs, in order."""
        return range(len(self))

    @overload
    def __getitem__(self, index: int) -> Pair: ...

    @overload
    def __getitem__(self, index: slice) -> Subset: ...

    def __getitem__(self, index: int | slice) -> Any:
        """Image and label map of a pair, as `read` gives them; of a slice, these pairs alone.

        Raises:
            IndexError: there is no such pair.
            DataError: it cannot be read.
        """
        found = range(len(self))[index]
        return self.read(found) if isinstance(found, int) else Subset(self, found)

    def __iter__(self) -> Iterator[Pair]:
        return map(self.read, self.indices())

    def __repr__(self) -> str:
        try:
            count = f"{len(self)} pairs"
        except DataError:
            count = "pairs one after the other"
        names = ", ".join(self.labels.names[:4]) + (", ..." if len(self.labels) > 4 else "")
        about = f"{self.name} {self.split}: {count}, {len(self.labels)} classes ({names})"
        return f"<{type(self).__name__} {about}>"

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
                found = (shard_of(path) or path).stat()
                parts += [str(path.absolute()), str(found.st_size), str(found.st_mtime_ns)]
        return tuple(parts)

    def read(self, index: int) -> Pair:
        """Image and label map of the same height and width.

        Raises:
            DataError: either cannot be read, or their sizes differ.
        """
        return self.checked(self.read_image(index), self.read_label(index), index)

    def checked(self, image: np.ndarray, label: np.ndarray, index: int) -> Pair:
        """Both, if their sizes are the same.

        Raises:
            DataError: they differ.
        """
        if image.shape[:2] != label.shape:
            raise DataError(
                f"{self.sample_name(index)}: image is {image.shape[0]}x{image.shape[1]} "
                f"but its label map is {label.shape[0]}x{label.shape[1]}"
            )
        return image, label


def key_of(*parts: str) -> str:
    """A name for what all of these say, such as the `state` of a pair; it fits every file name."""
    text = "\n".join(parts).encode("utf-8", "surrogateescape")
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def check_filled(dataset: SegmentationDataset) -> None:
    """Refuses a split without pairs.

    Raises:
        DataError: it has none.
    """
    if not len(dataset):
        raise DataError(f"{dataset.name}: split {dataset.split!r} is empty")


@dataclasses.dataclass(frozen=True, repr=False)
class FileDataset(SegmentationDataset):
    """Pairs of image files.

    Args:
        name: name of the data set.
        split: which split.
        labels: the label space of the class indices.
        pairs: (image, label map).
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

    def ask(self, what: str, index: int) -> Any:
        """What a method of the data set that holds a pair gives for it."""
        dataset, own = self.find(index)
        return getattr(dataset, what)(own)

    def sample_name(self, index: int) -> str:
        return self.ask("sample_name", index)

    def read_image(self, index: int) -> np.ndarray:
        return self.ask("read_image", index)

    def read_label(self, index: int) -> np.ndarray:
        return self.ask("read_label", index)

    def read_instances(self, index: int) -> np.ndarray | None:
        return self.ask("read_instances", index)

    def files(self, index: int) -> tuple[Path, ...]:
        return self.ask("files", index)

    def state(self, index: int) -> tuple[str, ...]:
        return self.ask("state", index)

    def read(self, index: int) -> Pair:
        return self.ask("read", index)


class Relabelled(DatasetView):
    """A data set whose label maps are in other class indices.

    Args:
        dataset: the pairs.
        labels: the classes that the indices mean.
        table: (256,) uint8 from the data set's class indices to those.
    """

    def __init__(self, dataset: SegmentationDataset, labels: LabelSpace, table: np.ndarray):
        self.name, self.split, self.protocol = dataset.name, dataset.split, dataset.protocol
        self.labels, self._dataset, self._table = labels, dataset, table

    def __len__(self) -> int:
        return len(self._dataset)

    def find(self, index: int) -> tuple[SegmentationDataset, int]:
        """As in `DatasetView`."""
        return self._dataset, index

    def state(self, index: int) -> tuple[str, ...]:
        """As in `SegmentationDataset`; what is kept of a pair is kept with its indices."""
        labels, table = repr(self._dataset.labels), self._table.tobytes().hex()
        return *self._dataset.state(index), labels, table

    def read_label(self, index: int) -> np.ndarray:
        return self._table[self._dataset.read_label(index)]

    def read(self, index: int) -> Pair:
        image, label = self._dataset.read(index)
        return image, self._table[label]


def in_classes_of(
    labels: LabelSpace,
    dataset: SegmentationDataset,
    match: str = "name",
    class_map: StrPath | None = None,
    hint: str = HINT,
) -> SegmentationDataset:
    """A data set with its label maps in a model's class indices; one line says what was done.

    Args:
        labels: the model's classes.
        dataset: the pairs.
        match, class_map, hint: as for `match_classes`.

    Raises:
        ConfigError: its classes are others, or several of the model's are one of them.
    """
    found = match_classes(labels, dataset.labels, match, class_map, hint=hint)
    if found.how:
        absent = f"; ignored: {', '.join(found.absent)}" if found.absent else ""
        console.warn(f"split {dataset.split}: {found.how}{absent}")
    if found.table is None:
        return dataset
    return Relabelled(dataset, labels, found.of_labels())


class Subset(DatasetView):
    """Some pairs of a data set, under its name.

    Args:
        dataset: the whole.
        indices: which pairs, in the order in which they are given.
    """

    def __init__(self, dataset: SegmentationDataset, indices: Sequence[int]):
        self.name, self.split, self.labels = dataset.name, dataset.split, dataset.labels
        self.protocol = dataset.protocol
        self._dataset, self._indices = dataset, tuple(indices)

    def __len__(self) -> int:
        return len(self._indices)

    def find(self, index: int) -> tuple[SegmentationDataset, int]:
        return self._dataset, self._indices[index]


class ConcatDataset(DatasetView):
    """Several data sets with the same classes as one, the pairs of the first before the others'.

    Its `name`, `split` and `protocol` join theirs (equal ones once); `labels` are the first one's,
    in whose order the others' classes of the same names are brought.

    Args:
        datasets: at least one.

    Raises:
        ConfigError: none are given, or their classes differ.
    """

    def __init__(self, datasets: Sequence[SegmentationDataset]):
        if not datasets:
            raise ConfigError("ConcatDataset needs at least one data set")
        first = datasets[0]
        joined = (in_classes_of(first.labels, other, hint=ALIKE) for other in datasets[1:])
        self.datasets = (first, *joined)
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
