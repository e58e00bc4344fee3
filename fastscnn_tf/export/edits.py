"""What the converter leaves to do: rewrites of a .tflite's operations that keep its numbers.

Each turns an operation that a CPU runs slowly or outside XNNPACK into one that it runs well.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..core.errors import ExportError
from ..core.keras_api import KerasModel
from ..tflite.file import operation

# Same scale in and out: they commute with a change of it.
RESHAPING = ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "STRIDED_SLICE")


class Editor:
    """A flatbuffer's object tree, with its operations by name.

    Args:
        model: `ModelT` of a .tflite with one graph.
    """

    def __init__(self, model: KerasModel):
        from ai_edge_litert import schema_py_generated as schema

        self.model, self.schema, self.graph = model, schema, model.subgraphs[0]

    def kind(self, op: Any) -> str:
        """The operation's name."""
        return operation(self.model, op)

    def turn_into(self, op: Any, kind: str, version: int, options: Any = None) -> None:
        """Makes another operation of one; without options it gets empty ones."""
        options = options or getattr(self.schema, f"{kind.capitalize()}OptionsT")()
        number = getattr(self.schema.BuiltinOperator, kind)
        code = self.schema.OperatorCodeT()
        code.builtinCode, code.version = number, version
        code.deprecatedBuiltinCode = min(number, 127)
        self.model.operatorCodes.append(code)
        op.opcodeIndex = len(self.model.operatorCodes) - 1
        name = type(options).__name__.removesuffix("T")
        op.builtinOptionsType = getattr(self.schema.BuiltinOptions, name)
        op.builtinOptions = options

    def operation(
        self, kind: str, version: int, inputs: list[int], output: int, options: Any = None
    ) -> Any:
        """A new operation, which is not in the graph yet."""
        op = self.schema.OperatorT()
        op.inputs, op.outputs = inputs, [output]
        self.turn_into(op, kind, version, options)
        return op

    def step_by_step(self, options: Any) -> Any:
        """Options of a convolution at every place, without padding."""
        options.padding = self.schema.Padding.VALID
        options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
        return options

    def producer(self, tensor: int) -> Any:
        """The operation that writes a tensor, or None."""
        return next((op for op in self.graph.operators if tensor in op.outputs), None)

    def consumers(self, tensor: int) -> list[Any]:
        """The operations that read a tensor."""
        return [op for op in self.graph.operators if tensor in op.inputs]

    def buffer(self, content: bytes) -> int:
        """Adds bytes that something of the file refers to; returns their index."""
        buffer = self.schema.BufferT()
        buffer.data = np.frombuffer(content, np.uint8)
        self.model.buffers.append(buffer)
        return len(self.model.buffers) - 1

    def metadata(self, name: str, content: bytes) -> None:
        """Adds an entry of metadata."""
        entry = self.schema.MetadataT()
        entry.name, entry.buffer = name, self.buffer(content)
        self.model.metadata = [*(self.model.metadata or []), entry]

    def add(self, tensor: Any) -> int:
        """Adds a tensor; returns its index."""
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def constant(
        self, name: str, values: np.ndarray, scales: np.ndarray | None = None, axis: int = 0
    ) -> int:
        """Adds integers, with a scale for each index of `axis` if any; returns their index."""
        tensor = self.schema.TensorT()
        tensor.name, tensor.shape = name, list(values.shape)
        tensor.type = getattr(self.schema.TensorType, values.dtype.name.upper())
        tensor.buffer = self.buffer(values.tobytes())
        if scales is not None:
            tensor.quantization = self.schema.QuantizationParametersT()
            tensor.quantization.scale = scales.astype(np.float32)
            tensor.quantization.zeroPoint = np.zeros(len(scales), np.int64)
            tensor.quantization.quantizedDimension = axis
        return self.add(tensor)

    def drop_unused(self, tensors: Iterable[int]) -> None:
        """Takes away those of some tensors that no operation reads."""
        for index in sorted(tensors, reverse=True):
            if not self.consumers(index):
                self.drop(index)

    def drop(self, tensor: int) -> None:
        """Takes away a tensor that no operation uses."""
        del self.graph.tensors[tensor]

        def moved(indices: Any) -> list[int]:
            return [int(i) - (i > tensor) for i in indices]

        for op in self.graph.operators:
            op.inputs, op.outputs = moved(op.inputs), moved(op.outputs)
        self.graph.inputs, self.graph.outputs = moved(self.graph.inputs), moved(self.graph.outputs)
        for signature in self.model.signatureDefs or ():
            for entry in (*signature.inputs, *signature.outputs):
                entry.tensorIndex -= entry.tensorIndex > tensor


def relu_to_quantize(edit: Editor) -> None:
    """Turns a stand-alone int8 RELU into a QUANTIZE.

    The RELU behind a resize cannot be fused, and XNNPACK has no int8 RELU: it would split the
    graph. A QUANTIZE to a scale whose zero point is the lowest value clamps at 0 just the same.
    """
    for op in edit.graph.operators:
        output = edit.graph.tensors[op.outputs[0]]
        if edit.kind(op) != "RELU" or output.type != edit.schema.TensorType.INT8:
            continue
        if list(output.quantization.zeroPoint) == [-128]:
            edit.turn_into(op, "QUANTIZE", 2)


def quantize_before_resize(edit: Editor) -> None:
    """Moves the last QUANTIZE, from int8 to uint8, in front of the upsampling.

    It runs outside XNNPACK on one thread, and has 64 times less to do at 1/8. The numbers stay:
    interpolation rounds the same on either type.
    """
    last = edit.producer(edit.graph.outputs[0])
    if last is None or edit.kind(last) != "QUANTIZE":
        return
    result, source = last.outputs[0], last.inputs[0]
    while True:
        before = edit.producer(source)
        alone = len(edit.consumers(source)) == 1
        if before is None or edit.kind(before) not in RESHAPING or not alone:
            return
        # before: x -> source, last: source -> result; becomes last: x -> small, before: -> result.
        small = copy.deepcopy(edit.graph.tensors[before.inputs[0]])
        small.type = edit.graph.tensors[result].type
        small.quantization = copy.deepcopy(edit.graph.tensors[result].quantization)
        small.name = small.name + b".uint8"
        index = edit.add(small)
        last.inputs, last.outputs = [before.inputs[0]], [index]
        before.inputs = [index, *before.inputs[1:]]
        before.outputs = [result]
        operators = edit.graph.operators
        operators.remove(last)
        operators.insert(operators.index(before), last)
        result, source = index, last.inputs[0]


def dequantize_input(edit: Editor, zero: int) -> None:
    """Turns the CAST of raw bytes to float32 into a DEQUANTIZE, which XNNPACK runs.

    Args:
        edit: the file.
        zero: the byte that becomes 0.0.
    """
    tensor = edit.graph.inputs[0]
    for op in edit.consumers(tensor):
        if edit.kind(op) != "CAST":
            continue
        quantization = edit.schema.QuantizationParametersT()
        quantization.scale, quantization.zeroPoint = [1.0], [zero]
        edit.graph.tensors[tensor].quantization = quantization
        edit.turn_into(op, "DEQUANTIZE", 2)


def input_of_type(edit: Editor, wanted: str, step: float, zero: int) -> None:
    """Puts a QUANTIZE or DEQUANTIZE in front where the graph's input is not of the wanted type.

    Args:
        edit: the file, whose input is int8 on the grid of bytes, or float32.
        wanted: `uint8`, `int8` or `float32`.
        step: of the grid.
        zero: the byte that is 0.0.

    Raises:
        ExportError: the input's grid is not that of bytes.
    """
    types = edit.schema.TensorType
    inner = edit.graph.inputs[0]
    tensor = edit.graph.tensors[inner]
    is_float = tensor.type == types.FLOAT32
    if not is_float:
        found = [*tensor.quantization.scale], [*tensor.quantization.zeroPoint]
        if found != ([step], [zero - 128]):
            raise ExportError(f"the input's scale and zero point are {found}, not those of bytes")
    if tensor.type == getattr(types, wanted.upper()):
        return
    outer = copy.deepcopy(tensor)
    outer.type = getattr(types, wanted.upper())
    outer.quantization = edit.schema.QuantizationParametersT()
    if wanted != "float32":
        outer.quantization.scale = [step]
        outer.quantization.zeroPoint = [zero if wanted == "uint8" else zero - 128]
    tensor.name += b".inner"
    index = edit.add(outer)
    kind = "DEQUANTIZE" if is_float else "QUANTIZE"
    edit.graph.operators.insert(0, edit.operation(kind, 2, [index], inner))
    edit.graph.inputs = [index]
    for signature in edit.model.signatureDefs or ():
        signature.inputs[0].tensorIndex = index


def output_of_bytes(edit: Editor) -> None:
    """Puts a QUANTIZE to uint8 behind an int8 output; the numbers stay."""
    types = edit.schema.TensorType
    inner = edit.graph.outputs[0]
    tensor = edit.graph.tensors[inner]
    if tensor.type != types.INT8:
        return
    outer = copy.deepcopy(tensor)
    outer.type = types.UINT8
    outer.quantization.zeroPoint = [int(tensor.quantization.zeroPoint[0]) + 128]
    tensor.name += b".inner"
    index = edit.add(outer)
    edit.graph.operators.append(edit.operation("QUANTIZE", 2, [inner], index))
    edit.graph.outputs = [index]
    for signature in edit.model.signatureDefs or ():
        signature.outputs[0].tensorIndex = index


def argmax_of_integers(edit: Editor) -> None:
    """Takes away a DEQUANTIZE in front of an ARG_MAX: the order of the values is the same."""
    for op in list(edit.graph.operators):
        before = edit.producer(op.inputs[0])
        if edit.kind(op) != "ARG_MAX" or before is None or edit.kind(before) != "DEQUANTIZE":
            continue
        op.inputs = [before.inputs[0], *op.inputs[1:]]
        edit.turn_into(op, "ARG_MAX", 2, op.builtinOptions)
        if not edit.consumers(before.outputs[0]):
            edit.graph.operators.remove(before)
            edit.drop(before.outputs[0])
