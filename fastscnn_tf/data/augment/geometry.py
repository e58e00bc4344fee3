"""The geometry of an augmented pair: which part is shown, how large, turned and mirrored.

Only what the crop will show is resized or turned: cheap, and the same as resizing the whole
image first. Image and label go through the same numbers; labels are resized nearest.
"""

import math
from types import ModuleType
from typing import Any, NamedTuple

from ...core.config import FastSCNNConfig
from ...core.labels import IGNORE
from .augmentation import TRIES, Augmentation, Draws

THIN = 2  # classes are counted and looked up on every second row
FEW = 8  # a class with fewer such pixels is not worth a crop of its own


class Window(NamedTuple):
    """The part of a pair that the crop shows, all (2,) int32.

    `start` and `size` are in its pixels; `shown` is its size in the crop, `before` the rows and
    columns of padding in front of it.
    """

    start: Any
    size: Any
    shown: Any
    before: Any


def choose_window(
    label: Any, draws: Draws, settings: Augmentation, config: FastSCNNConfig, ops: ModuleType
) -> Window:
    """Draws scale, stretch and place of the crop."""
    full, extent = ops.floats(config.input_size), ops.extent(label)
    factors = _factors(draws, settings, ops)
    size = ops.maximum(ops.minimum(ops.round_(full / factors), extent), 1.0)
    start = _start(label, size, extent - size, draws, settings, config, ops)
    shown = ops.integers(ops.maximum(ops.minimum(ops.round_(size * factors), full), 1.0))
    missing = ops.integers(full) - shown
    before = ops.integers(ops.floats(missing + 1) * draws.of("places")[:2])
    return Window(start, ops.integers(size), shown, ops.minimum(before, missing))


def _factors(draws: Draws, settings: Augmentation, ops: ModuleType) -> Any:
    """How much rows and columns grow."""
    low, high = settings.scale
    factor = low + draws.one("scale") * (high - low)
    if settings.aspect == 1:
        return ops.stack([factor, factor])
    stretch = ops.exp((draws.one("aspect") - 0.5) * math.log(settings.aspect))
    return ops.stack([factor / stretch, factor * stretch])


def _start(
    label, size, room, draws, settings: Augmentation, config: FastSCNNConfig, ops: ModuleType
):
    """The first row and column of the window, which may begin up to `room`."""
    places = draws.of("places")

    def at(i):
        start = ops.floor(places[2 * i : 2 * i + 2] * (room + 1.0))
        return ops.integers(ops.minimum(start, room))

    def varied(start):
        part = ops.crop(label, start, ops.integers(size))
        counts = ops.class_counts(part[::THIN])[:IGNORE]
        most, total = ops.floats(ops.peak(counts)), ops.floats(ops.total(counts))
        return (total > 0) & (most < settings.cat_max_ratio * total)

    def anywhere():
        return ops.first(TRIES, at, varied) if settings.cat_max_ratio < 1 else at(0)

    if not settings.balance:
        return anywhere()
    wanted = draws.one("balance") < settings.balance
    classes = settings.rare_classes(config.labels.names)
    return ops.when(
        wanted, lambda: _around_a_class(label, size, room, classes, draws, anywhere, ops), anywhere
    )


def _around_a_class(label, size, room, classes, draws: Draws, otherwise, ops: ModuleType):
    """A window that shows a pixel of one of the classes, each present one as likely."""
    numbers = draws.of("balance")
    first = ops.integers(numbers[5] * THIN)  # every row has its turn
    thin = label[first::THIN]
    counts = ops.take(ops.class_counts(thin), ops.integers(classes))
    present = ops.nonzero(counts >= FEW)

    def around():
        chosen = ops.take(ops.integers(classes), ops.one_of(present, numbers[1]))
        row, column = ops.pair_of(ops.one_of(ops.pixels_of(thin, chosen), numbers[2]))
        pixel = ops.stack([ops.floats(row * THIN + first), ops.floats(column)])
        start = pixel - ops.floor(numbers[3:5] * size)
        return ops.integers(ops.minimum(ops.maximum(start, 0.0), room))

    return ops.when(ops.total(ops.integers(counts >= FEW)) > 0, around, otherwise)


def shown_part(image: Any, label: Any, window: Window, ops: ModuleType) -> tuple[Any, Any]:
    """The window of a pair, resized to `window.shown`: float32 0..255 and uint8."""
    image = ops.resize_bilinear(ops.crop(image, window.start, window.size), window.shown)
    label = ops.resize_nearest(ops.crop(label, window.start, window.size), window.shown)
    return image, label


def turned(
    image: Any, label: Any, window: Window, angle: Any, config: FastSCNNConfig, ops: ModuleType
) -> tuple[Any, Any]:
    """The whole crop, turned about the middle of the window by `angle` (radians).

    Corners show what lies around the window; beyond the image there is the mean, and void.
    """
    grown = ops.floats(window.shown) / ops.floats(window.size)
    middle = ops.floats(window.start) + ops.floats(window.size) / 2.0
    target = ops.floats(window.before) + ops.floats(window.shown) / 2.0
    cosine, sine = ops.cos(angle), ops.sin(angle)
    # Cell centres: cell i of the crop has its centre at i + 0.5, and so has pixel i.
    y, x = (0.5 - target[0]) / grown[0], (0.5 - target[1]) / grown[1]
    across = cosine / grown[1], sine / grown[0], cosine * x + sine * y + middle[1] - 0.5
    down = -sine / grown[1], cosine / grown[0], -sine * x + cosine * y + middle[0] - 0.5
    transform, size = ops.stack([*across, *down]), config.input_size
    label = ops.warp_label(label, transform, size, IGNORE)
    return ops.warp_image(image, transform, size, config.mean), label
