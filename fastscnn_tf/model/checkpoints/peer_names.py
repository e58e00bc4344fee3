"""What other implementations call the tensors of each of our layers.

The tables map our layer to their prefix of it; `path.conv/norm` names convolution and normalisation
where they are not called as everywhere else there, and either may be missing. In the names `{i}`
counts from 1 the separable convolutions of a stage, the bottlenecks of group `{g}`, or the bins of
the pyramid; `{b}` is one before, `{a}` one after, `{left}` what is left of four, and `{n}` counts
all bottlenecks from 0. Where Keras made the names, it counted the layers of each class in the order
of the code, and so does `_counted`.
"""

import collections
import dataclasses
import math
import re
from typing import TypeVar

import numpy as np

from ...core.config import FastSCNNConfig
from ..complexity import complexity
from ..folded import is_depthwise

# Our layer -> (their convolution, their batch normalisation); without one of them "".
Names = dict[str, tuple[str, str]]
Tensors = dict[str, np.ndarray]
T = TypeVar("T")  # tensors, or what is known of their layers

# How the names of kernel, bias, gamma, beta, mean and variance end.
_TORCH = (".weight", ".bias", ".weight", ".bias", ".running_mean", ".running_var")
_PADDLE = (".weight", ".bias", ".weight", ".bias", "._mean", "._variance")
_MINDSPORE = (".weight", ".bias", ".gamma", ".beta", ".moving_mean", ".moving_variance")
_KERAS = ("/kernel", "/bias", "/gamma", "/beta", "/moving_mean", "/moving_variance")

# A variable that only a class of Keras' layers has -> that class; the first one counts.
_CLASSES = {
    "pointwise_kernel": "separable_conv2d",
    "depthwise_kernel": "depthwise_conv2d",
    "moving_mean": "batch_normalization",
    "kernel": "conv2d",
}
# TensorFlow 2.0 says `batch_normalization_v2_7`.
_AUTOMATIC = re.compile(rf"(?:{'|'.join(_CLASSES.values())})(?:_v\d)?(?:_(\d+))?")


@dataclasses.dataclass(frozen=True)
class PeerFormat:
    """How an implementation names its tensors.

    Attributes:
        layers: our layers -> their prefixes, as above; empty where Keras made the names.
        aux_prefixes: beginnings of the tensors of its auxiliary heads.
        parts: ends of the names of a layer's tensors, as above.
        ends: last name part of convolutions and normalisations where a prefix has no `/`.
        joint: what stands before that part.
    """

    layers: dict[str, str]
    aux_prefixes: tuple[str, ...] = ()
    parts: tuple[str, ...] = _TORCH
    ends: tuple[str, str] = ("conv", "bn")
    joint: str = "."

    @property
    def is_keras(self) -> bool:
        """Whether kernels lie as ours do, (kh, kw, in, out)."""
        return self.parts == _KERAS

    @property
    def numbers_groups(self) -> bool:
        """Whether the names of a bottleneck say its group and its place there."""
        return any("{g}" in theirs for theirs in self.layers.values())

    def names(self, config: FastSCNNConfig) -> Names:
        """Our layers -> their prefixes, for a configuration."""
        if not self.layers:
            return _counted(config)
        return {
            ours.format(**numbers): self._both(theirs.format(**numbers, **_PARTS))
            for row in self.layers.items()
            for ours, theirs in _spread(*row)
            for numbers in _numbers(ours, config)
        }

    def _both(self, prefix: str) -> tuple[str, str]:
        path, both = prefix, "/".join(self.ends)
        if "/" in prefix:
            path, _, both = prefix.rpartition(".")
        conv, _, norm = both.partition("/")
        conv, norm = (f"{path}{self.joint}{end}" if end else "" for end in (conv, norm))
        return conv, norm

    def spelled(self, tensors: dict[str, T]) -> dict[str, T]:
        """The tensors of a file by the names that `names` gives.

        Of Keras' layers every kernel is called `kernel` then, a separable convolution is two
        layers, and automatic numbers count from 0, whatever their session had built before.
        """
        if not self.is_keras:
            return tensors
        layers: dict[str, dict[str, T]] = {}
        for name, value in tensors.items():
            layer, _, variable = name.rpartition("/")
            layers.setdefault(layer, {})[variable] = value
        found: dict[str, T] = {}
        counts: collections.Counter[str] = collections.Counter()
        for layer in layers if self.layers else sorted(layers, key=_number):
            variables = layers[layer]
            kind = next((name for told, name in _CLASSES.items() if told in variables), "")
            name = layer if self.layers or not kind else f"{kind}_{counts[kind]}"
            counts[kind] += 1
            for variable, value in variables.items():
                found[name + _spelled(kind, variable)] = value
        return found


def by_depth(tensors: Tensors, names: Names) -> Tensors:
    """The tensors, where Keras' numbers are those of the layers in the graph, not in the code.

    `.weights.h5` without names has them: the fusion's high branch is a layer shorter, and its
    normalisation comes behind the other branch's first one.
    """
    norms = [norm for _, norm in names.values() if norm]
    at = norms.index(names["fusion.high"][1])
    first, second = norms[at : at + 2]
    swapped = {first: second, second: first}
    parts = (name.rpartition("/") for name in tensors)
    again = (f"{swapped.get(layer, layer)}/{variable}" for layer, _, variable in parts)
    return dict(zip(again, tensors.values(), strict=True))


def _number(layer: str) -> float:
    """Where a layer stands among those of its class; those with names of their own come last."""
    match = _AUTOMATIC.fullmatch(layer.rpartition("/")[2])
    return int(match[1] or 0) if match else math.inf


def _spelled(kind: str, variable: str) -> str:
    if kind != "separable_conv2d":
        return f"/{variable.removeprefix('depthwise_')}"
    half = "depthwise" if variable == "depthwise_kernel" else "pointwise"
    return f".{half}/{variable.removeprefix(f'{half}_')}"


def _counted(config: FastSCNNConfig) -> Names:
    """Keras' automatic names: the fusion's high branch comes first in the code of all of them."""
    layers = [layer for layer in complexity(config).layers if layer.parameters]
    names = [layer.name for layer in layers]
    layers.insert(names.index("fusion.low_depthwise"), layers.pop(names.index("fusion.high")))
    counts: collections.Counter[str] = collections.Counter()

    def count(kind: str) -> str:
        counts[kind] += 1
        return f"{kind}_{counts[kind] - 1}"

    found: Names = {}
    separable = ""
    for layer in layers:
        conv = ""
        if separable:
            conv, separable = f"{separable}.pointwise", ""
        elif is_depthwise(layer.name) and not layer.norm_weights:
            separable = count("separable_conv2d")
            conv = f"{separable}.depthwise"
        elif layer.kernel:
            conv = count("depthwise_conv2d" if is_depthwise(layer.name) else "conv2d")
        found[layer.name] = conv, count("batch_normalization") if layer.norm_weights else ""
    return found


def _numbers(layer: str, config: FastSCNNConfig) -> list[dict[str, int]]:
    """What stands for the letters, for each layer that a name of ours is a pattern of."""
    if "{g}" in layer:
        groups = enumerate(config.repeats, 1)
        places = [(group, i) for group, repeats in groups for i in range(1, repeats + 1)]
        return [{"g": group, "n": n, **_around(i)} for n, (group, i) in enumerate(places)]
    if "{bins}" in layer:
        return [{"bins": n, **_around(i)} for i, n in enumerate(config.pyramid_bins, 1)]
    return [_around(i) for i in (1, 2)] if "{i}" in layer else [{}]


def _around(i: int) -> dict[str, int]:
    return {"i": i, "b": i - 1, "a": i + 1, "left": 4 - i}


_PARTS = {"down": "learning_to_downsample", "features": "global_feature_extractor"}

# Rows of several layers: `{a|b}` stands for a in one and for b in the next, on both sides.
_DOWN = "learning_to_downsample.ds{i}_{depthwise|pointwise}"
_BLOCK = "global_features.bottleneck{g}_{i}.{expand|depthwise|project}"
_HEAD = "classifier.ds{i}_{depthwise|pointwise}"
_CHOICE = re.compile(r"\{([^{}]*\|[^{}]*)\}")


def _spread(ours: str, theirs: str) -> list[tuple[str, str]]:
    """The rows that one stands for."""
    sides = [_CHOICE.split(side) for side in (ours, theirs)]
    if len(sides[0]) == 1:
        return [(ours, theirs)]
    (before, own, behind), (start, other, end) = sides
    pairs = zip(own.split("|"), other.split("|"), strict=True)
    return [(f"{before}{a}{behind}", f"{start}{b}{end}") for a, b in pairs]


_TRAMAC = {
    "learning_to_downsample.conv": "{down}.conv.conv.0/1",
    _DOWN: "{down}.dsconv{i}.conv.{0/1|3/4}",
    _BLOCK: "{features}.bottleneck{g}.{b}.block.{0.conv.0/1|1.conv.0/1|2/3}",
    "pyramid.bin{bins}": "{features}.ppm.conv{i}.conv.0/1",
    "pyramid.output": "{features}.ppm.out.conv.0/1",
    "fusion.low_depthwise": "feature_fusion.dwconv.conv.0/1",
    "fusion.low": "feature_fusion.conv_lower_res.0/1",
    "fusion.high": "feature_fusion.conv_higher_res.0/1",
    _HEAD: "classifier.dsconv{i}.conv.{0/1|3/4}",
    "classifier.logits": "classifier.conv.1/",
    "aux_ltd.conv": "auxlayer.0/1",
    "aux_ltd.logits": "auxlayer.4/",
}

_MMSEG = {
    "learning_to_downsample.conv": "backbone.{down}.conv",
    _DOWN: "backbone.{down}.dsconv{i}.{depthwise|pointwise}_conv",
    _BLOCK: "backbone.{features}.bottleneck{g}.{b}.conv.{0|1|2}",
    "pyramid.bin{bins}": "backbone.{features}.ppm.{b}.1",
    "pyramid.output": "backbone.{features}.out",
    "fusion.low_depthwise": "backbone.feature_fusion.dwconv",
    "fusion.low": "backbone.feature_fusion.conv_lower_res",
    "fusion.high": "backbone.feature_fusion.conv_higher_res",
    _HEAD: "decode_head.convs.{b}.{depthwise|pointwise}_conv",
    "classifier.logits": "decode_head.conv_seg/",
    "aux_gfe.conv": "auxiliary_head.0.convs.0",
    "aux_gfe.logits": "auxiliary_head.0.conv_seg/",
    "aux_ltd.conv": "auxiliary_head.1.convs.0",
    "aux_ltd.logits": "auxiliary_head.1.conv_seg/",
}

_GLUON = {
    "learning_to_downsample.conv": "stem.conv1",
    _DOWN: "stem.conv{a}.{dw|pw}_conv",
    _BLOCK: "features.features.stage{g}.unit{i}.conv{1|2|3}",
    "pyramid.bin{bins}": "pool.branches.branch{a}.conv",
    "pyramid.output": "pool.conv",
    "fusion.low_depthwise": "fusion.low_dw_conv",
    "fusion.low": "fusion.low_pw_conv",
    "fusion.high": "fusion.high_conv",
    _HEAD: "head.conv{i}.{dw|pw}_conv",
    "classifier.logits": "head.conv3/",
    "aux_ltd.conv": "aux_head.conv1",
    "aux_ltd.logits": "aux_head.conv2/",
}

# "piontwise" is the name in PaddleSeg's code; it concatenates the pyramid in reverse.
_PADDLESEG = {
    "learning_to_downsample.conv": "{down}.conv_bn_relu",
    _DOWN: "{down}.dsconv_bn_relu{i}.{depthwise|piontwise}_conv",
    _BLOCK: "{features}.bottleneck{g}.{b}.block.{0|1|2}",
    "pyramid.bin{bins}": "{features}.ppm.stages.{left}.1",
    "pyramid.output": "{features}.ppm.conv_bn_relu2",
    "fusion.low_depthwise": "feature_fusion.dwconv",
    "fusion.low": "feature_fusion.conv_low_res",
    "fusion.high": "feature_fusion.conv_high_res",
    _HEAD: "classifier.dsconv{i}.{depthwise|piontwise}_conv",
    "classifier.logits": "classifier.conv/",
    "aux_ltd.conv": "auxlayer.conv_bn_relu",
    "aux_ltd.logits": "auxlayer.conv/",
}

_ZH320 = {
    "learning_to_downsample.conv": "{down}.0.0/1",
    _DOWN: "{down}.{i}.{0|1}.0/1",
    _BLOCK: "{features}.bottlenecks.{n}.conv.{0|1|2}.0/1",
    "pyramid.bin{bins}": "{features}.ppm.stage{i}.1/",
    "pyramid.output": "{features}.ppm.conv.0/1",
    "fusion.low_depthwise": "feature_fusion.lower_res_conv.0.0/1",
    "fusion.low": "feature_fusion.lower_res_conv.1/",
    "fusion.high": "feature_fusion.higher_res_conv/",
    "fusion.add": "feature_fusion.non_linear./0",
    _HEAD: "classifier.{b}.{0|1}.0/1",
    "classifier.logits": "classifier.2.0/1",
}

_MINDSPORE_LAYERS = {
    **{ours: theirs for ours, theirs in _TRAMAC.items() if not ours.startswith("aux_")},
    "aux_ltd.conv": "auxlayer1.0/1",
    "aux_ltd.logits": "auxlayer1.4/",
    "aux_gfe.conv": "auxlayer2.0/1",
    "aux_gfe.logits": "auxlayer2.4/",
}

_SHRIEF = {
    "learning_to_downsample.conv": "ltd_conv1",
    _DOWN: "ltd_dsconv{a}.{dwconv/dw_bn|pwconv/pw_bn}",
    _BLOCK: "gfe_stage{g}_block{i}{_expand|.dwconv/dw_bn|_project}",
    "pyramid.bin{bins}": "gfe_ppm_conv_{b}",
    "pyramid.output": "gfe_ppm_out",
    "fusion.low_depthwise": "ffm_low.dwconv/dw_bn",
    "fusion.low": "ffm_low.pwconv/pw_bn",
    "fusion.high": "ffm_high",
    _HEAD: "classifier_dsconv{i}.{dwconv/dw_bn|pwconv/pw_bn}",
    "classifier.logits": "classifier.logits/",
}

PEERS: dict[str, PeerFormat] = {
    "mmseg": PeerFormat(_MMSEG, ("auxiliary_head.",)),
    "tramac": PeerFormat(_TRAMAC, ("auxlayer.",)),
    "paddleseg": PeerFormat(_PADDLESEG, ("auxlayer.",), _PADDLE, ("_conv", "_batch_norm")),
    "gluon": PeerFormat(_GLUON, ("aux_head.",)),
    "zh320": PeerFormat(_ZH320),
    "mindspore": PeerFormat(_MINDSPORE_LAYERS, ("auxlayer",), _MINDSPORE),
    "rachthree": PeerFormat({}, parts=_KERAS),
    "kshitizrimal": PeerFormat({}, parts=_KERAS),
    "skywa7ch3r": PeerFormat({}, parts=_KERAS),
    "kshitizrimal-notebook": PeerFormat({}, parts=_KERAS),  # the network of the one before
    "shrief": PeerFormat(_SHRIEF, parts=_KERAS, joint="_"),
}
