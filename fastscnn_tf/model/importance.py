"""How much each channel of a trained network matters to the layers that read it; without data.

Batch normalisation says how a channel is distributed: its mean is beta and its standard deviation
gamma (nothing, where it never varied); a ReLU behind it leaves a rectified normal distribution.
With the weights of the layers that read the channel follows which share of the variance of their
output comes through it: its importance is the sum of these shares. What it gives on average is no
loss: it moves into the bias.

The scale alone (Liu et al., "Learning Efficient Convolutional Networks through Network Slimming",
ICCV 2017) does not compare between layers, and knows nothing of who reads a channel.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..core.config import FastSCNNConfig
from ..core.keras_api import KerasModel
from ..core.sizes import Size
from .folded import SUM_NORM, SUMMANDS, check_finite
from .topology import Add, Conv, Depthwise, fast_scnn_outputs

AUXILIARY = "aux_"  # what their heads read matters to training only
SMALL = (32, 32)  # a size for the topology: no map has values here
TINY = 1e-12


class FeatureMap(NamedTuple):
    """A feature map by its distribution.

    Attributes:
        mean, variance: of each channel, float64.
        parts: the layers that write it, several where it is concatenated.
    """

    mean: np.ndarray
    variance: np.ndarray
    parts: tuple[str, ...]


class ChannelImportance:
    """Blocks on `FeatureMap`s that note what a network's channels are worth.

    Args:
        model: a trained Keras 3 model of `fast_scnn`.
        config: its configuration.

    Attributes:
        values: layer -> its weights.
        reads: layer -> the layers that wrote its input.
        means: convolution -> mean of each channel of its input.
        scores: layer -> importance of each channel that it writes, one array for all layers whose
            outputs are added.

    Raises:
        ModelFileError: a weight is NaN or infinite.
    """

    def __init__(self, model: KerasModel, config: FastSCNNConfig) -> None:
        self.values = {layer.name: layer.get_weights() for layer in model.layers}
        for name, weights in self.values.items():
            check_finite(name.removesuffix(".bn"), *weights)
        self.epsilon = config.bn_epsilon
        self.reads: dict[str, tuple[str, ...]] = {}
        self.means: dict[str, np.ndarray] = {}
        self.scores = {"image": np.zeros(3)}
        fast_scnn_outputs(self, FeatureMap(np.zeros(3), np.ones(3), ("image",)), config)

    def conv(self, x: FeatureMap, conv: Conv) -> FeatureMap:
        kernel, *bias = (w.astype(np.float64) for w in self.values[conv.name])
        squares = np.square(kernel).sum((0, 1))
        self.reads[conv.name], self.means[conv.name] = x.parts, x.mean
        self.scores[conv.name] = np.zeros(kernel.shape[3])
        if not conv.name.startswith(AUXILIARY):
            self._note(x, conv, squares)
        mean = x.mean @ kernel.sum((0, 1)) + (bias[0] if bias else 0)
        y = FeatureMap(mean, x.variance @ squares, (conv.name,))
        return self._finish(y, conv)

    def _note(self, x: FeatureMap, conv: Conv, squares: np.ndarray) -> None:
        """Adds to the importance of each channel its share of what a convolution gives."""
        if conv.norm:
            squares = squares * self._gain(conv.name)
        lost = x.variance + (0 if self.offset_of(conv.name) else np.square(x.mean))
        given = lost * squares.sum(1)
        given /= max(given.sum(), TINY)
        ends = np.cumsum([len(self.scores[part]) for part in x.parts])[:-1]
        for part, share in zip(x.parts, np.split(given, ends), strict=True):
            self.scores[part] += share

    def _gain(self, name: str) -> np.ndarray:
        """What the normalisation of a layer multiplies the variance of each channel by."""
        gamma, *_, variance = self.values[f"{name}.bn"]
        return np.square(gamma.astype(np.float64)) / (variance + self.epsilon)

    def offset_of(self, name: str) -> tuple[str, int] | None:
        """Where a convolution's output can be shifted: a layer, and index of its weight; or not."""
        norm = SUM_NORM if name in SUMMANDS and f"{name}.bn" not in self.values else f"{name}.bn"
        if norm in self.values:
            return norm, 2
        return (name, 1) if len(self.values[name]) > 1 else None

    def depthwise(self, x: FeatureMap, conv: Depthwise) -> FeatureMap:
        kernel, *bias = (w.astype(np.float64) for w in self.values[conv.name])
        self.reads[conv.name] = x.parts
        mean = x.mean * kernel[..., 0].sum((0, 1)) + (bias[0] if bias else 0)
        variance = x.variance * np.square(kernel[..., 0]).sum((0, 1))
        return self._finish(FeatureMap(mean, variance, x.parts), conv)

    def _finish(self, x: FeatureMap, layer: Conv | Depthwise | Add) -> FeatureMap:
        if layer.norm:
            _, beta, _, variance = self.values[f"{layer.name}.bn"]
            x = FeatureMap(beta.astype(np.float64), self._gain(layer.name) * variance, x.parts)
        return self.relu(x, name=layer.name) if layer.relu else x

    def add(self, x: FeatureMap, y: FeatureMap, add: Add) -> FeatureMap:
        self.reads[add.name] = x.parts
        own, other = (self.scores[part] for (part,) in (x.parts, y.parts))
        tied = [key for key, score in self.scores.items() if score is own or score is other]
        self.scores |= dict.fromkeys(tied, own + other)
        total = FeatureMap(x.mean + y.mean, x.variance + y.variance, x.parts)
        return self._finish(total, add)

    def concat(self, xs: list[FeatureMap], *, name: str) -> FeatureMap:
        mean, variance = (np.concatenate(each) for each in list(zip(*xs, strict=True))[:2])
        return FeatureMap(mean, variance, sum((x.parts for x in xs), ()))

    def _same(self, x: FeatureMap, *args: Any, **options: Any) -> FeatureMap:
        return x

    pool = resize = pad = dropout = _same

    def relu(self, x: FeatureMap, *, name: str) -> FeatureMap:
        return FeatureMap(*rectified(x.mean, x.variance), x.parts)

    def size(self, x: FeatureMap) -> Size:
        return SMALL

    def channels(self, x: FeatureMap) -> int:
        return len(x.mean)


def rectified(mean: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of max(0, x) for normally distributed x.

    Example:
        >>> rectified(np.array([0.0, 2.0, -2.0]), np.array([1.0, 0.0, 0.0]))[0].round(3).tolist()
        [0.399, 2.0, 0.0]
    """
    sigma = np.sqrt(variance)
    z = mean / np.maximum(sigma, TINY)
    below = np.array([math.erfc(-v / math.sqrt(2)) / 2 for v in z])
    density = np.exp(-np.square(np.clip(z, -40, 40)) / 2) / math.sqrt(2 * math.pi)
    first = mean * below + sigma * density
    second = (np.square(mean) + variance) * below + mean * sigma * density
    return first, np.maximum(second - np.square(first), 0)
