"""The topology's blocks as they go into a .tflite: the numbers of `TFBlocks`, sometimes faster.

Kernels are only rearranged and filled up with zeros: scales and integers of an int8 graph stay.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.keras_api import Tensor
from ..core.sizes import Size
from ..model.folded import FoldedNetwork
from ..model.tf_blocks import TFBlocks
from ..model.topology import Conv, Depthwise
from ..model.windows import Pads


class ExportBlocks(TFBlocks):
    """`TFBlocks` with the exact rewrite that a CPU runs faster."""

    def __init__(self, network: FoldedNetwork) -> None:
        super().__init__(network)
        self._becomes_int8 = network.takes_bytes

    def _sums(self, x: Tensor, kernel: np.ndarray, conv: Conv | Depthwise, padding: str) -> Tensor:
        """The first convolution of an int8 graph reads pairs of pixels.

        XNNPACK's int8 kernels take 8 channels of a tap at once. Of 3 channels that is 9 taps of 8,
        of 6 channels 6 taps of 8: measured 0.83 of the time at 1024x2048 (AVX-512, 1 thread),
        where `SPACE_TO_DEPTH` (4 taps of 16 on 12 channels) takes 1.18. The reshape moves nothing.
        """
        strided = isinstance(conv, Conv) and (conv.kernel, conv.stride) == (3, 2)
        if not self._becomes_int8 or not strided or x.shape[2] % 2:
            return super()._sums(x, kernel, conv, padding)
        _, height, width, channels = x.shape
        x = self.tf.reshape(x, (1, height, width // 2, 2 * channels))
        return self.tf.nn.conv2d(x, kernel_of_pairs(kernel), [1, 2, 1, 1], padding.upper())

    def _frame_pads(self, size: Size, padding: str) -> Pads | None:
        """One column more where it makes the width even; its weights are zero."""
        pads = super()._frame_pads(size, padding)
        if pads is None:
            return None
        rows, (left, right) = pads
        return rows, (left, right + (size[1] + left + right) % 2)


def _named(block: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The block, with the layer's name before those of its operations."""

    @functools.wraps(block)
    def run(self: ExportBlocks, *inputs: Any, **options: Any) -> Tensor:
        # Convolutions and sums bring their name in their description.
        with self.tf.name_scope(options.get("name") or inputs[-1].name):
            return block(self, *inputs, **options)

    return run


class NamedBlocks(ExportBlocks):
    """`ExportBlocks` whose tensors' names begin with `<layer>/`, for a quantizer of .tflite."""

    conv, depthwise = _named(ExportBlocks.conv), _named(ExportBlocks.depthwise)
    add, concat = _named(ExportBlocks.add), _named(ExportBlocks.concat)
    pool, resize = _named(ExportBlocks.pool), _named(ExportBlocks.resize)
    relu = _named(ExportBlocks.relu)


def kernel_of_pairs(kernel: np.ndarray) -> np.ndarray:
    """A 3x3 kernel of stride 2 as one of 3x2 and stride (2, 1) on pairs of neighbouring pixels.

    On an even width both see the same pixels under the same weights: "SAME" pads the former with
    one column on the right, and the latter with one pair, whose second pixel it does not read.
    "VALID" pads neither.

    Args:
        kernel: (3, 3, channels, filters).

    Returns:
        (3, 2, 2 channels, filters); zeros where the pairs reach beyond the 3x3.
    """
    _, _, channels, filters = kernel.shape
    filled = np.zeros((3, 4, channels, filters), kernel.dtype)
    filled[:, :3] = kernel
    return filled.reshape(3, 2, 2 * channels, filters)
