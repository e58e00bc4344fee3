"""`FastSCNNConfig`: everything that decides the network, saved with every model."""

from __future__ import annotations

import dataclasses
import fnmatch
import math
import operator
from typing import Any

import numpy as np

from .arguments import NUMBER, check_name, check_number, either, nearest_or_all, spelled
from .errors import ConfigError, instead_of
from .files.json_text import convert
from .images.interpolation import sampling_of
from .labels import MAX_CLASSES, LabelSpace, label_space
from .presets import PRESETS
from .sizes import Size, check_size, padded_size

FUSION_FACTOR = 4  # of the fusion's upsampling, from 1/32 to 1/8
RESIZES = ("pyramid", "fusion", "logits")
AUX_HEADS = ("ltd", "gfe")
MAX_CHANNELS = 512  # of a layer, but for the expansion: a file's configuration asks for no more

_CHOICES: dict[str, tuple[Any, ...]] = {
    "stem_padding": ("same", "symmetric", "valid"),
    "stride_padding": ("same", "symmetric"),
    "pyramid_pooling": ("adaptive", "floor", "ceil", "fixed"),
    "pyramid_branch": ("pointwise", "strided"),
    "pyramid_kernel": (0, 1, 3),
    "fusion_order": ("depthwise_first", "resize_first"),
    "fusion_branch": ("depthwise", "linear", "separable"),
    "fusion_norm": ("branches", "sum", "high_and_sum"),
    "dropout_at": ("features", "logits"),
    "aux_head": ("conv", "separable"),
}
_SUBSETS = {"align_corners": RESIZES, "nearest": RESIZES, "aux_layout": AUX_HEADS}
RANGES: dict[str, tuple[float, float]] = {
    "width": (0.25, 4.0),
    "dropout": (0.0, 0.99),
    "l2": (0.0, 1.0),
    "bn_momentum": (0.0, 1.0),
    "bn_epsilon": (1e-7, 1.0),
}
_WHOLE = {
    "num_classes": (2, MAX_CLASSES),
    "expansion": (1, 6),
    "pyramid_branch_width": (0, MAX_CHANNELS),
    "fusion_dilation": (1, 64),
    "aux_width": (1, 1024),
}
_WIDTHS = ("stem_widths", "bottleneck_widths", "head_widths")
# Younger than files that people have: written only where they differ from the default, so that
# files of all other networks stay what they were, byte by byte, and are read by older versions.
_LATER = (
    *("expansion", *_WIDTHS, "separable_norm"),
    *("pyramid_pooling", "pyramid_windows", "pyramid_branch", "pyramid_branch_width"),
    *("fusion_branch", "nearest", "logits_relu", "logits_bias", "dropout_at", "aux_head"),
)


@dataclasses.dataclass(frozen=True)
class FastSCNNConfig:
    """The Fast-SCNN of Poudel et al., BMVC 2019; defaults are the paper's where it speaks.

    `FastSCNNConfig.preset` gives the architecture of other implementations.

    Args:
        num_classes: classes of the output, 2..254 (255 is the ignore index).
        input_size: (height, width) in pixels, each a multiple of 32. The paper: 1024x2048.
        pad: take an `input_size` that is not a multiple of 32 as well: the image is padded at the
            bottom and on the right with its mean, and the result is cropped. For inference.
        width: factor of all channel counts, rounded to multiples of 8.
        repeats: bottlenecks in each of the three groups (paper: n = 3, 3, 3).
        expansion: factor t of the bottlenecks' inner channels, 1..6 (paper: 6).
        stem_widths: channels of the three strided layers (paper: 32, 48, 64).
        bottleneck_widths: channels of the three groups (paper: 64, 96, 128).
        head_widths: channels of the pyramid's output, the fusion and the classifier.
        separable_relu: a ReLU between depthwise and pointwise convolution. The paper has none.
        separable_norm: batch normalisation between them; False: as in Keras' SeparableConv2D.
        conv_bias: patterns of layer names (as in `fnmatch`) whose convolutions have a bias although
            batch normalisation follows.
        stem_padding: of the first convolution: `same` (TensorFlow's: at even sizes only bottom and
            right), `symmetric` (1 on each side, as PyTorch code has it) or `valid` (none).
        stride_padding: of the strided depthwise convolutions: `same` or `symmetric`.
        pyramid_bins: output sizes of the pyramid pooling (PSPNet's, which the paper refers to).
        pyramid_pooling: windows of b bins over n cells: `adaptive`, PyTorch's, which share them
            all; `floor`, windows of n // b and the rest is dropped; `ceil`, the same, and the rest
            is in smaller windows at the ends; `fixed`, those of `pyramid_windows` at every size.
            Windows never exceed the map, and have at least one cell.
        pyramid_windows: sides of the square windows of `fixed`, one for each of the bins.
        pyramid_branch: convolution of a branch: `pointwise`, or `strided` (3x3, stride 2).
        pyramid_branch_width: its channels; 0: a quarter of its input's.
        pyramid_branch_norm: batch normalisation and ReLU in the pyramid's branches.
        pyramid_kernel: kernel of the pyramid's output convolution, 1 or 3; 0: it has none.
        fusion_order: `depthwise_first` runs the fusion's depthwise convolution at 1/32 before the
            upsampling, at a quarter of its dilation: the same as afterwards except in a ring of 4
            cells, a 16th of the cost, and no dilation left on a device. `resize_first` is the order
            of the paper's table and of all other implementations.
        fusion_dilation: of that depthwise convolution, counted at 1/8 (paper, table 3: 4).
        fusion_branch: what the upsampled branch goes through before its 1x1 convolution:
            `depthwise` (with a ReLU), `linear` (without one) or `separable`, with `head_widths[1]`.
        fusion_norm: batch normalisation on both `branches` before the addition, on the `sum`, or
            (`high_and_sum`) on the high-resolution branch and on the sum.
        align_corners: which bilinear resizes align corners, of `pyramid`, `fusion` and `logits`.
        nearest: which resizes take the nearest cell instead.
        logits_norm: batch normalisation and ReLU on the logits.
        logits_relu: False: `logits_norm` comes without the ReLU.
        logits_bias: whether the last convolution has a bias.
        dropout: rate before the last convolution. The paper names no rate; 0.1 as in the ports
            that reach its accuracy.
        dropout_at: `features`, or on the `logits` at 1/8, behind the last convolution.
        aux_heads: add the auxiliary heads of `aux_layout`, for training (paper, section 3.3).
        aux_layout: where they sit: `ltd` after learning to downsample (1/8), `gfe` after the
            global features (1/32).
        aux_head: `conv`, a 3x3 convolution to `aux_width`; or `separable`, one to half the
            channels, with the normalisation that the classifier's logits have.
        aux_width: their hidden channels; the paper is silent.
        l2: weight decay `l2 / 2 * sum(w ** 2)` on every kernel that is not depthwise.
        bn_momentum: decay of the running statistics.
        bn_epsilon: added to the variance.
        mean: per-channel mean in 0..255 units, RGB.
        std: per-channel standard deviation in 0..255 units, RGB. The default (x - 128) / 128 is
            exactly representable as uint8 quantization (scale 1/128, zero point 128).
        class_names: names of the classes, or empty for `class_0`, `class_1`, ...
        class_colors: RGB colours of the classes, or empty for a generated palette.

    Raises:
        ConfigError: a value is out of range, or two of them exclude each other.
    """

    num_classes: int = 19
    input_size: Size = (1024, 2048)
    pad: bool = False
    width: float = 1.0
    repeats: tuple[int, ...] = (3, 3, 3)
    expansion: int = 6
    stem_widths: tuple[int, ...] = (32, 48, 64)
    bottleneck_widths: tuple[int, ...] = (64, 96, 128)
    head_widths: tuple[int, ...] = (128, 128, 128)
    separable_relu: bool = False
    separable_norm: bool = True
    conv_bias: tuple[str, ...] = ()
    stem_padding: str = "same"
    stride_padding: str = "same"
    pyramid_bins: tuple[int, ...] = (1, 2, 3, 6)
    pyramid_pooling: str = "adaptive"
    pyramid_windows: tuple[int, ...] = ()
    pyramid_branch: str = "pointwise"
    pyramid_branch_width: int = 0
    pyramid_branch_norm: bool = True
    pyramid_kernel: int = 1
    fusion_order: str = "depthwise_first"
    fusion_dilation: int = 4
    fusion_branch: str = "depthwise"
    fusion_norm: str = "branches"
    align_corners: tuple[str, ...] = ()
    nearest: tuple[str, ...] = ()
    logits_norm: bool = False
    logits_relu: bool = True
    logits_bias: bool = True
    dropout: float = 0.1
    dropout_at: str = "features"
    aux_heads: bool = False
    aux_layout: tuple[str, ...] = ("ltd", "gfe")
    aux_head: str = "conv"
    aux_width: int = 32
    l2: float = 4e-5
    bn_momentum: float = 0.99
    bn_epsilon: float = 1e-3
    mean: tuple[float, float, float] = (128.0, 128.0, 128.0)
    std: tuple[float, float, float] = (128.0, 128.0, 128.0)
    class_names: tuple[str, ...] = ()
    class_colors: tuple[tuple[int, int, int], ...] = ()

    def __post_init__(self) -> None:
        self._check_architecture()
        put = object.__setattr__
        put(self, "input_size", check_size(self.input_size, self.pad))
        for name in ("mean", "std"):
            value = self._numbers(name, float)
            bad = not all(map(math.isfinite, value)) or (name == "std" and min(value) <= 0)
            if len(value) != 3 or bad:
                raise ConfigError(f"{name} must be three numbers (std above 0), got {value}")
            put(self, name, value)
        if max(self.std) < 1:
            raise ConfigError(
                f"mean and std are in 0..255 units, got std {self.std}: multiply both by 255"
            )
        put(self, "class_names", _names("class_names", self.class_names))
        put(self, "class_colors", _colours(self.class_colors))
        for name in ("class_names", "class_colors"):
            count = len(getattr(self, name))
            if count not in (0, self.num_classes):
                raise ConfigError(f"{count} {name} given for {self.num_classes} classes")
        if len(set(self.class_names)) != len(self.class_names):
            raise ConfigError(f"class_names must be unique, got {self.class_names}")
        for color in self.class_colors:
            if len(color) != 3 or not all(0 <= v <= 255 for v in color):
                raise ConfigError(f"class_colors must be three numbers 0..255 each, got {color}")

    def _check_architecture(self) -> None:
        """Checks the options one by one, and those of the network together."""
        for name, (low, high) in RANGES.items():
            bounds = f"between {low} and {high}"
            check_number(name, getattr(self, name), low, high, NUMBER, bounds)
        for name, (least, most) in _WHOLE.items():
            check_number(name, getattr(self, name), least, most, (int,))
        self._check_counts("repeats", 16, 3)
        self._check_counts("pyramid_bins", 64)
        bins = len(self.pyramid_bins) if self.pyramid_pooling == "fixed" else 0
        self._check_counts("pyramid_windows", 1024, bins)
        for name in _WIDTHS:
            self._check_counts(name, MAX_CHANNELS, 3)
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ConfigError(f"{name} must be {either(known)}, got {getattr(self, name)!r}")
        for name, members in _SUBSETS.items():
            self._check_members(name, members)
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, bool) and not isinstance(value, bool):
                raise ConfigError(f"{field.name} must be True or False, got {value!r}")
        object.__setattr__(self, "conv_bias", _names("conv_bias", self.conv_bias))
        self._check_together()

    def _check_together(self) -> None:
        widest = max(self.pyramid_branch_width, *(n for x in _WIDTHS for n in getattr(self, x)))
        if self.channels(widest) > MAX_CHANNELS:
            raise ConfigError(
                f"width {self.width} times {widest} channels: expected at most {MAX_CHANNELS}"
            )
        both = set(self.align_corners) & set(self.nearest)
        if both:
            raise ConfigError(f"{either(tuple(both))}: align_corners or nearest, not both")
        if self.fusion_order == "depthwise_first":
            if self.fusion_dilation % FUSION_FACTOR:
                raise ConfigError(
                    f"fusion_dilation {self.fusion_dilation} cannot run before the x4 upsampling: "
                    "use a multiple of 4, or fusion_order='resize_first'"
                )
            if "fusion" in self.align_corners:
                raise ConfigError(
                    "with align_corners a convolution does not commute with the upsampling: leave "
                    "'fusion' out of align_corners, or use fusion_order='resize_first'"
                )
            inner = self.fusion_branch == "separable" and self.separable_relu
            if inner and "fusion" not in self.nearest:
                raise ConfigError(
                    "separable_relu in fusion_branch='separable' does not commute with the "
                    "upsampling: use fusion_order='resize_first'"
                )
        if len(set(self.pyramid_bins)) != len(self.pyramid_bins):
            raise ConfigError(f"pyramid_bins must differ from each other, got {self.pyramid_bins}")
        if self.aux_heads and not self.aux_layout:
            raise ConfigError("aux_heads=True needs an aux_layout: ('ltd',), ('gfe',) or both")
        if self.aux_heads and self.pad:
            raise ConfigError("pad=True is for inference: aux_heads must be False")

    def _numbers(self, name: str, kind: type) -> tuple[Any, ...]:
        value = getattr(self, name)
        try:
            if isinstance(value, str) or any(isinstance(v, str | bool) for v in value):
                raise TypeError
            return tuple(operator.index(v) if kind is int else kind(v) for v in value)
        except (TypeError, ValueError):
            kinds = "whole numbers" if kind is int else "numbers"
            raise ConfigError(f"{name} must be a list of {kinds}, got {value!r}") from None

    def _check_counts(self, name: str, high: int, length: int | None = None) -> None:
        value = self._numbers(name, int)
        right = 1 <= len(value) <= 16 if length is None else len(value) == length
        if not right or not all(1 <= v <= high for v in value):
            many = "numbers" if length is None else f"{length} numbers"
            raise ConfigError(f"{name} must be {many} of 1..{high}, got {value}")
        object.__setattr__(self, name, value)

    def _check_members(self, name: str, known: tuple[str, ...]) -> None:
        value = _names(name, getattr(self, name))
        if not set(value) <= set(known) or len(set(value)) != len(value):
            raise ConfigError(f"{name} may name {either(known)}, each once, got {value}")
        object.__setattr__(self, name, tuple(n for n in known if n in value))

    @classmethod
    def preset(cls, name: str, **changes: Any) -> FastSCNNConfig:
        """The architecture of a public implementation (see `core.presets`), with changes.

        Args:
            name: one of `core.presets.PRESETS`, `paper` or `mmseg` for example.
            changes: further fields.

        Raises:
            ConfigError: no such preset, or the changes do not fit it.

        Example:
            >>> FastSCNNConfig.preset("zh320", num_classes=11).pyramid_bins
            (1, 2, 4, 6)
        """
        values = PRESETS[check_name("preset", name, PRESETS)]
        return cls(**{**values, **_known(cls, changes)})

    @classmethod
    def for_labels(cls, space: LabelSpace | str, **changes: Any) -> FastSCNNConfig:
        """A configuration with the classes, names and colours of a label space.

        Example:
            >>> FastSCNNConfig.for_labels("camvid", input_size=(352, 480)).num_classes
            11
        """
        space = label_space(space) if isinstance(space, str) else space
        return cls(
            num_classes=len(space.names),
            class_names=space.names,
            class_colors=space.colors,
            **changes,
        )

    @property
    def labels(self) -> LabelSpace:
        """Names and colours of the output classes."""
        return LabelSpace.make("model", self.num_classes, self.class_names, self.class_colors)

    @property
    def padded_size(self) -> Size:
        """(height, width) that the network works at: `input_size` up to multiples of 32."""
        return padded_size(self.input_size)

    def channels(self, count: int) -> int:
        """A channel count of the paper's table, scaled by `width`, as a multiple of 8."""
        if self.width == 1.0:
            return count
        return max(8, int(count * self.width + 4) // 8 * 8)

    def has_bias(self, layer: str) -> bool:
        """Whether a convolution has a bias before its batch normalisation."""
        return any(fnmatch.fnmatchcase(layer, pattern) for pattern in self.conv_bias)

    def sampling(self, resize: str) -> str:
        """How one of `RESIZES` finds its cells: `half_pixel`, `aligned` or `nearest`."""
        return sampling_of(resize, self.align_corners, self.nearest)

    def normalised(self, image: np.ndarray) -> np.ndarray:
        """(..., 3) RGB of 0..255 as the network takes it: float32 `(x - mean) / std`."""
        mean, std = (np.array(value, np.float32) for value in (self.mean, self.std))
        return ((image - mean) / std).astype(np.float32, copy=False)

    def replace(self, **changes: Any) -> FastSCNNConfig:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **_known(type(self), changes))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; `from_dict` reads it back, and takes the default for what is absent."""
        default = {field.name: field.default for field in dataclasses.fields(self)}
        values = dataclasses.asdict(self).items()
        return {k: v for k, v in values if k not in _LATER or v != default[k]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FastSCNNConfig:
        """Reads what `to_dict` wrote.

        Raises:
            ConfigError: a field this version does not know, or a value of another type or out of
                range.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            names = ", ".join(name[:40] for name in unknown[:4])
            raise ConfigError(f"unknown configuration fields {names}: made by a newer version?")
        with spelled(str):
            return convert(values, "configuration", cls, error=ConfigError)


def config_of(source: Any) -> FastSCNNConfig:
    """A configuration, or that of a model.

    Raises:
        ConfigError: it is neither.
    """
    config = getattr(source, "config", source)
    if isinstance(config, FastSCNNConfig):
        return config
    got = f"{type(source).__name__} {source!r:.60}"
    raise ConfigError(f"expected a FastSCNNConfig or a Fast-SCNN model, got {got}")


def _known(cls: type[FastSCNNConfig], changes: dict[str, Any]) -> dict[str, Any]:
    """The changes, if all of them are fields.

    Raises:
        ConfigError: one is not.
    """
    fields = [field.name for field in dataclasses.fields(cls)]
    for name in changes:
        if name not in fields:
            hint = nearest_or_all(name, fields)
            raise ConfigError(f"FastSCNNConfig has no field {name!r}: {hint}")
    return changes


def _colours(value: Any) -> tuple[tuple[int, ...], ...]:
    wrong = ConfigError(f"class_colors must be a list of (R, G, B), got {value!r}")
    with instead_of(TypeError, wrong):
        return tuple(tuple(operator.index(v) for v in colour) for colour in value)


def _names(field: str, value: Any) -> tuple[str, ...]:
    """A tuple of strings; a lone string would otherwise be taken letter by letter."""
    listed = isinstance(value, list | tuple) and all(isinstance(v, str) for v in value)
    if not listed:
        raise ConfigError(f"{field} must be a list of names, got {value!r}")
    return tuple(value)
