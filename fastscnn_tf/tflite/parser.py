"""Reading a .tflite from anywhere: every index, length and shape is checked.

No interpreter is started. Field numbers are those of the TFLite schema
(tensorflow/compiler/mlir/lite/schema/schema.fbs).
"""

from __future__ import annotations

import functools
from typing import TypeVar

from .flatbuffer_reader import DamagedFile, FlatBuffer, FlatTable
from .graph import MAX_RANK, OPTIONAL, Graph, ModelGraphs, Op, Tensor, bit_width
from .op_options import read_options

MARK = b"TFL3"
MAX_OPS = 20_000  # bounds the work; Fast-SCNN has between 100 and 250

T = TypeVar("T")
Span = tuple[int, int]  # (first byte in the file, length)


def parse_tflite(content: bytes) -> ModelGraphs:
    """Reads a file from anywhere.

    Raises:
        DamagedFile: an offset, index, length or shape that cannot be.
    """
    if content[4:8] != MARK:
        raise DamagedFile("no TFL3 mark at byte 4")
    root = FlatBuffer(content).root()
    buffers = [_buffer(table, content) for table in root.tables(4)]
    codes = [_code(table) for table in root.tables(1)]
    graphs = tuple(_graph(table, codes, buffers, content) for table in root.tables(2))
    if not graphs:
        raise DamagedFile("no graph inside")
    metadata = {}
    for entry in root.tables(6):
        start, size = _at(buffers, entry.integer(1, "I"), "metadata", "buffer")
        metadata[entry.text(0)] = memoryview(content)[start : start + size]
    signatures = tuple(table.text(2) for table in root.tables(7))
    return ModelGraphs(root.integer(0, "I"), root.text(3), graphs, metadata, signatures)


def _buffer(table: FlatTable, content: bytes) -> Span:
    """A buffer's place; files over 2 GB keep theirs behind the flatbuffer."""
    offset, size = table.integer(1, "Q"), table.integer(2, "Q")
    if offset > 1:  # 1 marks a buffer whose place was not filled in
        if offset + size > len(content):
            raise DamagedFile("a buffer lies outside the file")
        return offset, size
    return table.span(0)


def _code(table: FlatTable) -> tuple[str, int]:
    """(name, version) of an operator code."""
    number = max(table.integer(3, "i"), table.integer(0, "b"))
    name = schema_names("BuiltinOperator").get(number, f"UNKNOWN_{number}")
    if name == "CUSTOM":
        # It goes into messages: nothing that a terminal would obey.
        name = f"CUSTOM({''.join(c if c.isprintable() else '?' for c in table.text(1)[:80])})"
    return name, table.integer(2, "i", 1)


def _graph(
    table: FlatTable, codes: list[tuple[str, int]], buffers: list[Span], content: bytes
) -> Graph:
    tensors = tuple(_tensor(i, entry, buffers, content) for i, entry in enumerate(table.tables(0)))
    entries = table.tables(3)
    if len(entries) > MAX_OPS:
        raise DamagedFile(f"{len(entries)} operations, more than any real model has")
    ops = tuple(_op(i, entry, codes, len(tensors)) for i, entry in enumerate(entries))
    inputs = _indices(table.integers(1), len(tensors), "graph input", optional=True)
    outputs = _indices(table.integers(2), len(tensors), "graph output")
    return Graph(table.text(4), tensors, ops, tuple(i for i in inputs if i >= 0), outputs)


def _tensor(index: int, table: FlatTable, buffers: list[Span], content: bytes) -> Tensor:
    shape, signature = table.integers(0), table.integers(7)
    if len(signature) == len(shape):
        shape = tuple(-1 if s == -1 else size for s, size in zip(signature, shape, strict=True))
    if len(shape) > MAX_RANK or any(size < -1 for size in shape):
        raise DamagedFile(f"tensor {index} has an impossible shape ({_cut(shape)})")
    number = table.integer(1, "b")
    dtype = schema_names("TensorType").get(number)
    if dtype is None:
        raise DamagedFile(f"tensor {index} has the unknown type {number}")
    start, size = _at(buffers, table.integer(2, "I"), f"tensor {index}", "buffer")
    data = memoryview(content)[start : start + size]
    quantization = table.table(4)
    scales = quantization.numbers(2, "<f4") if quantization else ()
    zeros = quantization.numbers(3, "<i8") if quantization else ()
    tensor = Tensor(
        index,
        table.text(3),
        shape,
        dtype.lower(),
        tuple(map(float, scales)),
        tuple(map(int, zeros)),
        quantization.integer(6, "i") if quantization else 0,
        data,
        bool(table.number(5, "?")),
        table.table(6) is not None,
        start,
    )
    fixed = bit_width(tensor.dtype) and not tensor.sparse and not tensor.dynamic
    if tensor.constant and fixed and len(data) != tensor.bytes:
        raise DamagedFile(
            f"tensor {index} holds {len(data)} bytes where its shape needs {tensor.bytes}"
        )
    return tensor


def _op(index: int, table: FlatTable, codes: list[tuple[str, int]], tensors: int) -> Op:
    kind, version = _at(codes, table.integer(0, "I"), f"operation {index}", "operator code")
    where = f"operation {index} ({kind})"
    inputs = _indices(table.integers(1), tensors, where, optional=True)
    outputs = _indices(table.integers(2), tensors, where)
    return Op(index, kind, version, inputs, outputs, read_options(kind, table.table(4)))


def _indices(
    values: tuple[int, ...], count: int, where: str, optional: bool = False
) -> tuple[int, ...]:
    lowest = OPTIONAL if optional else 0
    for value in values:
        if not lowest <= value < count:
            raise DamagedFile(f"{where} names tensor {value} of {count}")
    return values


def _at(values: list[T], index: int, where: str, what: str) -> T:
    if index >= len(values):
        raise DamagedFile(f"{where} names {what} {index} of {len(values)}")
    return values[index]


def _cut(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape[:6])) + ("..." if len(shape) > 6 else "")


@functools.cache
def schema_names(enumeration: str) -> dict[int, str]:
    """Value -> name of one of the schema's enumerations."""
    from ai_edge_litert import schema_py_generated as schema

    values = vars(getattr(schema, enumeration))
    return {v: k for k, v in values.items() if isinstance(v, int)}
