"""In what order pairs are given, and which rows of every batch a process reads."""

from typing import Any

import numpy as np

from ..core.errors import ConfigError
from ..core.keras_api import tensorflow
from .augment.augmentation import Augmentation


def shuffled_indices(
    count: int,
    batch_size: int,
    seed: int | None,
    epochs: range | None,
    first_step: int = 0,
    rows: range | None = None,
) -> Any:
    """(index, draw seed) pairs; whole batches only, a fresh permutation for every epoch.

    Args:
        count: pairs in the split.
        batch_size: pairs per batch.
        seed, epochs, first_step: as for `batches`.
        rows: those of every batch that are wanted, see `batch_rows`; all of them by default.
    """
    tf = tensorflow()
    if seed is not None and not (isinstance(seed, int) and abs(seed) < 1 << 63):
        raise ConfigError(f"seed must be a whole number of at most 63 bits, got {seed!r}")
    rows = range(batch_size) if rows is None else rows
    length = count // batch_size * len(rows)
    seed = int(np.random.default_rng().integers(2**31)) if seed is None else seed

    def epoch_of(key):
        keys = tf.stack([tf.cast(seed, tf.int64), key])

        def at(number):
            position = position_of(number, rows, batch_size)
            index = tf.random.experimental.index_shuffle(
                tf.cast(position, tf.int32), tf.cast(keys, tf.int32), count - 1
            )
            draw = tf.stack([tf.cast(seed, tf.int64), key * (1 << 32) + position])
            return tf.cast(index, tf.int64), draw

        return tf.data.Dataset.range(length).map(at)

    if epochs is not None:
        keys = tf.data.Dataset.range(epochs.start, epochs.stop)
        total = length * len(epochs)
    else:
        keys = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).take(1)
        keys = keys.map(lambda key: key % (1 << 30))
        total = length
    stream = keys.flat_map(epoch_of).apply(tf.data.experimental.assert_cardinality(total))
    return stream.skip(first_step * len(rows))


def batch_rows(
    pairs: int, batch_size: int, share: tuple[int, int], settings: Augmentation | None = None
) -> range:
    """The rows of every batch that a process reads, see `share` of `batches`.

    Where pairs are mixed the partner of a row is the one before it, so a share begins one row
    earlier; that of row 0 is the last of the batch, here -1.

    Args:
        pairs: in the split.
        batch_size: of the whole batch.
        share: (number, count).
        settings: augmentation, if any.

    Raises:
        ConfigError: no such share, or the rows cannot be shared out evenly.
    """
    number, count = share
    if not 0 <= number < count:
        raise ConfigError(f"expected a share (number, count) with 0 <= number < count, got {share}")
    if batch_size % count:
        raise ConfigError(f"batch size {batch_size} is no multiple of {count} shares")
    if settings is None and count > 1 and pairs % batch_size:
        raise ConfigError(
            f"{pairs} pairs are no multiple of batch size {batch_size}: the last batch cannot be "
            "shared out; use an augmentation, which leaves it out, or another batch size"
        )
    size = batch_size // count
    partner = settings is not None and settings.mixes and count > 1
    return range(number * size - int(partner), (number + 1) * size)


def position_of(index: Any, rows: range, batch_size: int) -> Any:
    """Where in an epoch the `index`-th of the pairs stands that these rows give."""
    if rows == range(batch_size):
        return index
    return index // len(rows) * batch_size + (rows.start + index % len(rows)) % batch_size
