"""Remembers between runs which pairs were read and found good, so that the check costs once.

A pair is known by its files' paths, sizes and times of change and by how its label map is read: a
changed file, or another meaning of its values, is read again. What is bad is never remembered.
"""

import contextlib
from pathlib import Path

from ...core.errors import InputError, OutputError
from ...core.files.json_text import read_json
from ...core.files.user_folders import cache_folder
from ...core.files.writing import write_json
from ...core.labels.space import Byte
from ...core.version import __version__
from ..datasets.dataset import SegmentationDataset, key_of

LARGEST = 256 << 20  # bytes: some five million pairs


class Verdicts:
    """The good pairs of one split; an unreadable or unwritable cache is as good as none.

    Args:
        dataset: the split.
    """

    def __init__(self, dataset: SegmentationDataset):
        self._dataset = dataset
        self._common = repr((__version__, dataset.name, dataset.split, dataset.labels))
        self._keys = [self._key(index) for index in range(len(dataset))]
        self._path = self._file()
        self._classes = self._read()

    def classes(self, index: int) -> list[int] | None:
        """The classes that occur in a good pair; None for a pair that is not known."""
        return self._classes.get(self._keys[index])

    def add(self, index: int, classes: list[int]) -> None:
        """Remembers a good pair and the indices of its classes, none where all is void."""
        self._classes[self._keys[index]] = classes

    def save(self) -> None:
        """Writes the file; pairs that are no longer in the split are forgotten."""
        if self._path is None:
            return
        current = {key: self._classes[key] for key in self._keys if key in self._classes}
        with contextlib.suppress(OSError, OutputError):
            write_json(self._path, current)

    def _key(self, index: int) -> str:
        return key_of(self._common, *self._dataset.state(index))

    def _file(self) -> Path | None:
        folder = cache_folder()
        if folder is None or not self._keys:
            return None
        first = self._dataset.files(0)
        place = str(first[0].parent.absolute()) if first else ""
        return folder / "checked" / f"{key_of(self._common, place)}.json"

    def _read(self) -> dict[str, list[Byte]]:
        with contextlib.suppress(InputError):
            known = dict[str, list[Byte]]
            return read_json(self._path, known, largest=LARGEST) if self._path else {}
        return {}
