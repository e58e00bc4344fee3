"""The topology's blocks as layers of Keras 3 or tf_keras, for training."""

from __future__ import annotations

import random
from types import ModuleType

from ..core.config import FastSCNNConfig
from ..core.images.interpolation import HALF_PIXEL
from ..core.keras_api import KerasLayer, Tensor
from ..core.sizes import Size
from .common_blocks import CommonBlocks
from .layers import layers_for
from .topology import Add, Conv, Depthwise
from .windows import Pads, Spans, pads_to


def precision_of(name: str) -> str | None:
    """Logits are float32 in every precision; all else is what the global policy says."""
    return "float32" if "logits" in name else None


class KerasBlocks(CommonBlocks):
    """Convolutions with batch normalisation; every layer named.

    Args:
        keras: the Keras namespace.
        config: regularisation and batch normalisation settings.
    """

    def __init__(self, keras: ModuleType, config: FastSCNNConfig) -> None:
        self.layers, self.own, self.config = keras.layers, layers_for(keras), config
        self.backend = keras.backend.backend()
        # Half of l2: the paper's framework defines the L2 loss as sum(w ** 2) / 2.
        self.l2 = keras.regularizers.L2(config.l2 / 2) if config.l2 else None

    def conv(self, x: Tensor, conv: Conv) -> Tensor:
        x, padding = self._padded(x, conv)
        layer = self.layers.Conv2D(
            conv.filters,
            conv.kernel,
            strides=conv.stride,
            padding=padding,
            use_bias=conv.bias,
            kernel_initializer="he_normal",
            kernel_regularizer=self.l2,
            dtype=precision_of(conv.name),
            name=conv.name,
        )
        return self._finish(self.apply(layer, x), conv)

    def depthwise(self, x: Tensor, conv: Depthwise) -> Tensor:
        x, padding = self._padded(x, conv)
        layer = self.layers.DepthwiseConv2D(
            3,
            strides=conv.stride,
            dilation_rate=conv.dilation,
            padding=padding,
            use_bias=conv.bias,
            depthwise_initializer="he_normal",
            name=conv.name,
        )
        return self._finish(self.apply(layer, x), conv)

    def _zeros(self, x: Tensor, pads: Pads, name: str) -> Tensor:
        return self.layers.ZeroPadding2D(pads, name=name)(x)

    def apply(self, layer: KerasLayer, x: Tensor) -> Tensor:
        """Calls a layer with weights for the first time, which makes them.

        PyTorch refuses parameters with a dot in their name, and Keras names them after the layer:
        there the layer has another name until they are made.
        """
        if self.backend != "torch":
            return layer(x)
        name, layer.name = layer.name, layer.name.replace(".", "-")
        x = layer(x)
        layer.name = name
        return x

    def _finish(self, x: Tensor, layer: Conv | Depthwise | Add) -> Tensor:
        name, dtype = layer.name, precision_of(layer.name)
        if layer.norm:
            norm = self.own.BatchNormalization(
                momentum=self.config.bn_momentum,
                epsilon=self.config.bn_epsilon,
                dtype=dtype,
                name=f"{name}.bn",
            )
            x = self.apply(norm, x)
        return self.layers.ReLU(dtype=dtype, name=f"{name}.relu")(x) if layer.relu else x

    def add(self, x: Tensor, y: Tensor, add: Add) -> Tensor:
        return self._finish(self.layers.Add(name=add.name)([x, y]), add)

    def concat(self, xs: list[Tensor], *, name: str) -> Tensor:
        return self.layers.Concatenate(name=name)(xs)

    def _means(self, x: Tensor, spans: Spans | None, axis: int, name: str) -> Tensor:
        # In float32: the sum over a map overflows float16.
        return self.own.WindowMeans(spans, axis=axis, dtype="float32", name=name)(x)

    def resize(self, x: Tensor, size: Size, *, name: str, sampling: str = HALF_PIXEL) -> Tensor:
        return self.own.Resize(size, sampling, dtype=precision_of(name), name=name)(x)

    def crop(self, x: Tensor, size: Size, *, name: str) -> Tensor:
        """The top left `size` of a map."""
        pads = pads_to(size, self.size(x))
        return self.layers.Cropping2D(pads, dtype=precision_of(name), name=name)(x)

    def relu(self, x: Tensor, *, name: str) -> Tensor:
        return self.layers.ReLU(name=name)(x)

    def dropout(self, x: Tensor, rate: float, *, name: str) -> Tensor:
        # Without a seed PyTorch draws from one global stream, which no checkpoint holds.
        seed = random.randint(1, 10**9) if self.backend == "torch" else None
        return self.layers.Dropout(rate, seed=seed, dtype=precision_of(name), name=name)(x)
