"""What a network costs, counted by walking the topology with shapes only."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from ..core.config import FastSCNNConfig, config_of
from ..core.images.interpolation import HALF_PIXEL, NEAREST
from ..core.keras_api import KerasModel
from ..core.sizes import Size
from .topology import Add, Conv, Depthwise, fast_scnn_outputs
from .windows import Windows

Shape = tuple[int, int, int]  # height, width, channels
COPIES = 8  # of the weights, of four bytes each
ROOM = 16 << 20  # bytes for names and the like


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """One operation.

    Attributes:
        name: as in the Keras model.
        output: (H, W, C).
        kernel: shape of its kernel in Keras layout, (kh, kw, in, out) or depthwise
            (kh, kw, channels, 1); empty without one.
        bias_weights: number of biases.
        norm_weights: gamma, beta, mean and variance of its batch normalisation.
        macs: multiply-accumulates of its convolution for one image.
        receptive_field: (height, width) in input pixels that one output value can depend on.
    """

    name: str
    output: Shape
    kernel: tuple[int, ...]
    bias_weights: int
    norm_weights: int
    macs: int
    receptive_field: Size

    @property
    def kernel_weights(self) -> int:
        """Weights of its kernel."""
        return math.prod(self.kernel) if self.kernel else 0

    @property
    def parameters(self) -> int:
        """All its weights, running statistics included."""
        return self.kernel_weights + self.bias_weights + self.norm_weights

    @property
    def activations(self) -> int:
        """Values of its output for one image."""
        return math.prod(self.output)


@dataclasses.dataclass(frozen=True)
class Complexity:
    """The operations of a network in order, with totals."""

    layers: tuple[LayerCost, ...]

    @property
    def kernel_weights(self) -> int:
        """Weights of all convolution kernels (1,114,096 for the paper at 19 classes)."""
        return sum(layer.kernel_weights for layer in self.layers)

    @property
    def parameters(self) -> int:
        """All weights, running statistics included."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the convolutions for one image."""
        return sum(layer.macs for layer in self.layers)

    @property
    def activations(self) -> int:
        """Values of all outputs for one image."""
        return sum(layer.activations for layer in self.layers)


def complexity(config: FastSCNNConfig | KerasModel) -> Complexity:
    """Counts a configuration, or that of a model, at its input size, up to the logits at 1/8.

    Raises:
        ConfigError: it is neither.

    Example:
        >>> complexity(FastSCNNConfig()).kernel_weights
        1114096
    """
    config = config_of(config)
    blocks = _ShapeBlocks(config.padded_size)
    fast_scnn_outputs(blocks, _Map((*config.input_size, 3)), config)
    return Complexity(tuple(blocks.layers))


@dataclasses.dataclass(frozen=True)
class _Map:
    """A feature map: its shape, the input pixels between two cells, and what a cell depends on."""

    shape: Shape
    step: tuple[float, float] = (1.0, 1.0)
    field: tuple[float, float] = (1.0, 1.0)


class _ShapeBlocks:
    """Blocks on `_Map`s."""

    def __init__(self, whole: Size) -> None:
        self.whole = whole
        self.layers: list[LayerCost] = []

    def conv(self, x: _Map, conv: Conv) -> _Map:
        kernel = (conv.kernel, conv.kernel, x.shape[2], conv.filters)
        return self._convolution(x, conv, kernel, conv.filters, conv.kernel - 1)

    def depthwise(self, x: _Map, conv: Depthwise) -> _Map:
        channels = x.shape[2]
        return self._convolution(x, conv, (3, 3, channels, 1), channels, 2 * conv.dilation)

    def _convolution(
        self, x: _Map, conv: Conv | Depthwise, kernel: tuple[int, ...], filters: int, reach: int
    ) -> _Map:
        height, width = _strided(x.shape, conv.stride, conv.padding)
        y = _Map(
            (height, width, filters),
            (x.step[0] * conv.stride, x.step[1] * conv.stride),
            (x.field[0] + reach * x.step[0], x.field[1] + reach * x.step[1]),
        )
        return self._note(y, conv.name, kernel, filters * conv.bias, 4 * filters * conv.norm)

    def _note(
        self,
        y: _Map,
        name: str,
        kernel: tuple[int, ...] = (),
        bias_weights: int = 0,
        norm_weights: int = 0,
    ) -> _Map:
        macs = math.prod(kernel) * math.prod(y.shape[:2]) if kernel else 0
        height, width = (min(round(f), side) for f, side in zip(y.field, self.whole, strict=True))
        self.layers.append(
            LayerCost(name, y.shape, kernel, bias_weights, norm_weights, macs, (height, width))
        )
        return y

    def add(self, x: _Map, y: _Map, add: Add) -> _Map:
        field = max(x.field[0], y.field[0]), max(x.field[1], y.field[1])
        norm_weights = 4 * x.shape[2] * add.norm
        return self._note(_Map(x.shape, x.step, field), add.name, norm_weights=norm_weights)

    def concat(self, xs: list[_Map], *, name: str) -> _Map:
        field = max(x.field[0] for x in xs), max(x.field[1] for x in xs)
        shape = (*xs[0].shape[:2], sum(x.shape[2] for x in xs))
        return self._note(_Map(shape, xs[0].step, field), name)

    def pool(self, x: _Map, windows: Windows, *, name: str) -> _Map:
        high, wide = map(len, windows)
        step = x.step[0] * x.shape[0] / high, x.step[1] * x.shape[1] / wide
        sides = [max(b - a for a, b in spans) for spans in windows]
        rows, columns = (f + (w - 1) * s for f, w, s in zip(x.field, sides, x.step, strict=True))
        return self._note(_Map((high, wide, x.shape[2]), step, (rows, columns)), name)

    def resize(self, x: _Map, size: Size, *, name: str, sampling: str = HALF_PIXEL) -> _Map:
        step = x.step[0] * x.shape[0] / size[0], x.step[1] * x.shape[1] / size[1]
        # Bilinear interpolation reads two neighbours, where there are two.
        linear = sampling != NEAREST
        two = [s if n > 1 and linear else 0 for s, n in zip(x.step, x.shape[:2], strict=True)]
        field = x.field[0] + two[0], x.field[1] + two[1]
        return self._note(_Map((*size, x.shape[2]), step, field), name)

    def pad(self, x: _Map, size: Size, *, name: str) -> _Map:
        return self._note(_Map((*size, x.shape[2]), x.step, x.field), name)

    def _same(self, x: _Map, *args: Any, **options: Any) -> _Map:
        return x

    relu = dropout = _same

    def size(self, x: _Map) -> Size:
        return x.shape[0], x.shape[1]

    def channels(self, x: _Map) -> int:
        return x.shape[2]


def _strided(x: Shape, stride: int, padding: str) -> Size:
    """Size after a 3x3 convolution (or one of stride 1)."""
    if padding == "valid":
        return (x[0] - 3) // stride + 1, (x[1] - 3) // stride + 1
    return -(-x[0] // stride), -(-x[1] // stride)


def weights_room(config: FastSCNNConfig, extra: int = 0) -> int:
    """Bytes that a file may need for a network's weights; what holds more is none of ours.

    Args:
        config: the network; its input size plays no part.
        extra: weights that it does not tell of.

    Returns:
        Room for the weights and seven arrays of their shape: AdamW keeps two, averaging and
        accumulated gradients one each. One network takes 5 MB, and the largest that there can be
        (512 channels, 16 bottlenecks in each group) 930.
    """
    layers = complexity(config.replace(input_size=(32, 32), pad=False)).layers
    return ROOM + COPIES * 4 * (extra + sum(layer.parameters for layer in layers))
