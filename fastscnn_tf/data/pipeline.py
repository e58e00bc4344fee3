"""The tf.data pipeline from a data set to batches for `model.fit`."""

import functools
from typing import Any

import numpy as np

from ..core.aliases import StrPath
from ..core.config import FastSCNNConfig, config_of
from ..core.errors import ConfigError, InputError, retold
from ..core.keras_api import TFDataset, as_it_is, tensorflow
from .augment.augmentation import DRAWS, Augmentation, augmentation
from .augment.mix import mix_batch
from .augment.pair import augment_pair
from .cache import MEMORY_SHARE, available_memory
from .check.usable import open_split
from .datasets.dataset import SegmentationDataset, check_filled, in_classes_of
from .datasets.objects import Classes, Source, as_dataset, held_in_memory
from .png_decoder import use_fast_png
from .reader import PairReader, pair_reader
from .records.packed_dataset import RecordsDataset


def load_dataset(
    name: str | Source,
    data_dir: StrPath | None = None,
    *,
    split: str = "train",
    config: FastSCNNConfig,
    augment: str | Augmentation = "none",
    batch_size: int = 1,
    seed: int | None = None,
    cache: str = "auto",
    skip_bad: bool = False,
    classes: Classes | None = None,
) -> TFDataset:
    """A `tf.data.Dataset` of batches for `model.fit`.

    Args:
        name: as for `open_dataset`; or the pairs themselves: what `open_dataset` returned, arrays,
            lists, or a data set of another library (see `data.datasets.objects.as_dataset`).
        data_dir: where the data set lies; not needed for `toy`.
        split: which split.
        config: gives size, normalisation, number of classes and whether there are auxiliary
            heads.
        augment: `paper`, `camera`, `gentle`, `strong`, `none`, or your own `Augmentation`. With
            augmentation the pairs are shuffled anew in every epoch and only full batches are
            given; without it every pair is given, in order, resized to `config.input_size`.
        batch_size: pairs per batch.
        seed: makes order and augmentation repeatable, for any number of threads.
        cache: where decoded pairs are kept for the next epoch: `auto` (in memory while they
            fit), `memory`, `none`, or a folder.
        skip_bad: read every pair first, unless it was found good before, and leave out those that
            cannot be used, with a counted warning.
        classes: of pairs that are no data set of ours: their names in the order of the label
            values; by default the config's.

    Returns:
        Dataset of (images, labels): float32 (B, H, W, 3) normalised by `config`, and uint8
        (B, H, W) class indices with 255 ignored; with `config.aux_heads` the labels come as a
        dict for the three outputs.

    Raises:
        InputError: TensorFlow is not installed.
        ConfigError: the classes of data set and config differ (the same names in another order
            are brought into the config's), or the batch is larger than the split.
        DataError: files are missing or wrong. An unreadable image shows when its batch is
            asked for: `model.fit` and `reader.named_data_errors` give this error, a plain loop
            gives TensorFlow's with this one in it.
    """
    with retold(InputError, after="; load_pydataset gives batches without it"):
        tensorflow()
    config = config_of(config)
    dataset = opened(name, data_dir, split, config, skip_bad, classes)
    settings = augmentation(augment)
    return batches(dataset, config, settings, batch_size, seed, cache=cache)


def load_records(
    folder: StrPath,
    *,
    split: str = "train",
    config: FastSCNNConfig,
    augment: str | Augmentation = "none",
    batch_size: int = 1,
    seed: int | None = None,
    shard: tuple[int, int] = (0, 1),
) -> TFDataset:
    """`load_dataset` of packed records, or of a worker's share of their shards.

    Each worker shuffles its own shards; together they give every pair once in an epoch. Shards may
    differ by one pair, and so may the steps of the workers.

    Args:
        folder: what `fastscnn data pack` wrote, on a local or mounted disk.
        split: one of the splits packed.
        config: as for `load_dataset`.
        augment: as for `load_dataset`.
        batch_size: as for `load_dataset`.
        seed: as for `load_dataset`.
        shard: (worker, workers); at most as many workers as there are shards.

    Returns:
        A `tf.data.Dataset` as that of `load_dataset`.

    Raises:
        ConfigError: there are more workers than shards, or the classes differ from the config's.
        DataError: files are missing or wrong.
    """
    dataset = RecordsDataset(folder, split, shard)
    return batches(dataset, config, augmentation(augment), batch_size, seed)


def opened(
    source: str | Source,
    data_dir: StrPath | None,
    split: str,
    config: FastSCNNConfig,
    skip_bad: bool,
    classes: Classes | None,
) -> SegmentationDataset:
    """The split of a data set by its name, or what somebody holds; as for `load_dataset`.

    Its labels are in the class indices of the config; one without names takes the data set's.
    """
    if isinstance(source, str):
        if classes is not None:
            raise ConfigError(f"data set {source!r} has its own classes: leave classes out")
        data = open_split(source, data_dir, split, config.input_size, skip_bad)
    elif data_dir is not None or skip_bad:
        raise ConfigError("data_dir and skip_bad are for data sets by name: leave them out")
    else:
        data = as_dataset(source, config.labels, classes, split, (config.mean, config.std))
        data = held_in_memory(data, available_memory() * MEMORY_SHARE)
    return in_classes_of(config.labels, data) if config.class_names else data


def batches(
    dataset: SegmentationDataset,
    config: FastSCNNConfig,
    settings: Augmentation | None = None,
    batch_size: int = 1,
    seed: int | None = None,
    epochs: range | None = None,
    first_step: int = 0,
    cache: str | PairReader = "auto",
    workers: int | None = None,
) -> TFDataset:
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
        first_step: batches of the first epoch that were given already.
        cache: as in `load_dataset`, or what reads the pairs of several streams.
        workers: threads; as many as tf.data thinks best by default.
    """
    check_batches(dataset, config, batch_size, training=settings is not None)
    config = named_after(dataset, config)
    tf = tensorflow()
    use_fast_png(with_tensorflow=True)
    read = cache
    if isinstance(cache, str):
        read = pair_reader(dataset, config, settings is not None, cache)
    threads = workers or tf.data.AUTOTUNE
    if settings is None:
        stream = tf.data.Dataset.range(first_step * batch_size, len(dataset))
        stream = stream.map(lambda i: (i, tf.zeros(2, tf.int64)))
    else:
        stream = shuffled_indices(len(dataset), batch_size, seed, epochs, first_step)

    def pair(index):
        image, label = tf.numpy_function(read, [index], (tf.uint8, tf.uint8), stateful=False)
        image.set_shape((None, None, 3))
        label.set_shape((None, None))
        return image, label

    def load(index, draw):
        if settings is None:
            return _plain(*pair(index), config)
        return _augmented(*pair(index), draw, settings, config)

    result = stream.map(as_it_is(load), threads, deterministic=True)
    result = result.batch(batch_size, drop_remainder=settings is not None)
    if settings is not None:
        mix = functools.partial(_mixed, settings=settings, config=config)
        result = result.map(as_it_is(mix))
    options = tf.data.Options()
    options.threading.max_intra_op_parallelism = 1  # images are the parallel work
    return result.prefetch(2).with_options(options)


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


def _plain(image, label, config: FastSCNNConfig):
    from .augment import tf_ops

    tf = tensorflow()
    image = tf.ensure_shape(tf.cast(image, tf.float32), (*config.input_size, 3))
    label = tf.ensure_shape(label, config.input_size)
    mean, std = (tf.constant(value, tf.float32) for value in (config.mean, config.std))
    return tf_ops.scaled(image, 1 / std, -mean / std), for_outputs(label, config)


def _augmented(image, label, draw, settings: Augmentation, config: FastSCNNConfig):
    from .augment import tf_ops

    tf = tensorflow()
    vector = tf.random.stateless_uniform((DRAWS,), draw)
    image, label = augment_pair(image, label, vector, settings, config, tf_ops)
    image = tf.ensure_shape(image, (*config.input_size, 3))
    return image, tf.ensure_shape(label, config.input_size), vector


def _mixed(images, labels, vectors, settings: Augmentation, config: FastSCNNConfig):
    """Mixes neighbours."""
    from .augment import tf_ops

    if settings.mixes:
        images, labels = mix_batch(images, labels, vectors, settings, tf_ops)
    return images, for_outputs(labels, config)


def named_after(dataset: SegmentationDataset, config: FastSCNNConfig) -> FastSCNNConfig:
    """The config with the data set's class names, by which rare classes are known."""
    return config.replace(class_names=dataset.labels.names, class_colors=dataset.labels.colors)


def check_batches(
    dataset: SegmentationDataset, config: FastSCNNConfig, batch_size: int, training: bool
) -> None:
    """Makes sure that a data set can be batched for a model.

    Raises:
        DataError: the split is empty.
        ConfigError: other classes than the model's, or the batch is larger than the split.
    """
    check_filled(dataset)
    if len(dataset.labels) != config.num_classes:
        raise ConfigError(
            f"{dataset.name} has {len(dataset.labels)} classes but the model has "
            f"{config.num_classes}"
        )
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ConfigError(f"batch size must be at least 1, got {batch_size}")
    if training and batch_size > len(dataset):
        raise ConfigError(
            f"batch size {batch_size} is larger than the {len(dataset)} pairs of split "
            f"{dataset.split!r}: use at most {len(dataset)} (--batch-size {len(dataset)})"
        )


def for_outputs(label: Any, config: FastSCNNConfig) -> Any:
    """The labels as the model's outputs want them: with auxiliary heads the same for each."""
    if not config.aux_heads:
        return label
    return dict.fromkeys(("logits", *(f"aux_{head}" for head in config.aux_layout)), label)
