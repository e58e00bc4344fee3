"""Checkpoints of other frameworks, written without them, and mutations of these."""

from __future__ import annotations

import io
import json
import pickle
import random
import struct
import zipfile
from typing import Any

import numpy as np

from .archives import mutate_zip
from .hostile import INTEGERS
from .plain_bytes import mutate_bytes
from .trees import mutate_json

ARRAYS = {
    "downsample.0.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "downsample.0.bias": np.array([1.5, -2], np.float32),
}


def torch_zip() -> bytes:
    """A `.pth` as PyTorch writes it since 1.6."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", _torch_pickle())
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/version", "3\n")
        for number, array in enumerate(ARRAYS.values()):
            archive.writestr(f"archive/data/{number}", array.tobytes())
    return buffer.getvalue()


def torch_legacy() -> bytes:
    """A `.pth` as PyTorch wrote it before."""
    heads = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    body = [pickle.dumps(head, 2) for head in heads]
    body += [_torch_pickle(legacy=True), pickle.dumps([str(i) for i in range(len(ARRAYS))], 2)]
    body += [struct.pack("<q", array.size) + array.tobytes() for array in ARRAYS.values()]
    return b"".join(body)


def _torch_pickle(legacy: bool = False) -> bytes:
    """A dictionary of tensors: what names torch's functions is written by hand."""
    out = b"\x80\x02}("
    for number, (name, array) in enumerate(ARRAYS.items()):
        strides = tuple(s // array.itemsize for s in array.strides)
        out += _text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n("
        out += (
            b"(" + _text("storage") + b"ctorch\nFloatStorage\n" + _text(str(number)) + _text("cpu")
        )
        out += _plain(array.size) + (b"N" if legacy else b"") + b"tQ"
        out += _plain(0) + _plain(array.shape) + _plain(strides) + b"\x89"
        out += b"ccollections\nOrderedDict\n)RtR"
    return out + b"u."


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def _plain(value: Any) -> bytes:
    return pickle.dumps(value, 2)[2:-1]


def paddle() -> bytes:
    """A `.pdparams`."""
    names = {"StructuredToParameterName@@": {name: f"p_{name}" for name in ARRAYS}}
    return pickle.dumps({**ARRAYS, **names}, 2)


def safetensors(arrays: dict[str, np.ndarray] = ARRAYS) -> bytes:
    """A `.safetensors` of float32."""
    header, at = {}, 0
    for name, array in arrays.items():
        place = [at, at + array.nbytes]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": place}
        at += array.nbytes
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(a.tobytes() for a in arrays.values())


def mutate_safetensors(rng: random.Random, data: bytes) -> bytes:
    """Changes the JSON of the header, its length, or bytes."""
    if rng.random() < 0.2:
        return mutate_bytes(rng, data)
    size = int.from_bytes(data[:8], "little")
    text = mutate_json(rng, data[8 : 8 + size])
    length = len(text) if rng.random() < 0.8 else rng.choice(INTEGERS) % 2**64
    return struct.pack("<Q", length) + text + data[8 + size :]


# Opcodes that call, look up, or grow; what they need lies on the stack or not.
_OPCODES = (
    b"cos\nsystem\n(X\x1a\0\0\0touch ../outside/ran-pickletR0",
    b"cbuiltins\neval\n(X\x01\0\0\x001tR0",
    b"cbuiltins\nexec\n",
    b"\x8c\x02os\x8c\x06system\x93",
    b"(i__main__\nx\n",
    b"\x82\x01",
    *(
        b"R",
        b"b",
        b"\x81",
        b"\x92",
        b"Q",
        b"Ppid\n",
        b"0" * 50,
        b"2" * 5000,
        b"(" * 50_000,
        b"]" * 50_000,
    ),
    *(
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"B\xff\xff\xff\x7f",
        b"\x8b\xff\xff\xff\x7f",
        b"r\xff\xff\xff\xff",
    ),
    *(
        b"\x8e\xff\xff\xff\xff\0\0\0\0",
        b"\x95\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"I" + b"9" * 5000 + b"\n",
    ),
    *(
        b"L" + b"9" * 5000 + b"L\n",
        b"S'\\x1b[2J'\n",
        b"V\\ud800\n",
        b"h\xff",
        b"j\xff\xff\xff\xff",
        b".",
    ),
    b"cnumpy.core.multiarray\nscalar\n",
    b"cnumpy\nndarray\n",
    b"ctorch\nload\n",
    b"ccollections\nOrderedDict\n",
)


def mutate_pickle(rng: random.Random, data: bytes) -> bytes:
    """Puts opcodes into a pickle, or changes its bytes."""
    if rng.random() < 0.5:
        return mutate_bytes(rng, data)
    at = rng.choice((2, rng.randrange(len(data) + 1), len(data) - 1))
    return data[:at] + rng.choice(_OPCODES) + data[at:]


mutate_torch = mutate_zip({"data.pkl": mutate_pickle})
