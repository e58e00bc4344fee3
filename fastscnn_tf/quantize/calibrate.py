"""Calibration: the range of every activation, seen on real images by the float network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..core.errors import DataError, ModelFileError
from ..data.reader import named_data_errors
from ..keras_api import tensorflow
from ..model.byte_input import byte_range
from ..model.folded import FoldedNetwork, on_bytes
from ..model.ranges import INPUT
from ..model.tf_blocks import logits_of

DEAD = 1e-4  # width of the range of a tensor that is as good as always zero


def calibrate(network: FoldedNetwork, batches: Iterable[Any], limit: int = 200) -> FoldedNetwork:
    """Sets the range of every tensor from float32 passes over images.

    A range is the mean over images of the smallest and of the largest value: single outliers do
    not stretch it, which costs less than the resolution they would take from everything else.

    Args:
        network: folded weights; ranges it may have are replaced, and raw bytes become its input.
        batches: normalised image batches (B, H, W, 3) of any size divisible by 32, or
            (images, labels) pairs.
        limit: images to use at most.

    Raises:
        DataError: there is not one image, or one cannot be read.
        ModelFileError: an activation is NaN or infinite.
    """
    tf = tensorflow()
    network = on_bytes(network)
    plain = network.replace(ranges={})

    @tf.function(reduce_retracing=True)
    def observe(images):
        seen: dict[str, Any] = {}

        def record(name, x):
            axes = [1, 2, 3]
            seen[name] = tf.stack([tf.reduce_min(x, axes), tf.reduce_max(x, axes)])

        logits_of(plain, images, record)
        return seen

    found: dict[str, list[np.ndarray]] = {}
    count = 0
    with named_data_errors():
        for batch in batches:
            images = batch[0] if isinstance(batch, tuple | list) else batch
            images = tf.convert_to_tensor(images)[: limit - count]
            for name, limits in observe(images).items():
                found.setdefault(name, []).append(_finite(limits.numpy(), name))
            count += int(images.shape[0])
            if count >= limit:
                break
    if not count:
        raise DataError("calibration needs at least one image, got none")
    ranges = {name: _range(np.concatenate(limits, 1)) for name, limits in found.items()}
    ranges[INPUT] = byte_range(network.config)
    return network.replace(ranges=ranges)


def _finite(limits: np.ndarray, name: str) -> np.ndarray:
    if not np.isfinite(limits).all():
        raise ModelFileError(
            f"{name!r} becomes NaN or infinite: the model is broken, train it again"
        )
    return limits


def _range(limits: np.ndarray) -> tuple[float, float]:
    """(min, max) that contains 0 (padding must be exact) from (2, images).

    A tensor that is always zero, behind a ReLU that never opens, gets a range of 1: a range near
    zero would ask for a scale change that no kernel can do.
    """
    low, high = (float(v) for v in limits.mean(1))
    low, high = min(low, 0.0), max(high, 0.0)
    return (low, low + 1.0) if high - low < DEAD else (low, high)
