"""Which tensors of the int8 graph have a range of their own, and which share another's.

Sharing is what keeps the graph free of rescaling:

- RESIZE_BILINEAR needs equal scales before and after;
- everything that is concatenated is written at the concatenation's scale from the start, and
  so are the poolings (the converter merges equal windows of different bins, and would rescale
  one for the other), but for the global one, whose values are much smaller;
- the ReLU behind the fusion's resize keeps the scale (or halves it exactly), so that it is a mere
  clamp. XNNPACK rescales int8 with 8 fractional bits, which would cost up to a quarter step.
"""

from __future__ import annotations

from ..core.config import FastSCNNConfig

Range = tuple[float, float]

INPUT = "input"
CONCAT = "pyramid.concat"
CONCATENATED = "global_features.bottleneck3_3.add"  # besides the pyramid's branches
GLOBAL_POOL = "pyramid.pool1"
RECTIFIED = "fusion.relu"
RESIZED = "fusion.low_depthwise"


def range_owner(name: str) -> str:
    """The tensor whose range `name` uses.

    Example:
        >>> range_owner("pyramid.resize3")
        'pyramid.concat'
    """
    if name == GLOBAL_POOL:
        return name
    if name == CONCATENATED or name.startswith(("pyramid.pool", "pyramid.bin", "pyramid.resize")):
        return CONCAT
    if name in ("fusion.resize", RECTIFIED):
        return RESIZED
    return "classifier.logits" if name == "logits" else name


def tensor_range(ranges: dict[str, Range], name: str) -> Range:
    """(min, max) of a tensor."""
    low, high = ranges[range_owner(name)]
    return (0.0, rectified_high(low, high)) if name == RECTIFIED else (low, high)


def rectified_high(low: float, high: float) -> float:
    """Upper end of the clamped tensor: one step as before or half of it, whichever holds `high`."""
    return high - low if 2 * high > high - low else (high - low) / 2


def input_range(config: FastSCNNConfig) -> Range:
    """The range whose int8 grid holds every byte exactly: [(0 - mean), (255 - mean)] / std."""
    return -config.mean[0] / config.std[0], (255 - config.mean[0]) / config.std[0]
