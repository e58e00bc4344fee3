"""What other implementations call the tensors of each of our layers.

The tables map our layer to their prefix of it; `path.conv/norm` names convolution and normalisation
where they are not called as everywhere else there, and either may be missing. In the names `{i}`
counts from 1 the separable convolutions of a stage, the bottlenecks of group `{g}`, or the bins of
the pyramid; `{b}` is one before, `{a}` one after, `{left}` what is left of four, and `{n}` counts
all bottlenecks from 0.
"""

from __future__ import annotations

import dataclasses

from ...core.config import FastSCNNConfig

# Our layer -> (their convolution, their batch normalisation); without one of them "".
Names = dict[str, tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class PeerFormat:
    """How an implementation names its tensors.

    Attributes:
        layers: our layers -> their prefixes, as above.
        aux_prefixes: beginnings of the tensors of its auxiliary heads.
        mean, variance: last name part of the running statistics.
        ends: last name part of convolutions and normalisations where a prefix has no `/`.
    """

    layers: dict[str, str]
    aux_prefixes: tuple[str, ...]
    mean: str = "running_mean"
    variance: str = "running_var"
    ends: tuple[str, str] = ("conv", "bn")

    def names(self, config: FastSCNNConfig) -> Names:
        """Our layers -> their prefixes, for a configuration."""
        return {
            ours.format(**numbers): self._both(theirs.format(**numbers, **_PARTS))
            for ours, theirs in self.layers.items()
            for numbers in _numbers(ours, config)
        }

    def _both(self, prefix: str) -> tuple[str, str]:
        if "/" not in prefix:
            return f"{prefix}.{self.ends[0]}", f"{prefix}.{self.ends[1]}"
        path, _, ends = prefix.rpartition(".")
        conv, _, norm = (f"{path}.{end}" if end else "" for end in ends.partition("/"))
        return conv, norm


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

_TRAMAC = {
    "learning_to_downsample.conv": "{down}.conv.conv.0/1",
    "learning_to_downsample.ds{i}_depthwise": "{down}.dsconv{i}.conv.0/1",
    "learning_to_downsample.ds{i}_pointwise": "{down}.dsconv{i}.conv.3/4",
    "global_features.bottleneck{g}_{i}.expand": "{features}.bottleneck{g}.{b}.block.0.conv.0/1",
    "global_features.bottleneck{g}_{i}.depthwise": "{features}.bottleneck{g}.{b}.block.1.conv.0/1",
    "global_features.bottleneck{g}_{i}.project": "{features}.bottleneck{g}.{b}.block.2/3",
    "pyramid.bin{bins}": "{features}.ppm.conv{i}.conv.0/1",
    "pyramid.output": "{features}.ppm.out.conv.0/1",
    "fusion.low_depthwise": "feature_fusion.dwconv.conv.0/1",
    "fusion.low": "feature_fusion.conv_lower_res.0/1",
    "fusion.high": "feature_fusion.conv_higher_res.0/1",
    "classifier.ds{i}_depthwise": "classifier.dsconv{i}.conv.0/1",
    "classifier.ds{i}_pointwise": "classifier.dsconv{i}.conv.3/4",
    "classifier.logits": "classifier.conv.1/",
    "aux_ltd.conv": "auxlayer.0/1",
    "aux_ltd.logits": "auxlayer.4/",
}

_MMSEG = {
    "learning_to_downsample.conv": "backbone.{down}.conv",
    "learning_to_downsample.ds{i}_depthwise": "backbone.{down}.dsconv{i}.depthwise_conv",
    "learning_to_downsample.ds{i}_pointwise": "backbone.{down}.dsconv{i}.pointwise_conv",
    "global_features.bottleneck{g}_{i}.expand": "backbone.{features}.bottleneck{g}.{b}.conv.0",
    "global_features.bottleneck{g}_{i}.depthwise": "backbone.{features}.bottleneck{g}.{b}.conv.1",
    "global_features.bottleneck{g}_{i}.project": "backbone.{features}.bottleneck{g}.{b}.conv.2",
    "pyramid.bin{bins}": "backbone.{features}.ppm.{b}.1",
    "pyramid.output": "backbone.{features}.out",
    "fusion.low_depthwise": "backbone.feature_fusion.dwconv",
    "fusion.low": "backbone.feature_fusion.conv_lower_res",
    "fusion.high": "backbone.feature_fusion.conv_higher_res",
    "classifier.ds{i}_depthwise": "decode_head.convs.{b}.depthwise_conv",
    "classifier.ds{i}_pointwise": "decode_head.convs.{b}.pointwise_conv",
    "classifier.logits": "decode_head.conv_seg/",
    "aux_gfe.conv": "auxiliary_head.0.convs.0",
    "aux_gfe.logits": "auxiliary_head.0.conv_seg/",
    "aux_ltd.conv": "auxiliary_head.1.convs.0",
    "aux_ltd.logits": "auxiliary_head.1.conv_seg/",
}

_GLUON = {
    "learning_to_downsample.conv": "stem.conv1",
    "learning_to_downsample.ds{i}_depthwise": "stem.conv{a}.dw_conv",
    "learning_to_downsample.ds{i}_pointwise": "stem.conv{a}.pw_conv",
    "global_features.bottleneck{g}_{i}.expand": "features.features.stage{g}.unit{i}.conv1",
    "global_features.bottleneck{g}_{i}.depthwise": "features.features.stage{g}.unit{i}.conv2",
    "global_features.bottleneck{g}_{i}.project": "features.features.stage{g}.unit{i}.conv3",
    "pyramid.bin{bins}": "pool.branches.branch{a}.conv",
    "pyramid.output": "pool.conv",
    "fusion.low_depthwise": "fusion.low_dw_conv",
    "fusion.low": "fusion.low_pw_conv",
    "fusion.high": "fusion.high_conv",
    "classifier.ds{i}_depthwise": "head.conv{i}.dw_conv",
    "classifier.ds{i}_pointwise": "head.conv{i}.pw_conv",
    "classifier.logits": "head.conv3/",
    "aux_ltd.conv": "aux_head.conv1",
    "aux_ltd.logits": "aux_head.conv2/",
}

# "piontwise" is the name in PaddleSeg's code; it concatenates the pyramid in reverse.
_PADDLESEG = {
    "learning_to_downsample.conv": "{down}.conv_bn_relu",
    "learning_to_downsample.ds{i}_depthwise": "{down}.dsconv_bn_relu{i}.depthwise_conv",
    "learning_to_downsample.ds{i}_pointwise": "{down}.dsconv_bn_relu{i}.piontwise_conv",
    "global_features.bottleneck{g}_{i}.expand": "{features}.bottleneck{g}.{b}.block.0",
    "global_features.bottleneck{g}_{i}.depthwise": "{features}.bottleneck{g}.{b}.block.1",
    "global_features.bottleneck{g}_{i}.project": "{features}.bottleneck{g}.{b}.block.2",
    "pyramid.bin{bins}": "{features}.ppm.stages.{left}.1",
    "pyramid.output": "{features}.ppm.conv_bn_relu2",
    "fusion.low_depthwise": "feature_fusion.dwconv",
    "fusion.low": "feature_fusion.conv_low_res",
    "fusion.high": "feature_fusion.conv_high_res",
    "classifier.ds{i}_depthwise": "classifier.dsconv{i}.depthwise_conv",
    "classifier.ds{i}_pointwise": "classifier.dsconv{i}.piontwise_conv",
    "classifier.logits": "classifier.conv/",
    "aux_ltd.conv": "auxlayer.conv_bn_relu",
    "aux_ltd.logits": "auxlayer.conv/",
}

_ZH320 = {
    "learning_to_downsample.conv": "{down}.0.0/1",
    "learning_to_downsample.ds{i}_depthwise": "{down}.{i}.0.0/1",
    "learning_to_downsample.ds{i}_pointwise": "{down}.{i}.1.0/1",
    "global_features.bottleneck{g}_{i}.expand": "{features}.bottlenecks.{n}.conv.0.0/1",
    "global_features.bottleneck{g}_{i}.depthwise": "{features}.bottlenecks.{n}.conv.1.0/1",
    "global_features.bottleneck{g}_{i}.project": "{features}.bottlenecks.{n}.conv.2.0/1",
    "pyramid.bin{bins}": "{features}.ppm.stage{i}.1/",
    "pyramid.output": "{features}.ppm.conv.0/1",
    "fusion.low_depthwise": "feature_fusion.lower_res_conv.0.0/1",
    "fusion.low": "feature_fusion.lower_res_conv.1/",
    "fusion.high": "feature_fusion.higher_res_conv/",
    "fusion.add": "feature_fusion.non_linear./0",
    "classifier.ds{i}_depthwise": "classifier.{b}.0.0/1",
    "classifier.ds{i}_pointwise": "classifier.{b}.1.0/1",
    "classifier.logits": "classifier.2.0/1",
}


PEERS: dict[str, PeerFormat] = {
    "mmseg": PeerFormat(_MMSEG, ("auxiliary_head.",)),
    "tramac": PeerFormat(_TRAMAC, ("auxlayer.",)),
    "paddleseg": PeerFormat(
        _PADDLESEG, ("auxlayer.",), "_mean", "_variance", ("_conv", "_batch_norm")
    ),
    "gluon": PeerFormat(_GLUON, ("aux_head.",)),
    "zh320": PeerFormat(_ZH320, ()),
}
