"""Calibration methods: from the values of a tensor to the range that its int8 grid covers.

The names are those of the field (TensorRT, PyTorch, ONNX Runtime). A narrower range clips what
lies outside and gives everything else finer steps.
"""

from __future__ import annotations

import numpy as np

from ..core.arguments import check_name
from .histogram import Histogram

METHODS = ("minmax", "percentile", "mse")
PERCENTILE = 99.99  # as in Wu et al., Integer Quantization for Deep Learning Inference (2020)
CANDIDATES, ROUNDS = 64, 3


def check_method(name: str) -> str:
    """Returns the name of a known calibration method.

    Raises:
        ConfigError: no such method.
    """
    return check_name("calibration method", name, METHODS)


def percentile_range(seen: Histogram) -> tuple[float, float]:
    """The range that leaves out 0.01 % of the values at either end."""
    share = PERCENTILE / 100.0
    return seen.quantile(1.0 - share), seen.quantile(share)


def mse_range(seen: Histogram) -> tuple[float, float]:
    """The range whose grid has the least mean squared error, rounding and clipping together.

    Either end is searched in turn, the other one held: shares of the way from zero to the extreme,
    and then around the best of them.
    """
    values, counts = seen.values()
    extremes = (min(seen.low, 0.0), max(seen.high, 0.0))
    ends, reach = list(extremes), 1.0
    for _ in range(ROUNDS):
        for end in (1, 0):
            if extremes[end] == 0.0:
                continue
            best = ends[end] / extremes[end]
            shares = np.linspace(max(best - reach, 0.01), min(best + reach, 1.0), CANDIDATES)
            tried = [list(ends) for _ in shares]
            for limits, share in zip(tried, shares, strict=True):
                limits[end] = extremes[end] * float(share)
            ends = min(tried, key=lambda limits: squared_error(values, counts, *limits))
        reach /= 8.0
    return ends[0], ends[1]


def squared_error(values: np.ndarray, counts: np.ndarray, low: float, high: float) -> float:
    """Sum of the squared errors of values on the int8 grid of a range that contains 0.

    Args:
        values: float64.
        counts: how often each occurs.
        low, high: the range; the grid is nudged so that 0 lies on it, as in `integer.grid`.
    """
    step = (high - low) / 255.0
    if step <= 0.0:
        return float(counts @ np.square(values))
    zero = np.clip(np.rint(-low / step), 0.0, 255.0)
    rounded = np.clip(np.rint(values / step), -zero, 255.0 - zero) * step
    return float(counts @ np.square(values - rounded))
