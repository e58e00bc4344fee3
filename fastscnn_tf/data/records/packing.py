"""Packing splits of a data set into TFRecord shards, without loss and without TensorFlow.

The files go in as they are wherever they are upright RGB PNGs or JPEGs and 8-bit grey label maps
that decode to what the data set reads. Anything else (other formats, EXIF rotation, palettes,
colours to classes, cropping, drawing) goes in as PNG of the result: the image's pixels, the label
map in the values of the label space. Each pair is compared before it is written.
"""

import contextlib
import dataclasses
import hashlib
import os
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from ...core.aliases import Progress, StrPath
from ...core.console import warn
from ...core.errors import ConfigError, DataError, OutputError
from ...core.files.json_text import decode_json, plain
from ...core.files.reading import read_bytes
from ...core.files.writing import FORCE, check_output, write_json
from ...core.images.image_file import encode_png
from ...core.labels import IGNORE, LabelSpace
from ..datasets.dataset import SegmentationDataset
from ..prepare.staging import holds_something, put, staging
from . import packed_dataset as packed
from .encoded import decode_label, is_plain_image
from .tfrecord import Value, encode_example, frame

SHARD_BYTES = 128 << 20
JPEG = b"\xff\xd8"  # how such files begin
_AHEAD = 16  # pairs prepared at a time


def pack(
    datasets: Sequence[SegmentationDataset],
    output: StrPath,
    shards: int | None = None,
    shard_bytes: int = SHARD_BYTES,
    force: bool = False,
    steps: Progress = iter,
) -> dict[str, Any]:
    """Writes splits of one data set as `<split>-00000-of-00003.tfrecord` and `records.json`.

    Record number i is pair number i, so that the same seed draws the same batches.

    Args:
        datasets: splits of one data set.
        output: a folder; new or empty, unless `force`.
        shards: how many for each split; else as many as `shard_bytes` asks for.
        shard_bytes: a shard is closed before it grows beyond this.
        force: replace what was packed there before; other files stay, whatever `records.json` says.
        steps: wraps the pair numbers of each split.

    Returns:
        What `records.json` holds.

    Raises:
        DataError: a pair cannot be read; nothing is written then.
        ConfigError: the splits belong to different data sets, or there are more shards than pairs.
        OutputError: the folder is in use, or the disk is full.
    """
    output = Path(output)
    _check(datasets, shards, shard_bytes)
    with staging(output) as stage:
        old_files = _check_output(output, force)
        splits = {d.split: _write_split(d, stage, shards, shard_bytes, steps) for d in datasets}
        index = _index(datasets[0], splits)
        write_json(stage / packed.INDEX, index)
        packed.read_index(stage)  # what could not be read is not left to be found out later
        for old in old_files:  # the index first: never does it name shards that are not its own
            put(old, stage / "old" / old.name, stage)
        for shard in sorted(stage.glob("*.tfrecord")):
            put(shard, output / shard.name, stage)
        put(stage / packed.INDEX, output / packed.INDEX, stage)
    return index


def _check(datasets: Sequence[SegmentationDataset], shards: int | None, shard_bytes: int) -> None:
    first = datasets[0]
    for dataset in datasets:
        if not packed.is_split_name(dataset.split):
            raise ConfigError(f"the split {dataset.split!r} cannot begin a file's name: rename it")
        if (dataset.name, dataset.labels) != (first.name, first.labels):
            raise ConfigError(f"{first.name} and {dataset.name} cannot be packed together")
        if shards is not None and not 1 <= shards <= len(dataset):
            raise ConfigError(
                f"expected 1 to {len(dataset)} shards for the {len(dataset)} pairs of "
                f"{dataset.split!r}, got {shards}"
            )
    if len({dataset.split for dataset in datasets}) < len(datasets):
        raise ConfigError("each split can be packed once")
    if shard_bytes < 1:
        raise ConfigError(f"expected a shard size of at least one byte, got {shard_bytes}")


class _OldShard(msgspec.Struct):
    file: str


class _OldSplit(msgspec.Struct):
    shards: list[_OldShard]


class _OldIndex(msgspec.Struct):
    """What of an index that is replaced matters; it may be anybody's."""

    format: Literal["fastscnn-records"]
    splits: dict[str, _OldSplit]


def _check_output(output: Path, force: bool) -> list[Path]:
    """The files of an earlier packing there, the index first, to be replaced.

    The index may be a stranger's: of what it names, only what `pack` could have written goes.
    """
    path = output / packed.INDEX
    check_output(path, force)
    if holds_something(output) and not force:
        raise OutputError(f"{output} is not empty: choose another output, or use {FORCE}")
    if not os.path.lexists(path):
        return []
    most = packed.LARGEST
    content = read_bytes(path, "index", largest=most, error=OutputError)
    where = f"{path}: not an index of packed records, and not replaced"
    old: _OldIndex = decode_json(content, where, _OldIndex, largest=most, error=OutputError)
    listed = [(split, s.file) for split, noted in old.splits.items() for s in noted.shards]
    files = [output / name for split, name in listed if packed.is_shard_name(name, split)]
    gone = [file for file in files if file.is_file() and not file.is_symlink()]
    if kept := {name for _, name in listed} - {file.name for file in gone}:
        warn(f"{path} names {min(kept)} ({len(kept)} such), which stays as it is")
    return [path, *dict.fromkeys(gone)]


def _index(dataset: SegmentationDataset, splits: dict[str, Any]) -> dict[str, Any]:
    return {
        "format": packed.FORMAT,
        "version": packed.VERSION,
        "name": dataset.name,
        "labels": dataclasses.asdict(dataset.labels),
        "protocol": dataset.protocol,
        "lookup_table": dataset.labels.lookup_table().tolist(),
        "splits": splits,
    }


def _write_split(
    dataset: SegmentationDataset, stage: Path, shards: int | None, shard_bytes: int, steps: Progress
) -> dict[str, Any]:
    """Writes the shards of one split into `stage`, and returns its part of the index."""
    written: list[_NewShard] = []
    names = _names(dataset)
    records = _records(dataset, names)
    for i in steps(range(len(dataset))):
        record = frame(next(records))
        full = bool(written) and written[-1].size + len(record) > shard_bytes
        if not written or (i * shards // len(dataset) == len(written) if shards else full):
            written.append(_NewShard(stage / f"{len(written)}.part"))
        written[-1].append(record, names[i])
    noted = []
    for number, shard in enumerate(written):
        noted.append(shard.finish(stage / packed.shard_name(dataset.split, number, len(written))))
    return {"pairs": len(dataset), "shards": noted}


class _NewShard:
    """A shard that is being written."""

    def __init__(self, path: Path):
        self.path, self.size = path, 0
        self.starts: list[int] = []
        self.crc32: list[int] = []
        self.names: list[str] = []
        self._sha256 = hashlib.sha256()
        path.touch()

    def append(self, record: bytes, name: str) -> None:
        with self.path.open("ab") as file:
            file.write(record)
        self._sha256.update(record)
        self.starts.append(self.size)
        self.crc32.append(zlib.crc32(record))
        self.names.append(name)
        self.size += len(record)

    def finish(self, path: Path) -> dict[str, Any]:
        self.path.rename(path)
        about = {"file": path.name, "bytes": self.size, "sha256": self._sha256.hexdigest()}
        return about | {"starts": self.starts, "crc32": self.crc32, "names": self.names}


def _names(dataset: SegmentationDataset) -> list[str]:
    """Paths below the folder that all images share, or the names of drawn ones."""
    names = [dataset.sample_name(i) for i in range(len(dataset))]
    for name in names:
        if plain(name) != name:
            raise DataError(f"{name!r}: no UTF-8: rename the file, records could not name it")
    if not all(dataset.files(i) for i in range(len(dataset))):
        return names
    shared = os.path.commonpath([Path(name).parent for name in names])
    return [Path(name).relative_to(shared).as_posix() for name in names]


def _records(dataset: SegmentationDataset, names: list[str]) -> Iterator[bytes]:
    """The serialised examples in order, prepared on all cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(dataset), _AHEAD):
            chunk = range(start, min(start + _AHEAD, len(dataset)))
            yield from pool.map(lambda i: _example(dataset, i, names[i]), chunk)


def _example(dataset: SegmentationDataset, index: int, name: str) -> bytes:
    image, label = dataset.read(index)
    files = dataset.files(index)
    sources = files if len(files) == 2 else (None, None)  # made, or packed already
    encoded = _image_bytes(sources[0], image)
    features: dict[str, Value] = {
        "image/encoded": encoded,
        "image/format": b"jpeg" if encoded.startswith(JPEG) else b"png",
        "image/filename": name.encode(),
        "image/height": image.shape[0],
        "image/width": image.shape[1],
        "label/encoded": _label_bytes(sources[1], label, dataset.labels, name),
        "label/format": b"png",
    }
    if (ids := dataset.read_instances(index)) is not None:
        features["instance/encoded"] = _instance_bytes(ids, name)
    return encode_example(features)


def _instance_bytes(ids: np.ndarray, name: str) -> bytes:
    small = ids.astype(np.uint16)
    if not np.array_equal(small, ids):
        raise DataError(f"{name}: expected instance ids of 0..65535, got {ids.min()}..{ids.max()}")
    return encode_png(small)


def _image_bytes(file: Path | None, image: np.ndarray) -> bytes:
    """The file as it is if any program reads `image` from it, else a PNG of `image`."""
    data = read_bytes(file, "image", error=DataError) if file else b""
    return data if data and is_plain_image(data, image) else encode_png(image)


def _label_bytes(file: Path | None, label: np.ndarray, labels: LabelSpace, name: str) -> bytes:
    """The file as it is if the lookup table maps it to `label`, else a PNG of the same values."""
    table = labels.lookup_table()
    if file:
        data = read_bytes(file, "label map", error=DataError)
        with contextlib.suppress(DataError):  # colours, a palette, or several channels
            if np.array_equal(decode_label(data, table, name), label):
                return data
    values = np.full(256, np.flatnonzero(table == IGNORE)[:1].sum(), np.uint8)  # void, if any
    values[: len(labels)] = [own[0] for own in labels.values_of_classes()]
    if not np.array_equal(table[values[label]], label):
        raise DataError(f"{name}: its classes have no value of their own to be written with")
    return encode_png(values[label])
