"""The topology's blocks as tf_keras layers inside TFMOT's quantization wrappers.

In training a wrapper fake-quantizes, as TFMOT does; in inference it computes the device's
integers (`integer`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..core.sizes import Size
from ..keras_api import tensorflow, tf_keras, tfmot
from ..model.folded import is_depthwise
from ..model.layers import layers_for
from ..model.ranges import CONCAT, CONCATENATED, INPUT, RECTIFIED, range_owner
from . import integer
from .integer import Variables, grid_of
from .quantizers import quantizers

Exact = Callable[..., Any]  # (inputs, own range[, (kernel, bias)]) -> output on the grid


class QATBlocks:
    """Folded layers (bias, no batch normalisation); every tensor of the int8 graph has a range.

    Attributes:
        ranges: owner of a range -> its `min_var` and `max_var`.
        weights: layer -> variables of its kernel and bias.
    """

    def __init__(self) -> None:
        self.keras, self.own, self.types = tf_keras().layers, layers_for(tf_keras()), quantizers()
        self.ranges: dict[str, Variables] = {}
        self.weights: dict[str, tuple[Any, Any]] = {}
        self._range_of: dict[int, Variables] = {}
        self._tensors: list[Any] = []

    def _wrap(
        self,
        layer: Any,
        x: Any,
        exact: Exact,
        kernel: str | None = None,
        quantizer: Any = None,
    ) -> Any:
        """One wrapped layer; `exact` is what it computes in inference."""
        name, types = layer.name, self.types
        owner = self.ranges.get(range_owner(name))
        if quantizer is None and owner is not None:
            quantizer = types.SharedRange(owner)
        wrapper = _wrapper_class()(
            layer,
            types.LayerQuantization(
                quantizer or types.ActivationRange(),
                kernel,
                is_depthwise(name),
                self.variables_of(x) if kernel else None,
            ),
            name=f"quant_{name}",
        )
        wrapper.exact = exact
        y = wrapper(x)
        variables = wrapper._output_quantizer_vars
        if name != RECTIFIED:
            self.ranges[range_owner(name)] = variables
        if kernel:
            # The wrapper replaces the attributes by quantized tensors and keeps the variables.
            kernel_variable, bias = (entry[0] for entry in wrapper._weight_vars)
            self.weights[name] = (kernel_variable, bias)
        self._range_of[id(y)] = variables
        self._tensors.append(y)  # ids stay unique while the tensors live
        return y

    def logits_step(self) -> float:
        """The real value of one integer step of the logits."""
        variables = self.ranges["classifier.logits"]
        return (float(variables["max_var"]) - float(variables["min_var"])) / 255.0

    def variables_of(self, x: Any) -> Variables:
        """The range of a tensor."""
        return self._range_of[id(x)]

    def input(self, x):
        layer = self.keras.Activation("linear", name=INPUT)
        return self._wrap(
            layer,
            x,
            lambda x, own: integer.quantize(x, grid_of(own)),
            quantizer=self.types.ActivationRange(moving=False),
        )

    def conv(self, x, filters, kernel, *, name, stride=1, relu=True, bias=False):
        layer = self.keras.Conv2D(
            filters,
            kernel,
            strides=stride,
            padding="same",
            activation="relu" if relu else None,
            name=name,
        )
        run = functools.partial(tensorflow().nn.conv2d, strides=stride, padding="SAME")
        return self._weighted(layer, x, "kernel", run, relu)

    def depthwise(self, x, *, name, stride=1, dilation=1, relu=False):
        layer = self.keras.DepthwiseConv2D(
            3,
            strides=stride,
            padding="same",
            activation="relu" if relu else None,
            name=name,
        )
        run = functools.partial(
            tensorflow().nn.depthwise_conv2d, strides=[1, stride, stride, 1], padding="SAME"
        )
        return self._weighted(layer, x, "depthwise_kernel", run, relu)

    def _weighted(self, layer, x, kernel: str, run, relu: bool):
        source, name = self.variables_of(x), layer.name

        def exact(x, own, weights):
            return integer.convolution(
                x,
                *map(tensorflow().convert_to_tensor, weights),
                run,
                grid_of(source),
                grid_of(own),
                is_depthwise(name),
                relu,
            )

        return self._wrap(layer, x, exact, kernel)

    def add(self, x, y, *, name, relu=False):
        sources = self.variables_of(x), self.variables_of(y)
        layer = _add_relu_class()(relu, name=name)

        def exact(inputs, own):
            first, second = map(grid_of, sources)
            return integer.addition(*inputs, first, second, grid_of(own), relu)

        # The concatenation's range begins here and is moved by the concatenation.
        quantizer = self.types.ActivationRange(moving=False) if name == CONCATENATED else None
        return self._wrap(layer, [x, y], exact, quantizer=quantizer)

    def concat(self, xs, *, name):
        quantizer = self.types.ActivationRange(variables=self.ranges[CONCAT])
        layer = self.keras.Concatenate(name=name)
        return self._wrap(layer, xs, lambda xs, own: layer.call(xs), quantizer=quantizer)

    def pool(self, x, bins, *, name):
        if bins == 1:
            return self._means(x, self.own.AdaptivePooling(1, name=name))
        x = self._means(x, self.own.AdaptivePooling(bins, axis=1, name=f"{name}.rows"))
        return self._means(x, self.own.AdaptivePooling(bins, axis=2, name=name))

    def _means(self, x, layer):
        source = self.variables_of(x)

        def exact(x, own):
            return integer.means(x, layer.call, grid_of(source), grid_of(own))

        return self._wrap(layer, x, exact)

    def resize(self, x, size: Size, *, name):
        layer = self.own.ResizeBilinear(size, name=name)
        return self._wrap(layer, x, lambda x, own: integer.resize(x, size, grid_of(own)))

    def upsample(self, logits, size: Size):
        """Full-resolution logits, not rounded: what the runtime makes of a `logits` file."""
        return self.own.ResizeBilinear(size, name="logits")(logits)

    def upsample_rounded(self, logits, size: Size):
        """What the resize inside a `logits-full` or `labels` file makes of a logits tensor."""
        return integer.resize(logits, size, grid_of(self.ranges["classifier.logits"]))

    def relu(self, x, *, name):
        source = self.variables_of(x)
        quantizer = self.types.RectifiedRange(source)

        def exact(x, own):
            return integer.rectify(x, grid_of(source), integer.grid(*quantizer.limits()))

        return self._wrap(self.keras.ReLU(name=name), x, exact, quantizer=quantizer)

    def dropout(self, x, rate, *, name):
        return x

    def size(self, x) -> Size:
        return int(x.shape[1]), int(x.shape[2])

    def channels(self, x) -> int:
        return int(x.shape[3])


@functools.cache
def _wrapper_class() -> Any:
    base: Any = tfmot().quantization.keras.QuantizeWrapperV2

    class QuantizeWrapper(base):
        """TFMOT's wrapper in training; the device's integers in inference."""

        exact: Exact

        def call(self, inputs, training=None, **kwargs):
            if training:
                return super().call(inputs, training=True, **kwargs)
            weights = [entry[0] for entry in self._weight_vars]
            return self.exact(inputs, self._output_quantizer_vars, *([weights] if weights else []))

    return QuantizeWrapper


@functools.cache
def _add_relu_class() -> Any:
    keras: Any = tf_keras()

    class AddReLU(keras.layers.Add):
        """Sum of two tensors, clamped at 0 where asked: one ADD in the int8 graph."""

        def __init__(self, relu: bool, **kwargs):
            super().__init__(**kwargs)
            self.relu = relu

        def call(self, inputs):
            total = super().call(inputs)
            return tensorflow().nn.relu(total) if self.relu else total

    return AddReLU
