"""`FastSCNNConfig`: everything that decides the network, saved with every model."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from .errors import ConfigError
from .labels import MAX_CLASSES, LabelSpace, label_space
from .sizes import Size, check_size


@dataclasses.dataclass(frozen=True)
class FastSCNNConfig:
    """The Fast-SCNN of Poudel et al., BMVC 2019; defaults are the paper's where it speaks.

    Args:
        num_classes: classes of the output, 2..254 (255 is the ignore index).
        input_size: (height, width) in pixels, each a multiple of 32. The paper: 1024x2048.
        aux_heads: add the two auxiliary heads used in training (paper, section 3.3).
        dropout: rate before the last convolution. The paper names no rate; 0.1 as in the ports
            that reach its accuracy.
        pyramid_bins: output sizes of the pyramid pooling (PSPNet's, which the paper refers to).
        literal_fusion: run the fusion's depthwise convolution with dilation 4 at 1/8, as the
            paper's table says, instead of with dilation 1 at 1/32 before the upsampling. Both
            agree away from a 4-pixel border; the default costs a 16th and quantizes.
        l2: weight decay `l2 / 2 * sum(w ** 2)` on every kernel that is not depthwise.
        bn_momentum: decay of the running statistics.
        bn_epsilon: added to the variance.
        mean: per-channel mean in 0..255 units, RGB.
        std: per-channel standard deviation in 0..255 units, RGB. The default (x - 128) / 128 is
            exactly representable as uint8 quantization (scale 1/128, zero point 128).
        class_names: names of the classes, or empty for `class_0`, `class_1`, ...
        class_colors: RGB colours of the classes, or empty for a generated palette.

    Raises:
        ConfigError: a value is out of range.
    """

    num_classes: int = 19
    input_size: Size = (1024, 2048)
    aux_heads: bool = False
    dropout: float = 0.1
    pyramid_bins: tuple[int, ...] = (1, 2, 3, 6)
    literal_fusion: bool = False
    l2: float = 4e-5
    bn_momentum: float = 0.99
    bn_epsilon: float = 1e-3
    mean: tuple[float, float, float] = (128.0, 128.0, 128.0)
    std: tuple[float, float, float] = (128.0, 128.0, 128.0)
    class_names: tuple[str, ...] = ()
    class_colors: tuple[tuple[int, int, int], ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.num_classes, int) or not 2 <= self.num_classes <= MAX_CLASSES:
            raise ConfigError(f"num_classes must be 2..{MAX_CLASSES}, got {self.num_classes!r}")
        put = object.__setattr__
        put(self, "input_size", check_size(self.input_size))
        put(self, "pyramid_bins", self._numbers("pyramid_bins", int))
        if not self.pyramid_bins or min(self.pyramid_bins) < 1:
            raise ConfigError(f"pyramid_bins must be positive, got {self.pyramid_bins}")
        self._check_range("dropout", 0.0, 0.99)
        self._check_range("l2", 0.0, 1.0)
        self._check_range("bn_momentum", 0.0, 1.0)
        self._check_range("bn_epsilon", 1e-7, 1.0)
        for name in ("mean", "std"):
            value = self._numbers(name, float)
            bad = not all(map(math.isfinite, value)) or (name == "std" and min(value) <= 0)
            if len(value) != 3 or bad:
                raise ConfigError(f"{name} must be three numbers (std above 0), got {value}")
            put(self, name, value)
        put(self, "class_names", tuple(self.class_names))
        put(self, "class_colors", tuple(tuple(int(v) for v in c) for c in self.class_colors))
        for name in ("class_names", "class_colors"):
            count = len(getattr(self, name))
            if count not in (0, self.num_classes):
                raise ConfigError(f"{count} {name} given for {self.num_classes} classes")
        if len(set(self.class_names)) != len(self.class_names):
            raise ConfigError(f"class_names must be unique, got {self.class_names}")
        for color in self.class_colors:
            if len(color) != 3 or not all(0 <= v <= 255 for v in color):
                raise ConfigError(f"class_colors must be three numbers 0..255 each, got {color}")

    def _numbers(self, name: str, kind: type) -> tuple[Any, ...]:
        value = getattr(self, name)
        try:
            return tuple(kind(v) for v in value)
        except (TypeError, ValueError):
            raise ConfigError(f"{name} must be a list of numbers, got {value!r}") from None

    def _check_range(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if not isinstance(value, int | float) or not low <= value <= high:
            raise ConfigError(f"{name} must be between {low} and {high}, got {value!r}")

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

    def replace(self, **changes: Any) -> FastSCNNConfig:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; `from_dict` reads it back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FastSCNNConfig:
        """Reads what `to_dict` wrote.

        Raises:
            ConfigError: a field this version does not know.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ConfigError(f"unknown configuration fields {unknown}: made by a newer version?")
        return cls(**values)
