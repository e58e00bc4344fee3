"""`read_checkpoint`: weights from files of other frameworks.

None of them is needed, and nothing in a file is executed or imported: see `safe_pickle`.
"""

import contextlib
import dataclasses
import functools
import io
import math
import struct
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...core.aliases import StrPath
from ...core.errors import InputError, ModelFileError
from ...core.files.json_text import decode_json
from ...core.files.reading import read_bytes
from ...core.files.zip_archive import open_zip
from ...core.foreign_text import one_line
from .foreign_kinds import foreign_kind, is_text
from .keras_archive import PACKED, WEIGHTS, read_hdf5
from .mindspore_file import read_mindspore
from .onnx_file import looks_like_onnx, read_onnx
from .pickled_tensors import Storage, Tensor, extents, packed
from .safe_pickle import InertUnpickler
from .state_dict import COUNTERS, find_weights, tensor_of, without_prefixes
from .variables_index import prefix_of, read_variables

MAX_BYTES = 2 << 30  # of a file
MAX_HEADER = 100 << 20  # as the safetensors library has it

_LEGACY = 0x1950A86A20F9469CFC6C
_LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_UNKNOWN = "not a checkpoint of PyTorch, PaddlePaddle, Keras, TensorFlow, MindSpore or ONNX"
_TEXT = ", but text: give the file of weights that a training run wrote"
_TORCH_SCRIPT = (
    "a TorchScript archive: save the state dict instead, with "
    "torch.save(torch.jit.load(...).state_dict(), ...)"
)
# fmt: off
_SAFETENSORS_TYPES = {
    "F64": "f8", "F32": "f4", "F16": "f2", "BF16": "B2", "I64": "i8", "I32": "i4", "I16": "i2",
    "I8": "i1", "U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1", "BOOL": "b1",
}
# fmt: on
# What malformed input makes the readers raise. RuntimeError: encrypted zip entries, deep JSON.
_DAMAGE = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError),
    *(EOFError, MemoryError, RuntimeError, OSError, struct.error),
    *(zipfile.BadZipFile, zlib.error),
)
Buffer = bytes | bytearray | memoryview


@dataclasses.dataclass(frozen=True)
class _Source:
    """What a reader is given.

    Attributes:
        path: of the file.
        data: its bytes; none of what `variables_index` reads.
        stack: closes what a reader opens.
    """

    path: Path
    data: bytes
    stack: contextlib.ExitStack


def _nothing(storage: Storage) -> Buffer:
    raise ValueError(f"storage {storage.key!r} is missing")


@dataclasses.dataclass(frozen=True)
class _Contents:
    """What a file holds: its root object, and access to the bytes of its storages."""

    root: Any
    limit: int  # bytes of weights that a file of this size may hold
    fetch: Callable[[Storage], Buffer] = _nothing
    order: Literal["<", ">"] = "<"


Reader = Callable[[_Source], _Contents]


def read_checkpoint(path: StrPath, ema: bool = False, prefix: str = "") -> dict[str, np.ndarray]:
    """Reads the weights of a checkpoint; nothing in it is executed or imported.

    Understood are PyTorch's zip format (since 1.6) and the one before, PaddlePaddle's .pdparams
    and other pickles of numpy arrays, and safetensors. The state dict is the root, or lies under
    one of `state_dict.WEIGHT_KEYS`; what else a training run saved beside it is ignored. Also the
    HDF5 files of Keras (weights or whole models of Keras 2, `.weights.h5` of Keras 3), `.keras`,
    SavedModel folders and checkpoints of TensorFlow, MindSpore's .ckpt, and ONNX (see
    `onnx_file`). The content tells which, not the name.

    Args:
        path: the file; a SavedModel's folder; or what the names of a TensorFlow checkpoint's
            files begin with.
        ema: take the running average of the weights that lies beside them, under `EMA_KEYS`.
        prefix: take those whose names begin so, where a file holds several networks.

    Returns:
        name -> array of its own, C order, this machine's byte order, in the order of the file.
        Types and layouts are the file's, but bfloat16 comes as float32. Keras' weights are
        called `layer/variable`. Prefixes that all names share because of a wrapper are gone, and
        so are counters (`COUNTERS`) and what an optimizer keeps.

    Raises:
        ModelFileError: missing, damaged, of another kind, without weights, or larger than 2 GiB.
    """
    path = Path(path)
    variables = prefix_of(path)
    reader: Reader = _read_variables
    data, damage = b"", "truncated or damaged TensorFlow checkpoint"
    if not variables:
        data = read_bytes(path, "checkpoint", largest=MAX_BYTES, error=ModelFileError)
        if kind := foreign_kind(data):
            raise ModelFileError(f"{path}: {kind}")
        reader, damage = _reader(data)
    try:
        with warnings.catch_warnings(), contextlib.ExitStack() as stack:
            warnings.simplefilter("ignore")  # of odd escapes in odd pickles
            contents = reader(_Source(variables or path, data, stack))
            return _arrays(find_weights(contents.root, ema), contents, prefix)
    except InputError as error:
        told = str(error).startswith(f"{path}")
        raise ModelFileError(str(error) if told else f"{path}: {error}") from None
    except MemoryError:
        raise ModelFileError(f"{path}: {len(data):,} bytes unpack to more than memory") from None
    except _DAMAGE as error:
        if damage == _UNKNOWN:  # of no format, about which a reader has nothing to tell
            raise ModelFileError(f"{path}: {_UNKNOWN}{_TEXT * is_text(data)}") from None
        reason = one_line(error)[:120] or type(error).__name__
        raise ModelFileError(f"{path}: {damage} ({reason})") from None


def _reader(data: bytes) -> tuple[Reader, str]:
    """Who reads the file, judging by its first bytes, and what to say when that fails."""
    if data[4:9] == b"\0\0\0\0{":  # the high bytes of the header's length, then JSON
        return _read_safetensors, "truncated or damaged safetensors file"
    if looks_like_onnx(data):
        return _read_onnx, "truncated or damaged ONNX file"
    for start, reader, kind in _READERS:
        if data.startswith(start):
            return reader, f"truncated or damaged {kind}"
    return _read_pickle, _UNKNOWN


def _read_variables(source: _Source) -> _Contents:
    return _Contents(read_variables(source.path), MAX_BYTES)


def _read_hdf5(source: _Source) -> _Contents:
    return _keras(source.data, str(source.path))


def _keras(content: bytes, where: str) -> _Contents:
    """A model of Keras in HDF5, or its weights."""
    arrays = read_hdf5(content, where, min(MAX_BYTES, PACKED * len(content)), keras=True)
    root = {
        name: packed(array.dtype.str[1:], array.tobytes(), array.shape)
        for name, array in arrays.items()
    }
    return _Contents(root, _limit(content), order="<" if sys.byteorder == "little" else ">")


def _read_mindspore(source: _Source) -> _Contents:
    return _Contents(read_mindspore(source.data), _limit(source.data))


def _read_zip(source: _Source) -> _Contents:
    """PyTorch's format: the pickle in <top>/data.pkl, storages in <top>/data/<key>; or a .keras."""
    data = source.data
    limit = _limit(data)
    archive = source.stack.enter_context(
        open_zip(data, "its archive", "PyTorch checkpoint", largest=limit, error=ModelFileError)
    )
    if WEIGHTS in archive.sizes:
        return _keras(archive.read(WEIGHTS), str(source.path))
    found = [n for n in archive.sizes if n.count("/") < 2 and n.rpartition("/")[2] == "data.pkl"]
    if not found:
        held = ", ".join(one_line(name)[:40] for name in list(archive.sizes)[:3]) or "nothing"
        raise ModelFileError(
            f"{_UNKNOWN}: a zip archive without data.pkl (it holds {held}): unpack it, and "
            "give the checkpoint that is inside"
        )
    top = found[0].removesuffix("data.pkl")
    if f"{top}constants.pkl" in archive.sizes:
        raise ModelFileError(_TORCH_SCRIPT)
    unpickler = InertUnpickler(io.BytesIO(archive.read(found[0])))
    named = f"{top}byteorder"
    order = archive.read(named) if named in archive.sizes else b"little"
    if order not in (b"little", b"big"):
        raise ValueError("unknown byte order")

    @functools.cache
    def fetch(storage: Storage) -> bytes:
        name = f"{top}data/{storage.key}"
        content = archive.read(name)
        if len(content) != storage.nbytes:
            raise ValueError(f"{name!r} has {len(content)} bytes instead of {storage.nbytes}")
        return content

    return _Contents(unpickler.load(), limit, fetch, "<" if order == b"little" else ">")


def _limit(data: bytes) -> int:
    """Weights barely compress; views may share a storage or repeat its elements, within reason."""
    return min(MAX_BYTES, (64 << 20) + 16 * len(data))


def _read_pickle(source: _Source) -> _Contents:
    """One pickle of arrays, or PyTorch's old format: five pickles, then the storages."""
    data = source.data
    stream = io.BytesIO(data)
    unpickler = InertUnpickler(stream)
    root = unpickler.load()
    if root != _LEGACY:
        return _Contents(root, _limit(data))
    _, _, root, keys = (unpickler.load() for _ in range(4))  # after version and system
    blocks: dict[str, Buffer] = {}
    position = stream.tell()
    for key in keys:
        storage = unpickler.storages[key]
        (count,) = struct.unpack_from("<q", data, position)
        start, position = position + 8, position + 8 + storage.nbytes
        if count != storage.size or position > len(data):
            raise ValueError(f"storage {key!r} is cut off or has another size")
        blocks[key] = memoryview(data)[start:position]
    return _Contents(root, _limit(data), lambda storage: blocks[storage.key])


def _read_safetensors(source: _Source) -> _Contents:
    """Length of a header, the header (JSON), and the tensors without gaps."""
    data = source.data
    start = 8 + int.from_bytes(data[:8], "little")
    if not start <= min(len(data), MAX_HEADER):
        raise ValueError("its header is cut off or too long")
    body = memoryview(data)[start:]
    root = {}
    header: dict[str, Any] = decode_json(
        data[8:start], "its header", dict[str, Any], largest=MAX_HEADER, error=ModelFileError
    )
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        shape, code = extents(entry["shape"]), _SAFETENSORS_TYPES.get(entry["dtype"])
        called = f"{name[:60]!r}"
        if not 0 <= begin <= end <= len(body):
            raise ValueError(f"{called} lies outside of the file")
        root[name] = packed(code, body[begin:end], shape, what=called) if code else Tensor()
    return _Contents(root, _limit(data))


def _read_onnx(source: _Source) -> _Contents:
    return _Contents(read_onnx(source.data, source.path.parent), _limit(source.data))


_READERS: tuple[tuple[bytes, Reader, str], ...] = (
    (b"PK\x03\x04", _read_zip, "PyTorch checkpoint"),
    (b"\x89HDF\r\n\x1a\n", _read_hdf5, "HDF5 file"),
    (b"\n", _read_mindspore, "MindSpore checkpoint, or a file of another kind"),
    (_LEGACY_START, _read_pickle, "PyTorch checkpoint"),
    (b"\x80", _read_pickle, "checkpoint"),
)


def _arrays(state: dict[str, Any], contents: _Contents, prefix: str) -> dict[str, np.ndarray]:
    tensors = {name: tensor for name, value in state.items() if (tensor := tensor_of(value))}
    names = [name for name in tensors if name.rpartition(".")[2] not in COUNTERS]
    if not all(map(str.isprintable, names)):
        raise ValueError("a name is not printable")
    chosen = [name for name in names if name.startswith(prefix)]
    if names and not chosen:
        raise ModelFileError(f"no names begin with {prefix!r}: they are such as {names[0][:80]!r}")
    arrays, room = {}, contents.limit
    for name, short in zip(chosen, without_prefixes(chosen), strict=True):
        if tensors[name].storage is None:
            raise ModelFileError(
                f"weight {name!r} is of a kind that cannot be read (quantized, sparse, float8, "
                "not by torch.save): save it as a dense float tensor"
            )
        arrays[short] = _array(tensors[name], contents, room)
        room -= arrays[short].nbytes
    return arrays


def _array(tensor: Tensor, contents: _Contents, room: int) -> np.ndarray:
    """A tensor's values, once it is certain that all of them lie within its storage."""
    storage = tensor.storage
    assert storage is not None
    brain = storage.code == "B2"
    order = tensor.order or contents.order
    dtype = np.dtype("u2" if brain else storage.code).newbyteorder(order)
    size, shape = dtype.itemsize, tensor.shape
    if math.prod(shape) * size * (1 + brain) > room:
        raise ModelFileError(f"more than {contents.limit >> 20} MiB of weights: not a Fast-SCNN")
    if not math.prod(shape):
        return np.empty(shape, np.float32 if brain else dtype.newbyteorder("="))
    steps = sum((n - 1) * stride for n, stride in zip(shape, tensor.strides, strict=True))
    if tensor.offset + steps >= storage.size:
        raise ValueError("a tensor reaches beyond its storage")
    raw = contents.fetch(storage) if storage.data is None else storage.data
    content = raw.encode("latin-1") if isinstance(raw, str) else raw
    bytes_apart = [stride * size for stride in tensor.strides]
    # numpy checks the bounds, too.
    values: np.ndarray = np.ndarray(shape, dtype, content, tensor.offset * size, bytes_apart)
    if brain:  # the upper half of a float32
        return np.asarray(values.astype(np.uint32, order="C") << np.uint32(16)).view(np.float32)
    return values.astype(dtype.newbyteorder("="), order="C")
