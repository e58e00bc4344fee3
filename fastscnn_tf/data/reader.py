"""Reading pairs by index inside a pipeline, and bringing the reader's errors back out of it."""

import atexit
import contextlib
import threading
import time
from collections.abc import Iterator
from types import TracebackType

import numpy as np

from ..core.config import FastSCNNConfig
from ..core.errors import FastSCNNError
from ..core.images.image_file import resize_image, resize_label
from ..core.sizes import Size
from .cache import Cache, open_cache
from .datasets.dataset import SegmentationDataset

QUIET = 0.5  # seconds without a read, after which tf.data's threads have all that they want

_failures: list[FastSCNNError] = []


class _Reads:
    """The reads of tf.data's threads, of which none may begin once Python has begun to end.

    Python stops a thread that asks for it then, and an iterator that somebody still holds, which is
    destroyed later, would wait for that thread for ever. So those that begin at the end fail at
    once, until the threads have filled their buffers and ask for no more.
    """

    def __init__(self) -> None:
        self._lock, self._running, self._last, self._over = threading.Lock(), 0, -QUIET, False
        atexit.register(self._end)

    def __enter__(self) -> None:
        self._count(1)
        if self._over:
            self._count(-1)
            raise RuntimeError("Python is ending")

    def __exit__(self, *_: object) -> None:
        self._count(-1)

    def _count(self, step: int) -> None:
        with self._lock:
            self._running, self._last = self._running + step, time.monotonic()

    def _end(self) -> None:
        self._over = True
        while self._running or time.monotonic() - self._last < QUIET:
            time.sleep(0.01)


_reads = _Reads()


def named_data_errors() -> contextlib.AbstractContextManager[None]:
    """Raises the reader's own error where tf.data would wrap it into a page of its own."""
    return _Named()


class _Named:
    """No generator: its frames would keep the traceback of what tf.data raised.

    That traceback holds the iterator. Destroyed at Python's end, with the error that named it, the
    iterator would wait for ever for threads that Python has stopped.
    """

    def __enter__(self) -> None:
        _failures.clear()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        wrapped: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not isinstance(wrapped, Exception) or not _failures:
            return
        failure = _failures[0]
        _failures.clear()
        wrapped.__traceback__ = wrapped.__context__ = wrapped.__cause__ = None
        del trace
        raise failure from None


@contextlib.contextmanager
def noting_data_errors() -> Iterator[None]:
    """A read of tf.data's; keeps an error for `named_data_errors`, since tf.data loses it."""
    try:
        with _reads:
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


def pair_reader(
    dataset: SegmentationDataset, config: FastSCNNConfig, augmented: bool, cache: str
) -> PairReader:
    """What reads the pairs of batches, at their own size where they are augmented afterwards.

    Args:
        dataset: the pairs.
        config: gives the size of all others.
        augmented: whether they are.
        cache: as for `load_dataset`.
    """
    size = None if augmented else config.input_size
    return PairReader(dataset, size, open_cache(cache, dataset, size))
