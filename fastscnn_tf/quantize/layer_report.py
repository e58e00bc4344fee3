"""`LayerReport`: one layer of a quantization report, and why it stands where it stands."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..core.scores.confusion import scores
from .layer_stats import ActivationStats, WeightStats, weight_stats
from .sensitivity import LogitsCounts, Sensitivity

# Measured on trained networks of this project: the largest of the folded kernels is 5 times as
# large as the median one, and the largest channel 5 times as large as its layer's median.
OUTLIER = 15.0
CLIPPED = 0.05  # share of the values beyond the range; calibration leaves out 1 % at most
HURTS = 0.1  # harm from which on a layer may be named; all of 66 alike would have 0.015
COARSE = 8.0  # levels: fewer leave a channel 18 dB or less


@dataclasses.dataclass(frozen=True)
class LayerReport:
    """One layer.

    Attributes:
        place: in the order of the network, from 0.
        name, kind: as in the topology.
        weights: its kernel; None without one.
        activation: its output.
        own_sqnr_db, own_cosine: of this layer's output where its input is the float network's,
            rounded to its grid. None without any error, as of a concatenation.
        sqnr_db, cosine: of its output in the int8 network against the float network.
        harm: share of the divergence of the int8 network's class probabilities from the float
            network's that goes when this layer alone stays in float (its weights, its arithmetic
            and its output); at most 1, and below 0 where errors had cancelled out.
        agreement_returned: what the agreement gains with it, -1..1.
        miou_returned: what the mIoU gains, where it was measured.
        findings: what is wrong with it, in words, the gravest first.
        severity: how grave; 0 without findings.
    """

    place: int
    name: str
    kind: str
    weights: WeightStats | None
    activation: ActivationStats
    own_sqnr_db: float | None
    own_cosine: float | None
    sqnr_db: float | None
    cosine: float | None
    harm: float
    agreement_returned: float
    miou_returned: float | None = None
    findings: tuple[str, ...] = ()
    severity: float = 0.0

    @property
    def order(self) -> tuple[float, ...]:
        """Sorts what is plainly wrong before the rest, and that by harm, then by the own error.

        Agreement and mIoU of a few images move by chance where a layer changes little; the
        divergence does not.
        """
        own = math.inf if self.own_sqnr_db is None else self.own_sqnr_db
        return -self.severity, -self.harm, own

    @property
    def hurts(self) -> bool:
        """Whether it does a tenth of the harm, and cells get float's class back without it.

        A layer may bring the probabilities away from float's and still, by chance, cells to
        float's class: to leave it in float would then cost agreement.
        """
        return self.harm >= HURTS and self.agreement_returned > 0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        result = dataclasses.asdict(self)
        if self.weights:
            result["weights"]["spread"] = self.weights.spread
        return result


def layer_reports(measured: Sensitivity) -> tuple[LayerReport, ...]:
    """All layers, the most harmful first."""
    kernels = {
        name: weight_stats(name, layer.weights[0])
        for name, layer in measured.layers.items()
        if layer.weights
    }
    reports = (_report(i, name, measured, kernels) for i, name in enumerate(measured.layers))
    return tuple(sorted(reports, key=lambda report: report.order))


def _report(
    place: int, name: str, measured: Sensitivity, kernels: Mapping[str, WeightStats]
) -> LayerReport:
    counts, alone, all_int8 = measured.counts[name], measured.alone[name], measured.device
    kind, weights, activation = measured.layers[name].kind, kernels.get(name), counts.stats()
    others = [k.norm for n, k in kernels.items() if n != name and measured.layers[n].kind == kind]
    findings = sorted(_findings(kind, weights, others, activation), reverse=True)
    lost = all_int8.divergence
    return LayerReport(
        place,
        name,
        kind,
        weights,
        activation,
        counts.own.sqnr_db,
        counts.own.cosine,
        counts.whole.sqnr_db,
        counts.whole.cosine,
        1.0 - alone.divergence / lost if lost > 0 else 0.0,
        alone.agreement - all_int8.agreement,
        miou_returned(alone, all_int8),
        tuple(text for _, text in findings),
        max((severity for severity, _ in findings), default=0.0),
    )


def _findings(
    kind: str, weights: WeightStats | None, others: list[float], values: ActivationStats
) -> Iterable[tuple[float, str]]:
    """(severity, text): a cause in the weights ranks before what follows from it."""
    coarse, clipped = 0 < values.channel_levels < COARSE, values.clipped > CLIPPED
    if weights and others and (usual := float(np.median(others))):
        factor = weights.norm / usual
        if factor > OUTLIER:
            text = f"its weights are {factor:.0f} times those of the other {kind} layers"
            yield 2e6 + factor, text
        if weights.spread > OUTLIER and (coarse or clipped):
            text = f"one channel's weights are {weights.spread:.0f} times the median channel's"
            yield 1e6 + min(weights.spread, 9e5), text
    if clipped:
        yield 1.0 + values.clipped, f"{values.clipped:.1%} of its values lie beyond its range"
    if coarse:
        # Often of a shared range, and then no harm.
        yield 0.0, f"its median channel spans {values.channel_levels:.1f} of 255 steps"


def miou_returned(alone: LogitsCounts, all_int8: LogitsCounts) -> float | None:
    """What mIoU gains; None where it was not measured."""
    first, second = miou_of(alone), miou_of(all_int8)
    return None if first is None or second is None else first - second


def miou_of(counts: LogitsCounts) -> float | None:
    """mIoU, 0..1; None where no label map was looked at."""
    return None if isinstance(counts.matrix, int) else scores(counts.matrix).miou
