"""Whether an int8 depthwise 3x3 convolution is faster in other words that give the same bytes.

Each of them is cut out of the file and written otherwise: channels filled up to the tile of
XNNPACK's kernel, the padding as an operation of its own, a convolution in groups or a dense one
with zeros beside the kernel. All run in turns, one thread; a time is the best of the rounds, in CPU
seconds. Beside them what bounds it from other sides: a band of its rows, small enough for a cache,
times their number; a single tap instead of nine; float32; and copying what it reads and writes.

    .venv/bin/python benchmarks/depthwise.py m.tflite
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from operations import best_times, given, kind_of, load, one_operation, packed

from fastscnn_tf.core.text_table import text_table
from fastscnn_tf.export.edits import Editor
from fastscnn_tf.runtime.benchmark import cpu_name

TILE = 32  # channels that the kernel for AVX-512 takes at once
BANDS = 8
DENSE = 64  # channels up to which a dense convolution is tried
KIND = "DEPTHWISE_CONV_2D 3x3"


def main() -> None:
    content, graph, rounds = given(__doc__)
    found: dict[Any, int] = {}
    for op in graph.ops:
        if kind_of(graph, op) == KIND:
            key = (graph.tensors[op.inputs[0]].shape, graph.tensors[op.outputs[0]].shape)
            found.setdefault(key, op.index)
    print(f"{cpu_name()}, one thread; best of {rounds} rounds, CPU ms")
    rows = [row(content, index, rounds) for index in found.values()]
    head = list(dict.fromkeys(name for r in rows for name in r))
    print(text_table([head, *([r.get(name, "") for name in head] for r in rows)], None))


def row(content: bytes, index: int, rounds: int) -> dict[str, str]:
    """One layer: column -> milliseconds as text, in the order of the columns."""
    layer = Layer(content, index)
    forms = layer.forms()
    programs = {name: load(packed(form.model)) for name, form in forms.items()}
    expected = answer(programs["as it is"], layer)
    for name in set(programs) - set(layer.other):
        if not np.array_equal(answer(programs[name], layer), expected):
            raise SystemExit(f"{layer.shape} {name}: other bytes")
    times = dict(zip(programs, best_times(list(programs.values()), rounds), strict=True))
    times["in bands"] *= BANDS
    size = int(np.prod(layer.image.shape) + np.prod(layer.result.shape))
    times["copy"] = copying(size // 2, rounds)
    rate = np.prod(layer.result.shape) * 9 / times["as it is"] / 1e9
    about = {"layer": f"{'x'.join(map(str, layer.shape))} s{layer.stride}"}
    about["GMAC/s"] = f"{rate:.1f}"
    return about | {name: f"{seconds * 1e3:.2f}" for name, seconds in times.items()}


def answer(program: Any, layer: Layer) -> np.ndarray:
    """The layer's output for noise, without channels that only fill it up."""
    entry, channels = program.get_input_details()[0], layer.shape[2]
    image = np.zeros(entry["shape"], np.int8)
    noise = np.random.default_rng(0).integers(-128, 128, layer.image.shape)
    image[..., :channels] = noise
    program.set_tensor(entry["index"], image)
    program.invoke()
    return program.get_tensor(program.get_output_details()[0]["index"])[..., :channels]


def copying(size: int, rounds: int) -> float:
    """Seconds of copying bytes."""
    source, target = np.ones(size, np.uint8), np.empty(size, np.uint8)
    best = np.inf
    for _ in range(rounds):
        start = time.process_time()
        np.copyto(target, source)
        best = min(best, time.process_time() - start)
    return best


class Layer:
    """One convolution alone, as a file's objects that can be changed."""

    other = ("in bands", "one tap", "float32")  # not the same numbers

    def __init__(self, content: bytes, index: int):
        self._source = content, index
        self.model = one_operation(content, index)
        graph = self.model.subgraphs[0]
        self.op = graph.operators[0]
        tensors = [graph.tensors[i] for i in (*self.op.inputs, *self.op.outputs)]
        self.image, self.kernel, self.bias, self.result = tensors
        self.shape = tuple(int(n) for n in self.image.shape[1:])
        self.stride = int(self.op.builtinOptions.strideH)

    def again(self) -> Layer:
        return Layer(*self._source)

    def forms(self) -> dict[str, Layer]:
        """The layer in other words, by name."""
        wide = -self.shape[2] % TILE
        forms = {"as it is": self.again()}
        forms["channels filled up"] = self.again().filled(wide) if wide else self.again()
        forms["PAD, VALID"] = self.again().padded()
        forms["groups of 8"] = self.again().grouped(8)
        forms["groups of 16"] = self.again().grouped(16)
        if self.shape[2] <= DENSE:
            forms["dense"] = self.again().grouped(self.shape[2])
        forms["in bands"] = self.again().band()
        forms["one tap"] = self.again().one_tap()
        forms["float32"] = self.again().floats()
        return forms

    def values(self, tensor: Any, dtype: Any) -> np.ndarray:
        data = np.asarray(self.model.buffers[tensor.buffer].data, np.uint8)
        return data.view(dtype).reshape(tensor.shape)

    def set(self, tensor: Any, values: np.ndarray) -> None:
        tensor.shape = list(values.shape)
        self.model.buffers[tensor.buffer].data = values.reshape(-1).view(np.uint8)

    def filled(self, more: int) -> Layer:
        """With channels of zeros behind the others."""
        for tensor, dtype in ((self.kernel, np.int8), (self.bias, np.int32)):
            values = self.values(tensor, dtype)
            self.set(tensor, np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, more)]))
            found = tensor.quantization
            found.scale = np.append(found.scale, np.ones(more, np.float32) * found.scale[0])
            found.zeroPoint = np.zeros(len(found.scale), np.int64)
        for tensor in (self.image, self.result):
            tensor.shape = [*tensor.shape[:3], tensor.shape[3] + more]
        return self

    def padded(self) -> Layer:
        """The zeros around the image by an operation of their own."""
        edit, (height, width, channels) = Editor(self.model), self.shape
        ends = (2 - self.stride, 1)  # of 3x3 at even sizes
        wider = schema.TensorT()
        wider.name, wider.type, wider.quantization = (
            "wider",
            self.image.type,
            self.image.quantization,
        )
        wider.shape = [1, height + sum(ends), width + sum(ends), channels]
        edit.graph.tensors.append(wider)
        pads = np.array([(0, 0), ends, ends, (0, 0)], np.int32)
        amounts = schema.TensorT()
        amounts.name, amounts.type, amounts.shape = "pads", schema.TensorType.INT32, [4, 2]
        amounts.buffer = edit.buffer(pads.tobytes())
        edit.graph.tensors.append(amounts)
        count = len(edit.graph.tensors)
        pad = schema.OperatorT()
        pad.inputs, pad.outputs = [self.op.inputs[0], count - 1], [count - 2]
        edit.turn_into(pad, "PAD", 2, schema.PadOptionsT())
        self.op.inputs = [count - 2, *self.op.inputs[1:]]
        self.op.builtinOptions.padding = schema.Padding.VALID
        edit.graph.operators = [pad, self.op]
        return self

    def grouped(self, group: int) -> Layer:
        """As a convolution in groups of channels; in one, a dense one."""
        old, channels = self.values(self.kernel, np.int8)[0], self.shape[2]
        new = np.zeros((channels, 3, 3, group), np.int8)
        new[np.arange(channels), :, :, np.arange(channels) % group] = old.transpose(2, 0, 1)
        self.set(self.kernel, new)
        self.kernel.quantization.quantizedDimension = 0
        options = schema.Conv2DOptionsT()
        options.padding = self.op.builtinOptions.padding
        options.strideH = options.strideW = self.stride
        options.dilationHFactor = options.dilationWFactor = 1
        options.fusedActivationFunction = self.op.builtinOptions.fusedActivationFunction
        Editor(self.model).turn_into(self.op, "CONV_2D", 6, options)
        return self

    def band(self) -> Layer:
        """An eighth of the rows."""
        for tensor in (self.image, self.result):
            tensor.shape = [1, tensor.shape[1] // BANDS, *tensor.shape[2:]]
        return self

    def one_tap(self) -> Layer:
        """A 1x1 kernel."""
        self.set(self.kernel, self.values(self.kernel, np.int8)[:, 1:2, 1:2].copy())
        return self

    def floats(self) -> Layer:
        """The same in float32."""
        for tensor in (self.image, self.kernel, self.bias, self.result):
            tensor.type, tensor.quantization = schema.TensorType.FLOAT32, None
        self.set(self.kernel, self.values(self.kernel, np.int8).astype(np.float32))
        self.set(self.bias, self.values(self.bias, np.int32).astype(np.float32))
        return self


if __name__ == "__main__":
    main()
