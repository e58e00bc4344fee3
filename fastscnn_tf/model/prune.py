"""`prune`: a trained network with fewer channels, the least important of which are cut out whole.

What is left is an ordinary Fast-SCNN: its `FastSCNNConfig` has smaller widths, and its weights are
slices of the trained ones. It is trained on, quantized, exported and scored like any other.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core.arguments import NUMBER, check_number
from ..core.config import FastSCNNConfig
from ..core.errors import ConfigError
from ..core.keras_api import KerasModel, keras3
from ..core.text_table import percent, text_table
from .complexity import LayerCost, complexity
from .fast_scnn import fast_scnn, require_fast_scnn
from .importance import AUXILIARY, ChannelImportance

STEP = 8  # widths are multiples of it: kernels for CPUs and GPUs work on so many channels at once
WIDTHS = ("stem_widths", "bottleneck_widths", "head_widths")
FACTORS = {"pyramid_branch_width": STEP, "expansion": 1}  # and their steps
LOW, HIGH = 0.01, 0.99  # of the share that may be asked for
# Of all multiply-adds: no step goes further below the share while there are smaller ones.
NEAR = 0.02

Costs = dict[str, LayerCost]


@dataclasses.dataclass(frozen=True)
class Pruned:
    """A network before and after.

    Attributes:
        model: the smaller one, a Keras 3 model.
        widths: field of the configuration -> channels (of `expansion`: the factor) before, after.
        macs: multiply-adds for one image at the model's size, before and after.
        parameters: all weights, before and after; those of auxiliary heads do not count.
        miou: 0..1, before and right after, where somebody measured it.
    """

    model: KerasModel
    widths: dict[str, tuple[Any, Any]]
    macs: tuple[int, int]
    parameters: tuple[int, int]
    miou: tuple[float | None, float | None] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        pairs = {**self.widths, "macs": self.macs, "parameters": self.parameters}
        pairs |= {"miou": self.miou} if self.miou else {}
        return {name: {"before": old, "after": new} for name, (old, new) in pairs.items()}

    def table(self) -> str:
        """For people."""
        named = [(name, *map(_listed, pair)) for name, pair in self.widths.items()]
        macs = (f"{n / 1e6:,.1f} M" for n in self.macs)
        rows = [*named, ("multiply-adds", *macs)]
        rows += [("parameters", *(f"{n:,}" for n in self.parameters))]
        rows += [("mIoU %", *map(percent, self.miou))] if self.miou else []
        share = percent(self.macs[1] / self.macs[0], 1)
        return f"{text_table([('', 'before', 'after'), *rows], right=None)}\n{share} % are left"

    __str__ = table


def check_macs(macs: float) -> None:
    """Refuses what is not a share of a network's multiply-adds.

    Raises:
        ConfigError: it is out of range.
    """
    check_number("macs", macs, LOW, HIGH, NUMBER, f"a share of {LOW}..{HIGH}")


def prune(model: KerasModel, macs: float = 0.7) -> Pruned:
    """Cuts channels out of a trained network until a share of its multiply-adds is left.

    Widths shrink one step at a time, always the one whose channels matter least (see
    `model.importance`) for each multiply-add saved. Layers whose outputs are added lose the same
    channels. Right afterwards the network scores lower: train it on, by `train --init-from`.

    Args:
        model: a Keras 3 model of `fast_scnn`, trained; it is not changed.
        macs: share of its multiply-adds that may be left, 0.01..0.99; a little less is left.

    Returns:
        The smaller model, of the same size, classes and auxiliary heads, and what was cut.

    Raises:
        ConfigError: another kind of model, or a share that is out of range or of reach.
        ModelFileError: a weight is NaN or infinite.

    Example:
        >>> small = prune(fast_scnn(FastSCNNConfig(input_size=(64, 96))), 0.9)
        >>> small.macs[1] <= 0.9 * small.macs[0]
        True
    """
    check_macs(macs)
    before = require_fast_scnn(model)
    if not isinstance(model, keras3().Model):
        raise ConfigError("prune takes a float model: prune the .keras, then quantize what is left")
    whole = spelt_out(before)
    importance = ChannelImportance(model, whole)
    config = _narrowed(whole, macs, importance.scores)
    smaller = fast_scnn(config)
    _fill(smaller, importance, _costs(config))
    smaller.licence = model.licence
    counts = [complexity(c.replace(aux_heads=False)) for c in (whole, config)]
    return Pruned(
        smaller,
        {n: (getattr(whole, n), getattr(config, n)) for n in (*WIDTHS, *FACTORS)},
        (counts[0].macs, counts[1].macs),
        (counts[0].parameters, counts[1].parameters),
    )


def spelt_out(config: FastSCNNConfig) -> FastSCNNConfig:
    """The same network with every width in its field: no factor, nothing that follows another."""
    widths = {name: tuple(map(config.channels, getattr(config, name))) for name in WIDTHS}
    branch = config.pyramid_branch_width
    branch = config.channels(branch) if branch else widths["bottleneck_widths"][2] // 4
    aux = config.channels(config.aux_width)
    return config.replace(**widths, width=1.0, pyramid_branch_width=branch, aux_width=aux)


def _costs(config: FastSCNNConfig) -> Costs:
    return {layer.name: layer for layer in complexity(config).layers}


def _macs(costs: Costs) -> int:
    return sum(cost.macs for name, cost in costs.items() if not name.startswith(AUXILIARY))


def _narrowed(
    config: FastSCNNConfig, share: float, scores: dict[str, np.ndarray]
) -> FastSCNNConfig:
    """The configuration that has so many of its multiply-adds left.

    Raises:
        ConfigError: it cannot be had.
    """
    loss, costs = _Loss(scores), _costs(config)
    whole = left = _macs(costs)
    while left > share * whole:
        steps = [
            ((loss(found) - loss(costs)) / (left - _macs(found)), smaller, found)
            for smaller, found in _smaller(config, costs)
            if _macs(found) < left
        ]
        if not steps:
            least = math.ceil(1000 * left / whole) / 1000
            raise ConfigError(f"macs {share} is out of reach: at least {least} stay here")
        near = [step for step in steps if _macs(step[2]) > (share - NEAR) * whole]
        _, config, costs = min(near or steps, key=lambda step: step[0])
        left = _macs(costs)
    return config


def _smaller(config: FastSCNNConfig, costs: Costs) -> Iterator[tuple[FastSCNNConfig, Costs]]:
    """With each field one step smaller, or as many as it takes to leave the architecture as it is.

    The second and the third group are joined by an addition where their widths are equal: those
    that are shrink together, and others do not become so.
    """
    joined = config.bottleneck_widths[1] == config.bottleneck_widths[2]
    for name in WIDTHS:
        widths = getattr(config, name)
        for i, width in enumerate(widths):
            tied = name == "bottleneck_widths" and joined and i > 0
            for n in range((width - 1) // STEP * STEP, 0, -STEP):
                narrow = [n if j == i or (tied and j > 0) else w for j, w in enumerate(widths)]
                smaller = config.replace(**{name: tuple(narrow)})
                if (found := _costs(smaller)).keys() == costs.keys():
                    yield smaller, found
                    break
    for name, step in FACTORS.items():
        if (number := (getattr(config, name) - 1) // step * step) > 0:
            smaller = config.replace(**{name: number})
            yield smaller, _costs(smaller)


class _Loss:
    """What narrower layers lose: of each group of channels -log(share left), times its readers.

    The logarithm makes the last channels dearer than the first, which are as important or less:
    otherwise one layer is strangled before another one gives any.
    """

    def __init__(self, scores: dict[str, np.ndarray]) -> None:
        groups = {id(score): (name, score) for name, score in scores.items()}
        self._left = {n: np.cumsum(np.sort(score)[::-1]) for n, score in groups.values()}

    def __call__(self, costs: Costs) -> float:
        known = ((left, costs[name]) for name, left in self._left.items() if name in costs)
        pairs = ((left[cost.output[2] - 1], left[-1]) for left, cost in known)
        return sum(total * math.log(total / kept) for kept, total in pairs if total)


def _fill(model: KerasModel, importance: ChannelImportance, costs: Costs) -> None:
    """Puts into a narrower model the channels that stay, and the mean of the others."""
    scores, reads = importance.scores, importance.reads
    kept = {}
    for name, score in scores.items():
        count = costs[name].output[2] if name in costs else len(score)
        kept[name] = np.sort(np.argsort(-score, kind="stable")[:count])

    def stay(parts: tuple[str, ...]) -> np.ndarray:
        starts = np.cumsum([0, *(len(scores[part]) for part in parts)])
        return np.concatenate([a + kept[part] for a, part in zip(starts[:-1], parts, strict=True)])

    values = {name: list(weights) for name, weights in importance.values.items()}
    for name, mean in importance.means.items():
        if place := importance.offset_of(name):
            layer, index = place
            cut = np.ones(len(mean), bool)
            cut[stay(reads[name])] = False
            shift = (mean * cut) @ values[name][0].sum((0, 1))
            # A normalisation subtracts its mean.
            values[layer][index] = values[layer][index] + (shift if layer == name else -shift)
    for layer in model.layers:
        if not layer.weights:
            continue
        name, weights = layer.name.removesuffix(".bn"), values[layer.name]
        writes = kept[name] if name in kept else stay(reads[name])
        if name != layer.name:
            weights = [w[writes] for w in weights]
        else:
            kernel, bias = weights[0], [b[writes] for b in weights[1:]]
            cut_in = kernel[:, :, stay(reads[name])]
            weights = [cut_in[..., writes] if name in kept else cut_in, *bias]
        layer.set_weights(weights)


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
