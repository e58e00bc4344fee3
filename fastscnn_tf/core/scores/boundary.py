"""Boundary F-score: how well the outlines of the classes are hit.

The measure of Perazzi et al. (CVPR 2016, the DAVIS benchmark) for each class, with the tolerances
that Gated-SCNN (Takikawa et al., ICCV 2019) made usual on Cityscapes: 3, 5, 9 and 12 pixels at
1024x2048, given as shares of the diagonal. A boundary pixel differs from its neighbour on the
right, below, or diagonally below; it is matched if the other map has a boundary of the same class
within the tolerance (a disk). F is the harmonic mean of precision and recall in one image, and
their mean over images and then classes is the score.

All classes are dilated at once: each pixel holds one bit per class.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TypeAlias

import numpy as np

from ..errors import DataError
from .confusion import mean_of_known, ratio

TOLERANCES = (0.00088, 0.001875, 0.00375, 0.005)  # shares of the diagonal, Gated-SCNN's
BITS = 32  # classes that are dilated together

BoundaryFound: TypeAlias = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class BoundaryScores:
    """Boundary F-scores at one tolerance, as fractions 0..1.

    Attributes:
        tolerance: share of the image's diagonal, rounded up to whole pixels in each image.
        class_f: per class the mean over the images in which it has a boundary in labels or
            prediction; None for a class that never has.
        mean: mean of it over classes.
        mean_absent_as_one: the same with F = 1 for each image in which a class has no boundary at
            all, as Gated-SCNN's program counts; for comparison with published numbers.
    """

    tolerance: float
    class_f: tuple[float | None, ...]
    mean: float | None
    mean_absent_as_one: float | None


class BoundaryCounts:
    """Sums F over images, for each tolerance and class.

    Args:
        num_classes: number of classes.
        tolerances: shares of the diagonal.
    """

    def __init__(self, num_classes: int, tolerances: tuple[float, ...] = TOLERANCES):
        self.num_classes, self.tolerances, self.images = num_classes, tolerances, 0
        self._sums = np.zeros((len(tolerances), num_classes))
        self._present = np.zeros(num_classes, int)

    def add(self, labels: np.ndarray, predictions: np.ndarray) -> None:
        """Adds one image, see `look`."""
        self.take(self.look(labels, predictions))

    def look(self, labels: np.ndarray, predictions: np.ndarray) -> BoundaryFound:
        """What `take` adds of one image; whoever does it, and in whatever order.

        Args:
            labels: (H, W) uint8 class indices; 255 is ignored, in the prediction too.
            predictions: (H, W) uint8 class indices; other values are not classes.

        Raises:
            DataError: the shapes differ.

        Returns:
            (tolerances, classes) float64 F, and (classes,) bool which classes have a boundary.
        """
        if labels.shape != predictions.shape:
            raise DataError(f"label map {labels.shape} and prediction {predictions.shape} differ")
        predictions = np.where(labels == 255, np.uint8(255), predictions)
        diagonal = math.hypot(*labels.shape)
        radii = [math.ceil(tolerance * diagonal) for tolerance in self.tolerances]
        found = []
        for start in range(0, self.num_classes, BITS):
            classes = slice(start, min(start + BITS, self.num_classes))
            table = np.zeros(256, np.uint32)
            count = classes.stop - classes.start
            table[classes] = np.uint32(1) << np.arange(count, dtype=np.uint32)
            found.append(_f_scores(table[labels], table[predictions], radii, count))
        scores, present = zip(*found, strict=True)
        return np.concatenate(scores, axis=1), np.concatenate(present)

    def take(self, found: BoundaryFound) -> None:
        """Adds what `look` found; the order of these sums decides the last bit."""
        self._sums += found[0]
        self._present += found[1]
        self.images += 1

    def scores(self) -> list[BoundaryScores]:
        """The scores at each tolerance."""
        return [self._at(*item) for item in zip(self.tolerances, self._sums, strict=True)]

    def _at(self, tolerance: float, sums: np.ndarray) -> BoundaryScores:
        present = self._present
        class_f = tuple(ratio(s, n) for s, n in zip(sums, present, strict=True))
        absent_as_one = [ratio(s, self.images) for s in sums + self.images - present]
        return BoundaryScores(
            tolerance, class_f, mean_of_known(class_f), mean_of_known(absent_as_one)
        )


def _f_scores(
    truth: np.ndarray, predicted: np.ndarray, radii: list[int], count: int
) -> tuple[np.ndarray, np.ndarray]:
    """F by (radius, class), and which classes have a boundary, of two maps of class bits."""
    outlines = _Outline(truth), _Outline(predicted)
    n_truth, n_predicted = (_count_bits(o.values, count) for o in outlines)
    matches = [
        [_count_bits(own.values & other, count) for other in near]
        for own, near in (
            (outlines[0], _dilated(outlines[1].bits, radii, outlines[0].where)),
            (outlines[1], _dilated(outlines[0].bits, radii, outlines[1].where)),
        )
    ]
    recall = np.array(matches[0]) / np.maximum(n_truth, 1)
    precision = np.array(matches[1]) / np.maximum(n_predicted, 1)
    # Where only one map has a boundary, the program cited sets precision or recall to 1 and the
    # other to 0: F is 0, as here.
    total = precision + recall
    f = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    return f, (n_truth > 0) | (n_predicted > 0)


class _Outline:
    """Boundaries as bits (H, W), the places that have any, and the bits there."""

    def __init__(self, bits: np.ndarray):
        self.bits = _boundary(bits)
        self.where = np.flatnonzero(self.bits)
        self.values = self.bits.ravel()[self.where]


def _boundary(bits: np.ndarray) -> np.ndarray:
    """Bits that differ from the neighbour on the right, below, or diagonally below."""
    edge = np.zeros_like(bits)
    edge[:, :-1] |= bits[:, :-1] ^ bits[:, 1:]
    edge[:-1] |= bits[:-1] ^ bits[1:]
    edge[:-1, :-1] |= bits[:-1, :-1] ^ bits[1:, 1:]
    return edge


def _dilated(bits: np.ndarray, radii: list[int], where: np.ndarray) -> list[np.ndarray]:
    """The bits within a disk of each radius around the places `where` (flat indices)."""
    height, width = bits.shape
    reach = max(radii)
    padded = np.zeros((height + 2 * reach, width + 2 * reach), bits.dtype)
    padded[reach : reach + height, reach : reach + width] = bits
    rows, columns = np.divmod(where, width)
    centre = (rows + reach) * padded.shape[1] + columns + reach
    results = [np.zeros(len(where), bits.dtype) for _ in radii]
    wide, flat = padded.copy(), padded.ravel()
    for half in range(reach + 1):  # rows dilated by `half` to both sides
        if half:
            wide.ravel()[half:] |= flat[:-half]
            wide.ravel()[:-half] |= flat[half:]
        for radius, result in zip(radii, results, strict=True):
            for dy in _rows_of_half_width(radius, half):
                result |= wide.ravel()[centre + dy * padded.shape[1]]
    return results


def _rows_of_half_width(radius: int, half: int) -> list[int]:
    """The rows dy of the disk x^2 + y^2 <= radius^2 that reach `half` to both sides."""
    rows = range(-radius, radius + 1)
    return [dy for dy in rows if math.isqrt(radius**2 - dy**2) == half]


def _count_bits(values: np.ndarray, count: int) -> np.ndarray:
    """How many values have bit 0, 1, ... `count - 1`."""
    return np.array([np.count_nonzero(values & np.uint32(1 << bit)) for bit in range(count)])
