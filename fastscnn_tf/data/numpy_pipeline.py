"""The NumPy pipeline from a data set to batches for `model.fit`, on any Keras backend.

Order and draws are a pure function of (seed, epoch, position), so that neither the number of
threads nor where training was resumed changes a batch.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from ..core.aliases import StrPath
from ..core.arguments import check_number
from ..core.config import FastSCNNConfig, config_of
from ..core.keras_api import Ours, PyDataset, keras3, of_keras
from .augment import numpy_ops
from .augment.augmentation import DRAWS, Augmentation, augmentation
from .augment.mix import mix_batch
from .augment.pair import augment_pair
from .datasets.dataset import Pair, SegmentationDataset
from .datasets.objects import Classes, Source
from .pipeline import check_batches, for_outputs, named_after, opened
from .png_decoder import use_fast_png
from .reader import noting_data_errors, pair_reader

Batch = tuple[np.ndarray, Any]  # images, and labels or a dict of them


def load_pydataset(
    name: str | Source,
    data_dir: StrPath | None = None,
    *,
    split: str = "train",
    config: FastSCNNConfig,
    augment: str | Augmentation = "none",
    batch_size: int = 1,
    seed: int | None = None,
    workers: int = 2,
    cache: str = "auto",
    skip_bad: bool = False,
    classes: Classes | None = None,
) -> PyDataset:
    """A `keras.utils.PyDataset` of batches for `model.fit` on any backend, without TensorFlow.

    Args:
        name: as for `load_dataset`.
        data_dir: where the data set lies; not needed for `toy`.
        split: which split.
        config: gives size, normalisation, number of classes and whether there are auxiliary
            heads.
        augment: as for `load_dataset`.
        batch_size: pairs per batch.
        seed: makes order and augmentation repeatable. The random numbers are not TensorFlow's:
            the same seed gives other batches than `load_dataset`.
        workers: threads that prepare batches ahead.
        cache: as for `load_dataset`.
        skip_bad: as for `load_dataset`.
        classes: as for `load_dataset`.

    Returns:
        Batches of (images, labels): float32 (B, H, W, 3) normalised by `config`, and uint8
        (B, H, W) class indices with 255 ignored; with `config.aux_heads` the labels come as a
        dict for the model's outputs. `epoch` says which epoch is given (from 0, one more after
        each that Keras finishes) and may be set, to go on where training stopped.

    Raises:
        ConfigError: the classes of data set and config differ, the batch is larger than the
            split, or there are no workers.
        DataError: files are missing or wrong; unreadable ones show when their batch is asked
            for.
    """
    config = config_of(config)
    dataset = opened(name, data_dir, split, config, skip_bad, classes)
    settings = augmentation(augment)
    return numpy_batches(dataset, config, settings, batch_size, seed, workers, cache)


def numpy_batches(
    dataset: SegmentationDataset,
    config: FastSCNNConfig,
    settings: Augmentation | None = None,
    batch_size: int = 1,
    seed: int | None = None,
    workers: int = 2,
    cache: str = "auto",
    share: tuple[int, int] = (0, 1),
    kind: Callable[..., Any] | None = None,
) -> Any:
    """`load_pydataset` for an opened data set, with `settings` as in `pipeline.batches`.

    Args:
        dataset, config, settings, batch_size, seed, workers, cache: as there.
        share: (number, count), for one of several processes that train together: rows `number *
            batch_size / count` and following of every batch, the same pairs, draws and mixtures
            that stand there in a whole batch.
        kind: makes another `BatchSource`.
    """
    check_batches(dataset, config, batch_size, training=settings is not None)
    check_number("workers", workers, 1)
    make = kind or BatchSource
    source = make(dataset, config, settings, batch_size, seed, cache, share)
    return of_keras(PairBatches, keras3().utils.PyDataset)(source, workers)


class BatchSource:
    """Makes any batch of any epoch, in any order and from any thread.

    Args: as for `numpy_batches`.
    """

    def __init__(
        self,
        dataset: SegmentationDataset,
        config: FastSCNNConfig,
        settings: Augmentation | None,
        batch_size: int,
        seed: int | None,
        cache: str = "auto",
        share: tuple[int, int] = (0, 1),
    ):
        self.config, self.settings = named_after(dataset, config), settings
        self.batch_size, self.share = batch_size, share
        self.count = len(dataset)
        self.seed = int(np.random.default_rng().integers(2**31)) if seed is None else seed % 2**64
        use_fast_png(with_tensorflow=False)
        self._reader = pair_reader(dataset, config, settings is not None, cache)

    def __len__(self) -> int:
        if self.settings:
            return self.count // self.batch_size
        return -(-self.count // self.batch_size)

    def batch(self, epoch: int, index: int) -> Batch:
        """Batch `index` of an epoch.

        Raises:
            DataError: a file cannot be read.
        """
        mixes = self.settings is not None and self.settings.mixes
        partner = int(mixes and self.share[1] > 1)  # of the first row, which is not given
        keys, vectors = self._drawn(epoch, index, partner)
        images = np.empty((len(keys), *self.config.input_size, 3), np.float32)
        labels = np.empty(images.shape[:3], np.uint8)
        for slot, key in enumerate(keys):
            images[slot], labels[slot] = self._shown(*self._reader.read(int(key)), vectors[slot])
        if self.settings and mixes:
            images, labels = mix_batch(images, labels, vectors, self.settings, numpy_ops)
        return images[partner:], for_outputs(labels[partner:], self.config)

    def order(self, epoch: int) -> np.ndarray:
        """The pairs' indices in the order of an epoch; every pair once."""
        if self.settings is None:
            return np.arange(self.count)
        return self._random(epoch).permutation(self.count)

    def _drawn(self, epoch: int, index: int, before: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """The indices of this share's pairs of a batch, and their numbers (pairs, DRAWS).

        Args:
            epoch, index: of the batch.
            before: rows before the share's that are wanted as well; before the first is the last.
        """
        start, (number, count) = index * self.batch_size, self.share
        whole = min(self.batch_size, self.count - start)
        rows = np.arange(number * whole // count - before, (number + 1) * whole // count) % whole
        numbers = [self._random(epoch, start + int(r)).random(DRAWS, np.float32) for r in rows]
        return self.order(epoch)[start + rows], np.stack(numbers)

    def _shown(self, image: np.ndarray, label: np.ndarray, vector: np.ndarray) -> Pair:
        """A pair as the network sees it: augmented, or normalised alone."""
        if self.settings is None:
            return self.config.normalised(image), label
        return augment_pair(image, label, vector, self.settings, self.config, numpy_ops)

    def _random(self, *key: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))


class _Ahead:
    """Prepares the batches after the one asked for, in threads."""

    def __init__(self, source: BatchSource, workers: int):
        self._source, self._workers = source, workers
        self._pool = ThreadPoolExecutor(workers, "fastscnn-batches")
        self._futures: dict[tuple[int, int], Future[Batch]] = {}
        self._lock = threading.Lock()

    def batch(self, epoch: int, index: int) -> Batch:
        stop = min(index + 1 + self._workers, len(self._source))
        with self._lock:
            known, self._futures = self._futures, {}
            for i in range(index, stop):
                future = known.pop((epoch, i), None)
                future = future or self._pool.submit(self._source.batch, epoch, i)
                self._futures[epoch, i] = future
            for future in known.values():
                future.cancel()
            wanted = self._futures.pop((epoch, index))
        return wanted.result()


class PairBatches(Ours):
    """Batches of a `BatchSource`, prepared ahead in its own threads.

    Keras' own threads, which `workers` of the base class would start, carry batches prepared
    for one pass over into the next (on JAX and PyTorch `fit` then begins with batch 1), so
    they stay off.

    Attributes:
        epoch: the epoch that is given.
        first: its first batch, for an epoch that goes on.
    """

    def __init__(self, source: BatchSource, workers: int):
        super().__init__(workers=1)
        self.source, self.epoch, self.first = source, 0, 0
        self._ahead = _Ahead(source, workers)
        self._within = self._whole = False  # in an epoch of Keras; its last batch was given

    def at(self, epoch: int, first: int) -> Any:
        """Itself, from a batch of an epoch on."""
        self.epoch, self.first = epoch, first
        return self

    def __len__(self) -> int:
        return len(self.source) - self.first

    def __getitem__(self, index: int) -> Batch:
        if not 0 <= index < len(self):
            raise IndexError(index)
        with noting_data_errors():
            batch = self._ahead.batch(self.epoch, self.first + index)
        self._whole = self._within and (self._whole or index == len(self) - 1)
        return batch

    def on_epoch_begin(self) -> None:
        self._within, self._whole = True, False

    def on_epoch_end(self) -> None:
        # Keras calls it, too, when it has looked at a batch to build the model.
        self.epoch += self._whole
        self._within = self._whole = False
