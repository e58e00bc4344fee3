"""Class frequencies of label maps, and the loss weights that are usually made from them."""

from collections.abc import Sequence

import numpy as np

from ..core.aliases import Progress
from .datasets.dataset import SegmentationDataset

KINDS = ("none", "enet", "median")
ENET_CONSTANT = 1.02  # Paszke et al. 2016, section 5.2: keeps the weights between 1 and 50


def enet_weights(pixels: Sequence[int]) -> list[float | None]:
    """1 / ln(1.02 + p) for the share p of each class (ENet, Paszke et al. 2016).

    Args:
        pixels: of each class; void is not counted.

    Returns:
        A weight for each class; None for those that never occur.

    Example:
        >>> [round(w, 4) if w else w for w in enet_weights([98, 0, 2])]
        [1.4427, None, 25.4967]
    """
    total = sum(pixels)
    return [float(1 / np.log(ENET_CONSTANT + p / total)) if p else None for p in pixels]


def median_frequency_weights(
    pixels: Sequence[int], pixels_where_present: Sequence[int]
) -> list[float | None]:
    """Median frequency balancing (Eigen and Fergus, ICCV 2015, section 4.3).

    The frequency of a class is its share of the pixels of those label maps in which it occurs; the
    weight is the median of all frequencies divided by it.

    Args:
        pixels: of each class.
        pixels_where_present: for each class all pixels that are not void of the label maps in
            which it occurs.

    Returns:
        A weight for each class; None for those that never occur, which the median leaves out.

    Example:
        >>> median_frequency_weights([50, 10, 0], [100, 40, 0])
        [0.75, 1.5, None]
    """
    frequency = [p / all_ for p, all_ in zip(pixels, pixels_where_present, strict=True) if p]
    if not frequency:
        return [None] * len(pixels)
    median = float(np.median(frequency))
    pairs = zip(pixels, pixels_where_present, strict=True)
    return [median * all_ / p if p else None for p, all_ in pairs]


def training_class_weights(
    dataset: SegmentationDataset, kind: str, progress: Progress = iter
) -> tuple[float, ...] | None:
    """Weights of the classes by their frequency in a data set; reads all its label maps.

    Args:
        dataset: the training split.
        kind: `none`, `enet` or `median`.
        progress: wraps the indices of the label maps.

    Returns:
        A weight for each class, 0 for those that never occur; None for `none`.
    """
    if kind == "none":
        return None
    classes = len(dataset.labels.names)
    pixels, present = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
    for index in progress(range(len(dataset))):
        counts = np.bincount(dataset.read_label(index).ravel(), minlength=256)[:classes]
        pixels += counts
        present += np.where(counts > 0, counts.sum(), 0)
    if kind == "enet":
        weights = enet_weights(pixels.tolist())
    else:
        weights = median_frequency_weights(pixels.tolist(), present.tolist())
    return tuple(weight or 0.0 for weight in weights)
