"""In what order pairs are given."""

from typing import Any

import numpy as np

from ..core.errors import ConfigError
from ..core.keras_api import tensorflow


def shuffled_indices(
    count: int,
    batch_size: int,
    seed: int | None,
    epochs: range | None,
    first_step: int = 0,
) -> Any:
    """(index, draw seed) pairs; whole batches only, a fresh permutation for every epoch.

    Args:
        count: pairs in the split.
        batch_size: pairs per batch.
        seed, epochs, first_step: as for `batches`.
    """
    tf = tensorflow()
    if seed is not None and not (isinstance(seed, int) and abs(seed) < 1 << 63):
        raise ConfigError(f"seed must be a whole number of at most 63 bits, got {seed!r}")
    length = count // batch_size * batch_size
    seed = int(np.random.default_rng().integers(2**31)) if seed is None else seed

    def epoch_of(key):
        keys = tf.stack([tf.cast(seed, tf.int64), key])

        def at(position):
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
    return stream.skip(first_step * batch_size)
