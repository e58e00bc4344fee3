"""The variables of a TensorFlow checkpoint or SavedModel, read without TensorFlow.

`x.index` is a sorted table as LevelDB has it (blocks of keys that share beginnings, an index of the
blocks, a footer) of messages that say where in `x.data-00000-of-00001` each variable lies; one of
them is a graph of objects that knows the variables' names. Nothing of `saved_model.pb` is read.

Source: TensorFlow, core/protobuf/tensor_bundle.proto, trackable_object_graph.proto and
core/lib/io/table_format.txt.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from ...core.errors import ModelFileError
from ...core.files.protobuf import Value, Wire, content_of, text, varint
from ...core.files.reading import open_regular, read_bytes
from ...data.records.crc32c import masked_crc32c
from .hdf5_child import spelled
from .pickled_tensors import MAX_NAME, Tensor, extents, item_size, packed

LARGEST, LARGEST_INDEX = 2 << 30, 64 << 20  # bytes of all variables, and of the index
ENTRIES = 100_000
_FOOTER, _MAGIC = 48, 0xDB4775248B80FB57
_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_STRING = 7
# fmt: off
_TYPES = {
    1: "f4", 2: "f8", 3: "i4", 4: "u1", 5: "i2", 6: "i1", 9: "i8", 10: "b1", 14: "B2", 17: "u2",
    19: "f2", 22: "u4", 23: "u8",
}
# fmt: on
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
# Parts of a key that say that it is none of the layers'.
_OTHERS = {"optimizer", "_optimizer", ".OPTIMIZER_SLOT", "keras_api", "save_counter", "metrics"}
_OTHERS |= {"seed_generator", "_seed_generators", "optimizer_weights"}


def prefix_of(path: Path) -> Path | None:
    """What the names of an index and its data begin with, if the path is one of these, or a folder.

    Raises:
        ModelFileError: a folder without variables, or with several checkpoints.
    """
    if _found(Path.is_dir, path):
        for folder in (path / "variables", path):
            found = sorted(folder.glob("*.index"))[:2]
            if len(found) == 1:
                return found[0].with_suffix("")
            if found:
                raise ModelFileError(
                    f"{path}: several checkpoints: name one of them, such as {found[0]}"
                )
        raise ModelFileError(
            f"{path}: a folder without variables/variables.index: expected a SavedModel's folder, "
            "or a checkpoint file"
        )
    name = re.sub(r"\.(index|data-\d{5}-of-\d{5})$", "", path.name)
    beside = _found(Path.is_file, path.parent / f"{name}.index")
    return path.with_name(name) if beside and (name != path.name or not path.is_file()) else None


def _found(check: Callable[[Path], bool], path: Path) -> bool:
    """Whether it is there; names that no file can have are not."""
    try:
        return check(path)
    except (OSError, ValueError):
        return False


def read_variables(prefix: Path) -> dict[str, Tensor]:
    """The layers' variables by their names, in the order of the layers.

    Raises:
        ModelFileError: missing or too large.
        ValueError, LookupError: it is damaged.
    """
    wire, index = Wire(), prefix.with_name(f"{prefix.name}.index")
    content = read_bytes(index, "index", largest=LARGEST_INDEX, error=ModelFileError)
    entries: dict[str, memoryview] = {}
    for key, value in _entries(content):
        if len(entries) >= ENTRIES:
            raise ValueError(f"more than {ENTRIES} variables")
        entries[key] = value
    header = wire.message(memoryview(entries.pop("", b"")))
    shards, big = wire.integers(header.get(1, [1]))[0], bool(header.get(2, [0])[0])
    places = {key: _Place.read(wire, value, shards) for key, value in entries.items()}
    shards_there = sum(_size(prefix, shard) for shard in {p.shard for p in places.values()})
    if sum(place.size for place in places.values()) > min(shards_there, LARGEST):
        raise ValueError("its variables have more bytes than there are, or than are read")
    graph = places.pop(_GRAPH, None)
    names = _names(wire, _graph_bytes(graph.fetch(prefix))) if graph else {}
    kept = sorted((key for key in places if not _OTHERS & set(key.split("/"))), key=_natural)
    tensors = {key: places[key].tensor(prefix, ">" if big else "<") for key in kept}
    found: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        name = _name(names.get(key, key))
        if name.endswith("seed_generator_state"):  # of Dropout and GaussianNoise
            continue
        if found.setdefault(name, tensor) != tensor:  # two models, as a teacher beside its student
            return {key.removesuffix(_VALUE): tensor for key, tensor in tensors.items()}
    return found


def _name(full: str) -> str:
    layer, _, kind = full.removesuffix(_VALUE).partition(":")[0].rpartition("/")
    return spelled(layer, kind) if layer else kind


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where a variable lies, and what it is."""

    code: str
    shape: tuple[int, ...]
    shard: str
    offset: int
    size: int
    checksum: bytes

    @classmethod
    def read(cls, wire: Wire, data: memoryview, shards: int) -> _Place:
        """What an entry of the index says."""
        entry = wire.message(data)
        kind, shard, offset, size = (_number(wire, entry, field) for field in (1, 3, 4, 5))
        shape = wire.message(entry[2][0]) if 2 in entry else {}
        extent = [_number(wire, wire.message(axis), 1) for axis in shape.get(2, [])]
        if 7 in entry:
            raise ValueError("a variable in slices")
        if not shard < shards <= 99_999:
            raise ValueError(f"shard {shard} of {shards}")
        name = f"data-{shard:05d}-of-{shards:05d}"
        code = "" if kind == _STRING else _TYPES.get(kind, "?")
        checksum = entry.get(6, [b""])[0]
        if isinstance(checksum, int):
            raise ValueError("a checksum of another type")
        return cls(code, extents(extent), name, offset, size, bytes(checksum))

    def fetch(self, prefix: Path) -> bytes:
        """Its bytes, once the checksum fits."""
        path = prefix.with_name(f"{prefix.name}.{self.shard}")
        with open_regular(path, "file of variables", error=ModelFileError) as file:
            if self.offset + self.size > os.fstat(file.fileno()).st_size:
                raise ValueError(f"a variable reaches beyond {path.name}")
            file.seek(self.offset)
            content = file.read(self.size)
        checksum = masked_crc32c(content) if self.code else None
        if self.checksum and checksum not in (None, int.from_bytes(self.checksum, "little")):
            raise ValueError(f"the checksum of a variable does not fit: {path.name} is damaged")
        return content

    def tensor(self, prefix: Path, order: Literal["<", ">"]) -> Tensor:
        """The variable; its type may be one that cannot be read."""
        if self.code in ("", "?"):
            return Tensor()
        if math.prod(self.shape) * item_size(self.code) != self.size:
            raise ValueError(f"a variable of shape {self.shape} has {self.size} bytes")
        return packed(self.code, self.fetch(prefix), self.shape, order)


def _size(prefix: Path, shard: str) -> int:
    path = prefix.with_name(f"{prefix.name}.{shard}")
    with open_regular(path, "file of variables", error=ModelFileError) as file:
        return os.fstat(file.fileno()).st_size


def _number(wire: Wire, message: dict[int, list[Value]], field: int) -> int:
    """An integer that is 0 where it is missing."""
    return (wire.integers(message.get(field, [])) or [0])[-1]


def _natural(key: str) -> list[tuple[bool, int, str]]:
    """`layer-10` comes after `layer-9`; private lists repeat others in an order of their own."""
    parts = re.split(r"([0-9]{1,9})", key)
    numbers = ((p.isdecimal(), int(p) if p.isdecimal() else 0, p) for p in parts)
    return [(key.startswith("_"), 0, ""), *numbers]


def _graph_bytes(content: bytes) -> memoryview:
    """A tensor of one string: its length, a checksum of that, and the string."""
    size, at = varint(content, 0)
    if size != len(content) - at - 4:
        raise ValueError("the graph of objects is cut off")
    return memoryview(content)[at + 4 :]


def _names(wire: Wire, graph: memoryview) -> dict[str, str]:
    """Keys -> names such as `conv2d_3/kernel`."""
    found = {}
    for number, node in wire.fields(graph):
        if number != 1:
            continue
        for field, attribute in wire.fields(content_of(node)):
            if field == 2:
                parts = wire.message(attribute)
                if 2 in parts and 3 in parts:
                    found[text(parts[3][0])] = text(parts[2][0])
    return found


def _entries(table: bytes) -> Iterator[tuple[str, memoryview]]:
    """Keys and values of a sorted table."""
    data = memoryview(table)
    footer = data[-_FOOTER:]
    if len(footer) < _FOOTER or struct.unpack("<Q", footer[-8:])[0] != _MAGIC:
        raise ValueError("no index of TensorFlow's")
    _, at = _handle(footer, 0)
    place, _ = _handle(footer, at)
    for _, handle in _block(data, place):
        yield from _block(data, _handle(handle, 0)[0])


def _handle(data: memoryview, at: int) -> tuple[tuple[int, int], int]:
    offset, at = varint(data, at)
    size, at = varint(data, at)
    return (offset, size), at


def _block(table: memoryview, place: tuple[int, int]) -> Iterator[tuple[str, memoryview]]:
    """Entries of a block: a byte for its packing and a checksum come behind it."""
    offset, size = place
    end = offset + size
    if not 4 <= size <= len(table) - offset - 5:
        raise ValueError("a block of the index lies outside of it")
    if table[end]:
        raise ValueError("a block of the index is compressed")
    if masked_crc32c(table[offset : end + 1]) != struct.unpack_from("<I", table, end + 1)[0]:
        raise ValueError("the checksum of the index does not fit")
    restarts = struct.unpack_from("<I", table, end - 4)[0]
    data, at, key = table[offset : end - 4], 0, b""
    stop = len(data) - 4 * restarts
    while at < stop:
        shared, at = varint(data, at)
        own, at = varint(data, at)
        length, at = varint(data, at)
        if shared > len(key) or shared + own > MAX_NAME or own + length > stop - at:
            raise ValueError("an entry of the index reaches beyond it")
        key = key[:shared] + bytes(data[at : at + own])
        yield str(key, "utf-8"), data[at + own : at + own + length]
        at += own + length
