"""Small segmentation files as others make them, and what numpy says that they give."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tiny_models import TYPES, TinyModel

from fastscnn_tf.tflite.embedded_metadata import (
    IDENTIFIER,
    SCHEMA,
    SEGMENTER,
    SEGMENTER_IDENTIFIER,
)
from fastscnn_tf.tflite.flat_tables import write_table

SIZE = (24, 32)
IMAGENET = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])


class ForeignModel:
    """One 1x1 convolution from RGB to classes, fed and read as is said.

    Args:
        classes: of the convolution.
        input: dtype, and scale and zero point of an integer input.
        end: `SOFTMAX`, `LOGISTIC` or `ARG_MAX` behind the convolution.
        planes: NCHW input, NCHW output.
        output: dtype, and scale and zero point of an integer output.
        range: what the real input spans: weights are made for it.
        custom: a custom operation instead of the convolution.
    """

    def __init__(
        self,
        classes: int = 3,
        input: tuple[str, tuple[Sequence[float], Sequence[int]] | None] = ("float32", None),
        end: str | None = None,
        planes: tuple[bool, bool] = (False, False),
        output: tuple[str, tuple[Sequence[float], Sequence[int]] | None] = ("float32", None),
        range: tuple[float, float] = (0.0, 1.0),
        custom: str | None = None,
    ):
        rng = np.random.default_rng(classes)
        low, high = range
        weights = rng.normal(0, 4 / (high - low), (classes, 3))
        weights -= weights.mean(1, keepdims=True) if classes > 1 else 0
        self.weights = weights.astype(np.float32)
        self.bias = -(self.weights.sum(1) * (low + high) / 2).astype(np.float32)
        self.input, self.end, self.planes, self.output = input, end, planes, output
        self.model, self.classes = TinyModel(), classes
        m, (h, w) = self.model, SIZE
        self.image = m.tensor((1, 3, h, w) if planes[0] else (1, h, w, 3), input[0], None, input[1])
        now = self.image
        if input[1] is not None:
            now = self._then("DEQUANTIZE", now, m.graph.tensors[now].shape)
        elif input[0] != "float32":
            m.graph.tensors[now].quantization = None
            now = self._then("CAST", now, m.graph.tensors[now].shape)
        if planes[0]:
            now = self._then("TRANSPOSE", now, (1, h, w, 3), [0, 2, 3, 1])
        logits = m.tensor((1, h, w, classes))
        kernel = m.tensor((classes, 1, 1, 3), "float32", self.weights.reshape(classes, 1, 1, 3))
        bias = m.tensor((classes,), "float32", self.bias)
        steps = dict.fromkeys(("strideH", "strideW", "dilationHFactor", "dilationWFactor"), 1)
        if custom:
            m.op("CUSTOM", [now, kernel], [logits], custom=custom)
        else:
            m.op("CONV_2D", [now, kernel, bias], [logits], "Conv2DOptions", **steps)
        self.logits = logits
        now = logits
        if end in ("SOFTMAX", "LOGISTIC"):
            now = self._then(end, now, (1, h, w, classes))
        if end == "ARG_MAX":
            now = self._argmax(now, "int64" if output[0] == "int64" else "int32")
        if planes[1]:
            now = self._then("TRANSPOSE", now, (1, classes, h, w), [0, 3, 1, 2])
        if output[1] is not None:
            shape = m.graph.tensors[now].shape
            last = m.tensor(shape, output[0], None, output[1])
            m.op("QUANTIZE", [now], [last], "QuantizeOptions")
            now = last
        elif output[0] in ("uint8",):
            shape = m.graph.tensors[now].shape
            last = m.tensor(shape, "uint8")
            m.graph.tensors[last].quantization = None
            kinds = schema.TensorType
            m.op(
                "CAST",
                [now],
                [last],
                "CastOptions",
                inDataType=kinds.INT32,
                outDataType=kinds.UINT8,
            )
            now = last
        self.outputs = [now]

    def _then(self, kind: str, source: int, shape: Sequence[int], order: Any = None) -> int:
        m = self.model
        result = m.tensor(shape)
        extra = [] if order is None else [m.tensor((4,), "int32", np.asarray(order))]
        options, values = {
            "SOFTMAX": ("SoftmaxOptions", {"beta": 1.0}),
            "TRANSPOSE": ("TransposeOptions", {}),
            "DEQUANTIZE": ("DequantizeOptions", {}),
            "CAST": ("CastOptions", {"inDataType": schema.TensorType.UINT8}),
        }.get(kind, (None, {}))
        version = 2 if kind == "DEQUANTIZE" else 1
        m.op(kind, [source, *extra], [result], options, version, **values)
        return result

    def _argmax(self, source: int, dtype: str) -> int:
        m = self.model
        result = m.tensor((1, *SIZE), dtype)
        axis = m.tensor((), "int32", np.asarray(3))
        kind = getattr(schema.TensorType, dtype.upper())
        m.op("ARG_MAX", [source, axis], [result], "ArgMaxOptions", outputType=kind)
        return result

    def output_of(self, kind: str, shape: Sequence[int], order: Any = None) -> None:
        """A further output, made of the logits."""
        self.outputs.append(self._then(kind, self.logits, shape, order))

    def joined(self, kind: str, other: float | str) -> None:
        """The output, resized, joined with a constant or another tensor; SUB takes it from that."""
        m, (now,) = self.model, self.outputs
        shape = m.graph.tensors[now].shape
        size, carried = m.tensor((2,), "int32", np.asarray(SIZE)), m.tensor(shape)
        m.op("RESIZE_NEAREST_NEIGHBOR", [now, size], [carried], "ResizeNearestNeighborOptions")
        others = {"itself": carried, "its logits": self.logits, "the image": self.image}
        if isinstance(other, str):
            second = others[other]
        else:
            second = m.tensor((1,), "float32", np.asarray([other]))
        both = [second, carried] if kind == "SUB" else [carried, second]
        result = m.tensor(shape)
        m.op(kind, both, [result], f"{kind.capitalize()}Options")
        self.outputs = [result]

    def reshaped(self, shape: Sequence[int], dtype: str) -> None:
        """The same output in another shape."""
        m = self.model
        result = m.tensor(shape, dtype)
        m.graph.tensors[result].quantization = None
        sizes = m.tensor((len(shape),), "int32", np.asarray(shape))
        m.op("RESHAPE", [self.outputs[0], sizes], [result])
        self.outputs = [result]

    def boxes(self) -> None:
        """A further output (1, 5, N), as detectors give."""
        h, w = SIZE
        m = self.model
        result = m.tensor((1, self.classes, h * w))
        shape = m.tensor((3,), "int32", np.asarray([1, self.classes, h * w]))
        m.op("RESHAPE", [self.logits, shape], [result])
        self.outputs.append(result)

    def says(
        self,
        mean: Sequence[float] = (),
        std: Sequence[float] = (),
        names: Sequence[str] = (),
        activation: int | None = None,
    ) -> None:
        """TFLite's standard metadata."""
        options = {"type": "NormalizationOptions", "mean": list(mean), "std": list(std)}
        image = {"process_units": [{"options": options}] if mean else []}
        files = [{"name": "labelmap.txt", "type": 2}] if names else []
        graph: dict[str, Any] = {
            "input_tensor_metadata": [image],
            "output_tensor_metadata": [{"associated_files": files}],
        }
        if activation is not None:
            value = {"activation": activation, "min_parser_version": "1.0.0"}
            data = write_table(SCHEMA, "ImageSegmenterOptions", value, SEGMENTER_IDENTIFIER)
            graph["custom_metadata"] = [{"name": SEGMENTER, "data": data}]
        content = write_table(SCHEMA, "ModelMetadata", {"subgraph_metadata": [graph]}, IDENTIFIER)
        self.model.metadata("TFLITE_METADATA", content)

    def pack(self, files: dict[str, Any] | None = None) -> bytes:
        """The file's bytes, with files behind it."""
        content = self.model.pack([self.image], self.outputs)
        if not files:
            return content
        buffer = io.BytesIO(content)
        with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
            for name, value in files.items():
                archive.writestr(name, value if isinstance(value, str) else json.dumps(value))
        return buffer.getvalue()

    def scores(self, image: np.ndarray, mean: Any, std: Any) -> np.ndarray:
        """(h, w, classes) float64 logits of an image that is fed by (x - mean) / std."""
        real = (image.astype(np.float64) - mean) / std
        if self.input[1] is not None:
            (scale,), (zero,) = self.input[1]
            limits = np.iinfo(TYPES[self.input[0]])
            steps = np.clip(np.rint(real / np.float32(scale)) + zero, limits.min, limits.max)
            real = (steps - zero) * np.float32(scale)
        return real @ self.weights.T.astype(np.float64) + self.bias
