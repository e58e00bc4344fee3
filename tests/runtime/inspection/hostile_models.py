"""The shipped int8 file, changed here and there: what LiteRT aborts at, and mutants at random."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from tiny_models import TinyModel

from fastscnn_tf.tflite.file import operation, unpack

INT8 = Path(__file__).parents[3] / "tflite" / "fastscnn_camvid_int8.tflite"
WHOLE = (0, 1, -1, 2, 127, 128, 255, 65_536, 2**20, 2**31 - 1, -(2**31))
BROKEN = (0.0, -1.0, 1e-38, 1e38, float("inf"), float("nan"))


def changed(change: Callable[[Any], None], content: bytes | None = None) -> bytes:
    """The shipped file (or another) after a change of its `ModelT`."""
    model = unpack(content or INT8.read_bytes())
    change(model)
    builder = flatbuffers.Builder(1 << 21)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def operations(model: Any, kind: str) -> list[Any]:
    """The main graph's operations of a kind."""
    return [op for op in model.subgraphs[0].operators if operation(model, op) == kind]


def negative_scale(model: Any) -> None:
    """An ADD's input with the scale -1: LiteRT aborts when it prepares the ADD."""
    index = operations(model, "ADD")[0].inputs[0]
    model.subgraphs[0].tensors[index].quantization.scale = np.float32([-1])


def missing_bias(model: Any) -> None:
    """A depthwise convolution whose bias is left out: a null pointer in LiteRT's kernel."""
    op = operations(model, "DEPTHWISE_CONV_2D")[0]
    op.inputs = op.inputs[:2]


def slow() -> bytes:
    """Sixty convolutions of 4 G multiply-accumulates each, in little memory."""
    m = TinyModel()
    x, y = m.tensor((1, 256, 256, 3)), m.tensor((1, 256, 256, 250))
    narrow, wide = np.ones((250, 1, 1, 3)), np.ones((250, 1, 1, 250))
    kernels = [m.tensor(values.shape, "float32", values) for values in (narrow, wide)]
    bias = m.tensor((250,), "float32", np.zeros(250))
    steps = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    m.op("CONV_2D", [x, kernels[0], bias], [y], "Conv2DOptions", **steps)
    for _ in range(60):
        before, y = y, m.tensor((1, 256, 256, 250))
        m.op("CONV_2D", [before, kernels[1], bias], [y], "Conv2DOptions", **steps)
    return m.pack([x], [y])


def another(model: Any) -> None:
    """Another name inside, nothing else: a file that is fine and new."""
    model.subgraphs[0].name = "another"


def mutants(seed: int, count: int) -> Iterator[bytes]:
    """Files with one to three changes that the schema allows."""
    rng = random.Random(seed)
    for _ in range(count):
        yield changed(lambda model: [_mutate(model, rng) for _ in range(rng.choice((1, 1, 2, 3)))])


def _mutate(model: Any, rng: random.Random) -> None:
    graph = model.subgraphs[0]
    tensor, op = rng.choice(graph.tensors), rng.choice(graph.operators)
    kind = rng.choice(
        ("shape", "scale", "zero", "axis", "buffer", "type", "input", "output", "option")
    )
    quantization = tensor.quantization
    if kind == "shape" and tensor.shape is not None and len(tensor.shape):
        tensor.shape = _with(tensor.shape, rng.choice(WHOLE), rng)
    elif kind == "scale" and quantization.scale is not None:
        quantization.scale = _with(quantization.scale, rng.choice(BROKEN), rng)
    elif kind == "zero" and quantization.zeroPoint is not None:
        quantization.zeroPoint = _with(quantization.zeroPoint, rng.choice(WHOLE), rng)
    elif kind == "axis":
        quantization.quantizedDimension = rng.choice(WHOLE)
    elif kind == "buffer":
        tensor.buffer = rng.randrange(len(model.buffers))
    elif kind == "type":
        tensor.type = rng.randrange(18)
    elif kind == "input" and rng.random() < 0.3:
        op.inputs = op.inputs[:-1]
    elif kind == "input":
        op.inputs = _with(op.inputs, rng.randrange(-1, len(graph.tensors)), rng)
    elif kind == "output":
        op.outputs = _with(op.outputs, rng.randrange(len(graph.tensors)), rng)
    else:
        options = [op.builtinOptions for op in graph.operators if op.builtinOptions is not None]
        chosen = rng.choice([each for each in options if vars(each)])
        name = rng.choice(sorted(vars(chosen)))
        value = getattr(chosen, name)
        new = rng.randrange(6) if "ctivation" in name else rng.choice(WHOLE[:6])
        setattr(chosen, name, not value if isinstance(value, bool) else new)


def _with(values: Any, value: float, rng: random.Random) -> np.ndarray:
    result = np.array(values)
    result[rng.randrange(len(result))] = value
    return result
