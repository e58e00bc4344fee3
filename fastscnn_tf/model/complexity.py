"""Parameters and multiply-accumulates, counted by walking the topology with shapes only."""

from __future__ import annotations

import dataclasses

from ..core.config import FastSCNNConfig
from ..core.sizes import Size
from .topology import fast_scnn_outputs

Shape = tuple[int, int, int]  # height, width, channels


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """One weighted layer: output (H, W, C), weights, and multiply-accumulates per image."""

    name: str
    output: Shape
    kernel_weights: int
    bias_weights: int
    norm_weights: int  # gamma, beta, mean, variance
    macs: int


@dataclasses.dataclass(frozen=True)
class Complexity:
    """The layers of a network, with totals."""

    layers: tuple[LayerCost, ...]

    @property
    def kernel_weights(self) -> int:
        """Weights of all convolution kernels (1,114,096 for the paper at 19 classes)."""
        return sum(layer.kernel_weights for layer in self.layers)

    @property
    def parameters(self) -> int:
        """All weights, running statistics included."""
        return sum(w.kernel_weights + w.bias_weights + w.norm_weights for w in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the convolutions for one image."""
        return sum(layer.macs for layer in self.layers)


def complexity(config: FastSCNNConfig) -> Complexity:
    """Counts a configuration at its input size.

    Example:
        >>> complexity(FastSCNNConfig()).kernel_weights
        1114096
    """
    blocks = _ShapeBlocks()
    fast_scnn_outputs(blocks, (*config.input_size, 3), config)
    return Complexity(tuple(blocks.layers))


class _ShapeBlocks:
    """Blocks whose tensors are (height, width, channels)."""

    def __init__(self) -> None:
        self.layers: list[LayerCost] = []

    def conv(self, x, filters, kernel, *, name, stride=1, relu=True, bias=False):
        output = (_ceil(x[0], stride), _ceil(x[1], stride), filters)
        return self._layer(name, output, kernel * kernel * x[2] * filters, bias)

    def depthwise(self, x, *, name, stride=1, dilation=1, relu=False):
        return self._layer(name, (_ceil(x[0], stride), _ceil(x[1], stride), x[2]), 9 * x[2], False)

    def _layer(self, name: str, output: Shape, weights: int, bias: bool) -> Shape:
        height, width, channels = output
        bias_weights, norm_weights = (channels, 0) if bias else (0, 4 * channels)
        macs = weights * height * width
        self.layers.append(LayerCost(name, output, weights, bias_weights, norm_weights, macs))
        return output

    def add(self, x, y, *, name, relu=False):
        return x

    def concat(self, xs, *, name):
        return (*xs[0][:2], sum(x[2] for x in xs))

    def pool(self, x, bins, *, name):
        return (bins, bins, x[2])

    def resize(self, x, size: Size, *, name):
        return (*size, x[2])

    def relu(self, x, *, name):
        return x

    def dropout(self, x, rate, *, name):
        return x

    def size(self, x) -> Size:
        return x[0], x[1]

    def channels(self, x) -> int:
        return x[2]


def _ceil(a: int, b: int) -> int:
    return -(-a // b)
