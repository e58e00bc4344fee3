"""Weights of an ONNX file, read without its library: by name, or in the order of the graph.

An exporter that keeps normalisations keeps the names of PyTorch's tensors, too, and these are
given. One that folds them into convolutions loses or reuses names. What is given then is the graph:
`012.Conv.weight`, `012.Conv.bias`, `012.Conv.pads`, `013.BatchNormalization.weight` and so on,
`030.Resize.align_corners`. Counted are the operations of these three kinds that the first output
needs, each behind what it takes its inputs from, the first input's first: that order stays
whatever order the nodes are listed in.

Source: ONNX, onnx/onnx.proto.
"""

import collections
import dataclasses
import functools
import os
from pathlib import Path

import numpy as np

from ...core.errors import ModelFileError
from ...core.files.protobuf import Value, Wire, content_of, text
from ...core.files.reading import open_regular
from .pickled_tensors import Tensor, extents, packed

LARGEST = 2 << 30  # bytes of a file of weights beside the model
Buffer = bytes | memoryview
# fmt: off
_TYPES = {
    1: "f4", 2: "u1", 3: "i1", 4: "u2", 5: "i2", 6: "i4", 7: "i8", 9: "b1", 10: "f2", 11: "f8",
    12: "u4", 13: "u8", 16: "B2",
}
# fmt: on
_NUMBERS = {1: 4, 7: 7, 11: 10}  # type -> the field that holds its numbers where no raw bytes are
_NORM = ("", "weight", "bias", "running_mean", "running_var")
_PARTS = {"Conv": _NORM[:3], "BatchNormalization": _NORM, "Resize": ()}
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
    graph = _Graph(data, folder)
    if not graph.kinds["Conv"]:
        raise ModelFileError(
            "an ONNX graph without convolutions of float weights, as a quantized one: give the "
            "checkpoint that it was exported from"
        )
    folded = 2 * graph.kinds["BatchNormalization"] < graph.kinds["Conv"]
    found: dict[str, Tensor] = {}
    order = _order(graph.output, graph.makers) if folded else graph.nodes
    for index, node in enumerate(node for node in order if node.kind in _PARTS):
        for part, name in zip(_PARTS[node.kind], node.inputs, strict=False):
            own = graph.weight(name)
            if part and own in graph.stored:
                name = f"{index:03d}.{node.kind}.{part}" if folded else own
                found[name] = graph.read(own)
        if folded:
            told = _told(graph.wire, node)
            found |= {f"{index:03d}.{node.kind}.{name}": told[name] for name in told}
    return found


class _Graph:
    """What is in a file: operations in their order, and tensors as messages until they are read."""

    def __init__(self, data: bytes, folder: Path):
        self.wire, self._folder = Wire(), folder
        graph = self.wire.message(self.wire.message(memoryview(data))[7][0])
        self.nodes = [self._node(each) for each in graph.get(1, [])]
        self.kinds = collections.Counter(node.kind for node in self.nodes)
        self.makers = {name: node for node in self.nodes for name in node.outputs}
        self.output = text(self.wire.message(graph[12][0])[1][0])
        tensors = (self.wire.message(each) for each in graph.get(5, []))
        self.stored = {text(tensor[8][0]): tensor for tensor in tensors}
        for node in self.nodes:
            if node.kind == "Constant" and 5 in node.attributes.get("value", {}):
                value = self.wire.message(node.attributes["value"][5][0])
                self.stored[node.outputs[0]] = value
        self._spent: collections.Counter[str] = collections.Counter()
        self.read = functools.cache(self._read)

    def _node(self, data: Value) -> _Node:
        node = self.wire.message(data)
        attributes = (self.wire.message(each) for each in node.get(5, []))
        inputs, outputs = (tuple(map(text, node.get(field, []))) for field in (1, 2))
        told = {text(each[1][0]): each for each in attributes}
        return _Node(text(node[4][0]), inputs, outputs, told)

    def weight(self, name: str) -> str:
        """The tensor that an input is, through what passes it on."""
        for _ in range(8):  # a circle has no end
            node = self.makers.get(name)
            if name in self.stored or node is None or node.kind not in _PASSED_ON:
                break
            name = node.inputs[0]
        return name

    def _read(self, name: str) -> Tensor:
        message = self.stored[name]
        kind = self.wire.integers(message.get(2, []))[-1]
        code = _TYPES.get(kind, "")
        raw = [content_of(part) for part in message.get(9, message.get(_NUMBERS.get(kind, -1), []))]
        content: Buffer = raw[0] if len(raw) == 1 else b"".join(raw)
        if self.wire.integers(message.get(14, [0]))[-1]:
            content = self._external(message)
        shape = extents(self.wire.integers(message.get(1, [])))
        if not code or not (content or 0 in shape):
            return Tensor()
        return packed(code, content, shape)

    def _external(self, message: dict[int, list[Value]]) -> bytes:
        """Bytes of a plain file beside the model: no path leads elsewhere, none counts twice."""
        entries = (self.wire.message(each) for each in message.get(13, []))
        told = {text(each[1][0]): text(each[2][0]) for each in entries}
        name = told["location"]
        path = self._folder / name
        if name in ("", ".", "..") or set(name) & set("/\\:\0") or path.is_symlink():
            raise ModelFileError(
                f"its weights are said to lie in {name[:80]!r}: only a file beside it is read"
            )
        with open_regular(path, "file of weights", largest=LARGEST, error=ModelFileError) as file:
            room = os.fstat(file.fileno()).st_size
            start = int(told.get("offset", "0")[:20])
            size = int(told.get("length", str(room - start))[:20])
            self._spent[name] += size
            if not 0 <= start <= start + size <= room or self._spent[name] > room:
                raise ValueError(f"a tensor reaches beyond {name[:80]}")
            file.seek(start)
            return file.read(size)


def _told(wire: Wire, node: _Node) -> dict[str, Tensor]:
    """What else is worth knowing: a convolution's pads (-1: told otherwise), strides and dilations,
    or whether a resize aligns corners.
    """

    def word(name: str) -> str:
        return text(node.attributes.get(name, {}).get(4, [memoryview(b"")])[0])

    if node.kind == "Resize":
        aligned = word("coordinate_transformation_mode") == "align_corners"
        return {"align_corners": packed("b1", bytes([aligned]), (1,))}
    if node.kind != "Conv":
        return {}
    found = {}
    for name, usual in (("pads", [0] * 4), ("strides", [1, 1]), ("dilations", [1, 1])):
        values = wire.integers(node.attributes.get(name, {}).get(8, [])) or usual
        if name == "pads" and word("auto_pad") not in ("", "NOTSET"):
            values = [-1] * 4
        array = np.array(values, np.int64)
        found[name] = packed("i8", array.tobytes(), array.shape)
    return found


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
