"""The topology's blocks as ONNX operations: a float network without TensorFlow."""

from __future__ import annotations

import numpy as np

from ..core.images.interpolation import HALF_PIXEL
from ..core.sizes import Size
from ..model.byte_input import centre
from ..model.common_blocks import CommonBlocks
from ..model.fast_scnn import full_resolution
from ..model.folded import FoldedNetwork
from ..model.topology import Add, Conv, Depthwise, fast_scnn_outputs
from ..model.windows import Pads, Spans, Windows, explicit_pads, is_whole
from .mutable_graph import on_raw_bytes
from .onnx_graph import NO_PADS, OnnxGraph, Value, same_pads


def float_graph(network: FoldedNetwork, outputs: str, input: str, half: bool) -> OnnxGraph:
    """The ONNX graph of a float network.

    Args:
        network: folded, without ranges.
        outputs: as of `export_tflite`.
        input: `uint8` raw bytes, or `float32` normalised images.
        half: store weights as float16.
    """
    config, graph = network.config, OnnxGraph(half)
    x = graph.image(config.input_size, input)
    if input == "uint8":
        network, shift = on_raw_bytes(network)
        x = graph.floats(x, np.full(3, centre(config)) + (0 if shift is None else shift))
    blocks = OnnxBlocks(network, graph)
    x = fast_scnn_outputs(blocks, x, config)["logits"]
    if outputs not in ("logits", "labels-8"):
        x = full_resolution(blocks, x, config)
    if outputs.startswith("labels"):
        graph.output(graph.labels(x), outputs, "uint8")
    else:
        graph.output(graph.softmax(x, "softmax") if outputs == "prob" else x, outputs)
    return graph


class OnnxBlocks(CommonBlocks):
    """Blocks on constants; operations bear the names of layers.

    Args:
        network: weights of a float network.
        graph: what takes the operations.
    """

    def __init__(self, network: FoldedNetwork, graph: OnnxGraph) -> None:
        self.weights, self.graph = network.weights, graph

    def conv(self, x: Value, conv: Conv) -> Value:
        kernel = np.transpose(self.weights[conv.name][0], (3, 2, 0, 1))
        return self._convolution(x, conv, kernel, 1)

    def depthwise(self, x: Value, conv: Depthwise) -> Value:
        kernel = np.transpose(self.weights[conv.name][0], (2, 3, 0, 1))
        return self._convolution(x, conv, kernel, conv.dilation)

    def _convolution(
        self, x: Value, conv: Conv | Depthwise, kernel: np.ndarray, dilation: int
    ) -> Value:
        name, stride, dilations = conv.name, (conv.stride,) * 2, (dilation,) * 2
        pads, padding = explicit_pads(self.size(x), conv.stride, conv.padding)
        if pads is None:
            same = padding == "same"
            pads = same_pads(self.size(x), kernel.shape[2:], stride, dilations) if same else NO_PADS
        weights = self.graph.weight(f"{name}.kernel", kernel)
        bias = self.graph.weight(f"{name}.bias", self.weights[name][1])
        y = self.graph.conv(
            x, weights, bias, kernel.shape, name, stride=stride, pads=pads, dilation=dilations
        )
        return self.graph.relu(y, f"{name}.relu") if conv.relu else y

    def add(self, x: Value, y: Value, add: Add) -> Value:
        x = self.graph.add(x, y, add.name)
        return self.graph.relu(x, f"{add.name}.relu") if add.relu else x

    def concat(self, xs: list[Value], *, name: str) -> Value:
        return self.graph.concat(xs, 3, name)

    def pool(self, x: Value, windows: Windows, *, name: str) -> Value:
        """Means of windows of any place and size: a matrix for each axis."""
        if is_whole(windows, self.size(x)):
            return self.graph.global_mean(x, name)
        rows, columns = (_means(s, n) for s, n in zip(windows, self.size(x), strict=True))
        return self.graph.linear(x, rows, columns, name)

    def resize(self, x: Value, size: Size, *, name: str, sampling: str = HALF_PIXEL) -> Value:
        return self.graph.resize(x, size, sampling, name)

    def _zeros(self, x: Value, pads: Pads, name: str) -> Value:
        return self.graph.pad(x, pads, name)

    def crop(self, x: Value, size: Size, *, name: str) -> Value:
        """The top left `size` of a map."""
        return self.graph.crop(x, {1: (0, size[0]), 2: (0, size[1])}, name)

    def relu(self, x: Value, *, name: str) -> Value:
        return self.graph.relu(x, name)


def _means(spans: Spans, length: int) -> np.ndarray:
    """(windows, length): the mean of each window as weights of the cells."""
    matrix = np.zeros((len(spans), length))
    for row, (start, stop) in zip(matrix, spans, strict=True):
        row[start:stop] = 1 / (stop - start)
    return matrix
