"""`OnnxGraph`: an ONNX graph while it is put together.

Inside it is channels-first, as every runtime of ONNX wants it; only image and result are turned.
"""

from __future__ import annotations

import collections
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core.errors import ExportError
from ..core.extras import import_extra
from ..core.images.interpolation import ALIGNED, NEAREST
from ..core.sizes import Size
from ..core.version import __version__
from ..model.windows import Pads

OPSET, IR_VERSION = 17, 8  # the oldest that have all that is needed: most runtimes read them
METADATA_KEY = "fastscnn"
INPUT = "image"
OUTPUT_NAMES = {"prob": "probabilities", "labels": "labels", "labels-8": "labels"}
CHANNELS_FIRST, CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
NO_PADS: Pads = ((0, 0), (0, 0))


class Value(NamedTuple):
    """A tensor of the graph.

    Attributes:
        name: in the graph.
        shape: (1, height, width, channels), although it lies there as (1, channels, height, width).
    """

    name: str
    shape: tuple[int, ...]


class OnnxGraph:
    """Operations and constants, and what puts them into a file.

    Args:
        half: store weights as float16; a Cast brings them back to float32.

    Raises:
        InputError: the package `onnx` is not installed.
    """

    def __init__(self, half: bool = False) -> None:
        self._onnx = import_extra("onnx", "onnx", ", which format onnx needs")
        self._half, self._names = half, {INPUT, "logits", *OUTPUT_NAMES.values()}
        self._nodes: list[Any] = []
        self._constants: dict[str, np.ndarray] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def constant(self, name: str, values: np.ndarray) -> str:
        """A constant by its name; one that is there already is used again."""
        if name not in self._constants or not np.array_equal(self._constants[name], values):
            name = self._free(name)
            self._constants[name] = values
        return name

    def weight(self, name: str, values: np.ndarray) -> str:
        """A float constant, which may be stored in half the bytes.

        Raises:
            ExportError: one of its numbers is too large for float16.
        """
        if not self._half and values.dtype != np.float16:
            return self.constant(name, values.astype(np.float32))
        with np.errstate(over="ignore"):
            small = values.astype(np.float16)
        if not np.isfinite(small).all():
            raise ExportError(f"{name}: weights beyond float16: use recipe float32")
        half = self.constant(f"{name}.half", small)
        return self.node("Cast", [half], (), name, to=self._onnx.TensorProto.FLOAT).name

    def node(
        self, kind: str, inputs: Sequence[str], shape: tuple[int, ...], name: str, **attributes: Any
    ) -> Value:
        """Adds an operation of one output, which bears its name."""
        name = self._free(name)
        made = self._onnx.helper.make_node(kind, list(inputs), [name], name=name, **attributes)
        self._nodes.append(made)
        return Value(name, shape)

    def image(self, size: Size, dtype: str) -> Value:
        """The input, `uint8` bytes or `float32`, (1, H, W, 3), channels first."""
        self._inputs.append(self._port(INPUT, dtype, (1, *size, 3)))
        return self.node(
            "Transpose", [INPUT], (1, *size, 3), f"{INPUT}.planes", perm=CHANNELS_FIRST
        )

    def floats(self, bytes_: Value, subtract: np.ndarray | None) -> Value:
        """Bytes as floats, less a number for each channel."""
        to = self._onnx.TensorProto.FLOAT
        x = self.node("Cast", [bytes_.name], bytes_.shape, f"{INPUT}.float", to=to)
        if subtract is None or not subtract.any():
            return x
        mean = self.constant(f"{INPUT}.mean", subtract.astype(np.float32).reshape(1, -1, 1, 1))
        return self.node("Sub", [x.name, mean], x.shape, f"{INPUT}.centred")

    def conv(
        self,
        x: Value,
        kernel: str,
        bias: str,
        shape: tuple[int, ...],
        name: str,
        *,
        stride: Sequence[int] = (1, 1),
        pads: Pads = NO_PADS,
        dilation: Sequence[int] = (1, 1),
    ) -> Value:
        """A convolution, depthwise where its kernel has one channel for many.

        Args:
            x: its input.
            kernel: (filters, channels, kh, kw), or of a depthwise one (channels, 1, kh, kw).
            bias: (filters,).
            shape: of the kernel.
            name: of its output.
            stride, dilation: of rows and columns.
            pads: zeros around the input.
        """
        filters, depth, *window = shape
        size = [
            (length + sum(around) - each * (side - 1) - 1) // step + 1
            for length, around, side, step, each in zip(
                x.shape[1:3], pads, window, stride, dilation, strict=True
            )
        ]
        (top, bottom), (left, right) = pads
        return self.node(
            "Conv",
            [x.name, kernel, bias],
            (1, *size, filters),
            name,
            kernel_shape=window,
            strides=list(stride),
            dilations=list(dilation),
            pads=[top, left, bottom, right],
            group=x.shape[3] // depth,
        )

    def relu(self, x: Value, name: str) -> Value:
        """Zero for what is below."""
        return self.node("Relu", [x.name], x.shape, name)

    def add(self, x: Value, y: Value, name: str) -> Value:
        """The sum of two tensors of one shape."""
        return self.node("Add", [x.name, y.name], x.shape, name)

    def concat(self, xs: Sequence[Value], axis: int, name: str) -> Value:
        """Tensors side by side along an axis of (1, h, w, channels)."""
        shape = list(xs[0].shape)
        shape[axis] = sum(x.shape[axis] for x in xs)
        there = CHANNELS_FIRST.index(axis)
        return self.node("Concat", [x.name for x in xs], tuple(shape), name, axis=there)

    def transpose(self, x: Value, order: Sequence[int], name: str) -> Value:
        """Axes of (1, h, w, channels) in another order."""
        shape = tuple(x.shape[axis] for axis in order)
        there = [CHANNELS_FIRST.index(order[axis]) for axis in CHANNELS_FIRST]
        return self.node("Transpose", [x.name], shape, name, perm=there)

    def crop(self, x: Value, spans: Mapping[int, tuple[int, int]], name: str) -> Value:
        """The part between start and stop along axes of (1, h, w, channels)."""
        axes, shape = sorted(spans), list(x.shape)
        for axis in axes:
            shape[axis] = spans[axis][1] - spans[axis][0]
        starts, stops = (np.array([spans[axis][end] for axis in axes]) for end in (0, 1))
        there = np.array([CHANNELS_FIRST.index(axis) for axis in axes])
        parts = {"starts": starts, "stops": stops, "axes": there}
        inputs = [self.constant(f"{name}.{part}", parts[part].astype(np.int64)) for part in parts]
        return self.node("Slice", [x.name, *inputs], tuple(shape), name)

    def pad(self, x: Value, pads: Pads, name: str) -> Value:
        """A tensor with zeros around it."""
        (top, bottom), (left, right) = pads
        counts = np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)
        shape = (1, x.shape[1] + top + bottom, x.shape[2] + left + right, x.shape[3])
        return self.node("Pad", [x.name, self.constant(f"{name}.pads", counts)], shape, name)

    def global_mean(self, x: Value, name: str) -> Value:
        """The mean of each channel."""
        return self.node("GlobalAveragePool", [x.name], (1, 1, 1, x.shape[3]), name)

    def resize(self, x: Value, size: Size, sampling: str, name: str) -> Value:
        """Interpolation as `core.images.interpolation` names it."""
        shape = (1, *size, x.shape[3])
        sizes = self.constant(f"{name}.sizes", np.array([1, shape[3], *size], np.int64))
        places = "align_corners" if sampling == ALIGNED else "half_pixel"
        how = {"mode": "linear"}
        if sampling == NEAREST:  # of x - 1/2: the floor of x
            how = {"mode": "nearest", "nearest_mode": "round_prefer_ceil"}
        how["coordinate_transformation_mode"] = places
        return self.node("Resize", [x.name, "", "", sizes], shape, name, **how)

    def linear(self, x: Value, rows: np.ndarray, columns: np.ndarray, name: str) -> Value:
        """A linear map of each axis: exact poolings and interpolations.

        Args:
            x: its input.
            rows: (new height, height).
            columns: (new width, width).
            name: of its output.
        """
        high, wide, depth = len(rows), len(columns), x.shape[3]
        matrix = self.constant(f"{name}.rows", rows.astype(np.float32))
        y = self.node("MatMul", [matrix, x.name], (1, high, x.shape[2], depth), f"{name}.high")
        matrix = self.constant(f"{name}.columns", columns.T.astype(np.float32))
        return self.node("MatMul", [y.name, matrix], (1, high, wide, depth), name)

    def on_grid(self, kind: str, x: Value, scale: float, zero: np.ndarray, name: str) -> Value:
        """`Quantize` to a grid, whose type is the zero point's, or `Dequantize` from it."""
        step = self.constant(f"scale.{scale!r}", np.array(scale, np.float32))
        base = self.constant(f"zero.{zero.dtype}.{zero}", zero)
        return self.node(f"{kind}Linear", [x.name, step, base], x.shape, name)

    def quantized_weight(self, name: str, values: np.ndarray, scales: np.ndarray) -> str:
        """An integer constant with a scale for each index of its first axis, as floats."""
        stored = self.constant(f"{name}.{values.dtype}", values)
        steps = self.constant(f"{name}.scales", scales.astype(np.float32))
        zeros = self.constant(f"{name}.zeros", np.zeros(len(scales), values.dtype))
        return self.node("DequantizeLinear", [stored, steps, zeros], (), name, axis=0).name

    def output(self, x: Value, outputs: str, dtype: str = "float32") -> None:
        """Makes a tensor the result, channels last.

        Args:
            x: scores, or for label maps what `labels` returned just now.
            outputs: as of `export_tflite`.
            dtype: of the result.
        """
        name = OUTPUT_NAMES.get(outputs, "logits")
        shape = x.shape
        if name == "labels":
            shape = x.shape[:3]
        else:
            self.node("Transpose", [x.name], shape, f"{name}.last", perm=CHANNELS_LAST)
        self._nodes[-1].output[0] = name
        self._outputs.append(self._port(name, dtype, shape))

    def labels(self, x: Value) -> Value:
        """The index of the largest channel, uint8."""
        best = self.node("ArgMax", [x.name], x.shape[:3], "labels.int64", axis=1, keepdims=0)
        to = self._onnx.TensorProto.UINT8
        return self.node("Cast", [best.name], best.shape, "labels.uint8", to=to)

    def softmax(self, x: Value, name: str) -> Value:
        """Probabilities of the channels."""
        return self.node("Softmax", [x.name], x.shape, name, axis=1)

    @property
    def ops(self) -> dict[str, int]:
        """Operation -> how many."""
        return dict(sorted(collections.Counter(node.op_type for node in self._nodes).items()))

    def content(self, metadata: Mapping[str, Any]) -> bytes:
        """The file, which `onnx.checker` has seen.

        Args:
            metadata: goes into `metadata_props` as JSON, under `fastscnn`.

        Raises:
            ExportError: the checker does not take it.
        """
        helper, numpy_helper = self._onnx.helper, self._onnx.numpy_helper
        constants = [numpy_helper.from_array(v, n) for n, v in self._constants.items()]
        graph = helper.make_graph(
            self._nodes, "fast_scnn", self._inputs, self._outputs, initializer=constants
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="fastscnn_tf",
            producer_version=__version__,
        )
        helper.set_model_props(model, {METADATA_KEY: json.dumps(metadata)})
        try:
            self._onnx.checker.check_model(model, full_check=True)
        except Exception as error:  # its errors have no common class
            raise ExportError(f"onnx.checker: {str(error).splitlines()[0]}") from None
        return bytes(model.SerializeToString())

    def _port(self, name: str, dtype: str, shape: Sequence[int]) -> Any:
        kind = self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self._onnx.helper.make_tensor_value_info(name, kind, list(shape))

    def _free(self, name: str) -> str:
        """A name that is not taken yet."""
        free, count = name, 1
        while free in self._names:
            count += 1
            free = f"{name}.{count}"
        self._names.add(free)
        return free


def same_pads(
    size: Sequence[int], window: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> Pads:
    """TensorFlow's `same` as zeros on each side."""

    def ends(length: int, side: int, step: int, each: int) -> tuple[int, int]:
        total = max((-(-length // step) - 1) * step + each * (side - 1) + 1 - length, 0)
        return total // 2, total - total // 2

    rows, columns = map(ends, size, window, stride, dilation)
    return rows, columns
