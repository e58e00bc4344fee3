"""Fast-SCNN in the order of the paper's table 1, written once.

`blocks` decides what the words mean: Keras layers for training (`keras_blocks`), quantization
wrappers for fine-tuning (`quantize.qat_blocks`), bare TensorFlow operations for export
(`export.mutable_graph`) or shapes only (`complexity`). A network is thereby never described twice.

Names are `stage.part`; Keras 3 refuses `/` in names.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeVar

from ..core.config import FUSION_FACTOR, FastSCNNConfig
from ..core.sizes import Size, padded_size

EXPANSION = 6  # bottleneck expansion factor t (table 1)
# (channels c, stride s) of the three bottleneck groups (table 1); the repeats n are configurable
BOTTLENECKS = ((64, 2), (96, 2), (128, 1))
DEEP = 128  # channels of the global features, the fusion and the classifier

Tensor = TypeVar("Tensor")  # whatever a vocabulary computes with: tensors, signals, shapes


class Conv(NamedTuple):
    """A convolution, followed by batch normalisation and then by a ReLU unless it says otherwise.

    Attributes:
        name: unique, as all names are.
        filters: channels of its output.
        kernel: height and width of its kernel.
        padding: as `FastSCNNConfig.stem_padding`.
    """

    name: str
    filters: int
    kernel: int
    stride: int = 1
    relu: bool = True
    norm: bool = True
    bias: bool = False
    padding: str = "same"


class Depthwise(NamedTuple):
    """A depthwise 3x3 convolution, followed by batch normalisation."""

    name: str
    stride: int = 1
    dilation: int = 1
    relu: bool = False
    bias: bool = False
    padding: str = "same"


class Blocks(Protocol[Tensor]):
    """The vocabulary of the topology. Tensors are NHWC; `name` is unique."""

    def conv(self, x: Tensor, conv: Conv) -> Tensor: ...
    def depthwise(self, x: Tensor, conv: Depthwise) -> Tensor: ...
    def add(
        self, x: Tensor, y: Tensor, *, name: str, relu: bool = False, norm: bool = False
    ) -> Tensor: ...
    def concat(self, xs: list[Tensor], *, name: str) -> Tensor: ...
    def pool(self, x: Tensor, bins: int, *, name: str) -> Tensor: ...
    def resize(self, x: Tensor, size: Size, *, name: str, aligned: bool = False) -> Tensor: ...
    def pad(self, x: Tensor, size: Size, *, name: str) -> Tensor: ...
    def relu(self, x: Tensor, *, name: str) -> Tensor: ...
    def dropout(self, x: Tensor, rate: float, *, name: str) -> Tensor: ...
    def size(self, x: Tensor) -> Size: ...
    def channels(self, x: Tensor) -> int: ...


class FullSizeBlocks(Protocol[Tensor]):
    """What it takes to bring logits to the size of the image."""

    def resize(self, x: Tensor, size: Size, *, name: str, aligned: bool = False) -> Tensor: ...
    def crop(self, x: Tensor, size: Size, *, name: str) -> Tensor: ...


def fast_scnn_outputs(
    blocks: Blocks[Tensor], image: Tensor, config: FastSCNNConfig
) -> dict[str, Tensor]:
    """The whole network.

    Args:
        blocks: what a convolution, a pooling, ... is.
        image: normalised image, (B, H, W, 3).
        config: the configuration; `aux_heads` adds the auxiliary outputs.

    Returns:
        `logits` at 1/8 of the padded size (not yet upsampled) and, with `aux_heads`, `aux_ltd` at
        1/8 and `aux_gfe` at 1/32; each (B, h, w, num_classes).
    """
    skip, context = trunk(blocks, image, config)
    fused = feature_fusion(blocks, skip, context, config)  # H/8 x 128
    outputs = {"logits": classifier(blocks, fused, config)}  # H/8 x classes
    if config.aux_heads:
        for head in config.aux_layout:
            x = {"ltd": skip, "gfe": context}[head]
            outputs[f"aux_{head}"] = auxiliary_head(blocks, x, config, f"aux_{head}")
    return outputs


def trunk(b: Blocks[Tensor], image: Tensor, config: FastSCNNConfig) -> tuple[Tensor, Tensor]:
    """What an ImageNet classifier shares: the features at 1/8 and the global ones at 1/32."""
    if b.size(image) != padded_size(b.size(image)):
        image = b.pad(image, padded_size(b.size(image)), name="image.padded")
    skip = learning_to_downsample(b, image, config)  # H/8 x 64
    deep = global_features(b, skip, config)  # H/32 x 128
    return skip, pyramid_pooling(b, deep, config)  # H/32 x 128


def learning_to_downsample(b: Blocks[Tensor], image: Tensor, config: FastSCNNConfig) -> Tensor:
    """Three strided layers to H/8 (section 3.2.1)."""
    stage, wide = "learning_to_downsample", config.channels
    name, padding = f"{stage}.conv", config.stem_padding
    first = Conv(name, wide(32), 3, stride=2, bias=config.has_bias(name), padding=padding)
    x = b.conv(image, first)  # H/2 x 32
    x = separable(b, x, wide(48), config, stride=2, name=f"{stage}.ds1")  # H/4 x 48
    return separable(b, x, wide(64), config, stride=2, name=f"{stage}.ds2")  # H/8 x 64


def separable(
    b: Blocks[Tensor],
    x: Tensor,
    filters: int,
    config: FastSCNNConfig,
    *,
    name: str,
    stride: int = 1,
) -> Tensor:
    """Depthwise 3x3 then pointwise 1x1; in the paper without a ReLU between (section 3.2.1)."""
    first, second = f"{name}_depthwise", f"{name}_pointwise"
    depthwise = Depthwise(
        first,
        stride,
        relu=config.separable_relu,
        bias=config.has_bias(first),
        padding=config.stride_padding,
    )
    return b.conv(b.depthwise(x, depthwise), Conv(second, filters, 1, bias=config.has_bias(second)))


def global_features(b: Blocks[Tensor], x: Tensor, config: FastSCNNConfig) -> Tensor:
    """Inverted residual bottlenecks in three groups, to H/32 (section 3.2.2)."""
    for group, (filters, stride) in enumerate(BOTTLENECKS, 1):
        for i in range(config.repeats[group - 1]):
            name = f"global_features.bottleneck{group}_{i + 1}"
            filters_here, stride_here = config.channels(filters), stride if i == 0 else 1
            x = bottleneck(b, x, filters_here, config, stride=stride_here, name=name)
    return x


def bottleneck(
    b: Blocks[Tensor], x: Tensor, filters: int, config: FastSCNNConfig, *, stride: int, name: str
) -> Tensor:
    """Expand, depthwise, project; residual where input and output shapes agree (table 2)."""
    expand, depthwise, project = (f"{name}.{part}" for part in ("expand", "depthwise", "project"))
    wide, padding = b.channels(x) * EXPANSION, config.stride_padding
    y = b.conv(x, Conv(expand, wide, 1, bias=config.has_bias(expand)))
    bias = config.has_bias(depthwise)
    y = b.depthwise(y, Depthwise(depthwise, stride, relu=True, bias=bias, padding=padding))
    y = b.conv(y, Conv(project, filters, 1, relu=False, bias=config.has_bias(project)))
    if stride == 1 and b.channels(x) == filters:
        y = b.add(x, y, name=f"{name}.add")
    return y


def pyramid_pooling(b: Blocks[Tensor], x: Tensor, config: FastSCNNConfig) -> Tensor:
    """Context from poolings to 1, 2, 3 and 6 bins (PSPNet; section 3.2.2)."""
    branches, norm = [x], config.pyramid_branch_norm
    for n in config.pyramid_bins:
        name = f"pyramid.bin{n}"
        y = b.pool(x, n, name=f"pyramid.pool{n}")  # n x n x 128
        # A quarter of the input's channels, as in PSPNet: n x n x 32
        narrow, bias = b.channels(x) // 4, config.has_bias(name)
        y = b.conv(y, Conv(name, narrow, 1, relu=norm, norm=norm, bias=bias))
        aligned = "pyramid" in config.align_corners
        branches.append(b.resize(y, b.size(x), aligned=aligned, name=f"pyramid.resize{n}"))
    y = b.concat(branches, name="pyramid.concat")  # H/32 x 256
    name = "pyramid.output"
    bias = config.has_bias(name)
    return b.conv(y, Conv(name, b.channels(x), config.pyramid_kernel, bias=bias))


def feature_fusion(b: Blocks[Tensor], skip: Tensor, deep: Tensor, config: FastSCNNConfig) -> Tensor:
    """Adds the upsampled deep branch to the high-resolution one (section 3.2.3, table 3).

    A dilation-4 depthwise convolution after a x4 half-pixel bilinear upsampling equals a
    dilation-1 one before it, except in a ring of 4 cells; the latter is 16 times cheaper and
    needs no SPACE_TO_BATCH on a device.
    """
    name, dilation = "fusion.low_depthwise", config.fusion_dilation
    bias, filters = config.has_bias(name), config.channels(DEEP)
    if config.fusion_order == "resize_first":
        aligned = "fusion" in config.align_corners
        low = b.resize(deep, b.size(skip), aligned=aligned, name="fusion.resize")
        low = b.depthwise(low, Depthwise(name, dilation=dilation, relu=True, bias=bias))
    else:
        low = b.depthwise(deep, Depthwise(name, dilation=dilation // FUSION_FACTOR, bias=bias))
        low = b.resize(low, b.size(skip), name="fusion.resize")
        low = b.relu(low, name="fusion.relu")
    norm = config.fusion_norm == "branches"
    low, high = (
        b.conv(x, Conv(name, filters, 1, relu=False, norm=norm, bias=config.has_bias(name)))
        for x, name in ((low, "fusion.low"), (skip, "fusion.high"))
    )
    return b.add(low, high, relu=True, norm=not norm, name="fusion.add")


def classifier(b: Blocks[Tensor], x: Tensor, config: FastSCNNConfig) -> Tensor:
    """Two separable convolutions and a pointwise one (section 3.2.4)."""
    x = separable(b, x, b.channels(x), config, name="classifier.ds1")
    x = separable(b, x, b.channels(x), config, name="classifier.ds2")
    x = b.dropout(x, config.dropout, name="classifier.dropout")
    norm = config.logits_norm
    logits = Conv("classifier.logits", config.num_classes, 1, relu=norm, norm=norm, bias=True)
    return b.conv(x, logits)


def auxiliary_head(b: Blocks[Tensor], x: Tensor, config: FastSCNNConfig, name: str) -> Tensor:
    """A small classifier on an inner feature map, for training only (section 3.3)."""
    first = f"{name}.conv"
    x = b.conv(x, Conv(first, config.channels(config.aux_width), 3, bias=config.has_bias(first)))
    x = b.dropout(x, config.dropout, name=f"{name}.dropout")
    logits = Conv(f"{name}.logits", config.num_classes, 1, relu=False, norm=False, bias=True)
    return b.conv(x, logits)
