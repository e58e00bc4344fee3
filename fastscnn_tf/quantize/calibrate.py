"""Calibration: the range of every activation, seen on real images by the float network."""

from __future__ import annotations

import numpy as np

from ..core.errors import DataError
from ..core.keras_api import tensorflow
from ..data.datasets.objects import Source, image_batches
from ..data.reader import named_data_errors
from ..model.byte_input import byte_range
from ..model.folded import FoldedNetwork, check_activations, on_bytes
from ..model.ranges import INPUT, Range
from ..model.tf_blocks import logits_of
from .clipping import check_method, mse_range, percentile_range
from .histogram import Histogram

DEAD = 1e-4  # width of the range of a tensor that is as good as always zero


def calibrate(
    network: FoldedNetwork, batches: Source, limit: int = 200, method: str = "minmax"
) -> FoldedNetwork:
    """Sets the range of every tensor from float32 passes over images.

    Args:
        network: folded weights; ranges it may have are replaced, and raw bytes become its input.
        batches: anything with images (see `data.datasets.objects.as_dataset`); labels do not count.
        limit: images to use at most.
        method: `minmax`, the mean over images of the smallest and of the largest value: single
            outliers do not stretch it, which costs less than the resolution they would take from
            everything else; `percentile`, all but 0.01 % of the values at either end; or `mse`,
            the range with the least mean squared error. The input keeps the range of bytes.

    Raises:
        ConfigError: another method.
        DataError: there is not one image, or one cannot be read, has another size or type, or is
            not finite.
        ModelFileError: an activation is NaN or infinite.
    """
    tf = tensorflow()
    counting = check_method(method) != "minmax"
    network = on_bytes(network)
    plain = network.replace(ranges={})

    @tf.function(reduce_retracing=True, autograph=False)
    def observe(images):
        seen = {}

        def record(name, x):
            axes = [1, 2, 3]
            limits = tf.stack([tf.reduce_min(x, axes), tf.reduce_max(x, axes)])
            seen[name] = (limits, x) if counting else (limits,)

        logits_of(plain, images, record)
        return seen

    found: dict[str, list[np.ndarray]] = {}
    histograms: dict[str, Histogram] = {}
    count = 0
    with named_data_errors():
        for batch in image_batches(batches, network.config):
            images = tf.convert_to_tensor(batch[: limit - count])
            for name, (limits, *values) in observe(images).items():
                check_activations(name, limits.numpy())
                found.setdefault(name, []).append(limits.numpy())
                if values:
                    histograms.setdefault(name, Histogram()).add(values[0].numpy())
            count += int(images.shape[0])
            if count >= limit:
                break
    if not count:
        raise DataError("calibration needs at least one image, got none")
    limits = {name: np.concatenate(parts, 1) for name, parts in found.items()}
    clipped = mse_range if method == "mse" else percentile_range
    ranges = {
        name: _range(*(clipped(histograms[name]) if counting else _means(limits[name])))
        for name in limits
    }
    ranges[INPUT] = byte_range(network.config)
    return network.replace(ranges=ranges)


def _means(limits: np.ndarray) -> Range:
    """Mean (min, max) from (2, images)."""
    low, high = limits.mean(1)
    return float(low), float(high)


def _range(low: float, high: float) -> Range:
    """The range stretched to contain 0: padding must be exact.

    A tensor that is always zero, behind a ReLU that never opens, gets a range of 1: a range near
    zero would ask for a scale change that no kernel can do.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    return (low, low + 1.0) if high - low < DEAD else (low, high)
