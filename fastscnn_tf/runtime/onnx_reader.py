"""What an .onnx file says about itself, as the plain data that a .tflite is read into.

No library of ONNX's is started. A file with anything that could bring other files, code or graphs
within graphs along is refused: what is run is one graph of plain operations, whole in the file.

Source: ONNX, onnx/onnx.proto.
"""

from __future__ import annotations

import math

from ..core.aliases import StrPath
from ..core.errors import ModelFileError, retold
from ..core.files.protobuf import Value, Wire, content_of, text
from ..core.files.reading import read_bytes
from ..core.foreign_text import one_line
from ..tflite.file import METADATA_NAME, own_metadata
from ..tflite.flatbuffer_reader import DamagedFile
from ..tflite.graph import MAX_RANK, OPTIONAL, Graph, ModelGraphs, Op, Tensor
from ..tflite.parser import MARK

OWN = "fastscnn"  # key of our JSON among the file's metadata_props
LARGEST = (2 << 30) - 1  # bytes of a file; protocol buffers reach no further
LONGEST_SIDE = 1 << 16  # of an input or output, in any direction
MOST_VALUES = (1 << 31) - 1  # of one: libraries count them in a C int
NOTHING, SOMETHING = memoryview(b""), memoryview(b"\0")
DAMAGE = ValueError, LookupError  # what reading a made file may raise
Message = dict[int, list[Value]]
# fmt: off
_DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64",
    9: "bool", 10: "float16", 11: "float64", 16: "bfloat16",
}
# fmt: on
_FLOATS, _FLOAT_DATA, _RAW = 1, 4, 9  # type of a tensor, and the fields that hold its numbers
_NESTED = {6, 11, 22, 23}  # fields of an attribute: graphs, sparse tensors
# Operations by the names of their counterparts, which tell what an output means.
_KINDS = {
    **dict.fromkeys(("Conv", "QLinearConv"), "CONV_2D"),
    "BatchNormalization": "DEPTHWISE_CONV_2D",  # one factor and one bias for each channel
    "ConvTranspose": "TRANSPOSE_CONV",
    **dict.fromkeys(("MatMul", "Gemm"), "FULLY_CONNECTED"),
    "Sigmoid": "LOGISTIC",
    "ArgMax": "ARG_MAX",
    **dict.fromkeys(("Resize", "Upsample"), "RESIZE_BILINEAR"),
    **dict.fromkeys(("Identity", "Reshape", "Flatten"), "RESHAPE"),
    "Unsqueeze": "EXPAND_DIMS",
    "QuantizeLinear": "QUANTIZE",
    "DequantizeLinear": "DEQUANTIZE",
}


def read_onnx(path: StrPath) -> tuple[bytes, ModelGraphs]:
    """Reads an .onnx from anywhere: its bytes, and its graph.

    Raises:
        ModelFileError: missing, no ONNX, damaged, or with what is not run here: weights in other
            files, functions, graphs inside operations, operations of other makers.
    """
    content = read_bytes(path, "model file", largest=LARGEST, error=ModelFileError)
    if content[4:8] == MARK:
        raise ModelFileError(f"{path}: a .tflite file under the name of an .onnx: rename it")
    with retold(ModelFileError, f"{path}: no .onnx file that is run here (", ")", of=DAMAGE):
        graphs = _GraphReader().model(memoryview(content))
        own_metadata(graphs)
    return content, graphs


class _GraphReader:
    """Gathers the tensors of a graph by name, as its parts come."""

    def __init__(self) -> None:
        self._wire = Wire()
        self._tensors: list[Tensor] = []
        self._index: dict[str, int] = {}

    def model(self, data: memoryview) -> ModelGraphs:
        with retold(DamagedFile, "not ONNX, or damaged: ", of=DAMAGE):
            model = self._wire.message(data)
        if 7 not in model:
            raise DamagedFile("not ONNX: there is no graph in it")
        if 20 in model or 25 in model:
            raise DamagedFile("it holds functions or training graphs: inline them at export")
        graph = self._wire.message(_only(model, 7))
        if 15 in graph:
            raise DamagedFile("it holds sparse weights: store them dense")
        for each in graph.get(5, []):
            self._constant(text(_only(self._wire.message(each), 8)), each)
        held = set(self._index)
        inputs = [self._port(each) for each in graph.get(11, [])]
        outputs = tuple(self._port(each) for each in graph.get(12, []))
        ops: list[Op] = []
        for each in graph.get(1, []):
            self._op(ops, each)
        fed = tuple(i for i in inputs if self._tensors[i].name not in held)
        main = Graph("", tuple(self._tensors), tuple(ops), fed, outputs)
        entries = [self._wire.message(each) for each in model.get(14, [])]
        props = {text(_only(each, 1)): content_of(_only(each, 2, NOTHING)) for each in entries}
        metadata = {METADATA_NAME: props[OWN]} if OWN in props else {}
        return ModelGraphs(3, "", (main,), props | metadata, ())

    def _add(
        self, name: str, shape: tuple[int, ...] = (), dtype: str = "", data: memoryview = NOTHING
    ) -> int:
        if name not in self._index:
            self._index[name] = len(self._tensors)
            self._tensors.append(Tensor(len(self._tensors), name, shape, dtype, data=data))
        return self._index[name]

    def _constant(self, name: str, data: Value) -> None:
        """A tensor whose numbers lie in the file; those of float32 count for what an output is."""
        tensor = self._wire.message(data)
        if 13 in tensor or any(tensor.get(14, [])):
            raise DamagedFile(
                f"the numbers of {one_line(name)[:80]!r} lie in another file, and none is opened: "
                "export it with external_data=False, or save onnx.load(...) by onnx.save"
            )
        kind = _integer(tensor, 2, 0)
        numbers = tensor.get(_RAW) or (tensor.get(_FLOAT_DATA, []) if kind == _FLOATS else [])
        there = [each for each in numbers if isinstance(each, memoryview) and len(each)]
        self._add(name, (), _DTYPES.get(kind, "other"), there[0] if there else SOMETHING)

    def _port(self, data: Value) -> int:
        """An input or output: its shape, with -1 for a side that the file leaves open."""
        info = self._wire.message(data)
        kind = self._wire.message(_only(self._wire.message(_only(info, 2)), 1))
        sides = self._wire.message(_only(kind, 2, NOTHING)).get(1, [])
        if len(sides) > MAX_RANK:
            raise DamagedFile(f"a tensor of {len(sides)} dimensions")
        shape = tuple(_integer(self._wire.message(each), 1, -1) for each in sides)
        values = math.prod(max(side, 1) for side in shape)
        if values > MOST_VALUES or not all(-1 <= side <= LONGEST_SIDE for side in shape):
            raise DamagedFile(
                f"an input or output of {' x '.join(map(str, shape))}: expected sides of 0 to "
                f"{LONGEST_SIDE} and fewer than 2**31 values"
            )
        return self._add(text(_only(info, 1)), shape, _DTYPES.get(_integer(kind, 1), "other"))

    def _op(self, ops: list[Op], data: Value) -> None:
        node = self._wire.message(data)
        kind, maker = text(_only(node, 4)), text(_only(node, 7, NOTHING))
        named = one_line(f"{maker}.{kind}" if maker else kind)[:80]
        # Of what ONNX Runtime adds the quantized operations; others of it open files.
        added = maker == "com.microsoft" and kind.startswith("QLinear")
        if not added and maker not in ("", "ai.onnx"):
            raise DamagedFile(f"its operation {named} is none of ONNX")
        written = [text(each) for each in node.get(2, [])]
        for attribute in (self._wire.message(each) for each in node.get(5, [])):
            if _NESTED & set(attribute):
                raise DamagedFile(f"its operation {named} holds a graph, or sparse numbers")
            for tensor in (*attribute.get(5, []), *attribute.get(10, [])):
                self._constant(written[0] if kind == "Constant" and written else "", tensor)
        if kind == "Constant":
            return
        read = tuple(self._add(name) if name else OPTIONAL for name in map(text, node.get(1, [])))
        results = tuple(self._add(name) for name in written if name)
        ops.append(Op(len(ops), _KINDS.get(kind, kind.upper()), 1, read, results, {}, named))


def _only(message: Message, number: int, missing: Value | None = None) -> Value:
    """A field that is there once; protocol buffers would put several together."""
    found = message.get(number, [])
    if not found and missing is not None:
        return missing
    if len(found) != 1:
        raise DamagedFile(f"field {number} is there {len(found)} times")
    return found[0]


def _integer(message: Message, number: int, missing: int | None = None) -> int:
    found = _only(message, number, missing)
    if not isinstance(found, int):
        raise DamagedFile(f"field {number} is not a number")
    return found - (1 << 64) if found >= 1 << 63 else found  # an int64
