"""The topology's blocks as layers of Keras 3 or tf_keras, for training."""

from __future__ import annotations

from typing import Any

from ..core.config import FastSCNNConfig
from ..core.sizes import Size
from .layers import layers_for


class KerasBlocks:
    """Convolutions without bias, each with batch normalisation; every layer named.

    Args:
        keras: the Keras namespace.
        config: regularisation and batch normalisation settings.
    """

    def __init__(self, keras: Any, config: FastSCNNConfig):
        self.layers, self.own, self.config = keras.layers, layers_for(keras), config
        # Half of l2: the paper's framework defines the L2 loss as sum(w ** 2) / 2.
        self.l2 = keras.regularizers.L2(config.l2 / 2) if config.l2 else None

    def conv(self, x, filters, kernel, *, name, stride=1, relu=True, bias=False):
        layer = self.layers.Conv2D(
            filters,
            kernel,
            strides=stride,
            padding="same",
            use_bias=bias,
            kernel_initializer="he_normal",
            kernel_regularizer=self.l2,
            name=name,
        )
        x = layer(x)
        return x if bias else self._normalise(x, relu, name)

    def depthwise(self, x, *, name, stride=1, dilation=1, relu=False):
        layer = self.layers.DepthwiseConv2D(
            3,
            strides=stride,
            dilation_rate=dilation,
            padding="same",
            use_bias=False,
            depthwise_initializer="he_normal",
            name=name,
        )
        return self._normalise(layer(x), relu, name)

    def _normalise(self, x, relu: bool, name: str):
        x = self.own.BatchNormalization(
            momentum=self.config.bn_momentum,
            epsilon=self.config.bn_epsilon,
            name=f"{name}.bn",
        )(x)
        return self.layers.ReLU(name=f"{name}.relu")(x) if relu else x

    def add(self, x, y, *, name, relu=False):
        x = self.layers.Add(name=name)([x, y])
        return self.layers.ReLU(name=f"{name}.relu")(x) if relu else x

    def concat(self, xs, *, name):
        return self.layers.Concatenate(name=name)(xs)

    def pool(self, x, bins, *, name):
        if bins == 1:
            return self.own.AdaptivePooling(1, name=name)(x)
        x = self.own.AdaptivePooling(bins, axis=1, name=f"{name}.rows")(x)
        return self.own.AdaptivePooling(bins, axis=2, name=name)(x)

    def resize(self, x, size: Size, *, name):
        return self.own.ResizeBilinear(size, name=name)(x)

    def relu(self, x, *, name):
        return self.layers.ReLU(name=name)(x)

    def dropout(self, x, rate, *, name):
        return self.layers.Dropout(rate, name=name)(x)

    def size(self, x) -> Size:
        return int(x.shape[1]), int(x.shape[2])

    def channels(self, x) -> int:
        return int(x.shape[3])
