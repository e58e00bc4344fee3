"""What may happen to a training pair: strengths, presets, and the random numbers behind them.

The arithmetic is in `augment_pair` (geometry, light) and `mix` (pairs of a batch). It is written
once over a small vocabulary of array operations, `tf_ops` inside tf.data and `numpy_ops` without
TensorFlow. Every choice is a pure function of one vector of uniform numbers per pair.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from ...core.arguments import NUMBER, check_name, check_number
from ...core.errors import ConfigError
from ...core.labels import MAX_CLASSES

# Parts of class names that mark what is small, rare and matters.
RARE = ("pole", "sign", "light", "pedestrian", "person", "rider", "bicycl", "motorcycl", "fence")
BOUNDS = "bounds"  # key of a field's metadata: those of a number, or of the strength of a pair


def _within(low: float, high: float, default: Any) -> Any:
    """A field with bounds."""
    return dataclasses.field(default=default, metadata={BOUNDS: (low, high)})


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """What may happen to a training pair; the defaults do nothing but crop and pad.

    Pairs of numbers are (share of the pairs it happens to, greatest strength). What shows no
    image (padding, cutout, beyond a turned image) is void in the label.

    Args:
        scale: range of the random resize (paper, section 4: 0.5 to 2).
        aspect: greatest ratio by which width is stretched against height, or the reverse; 1: never.
        flip: mirror horizontally in half of the cases.
        rotation: share, and greatest angle in degrees to either side.
        cat_max_ratio: another place is tried (up to 10 times) where one class fills more than this
            share of a crop (mmsegmentation: 0.75); 1: any place will do.
        balance: share of the crops that are laid around a pixel of a class drawn from those in the
            image, each as likely as the others, instead of anywhere.
        rare: parts of the names of the classes that `balance` draws from; all classes where none
            fits.
        brightness: greatest shift of all channels, in 0..255 units.
        contrast: greatest relative change of the distance from the image's mean grey.
        saturation: greatest relative change of the distance from each pixel's grey.
        hue: greatest turn of the hue, in parts of the full circle.
        channel_noise: greatest relative gain of each colour channel; the paper names "color
            channels noise" without a strength.
        night: share, and greatest exponent of a darkening curve; with sensor noise as in `noise`.
        blur: share, and greatest standard deviation of a Gaussian blur in pixels (up to 2).
        noise: share, and greatest standard deviation of sensor noise in 0..255 units.
        jpeg: share, and lowest quality (1 to 95) of JPEG compression.
        cutout: share, and greatest side of a rectangle, as part of the crop's, that is blotted out.
        cutmix: share of the pairs that get a rectangle of their neighbour in the batch.
        classmix: share of the pairs that get about half of the classes of their neighbour (Olsson
            et al., WACV 2021).
    """

    scale: tuple[float, float] = (1.0, 1.0)
    aspect: float = _within(1, 4, 1.0)
    flip: bool = False
    rotation: tuple[float, float] = _within(0, 180, (0.0, 0.0))
    cat_max_ratio: float = _within(0.05, 1, 1.0)
    balance: float = _within(0, 1, 0.0)
    rare: tuple[str, ...] = RARE
    brightness: float = _within(0, 255, 0.0)
    contrast: float = _within(0, 1, 0.0)
    saturation: float = _within(0, 1, 0.0)
    hue: float = _within(0, 0.5, 0.0)
    channel_noise: float = _within(0, 1, 0.0)
    night: tuple[float, float] = _within(1, 5, (0.0, 1.0))
    blur: tuple[float, float] = _within(0, 2, (0.0, 0.0))
    noise: tuple[float, float] = _within(0, 64, (0.0, 0.0))
    jpeg: tuple[float, int] = _within(1, 95, (0.0, 95))
    cutout: tuple[float, float] = _within(0, 1, (0.0, 0.0))
    cutmix: float = _within(0, 1, 0.0)
    classmix: float = _within(0, 1, 0.0)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            name, (low, high) = field.name, field.metadata.get(BOUNDS, (None, None))
            if low is not None and isinstance(field.default, tuple):
                share, strength = self._check_pair(name)
                check_number(f"augmentation {name}'s share", share, 0, 1, NUMBER)
                check_number(f"augmentation {name}'s strength", strength, low, high, NUMBER)
            elif low is not None:
                check_number(f"augmentation {name}", getattr(self, name), low, high, NUMBER)
        least, greatest = self._check_pair("scale")
        for factor in (least, greatest):
            check_number("augmentation scale", factor, 0.05, 20, NUMBER)
        if least > greatest:
            raise ConfigError(f"augmentation scale must be (least, greatest), got {self.scale}")
        self._check_others()

    def _check_pair(self, name: str) -> tuple[Any, Any]:
        value = getattr(self, name)
        if not isinstance(value, tuple | list) or len(value) != 2:
            raise ConfigError(f"augmentation {name} must be two numbers, got {value!r}")
        object.__setattr__(self, name, tuple(value))
        return value[0], value[1]

    def _check_others(self) -> None:
        if not isinstance(self.flip, bool):
            raise ConfigError(f"augmentation flip must be True or False, got {self.flip!r}")
        rare = self.rare
        if isinstance(rare, str) or not all(isinstance(part, str) for part in rare):
            raise ConfigError(f"augmentation rare must be parts of class names, got {rare!r}")
        object.__setattr__(self, "rare", tuple(rare))
        if self.cutmix + self.classmix > 1:
            raise ConfigError("augmentation cutmix and classmix are shares: together at most 1")

    @property
    def mixes(self) -> bool:
        """Whether pairs of a batch are mixed."""
        return self.cutmix + self.classmix > 0

    def rare_classes(self, names: Sequence[str]) -> tuple[int, ...]:
        """Indices of the classes that `balance` draws from, by the classes' names."""
        names = [name.lower() for name in names]
        found = [i for i, name in enumerate(names) if any(part in name for part in self.rare)]
        return tuple(found or range(len(names)))


# For long training on few images, and light that the training split does not show.
# fmt: off
_STRONG = Augmentation(
    scale=(0.5, 2.0), aspect=1.25, flip=True, rotation=(0.25, 8.0), cat_max_ratio=0.75, balance=0.5,
    brightness=32.0, contrast=0.4, saturation=0.4, hue=0.05, channel_noise=0.1,
    night=(0.15, 2.5), blur=(0.15, 1.5), noise=(0.2, 10.0), jpeg=(0.1, 40),
    cutout=(0.1, 0.3), cutmix=0.1, classmix=0.15,
)
# fmt: on
_PAPER = Augmentation(scale=(0.5, 2.0), flip=True, brightness=32.0, channel_noise=0.1)
# What a small camera does to a street, for the last stage of a training (the CamVid model's card).
# fmt: off
_CAMERA = dataclasses.replace(
    _PAPER, contrast=0.3, saturation=0.3,
    night=(0.15, 2.0), blur=(0.15, 1.5), noise=(0.2, 20.0), jpeg=(0.1, 40),
)
# fmt: on
PRESETS = {
    "paper": _PAPER,
    "camera": _CAMERA,
    # Short fine-tuning and small images: less zoom keeps thin objects visible.
    "gentle": Augmentation(scale=(0.75, 1.5), flip=True, brightness=20.0, channel_noise=0.05),
    "strong": _STRONG,
    "none": None,
}


def augmentation(choice: str | Augmentation | None) -> Augmentation | None:
    """The preset of that name, None for `none`; strengths of one's own are passed on.

    Raises:
        ConfigError: no such preset.
    """
    if choice is None or isinstance(choice, Augmentation):
        return choice
    return PRESETS[check_name("augmentation", choice, PRESETS)]


TRIES = 10  # places tried for a crop, as in mmsegmentation's `cat_max_ratio`
# Name -> how many of a pair's numbers are for it.
# fmt: off
_SLOTS = {
    "scale": 1, "aspect": 1, "places": 2 * TRIES, "flip": 1, "rotation": 2, "balance": 6,
    "order": 5, "brightness": 1, "contrast": 1, "saturation": 1, "hue": 1, "channel_noise": 3,
    "night": 3, "blur": 2, "noise": 3, "jpeg": 2, "cutout": 5, "mix": 5, "classes": MAX_CLASSES,
}
# fmt: on
DRAWS = sum(_SLOTS.values())  # uniform numbers in [0, 1) per pair


class Draws:
    """The numbers of a pair by what they decide.

    Args:
        vector: (DRAWS,) float32 in [0, 1), or (batch, DRAWS) for `mix`.
    """

    def __init__(self, vector: Any):
        self._vector = vector

    def of(self, name: str) -> Any:
        """The numbers for one purpose, on the last axis."""
        start = _STARTS[name]
        return self._vector[..., start : start + _SLOTS[name]]

    def one(self, name: str) -> Any:
        """The only or first number for a purpose."""
        return self._vector[..., _STARTS[name]]


_STARTS = {name: sum(list(_SLOTS.values())[:i]) for i, name in enumerate(_SLOTS)}
