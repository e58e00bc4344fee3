"""Fast-SCNN in the order of the paper's table 1, written once.

`blocks` decides what the words mean: Keras layers for training (`keras_blocks`), quantization
wrappers for fine-tuning (`quantize.qat_blocks`), bare TensorFlow operations for export
(`export.mutable_graph`) or shapes only (`complexity`). A network is thereby never described twice.

Names are `stage.part`; Keras 3 refuses `/` in names.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeVar

from ..core.config import FUSION_FACTOR, FastSCNNConfig
from ..core.images.interpolation import HALF_PIXEL, NEAREST
from ..core.sizes import Size, padded_size
from .windows import Windows, pooling_windows

STRIDES = (2, 2, 1)  # s of the three bottleneck groups (table 1); t, c and n are configurable
BRANCHES = {"pointwise": (1, 1), "strided": (3, 2)}  # kernel and stride of the pyramid's branches

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
    """A depthwise 3x3 convolution, followed by batch normalisation unless it says otherwise."""

    name: str
    stride: int = 1
    dilation: int = 1
    relu: bool = False
    norm: bool = True
    bias: bool = False
    padding: str = "same"


class Add(NamedTuple):
    """The sum of two maps, with neither batch normalisation nor a ReLU unless it says otherwise."""

    name: str
    relu: bool = False
    norm: bool = False


class Norms(NamedTuple):
    """Where the fusion has batch normalisation."""

    low: bool
    high: bool
    sum: bool


FUSION_NORMS = {
    "branches": Norms(True, True, False),
    "sum": Norms(False, False, True),
    "high_and_sum": Norms(False, True, True),
}


class Blocks(Protocol[Tensor]):
    """The vocabulary of the topology. Tensors are NHWC; `name` is unique."""

    def conv(self, x: Tensor, conv: Conv) -> Tensor: ...
    def depthwise(self, x: Tensor, conv: Depthwise) -> Tensor: ...
    def add(self, x: Tensor, y: Tensor, add: Add) -> Tensor: ...
    def concat(self, xs: list[Tensor], *, name: str) -> Tensor: ...
    def pool(self, x: Tensor, windows: Windows, *, name: str) -> Tensor: ...
    def resize(self, x: Tensor, size: Size, *, name: str, sampling: str = HALF_PIXEL) -> Tensor: ...
    def pad(self, x: Tensor, size: Size, *, name: str) -> Tensor: ...
    def relu(self, x: Tensor, *, name: str) -> Tensor: ...
    def dropout(self, x: Tensor, rate: float, *, name: str) -> Tensor: ...
    def size(self, x: Tensor) -> Size: ...
    def channels(self, x: Tensor) -> int: ...


class FullSizeBlocks(Protocol[Tensor]):
    """What it takes to bring logits to the size of the image."""

    def resize(self, x: Tensor, size: Size, *, name: str, sampling: str = HALF_PIXEL) -> Tensor: ...
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
    stage, widths = "learning_to_downsample", [*map(config.channels, config.stem_widths)]
    name, padding = f"{stage}.conv", config.stem_padding
    first = Conv(name, widths[0], 3, stride=2, bias=config.has_bias(name), padding=padding)
    x = b.conv(image, first)  # H/2 x 32
    x = separable(b, x, widths[1], config, stride=2, name=f"{stage}.ds1")  # H/4 x 48
    return separable(b, x, widths[2], config, stride=2, name=f"{stage}.ds2")  # H/8 x 64


def separable(
    b: Blocks[Tensor],
    x: Tensor,
    filters: int,
    config: FastSCNNConfig,
    *,
    name: str,
    stride: int = 1,
    dilation: int = 1,
    relu: bool = True,
) -> Tensor:
    """Depthwise 3x3 then pointwise 1x1; in the paper without a ReLU between (section 3.2.1)."""
    first, second = f"{name}_depthwise", f"{name}_pointwise"
    depthwise = Depthwise(
        first,
        stride,
        dilation,
        relu=config.separable_relu,
        norm=config.separable_norm,
        bias=config.has_bias(first),
        padding=config.stride_padding,
    )
    pointwise = Conv(second, filters, 1, relu=relu, bias=config.has_bias(second))
    return b.conv(b.depthwise(x, depthwise), pointwise)


def global_features(b: Blocks[Tensor], x: Tensor, config: FastSCNNConfig) -> Tensor:
    """Inverted residual bottlenecks in three groups, to H/32 (section 3.2.2)."""
    groups = zip(config.bottleneck_widths, config.repeats, STRIDES, strict=True)
    for group, (filters, repeats, stride) in enumerate(groups, 1):
        for i in range(repeats):
            name = f"global_features.bottleneck{group}_{i + 1}"
            filters_here, stride_here = config.channels(filters), stride if i == 0 else 1
            x = bottleneck(b, x, filters_here, config, stride=stride_here, name=name)
    return x


def bottleneck(
    b: Blocks[Tensor], x: Tensor, filters: int, config: FastSCNNConfig, *, stride: int, name: str
) -> Tensor:
    """Expand, depthwise, project; residual where input and output shapes agree (table 2)."""
    expand, depthwise, project = (f"{name}.{part}" for part in ("expand", "depthwise", "project"))
    wide, padding = b.channels(x) * config.expansion, config.stride_padding
    y = b.conv(x, Conv(expand, wide, 1, bias=config.has_bias(expand)))
    bias = config.has_bias(depthwise)
    y = b.depthwise(y, Depthwise(depthwise, stride, relu=True, bias=bias, padding=padding))
    y = b.conv(y, Conv(project, filters, 1, relu=False, bias=config.has_bias(project)))
    if stride == 1 and b.channels(x) == filters:
        y = b.add(x, y, Add(f"{name}.add"))
    return y


def pyramid_pooling(b: Blocks[Tensor], x: Tensor, config: FastSCNNConfig) -> Tensor:
    """Context from poolings to 1, 2, 3 and 6 bins (PSPNet; section 3.2.2)."""
    branches, norm = [x], config.pyramid_branch_norm
    kernel, stride = BRANCHES[config.pyramid_branch]
    # A quarter of the input's channels, as in PSPNet
    width = config.pyramid_branch_width
    narrow = config.channels(width) if width else b.channels(x) // 4
    sampling = config.sampling("pyramid")
    for n, windows in zip(config.pyramid_bins, pooling_windows(b.size(x), config), strict=True):
        name = f"pyramid.bin{n}"
        y = b.pool(x, windows, name=f"pyramid.pool{n}")  # n x n x 128
        bias = config.has_bias(name)
        y = b.conv(y, Conv(name, narrow, kernel, stride, relu=norm, norm=norm, bias=bias))  # 32
        branches.append(b.resize(y, b.size(x), sampling=sampling, name=f"pyramid.resize{n}"))
    y = b.concat(branches, name="pyramid.concat")  # H/32 x 256
    if not config.pyramid_kernel:
        return y
    name, filters = "pyramid.output", config.channels(config.head_widths[0])
    return b.conv(y, Conv(name, filters, config.pyramid_kernel, bias=config.has_bias(name)))


def feature_fusion(b: Blocks[Tensor], skip: Tensor, deep: Tensor, config: FastSCNNConfig) -> Tensor:
    """Adds the upsampled deep branch to the high-resolution one (section 3.2.3, table 3)."""
    filters, norms = config.channels(config.head_widths[1]), FUSION_NORMS[config.fusion_norm]
    low = upsampled(b, deep, b.size(skip), filters, config)  # H/8 x 128
    low, high = (
        b.conv(x, Conv(name, filters, 1, relu=False, norm=norm, bias=config.has_bias(name)))
        for x, name, norm in ((low, "fusion.low", norms.low), (skip, "fusion.high", norms.high))
    )
    return b.add(low, high, Add("fusion.add", relu=True, norm=norms.sum))


def upsampled(
    b: Blocks[Tensor], deep: Tensor, size: Size, filters: int, config: FastSCNNConfig
) -> Tensor:
    """The deep branch at H/8, behind its depthwise convolution.

    A dilation-4 depthwise convolution after a x4 half-pixel bilinear upsampling equals a
    dilation-1 one before it, except in a ring of 4 cells; the latter is 16 times cheaper and
    needs no SPACE_TO_BATCH on a device. After a nearest one it equals it everywhere.
    """
    early, sampling = config.fusion_order == "depthwise_first", config.sampling("fusion")
    dilation = config.fusion_dilation // (FUSION_FACTOR if early else 1)
    kind, name = config.fusion_branch, "fusion.low_depthwise"
    relu = kind != "linear"
    late = relu and early and sampling != NEAREST  # which commutes with a ReLU, bilinear does not
    here = relu and not late
    x = deep if early else b.resize(deep, size, sampling=sampling, name="fusion.resize")
    if kind == "separable":
        x = separable(b, x, filters, config, dilation=dilation, relu=here, name="fusion.low")
    else:
        bias = config.has_bias(name)
        x = b.depthwise(x, Depthwise(name, dilation=dilation, relu=here, bias=bias))
    if early:
        x = b.resize(x, size, sampling=sampling, name="fusion.resize")
    return b.relu(x, name="fusion.relu") if late else x


def classifier(b: Blocks[Tensor], x: Tensor, config: FastSCNNConfig) -> Tensor:
    """Two separable convolutions and a pointwise one (section 3.2.4)."""
    width = config.channels(config.head_widths[2])
    x = separable(b, x, width, config, name="classifier.ds1")
    x = separable(b, x, width, config, name="classifier.ds2")
    early = config.dropout_at == "features"
    x = b.dropout(x, config.dropout, name="classifier.dropout") if early else x
    norm, name = config.logits_norm, "classifier.logits"
    relu = norm and config.logits_relu
    logits = Conv(name, config.num_classes, 1, relu=relu, norm=norm, bias=config.logits_bias)
    x = b.conv(x, logits)
    return x if early else b.dropout(x, config.dropout, name=f"{name}.dropout")


def auxiliary_head(b: Blocks[Tensor], x: Tensor, config: FastSCNNConfig, name: str) -> Tensor:
    """A small classifier on an inner feature map, for training only (section 3.3)."""
    first, norm = f"{name}.conv", False
    if config.aux_head == "separable":
        norm = config.logits_norm
        x = separable(b, x, b.channels(x) // 2, config, name=first)
    else:
        width, bias = config.channels(config.aux_width), config.has_bias(first)
        x = b.conv(x, Conv(first, width, 3, bias=bias))
    x = b.dropout(x, config.dropout, name=f"{name}.dropout")
    relu = norm and config.logits_relu
    logits = Conv(f"{name}.logits", config.num_classes, 1, relu=relu, norm=norm, bias=True)
    return b.conv(x, logits)
