"""The images that set the ranges of a graph: of a data set, and as the converter wants them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ..core.aliases import StrPath
from ..core.config import FastSCNNConfig
from ..core.console import first_few, warn
from ..core.errors import DataError
from ..core.images.image_file import read_image
from ..data.datasets.objects import Source, image_batches
from ..data.datasets.registry import open_images
from ..data.reader import named_data_errors

LIMIT = 200  # images


def training_images(
    config: FastSCNNConfig,
    dataset: str,
    data_dir: StrPath | None,
    count: int,
    skip_bad: bool = False,
) -> Iterator[np.ndarray]:
    """The first images of a training split as bytes, one by one; label maps do not count.

    Whoever calibrates normalises them: of floats it would have to guess how they are coded.

    Args:
        config: gives the size that drawn ones have.
        dataset: its name, as for `open_images`.
        data_dir: where it lies.
        count: how many.
        skip_bad: leave out images that cannot be read, with a counted warning.

    Raises:
        DataError: there is no such data set, or an image cannot be read.
    """
    source = open_images(dataset, data_dir, "train", config.input_size)
    if isinstance(source, list):
        images = _readable(source, count) if skip_bad else map(read_image, source)
    else:
        images = map(source.read_image, source.indices())
    return itertools.islice(images, count)


def _readable(paths: Sequence[Path], count: int) -> Iterator[np.ndarray]:
    """The first images that can be read."""
    bad: list[DataError] = []
    found = 0
    for path in paths:
        try:
            image = read_image(path)
        except DataError as error:
            bad.append(error)
            continue
        yield image
        found += 1
        if found == count:
            break
    if bad:
        warn(f"skipped {len(bad)} images that cannot be read ({first_few(bad)})")


def first_images(config: FastSCNNConfig, source: Source) -> Iterator[np.ndarray]:
    """The images that count, one by one, of anything with images (see `as_dataset`).

    Raises:
        DataError: one has another size or cannot be read.
    """
    with named_data_errors():
        every = (image for batch in image_batches(source, config) for image in batch)
        yield from itertools.islice(every, LIMIT)


def images_for(config: FastSCNNConfig, source: Source) -> Callable[[], Iterator[list[np.ndarray]]]:
    """A representative dataset of single images.

    The first one gets a black and a white pixel in its first row: the input's range is then that
    of all bytes, whichever the images hold.

    Args:
        config: gives the input's size, mean and std.
        source: anything with images (see `data.datasets.objects.as_dataset`); the first 200 count.

    Raises:
        DataError: there is not one image, one has another size or cannot be read.
    """
    images = [image[None] for image in first_images(config, source)]
    if not images:
        raise DataError("calibration needs at least one image, got none")
    mean, std = (np.asarray(v, np.float32) for v in (config.mean, config.std))
    images[0] = images[0].copy()
    images[0][0, 0, :2] = (0 - mean) / std, (255 - mean) / std

    return lambda: ([image] for image in images)
