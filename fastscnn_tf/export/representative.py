"""The images that set the ranges of a graph: of a data set, and as the converter wants them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..core.aliases import StrPath
from ..core.config import FastSCNNConfig
from ..core.errors import DataError
from ..data.datasets.objects import Source, image_batches
from ..data.reader import named_data_errors


def training_images(
    config: FastSCNNConfig,
    dataset: str,
    data_dir: StrPath | None,
    count: int,
    skip_bad: bool = False,
) -> Any:
    """The first normalised images of a training split, with their label maps, in batches of one.

    Args:
        config: gives their size, mean and std.
        dataset: its name, as for `open_dataset`.
        data_dir: where it lies.
        count: how many.
        skip_bad: leave out pairs that cannot be used.
    """
    from ..data.pipeline import load_dataset

    batches = load_dataset(
        dataset, data_dir, split="train", config=config, batch_size=1, skip_bad=skip_bad
    )
    return batches.take(count)


def images_for(
    config: FastSCNNConfig, source: Source, limit: int = 200
) -> Callable[[], Iterator[list[np.ndarray]]]:
    """A representative dataset of single images.

    The first one gets a black and a white pixel in its first row: the input's range is then that
    of all bytes, whichever the images hold.

    Args:
        config: gives the input's size, mean and std.
        source: anything with images (see `data.datasets.objects.as_dataset`).
        limit: images to use at most.

    Raises:
        DataError: there is not one image, one has another size or cannot be read.
    """
    images: list[np.ndarray] = []
    with named_data_errors():
        for batch in image_batches(source, config):
            images.extend(image[None] for image in batch)
            if len(images) >= limit:
                break
    if not images:
        raise DataError("calibration needs at least one image, got none")
    mean, std = (np.asarray(v, np.float32) for v in (config.mean, config.std))
    images[0] = images[0].copy()
    images[0][0, 0, :2] = (0 - mean) / std, (255 - mean) / std

    def each() -> Iterator[list[np.ndarray]]:
        for image in images[:limit]:
            yield [image]

    return each
