"""What a .tflite file says about itself, read with the schema; no interpreter is started."""

from __future__ import annotations

import collections
import dataclasses
import functools
import json
import math
import os
from pathlib import Path
from typing import Any

from ..core.errors import ModelFileError

METADATA_NAME = "fastscnn_tf"  # key of our JSON among the file's metadata buffers
METADATA_FORMAT = 1
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


def read_model_bytes(path: str | os.PathLike[str]) -> bytes:
    """Reads a .tflite and checks that it is one.

    Raises:
        ModelFileError: missing, not a .tflite, or truncated.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelFileError(f"{path}: no such model file")
    content = path.read_bytes()
    if content[4:8] != b"TFL3":
        raise ModelFileError(f"{path}: not a .tflite file (no TFL3 mark at byte 4)")
    try:
        graph_summary(content)
    except Exception:
        raise ModelFileError(f"{path}: damaged or truncated .tflite file") from None
    return content


def unpack(content: bytes) -> Any:
    """The schema's mutable object tree (`ModelT`) of a .tflite."""
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromPackedBuf(content)


@functools.cache
def _operator_names() -> dict[int, str]:
    from ai_edge_litert import schema_py_generated as schema

    return {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}


def operation(model: Any, op: Any) -> str:
    """Name of one of a `ModelT`'s operations."""
    code = model.operatorCodes[op.opcodeIndex]
    return _operator_names().get(max(code.builtinCode, code.deprecatedBuiltinCode), "CUSTOM")


def graph_summary(content: bytes) -> GraphSummary:
    """Counts operations and float tensors."""
    from ai_edge_litert import schema_py_generated as schema

    model = unpack(content)
    graph = model.subgraphs[0]
    ops = collections.Counter(operation(model, op) for op in graph.operators)
    floats = (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16)
    _touch_buffers(model)
    return GraphSummary(
        ops=dict(sorted(ops.items())),
        float_tensors=sum(tensor.type in floats for tensor in graph.tensors),
        tensors=len(graph.tensors),
        float_kernels=_float_kernels(model, floats),
    )


def _float_kernels(model: Any, floats: tuple[int, ...]) -> int:
    tensors, count = model.subgraphs[0].tensors, 0
    for op in model.subgraphs[0].operators:
        if operation(model, op) in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            kernel = tensors[op.inputs[1]]
            count += int(kernel.type in floats and math.prod(kernel.shape) >= SMALL_KERNEL)
    return count


def _touch_buffers(model: Any) -> None:
    """A truncated file ends inside its weights: make sure that every tensor's are there."""
    if any(tensor.buffer >= len(model.buffers) for tensor in model.subgraphs[0].tensors):
        raise ValueError("buffer index out of range")


def read_metadata(content: bytes) -> dict[str, Any]:
    """Our metadata inside a .tflite; empty for files from elsewhere."""
    model = unpack(content)
    for entry in model.metadata or []:
        name = entry.name.decode() if isinstance(entry.name, bytes) else entry.name
        if name == METADATA_NAME:
            return json.loads(bytes(model.buffers[entry.buffer].data))
    return {}
