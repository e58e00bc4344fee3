"""Batches from packed records for one of several workers."""

from __future__ import annotations

from ...core.aliases import StrPath
from ...core.config import FastSCNNConfig
from ...core.keras_api import TFDataset
from ..augment.augmentation import Augmentation, augmentation
from ..pipeline import batches
from .packed_dataset import RecordsDataset


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
    settings = augmentation(augment) if isinstance(augment, str) else augment
    return batches(dataset, config, settings, batch_size, seed)
