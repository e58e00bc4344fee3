"""Names for the weights of an ONNX file whose exporter folded the normalisations and lost names.

The order of the graph tells which layer a convolution is (see `onnx_file`). A folded normalisation
becomes one that changes nothing: the network computes what the file does.
"""

import itertools
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...core.config import FastSCNNConfig
from ...core.console import LOG
from ...core.errors import ModelFileError
from ..complexity import LayerCost, complexity
from ..folded import is_depthwise
from .peer_names import PEERS, PeerFormat

STEPS = 5  # convolutions of stride 2: three at the beginning, and one in each of two groups
EXPORTED = ("tramac", "mmseg", "zh320")  # sources whose graphs are known
_COUNTED = re.compile(r"(\d+\.(?:Conv|BatchNormalization|Resize))\.(\w+)")
_FUSED, _DEEP = "fusion.high", "global_features"

Arrays = dict[str, np.ndarray]


def named_by_order(tensors: Arrays, path: Any, asked: str = "auto") -> Arrays:
    """Tensors under the names of the implementation whose graph this is; others as they are.

    Raises:
        ModelFileError: it is the graph of none.
    """
    parts = [_COUNTED.fullmatch(name) for name in tensors]
    if not tensors or not all(parts):
        return tensors
    units: dict[str, Arrays] = {}
    for part, value in zip(parts, tensors.values(), strict=True):
        assert part
        units.setdefault(part[1], {})[part[2]] = value
    convolutions = sum(name.endswith(".Conv") for name in units)
    for source in EXPORTED:
        for order in _orders(FastSCNNConfig.preset(source)):
            if named := _matched(units, PEERS[source], FastSCNNConfig.preset(source), order):
                if asked not in ("auto", source):  # which is refused as such
                    return named
                LOG.warning(
                    "%s: its normalisations are folded and names lost: its %d convolutions were "
                    "taken for those of %s in the order of the graph",
                    *(path, convolutions, source),
                )
                return named
    raise ModelFileError(
        f"{path}: a graph of {convolutions} convolutions without names, not in the order of "
        f"{', '.join(EXPORTED)}: give the checkpoint that it was exported from"
    )


def _orders(config: FastSCNNConfig) -> Iterator[list[LayerCost]]:
    """Layers with weights as a graph may have them: either input of the fusion comes first."""
    costs = complexity(config.replace(input_size=(32, 32), pad=False)).layers
    layers = [cost for cost in costs if cost.parameters]
    yield layers
    high = next(cost for cost in layers if cost.name == _FUSED)
    first = next(i for i, cost in enumerate(layers) if cost.name.startswith(_DEEP))
    rest = [cost for cost in layers if cost is not high]
    yield [*rest[:first], high, *rest[first:]]


def _matched(
    units: dict[str, Arrays], peer: PeerFormat, config: FastSCNNConfig, order: list[LayerCost]
) -> Arrays:
    """The tensors by name, or nothing where the graph is another."""
    left = [(name.partition(".")[2], u) for name, u in units.items() if "align_corners" not in u]
    if not left or not _same_ways(units, config):
        return {}
    named: Arrays = {}
    names, waiting = peer.names(config), itertools.chain(left, [("", {})])
    kind, unit = next(waiting)
    for cost in order:
        conv, norm = names[cost.name]
        folded = None
        if cost.kernel:
            if kind != "Conv" or not _fits(unit.get("weight"), cost):
                return {}
            named[f"{conv}{peer.parts[0]}"] = unit["weight"]
            folded = unit.get("bias")
            kind, unit = next(waiting)
        if kind == "BatchNormalization" and cost.norm_weights:
            values = [unit.get(part) for part in ("weight", "bias", "running_mean", "running_var")]
            kind, unit = next(waiting)
        elif cost.norm_weights and cost.kernel:
            values, folded = _unchanging(named, conv, peer, folded, config), None
        else:
            values = [None] * 4
        pairs = zip(peer.parts[2:], values, strict=True)
        named |= {f"{norm}{part}": value for part, value in pairs if value is not None}
        if folded is not None or cost.bias_weights:
            zeros = np.zeros(cost.output[2], np.float32)
            named[f"{conv}{peer.parts[1]}"] = zeros if folded is None else folded
    return {} if kind else named


def _same_ways(units: dict[str, Arrays], config: FastSCNNConfig) -> bool:
    """Whether resizes, the first padding, strides and dilations are those of a network.

    Kernels alone would not tell another architecture, and its results would be wrong.
    """
    aligned = {bool(u["align_corners"]) for u in units.values() if "align_corners" in u}
    convolutions = [u for u in units.values() if "pads" in u]
    steps = sum(u["strides"].tolist() == [2, 2] for u in convolutions)
    return (
        aligned <= {bool(config.align_corners)}
        and convolutions[0]["pads"].tolist() == [int(config.stem_padding == "symmetric")] * 4
        and all((u["dilations"] == 1).all() for u in convolutions)
        and steps == STEPS
    )


def _fits(kernel: np.ndarray | None, cost: LayerCost) -> bool:
    """Whether a kernel is of the layer's extent, and depthwise where that is; widths may differ."""
    if kernel is None or kernel.ndim != 4 or kernel.shape[2:] != cost.kernel[:2]:
        return False
    return (kernel.shape[1] == 1) == is_depthwise(cost.name)


def _unchanging(
    named: Arrays, conv: str, peer: PeerFormat, bias: np.ndarray | None, config: FastSCNNConfig
) -> list[np.ndarray | None]:
    """Scale, shift, mean and variance that only add the folded bias."""
    channels = len(named[f"{conv}{peer.parts[0]}"])
    ones, zeros = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    return [ones, zeros if bias is None else bias, zeros, ones - np.float32(config.bn_epsilon)]
