"""The tf.data pipeline from a data set to batches for `model.fit`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core.config import FastSCNNConfig
from ..core.errors import ConfigError, DataError, FastSCNNError
from ..core.images import resize_image, resize_label
from ..keras_api import tensorflow
from .augment import Augmentation, augment_pair, augmentation
from .dataset import SegmentationDataset
from .registry import open_dataset

CACHE_BYTES = 1 << 30  # decoded pairs kept in memory, at most


def load_dataset(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    split: str = "train",
    config: FastSCNNConfig,
    augment: str = "none",
    batch_size: int = 1,
    seed: int | None = None,
) -> Any:
    """A `tf.data.Dataset` of batches for `model.fit`.

    Args:
        name: as for `open_dataset`.
        data_dir: where the data set lies; not needed for `toy`.
        split: which split.
        config: gives size, normalisation, number of classes and whether there are auxiliary
            heads.
        augment: `paper`, `gentle` or `none`. With augmentation the pairs are shuffled anew in
            every epoch and only full batches are given; without it every pair is given, in
            order, resized to `config.input_size`.
        batch_size: pairs per batch.
        seed: makes order and augmentation repeatable.

    Returns:
        Dataset of (images, labels): float32 (B, H, W, 3) normalised by `config`, and uint8
        (B, H, W) class indices with 255 ignored; with `config.aux_heads` the labels come as a
        dict for the three outputs.

    Raises:
        ConfigError: the classes of data set and config differ, or the batch is larger than the
            split.
        DataError: files are missing or wrong.
    """
    dataset = open_dataset(name, data_dir, split, config.input_size)
    return batches(dataset, config, augmentation(augment), batch_size, seed)


def batches(
    dataset: SegmentationDataset,
    config: FastSCNNConfig,
    settings: Augmentation | None = None,
    batch_size: int = 1,
    seed: int | None = None,
    epochs: range | None = None,
) -> Any:
    """`load_dataset` for an opened data set.

    Args:
        dataset: the pairs.
        config: as in `load_dataset`.
        settings: augmentation, or None for plain evaluation batches.
        batch_size: pairs per batch.
        seed: makes order and augmentation repeatable.
        epochs: epochs to give in one go, each with its own order: the position in the stream
            alone decides order and draws, so training resumes where it stopped. By default one
            epoch per iteration, different every time.
    """
    check_batches(dataset, config, batch_size, training=settings is not None)
    tf = tensorflow()
    read = PairReader(dataset, None if settings else config.input_size)
    if settings is None:
        stream = tf.data.Dataset.range(len(dataset)).map(lambda i: (i, tf.zeros(2, tf.int64)))
    else:
        stream = shuffled_indices(len(dataset), batch_size, seed, epochs)

    def load(index, draw):
        image, label = tf.numpy_function(read, [index], (tf.uint8, tf.uint8), stateful=False)
        image.set_shape((None, None, 3))
        label.set_shape((None, None))
        if settings is None:
            image = tf.ensure_shape(tf.cast(image, tf.float32), (*config.input_size, 3))
            return _finish(image, tf.ensure_shape(label, config.input_size), config)
        return _finish(*augment_pair(image, label, draw, settings, config), config)

    result = stream.map(load, tf.data.AUTOTUNE, deterministic=True).batch(batch_size)
    return result.prefetch(2)


def check_batches(
    dataset: SegmentationDataset, config: FastSCNNConfig, batch_size: int, training: bool
) -> None:
    """Makes sure that a data set can be batched for a model.

    Raises:
        DataError: the split is empty.
        ConfigError: other classes than the model's, or the batch is larger than the split.
    """
    if len(dataset) == 0:
        raise DataError(f"{dataset.name}: split {dataset.split!r} is empty")
    if len(dataset.labels) != config.num_classes:
        raise ConfigError(
            f"{dataset.name} has {len(dataset.labels)} classes but the model has "
            f"{config.num_classes}"
        )
    if batch_size < 1:
        raise ConfigError(f"batch size must be at least 1, got {batch_size}")
    if training and batch_size > len(dataset):
        raise ConfigError(
            f"batch size {batch_size} is larger than the {len(dataset)} pairs of split "
            f"{dataset.split!r}: use at most {len(dataset)}"
        )


def shuffled_indices(count: int, batch_size: int, seed: int | None, epochs: range | None):
    """(index, draw seed) pairs; whole batches only, a fresh permutation for every epoch."""
    tf = tensorflow()
    length = count // batch_size * batch_size
    seed = int(np.random.default_rng().integers(2**31)) if seed is None else seed

    def epoch_of(key):
        keys = tf.stack([tf.cast(seed, tf.int64), key])

        def at(position):
            index = tf.random.experimental.index_shuffle(
                tf.cast(position, tf.int32), tf.cast(keys, tf.int32), count - 1
            )
            draw = tf.stack([tf.cast(seed, tf.int64), key * 1_000_003 + position])
            return tf.cast(index, tf.int64), draw

        return tf.data.Dataset.range(length).map(at)

    if epochs is not None:
        keys = tf.data.Dataset.range(epochs.start, epochs.stop)
        total = length * len(epochs)
    else:
        keys = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).take(1)
        keys = keys.map(lambda key: key % (1 << 30))
        total = length
    return keys.flat_map(epoch_of).apply(tf.data.experimental.assert_cardinality(total))


def _finish(image, label, config: FastSCNNConfig):
    return (image - config.mean) / config.std, for_outputs(label, config)


def for_outputs(label: Any, config: FastSCNNConfig) -> Any:
    """The labels as the model's outputs want them: with auxiliary heads the same for each."""
    if not config.aux_heads:
        return label
    return dict.fromkeys(("logits", *(f"aux_{head}" for head in config.aux_layout)), label)


_failures: list[FastSCNNError] = []


@contextlib.contextmanager
def named_data_errors() -> Iterator[None]:
    """Raises the reader's own error where tf.data would wrap it into a page of its own."""
    _failures.clear()
    try:
        yield
    except Exception:
        if _failures:
            raise _failures[0] from None
        raise


@contextlib.contextmanager
def noting_data_errors() -> Iterator[None]:
    """Keeps an error of ours for `named_data_errors`, since tf.data loses it."""
    try:
        yield
    except FastSCNNError as error:
        _failures.append(error)
        raise


class PairReader:
    """Reads pairs by index for `tf.numpy_function`, keeping decoded ones while they fit.

    Args:
        dataset: the pairs.
        size: resize to this (height, width), or None to keep the own size.
    """

    def __init__(self, dataset: SegmentationDataset, size: tuple[int, int] | None):
        self.dataset, self.size = dataset, size
        self._cache: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._room = CACHE_BYTES

    def __call__(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with noting_data_errors():
            return self.read(int(index))

    def read(self, key: int) -> tuple[np.ndarray, np.ndarray]:
        """Pair number `key`: (h, w, 3) uint8 RGB and (h, w) uint8 class indices.

        Raises:
            DataError: a file cannot be read.
        """
        if key not in self._cache:
            image, label = self.dataset.read(key)
            if self.size:
                image, label = resize_image(image, self.size), resize_label(label, self.size)
            if self._room < image.nbytes + label.nbytes:
                return image, label
            self._room -= image.nbytes + label.nbytes
            self._cache[key] = image, label
        return self._cache[key]
