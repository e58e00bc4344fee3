"""Small .tflite files written with the schema alone: one operation, or deliberately odd graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

Q = ((0.05,), (0,))  # a usable int8 quantization
TYPES = {
    "float32": np.float32,
    "float16": np.float16,
    "int8": np.int8,
    "uint8": np.uint8,
    "int16": np.int16,
    "int32": np.int32,
    "int64": np.int64,
    "bool": np.bool_,
}


class TinyModel:
    """A model under construction.

    Args:
        subgraphs: how many graphs; tensors and operations go into the first.
    """

    def __init__(self, subgraphs: int = 1):
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.model.subgraphs = [self._subgraph() for _ in range(subgraphs)]
        self.graph = self.model.subgraphs[0]

    @staticmethod
    def _subgraph() -> Any:
        graph = schema.SubGraphT()
        graph.tensors, graph.operators, graph.inputs, graph.outputs = [], [], [], []
        return graph

    def tensor(
        self,
        shape: Sequence[int],
        dtype: str = "float32",
        data: np.ndarray | None = None,
        quantization: tuple[Sequence[float], Sequence[int]] | None = None,
        axis: int = 0,
        signature: Sequence[int] | None = None,
    ) -> int:
        """Adds a tensor; 8-bit ones get a usual quantization. Returns its index."""
        tensor = schema.TensorT()
        tensor.name = f"t{len(self.graph.tensors)}"
        tensor.shape, tensor.shapeSignature = list(shape), signature
        tensor.type = getattr(schema.TensorType, dtype.upper())
        tensor.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(
                np.ascontiguousarray(data, TYPES[dtype]).tobytes(), np.uint8
            )
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        if quantization is None and dtype in ("int8", "uint8"):
            quantization = Q
        if quantization is not None:
            parameters = schema.QuantizationParametersT()
            parameters.scale, parameters.zeroPoint = map(list, quantization)
            parameters.quantizedDimension = axis
            tensor.quantization = parameters
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def op(
        self,
        kind: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: str | None = None,
        version: int = 1,
        custom: str | None = None,
        **values: Any,
    ) -> None:
        """Adds an operation, with the options table of that name."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), version
        code.customCode = custom
        self.model.operatorCodes.append(code)
        op = schema.OperatorT()
        op.opcodeIndex = len(self.model.operatorCodes) - 1
        op.inputs, op.outputs = list(inputs), list(outputs)
        if options:
            op.builtinOptions = getattr(schema, f"{options}T")()
            op.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            for name, value in values.items():
                assert hasattr(op.builtinOptions, name), name
                setattr(op.builtinOptions, name, value)
        self.graph.operators.append(op)

    def metadata(self, name: str, content: bytes) -> None:
        """Adds a metadata entry."""
        buffer, entry = schema.BufferT(), schema.MetadataT()
        buffer.data = np.frombuffer(content, np.uint8)
        self.model.buffers.append(buffer)
        entry.name, entry.buffer = name, len(self.model.buffers) - 1
        self.model.metadata = [*(self.model.metadata or []), entry]

    def pack(self, inputs: Sequence[int] = (), outputs: Sequence[int] = ()) -> bytes:
        """The file's bytes."""
        self.graph.inputs, self.graph.outputs = list(inputs), list(outputs)
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def convolution(
    dtype: str = "float32",
    bias: bool = True,
    stride: int = 1,
    padding: int = 0,
    activation: int = 0,
    input: Sequence[int] = (1, 8, 8, 4),
    filters: int = 8,
    kernel: int = 3,
    output: Sequence[int] | None = None,
    filter_type: str | None = None,
    weights: np.ndarray | None = None,
) -> bytes:
    """One CONV_2D, its weights (filters, kernel, kernel, channels) 1 by default."""
    m = TinyModel()
    side = -(-input[1] // stride), -(-input[2] // stride)
    shape = output or (1, *side, filters)
    x, y = m.tensor(input, dtype), m.tensor(shape, dtype)
    if weights is None:
        weights = np.ones((filters, kernel, kernel, input[3]))
    w = m.tensor(weights.shape, filter_type or dtype, weights)
    inputs = [x, w]
    if bias:
        kind = "float32" if dtype == "float32" else "int32"
        scale = None if dtype == "float32" else ((0.0025,), (0,))
        inputs.append(m.tensor((filters,), kind, np.zeros(filters), scale))
    m.op(
        "CONV_2D",
        inputs,
        [y],
        "Conv2DOptions",
        3 if dtype != "float32" else 1,
        strideH=stride,
        strideW=stride,
        padding=padding,
        fusedActivationFunction=activation,
        dilationHFactor=1,
        dilationWFactor=1,
    )
    return m.pack([x], [y])


def depthwise(dtype: str = "float32", multiplier: int = 1, dilation: int = 1) -> bytes:
    """One DEPTHWISE_CONV_2D of 3x3."""
    m = TinyModel()
    channels = 4 * multiplier
    x, y = m.tensor((1, 8, 8, 4), dtype), m.tensor((1, 8, 8, channels), dtype)
    w = m.tensor((1, 3, 3, channels), dtype, np.ones((1, 3, 3, channels)))
    kind = "float32" if dtype == "float32" else "int32"
    scale = None if dtype == "float32" else ((0.0025,), (0,))
    b = m.tensor((channels,), kind, np.zeros(channels), scale)
    m.op(
        "DEPTHWISE_CONV_2D",
        [x, w, b],
        [y],
        "DepthwiseConv2DOptions",
        3 if dtype != "float32" else 1,
        strideH=1,
        strideW=1,
        depthMultiplier=multiplier,
        dilationHFactor=dilation,
        dilationWFactor=dilation,
    )
    return m.pack([x], [y])


def unary(
    kind: str,
    dtype: str = "float32",
    output: Sequence[int] = (1, 8, 8, 4),
    options: str | None = None,
    version: int = 1,
    constants: Sequence[tuple[Any, str]] = (),
    output_type: str | None = None,
    scales: tuple[Any, Any] = (None, None),
    input: Sequence[int] = (1, 8, 8, 4),
    **values: Any,
) -> bytes:
    """One operation on (1, 8, 8, 4), with constants as further inputs."""
    m = TinyModel()
    x = m.tensor(input, dtype, quantization=scales[0])
    y = m.tensor(output, output_type or dtype, quantization=scales[1])
    extra = [m.tensor(np.shape(v), t, np.asarray(v)) for v, t in constants]
    m.op(kind, [x, *extra], [y], options, version, **values)
    return m.pack([x], [y])


def binary(
    kind: str,
    dtype: str = "float32",
    count: int = 2,
    output: Sequence[int] = (1, 8, 8, 4),
    options: str | None = None,
    version: int = 1,
    scales: Sequence[Any] = (),
    **values: Any,
) -> bytes:
    """One operation on several inputs of (1, 8, 8, 4)."""
    m = TinyModel()
    scales = [*scales, *[None] * count]
    xs = [m.tensor((1, 8, 8, 4), dtype, quantization=scales[i]) for i in range(count)]
    y = m.tensor(output, dtype)
    m.op(kind, xs, [y], options, version, **values)
    return m.pack(xs, [y])


def chain(dtype: str = "int8") -> bytes:
    """Convolution, RELU, convolution: XNNPACK has no int8 RELU and falls into two parts."""
    m = TinyModel()
    tensors = [m.tensor((1, 8, 8, 4), dtype) for _ in range(4)]
    kind, scale = ("float32", None) if dtype == "float32" else ("int32", ((0.0025,), (0,)))
    for i in (0, 2):
        w = m.tensor((4, 3, 3, 4), dtype, np.ones((4, 3, 3, 4)))
        b = m.tensor((4,), kind, np.zeros(4), scale)
        m.op(
            "CONV_2D",
            [tensors[i], w, b],
            [tensors[i + 1]],
            "Conv2DOptions",
            strideH=1,
            strideW=1,
            dilationHFactor=1,
            dilationWFactor=1,
        )
        if i == 0:
            m.op("RELU", [tensors[1]], [tensors[2]])
    return m.pack(tensors[:1], tensors[-1:])


def crash_in_kernels() -> bytes:
    """An int8 ADD without a scale: the interpreter aborts."""
    m = TinyModel()
    tensors = [m.tensor((1, 8, 8, 4), "int8") for _ in range(3)]
    m.graph.tensors[0].quantization = None
    m.op("ADD", tensors[:2], tensors[2:], "AddOptions", 2)
    return m.pack(tensors[:2], tensors[2:])


def crash_in_xnnpack() -> bytes:
    """An ADD of two inputs that are left out: refused by the kernel, mostly a crash in XNNPACK."""
    m = TinyModel()
    x, y = m.tensor((1, 8, 8, 4)), m.tensor((1, 8, 8, 4))
    m.op("ADD", [-1, -1], [y], "AddOptions")
    return m.pack([x], [y])
