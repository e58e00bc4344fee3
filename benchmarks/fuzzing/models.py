"""Small .tflite files, built with the schema alone: what the models of the campaign are."""

from __future__ import annotations

import json
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

SIZE = 64
CLASSES = ("road", "building", "sky")
COLORS = ((128, 64, 128), (70, 70, 70), (70, 130, 180))


def metadata() -> dict[str, Any]:
    """What this package keeps inside a file."""
    return {
        "format": 1,
        "producer": "fastscnn_tf 0.1.0",
        "recipe": "float32",
        "outputs": "logits",
        "input_size": f"{SIZE}x{SIZE}",
        "input": "float32 RGB, (x - mean) / std",
        "mean": [128.0, 128.0, 128.0],
        "std": [128.0, 128.0, 128.0],
        "class_names": list(CLASSES),
        "class_colors": [list(color) for color in COLORS],
        "config": {"num_classes": 3, "input_size": [SIZE, SIZE], "align_corners": []},
        "run": {"kind": "train", "dataset": "camvid", "recipe": "strong", "epochs": 3, "seed": 0},
        "name": "Small",
        "license": "Apache-2.0",
        "description": "Three classes.",
        "author": "nobody",
    }


class _Builder:
    """A graph under construction."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version, self.model.buffers = 3, [schema.BufferT()]
        self.model.operatorCodes, self.graph = [], schema.SubGraphT()
        self.model.subgraphs = [self.graph]
        self.graph.tensors, self.graph.operators = [], []

    def buffer(self, content: bytes) -> int:
        made = schema.BufferT()
        made.data = np.frombuffer(content, np.uint8)
        self.model.buffers.append(made)
        return len(self.model.buffers) - 1

    def tensor(self, shape: tuple[int, ...], data: np.ndarray | None = None, kind: int = 0) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type = f"t{len(self.graph.tensors)}", list(shape), kind
        made.quantization = schema.QuantizationParametersT()  # an empty one, as converters write
        made.buffer = 0 if data is None else self.buffer(data.tobytes())
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def op(self, kind: str, inputs: list[int], output: int, options: str, **values: Any) -> int:
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
        self.model.operatorCodes.append(code)
        made = schema.OperatorT()
        made.opcodeIndex = len(self.model.operatorCodes) - 1
        made.inputs, made.outputs = inputs, [output]
        made.builtinOptions = getattr(schema, f"{options}T")()
        made.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        for name, value in values.items():
            setattr(made.builtinOptions, name, value)
        self.graph.operators.append(made)
        return output

    def finish(self, source: int, target: int) -> bytes:
        self.graph.inputs, self.graph.outputs = [source], [target]
        entry = schema.MetadataT()
        entry.name, entry.buffer = "fastscnn_tf", self.buffer(json.dumps(metadata()).encode())
        self.model.metadata = [entry]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def small_tflite() -> bytes:
    """Convolutions, pooling, resizing, a sum: (1, 64, 64, 3) in, (1, 8, 8, 3) logits out."""
    rng = np.random.default_rng(0)
    build, steps = _Builder(), SIZE // 8

    def weights(*shape: int) -> int:
        return build.tensor(shape, rng.normal(size=shape).astype(np.float32))

    def size(*values: int) -> int:
        return build.tensor((len(values),), np.array(values, np.int32), schema.TensorType.INT32)

    one = {"dilationHFactor": 1, "dilationWFactor": 1}
    image = build.tensor((1, SIZE, SIZE, 3))
    full = {"strideH": 8, "strideW": 8, **one}
    first = build.tensor((1, steps, steps, 4))
    build.op("CONV_2D", [image, weights(4, 3, 3, 3), weights(4)], first, "Conv2DOptions", **full)
    deep = build.tensor((1, steps, steps, 4))
    unit = {"strideH": 1, "strideW": 1, **one}
    build.op(
        "DEPTHWISE_CONV_2D",
        [first, weights(1, 3, 3, 4), weights(4)],
        deep,
        "DepthwiseConv2DOptions",
        depthMultiplier=1,
        **unit,
    )
    pooled = build.tensor((1, 2, 2, 4))
    window = {"filterHeight": 4, "filterWidth": 4, "strideH": 4, "strideW": 4, "padding": 1}
    build.op("AVERAGE_POOL_2D", [deep], pooled, "Pool2DOptions", **window)
    wide = build.tensor((1, steps, steps, 4))
    build.op("RESIZE_BILINEAR", [pooled, size(steps, steps)], wide, "ResizeBilinearOptions")
    total = build.tensor((1, steps, steps, 4))
    build.op("ADD", [deep, wide], total, "AddOptions")
    both = build.tensor((1, steps, steps, 8))
    build.op("CONCATENATION", [total, first], both, "ConcatenationOptions", axis=3)
    logits = build.tensor((1, steps, steps, 3))
    build.op("CONV_2D", [both, weights(3, 1, 1, 8), weights(3)], logits, "Conv2DOptions", **unit)
    return build.finish(image, logits)
