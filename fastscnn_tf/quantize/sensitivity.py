"""`Sensitivity`: what int8 changes in every layer, and what returns when one stays in float."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..model.folded import FoldedNetwork
from ..model.ranges import LOGITS
from .device_blocks import BlockLayer, DeviceBlocks, FloatBlocks, OwnErrors, Signal
from .layer_stats import LayerComparison, LayerCounts

Scorer = Callable[[list[np.ndarray]], np.ndarray]  # logits of the images -> confusion matrix


class LogitsCounts:
    """Logits of one network against those of the float network.

    Attributes:
        logits: their values.
        divergence: sum over the cells of the Kullback-Leibler divergence of their class
            probabilities from the float network's, nats.
        cells, equal: cells at 1/8, and those with the same argmax.
        matrix: confusion matrix at the label maps' size, where there is a scorer.
    """

    def __init__(self) -> None:
        self.logits = LayerComparison()
        self.divergence, self.cells, self.equal = 0.0, 0, 0
        self.matrix: np.ndarray | int = 0

    def add(self, expected: np.ndarray, got: Signal, scorer: Scorer | None) -> None:
        """Logits (B, h, w, classes) of the same images."""
        values = got.x.numpy()
        if got.grid is not None:
            # As integers, so that ties between classes stay ties.
            levels = np.rint(values / np.float32(got.grid.step))
        else:
            levels = values
        self.logits.add(expected, values)
        first, second = _log_shares(expected), _log_shares(values)
        self.divergence += float((np.exp(first) * (first - second)).sum())
        same = expected.argmax(-1) == levels.argmax(-1)
        self.cells, self.equal = self.cells + same.size, self.equal + int(np.count_nonzero(same))
        if scorer:
            self.matrix = self.matrix + scorer(list(levels))

    @property
    def agreement(self) -> float:
        """Share of the cells with the same argmax, 0..1."""
        return self.equal / self.cells


class Sensitivity:
    """Adds up, over images, what int8 does to a network.

    Args:
        network: weights and ranges.

    Attributes:
        layers: layer -> what it does.
        counts: layer -> its errors and values.
        real, device: the logits of the float and of the int8 network.
        alone: layer -> the logits of the int8 network in which it stays in float.
    """

    def __init__(self, network: FoldedNetwork) -> None:
        self.network = network
        self.layers: dict[str, BlockLayer] = {}
        self.counts: dict[str, LayerCounts] = {}
        self.real, self.device = LogitsCounts(), LogitsCounts()
        self.alone: dict[str, LogitsCounts] = {}

    def add(self, images: Any, scorer: Scorer | None = None) -> None:
        """Runs normalised images (B, H, W, 3) float32 of the network's size.

        Args:
            images: the images.
            scorer: takes their logits at 1/8 and counts them against their label maps.
        """
        real, device = FloatBlocks(self.network), DeviceBlocks(self.network)
        real.run(images)
        device.run(images)
        own = OwnErrors(self.network, real.signals)
        own.run(images)
        self.layers = real.layers
        for name in real.layers:
            counts = self.counts.setdefault(name, LayerCounts(device.grid_of(name)))
            expected = real.signals[name].x.numpy()
            counts.look(expected)
            counts.whole.add(expected, device.signals[name].x.numpy())
            counts.own.add(own.expected[name].numpy(), own.signals[name].x.numpy())
        expected = real.signals[LOGITS].x.numpy()
        self.real.add(expected, real.signals[LOGITS], scorer)
        self.device.add(expected, device.signals[LOGITS], scorer)
        del real, own
        for name in self.layers:
            logits = DeviceBlocks(self.network, (name,), device.signals).run(images)
            self.alone.setdefault(name, LogitsCounts()).add(expected, logits, scorer)


def _log_shares(logits: np.ndarray) -> np.ndarray:
    """Logarithms of the softmax over the last axis, float64."""
    logits = logits.astype(np.float64)
    logits -= logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))
