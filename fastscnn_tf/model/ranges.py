"""Which tensors of the int8 graph have a range of their own, and which share another's.

Sharing is what keeps the graph free of rescaling:

- a resize needs equal scales before and after;
- everything that is concatenated is written at the concatenation's scale from the start, and
  so are the poolings (the converter merges equal windows of different bins, and would rescale
  one for the other), but for the global one, whose values are much smaller;
- the ReLU behind the fusion's resize (where the depthwise convolution comes first) keeps the
  scale (or halves it exactly), so that it is a mere clamp. XNNPACK rescales int8 with 8 fractional
  bits, which would cost up to a quarter step.
"""

from __future__ import annotations

import dataclasses
import functools

from ..core.config import FastSCNNConfig
from .complexity import complexity
from .windows import is_whole, pooling_windows

Range = tuple[float, float]

INPUT = "input"
CONCAT = "pyramid.concat"
GLOBAL_POOL = "pyramid.pool1"
RECTIFIED = "fusion.relu"
LOGITS = "classifier.logits"


@dataclasses.dataclass(frozen=True)
class RangeSharing:
    """Who uses whose range in the int8 graph of a configuration.

    Attributes:
        concatenated: the features that the pyramid's branches are concatenated with.
        resized: the tensor that the fusion upsamples.
        whole: poolings that are the global one as well, as their windows exceed the map.
    """

    concatenated: str
    resized: str
    whole: frozenset[str] = frozenset()

    def owner(self, name: str) -> str:
        """The tensor whose range `name` uses.

        Example:
            >>> sharing(FastSCNNConfig()).owner("pyramid.resize3")
            'pyramid.concat'
        """
        if name == GLOBAL_POOL or name in self.whole:
            return GLOBAL_POOL
        shared = ("pyramid.pool", "pyramid.bin", "pyramid.resize")
        if name == self.concatenated or name.startswith(shared):
            return CONCAT
        if name in ("fusion.resize", RECTIFIED):
            return self.resized
        return LOGITS if name.startswith("logits") else name

    def range(self, ranges: dict[str, Range], name: str) -> Range:
        """(min, max) of a tensor."""
        low, high = ranges[self.owner(name)]
        return (0.0, rectified_high(low, high)) if name == RECTIFIED else (low, high)


@functools.lru_cache(maxsize=32)
def sharing(config: FastSCNNConfig) -> RangeSharing:
    """The sharing of a configuration."""
    layers = complexity(config.replace(input_size=(32, 32), pad=False)).layers
    features = [layer.name for layer in layers if layer.name.startswith("global_features")]
    if config.fusion_order == "depthwise_first":
        part = "pointwise" if config.fusion_branch == "separable" else "depthwise"
        resized = f"fusion.low_{part}"
    else:
        resized = "pyramid.output" if config.pyramid_kernel else CONCAT
    bins, (height, width) = config.pyramid_bins, config.padded_size
    size = height // 32, width // 32
    pools = zip(bins, pooling_windows(size, config), strict=True) if 1 in bins else ()
    whole = frozenset(f"pyramid.pool{n}" for n, windows in pools if is_whole(windows, size))
    return RangeSharing(features[-1], resized, whole)


def rectified_high(low: float, high: float) -> float:
    """Upper end of the clamped tensor: one step as before or half of it, whichever holds `high`."""
    return high - low if 2 * high > high - low else (high - low) / 2
