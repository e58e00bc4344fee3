"""One augmented pair, from an image of any size to a crop for training."""

import math
from types import ModuleType
from typing import Any

from ...core.config import FastSCNNConfig
from ...core.labels import IGNORE
from .augmentation import Augmentation, Draws
from .geometry import choose_window, shown_part, turned
from .photometric import relit


def augment_pair(
    image, label, vector, settings: Augmentation, config: FastSCNNConfig, ops: ModuleType
) -> tuple[Any, Any]:
    """Augments one pair to the training size.

    Args:
        image: (h, w, 3) uint8 RGB.
        label: (h, w) uint8 class indices.
        vector: (DRAWS,) float32 uniform in [0, 1), the draw of this pair.
        settings: the strengths.
        config: gives crop size, mean and std.
        ops: `tf_ops` or `numpy_ops`.

    Returns:
        float32 image, `(x - mean) / std` of values in 0..255, and uint8 label, both of
        `config.input_size`; padding is 0 in the image, which is the mean, and 255 in the label.
    """
    draws = Draws(vector)
    window = choose_window(label, draws, settings, config, ops)
    image, label, before = _placed(image, label, window, draws, settings, config, ops)
    image = relit(image, draws, settings, config, ops)
    if settings.cutout[0]:
        image, label = _blotted(image, label, draws, settings, ops)
    if settings.flip:
        mirrored = draws.one("flip") < 0.5
        image = ops.when(mirrored, lambda: ops.reverse_columns(image), lambda: image)
        label = ops.when(mirrored, lambda: ops.reverse_columns(label), lambda: label)
    image = ops.pad(image, before, config.input_size, 0)
    return image, ops.pad(label, before, config.input_size, IGNORE)


def _placed(
    image, label, window, draws, settings: Augmentation, config: FastSCNNConfig, ops: ModuleType
):
    """What the crop shows of a pair, and the rows and columns of padding before it."""
    share, degrees = settings.rotation

    def upright():
        return (*shown_part(image, label, window, ops), window.before)

    def askew():
        angle = (draws.of("rotation")[1] * 2.0 - 1.0) * math.radians(degrees)
        return (*turned(image, label, window, angle, config, ops), window.before * 0)

    if not share:
        return upright()
    return ops.when(draws.of("rotation")[0] < share, askew, upright)


def _blotted(image, label, draws: Draws, settings: Augmentation, ops: ModuleType):
    """A rectangle of the mean colour, void in the label, in some of the pairs."""
    share, most = settings.cutout
    numbers = draws.of("cutout")

    def cut():
        size = ops.extent(label)
        side = ops.maximum(ops.round_(numbers[1:3] * most * size), 1.0)
        start = ops.floor(numbers[3:5] * (size - side + 1.0))
        mask = ops.box_mask(ops.integers(size), ops.integers(start), ops.integers(start + side))
        return (
            ops.where(mask[..., None], ops.floats(0.0), image),
            ops.where(mask, ops.bytes_(IGNORE), label),
        )

    return ops.when(numbers[0] < share, cut, lambda: (image, label))
