"""What the converter leaves to do: rewrites of a .tflite's operations that keep its numbers.

Each turns an operation that a CPU runs slowly or outside XNNPACK into one that it runs well.
"""

from __future__ import annotations

import copy
from typing import Any

from ..runtime.tflite_file import operation

RESHAPING = ("RESIZE_BILINEAR", "STRIDED_SLICE")  # same scale in and out: they commute with it


class Editor:
    """A flatbuffer's object tree, with its operations by name.

    Args:
        model: `ModelT` of a .tflite with one graph.
    """

    def __init__(self, model: Any):
        from ai_edge_litert import schema_py_generated as schema

        self.model, self.schema, self.graph = model, schema, model.subgraphs[0]

    def kind(self, op: Any) -> str:
        """The operation's name."""
        return operation(self.model, op)

    def turn_into(self, op: Any, kind: str, version: int, options: Any) -> None:
        """Makes another operation of one."""
        number = getattr(self.schema.BuiltinOperator, kind)
        code = self.schema.OperatorCodeT()
        code.builtinCode, code.version = number, version
        code.deprecatedBuiltinCode = min(number, 127)
        self.model.operatorCodes.append(code)
        op.opcodeIndex = len(self.model.operatorCodes) - 1
        name = type(options).__name__.removesuffix("T")
        op.builtinOptionsType = getattr(self.schema.BuiltinOptions, name)
        op.builtinOptions = options

    def producer(self, tensor: int) -> Any:
        """The operation that writes a tensor, or None."""
        return next((op for op in self.graph.operators if tensor in op.outputs), None)

    def consumers(self, tensor: int) -> list[Any]:
        """The operations that read a tensor."""
        return [op for op in self.graph.operators if tensor in op.inputs]


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
            edit.turn_into(op, "QUANTIZE", 2, edit.schema.QuantizeOptionsT())


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
        edit.graph.tensors.append(small)
        index = len(edit.graph.tensors) - 1
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
        edit.turn_into(op, "DEQUANTIZE", 2, edit.schema.DequantizeOptionsT())
