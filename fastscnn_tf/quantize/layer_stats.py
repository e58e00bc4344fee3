"""What is measured of one layer: errors, kernel, and the values that it gives."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ..core.errors import ModelFileError
from ..model.folded import is_depthwise
from ..model.ranges import Range
from ..model.tf_blocks import quantized_kernel
from .histogram import Histogram
from .integer import Grid

TAIL = 0.001  # share of the values that a percentile leaves out at either end


class LayerComparison:
    """Quantized values against float ones, added up over images."""

    def __init__(self) -> None:
        self.signal = self.error = self._product = self._other = 0.0

    def add(self, expected: np.ndarray, got: np.ndarray) -> None:
        """Two float32 arrays of one shape."""
        expected, got = expected.ravel(), got.ravel()
        difference = expected - got
        self.signal += float(expected @ expected)
        self.error += float(difference @ difference)
        self._product += float(expected @ got)
        self._other += float(got @ got)

    @property
    def sqnr_db(self) -> float | None:
        """Signal-to-quantization-noise ratio, dB; None without any error or any signal."""
        if not self.error or not self.signal:
            return None
        return 10.0 * math.log10(self.signal / self.error)

    @property
    def cosine(self) -> float | None:
        """Cosine similarity, -1..1; None where either is zero throughout."""
        norms = math.sqrt(self.signal) * math.sqrt(self._other)
        return min(self._product / norms, 1.0) if norms else None


@dataclasses.dataclass(frozen=True)
class WeightStats:
    """A kernel, its batch normalisation folded in, and its int8 grid per output channel.

    Attributes:
        low, high: smallest and largest weight.
        scale_min, scale_median, scale_max: of the channels' scales (largest weight / 127); the
            median is that of the channels with any weight.
        sqnr_db: of the rounded kernel.
        norm: median over the channels of their weights' Euclidean norm.
    """

    low: float
    high: float
    scale_min: float
    scale_median: float
    scale_max: float
    sqnr_db: float | None
    norm: float

    @property
    def spread(self) -> float:
        """The largest scale over the median one; 1 for a kernel of zeros."""
        return self.scale_max / self.scale_median if self.scale_median else 1.0


def weight_stats(name: str, kernel: np.ndarray) -> WeightStats:
    """Looks at the kernel of the layer of that name, in Keras layout."""
    axes = (0, 1, 3) if is_depthwise(name) else (0, 1, 2)
    scales = np.abs(kernel).max(axes).astype(np.float64) / 127.0
    rounded = LayerComparison()
    rounded.add(kernel, quantized_kernel(name, kernel))
    norms = np.sqrt(np.square(kernel, dtype=np.float64).sum(axes))
    live = scales[scales > 0]
    return WeightStats(
        float(kernel.min()),
        float(kernel.max()),
        float(scales.min()),
        float(np.median(live)) if live.size else 0.0,
        float(scales.max()),
        rounded.sqnr_db,
        float(np.median(norms)),
    )


@dataclasses.dataclass(frozen=True)
class ActivationStats:
    """The values that a layer gives in float, against the grid that they are rounded to.

    Attributes:
        range: (low, high) of the grid; a shared one may be much wider than the values.
        seen: smallest and largest value.
        percentiles: the 0.1th and the 99.9th.
        clipped: share of the values that lie more than a step beyond the grid, 0..1.
        channel_levels: of the 255 steps, those that the median channel spans.
    """

    range: Range
    seen: Range
    percentiles: Range
    clipped: float
    channel_levels: float


class LayerCounts:
    """Everything that is added up for one layer.

    Args:
        grid: of its output.

    Attributes:
        whole: int8 network against float network, at this layer.
        own: this layer alone, on the same inputs.
    """

    def __init__(self, grid: Grid) -> None:
        self.whole, self.own = LayerComparison(), LayerComparison()
        self._grid, self._values = grid, Histogram()
        self._lows: np.ndarray | None = None
        self._highs: np.ndarray | None = None

    def look(self, values: np.ndarray) -> None:
        """Adds float outputs (B, H, W, C).

        Raises:
            ModelFileError: one is NaN or infinite.
        """
        lows, highs = values.min((0, 1, 2)), values.max((0, 1, 2))
        if not np.isfinite([lows, highs]).all():
            raise ModelFileError("an activation is NaN or infinite: train the model again")
        self._values.add(values)
        self._lows = lows if self._lows is None else np.minimum(lows, self._lows)
        self._highs = highs if self._highs is None else np.maximum(highs, self._highs)

    def stats(self) -> ActivationStats:
        """What the values were like."""
        step, low, high = (float(v) for v in self._grid)
        seen, counts = self._values.values()
        outside = (seen < (low - 1.0) * step) | (seen > (high + 1.0) * step)
        spans = np.asarray(self._highs, np.float64) - np.asarray(self._lows, np.float64)
        live = spans[spans > 0]
        return ActivationStats(
            (low * step, high * step),
            (float(self._values.low), float(self._values.high)),
            (self._values.quantile(TAIL), self._values.quantile(1.0 - TAIL)),
            float(counts[outside].sum() / self._values.total),
            float(np.median(live)) / step if live.size else 0.0,
        )
