"""Instance-weighted IoU (iIoU) of Cityscapes, to the last bit that of cityscapesScripts.

Pixels of large instances count less and those of small ones more: each instance's hits and misses
are weighted by the mean size of its class in the training set, divided by its own size. False
positives stay pixels. Source: Cordts et al., CVPR 2016, section 4.1, and
evalPixelLevelSemanticLabeling.py of cityscapesScripts, whose order of the sums is kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

from ..errors import ConfigError, DataError
from ..labels import CITYSCAPES, IGNORE, LabelSpace
from .confusion import mean_of_known, ratio

# Mean pixels of an instance in the training set (cityscapesScripts, `avgClassSize`).
MEAN_SIZES = {
    "person": 3462.4756337644,
    "rider": 3930.4788056518,
    "car": 12794.0202738185,
    "truck": 27855.1264367816,
    "bus": 35732.1511111111,
    "train": 67583.7075812274,
    "motorcycle": 6298.7200839748,
    "bicycle": 4672.3249222261,
}
FIRST_INSTANCE = 1000  # an instance's id is its raw label id * 1000 + number
RAW_TO_CLASS = CITYSCAPES.lookup_table()

InstanceFound: TypeAlias = tuple[int, int, int, int]


@dataclasses.dataclass(frozen=True)
class InstanceScores:
    """iIoU, as fractions 0..1.

    Attributes:
        class_iiou: class name -> iIoU, of the classes that have instances; None where one never
            occurs.
        category_iiou: category -> iIoU, of the categories all of whose classes have instances.
        mean: mean over classes.
        category_mean: mean over categories.
    """

    class_iiou: dict[str, float | None]
    category_iiou: dict[str, float | None]
    mean: float | None
    category_mean: float | None


class InstanceCounts:
    """Collects weighted hits and misses of instances over images.

    Args:
        space: the label space of the label maps.
        extra: category of each predicted value behind the classes, for results that name classes
            which are not scored (Cityscapes' caravans and trailers are vehicles).

    Raises:
        ConfigError: the space has not the classes of Cityscapes.
    """

    def __init__(self, space: LabelSpace, extra: Sequence[str] = ()):
        if space.names != CITYSCAPES.names:
            raise ConfigError(
                f"iIoU is defined for the 19 classes of Cityscapes; {space.name} has others"
            )
        self._columns = (*CITYSCAPES.categories, *extra)  # the category of each predicted value
        order = list(dict.fromkeys(CITYSCAPES.categories))
        self._category_of = np.full(256, IGNORE, np.uint8)
        self._category_of[: len(self._columns)] = [order.index(c) for c in self._columns]
        pairs = zip(CITYSCAPES.names, CITYSCAPES.categories, strict=True)
        without = {category for name, category in pairs if name not in MEAN_SIZES}
        self._classes = {name: _Weighted() for name in CITYSCAPES.names if name in MEAN_SIZES}
        self._categories = {c: _Weighted() for c in order if c not in without}

    def add(self, instances: np.ndarray, predictions: np.ndarray) -> None:
        """Adds one image, see `look`."""
        self.take(self.look(instances, predictions))

    def look(self, instances: np.ndarray, predictions: np.ndarray) -> list[InstanceFound]:
        """What `take` adds of one image; whoever does it, and in whatever order.

        Args:
            instances: (H, W) whole numbers as in `*_instanceIds.png`: raw label id * 1000 + number
                for an instance, the raw label id elsewhere.
            predictions: (H, W) uint8 class indices (`extra` ones behind them), 255 for none.

        Raises:
            DataError: the shapes differ, or an id is out of range.

        Returns:
            Of each instance its class, pixels, hits, and hits of its category.
        """
        if instances.shape != predictions.shape:
            raise DataError(
                f"instance map {instances.shape} and prediction {predictions.shape} differ"
            )
        own = instances > FIRST_INSTANCE
        ids, found = instances[own].astype(np.int64), predictions[own]
        if ids.size and ids.max() >= 256 * FIRST_INSTANCE:
            raise DataError(f"instance id {ids.max()} is not below {256 * FIRST_INSTANCE}")
        truth = RAW_TO_CLASS[ids // FIRST_INSTANCE]
        same_category = self._category_of[found] == self._category_of[truth]
        sizes = np.bincount(ids)
        hits = np.bincount(ids[found == truth], minlength=len(sizes))
        category_hits = np.bincount(ids[same_category], minlength=len(sizes))
        there = np.flatnonzero(sizes)
        classes = RAW_TO_CLASS[there // FIRST_INSTANCE]
        columns = (classes, sizes[there], hits[there], category_hits[there])
        return list(zip(*(column.tolist() for column in columns), strict=True))

    def take(self, found: Iterable[InstanceFound]) -> None:
        """Adds what `look` found."""
        for each in found:
            self._add_instance(*each)

    def _add_instance(self, which: int, size: int, hits: int, category_hits: int) -> None:
        if which >= len(CITYSCAPES) or CITYSCAPES.names[which] not in MEAN_SIZES:
            return  # caravans and trailers are not scored
        name, category = CITYSCAPES.names[which], CITYSCAPES.categories[which]
        weight = MEAN_SIZES[name] / float(size)
        self._classes[name].add(hits, size, weight)
        if category in self._categories:
            self._categories[category].add(category_hits, size, weight)

    def scores(self, matrix: np.ndarray) -> InstanceScores:
        """iIoU, with the false positives of the confusion matrix of the same images.

        Args:
            matrix: of `confusion_matrix`; behind its columns for classes come those for `extra`.
        """
        by_class = {
            name: sums.iiou(_false_positives(matrix, [index], [index]))
            for name, sums in self._classes.items()
            for index in (CITYSCAPES.names.index(name),)
        }
        by_category = {
            category: sums.iiou(
                _false_positives(
                    matrix, _where(CITYSCAPES.categories, category), _where(self._columns, category)
                )
            )
            for category, sums in self._categories.items()
        }
        return InstanceScores(
            by_class,
            by_category,
            mean_of_known(by_class.values()),
            mean_of_known(by_category.values()),
        )


@dataclasses.dataclass
class _Weighted:
    """Weighted hits and misses; the order of these sums decides the last bit."""

    hits: float = 0.0
    misses: float = 0.0

    def add(self, hits: int, size: int, weight: float) -> None:
        self.hits += float(hits) * weight
        self.misses += float(size - hits) * weight

    def iiou(self, false_positives: int) -> float | None:
        return ratio(self.hits, (self.hits + false_positives) + self.misses)


def _false_positives(matrix: np.ndarray, rows: list[int], columns: list[int]) -> int:
    """Pixels predicted as one of `columns` whose true class is none of `rows`."""
    others = np.delete(matrix, rows, axis=0)
    return int(others[:, [c for c in columns if c < matrix.shape[1]]].sum())


def _where(values: Sequence[str], wanted: str) -> list[int]:
    return [index for index, value in enumerate(values) if value == wanted]
