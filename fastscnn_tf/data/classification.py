"""The tf.data pipeline from images with a class each to batches, for pre-training the trunk.

Training shows a random part of each image (Szegedy et al., CVPR 2015, section 6), mirrored in
half of the cases and in changed light; evaluation shows the middle, as ImageNet is usually scored.
"""

import math
from typing import Any

import numpy as np
from PIL import Image

from ..core.errors import ConfigError
from ..core.keras_api import tensorflow
from ..core.sizes import Size
from .augment.augmentation import PRESETS, Augmentation
from .datasets.image_folders import ImageFolders
from .pipeline import shuffled_indices
from .reader import noting_data_errors

AREA = (0.08, 1.0)  # share of the image that training shows
ASPECT = (3 / 4, 4 / 3)  # how much its width is stretched against its height
TRIES = 10  # draws of a part before the middle is taken
MARGIN = 8 / 7  # evaluation resizes to this multiple of the size (256 for 224), then crops
LIGHT = PRESETS["gentle"] or Augmentation()

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels


def classification_batches(
    dataset: ImageFolders,
    size: Size,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    batch_size: int,
    seed: int | None = None,
    epochs: range | None = None,
    first_step: int = 0,
    training: bool = True,
) -> Any:
    """Batches of images and classes for `model.fit` and `model.evaluate`.

    Args:
        dataset: the images.
        size: (height, width) of the batches in pixels.
        mean: per-channel mean in 0..255 units, RGB.
        std: per-channel standard deviation in 0..255 units, RGB.
        batch_size: images per batch.
        seed: makes order and augmentation repeatable; only training draws.
        epochs: epochs to give in one go, each with its own order: seed, epoch and position alone
            decide order and draws, so training resumes where it stopped. By default one epoch per
            iteration, different every time. Only training has epochs.
        first_step: batches of the first epoch that were given already.
        training: images shuffled and augmented, whole batches only; otherwise every image in
            order, its shorter side resized to 8/7 of the size and the middle cropped.

    Returns:
        `tf.data.Dataset` of (images, classes): float32 (B, H, W, 3), `(x - mean) / std` of 0..255
        values, and int32 (B,). Iterate inside `named_data_errors` to get an unreadable image as
        a `DataError` that names it.

    Raises:
        ConfigError: a size or batch size below 1, or a batch larger than the split in training.
    """
    check_images(dataset, size, batch_size, training)
    tf = tensorflow()
    if training:
        stream = shuffled_indices(len(dataset), batch_size, seed, epochs, first_step)
    else:
        stream = tf.data.Dataset.range(len(dataset)).map(lambda i: (i, tf.zeros(2, tf.int64)))
    read = ImageReader(dataset, size, training)

    def load(index, draw):
        image, label = tf.numpy_function(read, [index, draw], (tf.uint8, tf.int32), stateful=False)
        image = tf.cast(tf.ensure_shape(image, (*size, 3)), tf.float32)
        if training:
            image = _in_other_light(image, draw)
        return (image - mean) / std, tf.ensure_shape(label, ())

    result = stream.map(load, tf.data.AUTOTUNE, deterministic=True).batch(batch_size)
    return result.prefetch(2)


def check_images(dataset: ImageFolders, size: Size, batch_size: int, training: bool) -> None:
    """Makes sure that images can be batched.

    Raises:
        ConfigError: a size or batch size below 1, or a batch larger than the split in training.
    """
    if min(size) < 1 or batch_size < 1:
        raise ConfigError(
            f"size and batch size must be at least 1, got {size[0]}x{size[1]} and {batch_size}"
        )
    if training and batch_size > len(dataset):
        raise ConfigError(
            f"batch size {batch_size} is larger than the {len(dataset)} images of split "
            f"{dataset.split!r}: use at most {len(dataset)}"
        )


def _in_other_light(image: Any, draw: Any) -> Any:
    """A shift of all channels and a gain for each, as in `augment`; stays in 0..255."""
    tf = tensorflow()
    random = tf.random.stateless_uniform((4,), draw) * 2 - 1
    image = image * (1 + random[1:] * LIGHT.channel_noise) + random[0] * LIGHT.brightness
    return tf.clip_by_value(image, 0.0, 255.0)


class ImageReader:
    """Reads and crops images by index for `tf.numpy_function`.

    Args:
        dataset: the images.
        size: (height, width) they are brought to.
        training: a random part, perhaps mirrored, instead of the middle.
    """

    def __init__(self, dataset: ImageFolders, size: Size, training: bool):
        self.dataset, self.size, self.training = dataset, size, training

    def __call__(self, index: np.ndarray, draw: np.ndarray) -> tuple[np.ndarray, np.int32]:
        with noting_data_errors():
            return self.read(int(index), draw)

    def read(self, index: int, draw: np.ndarray) -> tuple[np.ndarray, np.int32]:
        """Image number `index`: `size` uint8 RGB, and its class.

        Args:
            index: 0..len - 1.
            draw: (2,) integers that alone decide what training shows.

        Raises:
            DataError: the file cannot be read.
        """
        image, label = self.dataset.read(index)
        if not self.training:
            box = central_box(image.shape[:2], self.size)
            return resized_part(image, box, self.size), np.int32(label)
        # Seeds of numpy are not negative; a negative one of ours keeps its bits.
        rng = np.random.default_rng(np.asarray(draw, np.int64).view(np.uint64))
        part = resized_part(image, random_box(image.shape[:2], self.size, rng), self.size)
        return (part[:, ::-1] if rng.random() < 0.5 else part), np.int32(label)


def random_box(extent: Size, size: Size, rng: np.random.Generator) -> Box:
    """A random part of an image for training.

    Its area is 8 to 100 % of the image's, its aspect 3/4 to 4/3 of that of `size`. Where no draw
    fits into the image, the largest part in its middle with such an aspect is taken.

    Args:
        extent: (height, width) of the image.
        size: (height, width) it will be resized to.
        rng: is drawn from.

    Returns:
        A box of whole pixels, at least one, inside the image.
    """
    height, width = extent
    low, high = (ratio * size[1] / size[0] for ratio in ASPECT)
    for _ in range(TRIES):
        area = height * width * rng.uniform(*AREA)
        aspect = math.exp(rng.uniform(math.log(low), math.log(high)))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 1 <= w <= width and 1 <= h <= height:
            left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            return left, top, left + w, top + h
    aspect = min(max(width / height, low), high)
    w = max(1, min(width, round(height * aspect)))
    h = max(1, min(height, round(width / aspect)))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def central_box(extent: Size, size: Size) -> Box:
    """The part of an image that evaluation shows.

    The same as resizing until the image just covers 8/7 of `size` and cropping the middle, but
    the resized image, which may be huge for a narrow one, is never made.

    Args:
        extent: (height, width) of the image.
        size: (height, width) it will be resized to.

    Returns:
        A box inside the image, in fractions of pixels.
    """
    height, width = extent
    scale = min(height / size[0], width / size[1]) / MARGIN  # source pixels per shown pixel
    h, w = size[0] * scale, size[1] * scale
    left, top = (width - w) / 2, (height - h) / 2
    return left, top, left + w, top + h


def resized_part(image: np.ndarray, box: Box, size: Size) -> np.ndarray:
    """The part of (h, w, 3) uint8 in a box as `size` uint8: bilinear, antialiased in shrinking."""
    opened = Image.fromarray(image)
    return np.asarray(opened.resize(size[::-1], Image.Resampling.BILINEAR, box=box))
