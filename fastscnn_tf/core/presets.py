"""Named architectures: the paper's, and those of public implementations whose weights people have.

Each entry lists how the implementation differs from the defaults of `FastSCNNConfig`, which are
the paper's. Read in their code and checked against outputs of the original programs.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

# PyTorch's defaults: momentum 0.1 there is a decay of 0.9 here.
_TORCH_NORM = {"bn_epsilon": 1e-5, "bn_momentum": 0.9}
_TORCH_PADDING = {"stem_padding": "symmetric", "stride_padding": "symmetric"}
# The upsampled deep branch meets a plain depthwise convolution at 1/8; none kept the dilation.
_PLAIN_FUSION = {"fusion_order": "resize_first", "fusion_dilation": 1}
_ALL_ALIGNED = {"align_corners": ("pyramid", "fusion", "logits")}
_IMAGENET = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}

_TRAMAC = {
    **_TORCH_NORM,
    **_PLAIN_FUSION,
    **_ALL_ALIGNED,
    **_IMAGENET,
    "separable_relu": True,
    "conv_bias": ("fusion.low", "fusion.high"),
    "stem_padding": "valid",
    "stride_padding": "symmetric",
    "aux_layout": ("ltd",),
}

PRESETS: MappingProxyType[str, dict[str, Any]] = MappingProxyType(
    {
        "paper": {},
        "mmseg": {
            **_TORCH_NORM,
            **_TORCH_PADDING,
            **_PLAIN_FUSION,
            **_IMAGENET,
            "bn_momentum": 0.99,
            "pyramid_kernel": 3,
        },
        "paddleseg": {
            **_TORCH_NORM,
            **_PLAIN_FUSION,
            # Its ConvBNReLU pads "same", as TensorFlow does; its depthwise layers pad 1.
            "stem_padding": "same",
            "stride_padding": "symmetric",
            "align_corners": ("pyramid",),
            "pyramid_bins": (6, 3, 2, 1),  # the order in which it concatenates them
            "pyramid_kernel": 3,
            "conv_bias": (
                "learning_to_downsample.*",
                "pyramid.*",
                "fusion.low",
                "fusion.high",
                "classifier.*",
                "aux_ltd.*",
            ),
            "aux_layout": ("ltd",),
            "mean": (127.5, 127.5, 127.5),
            "std": (127.5, 127.5, 127.5),
        },
        "gluon": {**_TRAMAC, "aux_width": 64},
        "tramac": _TRAMAC,
        # Tramac's; its first convolution pads as TensorFlow does, and it has both heads.
        "mindspore": {**_TRAMAC, "stem_padding": "same", "aux_layout": ("ltd", "gfe")},
        "zh320": {
            **_TORCH_NORM,
            **_TORCH_PADDING,
            **_PLAIN_FUSION,
            **_ALL_ALIGNED,
            **_IMAGENET,
            "separable_relu": True,
            "conv_bias": ("*_pointwise", "*.expand", "pyramid.output"),
            "repeats": (3, 2, 3),
            "pyramid_bins": (1, 2, 4, 6),
            "pyramid_branch_norm": False,
            "fusion_norm": "sum",
            "logits_norm": True,
            "dropout": 0.0,
            "aux_layout": (),
        },
    }
)
