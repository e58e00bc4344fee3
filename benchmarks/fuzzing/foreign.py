"""Checkpoints of Keras, TensorFlow, MindSpore and ONNX, written without these, and mutations."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastscnn_tf.data.records.crc32c import masked_crc32c

from .hostile import INTEGERS
from .plain_bytes import mutate_bytes

Arrays = Mapping[str, np.ndarray]
ARRAYS: Arrays = {
    "conv2d/kernel": np.arange(24, dtype=np.float32).reshape(2, 2, 3, 2),
    "conv2d/bias": np.array([1.5, -2], np.float32),
    **{
        f"batch_normalization/{kind}": np.full(2, number, np.float32)
        for number, kind in enumerate(("gamma", "beta", "moving_mean", "moving_variance"))
    },
}
MAGIC = 0xDB4775248B80FB57


def varint(value: int) -> bytes:
    """An integer of 0 or more as protocol buffers have it."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | bytes | str) -> bytes:
    """A field of a message: an integer, bytes, text or a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def mindspore(arrays: Arrays = ARRAYS) -> bytes:
    """A `.ckpt`; names have dots there."""
    out = b""
    arrays = {name.replace("/", "."): array for name, array in arrays.items()}
    for name, array in arrays.items():
        dims = b"".join(field(1, size) for size in array.shape)
        kind = {"f4": "Float32", "f2": "Float16", "i4": "Int32"}[array.dtype.str[1:]]
        tensor = dims + field(2, kind) + field(3, array.tobytes())
        out += field(1, field(1, name) + field(2, tensor))
    return out


def onnx_tensor(name: str, array: np.ndarray, external: str = "", raw: bool = True) -> bytes:
    """A tensor of a graph, its values in the file or beside it."""
    out = b"".join(field(1, size) for size in array.shape)
    out += field(2, {"f4": 1, "f2": 10, "i8": 7}[array.dtype.str[1:]]) + field(8, name)
    if external:
        entries = {"location": external, "offset": "0", "length": str(array.nbytes)}
        for key, value in entries.items():
            out += field(13, field(1, key) + field(2, value))
        return out + field(14, 1)
    return out + field(9 if raw else 4, array.tobytes())


def onnx_node(kind: str, inputs: tuple[str, ...], output: str, **pads: tuple[int, ...]) -> bytes:
    """An operation; attributes are lists of integers."""
    out = b"".join(field(1, each) for each in inputs) + field(2, output) + field(4, kind)
    for name, values in pads.items():
        packed = b"".join(varint(value) for value in values)
        out += field(5, field(1, name) + field(8, packed) + field(20, 7))
    return out


def onnx_model(nodes: list[bytes], tensors: list[bytes], output: str) -> bytes:
    """A model of one graph."""
    graph = b"".join(field(1, node) for node in nodes)
    graph += field(2, "main") + b"".join(field(5, each) for each in tensors)
    graph += field(11, field(1, "x")) + field(12, field(1, output))
    return field(1, 8) + field(2, "pytorch") + field(7, graph) + field(8, field(2, 11))


def onnx(folded: bool) -> bytes:
    """A graph of two convolutions, with a normalisation or without."""
    kernel, bias = np.ones((2, 3, 1, 1), np.float32), np.zeros(2, np.float32)
    norm = ("b.weight", "b.bias", "b.running_mean", "b.running_var")
    between = "y" if folded else "n"
    nodes = [
        onnx_node("Conv", ("x", "a.weight", "a.bias"), "y", pads=(1, 1, 1, 1)),
        *([] if folded else [onnx_node("BatchNormalization", ("y", *norm), "n")]),
        onnx_node("Relu", (between,), "r"),
        onnx_node("Add", ("r", between), "z"),
        onnx_node("Resize", ("z", "", ""), "out"),
    ]
    tensors = [onnx_tensor("a.weight", kernel), onnx_tensor("a.bias", bias, raw=False)]
    tensors += [] if folded else [onnx_tensor(name, bias) for name in norm]
    return onnx_model(nodes, tensors, "out")


def onnx_to_run(metadata: bytes) -> bytes:
    """One that segments: (1, 64, 64, 3) floats in, (1, 8, 8, 3) logits out, our metadata inside."""
    weights = np.random.default_rng(0).normal(size=(3, 3, 8, 8)).astype(np.float32)
    nodes = [
        onnx_node("Transpose", ("x",), "p", perm=(0, 3, 1, 2)),
        onnx_node("Conv", ("p", "w"), "c", strides=(8, 8)),
        onnx_node("Transpose", ("c",), "y", perm=(0, 2, 3, 1)),
    ]
    graph = b"".join(field(1, node) for node in nodes) + field(2, "main")
    graph += field(5, onnx_tensor("w", weights))
    for number, name, shape in ((11, "x", (1, 64, 64, 3)), (12, "y", (1, 8, 8, 3))):
        sides = b"".join(field(1, field(1, side)) for side in shape)
        kind = field(1, field(1, 1) + field(2, sides))
        graph += field(number, field(1, name) + field(2, kind))
    props = field(14, field(1, "fastscnn") + field(2, metadata))
    return field(1, 8) + field(7, graph) + field(8, field(2, 17)) + props


def table(entries: Mapping[str, bytes], block_size: int = 1 << 20) -> bytes:
    """A sorted table of keys and values, as TensorFlow's index of variables is."""
    out, handles = b"", {}
    chunks: list[dict[str, bytes]] = [{}]
    for key in sorted(entries):
        if sum(map(len, chunks[-1].values())) > block_size:
            chunks.append({})
        chunks[-1][key] = entries[key]
    for chunk in chunks:
        handles[max(chunk)] = varint(len(out)) + varint(len(block := _block(chunk)) - 5)
        out += block
    meta, index = _block({}), _block(handles)
    footer = varint(len(out)) + varint(len(meta) - 5)
    footer += varint(len(out) + len(meta)) + varint(len(index) - 5)
    return out + meta + index + footer.ljust(40, b"\0") + struct.pack("<Q", MAGIC)


def _block(entries: Mapping[str, bytes]) -> bytes:
    content, before = b"", b""
    for key, value in entries.items():
        raw = key.encode()
        shared = next((i for i, (a, b) in enumerate(zip(raw, before, strict=False)) if a != b), 0)
        content += varint(shared) + varint(len(raw) - shared) + varint(len(value))
        content += raw[shared:] + value
        before = raw
    content += struct.pack("<II", 0, 1) + b"\0"
    return content + struct.pack("<I", masked_crc32c(content))


def entry(array: np.ndarray, offset: int, shard: int = 0, **changes: Any) -> bytes:
    """Where a variable lies."""
    told = {"kind": 1, "size": array.nbytes, "crc": masked_crc32c(array.tobytes()), **changes}
    shape = b"".join(field(2, field(1, size)) for size in told.get("shape", array.shape))
    place = field(3, shard) + field(4, offset) + field(5, told["size"])
    return (
        field(1, told["kind"]) + field(2, shape) + place + b"\x35" + struct.pack("<I", told["crc"])
    )


def variables(arrays: Arrays = ARRAYS, **changes: Any) -> tuple[bytes, bytes]:
    """Index and data of variables whose names only the graph of objects knows.

    `changes` go into the entry of the first one.
    """
    data, entries, nodes = b"", {"": field(1, 1) + field(3, field(1, 1))}, b""
    for number, (name, array) in enumerate(arrays.items()):
        key = f"layer_with_weights-{number}/v/.ATTRIBUTES/VARIABLE_VALUE"
        entries[key] = entry(array, len(data), **(changes if not number else {}))
        data += array.tobytes()
        nodes += field(1, field(2, field(1, "VALUE") + field(2, name) + field(3, key)))
    text = varint(len(nodes)) + bytes(4) + nodes
    entries["_CHECKPOINTABLE_OBJECT_GRAPH"] = entry(
        np.frombuffer(text, np.uint8), len(data), kind=7, shape=()
    )
    return table(entries), data + text


def keras2(whole: bool) -> bytes:
    """A model's weights in HDF5, or a whole model with its optimizer."""
    import h5py

    stored = io.BytesIO()
    with h5py.File(stored, "w") as file:
        top = file.create_group("model_weights") if whole else file
        layers: dict[str, list[str]] = {}
        for name in ARRAYS:
            layers.setdefault(name.partition("/")[0], []).append(f"{name}:0")
        top.attrs["layer_names"] = [each.encode() for each in ("input_1", *layers)]
        top.create_group("input_1").attrs["weight_names"] = []
        for layer, names in layers.items():
            top.create_group(layer).attrs["weight_names"] = [each.encode() for each in names]
            for each in names:
                top[layer][each] = ARRAYS[each.partition(":")[0]]
        if whole:
            file["optimizer_weights/SGD/iter:0"] = 7
    return stored.getvalue()


def keras3(names: bool = True) -> bytes:
    """A `.weights.h5` of Keras 3, with the layers' names or without."""
    import h5py

    stored = io.BytesIO()
    with h5py.File(stored, "w") as file:
        for name, array in ARRAYS.items():
            layer = f"layers/{name.partition('/')[0]}/vars"
            number = len(file[layer]) if layer in file else 0
            file[f"{layer}/{number}"] = array
            if names:
                file[layer].attrs["name"] = name.partition("/")[0]
        file["optimizer/vars/0"] = 3
    return stored.getvalue()


def mutate_message(rng: random.Random, data: bytes) -> bytes:
    """Changes the fields of a message, also of those inside, and mostly mends the lengths."""
    if rng.random() < 0.25:
        return mutate_bytes(rng, data)
    parts = _parts(data)
    if not parts:
        return mutate_bytes(rng, data)
    at = rng.randrange(len(parts))
    number, value = parts[at]
    way = rng.random()
    if way < 0.5 and isinstance(value, bytes):
        parts[at] = (number, mutate_message(rng, value))
    elif way < 0.65:
        parts[at] = (number, rng.choice(INTEGERS) % 2**64)
    elif way < 0.72:
        parts[at] = (rng.choice((0, 1, 2, 3, 5, 14, 15, 1 << 20)), value)
    elif way < 0.8:
        parts.insert(at, parts[rng.randrange(len(parts))])
    elif way < 0.86:
        del parts[at]
    elif way < 0.92:
        return data[: len(data) // 2] + varint(rng.choice(INTEGERS) % 2**64)
    else:
        parts = parts * rng.choice((2, 30))
    return b"".join(field(n, v) for n, v in parts)


def _parts(data: bytes) -> list[tuple[int, int | bytes]]:
    """Fields of what may be a message; empty where it is none."""
    from fastscnn_tf.core.files.protobuf import Wire

    try:
        fields = list(Wire(5000).fields(memoryview(data)))
    except (ValueError, IndexError):
        return []
    return [(n, v if isinstance(v, int) else bytes(v)) for n, v in fields]


def mutate_index(rng: random.Random, data: bytes) -> bytes:
    """Changes entries of a table and writes it anew, its checksums mended; or its bytes."""
    from fastscnn_tf.model.checkpoints.variables_index import _entries

    if rng.random() < 0.3:
        return mutate_bytes(rng, data)
    entries = {key: bytes(value) for key, value in _entries(data)}
    key = rng.choice(list(entries))
    way = rng.random()
    if way < 0.7:
        entries[key] = mutate_message(rng, entries[key])
    elif way < 0.8:
        entries[rng.choice(("../x", "a" * 5000, "\0", "x/.ATTRIBUTES/VARIABLE_VALUE"))] = entries[
            key
        ]
    elif way < 0.9:
        del entries[key]
    else:
        entries |= {f"{key}/{number}": entries[key] for number in range(rng.choice((2, 100)))}
    return table(entries, rng.choice((1, 200, 1 << 20)))
