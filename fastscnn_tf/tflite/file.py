"""What a .tflite file says about itself, read with the schema; no interpreter is started."""

from __future__ import annotations

import collections
import dataclasses
from pathlib import Path
from typing import Any

from ..core.aliases import StrPath
from ..core.errors import ModelFileError, retold
from ..core.files.json_text import decode_json
from ..core.files.reading import read_bytes
from ..core.named_weights import ONNX
from .flatbuffer_reader import DamagedFile
from .graph import Graph, ModelGraphs
from .own_metadata import check_metadata
from .parser import MARK, parse_tflite, schema_names

METADATA_NAME = "fastscnn_tf"  # key of our JSON among the file's metadata buffers
METADATA_FORMAT = 1
LARGEST = 2 << 30  # bytes of a file; the format's offsets reach no further
LARGEST_JSON = 1 << 20  # bytes of our metadata; 254 classes take 30 thousand
FLOATS = ("float32", "float16")
SMALL_KERNEL = 1024  # numbers; below, the converter's dynamic-range quantization leaves it float


@dataclasses.dataclass(frozen=True)
class GraphSummary:
    """Operations and tensors of the main graph.

    Attributes:
        ops: name -> count.
        float_tensors: tensors of type float32 or float16, weights included.
        tensors: all tensors.
        float_kernels: convolutions whose kernel of at least 1024 numbers is float (smaller ones
            the converter leaves so where activations are float).
    """

    ops: dict[str, int]
    float_tensors: int
    tensors: int
    float_kernels: int = 0


def read_model(path: StrPath) -> tuple[bytes, ModelGraphs]:
    """Reads a .tflite from anywhere: its bytes, and its graphs with every index checked.

    Raises:
        ModelFileError: missing, not a .tflite, truncated or otherwise impossible.
    """
    path = Path(path)
    content = read_bytes(path, "model file", largest=LARGEST, error=ModelFileError)
    if content[4:8] != MARK:
        hint = ": this takes no .onnx" if path.suffix == ONNX else ""
        raise ModelFileError(f"{path}: not a .tflite file (no TFL3 mark at byte 4){hint}")
    damaged = f"{path}: damaged or truncated .tflite file ("
    with retold(ModelFileError, damaged, ")", of=DamagedFile):
        graphs = parse_tflite(content)
    with retold(ModelFileError, f"{path}: ", of=DamagedFile):
        own_metadata(graphs)
    return content, graphs


def unpack(content: bytes) -> Any:
    """The schema's mutable object tree (`ModelT`) of a .tflite that was checked or made here."""
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromPackedBuf(content)


def operation(model: Any, op: Any) -> str:
    """Name of one of a `ModelT`'s operations."""
    code = model.operatorCodes[op.opcodeIndex]
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    return schema_names("BuiltinOperator").get(number, "CUSTOM")


def graph_summary(content: bytes) -> GraphSummary:
    """Counts operations and float tensors of the main graph.

    Raises:
        DamagedFile: the bytes are not a .tflite.
    """
    graph = parse_tflite(content).main
    ops = collections.Counter(op.kind for op in graph.ops)
    return GraphSummary(
        ops=dict(sorted(ops.items())),
        float_tensors=sum(tensor.dtype in FLOATS for tensor in graph.tensors),
        tensors=len(graph.tensors),
        float_kernels=_float_kernels(graph),
    )


def _float_kernels(graph: Graph) -> int:
    kernels = [
        graph.input(op, 1) for op in graph.ops if op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D")
    ]
    floats = [kernel for kernel in kernels if kernel and kernel.dtype in FLOATS]
    return sum(kernel.elements >= SMALL_KERNEL for kernel in floats)


def read_metadata(content: bytes) -> dict[str, Any]:
    """Our metadata inside a .tflite; empty for files from elsewhere.

    Raises:
        DamagedFile: the bytes are not a .tflite.
    """
    return own_metadata(parse_tflite(content))


def own_metadata(graphs: ModelGraphs) -> dict[str, Any]:
    """Our metadata among a file's; empty for files from elsewhere.

    Raises:
        DamagedFile: the entry is there but no JSON object, a field is of another type (the message
            names it), or the graph contradicts it.
    """
    content = graphs.metadata.get(METADATA_NAME)
    if content is None:
        return {}
    where = "its fastscnn_tf metadata"
    with retold(DamagedFile):
        value: dict[str, Any] = decode_json(content, where, dict[str, Any], largest=LARGEST_JSON)
    with retold(DamagedFile, f"{where}: ", of=DamagedFile):
        check_metadata(value, graphs.main)
    return value
