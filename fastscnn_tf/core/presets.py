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

_BYTES = {"mean": (0.0, 0.0, 0.0), "std": (255.0, 255.0, 255.0)}

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

_ALL_BUT_DEPTHWISE = (
    "learning_to_downsample.conv",
    "global_features.*",
    "pyramid.*",
    "*_pointwise",
    "fusion.low",
    "fusion.high",
)
# Keras' SeparableConv2D and UpSampling2D; pooled with pool_size = strides = size // bins. Nearest
# upsampling by 4 commutes with the script's depthwise convolution of dilation 4, to the border.
_KSHITIZRIMAL = {
    **_BYTES,
    "separable_norm": False,
    "conv_bias": _ALL_BUT_DEPTHWISE,
    "pyramid_bins": (2, 4, 6, 8),
    "pyramid_pooling": "floor",
    "pyramid_branch": "strided",
    "pyramid_branch_width": 128,
    "pyramid_branch_norm": False,
    "pyramid_kernel": 0,
    "fusion_branch": "separable",
    "fusion_norm": "high_and_sum",
    "nearest": ("fusion", "logits"),
    "logits_norm": True,
    "logits_relu": False,
    "dropout": 0.3,
    "dropout_at": "logits",
    "aux_layout": (),
}
# Its notebook has a plain depthwise convolution in the fusion; SkyWa7ch3r's code is that notebook.
_NOTEBOOK = {
    **_KSHITIZRIMAL,
    **_PLAIN_FUSION,
    "fusion_branch": "depthwise",
    "conv_bias": (*_ALL_BUT_DEPTHWISE, "fusion.low_depthwise"),
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
        # Tramac's; its first convolution pads as TensorFlow does, the windows of its pyramid are
        # those of images of 768x768, its convolutions have no bias, and it has both heads.
        "mindspore": {
            **_TRAMAC,
            "conv_bias": (),
            "stem_padding": "same",
            "pyramid_pooling": "fixed",
            "pyramid_windows": (24, 12, 8, 4),
            "logits_bias": False,
            "aux_layout": ("ltd", "gfe"),
        },
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
        "rachthree": {
            **_BYTES,
            "fusion_order": "resize_first",
            "conv_bias": (
                "learning_to_downsample.*",
                "global_features.*",
                "fusion.*",
                "classifier.*",
                "aux_*",
            ),
            "pyramid_bins": (1, 2, 4, 8),
            "pyramid_pooling": "floor",
            "pyramid_kernel": 0,
            "logits_norm": True,
            "logits_relu": False,
            "dropout": 0.3,
            "aux_head": "separable",
        },
        "kshitizrimal": _KSHITIZRIMAL,
        "kshitizrimal-notebook": _NOTEBOOK,
        "skywa7ch3r": {**_NOTEBOOK, "num_classes": 20},  # the last one is Cityscapes' void
        # The student of a distillation, for tissue of 256x256 pixels.
        "shrief": {
            **_BYTES,
            "num_classes": 2,
            "input_size": (256, 256),
            "repeats": (2, 2, 2),
            "expansion": 4,
            "head_widths": (64, 64, 64),
            "separable_relu": True,
            "pyramid_pooling": "ceil",
            "pyramid_branch_width": 64,
            **_PLAIN_FUSION,
            "fusion_branch": "linear",
            "aux_layout": (),
        },
    }
)
