"""Scores in two steps: a confusion matrix of counts, then pure functions of it.

The same matrix serves Keras models and .tflite files. Class and category IoU and their means are
those of cityscapesScripts (evalPixelLevelSemanticLabeling.py), to the last bit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from ..errors import DataError
from ..labels import IGNORE


def confusion_matrix(
    labels: np.ndarray, predictions: np.ndarray, num_classes: int, extra: int = 0
) -> np.ndarray:
    """Counts pixels by (true class, predicted class).

    Args:
        labels: uint8 class indices of any shape; 255 is ignored.
        predictions: uint8 class indices of the same shape.
        num_classes: number of classes.
        extra: columns behind the classes, for predictions that are no scored class: values from
            `num_classes` on, with 255 (none at all) in the last one. Such a prediction is a miss
            of the true class and a false positive of none.

    Returns:
        (num_classes, num_classes + extra) int64, rows are true classes.

    Raises:
        DataError: shapes differ, or a value is neither a class nor (in labels, or in predictions
            with `extra`) 255.
    """
    if labels.shape != predictions.shape:
        raise DataError(f"label map {labels.shape} and prediction {predictions.shape} differ")
    # One count of 16-bit pairs is three times as fast as selecting the pixels that count first.
    pairs = (labels.astype(np.uint16) << 8) | predictions
    table = np.bincount(pairs.ravel(), minlength=1 << 16).reshape(256, 256)[:IGNORE]
    scored = np.arange(256) < num_classes + extra - bool(extra)
    scored[IGNORE] = extra > 0
    _check("label", table.sum(1), np.arange(IGNORE) < num_classes, num_classes)
    _check("prediction", table.sum(0), scored, num_classes)
    return table[:num_classes, scored]


def _check(name: str, counts: np.ndarray, known: np.ndarray, num_classes: int) -> None:
    foreign = np.flatnonzero((counts > 0) & ~known)
    if foreign.size:
        raise DataError(f"{name} value {foreign[-1]} is not below {num_classes} classes")


@dataclasses.dataclass(frozen=True)
class Scores:
    """Scores of one confusion matrix, as fractions 0..1.

    Attributes:
        miou: mean over the classes that occur in labels or predictions; None without pixels.
        pixel_accuracy: share of the scored pixels that are right; None without pixels.
        class_iou: per class intersection over union; None for a class that never occurs.
        matrix: the (classes, classes or more) counts behind them.
        class_accuracy: per class share of its pixels that are right (recall); None without pixels.
        mean_accuracy: mean of it over the classes that occur in labels.
        frequency_weighted_iou: mean of the class IoU weighted by the classes' shares of the pixels
            (Long et al., CVPR 2015).
        category_iou: category -> IoU after merging its classes; empty without categories.
        category_miou: mean over the categories that occur in labels or predictions.
    """

    miou: float | None
    pixel_accuracy: float | None
    class_iou: tuple[float | None, ...]
    matrix: np.ndarray
    class_accuracy: tuple[float | None, ...] = ()
    mean_accuracy: float | None = None
    frequency_weighted_iou: float | None = None
    category_iou: dict[str, float | None] = dataclasses.field(default_factory=dict)
    category_miou: float | None = None


def scores(matrix: np.ndarray, categories: Sequence[str] = ()) -> Scores:
    """All scores of a confusion matrix.

    Args:
        matrix: (classes, classes + extra) counts of `confusion_matrix`.
        categories: the category of each class, or nothing.
    """
    classes = range(len(matrix))
    hits, pixels, total = np.diag(matrix), matrix.sum(1), int(matrix.sum())
    class_iou = tuple(intersection_over_union(matrix, [i]) for i in classes)
    accuracy = tuple(ratio(hits[i], pixels[i]) for i in classes)
    category_iou = {
        category: intersection_over_union(matrix, [i for i in classes if categories[i] == category])
        for category in dict.fromkeys(categories)
    }
    weighted = sum(int(pixels[i]) * (iou or 0.0) for i, iou in enumerate(class_iou))
    return Scores(
        miou=mean_of_known(class_iou),
        pixel_accuracy=ratio(hits.sum(), total),
        class_iou=class_iou,
        matrix=matrix,
        class_accuracy=accuracy,
        mean_accuracy=mean_of_known(accuracy),
        frequency_weighted_iou=ratio(weighted, total),
        category_iou=category_iou,
        category_miou=mean_of_known(category_iou.values()),
    )


def intersection_over_union(matrix: np.ndarray, classes: Sequence[int]) -> float | None:
    """IoU of some classes taken as one; None where they are neither in labels nor predicted."""
    hits = matrix[np.ix_(classes, classes)].sum()
    return ratio(hits, matrix[classes].sum() + matrix[:, classes].sum() - hits)


def ratio(part: float, whole: float) -> float | None:
    """`part / whole`; None for a whole of zero."""
    return float(part) / float(whole) if whole else None


def of_known(values: Collection[float | None]) -> str:
    """How many classes a mean is of, where these are not all."""
    known = sum(value is not None for value in values)
    return "" if known == len(values) else f" of {known} of {len(values)} classes"


def mean_of_known(values: Iterable[float | None]) -> float | None:
    """The mean of what is not None, None without any.

    Added one by one as in cityscapesScripts: numpy's sum of more than eight numbers, and Python's
    from 3.12 on, take another order and differ in the last bit.
    """
    total, count = 0.0, 0
    for value in values:
        if value is not None:
            total, count = total + value, count + 1
    return total / count if count else None
