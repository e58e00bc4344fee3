"""Mutations of .tflite files: numbers, offsets and lengths where they lie, and the object tree."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from .hostile import FLOATS, INTEGERS, TEXTS
from .plain_bytes import Field, mutate_bytes, set_field
from .trees import mutate_json

METADATA = b"fastscnn_tf"


def mutate_tflite(rng: random.Random, data: bytes) -> bytes:
    """Sets numbers that the schema reads, or changes the tree and packs it anew."""
    way = rng.random()
    if way < 0.15:
        return mutate_bytes(rng, data)
    if way < 0.6 or len(data) > 200_000:
        fields = fields_of(data)
        for _ in range(rng.choice((1, 1, 2, 4))):
            data = set_field(rng, data, fields)
        return data
    model = schema.ModelT.InitFromPackedBuf(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        _change(rng, model)
    try:
        return _pack(model)
    except Exception:  # a value of a type that no field takes
        return set_field(rng, data, fields_of(data))


def mutate_metadata(rng: random.Random, data: bytes) -> bytes:
    """Changes the JSON that this package keeps inside a .tflite."""
    model = schema.ModelT.InitFromPackedBuf(data)
    entry = next(m for m in model.metadata if m.name == METADATA)
    content = mutate_json(rng, bytes(model.buffers[entry.buffer].data))
    model.buffers[entry.buffer].data = np.frombuffer(content, np.uint8)
    return _pack(model)


def _pack(model: Any) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@cache
def fields_of(data: bytes) -> list[Field]:
    """Where the schema's reader finds numbers: scalars, offsets, lengths of vectors, vtables."""
    seen: set[Field] = set()
    original = flatbuffers.encode.Get

    def noting(kind: Any, buffer: Any, at: int) -> Any:
        seen.add((int(at), kind.size, "little"))
        return original(kind, buffer, at)

    flatbuffers.encode.Get = noting
    try:
        schema.ModelT.InitFromPackedBuf(data)
    finally:
        flatbuffers.encode.Get = original
    return sorted(seen)


def _change(rng: random.Random, model: Any) -> None:
    """Sets, drops, doubles or swaps one field somewhere in the tree."""
    holder, name = rng.choice(_places(model))
    old = getattr(holder, name)
    if isinstance(old, bool | int | np.integer):
        setattr(
            holder,
            name,
            rng.choice((*(int(i) for i in INTEGERS if abs(i) < 1 << 31), int(old) + 1)),
        )
    elif isinstance(old, float):
        setattr(holder, name, rng.choice((*FLOATS[:6], float("nan"), float("inf"), -old)))
    elif isinstance(old, bytes | str):
        setattr(holder, name, rng.choice(TEXTS).encode("utf-8", "surrogatepass"))
    elif isinstance(old, np.ndarray):
        setattr(holder, name, _changed_array(rng, old))
    elif isinstance(old, list):
        setattr(
            holder, name, rng.choice((None, [], old * 2, old[:1], old[1:], old * 30, old[::-1]))
        )
    else:
        setattr(holder, name, None)


def _changed_array(rng: random.Random, old: np.ndarray) -> Any:
    way = rng.randrange(5)
    if way == 0 or not old.size:
        return rng.choice((None, old[:0], np.concatenate([old, old])))
    if way == 1:
        return old[: rng.randrange(old.size)]
    new = old.copy()
    if new.dtype.kind == "f":
        new.flat[rng.randrange(new.size)] = rng.choice((np.nan, np.inf, 0.0, -1.0, 1e38, 1e-40))
    else:
        limits = np.iinfo(new.dtype)
        wild = [v for v in (*INTEGERS, int(new.flat[0]) + 1) if limits.min <= v <= limits.max]
        new.flat[rng.randrange(new.size)] = rng.choice(wild)
    return new


def _places(model: Any) -> list[tuple[Any, str]]:
    found, waiting = [], [model]
    while waiting:
        item = waiting.pop()
        for name, value in vars(item).items():
            if value is not None:
                found.append((item, name))
            children = value if isinstance(value, list) else [value]
            waiting += [
                child
                for child in children
                if type(child).__name__.endswith("T") and hasattr(child, "Pack")
            ]
    return found
