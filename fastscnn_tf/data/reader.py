"""Reading pairs by index inside a pipeline, and bringing the reader's errors back out of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np

from ..core.errors import FastSCNNError
from ..core.images import resize_image, resize_label
from ..core.sizes import Size
from .cache import Cache
from .dataset import SegmentationDataset

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
        cache: where decoded pairs are kept, or None.
    """

    def __init__(
        self, dataset: SegmentationDataset, size: Size | None = None, cache: Cache | None = None
    ):
        self.dataset, self.size, self.cache = dataset, size, cache

    def __call__(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with noting_data_errors():
            return self.read(int(index))

    def read(self, key: int) -> tuple[np.ndarray, np.ndarray]:
        """Pair number `key`: (h, w, 3) uint8 RGB and (h, w) uint8 class indices.

        Raises:
            DataError: a file cannot be read.
        """
        kept = self.cache.get(key) if self.cache else None
        if kept:
            return kept
        image, label = self.dataset.read(key)
        if self.size:
            image, label = resize_image(image, self.size), resize_label(label, self.size)
        if self.cache:
            self.cache.put(key, (image, label))
        return image, label
