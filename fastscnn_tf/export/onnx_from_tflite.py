"""A .tflite of ours as an ONNX graph, operation by operation, with its own integers.

An int8 file becomes QDQ: every tensor keeps its scale and zero point, weights and biases their
integers. Runtimes merge each operation with the DequantizeLinear and QuantizeLinear around it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ..core.errors import ExportError
from ..core.images.interpolation import ALIGNED, HALF_PIXEL, NEAREST
from ..core.sizes import Size
from ..model.windows import Pads
from ..tflite.graph import Graph, Op, Tensor
from ..tflite.op_options import SAME, activation_name
from .onnx_graph import CHANNELS_FIRST, NO_PADS, OnnxGraph, Value, same_pads
from .onnx_rounding import adding_scales, interpolation

SPATIAL = (1, 2)


def translate(graph: Graph, outputs: str) -> OnnxGraph:
    """The ONNX graph of a .tflite.

    Args:
        graph: of a file that `export_tflite` wrote.
        outputs: what its output is, as of `export_tflite`.

    Raises:
        ExportError: an operation that our files do not have.
    """
    return _Translator(graph).run(outputs)


class _Translator:
    def __init__(self, graph: Graph) -> None:
        self.graph, self.onnx = graph, OnnxGraph()
        self._real: dict[int, Value] = {}
        self._stored: dict[int, Value] = {}  # integers of quantized tensors
        self._pairs: set[int] = set()  # tensors whose pixels are taken two by two
        self._pads: dict[int, tuple[int, Pads]] = {}

    def run(self, outputs: str) -> OnnxGraph:
        image = self.graph.tensors[self.graph.inputs[0]]
        dtype = "float32" if image.is_float else "uint8"
        x = self.onnx.image((image.shape[1], image.shape[2]), dtype)
        (self._real if image.is_float else self._stored)[image.index] = x
        for op in self.graph.ops:
            block = self._BLOCKS.get(op.kind)
            if block is None:
                raise ExportError(f"no ONNX for {op.kind}: expected a .tflite of fastscnn export")
            block(self, op)
        result = self.graph.tensors[self.graph.outputs[0]]
        if outputs.startswith("labels"):
            self.onnx.output(self._real[result.index], outputs, "uint8")
        else:
            self.onnx.output(self._value(result.index), outputs)
        return self.onnx

    def _value(self, index: int) -> Value:
        """A tensor as floats."""
        if index in self._real:
            return self._real[index]
        tensor = self.graph.tensors[index]
        if tensor.constant and tensor.quantized:
            ints = np.transpose(_as_bytes(tensor), CHANNELS_FIRST)
            self._stored[index] = Value(self.onnx.constant(_name(tensor), ints), tensor.shape)
        if index not in self._stored:
            raise ExportError(f"{_name(tensor)}: expected an image or a result, got a constant")
        x, scale, zero = self._stored[index], tensor.scales[0], self._zero(tensor)
        self._real[index] = self.onnx.on_grid("Dequantize", x, scale, zero, f"{x.name}.real")
        return self._real[index]

    def _zero(self, tensor: Tensor) -> np.ndarray:
        """Its zero point as a byte."""
        return np.array(tensor.zero_points[0] + (128 if tensor.dtype == "int8" else 0), np.uint8)

    def _put(self, op: Op, value: Value, relu: bool = False) -> None:
        """The result of an operation, on its tensor's grid where that has one."""
        tensor = self.graph.tensors[op.outputs[0]]
        clamps = tensor.quantized and tensor.zero_points[0] == np.iinfo(tensor.dtype).min
        if relu and not clamps:
            value = self.onnx.relu(value, f"{value.name}.relu")
        if tensor.quantized:
            scale, zero, name = tensor.scales[0], self._zero(tensor), f"{_name(tensor)}.bytes"
            self._stored[tensor.index] = self.onnx.on_grid("Quantize", value, scale, zero, name)
        else:
            self._real[tensor.index] = value

    def _conv(self, op: Op) -> None:
        source, pads = self._padded(op.inputs[0])
        x, kernel, bias = self._value(source), *(self.graph.tensors[i] for i in op.inputs[1:])
        depthwise = op.kind == "DEPTHWISE_CONV_2D"
        weights = self._constant(kernel)
        stride, dilation = (
            [int(op.options[f"{name}_{side}"]) for side in "hw"] for name in ("stride", "dilation")
        )
        if op.inputs[0] in self._pairs:  # as `export_blocks.kernel_of_pairs` made it
            filters, _, _, depth = weights.shape
            weights = weights.reshape(filters, 3, 4, depth // 2)[:, :, :3]
            stride[1] *= 2
        weights = np.transpose(weights, (3, 0, 1, 2) if depthwise else CHANNELS_FIRST)
        if op.options["padding"] == SAME:
            size = [side + sum(ends) for side, ends in zip(x.shape[1:3], pads, strict=True)]
            pads = _both(pads, same_pads(size, weights.shape[2:], stride, dilation))
        name = _name(self.graph.tensors[op.outputs[0]])
        y = self.onnx.conv(
            x,
            self._weights(kernel, weights, f"{name}.kernel"),
            self._weights(bias, self._constant(bias), f"{name}.bias"),
            weights.shape,
            f"{name}.conv",
            stride=stride,
            pads=pads,
            dilation=dilation,
        )
        self._put(op, y, _relu(op))

    def _constant(self, tensor: Tensor) -> np.ndarray:
        """A constant's numbers, through the DEQUANTIZE of a float16 file."""
        if not tensor.constant:
            maker = next((op for op in self.graph.ops if tensor.index in op.outputs), None)
            if maker is None or maker.kind != "DEQUANTIZE":
                raise ExportError(f"{_name(tensor)}: expected constant weights")
            tensor = self.graph.tensors[maker.inputs[0]]
        return _array(tensor)

    def _weights(self, tensor: Tensor, values: np.ndarray, name: str) -> str:
        if values.dtype.kind == "f":
            return self.onnx.weight(name, values)
        scales = np.broadcast_to(np.array(tensor.scales, np.float32), values.shape[:1])
        return self.onnx.quantized_weight(name, values, scales)

    def _add(self, op: Op) -> None:
        result = self.graph.tensors[op.outputs[0]]
        x, y = self._summands(op, result) if result.quantized else map(self._value, op.inputs)
        self._put(op, self.onnx.add(x, y, f"{_name(result)}.sum"), _relu(op))

    def _summands(self, op: Op, result: Tensor) -> list[Value]:
        x, y = (self.graph.tensors[index] for index in op.inputs)
        name = f"{_name(result)}.summand"
        return [
            self.onnx.on_grid("Dequantize", self._stored[t.index], scale, self._zero(t), name)
            for t, scale in zip((x, y), adding_scales(x, y, result), strict=True)
        ]

    def _sub(self, op: Op) -> None:
        """Of the mean from an image of bytes."""
        x, mean = self._value(op.inputs[0]), self._constant(self.graph.tensors[op.inputs[1]])
        small = self.onnx.constant(f"{self._result(op)}.mean", mean.reshape(1, -1, 1, 1))
        self._put(op, self.onnx.node("Sub", [x.name, small], x.shape, self._result(op)))

    def _concat(self, op: Op) -> None:
        xs = [self._value(index) for index in op.inputs]
        axis = int(op.options["axis"]) % 4
        self._put(op, self.onnx.concat(xs, axis, f"{self._result(op)}.concat"))

    def _mean(self, op: Op) -> None:
        x, axes = self._value(op.inputs[0]), self.graph.tensors[op.inputs[1]].integers()
        name = f"{self._result(op)}.mean"
        if sorted(axes) == list(SPATIAL):
            y = self.onnx.global_mean(x, name)
        else:
            there = [CHANNELS_FIRST.index(axis) for axis in axes]
            shape = self.graph.tensors[op.outputs[0]].shape
            y = self.onnx.node("ReduceMean", [x.name], shape, name, axes=there, keepdims=1)
        self._put(op, y)

    def _transpose(self, op: Op) -> None:
        x, order = self._value(op.inputs[0]), self.graph.tensors[op.inputs[1]].integers()
        self._put(op, self.onnx.transpose(x, order, f"{self._result(op)}.transpose"))

    def _slice(self, op: Op) -> None:
        x, shape = self._value(op.inputs[0]), self.graph.tensors[op.outputs[0]].shape
        starts = self.graph.tensors[op.inputs[1]].integers()
        spans = {}
        for axis, (start, length) in enumerate(zip(starts, shape, strict=True)):
            first = 0 if int(op.options["begin_mask"]) >> axis & 1 else start
            if length != x.shape[axis]:
                spans[axis] = (first, first + length)
        self._put(op, self.onnx.crop(x, spans, f"{self._result(op)}.slice") if spans else x)

    def _pad(self, op: Op) -> None:
        """Left to the convolution behind it."""
        counts = self.graph.tensors[op.inputs[1]].integers()
        source, pads = self._padded(op.inputs[0])
        more = (counts[2], counts[3]), (counts[4], counts[5])
        self._pads[op.outputs[0]] = source, _both(pads, more)

    def _padded(self, index: int) -> tuple[int, Pads]:
        """A tensor without the zeros that PADs put around it, and these."""
        return self._pads.get(index, (index, NO_PADS))

    def _resize(self, op: Op) -> None:
        sampling = ALIGNED if op.options["align_corners"] else HALF_PIXEL
        sampling = NEAREST if op.kind == "RESIZE_NEAREST_NEIGHBOR" else sampling
        x, result = self._value(op.inputs[0]), self.graph.tensors[op.outputs[0]]
        size, name = (result.shape[1], result.shape[2]), f"{self._result(op)}.resize"
        if result.quantized and sampling != NEAREST:
            y = self._rounded_resize(x, size, sampling, result.scales[0], name)
        else:
            y = self.onnx.resize(x, size, sampling, name)
        self._put(op, y)

    def _rounded_resize(self, x: Value, size: Size, sampling: str, step: float, name: str) -> Value:
        """Interpolation that rounds as int8 kernels do."""
        matrices, upwards = interpolation(x.shape[1:3], size, sampling)
        if matrices:
            y = self.onnx.linear(x, *matrices, name)
        else:
            y = self.onnx.resize(x, size, sampling, name)
        if not upwards:
            return y
        more = self.onnx.constant(f"{name}.upwards", np.array(step * upwards, np.float32))
        return self.onnx.node("Add", [y.name, more], y.shape, f"{name}.raised")

    def _quantize(self, op: Op) -> None:
        source, result = (self.graph.tensors[i] for i in (op.inputs[0], op.outputs[0]))
        same = source.quantized and source.scales == result.scales
        if same and self._zero(source) == self._zero(result):
            self._stored[result.index] = self._stored[source.index]
            return
        x = self._value(op.inputs[0])
        if self._zero(result) == 0:  # a clamp: by name, or onnxruntime drops it with its grid
            x = self.onnx.relu(x, f"{self._result(op)}.relu")
        self._put(op, x)

    def _dequantize(self, op: Op) -> None:
        source = self.graph.tensors[op.inputs[0]]
        if source.constant:
            return  # weights of float16
        if source.index == self.graph.inputs[0] and source.scales == (1.0,):
            zero = np.full(3, source.zero_points[0], np.float32)
            self._real[op.outputs[0]] = self.onnx.floats(self._stored[source.index], zero)
        else:
            self._real[op.outputs[0]] = self._value(source.index)

    def _reshape(self, op: Op) -> None:
        """The first convolution's pixels, two by two (`export_blocks`)."""
        source, result = self.graph.tensors[op.inputs[0]], self.graph.tensors[op.outputs[0]]
        _, height, width, depth = source.shape
        if result.shape != (1, height, width // 2, 2 * depth):
            raise ExportError(f"no ONNX for RESHAPE of {source.shape} to {result.shape}")
        self._pads[result.index] = self._padded(source.index)  # in pixels still
        self._pairs.add(result.index)

    def _relu(self, op: Op) -> None:
        self._put(op, self._value(op.inputs[0]), True)

    def _softmax(self, op: Op) -> None:
        self._put(op, self.onnx.softmax(self._value(op.inputs[0]), f"{self._result(op)}.softmax"))

    def _argmax(self, op: Op) -> None:
        self._real[op.outputs[0]] = self.onnx.labels(self._value(op.inputs[0]))

    def _cast(self, op: Op) -> None:
        self._real[op.outputs[0]] = self._real[op.inputs[0]]  # labels, which are uint8 here already

    def _result(self, op: Op) -> str:
        return _name(self.graph.tensors[op.outputs[0]])

    _BLOCKS: ClassVar[dict[str, Callable[[Any, Op], None]]] = {
        "CONV_2D": _conv,
        "DEPTHWISE_CONV_2D": _conv,
        "ADD": _add,
        "SUB": _sub,
        "CONCATENATION": _concat,
        "MEAN": _mean,
        "TRANSPOSE": _transpose,
        "STRIDED_SLICE": _slice,
        "PAD": _pad,
        "RESIZE_BILINEAR": _resize,
        "RESIZE_NEAREST_NEIGHBOR": _resize,
        "QUANTIZE": _quantize,
        "DEQUANTIZE": _dequantize,
        "RESHAPE": _reshape,
        "RELU": _relu,
        "SOFTMAX": _softmax,
        "ARG_MAX": _argmax,
        "CAST": _cast,
    }


def _relu(op: Op) -> bool:
    name = activation_name(op.options["activation"])
    if name not in ("none", "relu"):
        raise ExportError(f"no ONNX for {op.kind} with {name}")
    return name == "relu"


def _both(first: Pads, second: Pads) -> Pads:
    """Zeros around zeros."""
    rows, columns = ((a + c, b + d) for (a, b), (c, d) in zip(first, second, strict=True))
    return rows, columns


def _array(tensor: Tensor) -> np.ndarray:
    return np.frombuffer(tensor.data, tensor.dtype).reshape(tensor.shape)


def _as_bytes(tensor: Tensor) -> np.ndarray:
    """Integers of an 8-bit constant, as activations have them."""
    flip = np.uint8(128 if tensor.dtype == "int8" else 0)
    return _array(tensor).view(np.uint8) ^ flip


def _name(tensor: Tensor) -> str:
    return f"t{tensor.index}"
