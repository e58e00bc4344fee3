"""The topology's blocks as bare TensorFlow operations on constants.

With ranges every tensor is fake-quantized as the int8 graph will compute it; without, this is the
float network. The same blocks calibrate ranges and write the graph that is converted, so that
nothing in a .tflite depends on how Keras happens to lower a layer.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..core.config import FastSCNNConfig
from ..core.images.interpolation import HALF_PIXEL
from ..core.keras_api import Tensor, tensorflow
from ..core.sizes import Size
from .byte_input import STEP, border_colour, centre
from .common_blocks import CommonBlocks
from .folded import FoldedNetwork, is_depthwise
from .layers import resized
from .ranges import INPUT, sharing
from .topology import Add, Conv, Depthwise, fast_scnn_outputs
from .windows import Pads, Spans

MAX_CONCAT = 5  # the int8 XNNPACK kernel takes no more inputs; longer ones are nested


class TFBlocks(CommonBlocks):
    """Blocks on constants.

    Args:
        network: weights, and ranges for an int8 graph.
        observe: called with (name, tensor) for every tensor that has a range.
    """

    def __init__(
        self, network: FoldedNetwork, observe: Callable[[str, Tensor], None] | None = None
    ) -> None:
        self.tf, self.ranges, self.observe = tensorflow(), network.ranges, observe
        self.weights, self.sharing = network.weights, sharing(network.config)
        self.border = border_colour(network.config) if network.takes_bytes else None
        if network.ranges:
            self.weights = {
                n: (quantized_kernel(n, k), uneven(b)) for n, (k, b) in network.weights.items()
            }

    def quantize(self, x: Tensor, name: str) -> Tensor:
        """Marks a tensor with its range; reports it if the range is its own."""
        if self.observe and self.sharing.owner(name) == name:
            self.observe(name, x)
        if not self.ranges:
            return x
        low, high = self.sharing.range(self.ranges, name)
        return self.tf.quantization.fake_quant_with_min_max_args(x, low, high)

    def conv(self, x: Tensor, conv: Conv | Depthwise) -> Tensor:
        weights, offset = self.weights[conv.name]
        x, padding = self._padded(x, conv)
        x = self._sums(x, weights, conv, padding) + offset
        return self.quantize(self.tf.nn.relu(x) if conv.relu else x, conv.name)

    depthwise = conv

    def _sums(self, x: Tensor, kernel: np.ndarray, conv: Conv | Depthwise, padding: str) -> Tensor:
        return convolve(x, kernel, conv, padding)

    def _zeros(self, x: Tensor, pads: Pads, name: str) -> Tensor:
        return self.tf.pad(x, [[0, 0], *map(list, pads), [0, 0]])

    def _framed(self, x: Tensor, colour: np.ndarray, pads: Pads, name: str) -> Tensor:
        return framed(x, pads, colour)

    def add(self, x: Tensor, y: Tensor, add: Add) -> Tensor:
        x = x + y
        return self.quantize(self.tf.nn.relu(x) if add.relu else x, add.name)

    def concat(self, xs: list[Tensor], *, name: str) -> Tensor:
        return self.quantize(self.tf.concat(xs, -1), name)

    def _means(self, x: Tensor, spans: Spans | None, axis: int, name: str) -> Tensor:
        if self.ranges and spans is None and self.size(x) == (1, 1):
            # The converter drops this mean and its range, but not from the bias behind it.
            return x
        return self.quantize(window_means(x, spans, axis), name)

    def resize(self, x: Tensor, size: Size, *, name: str, sampling: str = HALF_PIXEL) -> Tensor:
        return self.quantize(resized(x, size, sampling), name)

    def crop(self, x: Tensor, size: Size, *, name: str) -> Tensor:
        """The top left `size` of a map."""
        return x[:, : size[0], : size[1]]

    def relu(self, x: Tensor, *, name: str) -> Tensor:
        return self.quantize(self.tf.nn.relu(x), name)


def convolve(x: Tensor, kernel: Tensor, conv: Conv | Depthwise, padding: str) -> Tensor:
    """A convolution's sums, without its bias."""
    nn, padding = tensorflow().nn, padding.upper()
    if isinstance(conv, Conv):
        return nn.conv2d(x, kernel, conv.stride, padding)
    strides, dilations = [1, conv.stride, conv.stride, 1], [conv.dilation] * 2
    return nn.depthwise_conv2d(x, kernel, strides, padding, dilations=dilations)


def window_means(x: Tensor, spans: Spans | None, axis: int) -> Tensor:
    """MEAN over static slices, or the whole map: average pooling has no int8 XNNPACK version."""
    tf = tensorflow()
    if spans is None:
        return tf.reduce_mean(x, [1, 2], keepdims=True)
    means = [
        tf.reduce_mean(x[:, a:b] if axis == 1 else x[:, :, a:b], axis, keepdims=True)
        for a, b in spans
    ]
    while len(means) > 1:
        groups = [means[i : i + MAX_CONCAT] for i in range(0, len(means), MAX_CONCAT)]
        means = [tf.concat(g, axis) if len(g) > 1 else g[0] for g in groups]
    return means[0]


def quantized_kernel(name: str, kernel: np.ndarray) -> np.ndarray:
    """A kernel on its int8 grid: symmetric, one scale per output channel, -127..127.

    The converter finds the same scales again, so its integers are exactly these.
    """
    axes = (0, 1, 3) if is_depthwise(name) else (0, 1, 2)
    scale = np.maximum(np.abs(kernel).max(axis=axes, keepdims=True), 1e-12) / np.float32(127)
    return (np.clip(np.rint(kernel / scale), -127, 127) * scale).astype(np.float32)


def uneven(bias: np.ndarray) -> np.ndarray:
    """A bias that is not the same number in every channel.

    The converter stores such a bias once and quantizes it with the first channel's scale for all;
    one unit in the last place keeps it from that and changes no quantized value.
    """
    bias = bias.copy()
    if bias.size > 1 and bias[0] != 0 and np.ptp(bias) == 0:
        bias[0] = np.nextafter(bias[0], np.float32(0))
    return bias


def image_bytes(image: Tensor, config: FastSCNNConfig) -> Tensor:
    """Normalised images as (byte - centre) / 128, not rounded."""
    return (image * config.std + (np.asarray(config.mean, np.float32) - centre(config))) * STEP


def framed(x: Tensor, pads: Pads, colour: np.ndarray) -> Tensor:
    """An image with rows and columns of one colour around it, as concatenations of constants."""
    tf = tensorflow()
    for axis, ends in enumerate(pads, 1):
        shape = [int(x.shape[0] or 0), *map(int, x.shape[1:])]
        parts = []
        for count in ends:
            shape[axis] = count
            strip = tf.constant(np.broadcast_to(colour, [1, *shape[1:]]))
            if x.shape[0] != 1:
                strip = tf.repeat(strip, tf.shape(x)[0], 0)
            parts.append(strip)
        x = tf.concat([p for p in (parts[0], x, parts[1]) if p.shape[axis]], axis)
    return x


def logits_of(
    network: FoldedNetwork, image: Tensor, observe: Callable[[str, Tensor], None] | None = None
) -> Tensor:
    """Logits at 1/8 of a normalised image (B, H, W, 3), float or fake-quantized."""
    blocks, config = TFBlocks(network, observe), network.config
    if network.takes_bytes:
        image = blocks.quantize(image_bytes(image, config), INPUT)
    return fast_scnn_outputs(blocks, image, config)["logits"]
