"""A data set packed into TFRecord shards, read in any order without TensorFlow.

    records.json                       label space, lookup table, where each record begins
    train-00000-of-00003.tfrecord      tf.train.Example messages, see `FEATURES`

The shards are ordinary ones: `tf.data.TFRecordDataset` and `tf.io.parse_single_example` read them,
too. Written by `fastscnn_tf.data.pack`.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import ConfigError, DataError
from ..core.images import decode_image
from ..core.labels import LabelSpace
from .dataset import SegmentationDataset
from .encoded import decode_instances, decode_label
from .example_proto import Value, decode_example
from .tfrecord import read_record

INDEX = "records.json"
FORMAT = "fastscnn-records"
VERSION = 1
FEATURES = {
    "image/encoded": "the picture's file",
    "image/format": "png, jpeg, ...",
    "image/filename": "its path in the data set",
    "image/height": "pixels, upright",
    "image/width": "pixels",
    "label/encoded": "8-bit PNG; `lookup_table` of records.json maps its values to class indices",
    "label/format": "png",
    "instance/encoded": "16-bit PNG of instance ids; only of data sets that have them",
}


@dataclasses.dataclass(frozen=True)
class Shard:
    """One TFRecord file.

    Attributes:
        path: the file.
        starts: where each record begins, and where the file ends; bytes.
        crc32: zlib's checksum of each record.
        names: of each record, for messages and output files.
    """

    path: Path
    starts: tuple[int, ...]
    crc32: tuple[int, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def read(self, number: int) -> dict[str, Value]:
        """The features of one record, its checksums compared.

        Raises:
            DataError: it is damaged or cannot be read.
        """
        start, stop = self.starts[number : number + 2]
        try:
            return decode_example(read_record(self.path, start, stop, self.crc32[number]))
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.path}: record {number} of {len(self)} ({self.names[number]}) is damaged: "
                f"{error}; copy or pack the shard again"
            ) from None


class RecordsDataset(SegmentationDataset):
    """One split of a packed data set.

    Safe to read from several threads and processes.

    Args:
        folder: what `pack` wrote.
        split: one of the splits packed.
        part: (number, count): every `count`-th shard from `number` on, for one of several workers.

    Raises:
        ConfigError: the part leaves no shard.
        DataError: no such split, or a shard is missing or of another size than noted.
    """

    def __init__(self, folder: str | os.PathLike[str], split: str, part: tuple[int, int] = (0, 1)):
        index = read_index(Path(folder))
        if split not in index["splits"]:
            known = ", ".join(index["splits"])
            raise DataError(f"{folder}: holds the splits {known}; got {split!r}")
        try:
            self.name, self.split = index["name"], split
            self.labels, self.protocol = _label_space(index["labels"]), index["protocol"]
            noted = _part(index["splits"][split]["shards"], part)
            self.shards = tuple(_shard(Path(folder), shard) for shard in noted)
            self._table = np.array(index["lookup_table"], np.uint8)
        except (KeyError, TypeError, AttributeError) as error:
            raise _damaged(Path(folder) / INDEX) from error
        self._places = [(shard, k) for shard in self.shards for k in range(len(shard))]

    def __len__(self) -> int:
        return len(self._places)

    def sample_name(self, index: int) -> str:
        shard, number = self._places[index]
        return shard.names[number]

    def files(self, index: int) -> tuple[Path, ...]:
        return (self._places[index][0].path,)

    def read_image(self, index: int) -> np.ndarray:
        return self._image(index, self._features(index))

    def read_label(self, index: int) -> np.ndarray:
        return self._label(index, self._features(index))

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        features = self._features(index)
        return self._image(index, features), self._label(index, features)

    def read_instances(self, index: int) -> np.ndarray | None:
        data = self._features(index).get("instance/encoded")
        return None if data is None else decode_instances(data, self.sample_name(index))

    def _features(self, index: int) -> dict[str, Any]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        shard, number = self._places[index]
        return shard.read(number)

    def _image(self, index: int, features: dict[str, Any]) -> np.ndarray:
        return decode_image(features["image/encoded"], self.sample_name(index))

    def _label(self, index: int, features: dict[str, Any]) -> np.ndarray:
        return decode_label(features["label/encoded"], self._table, self.sample_name(index))


def read_index(folder: Path) -> dict[str, Any]:
    """The content of records.json.

    Raises:
        DataError: it is missing, damaged or of a later version.
    """
    path = folder / INDEX
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected a folder made by `fastscnn data pack`")
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        found = index["format"], index["version"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path}: not an index of packed records ({error})") from None
    if found != (FORMAT, VERSION):
        raise DataError(f"{path}: expected {FORMAT} of version {VERSION}, got {found}")
    if not isinstance(index.get("splits"), dict):
        raise _damaged(path)
    return index


def _damaged(path: Path) -> DataError:
    return DataError(f"{path}: not an index of packed records (damaged): pack them again")


def _part(shards: list[Any], part: tuple[int, int]) -> list[Any]:
    number, count = part
    if not 0 <= number < count <= len(shards):
        raise ConfigError(
            f"expected a part (number, count) with number < count <= {len(shards)} shards, got "
            f"{part}; pack into more shards for more workers"
        )
    return shards[number::count]


def _shard(folder: Path, noted: dict[str, Any]) -> Shard:
    path = folder / Path(noted["file"]).name
    if not path.is_file():
        raise DataError(f"{path}: no such shard, but {INDEX} lists it")
    if (size := path.stat().st_size) != noted["bytes"]:
        raise DataError(f"{path}: expected {noted['bytes']:,} bytes, got {size:,}; copy it again")
    starts = (*noted["starts"], noted["bytes"])
    return Shard(path, starts, tuple(noted["crc32"]), tuple(noted["names"]))


def _label_space(noted: dict[str, Any]) -> LabelSpace:
    """From JSON, where tuples are lists."""
    return LabelSpace(**{key: _tuples(value) for key, value in noted.items()})


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
