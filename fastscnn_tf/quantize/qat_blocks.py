"""The topology's blocks as tf_keras layers inside TFMOT's quantization wrappers (`qat_layers`)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.config import FastSCNNConfig
from ..core.images.interpolation import HALF_PIXEL
from ..core.keras_api import KerasLayer, Tensor, Variable, tensorflow, tf_keras
from ..core.sizes import Size
from ..model.byte_input import border_colour
from ..model.common_blocks import CommonBlocks
from ..model.fast_scnn import full_resolution
from ..model.folded import is_depthwise
from ..model.keras_blocks import KerasBlocks
from ..model.layers import layers_for
from ..model.ranges import CONCAT, INPUT, LOGITS, RECTIFIED, sharing
from ..model.tf_blocks import convolve, framed, image_bytes
from ..model.topology import Add, Conv, Depthwise
from ..model.windows import Pads, Spans
from . import integer
from .integer import Grid, Limits, OnGrid
from .qat_layers import (
    EMA_DECAY,
    ActivationRange,
    Exact,
    LayerQuantization,
    PartOfRange,
    RectifiedRange,
    on_grid,
    wrapper,
)


class QATBlocks(CommonBlocks):
    """Folded layers (bias, no batch normalisation); every tensor of the int8 graph has a range.

    Args:
        config: the network.

    Attributes:
        ranges: owner of a range -> its `min_var` and `max_var`.
        weights: layer -> variables of its kernel and bias.
        decay: of the ranges' moving averages in training; see `freeze`.
    """

    def __init__(self, config: FastSCNNConfig) -> None:
        self.keras, self.own = tf_keras().layers, layers_for(tf_keras())
        self.config, self.sharing = config, sharing(config)
        self.border = border_colour(config)
        self.ranges: dict[str, dict[str, Variable]] = {}
        self.weights: dict[str, tuple[Variable, Variable]] = {}
        self.decay = tensorflow().Variable(EMA_DECAY, trainable=False, name="range_decay")
        self._limits_of: dict[int, Limits] = {}
        self._tensors: list[Tensor] = []

    @property
    def frozen(self) -> bool:
        """Whether the ranges stay as they are in training."""
        return float(self.decay) == 1.0

    def freeze(self, frozen: bool) -> None:
        """Holds every range in training, or lets it follow again.

        A variable rather than a flag of Python: the step that TensorFlow has traced reads it.
        """
        self.decay.assign(1.0 if frozen else EMA_DECAY)

    def _wrap(
        self,
        layer: KerasLayer,
        x: Tensor | list[Tensor],
        exact: Exact,
        kernel: str | None = None,
        quantizer: Any = None,
    ) -> Tensor:
        """One wrapped layer; `exact` is what it computes in inference."""
        name = layer.name
        quantizer = quantizer or self._quantizer(name)
        source = self.limits_of(x) if kernel else None
        config = LayerQuantization(quantizer, kernel, is_depthwise(name), source)
        wrapped = wrapper(layer, config, name=f"quant_{name}")
        y = wrapped(x)
        wrapped.exact, wrapped.limits = exact, quantizer.limits
        variables = wrapped._output_quantizer_vars
        if name != RECTIFIED:
            self.ranges[self.sharing.owner(name)] = variables
        if kernel:
            # The wrapper replaces the attributes by quantized tensors and keeps the variables.
            kernel_variable, bias = (entry[0] for entry in wrapped._weight_vars)
            self.weights[name] = (kernel_variable, bias)
        return self._on_grid(y, quantizer.limits)

    def _quantizer(self, name: str) -> Any:
        """What quantizes the output of a layer in training."""
        key = self.sharing.owner(name)
        if key == CONCAT:  # the first part makes the variables, the concatenation moves them
            return PartOfRange(variables=self.ranges.get(key))
        if key in self.ranges:
            return ActivationRange(variables=self.ranges[key])
        return ActivationRange(self.decay)

    def _on_grid(self, y: Tensor, limits: Limits) -> Tensor:
        """Remembers the range of a tensor."""
        self._limits_of[id(y)] = limits
        self._tensors.append(y)  # ids stay unique while the tensors live
        return y

    def logits_step(self) -> float:
        """The real value of one integer step of the logits."""
        variables = self.ranges[LOGITS]
        return (float(variables["max_var"]) - float(variables["min_var"])) / 255.0

    def limits_of(self, x: Tensor) -> Limits:
        """The range of a tensor."""
        return self._limits_of[id(x)]

    def input(self, x: Tensor) -> Tensor:
        """Normalised images as the int8 graph sees them: on the grid of raw bytes."""

        def exact(x: Tensor, own: Grid) -> Tensor:
            return integer.quantize(image_bytes(x, self.config), own)

        layer = self.keras.Lambda(lambda x: image_bytes(x, self.config), name=INPUT)
        return self._wrap(layer, x, exact, quantizer=ActivationRange())

    def conv(self, x: Tensor, conv: Conv) -> Tensor:
        make = functools.partial(self.keras.Conv2D, conv.filters, conv.kernel)
        return self._weighted(make, x, conv, "kernel")

    def depthwise(self, x: Tensor, conv: Depthwise) -> Tensor:
        make = functools.partial(self.keras.DepthwiseConv2D, 3, dilation_rate=conv.dilation)
        return self._weighted(make, x, conv, "depthwise_kernel")

    def _framed(self, x: Tensor, colour: np.ndarray, pads: Pads, name: str) -> Tensor:
        """The mean colour around the image, on its grid."""
        layer = self.keras.Lambda(lambda x: framed(x, pads, colour), name=name)
        return self._on_grid(layer(x), self.limits_of(x))

    def _zeros(self, x: Tensor, pads: Pads, name: str) -> Tensor:
        """Zero lies on every grid."""
        return self._on_grid(self.keras.ZeroPadding2D(pads, name=name)(x), self.limits_of(x))

    def _weighted(
        self, make: Callable[..., KerasLayer], x: Tensor, conv: Conv | Depthwise, kernel: str
    ) -> Tensor:
        x, padding = self._padded(x, conv)
        layer = make(
            strides=conv.stride,
            padding=padding,
            activation="relu" if conv.relu else None,
            name=conv.name,
        )
        run = functools.partial(convolve, conv=conv, padding=padding)
        source, depthwise = self.limits_of(x), is_depthwise(conv.name)

        def exact(x: Tensor, own: Grid, weights: tuple[Tensor, Tensor]) -> Tensor:
            kernel, bias = map(tensorflow().convert_to_tensor, weights)
            at = on_grid(x, source)
            return integer.convolution(at, kernel, bias, run, own, depthwise, conv.relu)

        return self._wrap(layer, x, exact, kernel)

    def add(self, x: Tensor, y: Tensor, add: Add) -> Tensor:
        sources = self.limits_of(x), self.limits_of(y)

        def total(inputs: tuple[Tensor, Tensor]) -> Tensor:
            z = inputs[0] + inputs[1]
            return tensorflow().nn.relu(z) if add.relu else z

        def exact(inputs: tuple[Tensor, Tensor], own: Grid) -> Tensor:
            x, y = map(on_grid, inputs, sources)
            return integer.addition(x, y, own, add.relu)

        return self._wrap(self.keras.Lambda(total, name=add.name), [x, y], exact)

    def concat(self, xs, *, name):
        quantizer = ActivationRange(self.decay, self.ranges[CONCAT])
        layer = self.keras.Concatenate(name=name)
        return self._wrap(layer, xs, lambda xs, own: layer.call(xs), quantizer=quantizer)

    def _means(self, x: Tensor, spans: Spans | None, axis: int, name: str) -> Tensor:
        layer, source = self.own.WindowMeans(spans, axis=axis, name=name), self.limits_of(x)

        def exact(x: Tensor, own: Grid) -> Tensor:
            return integer.means(layer.call, on_grid(x, source), own)

        return self._wrap(layer, x, exact)

    def resize(self, x: Tensor, size: Size, *, name: str, sampling: str = HALF_PIXEL) -> Tensor:
        layer = self.own.Resize(size, sampling, name=name)
        return self._wrap(layer, x, lambda x, own: integer.resize(OnGrid(x, own), size, sampling))

    def upsample(self, logits: Tensor) -> Tensor:
        """Full-resolution logits, not rounded: what the runtime makes of a `logits` file."""
        blocks = KerasBlocks(tf_keras(), self.config)
        return full_resolution(blocks, logits, self.config)

    def upsample_rounded(self, logits: Tensor) -> Tensor:
        """What the resize inside a `logits-full` or `labels` file makes of a logits tensor."""
        sampling, (height, width) = self.config.sampling("logits"), self.config.input_size
        variables = self.ranges[LOGITS]
        both = OnGrid(logits, integer.grid(variables["min_var"], variables["max_var"]))
        return integer.resize(both, self.config.padded_size, sampling)[:, :height, :width]

    def relu(self, x: Tensor, *, name: str) -> Tensor:
        source, owner = self.limits_of(x), self.ranges[self.sharing.owner(name)]
        quantizer = RectifiedRange(variables=owner)

        def exact(x: Tensor, own: Grid) -> Tensor:
            return integer.rectify(on_grid(x, source), own)

        return self._wrap(self.keras.ReLU(name=name), x, exact, quantizer=quantizer)
