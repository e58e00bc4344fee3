"""Weights of an ONNX file, read without its library: by name, or in the order of the graph.

An exporter that keeps normalisations keeps the names of PyTorch's tensors, too, and these are
given. One that folds them into convolutions loses or reuses names. What is given then is the graph:
`012.Conv.weight`, `012.Conv.bias`, `012.Conv.pads`, `013.BatchNormalization.weight` and so on,
`030.Resize.align_corners`. Counted are the operations of these three kinds that the first output
needs, each behind what it takes its inputs from, the first input's first: that order stays
whatever order the nodes are listed in.

Source: ONNX, onnx/onnx.proto.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ...core.errors import ModelFileError
from ...core.files.protobuf import Value, Wire, content_of, text
from ...core.files.reading import open_regular
from .pickled_tensors import Storage, Tensor, extents, item_size, packed

# fmt: off
_TYPES = {
    1: "f4", 2: "u1", 3: "i1", 4: "u2", 5: "i2", 6: "i4", 7: "i8", 9: "b1", 10: "f2", 11: "f8",
    12: "u4", 13: "u8", 16: "B2",
}
# fmt: on
_NUMBERS = {1: 4, 7: 7, 11: 10}  # type -> the field that holds its numbers where no raw bytes are
_PARTS = {
    "Conv": ("", "weight", "bias"),
    "BatchNormalization": ("", "weight", "bias", "running_mean", "running_var"),
    "Resize": (),
}
_PASSED_ON = ("Identity", "CastLike", "Cast")  # operations that a weight may go through


@dataclasses.dataclass(frozen=True)
class _Node:
    """An operation: its kind, inputs, output, and attributes as messages."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, dict[int, list[Value]]]


def looks_like_onnx(data: bytes) -> bool:
    """Whether it begins with the version of a format, then names and a graph."""
    try:
        fields = [n for n, _ in zip(Wire(64).fields(memoryview(data)), range(32), strict=False)]
    except (ValueError, LookupError):
        return False
    return fields[0][0] == 1 and isinstance(fields[0][1], int) and 7 in dict(fields)


def read_onnx(data: bytes, folder: Path) -> dict[str, Tensor]:
    """The tensors of convolutions and normalisations, called as above.

    Args:
        data: of the file.
        folder: where it lies, and external data beside it.

    Raises:
        ModelFileError: external data elsewhere.
        ValueError, LookupError: damaged.
    """
    wire = Wire()
    graph = wire.message(wire.message(memoryview(data))[7][0])
    nodes = [_node(wire, each) for each in graph.get(1, [])]
    stored = dict(_tensor(wire, each, folder) for each in graph.get(5, []))
    for node in nodes:
        if node.kind == "Constant" and 5 in node.attributes.get("value", {}):
            stored[node.outputs[0]] = _tensor(wire, node.attributes["value"][5][0], folder)[1]
    makers = {name: node for node in nodes for name in node.outputs}

    def weight(name: str) -> tuple[str, Callable[[], Tensor] | None]:
        for _ in range(8):  # a circle has no end
            node = makers.get(name)
            if name in stored or node is None or node.kind not in _PASSED_ON:
                break
            name = node.inputs[0]
        return name, stored.get(name)

    kinds = [node.kind for node in nodes]
    folded = 2 * kinds.count("BatchNormalization") < kinds.count("Conv")
    output = text(wire.message(graph[12][0])[1][0])
    found: dict[str, Tensor] = {}
    order = _order(output, makers) if folded else nodes
    for index, node in enumerate(node for node in order if node.kind in _PARTS):
        for part, name in zip(_PARTS[node.kind], node.inputs, strict=False):
            own, read = weight(name)
            if part and read:
                found[f"{index:03d}.{node.kind}.{part}" if folded else own] = read()
        if folded and node.kind != "BatchNormalization":
            name, values = _told(wire, node)
            found[f"{index:03d}.{node.kind}.{name}"] = values
    return found


def _node(wire: Wire, data: Value) -> _Node:
    node = wire.message(data)
    attributes = (wire.message(each) for each in node.get(5, []))
    return _Node(
        text(node[4][0]),
        tuple(map(text, node.get(1, []))),
        tuple(map(text, node.get(2, []))),
        {text(each[1][0]): each for each in attributes},
    )


def _tensor(wire: Wire, data: Value, folder: Path) -> tuple[str, Callable[[], Tensor]]:
    """A tensor's name, and what reads it: constants that are no weights are not."""
    message = wire.message(data)

    def read() -> Tensor:
        kind = wire.integers(message.get(2, []))[-1]
        code = _TYPES.get(kind, "")
        raw = [content_of(part) for part in message.get(9, message.get(_NUMBERS.get(kind, -1), []))]
        content = b"".join(raw) if len(raw) != 1 else raw[0]
        if wire.integers(message.get(14, [0]))[-1]:
            content = _external(wire, message, folder)
        shape = extents(wire.integers(message.get(1, [])))
        if not code or not (content or 0 in shape):
            return Tensor()
        count, rest = divmod(len(content), item_size(code))
        if rest:
            raise ValueError("a tensor ends within an element")
        return packed(Storage(code, count, data=content), shape)

    return text(message.get(8, [memoryview(b"")])[0]), read


def _external(wire: Wire, message: dict[int, list[Value]], folder: Path) -> bytes:
    """Bytes of a plain file beside the model; no path may lead elsewhere."""
    entries = (wire.message(each) for each in message.get(13, []))
    told = {text(each[1][0]): text(each[2][0]) for each in entries}
    name = told["location"]
    path = folder / name
    if name in ("", ".", "..") or set(name) & set("/\\:\0") or path.is_symlink():
        raise ModelFileError(
            f"its weights are said to lie in {name[:80]!r}: only a file beside it is read"
        )
    with open_regular(path, "file of weights", error=ModelFileError) as file:
        room = os.fstat(file.fileno()).st_size
        start = int(told.get("offset", "0")[:20])
        size = int(told.get("length", str(room - start))[:20])
        if not 0 <= start <= start + size <= room:
            raise ValueError(f"a tensor reaches beyond {name[:80]}")
        file.seek(start)
        return file.read(size)


def _told(wire: Wire, node: _Node) -> tuple[str, Tensor]:
    """What else is worth knowing: pads of four sides, or how a resize aligns corners."""
    if node.kind == "Conv":
        pads = wire.integers(node.attributes.get("pads", {}).get(8, []))
        values = np.array(pads or [0] * 4, np.int64)
        return "pads", packed(Storage("i8", values.size, data=values.tobytes()), values.shape, "<")
    mode = node.attributes.get("coordinate_transformation_mode", {}).get(4, [memoryview(b"")])
    aligned = bytes([text(mode[0]) == "align_corners"])
    return "align_corners", packed(Storage("b1", 1, data=aligned), (1,))


def _order(output: str, makers: dict[str, _Node]) -> list[_Node]:
    """Operations that an output needs, each behind its inputs'."""
    found: list[_Node] = []
    waiting: list[tuple[str, bool]] = [(output, False)]
    seen: set[str] = set()
    while waiting:
        name, ready = waiting.pop()
        node = makers.get(name)
        if ready and node:
            found.append(node)
        elif node and not seen.issuperset(node.outputs):
            seen.update(node.outputs)
            waiting += [(name, True), *((each, False) for each in reversed(node.inputs))]
    return found
