"""Fast-SCNN in the order of the paper's table 1, written once.

`blocks` decides what the words mean: Keras layers for training (`keras_blocks`), quantization
wrappers for fine-tuning (`quantize.qat_blocks`), bare TensorFlow operations for export
(`export.graph`) or shapes only (`complexity`). A network is thereby never described twice.

Names are `stage.part`; Keras 3 refuses `/` in names.
"""

from __future__ import annotations

from typing import Any, Protocol

from ..core.config import FastSCNNConfig
from ..core.sizes import Size

EXPANSION = 6  # bottleneck expansion factor t (table 1)
# (channels c, repeats n, stride s) of the three bottleneck groups (table 1)
BOTTLENECKS = ((64, 3, 2), (96, 3, 2), (128, 3, 1))
PYRAMID_WIDTH = 32  # each pyramid branch: a quarter of the 128 input channels, as in PSPNet
DEEP = 128  # channels of the global features, the fusion and the classifier
AUX_WIDTH = 32  # hidden channels of an auxiliary head; the paper is silent
FUSION_DILATION = 4  # table 3: depthwise convolution with dilation 4 on the upsampled branch

Tensor = Any


class Blocks(Protocol):
    """The vocabulary of the topology. Tensors are NHWC; `name` is unique.

    A convolution is followed by batch normalisation unless `bias` is set.
    """

    def conv(
        self,
        x: Tensor,
        filters: int,
        kernel: int,
        *,
        name: str,
        stride: int = 1,
        relu: bool = True,
        bias: bool = False,
    ) -> Tensor: ...
    def depthwise(
        self, x: Tensor, *, name: str, stride: int = 1, dilation: int = 1, relu: bool = False
    ) -> Tensor: ...
    def add(self, x: Tensor, y: Tensor, *, name: str, relu: bool = False) -> Tensor: ...
    def concat(self, xs: list[Tensor], *, name: str) -> Tensor: ...
    def pool(self, x: Tensor, bins: int, *, name: str) -> Tensor: ...
    def resize(self, x: Tensor, size: Size, *, name: str) -> Tensor: ...
    def relu(self, x: Tensor, *, name: str) -> Tensor: ...
    def dropout(self, x: Tensor, rate: float, *, name: str) -> Tensor: ...
    def size(self, x: Tensor) -> Size: ...
    def channels(self, x: Tensor) -> int: ...


def fast_scnn_outputs(blocks: Blocks, image: Tensor, config: FastSCNNConfig) -> dict[str, Tensor]:
    """The whole network.

    Args:
        blocks: what a convolution, a pooling, ... is.
        image: normalised image, (B, H, W, 3).
        config: the configuration; `aux_heads` adds the auxiliary outputs.

    Returns:
        `logits` at H/8 (not yet upsampled) and, with `aux_heads`, `aux_ltd` at H/8 and `aux_gfe`
        at H/32; each (B, h, w, num_classes).
    """
    skip = learning_to_downsample(blocks, image)  # H/8 x 64
    deep = global_features(blocks, skip)  # H/32 x 128
    context = pyramid_pooling(blocks, deep, config.pyramid_bins)  # H/32 x 128
    fused = feature_fusion(blocks, skip, context, config.literal_fusion)  # H/8 x 128
    outputs = {"logits": classifier(blocks, fused, config)}  # H/8 x classes
    if config.aux_heads:
        outputs["aux_ltd"] = auxiliary_head(blocks, skip, config, "aux_ltd")
        outputs["aux_gfe"] = auxiliary_head(blocks, deep, config, "aux_gfe")
    return outputs


def learning_to_downsample(b: Blocks, image: Tensor) -> Tensor:
    """Three strided layers to H/8 (section 3.2.1)."""
    x = b.conv(image, 32, 3, stride=2, name="learning_to_downsample.conv")  # H/2 x 32
    x = separable(b, x, 48, stride=2, name="learning_to_downsample.ds1")  # H/4 x 48
    return separable(b, x, 64, stride=2, name="learning_to_downsample.ds2")  # H/8 x 64


def separable(b: Blocks, x: Tensor, filters: int, *, name: str, stride: int = 1) -> Tensor:
    """Depthwise 3x3 then pointwise 1x1; no nonlinearity between them (section 3.2.1)."""
    x = b.depthwise(x, stride=stride, name=f"{name}_depthwise")
    return b.conv(x, filters, 1, name=f"{name}_pointwise")


def global_features(b: Blocks, x: Tensor) -> Tensor:
    """Nine inverted residual bottlenecks to H/32 (section 3.2.2)."""
    for group, (filters, repeats, stride) in enumerate(BOTTLENECKS, 1):
        for i in range(repeats):
            name = f"global_features.bottleneck{group}_{i + 1}"
            x = bottleneck(b, x, filters, stride=stride if i == 0 else 1, name=name)
    return x


def bottleneck(b: Blocks, x: Tensor, filters: int, *, stride: int, name: str) -> Tensor:
    """Expand, depthwise, project; residual where input and output shapes agree (table 2)."""
    y = b.conv(x, b.channels(x) * EXPANSION, 1, name=f"{name}.expand")
    y = b.depthwise(y, stride=stride, relu=True, name=f"{name}.depthwise")
    y = b.conv(y, filters, 1, relu=False, name=f"{name}.project")
    if stride == 1 and b.channels(x) == filters:
        y = b.add(x, y, name=f"{name}.add")
    return y


def pyramid_pooling(b: Blocks, x: Tensor, bins: tuple[int, ...]) -> Tensor:
    """Context from poolings to 1, 2, 3 and 6 bins (PSPNet; section 3.2.2)."""
    branches = [x]
    for n in bins:
        y = b.pool(x, n, name=f"pyramid.pool{n}")  # n x n x 128
        y = b.conv(y, PYRAMID_WIDTH, 1, name=f"pyramid.bin{n}")  # n x n x 32
        branches.append(b.resize(y, b.size(x), name=f"pyramid.resize{n}"))
    x = b.concat(branches, name="pyramid.concat")  # H/32 x 256
    return b.conv(x, DEEP, 1, name="pyramid.output")


def feature_fusion(b: Blocks, skip: Tensor, deep: Tensor, literal: bool) -> Tensor:
    """Adds the upsampled deep branch to the high-resolution one (section 3.2.3, table 3).

    A dilation-4 depthwise convolution after a x4 half-pixel bilinear upsampling equals a
    dilation-1 one before it, except in a ring of 4 pixels; the latter is 16 times cheaper and
    needs no SPACE_TO_BATCH on a device.
    """
    size, name = b.size(skip), "fusion.low_depthwise"
    if literal:
        low = b.resize(deep, size, name="fusion.resize")
        low = b.depthwise(low, dilation=FUSION_DILATION, relu=True, name=name)
    else:
        low = b.depthwise(deep, name=name)
        low = b.resize(low, size, name="fusion.resize")
        low = b.relu(low, name="fusion.relu")
    low = b.conv(low, DEEP, 1, relu=False, name="fusion.low")
    high = b.conv(skip, DEEP, 1, relu=False, name="fusion.high")
    return b.add(low, high, relu=True, name="fusion.add")


def classifier(b: Blocks, x: Tensor, config: FastSCNNConfig) -> Tensor:
    """Two separable convolutions and a pointwise one (section 3.2.4)."""
    x = separable(b, x, DEEP, name="classifier.ds1")
    x = separable(b, x, DEEP, name="classifier.ds2")
    x = b.dropout(x, config.dropout, name="classifier.dropout")
    return b.conv(x, config.num_classes, 1, relu=False, bias=True, name="classifier.logits")


def auxiliary_head(b: Blocks, x: Tensor, config: FastSCNNConfig, name: str) -> Tensor:
    """A small classifier on an inner feature map, for training only (section 3.3)."""
    x = b.conv(x, AUX_WIDTH, 3, name=f"{name}.conv")
    x = b.dropout(x, config.dropout, name=f"{name}.dropout")
    return b.conv(x, config.num_classes, 1, relu=False, bias=True, name=f"{name}.logits")
