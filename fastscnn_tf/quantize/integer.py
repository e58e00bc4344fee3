"""int8 arithmetic as XNNPACK performs it, on float tensors that hold integers.

A fake-quantized float graph rounds where the device does, but from sums that carry float error:
some values land on the other side of a half. In a deep network such flips multiply until a
quarter of all tensors differ by a step. These functions compute the integers themselves, so that
the quantization-aware Keras model and its .tflite give the same labels.

Tensors go in and out as real values; "levels" are integers relative to the zero point.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..core.images.interpolation import HALF_PIXEL, interpolation_matrix
from ..core.keras_api import Tensor, tensorflow
from ..core.sizes import Size

Limits = Callable[[], tuple[Any, Any]]  # the (min, max) of a range, as it is now


class Grid(NamedTuple):
    """An int8 grid: real value = level x step, level between low and high.

    The step is float64, as in the converter; the device reads it as float32.
    """

    step: Any
    low: Any
    high: Any


class OnGrid(NamedTuple):
    """A tensor of integers: real values, (B, H, W, C) float32, and the grid they lie on."""

    x: Tensor
    grid: Grid


def grid(low: Tensor, high: Tensor) -> Grid:
    """The grid of a range, nudged as fake quantization and the converter do it."""
    tf = tensorflow()
    low, high = tf.cast(low, tf.float64), tf.cast(high, tf.float64)
    step = (high - low) / 255.0
    zero = tf.cast(tf.clip_by_value(tf.round(-low / step), 0.0, 255.0), tf.float32)
    return Grid(step, -zero, 255.0 - zero)


def grid_of(limits: Limits) -> Grid:
    """The grid of a range."""
    return grid(*map(tensorflow().convert_to_tensor, limits()))


def levels(of: OnGrid) -> Tensor:
    """Integers of a tensor that lies on a grid."""
    return tensorflow().round(of.x / _float32(of.grid.step))


def quantize(x: Tensor, to: Grid) -> Tensor:
    """Rounds real values to a grid."""
    tf = tensorflow()
    return real(tf.clip_by_value(tf.round(x / _float32(to.step)), to.low, to.high), to)


def real(x: Tensor, of: Grid) -> Tensor:
    """Real values of levels."""
    return x * _float32(of.step)


def _float32(x: Tensor) -> Tensor:
    return tensorflow().cast(x, "float32")


def _ratio(target: Grid, *steps: Any) -> Tensor:
    """The float32 scale of a sum: product of the input's steps over the output's."""
    product = _float32(steps[0])
    for step in steps[1:]:
        product = product * _float32(step)
    return product / _float32(target.step)


def convolution(
    x: OnGrid,
    kernel: Tensor,
    bias: Tensor,
    run: Callable[[Any, Any], Any],
    target: Grid,
    depthwise: bool,
    relu: bool,
) -> Tensor:
    """CONV_2D or DEPTHWISE_CONV_2D: exact sums, then one float32 scale and round to even.

    Args:
        x: input.
        kernel: float kernel; quantized symmetrically per output channel.
        bias: float bias; rounded to steps of input x kernel.
        run: the convolution itself, of (levels, kernel levels). Its float32 sums are exact while
            they stay below 2 ** 24.
        target: grid of the output.
        depthwise: layout of the kernel.
        relu: clamp at 0.
    """
    tf = tensorflow()
    axes = (0, 1, 3) if depthwise else (0, 1, 2)
    limit = tf.cast(tf.maximum(tf.reduce_max(tf.abs(kernel), axes), 1e-12), tf.float64)
    # In float64: TensorFlow's graph optimizer replaces a division by a constant with a product,
    # which in float32 is an ulp off and moves sums that lie on a half.
    step = _float32(limit / 127.0)
    spread = step[:, None] if depthwise else step  # along the kernel's output channels
    weights = tf.round(kernel / spread)
    # The converter finds the step again from the kernel that was written on its grid.
    written = tf.reduce_max(tf.abs(weights * spread), axes)
    step = tf.cast(tf.maximum(written, 1e-12), tf.float64) / 127.0
    offset = _float32(tf.round(tf.cast(bias, tf.float64) / (x.grid.step * step)))
    total = run(levels(x), weights) + offset
    low = tf.maximum(target.low, 0.0) if relu else target.low
    scaled = tf.round(total * _ratio(target, x.grid.step, step))
    return real(tf.clip_by_value(scaled, low, target.high), target)


def addition(x: OnGrid, y: OnGrid, target: Grid, relu: bool) -> Tensor:
    """ADD: multipliers of 21 bits, one shift, rounding half up."""
    tf = tensorflow()
    scales = [tf.cast(_ratio(target, v.grid.step), tf.float64) for v in (x, y)]
    exponent = tf.floor(tf.math.log(tf.maximum(*scales)) / np.log(2.0))
    unit = tf.pow(tf.constant(2.0, tf.float64), 20.0 - exponent)
    total = sum(
        tf.cast(levels(v), tf.float64) * tf.round(scale * unit)
        for v, scale in zip((x, y), scales, strict=True)
    )
    result = _float32(tf.floor(total / unit + 0.5))
    low = tf.maximum(target.low, 0.0) if relu else target.low
    return real(tf.clip_by_value(result, low, target.high), target)


def means(run: Callable[[Any], Any], x: OnGrid, target: Grid) -> Tensor:
    """MEAN: `run` takes means of levels; one float32 scale.

    Rounded to an even byte; between equal grids, where export makes a convolution of it, to an even
    level.
    """
    tf, source = tensorflow(), x.grid
    same = tf.logical_and(tf.equal(source.step, target.step), tf.equal(source.low, target.low))
    zero = tf.where(same, tf.zeros_like(target.low), -target.low)
    scaled = tf.round(run(levels(x)) * _ratio(target, source.step) + zero) - zero
    return real(tf.clip_by_value(scaled, target.low, target.high), target)


def resize(both: OnGrid, size: Size, sampling: str = HALF_PIXEL) -> Tensor:
    """RESIZE_BILINEAR: weights of 11 bits, rounding half up; or RESIZE_NEAREST_NEIGHBOR."""
    tf = tensorflow()
    rows, columns = (
        tf.constant(np.rint(interpolation_matrix(n, m, sampling) * 2048.0) / 2048.0, tf.float64)
        for n, m in zip(both.x.shape[1:3], size, strict=True)
    )
    exact = tf.cast(levels(both), tf.float64)
    exact = tf.einsum("Hh,bhwc->bHwc", rows, exact)
    exact = tf.einsum("Ww,bHwc->bHWc", columns, exact)
    return real(_float32(tf.floor(exact + 0.5)), both.grid)


def rectify(x: OnGrid, target: Grid) -> Tensor:
    """QUANTIZE to a grid that starts at 0, by a factor of 1 or 2: a clamp."""
    tf = tensorflow()
    factor = _float32(tf.round(x.grid.step / target.step))
    return real(tf.clip_by_value(levels(x) * factor, 0.0, target.high), target)
