"""A data set packed into TFRecord shards, read in any order without TensorFlow.

    records.json                       label space, lookup table, where each record begins
    train-00000-of-00003.tfrecord      tf.train.Example messages, see `FEATURES`

The shards are ordinary ones: `tf.data.TFRecordDataset` and `tf.io.parse_single_example` read them,
too. Written by `fastscnn_tf.data.records.packing`.
"""

import dataclasses
import functools
import os
import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import msgspec
import numpy as np

from ...core.aliases import StrPath
from ...core.errors import ConfigError, DataError, retold
from ...core.files.json_text import Count, Text, decode_json
from ...core.files.reading import local, open_regular, read_bytes
from ...core.images.image_file import decode_image, is_image_name
from ...core.labels import IGNORE, UNKNOWN, LabelSpace
from ...core.labels.space import Byte
from ..datasets.dataset import SegmentationDataset
from .encoded import decode_instances, decode_label
from .tfrecord import Value, decode_example, read_record

INDEX, SUFFIX = "records.json", ".tfrecord"
FORMAT = "fastscnn-records"
VERSION = 1
LARGEST = 64 << 20  # bytes of records.json: some 500,000 pairs
FEATURES = {
    "image/encoded": "the image's file",
    "image/format": "png, jpeg, ...",
    "image/filename": "its path in the data set",
    "image/height": "pixels, upright",
    "image/width": "pixels",
    "label/encoded": "8-bit PNG; `lookup_table` of records.json maps its values to class indices",
    "label/format": "png",
    "instance/encoded": "16-bit PNG of instance ids; only of data sets that have them",
}


class _RecordsKind(msgspec.Struct):
    format: Any = None
    version: Any = None


class ShardNote(msgspec.Struct, frozen=True):
    """What records.json says of a shard; later versions may say more.

    Attributes:
        file: its name, see `shard_name`.
        bytes: its size.
        starts: where each record begins.
        crc32: zlib's checksum of each.
        names: of each.
        sha256: of the whole file.
    """

    file: str
    bytes: Count
    starts: list[Count]
    crc32: list[Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]]
    names: list[Text]
    sha256: str = ""

    def fault(self) -> str:
        """What cannot be true; empty where all can."""
        if not len(self.starts) == len(self.crc32) == len(self.names) > 0:
            return "starts, crc32 and names must be equally many, and at least one"
        ends = [*self.starts[1:], self.bytes]
        if self.starts[0] or any(a >= b for a, b in zip(self.starts, ends, strict=True)):
            return f"starts must rise from 0 and end before its {self.bytes:,} bytes"
        for name in self.names:
            if "\0" in name or name.startswith("/") or ".." in PurePosixPath(name).parts:
                return f"the name {name!r} leads out of the data set"
        return ""


class SplitNote(msgspec.Struct, frozen=True):
    """What records.json says of a split."""

    pairs: Count
    shards: list[ShardNote]


class Index(msgspec.Struct, frozen=True):
    """The content of records.json; later versions may say more."""

    name: str
    labels: LabelSpace
    protocol: str
    lookup_table: Annotated[list[Byte], msgspec.Meta(min_length=256, max_length=256)]
    splits: dict[str, SplitNote]


@dataclasses.dataclass(frozen=True)
class Shard:
    """One TFRecord file.

    Attributes:
        path: the file.
        noted: what the index says of it.
    """

    path: Path
    noted: ShardNote

    def __len__(self) -> int:
        return len(self.noted.names)

    def read(self, number: int) -> dict[str, Value]:
        """The features of one record, its checksums compared.

        Raises:
            DataError: it is damaged or cannot be read.
        """
        noted = self.noted
        stop = noted.starts[number + 1] if number + 1 < len(self) else noted.bytes
        which = f"{self.path}: record {number} of {len(self)} ({noted.names[number]})"
        mend = "; copy or pack the shard again"
        with retold(DataError, f"{which} is damaged: ", mend, of=(OSError, ValueError)):
            record = read_record(self.path, noted.starts[number], stop, noted.crc32[number])
            return decode_example(record)

    def file(self, what: str, number: int, features: dict[str, Value]) -> bytes:
        """The bytes of a record's `image`, `label` or `instance`.

        Raises:
            DataError: it has none.
        """
        content = features.get(f"{what}/encoded")
        if not isinstance(content, bytes):
            name = self.noted.names[number]
            raise DataError(f"{self.path}: {name} has no {what}: pack it again")
        return content


class RecordsDataset(SegmentationDataset):
    """One split of a packed data set.

    Safe to read from several threads and processes.

    Args:
        folder: what `pack` wrote.
        split: one of the splits packed.
        part: (number, count): every `count`-th shard from `number` on, for one of several workers.
        whole: refuse shards of another size than noted; else what lies behind a cut is missed when
            it is read.

    Raises:
        ConfigError: the part leaves no shard.
        DataError: no such split, or a shard is missing or of another size than noted.
    """

    def __init__(
        self, folder: StrPath, split: str, part: tuple[int, int] = (0, 1), whole: bool = True
    ):
        folder = local(folder)
        index = read_index(folder)
        if split not in index.splits:
            known = ", ".join(index.splits)
            raise DataError(f"{folder}: holds the splits {known}; got {split!r}")
        self.name, self.split = index.name, split
        self.labels, self.protocol = index.labels, index.protocol
        noted = _part(index.splits[split].shards, part)
        self.shards = tuple(_shard(folder, shard, whole) for shard in noted)
        self._table = np.array(index.lookup_table, np.uint8)
        self._places = [(shard, k) for shard in self.shards for k in range(len(shard))]

    def __len__(self) -> int:
        return len(self._places)

    def sample_name(self, index: int) -> str:
        shard, number = self._places[index]
        return shard.noted.names[number]

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
        features = self._features(index)
        if "instance/encoded" not in features:
            return None
        return decode_instances(self._file("instance", index, features), self.sample_name(index))

    def _features(self, index: int) -> dict[str, Value]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        shard, number = self._places[index]
        return shard.read(number)

    def _image(self, index: int, features: dict[str, Value]) -> np.ndarray:
        return decode_image(self._file("image", index, features), self.sample_name(index))

    def _label(self, index: int, features: dict[str, Value]) -> np.ndarray:
        data = self._file("label", index, features)
        return decode_label(data, self._table, self.sample_name(index))

    def _file(self, what: str, index: int, features: dict[str, Value]) -> bytes:
        shard, number = self._places[index]
        return shard.file(what, number, features)


def is_shard(path: Path) -> bool:
    """Whether a path is that of a TFRecord file."""
    return path.suffix == SUFFIX and path.is_file()


def shard_of(path: Path) -> Path | None:
    """The TFRecord file that a path leads into."""
    return next(filter(is_shard, path.parents), None)


def images(path: Path, whole: bool = True) -> list[Path]:
    """The paths of the images in a shard, `val-00000-of-00001.tfrecord/a/1.png`, by their names.

    Raises:
        DataError: the index beside it is missing, damaged or of other shards, or names two alike;
            or it was cut short and should be `whole`.
    """
    shard, numbers = _opened(path)
    _shard(path.parent, shard.noted, whole)
    return [path / name for name in numbers]


def check_shards(folder: Path, whole: bool = True) -> None:
    """Makes sure that of a folder's shards none is missing or, by default, cut short.

    Raises:
        DataError: one is, or the index is not an index.
    """
    for split in _kept_index(folder, *_state(folder)).splits.values():
        for noted in split.shards:
            _shard(folder, noted, whole)


def read_image_file(path: Path) -> bytes:
    """The bytes of the file of such an image.

    Raises:
        DataError: there is none of this name, or it is damaged.
    """
    file = shard_of(path) or path.parent
    shard, numbers = _opened(file)
    number = numbers.get(path.relative_to(file).as_posix())
    if number is None:
        raise DataError(f"{path}: no image of this name among the {len(shard)} of the shard")
    return shard.file("image", number, shard.read(number))


def split_of(path: Path) -> str:
    """The split of a shard, by its name, see `shard_name`."""
    return path.name.rsplit("-", 3)[0]


def _opened(path: Path) -> tuple[Shard, dict[str, int]]:
    """A shard, and the number of each of its images by its path below it."""
    return _kept(path, *_state(path.parent))


def _state(folder: Path) -> tuple[int, int]:
    """What tells an index from one that was written later."""
    index = folder / INDEX
    if not index.is_file():
        read_index(folder)  # says what is wrong
    state = index.stat()
    return state.st_mtime_ns, state.st_size


@functools.lru_cache(maxsize=8)
def _kept(path: Path, *state: int) -> tuple[Shard, dict[str, int]]:
    splits = _kept_index(path.parent, *state).splits
    every = (shard for split in splits.values() for shard in split.shards)
    noted = next((shard for shard in every if shard.file == path.name), None)
    if noted is None:
        raise DataError(f"{path}: {INDEX} beside it does not list it: name one that it lists")
    names = (PurePosixPath(name) for name in noted.names)  # drawn ones have no suffix
    paths = [str(name) if is_image_name(name) else f"{name}.png" for name in names]
    if len(set(paths)) < len(paths):
        raise DataError(f"{path}: {INDEX} gives two of its images one name: pack them again")
    return Shard(path, noted), {path: number for number, path in enumerate(paths)}


@functools.lru_cache(maxsize=2)
def _kept_index(folder: Path, *state: int) -> Index:
    return read_index(folder)


def read_index(folder: Path) -> Index:
    """The content of records.json, checked.

    Raises:
        DataError: it is missing, damaged or of a later version.
    """
    path = folder / INDEX
    if not os.path.lexists(path):
        raise DataError(f"{path}: no such file; expected a folder made by `fastscnn data pack`")
    where = f"{path}: not an index of packed records"
    content = read_bytes(path, "index of packed records", largest=LARGEST, error=DataError)
    kind: _RecordsKind = decode_json(content, where, _RecordsKind, largest=LARGEST, error=DataError)
    if kind.format != FORMAT:
        raise DataError(f"{where}: expected one that fastscnn data pack wrote")
    if kind.version != VERSION:
        raise DataError(f"{path}: expected {FORMAT} of version {VERSION}, got {kind.version}")
    index: Index = decode_json(content, where, Index, largest=LARGEST, error=DataError)
    if reason := _fault(index):
        raise DataError(f"{where} ({reason}): pack them again")
    return index


def _fault(index: Index) -> str:
    """What no writer of this format writes; empty where all is well."""
    if reason := index.labels.fault():
        return f"labels: {reason}"
    known = (*range(len(index.labels)), UNKNOWN, IGNORE)
    if strange := set(index.lookup_table) - set(known):
        return f"lookup_table: {min(strange)} is none of the {len(index.labels)} classes"
    for split, noted in index.splits.items():
        if not is_split_name(split):
            return f"splits: {split!r} cannot begin a file's name"
        for number, shard in enumerate(noted.shards):
            expected = shard_name(split, number, len(noted.shards))
            if shard.file != expected:
                return f"shard {number} of {split}: expected the file {expected}"
            if reason := shard.fault():
                return f"{expected}: {reason}"
        if sum(len(shard.names) for shard in noted.shards) != noted.pairs:
            return f"the shards of {split} do not hold its {noted.pairs} pairs"
    return ""


def is_split_name(split: str) -> bool:
    """Whether files of a split can be called by it: printable, and leading nowhere."""
    return split.isprintable() and 0 < len(split) <= 100 and not re.search(r"^\.|[/\\:]", split)


def shard_name(split: str, number: int, count: int) -> str:
    """`train-00000-of-00003.tfrecord`."""
    return f"{split}-{number:05d}-of-{count:05d}{SUFFIX}"


def is_shard_name(name: str, split: str) -> bool:
    """Whether `pack` could have written a file of this name for a split."""
    found = re.fullmatch(re.escape(split) + r"-(\d{5,7})-of-(\d{5,7})\.tfrecord", name)
    return bool(found and is_split_name(split) and int(found[1]) < int(found[2]))


def _part(shards: list[ShardNote], part: tuple[int, int]) -> list[ShardNote]:
    number, count = part
    if not 0 <= number < count <= len(shards):
        raise ConfigError(
            f"expected a part (number, count) with number < count <= {len(shards)} shards, got "
            f"{part}; pack into more shards for more workers"
        )
    return shards[number::count]


def _shard(folder: Path, noted: ShardNote, whole: bool) -> Shard:
    path = folder / noted.file
    if not os.path.lexists(path):
        raise DataError(f"{path}: no such shard, but {INDEX} lists it")
    with open_regular(path, "shard", error=DataError) as file:
        size = os.fstat(file.fileno()).st_size
    if whole and size != noted.bytes:
        raise DataError(
            f"{path}: expected {noted.bytes:,} bytes, got {size:,}; copy it again, or --skip-bad "
            "goes on without what is damaged"
        )
    return Shard(path, noted)
