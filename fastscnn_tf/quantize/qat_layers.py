"""The tf_keras layers of a quantization-aware network that Keras and TFMOT do not have.

In training the wrapper fake-quantizes, as TFMOT does; in inference it computes the device's
integers (`integer`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.config import FastSCNNConfig
from ..keras_api import of_keras, tensorflow, tf_keras, tfmot
from ..model.tf_blocks import framed, image_bytes
from ..model.windows import Pads
from .integer import Limits

Exact = Callable[..., Any]  # (inputs, own range[, (kernel, bias)]) -> output on the grid


class QuantizeWrapper:
    """TFMOT's wrapper in training; the device's integers in inference."""

    exact: Exact
    limits: Limits
    _weight_vars: list[Any]

    def call(self, inputs, training=None, **kwargs):
        if training:
            return super().call(inputs, training=True, **kwargs)
        weights = [entry[0] for entry in self._weight_vars]
        return self.exact(inputs, self.limits, *([weights] if weights else []))


class ImageBytes:
    """Normalised images on the scale of raw bytes (see `model.byte_input`)."""

    def __init__(self, config: FastSCNNConfig, **kwargs):
        super().__init__(**kwargs)
        self.config = config

    def call(self, inputs):
        return image_bytes(inputs, self.config)


class Frame:
    """Rows and columns of one colour around an image."""

    def __init__(self, pads: Pads, colour: np.ndarray, **kwargs):
        super().__init__(**kwargs)
        self.pads, self.colour = pads, colour

    def call(self, inputs):
        return framed(inputs, self.pads, self.colour)


class AddReLU:
    """Sum of two tensors, clamped at 0 where asked: one ADD in the int8 graph."""

    def __init__(self, relu: bool, **kwargs):
        super().__init__(**kwargs)
        self.relu = relu

    def call(self, inputs):
        total = super().call(inputs)
        return tensorflow().nn.relu(total) if self.relu else total


def wrapper(*arguments: Any, **options: Any) -> Any:
    """A `QuantizeWrapper`."""
    base = tfmot().quantization.keras.QuantizeWrapperV2
    return of_keras(QuantizeWrapper, base)(*arguments, **options)


def layer_of(own: type, base: str = "Layer") -> Any:
    """A class of above as a layer of tf_keras."""
    return of_keras(own, getattr(tf_keras().layers, base))
