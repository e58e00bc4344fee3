"""The tf_keras layers and TFMOT quantizers of a quantization-aware network.

In training the wrapper fake-quantizes, as TFMOT does; in inference it computes the device's
integers (`integer`). TFMOT's defaults would start every activation range at +-6 and move it by
0.1 % per step, and would quantize depthwise kernels along the wrong axis; these start from
calibrated ranges, follow with an EMA of 0.99 and give every depthwise channel its own scale. The
quantizers have the methods that TFMOT's wrapper calls; it asks for no base class.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..core.keras_api import of_keras, tensorflow, tfmot
from .calibrate import DEAD
from .integer import Limits, OnGrid, grid_of

EMA_DECAY = 0.99
START = 6.0  # TFMOT's own starting range, kept to detect ranges that were never set
Exact = Callable[..., Any]  # (inputs, own grid[, (kernel, bias)]) -> output on the grid


class QuantizeWrapper:
    """TFMOT's wrapper in training; the device's integers in inference.

    While Keras strings the layers together, for which it wants shapes and calls each of them, the
    plain layer stands in: `exact` comes afterwards.
    """

    exact: Exact | None = None
    limits: Limits
    layer: Any
    _weight_vars: list[Any]

    def call(self, inputs, training=None, **kwargs):
        if training:
            return super().call(inputs, training=True, **kwargs)
        if self.exact is None:
            return self.layer.call(inputs)
        weights = [entry[0] for entry in self._weight_vars]
        own = grid_of(self.limits)
        outputs = self.exact(inputs, own, *([weights] if weights else []))
        outputs.grid = own
        return outputs


def on_grid(x: Any, limits: Limits) -> OnGrid:
    """A tensor on its grid: what its wrapper made, or from its range behind any other layer."""
    return OnGrid(x, getattr(x, "grid", None) or grid_of(limits))


def wrapper(*arguments: Any, **options: Any) -> Any:
    """A `QuantizeWrapper`."""
    base = tfmot().quantization.keras.QuantizeWrapperV2
    return of_keras(QuantizeWrapper, base)(*arguments, **options)


class ActivationRange:
    """An activation's range: variables `min_var`, `max_var`; follows the data in training.

    Args:
        decay: variable with the decay of the moving average; 1 holds the range to the bit.
            None: it never moves. The input's does not: its grid must stay that of raw bytes.
        variables: the variables to use, where another layer made them, or where the tensor shares
            the range of another one (see `model.ranges`).
    """

    def __init__(self, decay: Any = None, variables: dict[str, Any] | None = None):
        self.decay, self.variables = decay, variables

    def build(self, tensor_shape, name, layer):
        if self.variables is None:
            low, high = (
                layer.add_weight(
                    name=f"{name}_{end}",
                    initializer=tensorflow().constant_initializer(start),
                    trainable=False,
                    shape=(),
                )
                for end, start in (("min", -START), ("max", START))
            )
            self.variables = {"min_var": low, "max_var": high}
        return self.variables

    def limits(self):
        """The range as it is now."""
        return self.variables["min_var"], self.variables["max_var"]

    def __call__(self, inputs, training, weights, **kwargs):
        low, high = self.limits()
        if training and self.decay is not None:
            low, high = self._follow(inputs, low, high)
        return tensorflow().quantization.fake_quant_with_min_max_vars(inputs, low, high)

    def _follow(self, inputs, low, high):
        """The range moved towards the mean over the images of their extremes.

        That is what calibration sets. TFMOT's own average follows the batch's extremes: on CamVid,
        in batches of 12, it leaves ranges a quarter wider (the median of the tensors) after 5
        epochs, and the wider the larger the batch.
        """
        tf = tensorflow()
        axes = tuple(range(1, inputs.shape.rank))
        least = tf.minimum(tf.reduce_mean(tf.reduce_min(inputs, axes)), 0.0)
        greatest = tf.maximum(tf.reduce_mean(tf.reduce_max(inputs, axes)), 0.0)
        decay = tf.where(greatest - least < DEAD, 1.0, self.decay)
        move = functools.partial(tf.__internal__.train.assign_moving_average, zero_debias=False)
        return move(low, least, decay), move(high, greatest, decay)


class PartOfRange(ActivationRange):
    """The range of the concatenation that the tensor is part of: its steps, without its ends.

    The concatenation clips. If its parts were clipped before, it could not tell how far they go,
    and its range could only shrink.
    """

    def __call__(self, inputs, training, weights, **kwargs):
        low, high = self.limits()
        return _rounded(inputs, (high - low) / 255.0)


class RectifiedRange(ActivationRange):
    """The range of a tensor clamped at 0, at its own step or half of it."""

    def limits(self):
        """The range as it is now."""
        tf, (low, high) = tensorflow(), super().limits()
        span = high - low
        return tf.zeros(()), tf.where(2 * high > span, span, span / 2)


class KernelPerChannel:
    """Symmetric int8 kernel with one scale per output channel, from its current values.

    Args:
        depthwise: the kernel is (kh, kw, channels, 1) rather than (kh, kw, in, out).
    """

    def __init__(self, depthwise: bool):
        self.depthwise = depthwise

    def build(self, tensor_shape, name, layer):
        return {}

    def __call__(self, inputs, training, weights, **kwargs):
        tf = tensorflow()
        x = tf.transpose(inputs, (0, 1, 3, 2)) if self.depthwise else inputs
        limit = tf.stop_gradient(tf.maximum(tf.reduce_max(tf.abs(x), (0, 1, 2)), 1e-12))
        x = tf.quantization.fake_quant_with_min_max_vars_per_channel(
            x, -limit, limit, narrow_range=True
        )
        return tf.transpose(x, (0, 1, 3, 2)) if self.depthwise else x


class BiasOnGrid(KernelPerChannel):
    """A bias rounded as the int8 graph stores it: int32 in steps of input x kernel scale.

    Args:
        source: gives the input's range.
        kernel: the kernel's variable.
        depthwise: see `KernelPerChannel`.
    """

    def __init__(self, source: Limits, kernel: Any, depthwise: bool):
        super().__init__(depthwise)
        self.source, self.kernel = source, kernel

    def __call__(self, inputs, training, weights, **kwargs):
        tf, (low, high) = tensorflow(), self.source()
        step = (high - low) / 255.0
        axes = (0, 1, 3) if self.depthwise else (0, 1, 2)
        step = step * tf.maximum(tf.reduce_max(tf.abs(self.kernel), axes), 1e-12) / 127.0
        return _rounded(inputs, step)


class LayerQuantization:
    """Which kernel and which output of a layer are quantized, and how: TFMOT's `QuantizeConfig`.

    Args:
        output: quantizer of the layer's output.
        kernel: attribute of the kernel, or None.
        depthwise: see `KernelPerChannel`.
        source: gives the range of the layer's input, for the bias.
    """

    def __init__(
        self,
        output: Any,
        kernel: str | None = None,
        depthwise: bool = False,
        source: Limits | None = None,
    ):
        self.output, self.kernel, self.depthwise, self.source = output, kernel, depthwise, source

    def get_weights_and_quantizers(self, layer):
        if not self.kernel:
            return []
        kernel = getattr(layer, self.kernel)
        return [
            (kernel, KernelPerChannel(self.depthwise)),
            (layer.bias, BiasOnGrid(self.source, kernel, self.depthwise)),
        ]

    def get_activations_and_quantizers(self, layer):
        return []

    def set_quantize_weights(self, layer, quantize_weights):
        if self.kernel:
            setattr(layer, self.kernel, quantize_weights[0])
            layer.bias = quantize_weights[1]

    def set_quantize_activations(self, layer, quantize_activations):
        pass

    def get_output_quantizers(self, layer):
        return [self.output]

    def get_config(self):
        return {"kernel": self.kernel, "depthwise": self.depthwise}


def _rounded(x: Any, step: Any) -> Any:
    """The nearest steps, with the gradient of `x`."""
    tf = tensorflow()
    return x + tf.stop_gradient(tf.round(x / step) * step - x)
