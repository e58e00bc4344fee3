"""Scores in two steps: a confusion matrix of counts, then pure functions of it.

The same matrix serves Keras models and .tflite files.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from .errors import DataError
from .labels import IGNORE


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts pixels by (true class, predicted class).

    Args:
        labels: uint8 class indices of any shape; 255 is ignored.
        predictions: uint8 class indices of the same shape.
        num_classes: number of classes.

    Returns:
        (num_classes, num_classes) int64, rows are true classes.

    Raises:
        DataError: shapes differ, or a value is neither a class nor (in labels) 255.
    """
    if labels.shape != predictions.shape:
        raise DataError(f"label map {labels.shape} and prediction {predictions.shape} differ")
    valid = labels != IGNORE
    truth = labels[valid].astype(np.int64)
    predicted = predictions[valid].astype(np.int64)
    for name, values in (("label", truth), ("prediction", predicted)):
        if values.size and values.max() >= num_classes:
            raise DataError(f"{name} value {values.max()} is not below {num_classes} classes")
    counts = np.bincount(truth * num_classes + predicted, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


@dataclasses.dataclass(frozen=True)
class Scores:
    """Scores of one confusion matrix, as fractions 0..1.

    Attributes:
        miou: mean over the classes that occur in labels or predictions; None without pixels.
        pixel_accuracy: share of the scored pixels that are right; None without pixels.
        class_iou: per class intersection over union; None for a class that never occurs.
        matrix: the (classes, classes) counts behind them.
    """

    miou: float | None
    pixel_accuracy: float | None
    class_iou: tuple[float | None, ...]
    matrix: np.ndarray


def scores(matrix: np.ndarray) -> Scores:
    """Mean IoU, class IoU and pixel accuracy of a confusion matrix (rows are true classes)."""
    hits = np.diag(matrix).astype(np.float64)
    union = matrix.sum(0) + matrix.sum(1) - hits
    seen = union > 0
    iou = [float(h / u) if s else None for h, u, s in zip(hits, union, seen, strict=True)]
    total = matrix.sum()
    return Scores(
        miou=float((hits[seen] / union[seen]).mean()) if seen.any() else None,
        pixel_accuracy=float(hits.sum() / total) if total else None,
        class_iou=tuple(iou),
        matrix=matrix,
    )
