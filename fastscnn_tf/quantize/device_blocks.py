"""The topology's blocks as the int8 device computes them, where any layer may stay in float.

The integers are those of `integer`, as in the quantization-aware Keras model; here they come from
a folded network's constants, layer by layer and without Keras, so that a layer can be looked at
and exchanged.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core.images.interpolation import HALF_PIXEL
from ..core.keras_api import Tensor, tensorflow
from ..core.sizes import Size
from ..model.byte_input import border_colour, byte_range
from ..model.common_blocks import CommonBlocks
from ..model.folded import FoldedNetwork, Weights, is_depthwise, on_bytes
from ..model.layers import resized
from ..model.ranges import sharing
from ..model.tf_blocks import convolve, framed, image_bytes, quantized_kernel, window_means
from ..model.topology import Add, Conv, Depthwise, fast_scnn_outputs
from ..model.windows import Pads, Spans
from . import integer
from .integer import Grid, OnGrid


class Signal(NamedTuple):
    """A tensor on its way through the network.

    Attributes:
        x: real values, (B, H, W, C) float32.
        grid: the int8 grid they lie on; None for a float tensor.
        changed: whether it may differ from the same tensor of the run that is known.
    """

    x: Tensor
    grid: Grid | None
    changed: bool = True

    @property
    def shape(self) -> Sequence[int]:
        """(B, H, W, C)."""
        return self.x.shape


class BlockLayer(NamedTuple):
    """What a block does.

    Attributes:
        name: as in the topology.
        kind: `conv`, `depthwise`, `add`, `concat`, `pool`, `resize` or `relu`.
        real: (inputs..., kernel, bias) -> output, in float32; without weights (inputs...).
        integers: (inputs on their grids..., output's grid) -> output on that grid.
        weights: kernel and bias in float32.
    """

    name: str
    kind: str
    real: Callable[..., Tensor]
    integers: Callable[..., Tensor]
    weights: Weights | tuple[()] = ()


class DeviceBlocks(CommonBlocks):
    """Blocks on signals.

    Args:
        network: weights and ranges.
        floats: layers that stay in float: weights, arithmetic and output are not rounded. Those
            behind take the float tensor with quantized weights and round what comes out.
        known: signals of an earlier run on the same images with no layer in float: what does not
            depend on `floats` is taken from there.

    Attributes:
        signals: layer -> its output, once `run` has been called.
        layers: layer -> what it does.
    """

    def __init__(
        self,
        network: FoldedNetwork,
        floats: Collection[str] = (),
        known: Mapping[str, Signal] | None = None,
    ) -> None:
        self.tf, self.network = tensorflow(), on_bytes(network)
        self.floats, self.known = floats, known or {}
        self.sharing, self.border = sharing(network.config), border_colour(network.config)
        self.signals: dict[str, Signal] = {}
        self.layers: dict[str, BlockLayer] = {}

    def run(self, images: Tensor) -> Signal:
        """Logits at 1/8 of normalised images (B, H, W, 3) float32, which become bytes."""
        config = self.network.config
        grid, images = _grid(byte_range(config)), self.tf.convert_to_tensor(images, "float32")
        image = Signal(integer.quantize(image_bytes(images, config), grid), grid, False)
        return fast_scnn_outputs(self, image, config)["logits"]

    def grid_of(self, name: str) -> Grid:
        """The grid of a layer's output."""
        return _grid(self.sharing.range(self.network.ranges, name))

    def compute(self, layer: BlockLayer, inputs: tuple[Signal, ...]) -> Signal:
        """The output of one layer."""
        values = [signal.x for signal in inputs]
        if layer.name in self.floats:
            return Signal(layer.real(*values, *layer.weights), None)
        grid = self.grid_of(layer.name)
        integers = [OnGrid(s.x, s.grid) for s in inputs if s.grid is not None]
        if len(integers) == len(inputs):
            return Signal(layer.integers(*integers, grid), grid)
        weights = layer.weights and (
            quantized_kernel(layer.name, layer.weights[0]),
            *layer.weights[1:],
        )
        return Signal(integer.quantize(layer.real(*values, *weights), grid), grid)

    def _layer(self, layer: BlockLayer, *inputs: Signal) -> Signal:
        known = self.known.get(layer.name)
        if known and layer.name not in self.floats and not any(s.changed for s in inputs):
            output = known._replace(changed=False)
        else:
            output = self.compute(layer, inputs)
        self.layers[layer.name], self.signals[layer.name] = layer, output
        return output

    def conv(self, x: Signal, conv: Conv) -> Signal:
        return self._weighted(x, conv, "conv")

    def depthwise(self, x: Signal, conv: Depthwise) -> Signal:
        return self._weighted(x, conv, "depthwise")

    def _weighted(self, x: Signal, conv: Conv | Depthwise, kind: str) -> Signal:
        x, padding = self._padded(x, conv)
        name, relu, weights = conv.name, conv.relu, self.network.weights[conv.name]
        run = functools.partial(convolve, conv=conv, padding=padding)

        def real(x: Tensor, kernel: np.ndarray, bias: np.ndarray) -> Tensor:
            y = run(x, kernel) + bias
            return self.tf.nn.relu(y) if relu else y

        def integers(x: OnGrid, grid: Grid) -> Tensor:
            kernel, bias = map(self.tf.constant, weights)
            return integer.convolution(x, kernel, bias, run, grid, is_depthwise(name), relu)

        return self._layer(BlockLayer(name, kind, real, integers, weights), x)

    def _zeros(self, x: Signal, pads: Pads, name: str) -> Signal:
        """Zero lies on every grid."""
        return x._replace(x=self.tf.pad(x.x, [[0, 0], *map(list, pads), [0, 0]]))

    def _framed(self, x: Signal, colour: np.ndarray, pads: Pads, name: str) -> Signal:
        return x._replace(x=framed(x.x, pads, colour))

    def add(self, x: Signal, y: Signal, add: Add) -> Signal:
        def real(x: Tensor, y: Tensor) -> Tensor:
            return self.tf.nn.relu(x + y) if add.relu else x + y

        integers = functools.partial(integer.addition, relu=add.relu)
        return self._layer(BlockLayer(add.name, "add", real, integers), x, y)

    def concat(self, xs: list[Signal], *, name: str) -> Signal:
        def real(*xs: Tensor) -> Tensor:
            return self.tf.concat(xs, -1)

        def integers(*inputs: Any) -> Tensor:
            *xs, _ = inputs
            return real(*(x.x for x in xs))

        return self._layer(BlockLayer(name, "concat", real, integers), *xs)

    def _means(self, x: Signal, spans: Spans | None, axis: int, name: str) -> Signal:
        run = functools.partial(window_means, spans=spans, axis=axis)
        integers = functools.partial(integer.means, run)
        return self._layer(BlockLayer(name, "pool", run, integers), x)

    def resize(self, x: Signal, size: Size, *, name: str, sampling: str = HALF_PIXEL) -> Signal:
        real = functools.partial(resized, size=size, sampling=sampling)

        def integers(x: OnGrid, grid: Grid) -> Tensor:
            return integer.resize(OnGrid(x.x, grid), size, sampling)

        return self._layer(BlockLayer(name, "resize", real, integers), x)

    def relu(self, x: Signal, *, name: str) -> Signal:
        return self._layer(BlockLayer(name, "relu", self.tf.nn.relu, integer.rectify), x)


class FloatBlocks(DeviceBlocks):
    """The same network with every layer in float."""

    def compute(self, layer: BlockLayer, inputs: tuple[Signal, ...]) -> Signal:
        return Signal(layer.real(*(signal.x for signal in inputs), *layer.weights), None)


class OwnErrors(DeviceBlocks):
    """Every layer on the inputs that the float network gives it, rounded to their grids.

    What a layer adds to the error, whatever the layers in front of it did. A layer's signal is
    its output in integers.

    Args:
        network: weights and ranges.
        real: the signals of `FloatBlocks` on the same images.

    Attributes:
        expected: layer -> the output of the same inputs in float.
    """

    def __init__(self, network: FoldedNetwork, real: Mapping[str, Signal]) -> None:
        super().__init__(network)
        self.real = real
        self.expected: dict[str, Tensor] = {}

    def compute(self, layer: BlockLayer, inputs: tuple[Signal, ...]) -> Signal:
        values = (signal.x for signal in inputs)
        self.expected[layer.name] = layer.real(*values, *layer.weights)
        return super().compute(layer, inputs)

    def _layer(self, layer: BlockLayer, *inputs: Signal) -> Signal:
        output = super()._layer(layer, *inputs)
        right = integer.quantize(self.real[layer.name].x, self.grid_of(layer.name))
        return output._replace(x=right)


@functools.lru_cache(maxsize=1024)  # a dozen operations; a report asks a thousand times
def _grid(limits: tuple[float, float]) -> Grid:
    low, high = (np.float32(v) for v in limits)
    return Grid(*(v.numpy() for v in integer.grid(low, high)))
