"""Augmentation of (image, label map) pairs inside tf.data, drawn per image.

Geometry is shared by both; light never touches the label; labels are resized nearest. Every
draw comes from the image's own stateless seed, so the same seed gives the same batches for any
number of workers. `numpy_augment` does the same without TensorFlow.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from ..core.config import FastSCNNConfig
from ..core.errors import ConfigError
from ..core.labels import IGNORE
from ..core.sizes import Size
from ..keras_api import tensorflow


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """What may happen to a training pair.

    Args:
        scale: range of the random resize (paper, section 4: 0.5 to 2).
        flip: mirror horizontally in half of the cases.
        brightness: greatest shift of all channels, in 0..255 units.
        channel_noise: greatest relative gain of each colour channel; the paper names "color
            channels noise" without a strength.
    """

    scale: tuple[float, float] = (1.0, 1.0)
    flip: bool = False
    brightness: float = 0.0
    channel_noise: float = 0.0


DRAWS = 8  # numbers in [0, 1) per pair: scale, two of place, flip, shift, three of gain

PRESETS = {
    "none": None,
    "paper": Augmentation(scale=(0.5, 2.0), flip=True, brightness=32.0, channel_noise=0.1),
    # Short fine-tuning and small pictures: less zoom keeps thin objects visible.
    "gentle": Augmentation(scale=(0.75, 1.5), flip=True, brightness=20.0, channel_noise=0.05),
}


def augmentation(name: str) -> Augmentation | None:
    """The preset of that name; None for `none`.

    Raises:
        ConfigError: no such preset.
    """
    if name not in PRESETS:
        raise ConfigError(f"unknown augmentation {name!r}: expected one of {', '.join(PRESETS)}")
    return PRESETS[name]


def augment_pair(
    image: Any, label: Any, seed: Any, settings: Augmentation, config: FastSCNNConfig
) -> tuple[Any, Any]:
    """Augments one pair to the training size.

    Args:
        image: (h, w, 3) uint8 RGB.
        label: (h, w) uint8 class indices.
        seed: (2,) int64, the draw of this image.
        settings: the strengths.
        config: gives the crop size and the padding colour (its mean).

    Returns:
        float32 image in 0..255 and uint8 label, both of `config.input_size`; padding is the mean
        in the image and 255 in the label.
    """
    draw = tensorflow().random.stateless_uniform((DRAWS,), seed)
    return augment_drawn(image, label, draw, settings, config)


def augment_drawn(
    image: Any, label: Any, draw: Any, settings: Augmentation, config: FastSCNNConfig
) -> tuple[Any, Any]:
    """`augment_pair` with the numbers already drawn.

    Args:
        image: (h, w, 3) uint8 RGB.
        label: (h, w) uint8 class indices.
        draw: (DRAWS,) float32 in [0, 1).
        settings: the strengths.
        config: as in `augment_pair`.

    Returns:
        As `augment_pair`.
    """
    tf = tensorflow()
    image, label = _scaled_crop(image, label, draw, settings.scale, config)
    if settings.flip:
        flip = draw[3] < 0.5
        image = tf.cond(flip, lambda: tf.reverse(image, [1]), lambda: image)
        label = tf.cond(flip, lambda: tf.reverse(label, [1]), lambda: label)
    shift = (draw[4] * 2 - 1) * settings.brightness
    gain = 1 + (draw[5:8] * 2 - 1) * settings.channel_noise
    return tf.clip_by_value(image * gain + shift, 0.0, 255.0), label


def _scaled_crop(image, label, draw, scale: tuple[float, float], config: FastSCNNConfig):
    """Resizes only the part that the crop will show: cheap, and the same as resize then crop."""
    tf = tensorflow()
    size = tf.constant(config.input_size, tf.float32)
    extent = tf.cast(tf.shape(image)[:2], tf.float32)
    factor = scale[0] + draw[0] * (scale[1] - scale[0])
    window = tf.minimum(tf.round(size / factor), extent)  # source pixels that are visible
    start = tf.cast(tf.floor(draw[1:3] * (extent - window + 1)), tf.int32)
    start = tf.minimum(start, tf.cast(extent - window, tf.int32))
    stop = start + tf.cast(window, tf.int32)
    shown = tf.cast(tf.minimum(tf.round(window * factor), size), tf.int32)
    image = image[start[0] : stop[0], start[1] : stop[1]]
    label = label[start[0] : stop[0], start[1] : stop[1], None]
    image = tf.image.resize(image, shown)
    label = tf.image.resize(label, shown, "nearest")
    return _pad(image, label[..., 0], shown, draw, config)


def _pad(image, label, shown, draw, config: FastSCNNConfig):
    tf = tensorflow()
    height, width = config.input_size
    missing = tf.constant([height, width]) - shown
    before = tf.cast(tf.cast(missing + 1, tf.float32) * draw[1:3], tf.int32)
    before = tf.minimum(before, missing)
    pads = tf.stack([before, missing - before], axis=1)
    image = tf.pad(image - config.mean, tf.concat([pads, [[0, 0]]], 0)) + config.mean
    label = tf.pad(label, pads, constant_values=IGNORE)
    size: Size = config.input_size
    return tf.ensure_shape(image, (*size, 3)), tf.ensure_shape(label, size)
