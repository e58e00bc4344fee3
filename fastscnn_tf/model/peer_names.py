"""What other implementations call the tensors of each of our layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from ..core.config import FastSCNNConfig

# Our layer -> (their convolution, their batch normalisation); without one of them "".
Names = dict[str, tuple[str, str]]

BOTTLENECK_PARTS = ("expand", "depthwise", "project")


@dataclasses.dataclass(frozen=True)
class PeerFormat:
    """How an implementation names its tensors.

    Attributes:
        names: our layers -> their prefixes, for a configuration.
        aux_prefixes: beginnings of the tensors of its auxiliary heads.
        mean, variance: last name part of the running statistics.
    """

    names: Callable[[FastSCNNConfig], Names]
    aux_prefixes: tuple[str, ...]
    mean: str = "running_mean"
    variance: str = "running_var"


def _layers(
    stem: tuple[str, str],
    down: Callable[[int], tuple[tuple[str, str], tuple[str, str]]],
    block: Callable[[int, int, int], tuple[tuple[str, str], ...]],
    bins: Callable[[int], tuple[str, str]],
    head: Callable[[int], tuple[tuple[str, str], tuple[str, str]]],
    rest: Names,
) -> Callable[[FastSCNNConfig], Names]:
    """Puts the regular parts together; `rest` holds what is single."""

    def names(config: FastSCNNConfig) -> Names:
        found: Names = {"learning_to_downsample.conv": stem}
        for stage, pair in (("learning_to_downsample", down), ("classifier", head)):
            for i in (1, 2):
                depthwise, pointwise = pair(i)
                found[f"{stage}.ds{i}_depthwise"] = depthwise
                found[f"{stage}.ds{i}_pointwise"] = pointwise
        count = 0
        for group, repeats in enumerate(config.repeats, 1):
            for i in range(repeats):
                parts = zip(BOTTLENECK_PARTS, block(group, i, count), strict=True)
                for part, prefixes in parts:
                    found[f"global_features.bottleneck{group}_{i + 1}.{part}"] = prefixes
                count += 1
        for i, n in enumerate(config.pyramid_bins):
            found[f"pyramid.bin{n}"] = bins(i)
        return found | rest

    return names


def _both(prefix: str, conv: str, norm: str) -> tuple[str, str]:
    return f"{prefix}{conv}", f"{prefix}{norm}"


def _sequence(prefix: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Depthwise, BN, ReLU, pointwise, BN, ReLU in one `Sequential`."""
    return _both(prefix, "0", "1"), _both(prefix, "3", "4")


_EXTRACTOR = "global_feature_extractor"

_tramac = _layers(
    stem=_both("learning_to_downsample.conv.conv.", "0", "1"),
    down=lambda i: _sequence(f"learning_to_downsample.dsconv{i}.conv."),
    block=lambda g, i, n: (
        _both(f"{_EXTRACTOR}.bottleneck{g}.{i}.block.0.conv.", "0", "1"),
        _both(f"{_EXTRACTOR}.bottleneck{g}.{i}.block.1.conv.", "0", "1"),
        _both(f"{_EXTRACTOR}.bottleneck{g}.{i}.block.", "2", "3"),
    ),
    bins=lambda i: _both(f"{_EXTRACTOR}.ppm.conv{i + 1}.conv.", "0", "1"),
    head=lambda i: _sequence(f"classifier.dsconv{i}.conv."),
    rest={
        "pyramid.output": _both(f"{_EXTRACTOR}.ppm.out.conv.", "0", "1"),
        "fusion.low_depthwise": _both("feature_fusion.dwconv.conv.", "0", "1"),
        "fusion.low": _both("feature_fusion.conv_lower_res.", "0", "1"),
        "fusion.high": _both("feature_fusion.conv_higher_res.", "0", "1"),
        "classifier.logits": ("classifier.conv.1", ""),
        "aux_ltd.conv": _both("auxlayer.", "0", "1"),
        "aux_ltd.logits": ("auxlayer.4", ""),
    },
)


def _modules(prefix: str) -> tuple[str, str]:
    """mmcv's ConvModule, pytorchcv's ConvBlock."""
    return _both(f"{prefix}.", "conv", "bn")


_mmseg = _layers(
    stem=_modules("backbone.learning_to_downsample.conv"),
    down=lambda i: (
        _modules(f"backbone.learning_to_downsample.dsconv{i}.depthwise_conv"),
        _modules(f"backbone.learning_to_downsample.dsconv{i}.pointwise_conv"),
    ),
    block=lambda g, i, n: tuple(
        _modules(f"backbone.{_EXTRACTOR}.bottleneck{g}.{i}.conv.{k}") for k in range(3)
    ),
    bins=lambda i: _modules(f"backbone.{_EXTRACTOR}.ppm.{i}.1"),
    head=lambda i: (
        _modules(f"decode_head.convs.{i - 1}.depthwise_conv"),
        _modules(f"decode_head.convs.{i - 1}.pointwise_conv"),
    ),
    rest={
        "pyramid.output": _modules(f"backbone.{_EXTRACTOR}.out"),
        "fusion.low_depthwise": _modules("backbone.feature_fusion.dwconv"),
        "fusion.low": _modules("backbone.feature_fusion.conv_lower_res"),
        "fusion.high": _modules("backbone.feature_fusion.conv_higher_res"),
        "classifier.logits": ("decode_head.conv_seg", ""),
        "aux_gfe.conv": _modules("auxiliary_head.0.convs.0"),
        "aux_gfe.logits": ("auxiliary_head.0.conv_seg", ""),
        "aux_ltd.conv": _modules("auxiliary_head.1.convs.0"),
        "aux_ltd.logits": ("auxiliary_head.1.conv_seg", ""),
    },
)

_gluon = _layers(
    stem=_modules("stem.conv1"),
    down=lambda i: (_modules(f"stem.conv{i + 1}.dw_conv"), _modules(f"stem.conv{i + 1}.pw_conv")),
    block=lambda g, i, n: tuple(
        _modules(f"features.features.stage{g}.unit{i + 1}.conv{k}") for k in (1, 2, 3)
    ),
    bins=lambda i: _modules(f"pool.branches.branch{i + 2}.conv"),
    head=lambda i: (_modules(f"head.conv{i}.dw_conv"), _modules(f"head.conv{i}.pw_conv")),
    rest={
        "pyramid.output": _modules("pool.conv"),
        "fusion.low_depthwise": _modules("fusion.low_dw_conv"),
        "fusion.low": _modules("fusion.low_pw_conv"),
        "fusion.high": _modules("fusion.high_conv"),
        "classifier.logits": ("head.conv3", ""),
        "aux_ltd.conv": _modules("aux_head.conv1"),
        "aux_ltd.logits": ("aux_head.conv2", ""),
    },
)


def _paddle(prefix: str) -> tuple[str, str]:
    return _both(f"{prefix}.", "_conv", "_batch_norm")


# "piontwise" is the name in PaddleSeg's code.
_paddleseg = _layers(
    stem=_paddle("learning_to_downsample.conv_bn_relu"),
    down=lambda i: (
        _paddle(f"learning_to_downsample.dsconv_bn_relu{i}.depthwise_conv"),
        _paddle(f"learning_to_downsample.dsconv_bn_relu{i}.piontwise_conv"),
    ),
    block=lambda g, i, n: tuple(
        _paddle(f"{_EXTRACTOR}.bottleneck{g}.{i}.block.{k}") for k in range(3)
    ),
    bins=lambda i: _paddle(f"{_EXTRACTOR}.ppm.stages.{3 - i}.1"),  # concatenated in reverse
    head=lambda i: (
        _paddle(f"classifier.dsconv{i}.depthwise_conv"),
        _paddle(f"classifier.dsconv{i}.piontwise_conv"),
    ),
    rest={
        "pyramid.output": _paddle(f"{_EXTRACTOR}.ppm.conv_bn_relu2"),
        "fusion.low_depthwise": _paddle("feature_fusion.dwconv"),
        "fusion.low": _paddle("feature_fusion.conv_low_res"),
        "fusion.high": _paddle("feature_fusion.conv_high_res"),
        "classifier.logits": ("classifier.conv", ""),
        "aux_ltd.conv": _paddle("auxlayer.conv_bn_relu"),
        "aux_ltd.logits": ("auxlayer.conv", ""),
    },
)

_zh320 = _layers(
    stem=_both("learning_to_downsample.0.", "0", "1"),
    down=lambda i: (
        _both(f"learning_to_downsample.{i}.0.", "0", "1"),
        _both(f"learning_to_downsample.{i}.1.", "0", "1"),
    ),
    block=lambda g, i, n: tuple(
        _both(f"{_EXTRACTOR}.bottlenecks.{n}.conv.{k}.", "0", "1") for k in range(3)
    ),
    bins=lambda i: (f"{_EXTRACTOR}.ppm.stage{i + 1}.1", ""),
    head=lambda i: (
        _both(f"classifier.{i - 1}.0.", "0", "1"),
        _both(f"classifier.{i - 1}.1.", "0", "1"),
    ),
    rest={
        "pyramid.output": _both(f"{_EXTRACTOR}.ppm.conv.", "0", "1"),
        "fusion.low_depthwise": _both("feature_fusion.lower_res_conv.0.", "0", "1"),
        "fusion.low": ("feature_fusion.lower_res_conv.1", ""),
        "fusion.high": ("feature_fusion.higher_res_conv", ""),
        "fusion.add": ("", "feature_fusion.non_linear.0"),
        "classifier.logits": _both("classifier.2.", "0", "1"),
    },
)

PEERS: dict[str, PeerFormat] = {
    "mmseg": PeerFormat(_mmseg, ("auxiliary_head.",)),
    "tramac": PeerFormat(_tramac, ("auxlayer.",)),
    "paddleseg": PeerFormat(_paddleseg, ("auxlayer.",), "_mean", "_variance"),
    "gluon": PeerFormat(_gluon, ("aux_head.",)),
    "zh320": PeerFormat(_zh320, ()),
}
